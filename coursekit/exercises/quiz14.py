"""Quiz of notebook 14: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "14.q1": Question(
        3,
        (
            "that is the sum; the first two losses were never sent back.",
            "that is the mean; nobody divides here.",
            "only the last graph was walked through.",
            "one of the three losses was sent back.",
        ),
    ),
    "14.q2": Question(
        2,
        (
            "that is the right weight; here the past is added to it.",
            "a quarter of the first reward, which the last action did not earn.",
            "that is the whole return, seen from the start.",
            "that is the weight of the first step.",
        ),
    ),
    "14.q3": Question(
        1,
        (
            "the mean of the others is 0.",
            "that is with the own reward in the mean.",
            "this answer was right, and the others were not.",
            "that is the group's mean, not yet subtracted.",
        ),
    ),
    "14.q4": Question(
        4,
        (
            "that is γ itself; it is raised to the power of t.",
            "twenty times γ; a discount is a power, and below 1.",
            "one in twenty; the discount is a power of γ.",
            "γ to the power of twenty.",
        ),
    ),
    "14.q5": Question(
        3,
        (
            "the wrong way round: fewer tokens, more weight for each.",
            "that would be so if one divided once, by all forty.",
            "1/20 against 1/60.",
            "forty is the number of all tokens; each part has its own divisor.",
        ),
    ),
}
