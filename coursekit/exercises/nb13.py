"""Exercises of notebook 13: two divisors, a turning point, a median."""

from __future__ import annotations

import numpy as np

from coursekit.checks import Exercise
from coursekit.exercises import draws

MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], dtype=bool)
STEPS = np.array([[2.0, -1, 0.5, 3, 1], [4.0, 1.5, 0, 0, 0], [-2.5, 0, 0, 0, 0]])


def batches():
    return [
        (STEPS.copy(), MASK.copy(), 3),
        (STEPS[:, :2].copy(), MASK[:, :2].copy(), 2),
        (STEPS + 5.0 * ~MASK, MASK.copy(), 1),
        (STEPS[:2].copy(), MASK[:2].copy(), 9),
        (STEPS + 2.0, MASK[:, [1, 2, 0, 3, 4]], 2),
    ]


def clipped(losses, mask, least):
    total = np.where(mask, losses, 0).sum(-1)  # the padding may be infinite
    return (total / np.maximum(mask.sum(-1), least)).mean(-1)


def others(losses, mask):
    n = mask.sum(-1)
    return (np.where(mask, losses, 0).sum(-1) * (len(n) - 1) / (n.sum() - n)).mean(-1)


EXERCISES = {
    "13.1": Exercise(
        solution=clipped,
        takes=(
            "losses: array (B, T) of floats; the padding may hold any numbers\n"
            "mask: array (B, T) of bool; at least one real step in each row\n"
            "least: a whole number, 1 or more"
        ),
        edges=batches,
        draw=lambda rng: (*draws.batch(rng), draws.length(rng, 1, 6)),
        wrong={
            "what stands in the padding is not to count: use the mask": (
                lambda x, mask, least: (x.sum(-1) / np.maximum(mask.sum(-1), least)).mean(-1)
            ),
            "the divisor must not fall *below* least: the larger of the two": (
                lambda x, mask, least: ((x * mask).sum(-1) / np.minimum(mask.sum(-1), least)).mean(
                    -1
                )
            ),
            "that is the per-episode mean; least is not used": (
                lambda x, mask, least: ((x * mask).sum(-1) / mask.sum(-1)).mean(-1)
            ),
            "that is `constant`: a long episode is to be divided by its own length": (
                lambda x, mask, least: (x * mask).sum(-1).mean(-1) / least
            ),
            "`mean(-1)` divides each row by all columns, padding included: divide its sum": (
                lambda x, mask, least: (x * mask).mean(-1).mean(-1)
            ),
            "average over the episodes at the end": (
                lambda x, mask, least: ((x * mask).sum(-1) / np.maximum(mask.sum(-1), least)).sum(
                    -1
                )
            ),
        },
    ),
    "13.2": Exercise(
        solution=others,
        takes=(
            "losses: array (B, T) of floats; the padding may hold any numbers; B ≥ 2\n"
            "mask: array (B, T) of bool; at least one real step in each row"
        ),
        edges=lambda: [case[:2] for case in batches()],
        draw=lambda rng: draws.batch(rng, 2),
        wrong={
            "what stands in the padding is not to count: use the mask": (
                lambda x, mask: (x.sum(-1) / ((mask.sum() - mask.sum(-1)) / (len(mask) - 1))).mean(
                    -1
                )
            ),
            "the episode's own length is in that mean; leave it out": (
                lambda x, mask: ((x * mask).sum(-1) / mask.sum(-1).mean()).mean(-1)
            ),
            "`mean(-1)` divides each row by all columns, padding included: divide its sum": (
                lambda x, mask: (x * mask).mean(-1).mean(-1)
            ),
            "there are B − 1 others, not B": (
                lambda x, mask: ((x * mask).sum(-1) * len(mask) / (mask.sum() - mask.sum(-1))).mean(
                    -1
                )
            ),
            "that is the *sum* of the others' lengths; take their mean": (
                lambda x, mask: ((x * mask).sum(-1) / (mask.sum() - mask.sum(-1))).mean(-1)
            ),
            "that is the per-episode mean": lambda x, mask: (
                (x * mask).sum(-1) / mask.sum(-1)
            ).mean(-1),
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
    ),
    "13.4": Exercise(
        solution=0.52,
        wrong={
            "that is the mean; the median of three is another number": 1.0,
            "that is the probability that the median is 5; times 5": 0.104,
            "two of three is not enough: all three may be 5 as well": 0.48,
            "that is for all three alike; two of three are enough": 0.04,
        },
    ),
}
