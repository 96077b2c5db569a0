"""Quiz of notebook 03: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "3.q1": Question(
        3,
        (
            "that is the last one; backward adds to .grad.",
            "that is the mean; nobody divides.",
            "3 + 2θ.",
            "these are the losses; derivatives are added.",
        ),
    ),
    "3.q2": Question(
        2,
        (
            "the loop is what we want.",
            "it clears what the steps before have added; it belongs above the loop.",
            "backward on each loss is what we want.",
            "one step after the loop is right.",
        ),
    ),
    "3.q3": Question(
        1,
        (
            "(3 · 2 + 10)/4.",
            "that is the mean of the means: the single token counts three times as much.",
            "that adds the two means and divides by 4 tokens.",
            "that is the sum.",
        ),
    ),
    "3.q4": Question(
        4,
        (
            "then it would say: modified by an inplace operation.",
            "backward adds, and needs no cleared .grad.",
            "with retain_graph=True it may be taken again.",
            "retain_graph=True keeps it, and then the loop is the sum.",
        ),
    ),
    "3.q5": Question(
        2,
        (
            "at tiny rates the two agree.",
            "it is proportional to the rate.",
            "the difference itself is a quarter; relative to a step that was halved it is half.",
            "θ still moves between the calls.",
        ),
    ),
}
