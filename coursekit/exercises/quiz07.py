"""Quiz of notebook 07: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "7.q1": Question(
        2,
        (
            "that is G e/p, which goes into the probabilities.",
            "G (e − p).",
            "that is the diagonal alone: the other logits do not learn that they lost.",
            "that is for descent.",
        ),
    ),
    "7.q2": Question(
        4,
        (
            "that is the derivative of p; divide by p = ½.",
            "the factor 1 − p is missing.",
            "that is the derivative by wx + b; times x.",
            "(1 − p) x = ½ · 3.",
        ),
    ),
    "7.q3": Question(
        1,
        (
            "a constant row is subtracted: the probabilities always add to 1.",
            "the Jacobian subtracts the mean of what is sent.",
            "the mean p · v = 0.7 is taken off before p multiplies.",
            "no action is named in what was sent.",
        ),
    ),
    "7.q4": Question(
        3,
        (
            "that hides wrong returns, not a wrong derivative.",
            "plain SGD does not, and it is hidden there too.",
            "half of the right gradient is a matter of rate; with three actions it is not.",
            "with two actions the other entries are as large as the diagonal.",
        ),
    ),
    "7.q5": Question(
        2,
        (
            "that has the shape (in, out): transposed.",
            "(out, in): each row of the batch adds its share.",
            "that has the shape (B, B).",
            "nobody divides unless the loss does.",
        ),
    ),
}
