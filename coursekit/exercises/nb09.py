"""Exercises of notebook 09: efficiency, the best constant baseline, which baseline fits."""

from __future__ import annotations

import numpy as np

from coursekit.checks import Exercise
from coursekit.exercises import draws


def efficiency(g, P, grad, B):
    mean, square = g @ P, (g**2).sum(0) @ P
    signal = mean @ mean
    return (mean @ grad) ** 2 / (grad @ grad) / (signal + (square - signal) / B)


def undivided(g, P, grad, B):
    return efficiency(g, P, grad, 1)


def all_divided(g, P, grad, B):
    mean = g @ P
    return (mean @ grad) ** 2 / (grad @ grad) / ((g**2).sum(0) @ P / B)


def signal_alone(g, P, grad, B):
    mean = g @ P
    return mean @ mean / (mean @ mean + ((g**2).sum(0) @ P - mean @ mean) / B)


def without_grad(g, P, grad, B):
    return efficiency(g, P, grad, B) * (grad @ grad)


def estimates():
    """Three trajectories in two dimensions, four in three; unequal probabilities."""
    first = np.array([[3.0, -1.0, 0.5], [1.0, 2.0, -4.0]]), np.array([0.5, 0.3, 0.2])
    second = np.arange(12.0).reshape(3, 4) % 5 - 1, np.array([0.1, 0.2, 0.3, 0.4])
    return [
        (*first, np.array([1.0, 0.25]), 3),
        (*second, np.array([1.0, -0.5, 2.0]), 7),
        (*first, first[0] @ first[1], 1),
    ]


def some_estimates(rng):
    D, N = draws.length(rng, 1, 3), draws.length(rng, 2, 6)
    g, P = draws.numbers(rng, D, N) + 1.5, draws.chances(rng, N)
    return g, P, g @ P if rng.integers(2) else rng.integers(1, 9, D) / 4, draws.length(rng, 1, 9)


def best_constant(R, Z):
    weight = (Z**2).sum(0)
    return (R * weight).sum() / weight.sum()


def unsquared(R, Z):
    weight = np.sqrt((Z**2).sum(0))
    return (R * weight).sum() / weight.sum()


def samples():
    Z = np.array([[1.0, -2.0, 0.5, 0.0], [0.5, 1.0, -3.0, 0.25]])
    return [
        (np.array([4.0, 1.0, -2.0, 7.0]), Z),
        (np.array([1.0, 9.0, 2.0]), Z[:, :3] ** 2 + 1),
        (np.array([4]), Z[:, :1]),
    ]


def some_sample(rng):
    D, N = draws.length(rng, 1, 3), draws.length(rng)
    return draws.numbers(rng, N), draws.numbers(rng, D, N) + 0.25


def of_the_variance(R, Z):
    off = Z - Z.mean(-1, keepdims=True)
    return (R * Z * off).sum() / (off**2).sum()


def of_others(G, mask):
    G = np.where(mask, G, 0)  # the padding may be infinite
    return (G.sum(0) - G) * mask / np.maximum(mask.sum(0) - 1, 1)


def running_elsewhere(G, mask):
    """The average of the others at every step of the rectangle, in the padding as well."""
    number = mask.sum(0) - mask
    return np.where(number, (G * mask).sum(0) - G * mask, 0) / np.maximum(number, 1)


def of_all(G, mask):
    return (G * mask).sum(0) / np.maximum(mask.sum(0), 1) * mask


def by_batch(G, mask):
    return (G.sum(0) - G) / (len(G) - 1)


def padded(G, mask):
    G = G * mask
    return (G.sum(0) - G) / np.maximum(mask.sum(0) - 1, 1)


def padding_counts(G, mask):
    return (G.sum(0) - G) * mask / np.maximum(mask.sum(0) - 1, 1)


def returns_to_go():
    """Three episodes of 3, 1 and 2 steps; four of 2, 4, 1 and 4: at the end nobody else is left."""
    batches = []
    for seed, lengths in ((0, [3, 1, 2]), (1, [2, 4, 1, 4]), (2, [2, 5])):
        mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
        batches.append((np.random.default_rng(seed).normal(2, 1, mask.shape), mask))
    holes = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0]]) == 1
    return [*batches, (np.arange(1.0, 10.0).reshape(3, 3) ** 2, holes)]


EXERCISES = {
    "9.1": Exercise(
        solution=efficiency,
        takes=(
            "g: array (D, N) of floats\n"
            "P: array (N,), probabilities that add to 1\n"
            "grad: array (D,) of floats, not all 0\n"
            "B: a whole number, 1 or more"
        ),
        edges=estimates,
        draw=some_estimates,
        wrong={
            "that is one episode: its variance is to be divided by B": undivided,
            "the mean square is not divided as a whole: ‖mean‖² stays as it is": all_divided,
            "that is the share of the signal; the angle to ∇J is missing": signal_alone,
            "divide by ‖∇J‖² as well, so that the exact gradient gets 1": without_grad,
        },
    ),
    "9.2": Exercise(
        solution=best_constant,
        takes=(
            "R: array (N,), whole numbers or floats, N ≥ 1\nZ: array (D, N) of floats, not all 0"
        ),
        edges=samples,
        draw=some_sample,
        wrong={
            "that is the plain average, an estimate of J: episodes count by ‖Z‖²": (
                lambda R, Z: R.mean()
            ),
            "the weight is ‖Z‖², not ‖Z‖": unsquared,
            "that makes the variance within the sample smallest; the mean square is asked for": (
                of_the_variance
            ),
            "divide by the sum of the weights, not by the number of episodes": (
                lambda R, Z: (R * (Z**2).sum(0)).mean()
            ),
            "the weight is ‖Z‖² alone: R comes in once": (
                lambda R, Z: (R**2 * (Z**2).sum(0)).sum() / (R * (Z**2).sum(0)).sum()
            ),
        },
    ),
    "9.3": Exercise(
        solution=0.01,
        wrong={
            "that is by how much the weights shrink; noise is a mean square": 0.1,
            "that is what is taken away; what is left?": 0.99,
            "the baseline is 9, so the weights are 1 where they were 10": 0.81,
            "that is the mean square of the weights; divide by what it was, 100": 1.0,
            "only b = 10 would leave nothing": 0.0,
        },
    ),
    "9.4": Exercise(
        solution=5 / 30,
        wrong={
            "a quarter is the limit for long episodes; n = 4 is short": 0.25,
            "that is with J = 4 as the number; the middle of 4, 3, 2, 1 is lower": 14 / 30,
            "that is the mean square in units of σ²; divide by what there was": 5.0,
            "nothing is left with one number for each step, not with a single one": 0.0,
            "that is what it takes away; what does it leave?": 25 / 30,
        },
    ),
    "9.5": Exercise(
        solution=of_others,
        takes=(
            "G: array (B, T) of floats; the padding may hold any numbers\n"
            "mask: array (B, T) of bool; at least one real step in each row"
        ),
        edges=returns_to_go,
        draw=draws.batch,
        wrong={
            "that is the function as it stands: it divides by B − 1 at every step": by_batch,
            "padding gets a value, too; set it to 0": [padded, running_elsewhere],
            "what stands in the padding is added to the sum: set it to 0 first": padding_counts,
            "your own return is in that average": of_all,
            "that is the weight minus the baseline; return the baseline": (
                lambda G, mask: (G - of_others(G, mask)) * mask
            ),
        },
    ),
}
