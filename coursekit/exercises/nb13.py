"""Exercises of notebook 13: two divisors, a turning point, a median; and the closing quiz."""

from __future__ import annotations

import numpy as np

from coursekit.checks import Exercise

MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], dtype=bool)
STEPS = np.array([[2.0, -1, 0.5, 3, 1], [4.0, 1.5, 0, 0, 0], [-2.5, 0, 0, 0, 0]])


def batches():
    return [(STEPS.copy(), MASK.copy(), 3), (STEPS[:, :2].copy(), MASK[:, :2].copy(), 2)]


def clipped(losses, mask, least):
    return (losses.sum(-1) / np.maximum(mask.sum(-1), least)).mean(-1)


def others(losses, mask):
    n = mask.sum(-1)
    return (losses.sum(-1) * (len(n) - 1) / (n.sum() - n)).mean(-1)


def question(right: int, **said: str) -> Exercise:
    """One question of the quiz: the number of the right line, and what is said to the others."""
    return Exercise(solution=right, wrong={text: int(k[1:]) for k, text in said.items()})


EXERCISES = {
    "13.1": Exercise(
        solution=clipped,
        cases=batches,
        wrong={
            "the divisor must not fall *below* least: the larger of the two": (
                lambda x, mask, least: (x.sum(-1) / np.minimum(mask.sum(-1), least)).mean(-1)
            ),
            "that is the per-episode mean; least is not used": (
                lambda x, mask, least: (x.sum(-1) / mask.sum(-1)).mean(-1)
            ),
            "that is `constant`: a long episode is to be divided by its own length": (
                lambda x, mask, least: x.sum(-1).mean(-1) / least
            ),
            "average over the episodes at the end": (
                lambda x, mask, least: (x.sum(-1) / np.maximum(mask.sum(-1), least)).sum(-1)
            ),
        },
    ),
    "13.2": Exercise(
        solution=others,
        cases=lambda: [case[:2] for case in batches()],
        wrong={
            "the episode's own length is in that mean; leave it out": (
                lambda x, mask: (x.sum(-1) / mask.sum(-1).mean()).mean(-1)
            ),
            "there are B − 1 others, not B": (
                lambda x, mask: (x.sum(-1) * len(mask) / (mask.sum() - mask.sum(-1))).mean(-1)
            ),
            "that is the *sum* of the others' lengths; take their mean": (
                lambda x, mask: (x.sum(-1) / (mask.sum() - mask.sum(-1))).mean(-1)
            ),
            "that is the per-episode mean": lambda x, mask: (x.sum(-1) / mask.sum(-1)).mean(-1),
        },
    ),
    "13.3": Exercise(
        solution=np.log(2) / np.log(5),
        wrong={
            "that is for 1.5 after three steps; here it is 2 after five": np.log(1.5) / np.log(3),
            "upside down: 5 to the power α is 2": np.log(5) / np.log(2),
            "that is the reward for each step; α is an exponent": 2 / 5,
            "5 to the power α is 2; take logarithms on both sides": np.log(2 / 5),
        },
        atol=1e-6,
    ),
    "13.4": Exercise(
        solution=0.52,
        wrong={
            "that is the mean; the median of three is another number": 1.0,
            "that is the probability that the median is 5; times 5": 0.104,
            "two of three is not enough: all three may be 5 as well": 0.48,
            "that is for all three alike; two of three are enough": 0.04,
        },
        atol=1e-6,
    ),
    "13.11": question(
        3,
        _1="that sends back G p, which learns nothing; the logarithm is missing (notebook 02)",
        _2="what was earned before the action was not its doing (notebook 02)",
        _4="one reward is too short a view: all that follow count (notebook 02)",
    ),
    "13.12": question(
        2,
        _1="its expectation is 0, step by step (notebook 02)",
        _3="a baseline that does not fit adds noise (notebook 09)",
        _4="any number, or function of the state, may be subtracted (notebook 02)",
    ),
    "13.13": question(
        1,
        _2="gradients are added in .grad, the earlier ones stay (notebook 03)",
        _3="nobody divides unless you do (notebook 03)",
        _4="the parameters do not move before the one step at the end (notebook 03)",
    ),
    "13.14": question(
        4,
        _1="the division makes the gradient smaller, so the step too (notebook 04)",
        _2="the step under SGD is proportional to the gradient (notebook 04)",
        _3="one division, one factor n (notebook 04)",
    ),
    "13.15": question(
        2,
        _1="that is SGD; Adam divides by the gradient's size (notebook 04)",
        _3="the root is taken of the *square*, so nothing is left of the factor (notebook 04)",
        _4="only where the gradient is near epsilon, 1e-8 (notebook 04)",
    ),
    "13.16": question(
        4,
        _1="R/n is 1 in every episode (notebook 05)",
        _2="the n is random and inside the expectation (notebook 05)",
        _3="R/n is 1 in every episode; a constant has no slope (notebook 05)",
    ),
    "13.17": question(
        1,
        _2="the mean of a ratio is not the ratio of the means (notebook 05)",
        _3="that is what the sum climbs (notebook 05)",
        _4="that is so with the reward-to-go (notebook 05)",
    ),
    "13.18": question(
        3,
        _1="it depends on the actions it weighs (notebook 05)",
        _2="each episode is a part of it: a bias of order 1/B (notebook 05)",
        _4="the longest one of the batch is one of the batch (notebook 05)",
    ),
    "13.19": question(
        2,
        _1="N is random, and each episode is a part of it (notebook 05)",
        _3="that is the per-episode mean (notebook 04)",
        _4="N/B gets closer and closer to E[n] (notebook 04)",
    ),
    "13.20": question(
        4,
        _1="many a wrong gradient learns CartPole (notebook 08)",
        _2="the loss is no measure of anything (notebook 08)",
        _3="CartPole's rewards are all 1, which hides wrong returns (notebook 08)",
    ),
    "13.21": question(
        3,
        _1="the weights grow as well: each step's is up to n (notebook 09)",
        _2="n steps with weights up to n: add the squares (notebook 09)",
        _4="the steps teach nothing, but their weights do not know it (notebook 09)",
    ),
    "13.22": question(
        1,
        _2="only if it points along the gradient (notebook 10)",
        _3="noise goes away as B grows, the bias stays (notebook 10)",
        _4="only if it points across it (notebook 10)",
    ),
    "13.23": question(
        2,
        _1="the deviation grows with the outlier (exercise 10.3)",
        _3="it is divided by the deviation, not by 200 (exercise 10.3)",
        _4="it is above the mean, so its weight is not 0 (exercise 10.3)",
    ),
    "13.24": question(
        3,
        _1="n is the same number in every episode (notebook 11)",
        _2="one factor, 1/200, and the rate takes it up (notebook 11)",
        _4="Pendulum has a constant n, but its rewards differ (notebook 11)",
    ),
    "13.25": question(
        2,
        _1="each divisor saw only its own part (notebook 12)",
        _3="that would be a division of each answer by itself (notebook 12)",
        _4="that would be a constant (notebook 12)",
    ),
    "13.26": question(
        4,
        _1="that is GRPO (notebook 12)",
        _2="no group enters its divisor (notebook 12)",
        _3="that is DAPO as coded in TRL (notebook 12)",
    ),
}
