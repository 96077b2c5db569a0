"""Quiz of notebook 10: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "10.q1": Question(
        3,
        (
            "that is the noise's share: c/(B + c).",
            "that is c/B.",
            "B/(B + c) = 30/40.",
            "never quite, at a finite B.",
        ),
    ),
    "10.q2": Question(
        2,
        (
            "that is the cosine; it enters squared.",
            "the squared cosine: the noise goes away, the bias stays.",
            "that is for an unbiased one.",
            "half of it still points along the gradient.",
        ),
    ),
    "10.q3": Question(
        4,
        (
            "small batches make more updates, but worse ones.",
            "that is so while both are small beside c.",
            "the wrong way round: 100 against 20.",
            "600/6 against 600/30.",
        ),
    ),
    "10.q4": Question(
        1,
        (
            "200 − 200: a batch in which all are alike teaches nothing.",
            "standardising makes the spread 1, where there is a spread.",
            "the mean is subtracted.",
            "the mean is subtracted before it is divided.",
        ),
    ),
    "10.q5": Question(
        3,
        (
            "its lead was less noise, and the noise is gone.",
            "more episodes help the noisier one more.",
            "a thousand episodes take the noise away, and no episode the bias.",
            "20 degrees are left.",
        ),
    ),
}
