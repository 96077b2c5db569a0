"""Exercises of notebook 14: the printed loss, a critic that was not detached, a token's weight."""

from __future__ import annotations

import numpy as np

from coursekit.checks import Exercise


def weights(n, size):
    tokens = n.reshape(-1, size).sum(-1)
    return np.repeat(1 / (len(tokens) * tokens), size)


def groups():
    first = np.array([1.5, -0.5, -1.0]), np.array([2.0, 7.0, 3.0])
    return [first, (np.array([1.0, -1.0]), np.array([4.0, 9.0]))]


EXERCISES = {
    "14.1": Exercise(
        solution=lambda A, n: -(A * n).sum() / n.sum(),
        cases=groups,
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
        cases=lambda: [(1.0, np.log(0.25)), (-3.0, np.log(0.8))],
        wrong={
            "that is what a detached critic learns": lambda R, logp: R,
            "the sign: log π is negative and pushes the value up": lambda R, logp: R + logp / 2,
            "the square's derivative has a factor 2": lambda R, logp: R - logp,
        },
    ),
    "14.3": Exercise(
        solution=weights,
        cases=lambda: [(np.array([1.0, 3.0, 8.0, 5.0]), 2), (np.array([2.0, 6.0, 1.0]), 1)],
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
}
