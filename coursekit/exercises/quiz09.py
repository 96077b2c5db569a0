"""Quiz of notebook 09: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "9.q1": Question(
        3,
        (
            "9 is the variance; the mean square is 10.",
            "it is right on average, but noisy.",
            "mean 1, mean square (16 + 4)/2 = 10.",
            "3 is the deviation.",
        ),
    ),
    "9.q2": Question(
        1,
        (
            "then the variance 9/9 equals the squared mean.",
            "two of them give 1/(1 + 9/2), about 0.18.",
            "three of them give 1/(1 + 9/3) = 0.25.",
            "the variance falls as 1/B, not as its root.",
        ),
    ),
    "9.q3": Question(
        2,
        (
            "that is the sum: n cubed.",
            "n³ divided by n² is n.",
            "divide n³ by n², the square of the divisor.",
            "n steps still add their noise.",
        ),
    ),
    "9.q4": Question(
        4,
        (
            "a baseline for each time step would do that.",
            "the best number is 2.5: compute the squares.",
            "that is the limit for long episodes.",
            "(1.5² + 0.5² + 0.5² + 1.5²)/30 = 5/30.",
        ),
    ),
    "9.q5": Question(
        2,
        (
            "it does not: the number does not know the action.",
            "one number must fit every step; this one does not fit the late ones.",
            "a calmer number would not fit the late steps either.",
            "one for each time step helps, without the state.",
        ),
    ),
}
