"""Exercises of notebook 14: the printed loss, a critic that was not detached, a token's weight."""

from __future__ import annotations

import numpy as np

from coursekit.checks import Exercise
from coursekit.exercises import draws


def weights(n, size):
    tokens = n.reshape(-1, size).sum(-1)
    return np.repeat(1 / (len(tokens) * tokens), size)


def groups():
    first = np.array([1.5, -0.5, -1.0]), np.array([2.0, 7.0, 3.0])
    return [first, (np.array([1.0, -1.0]), np.array([4.0, 9.0])), (np.array([0.5]), np.array([3]))]


def some_group(rng):
    B = draws.length(rng)
    return draws.numbers(rng, B).astype(float), draws.lengths(rng, B)


def some_micro(rng):
    size = draws.length(rng, 1, 4)
    return draws.lengths(rng, size * draws.length(rng, 1, 4), 16), size


EXERCISES = {
    "14.1": Exercise(
        solution=lambda A, n: -(A * n).sum() / n.sum(),
        takes=(
            "A: array (B,) of floats, B ≥ 1\n"
            "n: array (B,), whole numbers (also stored as floats), 1 or more"
        ),
        edges=groups,
        draw=some_group,
        wrong={
            "the sign: the loss is minus the objective": lambda A, n: (A * n).sum() / n.sum(),
            "that is the mean over each answer: 0 for a centred group": lambda A, n: -A.mean(),
            "that is the sum over each answer, averaged over the answers": (
                lambda A, n: -(A * n).mean()
            ),
            "the advantages are added once for each answer, not once for each token": (
                lambda A, n: -np.abs(A).sum() / n.sum()
            ),
        },
    ),
    "14.2": Exercise(
        solution=lambda R, logp: R - logp / 2,
        takes=("R: a number\nlogp: a number, 0 or below"),
        edges=lambda: [(1.0, np.log(0.25)), (-3.0, np.log(0.8)), (2, 0.0), (0, -1), (1.0, -20.0)],
        draw=lambda rng: (draws.number(rng), -abs(draws.number(rng))),
        tells=False,
        wrong={
            "that is what a detached critic learns": lambda R, logp: R,
            "the sign: log π is negative and pushes the value up": lambda R, logp: R + logp / 2,
            "the square's derivative has a factor 2": lambda R, logp: R - logp,
        },
    ),
    "14.3": Exercise(
        solution=weights,
        takes=(
            "n: array (B,), whole numbers (also stored as floats), 1 or more\n"
            "size: a whole number that divides B"
        ),
        edges=lambda: [
            (np.array([1.0, 3.0, 8.0, 5.0]), 2),
            (np.array([2.0, 6.0, 1.0]), 1),
            (np.array([2, 6, 1]), 3),
            (np.array([4, 1, 2, 2, 9, 3]), 3),
        ],
        draw=some_micro,
        wrong={
            "that is the mean over all tokens of the batch: the cut is missing": (
                lambda n, size: np.full(len(n), 1 / n.sum())
            ),
            "that is the mean over each answer": lambda n, size: 1 / (len(n) * n),
            "the means of the micro-batches are averaged: divide by their number": (
                lambda n, size: weights(n, size) * (len(n) // size)
            ),
        },
    ),
    "14.4": Exercise(
        solution=5.0,
        wrong={
            "that compares the two answers under the mean over each answer": 9.0,
            "upside down: the short answer's token gains": 0.2,
            "the answers are averaged as well: there are two": 10.0,
            "that is for a token of the long answer": 100 / 180,
        },
    ),
}
