"""Quiz of notebook 00: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "0.q1": Question(
        1,
        (
            "the push has the sign of 2/4 − 1.",
            "that is the sum; the mean divides the walk's push by 4.",
            "they would if walking paid 4: here 2/4 − 1 is not 0.",
            "a rate is positive: it changes the pace, never the sign.",
        ),
    ),
    "0.q2": Question(
        4,
        (
            "that is the mean's: p(1 − p)(2/4 − 1).",
            "that is p (2 − 1); the factor 1 − p is missing.",
            "that is 2 − 1; the factor p(1 − p) is missing.",
            "p(1 − p)(2 − 1) = 0.25 · 1.",
        ),
    ),
    "0.q3": Question(
        3,
        (
            "each loss is right: minus the log-probability, times what followed.",
            "adding them up is right at γ = 1.",
            "n is the length of this very episode: the longer a walk is, the less it counts.",
            "one step after all losses is right; its rate could not turn the sign.",
        ),
    ),
    "0.q4": Question(
        2,
        (
            "that is the sum.",
            "3 + 1 steps; and the stop's is divided by 4 as well: one divisor for both.",
            "these are the episodes; here steps are counted.",
            "that is its own length: the mean over an episode.",
        ),
    ),
    "0.q5": Question(
        4,
        (
            "the exact push points to stop at every p; there is no hill to get over.",
            "the push is negative at every p between 0 and 1.",
            "each step is ten times as large.",
            "the same direction, in larger steps.",
        ),
    ),
}
