"""Quiz of notebook 04: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "4.q1": Question(
        1,
        (
            "the mean's gradient is a 50th, so the rate must be 50 times as large.",
            "the wrong way round: the mean's gradient is already smaller.",
            "that is so under Adam, nearly, not under SGD.",
            "one factor 50, and no root of it.",
        ),
    ),
    "4.q2": Question(
        3,
        (
            "that is so where the gradient is large beside ε.",
            "that is SGD; Adam divides by the gradient's size.",
            "g/(g + ε) with g = ε.",
            "ε is added to the root, not under it.",
        ),
    ),
    "4.q3": Question(
        4,
        (
            "that is the sum over steps, averaged over the two episodes.",
            "that is the mean of each episode, averaged.",
            "divide by the number of steps.",
            "7 over all 4 steps.",
        ),
    ),
    "4.q4": Question(
        2,
        (
            "that is so before clipping.",
            "both were too long, and both are cut to 1.",
            "the mean's was cut as well.",
            "its length is 1 now.",
        ),
    ),
    "4.q5": Question(
        2,
        (
            "that adds up what followed, and divides by nothing.",
            "the deviation of 1 … n grows like n: about n/3.46.",
            "that is a sum over steps.",
            "backward divides by nothing.",
        ),
    ),
}
