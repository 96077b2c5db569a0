"""Quiz of notebook 08: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "8.q1": Question(
        4,
        (
            "equal rewards: it does not matter which of them one adds.",
            "a single step has only one beginning.",
            "nothing to tell apart.",
            "rewards that differ: the last entry is 1 in place of 4.",
        ),
    ),
    "8.q2": Question(
        1,
        (
            "a constant row gives nothing, whatever was done and earned.",
            "that is G (e − p), the right one.",
            "that is the one-hot row's: it knows the action, this one does not.",
            "the Jacobian subtracts what is common.",
        ),
    ),
    "8.q3": Question(
        3,
        (
            "its weights are (6, 5, 3).",
            "its weights are (1, 2, 3).",
            "(6, 5, 3)/3.",
            "its weights are (6, 3, 1).",
        ),
    ),
    "8.q4": Question(
        2,
        (
            "that is one update.",
            "100 · 10⁻⁶ · 150, if all push the same way.",
            "two powers of ten too many.",
            "e − p is below 1, so each update is bounded.",
        ),
    ),
    "8.q5": Question(
        4,
        (
            "h is tanh z already; that takes it twice.",
            "that is the sigmoid's.",
            "the square is that of tanh z, not of z.",
            "the derivative 1 − tanh² z, written in its own output.",
        ),
    ),
}
