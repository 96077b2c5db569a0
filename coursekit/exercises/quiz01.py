"""Quiz of notebook 01: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "1.q1": Question(
        3,
        (
            "the second logit is 0, and e⁰ = 1 counts too.",
            "that is the uniform policy; these logits differ.",
            "the exponentials are 2, 1 and 5.",
            "exponentiate first, then divide by the sum.",
        ),
    ),
    "1.q2": Question(
        1,
        (
            "2 + 0 + 4/4.",
            "γ is missing.",
            "that reads the rewards from the end: 4 + 0 + 2/4.",
            "the first reward is not discounted: γ to the power 0 is 1.",
        ),
    ),
    "1.q3": Question(
        4,
        (
            "that is the length.",
            "every step needs its own.",
            "so many rewards are left from t on.",
            "r[j] reads from the start of the episode; r[t + j] is meant.",
        ),
    ),
    "1.q4": Question(
        3,
        (
            "that is E[R].",
            "that is E[R]/E[n] = 3.5/2, another quantity.",
            "(1/1 + 6/3)/2.",
            "that is 6/3, the second half alone.",
        ),
    ),
    "1.q5": Question(
        2,
        (
            "that is what staying on the bank pays.",
            "it pays the toll and waits until night.",
            "it never tries to get across.",
            "waiting is free, but the toll was paid.",
        ),
    ),
}
