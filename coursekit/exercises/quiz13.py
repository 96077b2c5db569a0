"""Closing quiz of the course: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "13.q1": Question(
        3,
        (
            "that sends back G p, which learns nothing; the logarithm is missing (notebook 02).",
            "what was earned before the action was not its doing (notebook 02).",
            "what followed, and the logarithm makes it an average over played episodes.",
            "one reward is too short a view: all that follow count (notebook 02).",
        ),
    ),
    "13.q2": Question(
        2,
        (
            "its expectation is 0, step by step (notebook 02).",
            "the score has mean 0 in every state, whatever one subtracts there.",
            "a baseline that does not fit adds noise (notebook 09).",
            "any number, or function of the state, may be subtracted (notebook 02).",
        ),
    ),
    "13.q3": Question(
        1,
        (
            "backward adds into .grad, and nothing moves on the way.",
            "gradients are added in .grad, the earlier ones stay (notebook 03).",
            "nobody divides unless you do (notebook 03).",
            "the parameters do not move before the one step at the end (notebook 03).",
        ),
    ),
    "13.q4": Question(
        4,
        (
            "the division makes the gradient smaller, so the step too (notebook 04).",
            "the step under SGD is proportional to the gradient (notebook 04).",
            "one division, one factor n (notebook 04).",
            "the mean's gradient is an n-th of the sum's.",
        ),
    ),
    "13.q5": Question(
        2,
        (
            "that is SGD; Adam divides by the gradient's size (notebook 04).",
            "a factor on the gradient cancels, but for epsilon.",
            "the root is taken of the *square*, so nothing is left of the factor (notebook 04).",
            "only where the gradient is near epsilon, 1e-8 (notebook 04).",
        ),
    ),
    "13.q6": Question(
        4,
        (
            "R/n is 1 in every episode (notebook 05).",
            "the n is random and inside the expectation (notebook 05).",
            "R/n is 1 in every episode; a constant has no slope (notebook 05).",
            "R/n is 1 in every episode, and 1 has no slope.",
        ),
    ),
    "13.q7": Question(
        1,
        (
            "the log-derivative trick works for any f(R, n), so for R/n.",
            "the mean of a ratio is not the ratio of the means (notebook 05).",
            "that is what the sum climbs (notebook 05).",
            "that is so with the reward-to-go (notebook 05).",
        ),
    ),
    "13.q8": Question(
        3,
        (
            "it depends on the actions it weighs (notebook 05).",
            "each episode is a part of it: a bias of order 1/B (notebook 05).",
            "it was fixed before the episode was played.",
            "the longest one of the batch is one of the batch (notebook 05).",
        ),
    ),
    "13.q9": Question(
        2,
        (
            "N is random, and each episode is a part of it (notebook 05).",
            "a ratio of averages: its bias falls as 1/B.",
            "that is the per-episode mean (notebook 04).",
            "N/B gets closer and closer to E[n] (notebook 04).",
        ),
    ),
    "13.q10": Question(
        4,
        (
            "many a wrong gradient learns CartPole (notebook 08).",
            "the loss is no measure of anything (notebook 08).",
            "CartPole's rewards are all 1, which hides wrong returns (notebook 08).",
            "compare it with the exact one, where no two rewards or lengths hide a slip.",
        ),
    ),
    "13.q11": Question(
        3,
        (
            "the weights grow as well: each step's is up to n (notebook 09).",
            "n steps with weights up to n: add the squares (notebook 09).",
            "n steps, each with weights up to n squared: n · n².",
            "the steps teach nothing, but their weights do not know it (notebook 09).",
        ),
    ),
    "13.q12": Question(
        1,
        (
            "the noise goes away, the angle stays.",
            "only if it points along the gradient (notebook 10).",
            "noise goes away as B grows, the bias stays (notebook 10).",
            "only if it points across it (notebook 10).",
        ),
    ),
    "13.q13": Question(
        2,
        (
            "the deviation grows with the outlier (exercise 10.3).",
            "the deviation grows with the outlier: its weight is near 7 both times.",
            "it is divided by the deviation, not by 200 (exercise 10.3).",
            "it is above the mean, so its weight is not 0 (exercise 10.3).",
        ),
    ),
    "13.q14": Question(
        3,
        (
            "n is the same number in every episode (notebook 11).",
            "one factor, 1/200, and the rate takes it up (notebook 11).",
            "every n is 200, and one factor is a rate.",
            "Pendulum has a constant n, but its rewards differ (notebook 11).",
        ),
    ),
    "13.q15": Question(
        2,
        (
            "each divisor saw only its own part (notebook 12).",
            "each divisor saw the tokens of one micro-batch alone.",
            "that would be a division of each answer by itself (notebook 12).",
            "that would be a constant (notebook 12).",
        ),
    ),
    "13.q16": Question(
        4,
        (
            "that is GRPO (notebook 12).",
            "no group enters its divisor (notebook 12).",
            "that is DAPO as coded in TRL (notebook 12).",
            "a constant is what the mean over infinitely many answers would be.",
        ),
    ),
}
