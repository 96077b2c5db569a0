"""Quiz of notebook 02: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "2.q1": Question(
        2,
        (
            "from the one-hot vector the probabilities must be subtracted.",
            "one-hot minus π: (1 − 0.3, 0 − 0.7).",
            "that is ∇π: the log-derivative has no factor π in front.",
            "that is the score's size if the other action is taken.",
        ),
    ),
    "2.q2": Question(
        4,
        (
            "the score is −1/2 when the second arm is pulled, so it is subtracted.",
            "that is the score alone when the first arm is pulled.",
            "that is J.",
            "½ · ½ · 2 − ½ · ½ · 1.",
        ),
    ),
    "2.q3": Question(
        1,
        (
            "it depends on the action just taken: times the score it is not 0 on average.",
            "they were fixed before the action was drawn.",
            "it was fixed before the action was drawn.",
            "the score has mean 0, so any number does nothing.",
        ),
    ),
    "2.q4": Question(
        3,
        (
            "there is no minimum that it could overshoot: only its gradient has a meaning.",
            "with a right sign it can rise as well: look at the two bandits of section 6.",
            "its gradient is what we want, its value measures nothing.",
            "it can rise while the return rises.",
        ),
    ),
    "2.q5": Question(
        4,
        (
            "that holds with the logarithm.",
            "the point that is at rest is 1/3, and it pushes away.",
            "the result is right, the reason is not: from 0.4 it finds the better arm.",
            "the slope p · 1 − (1 − p) · 0.5 is negative below 0.5/1.5.",
        ),
    ),
}
