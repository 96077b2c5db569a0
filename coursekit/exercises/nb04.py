"""Exercises of notebook 04: the rate SGD really used, episode_mean, Adam's other epsilon."""

from __future__ import annotations

import numpy as np

from coursekit import losses
from coursekit.checks import Exercise
from coursekit.exercises import draws


def batches():
    mask = np.arange(5) < np.array([[2], [5], [1]])
    return [
        (np.array([[1.0, 3.0, 0.0], [2.0, -1.0, 5.0]]), np.array([[1, 1, 0], [1, 1, 1]]) == 1),
        (np.arange(1.0, 16.0).reshape(3, 5) ** 2, mask),
        (np.array([[2.0, -4.0, 7.0]]), np.array([[True, True, False]])),
        (np.array([[1.0], [2.0], [6.0]]), np.full((3, 1), True)),
        (np.array([[1.0, 5.0, 3.0], [4.0, 2.0, 0.5]]), np.array([[1, 0, 1], [0, 1, 1]]) == 1),
    ]


def episode_mean(step_losses, mask):
    return losses.episode_mean(np.where(mask, step_losses, 0), mask)  # the padding may be infinite


EXERCISES = {
    "4.1": Exercise(
        solution=lambda alpha, lengths: alpha / lengths,
        takes=(
            "alpha: a number above 0\n"
            "lengths: array (N,), whole numbers (also stored as floats), 1 or more"
        ),
        edges=lambda: [
            (0.01, np.array([10.0, 25.0, 200.0])),
            (0.5, np.array([1.0, 8.0])),
            (1, np.array([3, 4, 7])),
            (0.25, np.array([5])),
        ],
        draw=lambda rng: (
            float(rng.integers(1, 65) / 64),
            draws.lengths(rng, draws.length(rng), 200),
        ),
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
        solution=episode_mean,
        takes=(
            "step_losses: array (B, T) of floats; the padding may hold any numbers\n"
            "mask: array (B, T) of bool; at least one real step in each row"
        ),
        edges=batches,
        draw=draws.batch,
        wrong={
            "right where the padding is 0, but what stands there is not to count: use the mask": (
                losses.episode_mean
            ),
            "this is the mean over all steps: long episodes count more": (
                lambda step_losses, mask: losses.step_mean(step_losses * mask, mask)
            ),
            "the padding is counted as steps": lambda step_losses, mask: step_losses.mean(),
            "a mean over columns divides by all of them, padding included: divide each row's sum": (
                lambda step_losses, mask: (step_losses * mask).mean(-1).mean()
            ),
            "this is the sum over steps: divide each episode by its length": (
                lambda step_losses, mask: losses.sum_(step_losses * mask, mask)
            ),
            "added over the episodes: divide by their number": (
                lambda step_losses, mask: episode_mean(step_losses, mask) * len(mask)
            ),
            "not yet averaged over the episodes": (
                lambda step_losses, mask: (step_losses * mask).sum(-1) / mask.sum(-1)
            ),
        },
    ),
    "4.3": Exercise(
        solution=1e-5,
        wrong={
            "the other way round: does ε grow or shrink beside a larger gradient?": 1e-11,
            "that is the old ε; the division is not free": 1e-8,
            "ε/c with c = 1/1000 is a factor of 1000, not of a million": 1e-2,
        },
    ),
    "4.4": Exercise(
        solution=(1.0, 0.2),
        wrong={
            "the two are exchanged: the sum first": (0.2, 1.0),
            "the sum's gradient has norm 50: it is clipped": (5.0, 0.2),
            "the mean's gradient has norm 2: the clip does not reach it": (1.0, 1.0),
            "the division comes first, the clip afterwards": (1.0, 0.04),
            "those are the norms after the clip; the rate is 0.1": (10.0, 2.0),
        },
    ),
}
