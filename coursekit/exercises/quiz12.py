"""Quiz of notebook 12: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "12.q1": Question(
        2,
        (
            "that is the mean over all tokens.",
            "1/2 against 1/8.",
            "one division, one factor.",
            "the wrong way round: the shorter answer's tokens count more.",
        ),
    ),
    "12.q2": Question(
        4,
        (
            "that is the mean length; tokens of both are counted.",
            "lengths are added, not multiplied.",
            "that is each answer's own length, not yet halved.",
            "2 + 8 tokens, one divisor for all.",
        ),
    ),
    "12.q3": Question(
        1,
        (
            "one factor, 1 − 1/G, for every answer.",
            "each answer's own reward costs a factor, no direction.",
            "the own reward is in the mean, and pulls it along.",
            "three quarters are left.",
        ),
    ),
    "12.q4": Question(
        3,
        (
            "that would be so for a bias that no pool cures.",
            "the error falls as 1/m, not as its root.",
            "eight times as many answers, an eighth of the angle.",
            "as 1/m, not as its square.",
        ),
    ),
    "12.q5": Question(
        2,
        (
            "a short answer has a small divisor, so a large push.",
            "a large divisor: a wrong answer is punished less the longer it is.",
            "that is one divisor for all.",
            "the push falls with n all the way.",
        ),
    ),
}
