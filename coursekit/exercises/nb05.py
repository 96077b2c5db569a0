"""Exercises of notebook 05: what the mean prefers, a baseline, N without one, schedule and tilt."""

from __future__ import annotations

import numpy as np

from coursekit.checks import Exercise
from coursekit.exercises import draws


def rest_law(law, B):
    rest = np.ones(1)
    for _ in range(B - 1):
        rest = np.convolve(rest, law)
    return rest


def some_law(rng):
    weights = rng.integers(0, 9, draws.length(rng, 1, 5))
    weights[-1] += 1
    return np.append(0.0, weights / weights.sum()), draws.length(rng, 1, 6)


def some_returns(rng):
    B = draws.length(rng)
    return draws.numbers(rng, B), draws.lengths(rng, B, 20)


EXERCISES = {
    "5.1": Exercise(
        solution=3.0,
        wrong={
            "that is where the sum changes its mind: the walk's payment is divided by 3": 1.0,
            "upside down: the walk's payment is divided by 3, it must be larger than 1": 1 / 3,
            "the walk has three steps, not two": 2.0,
            "that is what stop or walk pays; the mean stops there": 1.5,
        },
    ),
    "5.2": Exercise(
        solution=lambda n, b: (n - b) / n,
        takes=("n: array (N,), whole numbers (also stored as floats), 1 or more\nb: a number"),
        edges=lambda: [
            (np.array([2.0, 10.0, 50.0]), 10.0),
            (np.array([1.0, 7.0]), 3.5),
            (np.array([1, 2, 3]), 0),
            (np.array([4]), -2.5),
        ],
        draw=lambda rng: (draws.lengths(rng, draws.length(rng)), draws.number(rng) * 4),
        tells=False,
        wrong={
            "this is the weight under the sum: divide the episode by its length": (
                lambda n, b: n - b
            ),
            "the baseline is divided as well: it stands inside the mean": lambda n, b: n / n - b,
            "that is the weight without a baseline: 1, whatever the length": lambda n, b: n / n,
            "the sign is reversed: a long episode is better than the baseline": (
                lambda n, b: (b - n) / n
            ),
        },
    ),
    "5.3": Exercise(
        solution=rest_law,
        takes=(
            "law: array (K + 1,), probabilities that add to 1, law[0] = 0, K ≥ 1\n"
            "B: a whole number, 1 or more"
        ),
        edges=lambda: [
            (np.array([0.0, 0.5, 0.0, 0.5]), 3),
            (np.array([0.0, 0.2, 0.3, 0.5]), 2),
            (np.array([0.0, 0.6, 0.4]), 1),
            (np.array([0.0, 0.6, 0.4]), 4),
            (np.array([0.0, 0.2, 0.3, 0.5]), 7),
            (np.array([0.0, 1.0]), 5),
            (np.array([0.0, 1.0, 0.0]), 3),
            (np.append(0.0, np.arange(1, 13) / 78), 6),
        ],
        draw=some_law,
        wrong={
            "one episode too many: these are the other B - 1, without the first": (
                lambda law, B: rest_law(law, B + 1)
            ),
            "one episode is missing: there are B - 1 others": (
                lambda law, B: rest_law(law, max(B - 1, 1))
            ),
            "probabilities of sums are convolved, not multiplied place by place": (
                lambda law, B: law ** (B - 1)
            ),
            "that is the law of one episode; there are B - 1 of them": lambda law, B: law,
        },
    ),
    "5.4": Exercise(
        solution=(0.0625, -0.25),
        wrong={
            "the two are exchanged: the schedule first": (-0.25, 0.0625),
            "these are sum and mean; schedule and tilt have n̄ = 2 in them": (0.125, -0.125),
            "the schedule is right; the tilt multiplies by n̄ = 2 as well": (0.0625, -0.125),
            "p(1 − p) is missing: it is 1/4 here": (0.25, -1.0),
        },
    ),
    "5.5": Exercise(
        solution=lambda R, n: (R / n).mean(),
        takes=(
            "R: array (B,), whole numbers or floats, B ≥ 1\n"
            "n: array (B,), whole numbers (also stored as floats), 1 or more"
        ),
        edges=lambda: [
            (np.array([1.0, 1.5]), np.array([1, 3])),
            (np.array([2, -1, 4]), np.array([5, 2, 1])),
            (np.array([3.0]), np.array([4.0])),
        ],
        draw=some_returns,
        wrong={
            "that is the function as it stands: the ratio of the means, E[R]/E[n]": (
                lambda R, n: R.sum() / n.sum()
            ),
            "that is the mean return, which the sum climbs": lambda R, n: R.mean(),
            "that is one number for each episode; average them": lambda R, n: R / n,
            "divide by the number of episodes as well": lambda R, n: (R / n).sum(),
            "upside down: the return is divided by the length": lambda R, n: (n / (R + 0.0)).mean(),
        },
    ),
}
