"""Quiz of notebook 05: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "5.q1": Question(
        4,
        (
            "that is the sum's.",
            "a constant is added, not multiplied.",
            "that is so where all steps pay the same; here something is left.",
            "R/n becomes R/n + 10, and a constant has no slope.",
        ),
    ),
    "5.q2": Question(
        2,
        (
            "that is what the sum learns.",
            "it follows −t/n, and E[1/n] of the gamble is (1/2 + 1/8)/2.",
            "with whole returns it would be nothing; the reward-to-go leaves −t/n.",
            "it wants 1/n to be small, not large.",
        ),
    ),
    "5.q3": Question(
        3,
        (
            "that is the sum's answer.",
            "with 1.5 it learned to stop: 1.5/3 is below 1.",
            "then R/n is above 1.",
            "R/n of a walk grows with its pay.",
        ),
    ),
    "5.q4": Question(
        1,
        (
            "for a gradient the two would be equal.",
            "that one is (y, x).",
            "this one turns in circles; no height rises all the way round.",
            "a gradient may be zero anywhere.",
        ),
    ),
    "5.q5": Question(
        2,
        (
            "there is no signal to learn from: look at the median.",
            "a few very long episodes make a large average.",
            "a smaller rate would make them wander less.",
            "zero on average is not standing still: single steps are not 0.",
        ),
    ),
}
