"""Quiz of notebook 06: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "6.q1": Question(
        4,
        (
            "that is the mean: the 90 moves it.",
            "that is the median.",
            "that drops one at each end; a quarter of eight is two.",
            "the middle four are 2, 2, 4, 8.",
        ),
    ),
    "6.q2": Question(
        3,
        (
            "that many are used here; the number is not the point.",
            "most of them have bad rates.",
            "report the chosen rate on seeds that the tuning never saw.",
            "on a log axis they are; that is another matter.",
        ),
    ),
    "6.q3": Question(
        1,
        (
            "what was known before the episode was played.",
            "that is its own length: the episode mean.",
            "the episode at hand does not enter.",
            "that is the quotient of the two.",
        ),
    ),
    "6.q4": Question(
        2,
        (
            "the schedule knows the typical length, not this one.",
            "1/n̄, and n̄/n = 50/200: longer than usual counts less.",
            "upside down: the tilt is n̄/n; their product must be 1/200.",
            "the schedule is the first factor.",
        ),
    ),
    "6.q5": Question(
        4,
        (
            "at 0.01 it is far behind.",
            "at 0.0003 it is far behind.",
            "two rates do not show that either.",
            "two hills; which is higher one sees only with each at its own rate.",
        ),
    ),
}
