"""Exercises of notebook 04: the rate SGD really used, episode_mean, Adam's other epsilon."""

from __future__ import annotations

import numpy as np

from coursekit import losses
from coursekit.checks import Exercise


def batches():
    mask = np.arange(5) < np.array([[2], [5], [1]])
    return [
        (np.array([[1.0, 3.0, 0.0], [2.0, -1.0, 5.0]]), np.array([[1, 1, 0], [1, 1, 1]]) == 1),
        (np.arange(1.0, 16.0).reshape(3, 5) ** 2 * mask, mask),
    ]


EXERCISES = {
    "4.1": Exercise(
        solution=lambda alpha, lengths: alpha / lengths,
        cases=lambda: [(0.01, np.array([10.0, 25.0, 200.0])), (0.5, np.array([1.0, 8.0]))],
        wrong={
            "upside down: the mean makes the step smaller, not larger": (
                lambda alpha, lengths: alpha * lengths
            ),
            "that is the rate that was set; the mean divides it by the length of each episode": (
                lambda alpha, lengths: np.full(len(lengths), alpha)
            ),
            "each update is divided by the length of its own episode, not by the average one": (
                lambda alpha, lengths: np.full(len(lengths), alpha / lengths.mean())
            ),
            "one rate for all updates: each has the length of its own episode": (
                lambda alpha, lengths: alpha / lengths.mean()
            ),
        },
    ),
    "4.2": Exercise(
        solution=losses.episode_mean,
        cases=batches,
        wrong={
            "this is the mean over all steps: long episodes count more": losses.step_mean,
            "the padding is counted as steps": lambda step_losses, mask: step_losses.mean(),
            "this is the sum over steps: divide each episode by its length": losses.sum_,
            "added over the episodes: divide by their number": (
                lambda step_losses, mask: (step_losses.sum(-1) / mask.sum(-1)).sum()
            ),
            "not yet averaged over the episodes": (
                lambda step_losses, mask: step_losses.sum(-1) / mask.sum(-1)
            ),
        },
    ),
    "4.3": Exercise(
        solution=1e-5,
        atol=1e-14,
        wrong={
            "the other way round: ε is divided by c = 1/1000": 1e-11,
            "that is the old ε; the division is not free": 1e-8,
            "ε/c with c = 1/1000 is a factor of 1000, not of a million": 1e-2,
        },
    ),
}
