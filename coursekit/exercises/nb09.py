"""Exercises of notebook 09: efficiency, the best constant baseline, leave one out."""

from __future__ import annotations

import numpy as np

from coursekit.checks import Exercise


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
    return [(*first, np.array([1.0, 0.25]), 3), (*second, np.array([1.0, -0.5, 2.0]), 7)]


def best_constant(R, Z):
    weight = (Z**2).sum(0)
    return (R * weight).sum() / weight.sum()


def unsquared(R, Z):
    weight = np.sqrt((Z**2).sum(0))
    return (R * weight).sum() / weight.sum()


def samples():
    Z = np.array([[1.0, -2.0, 0.5, 0.0], [0.5, 1.0, -3.0, 0.25]])
    return [(np.array([4.0, 1.0, -2.0, 7.0]), Z), (np.array([1.0, 9.0, 2.0]), Z[:, :3] ** 2 + 1)]


def leave_one_out(R):
    return R - (R.sum() - R) / (len(R) - 1)


EXERCISES = {
    "9.1": Exercise(
        solution=efficiency,
        cases=estimates,
        wrong={
            "that is one episode: its variance is to be divided by B": undivided,
            "the mean square is not divided as a whole: ‖mean‖² stays as it is": all_divided,
            "that is the share of the signal; the angle to ∇J is missing": signal_alone,
            "divide by ‖∇J‖² as well, so that the exact gradient gets 1": without_grad,
        },
    ),
    "9.2": Exercise(
        solution=best_constant,
        cases=samples,
        wrong={
            "that is the plain average, an estimate of J: episodes count by ‖Z‖²": (
                lambda R, Z: R.mean()
            ),
            "the weight is ‖Z‖², not ‖Z‖": unsquared,
            "divide by the sum of the weights, not by the number of episodes": (
                lambda R, Z: (R * (Z**2).sum(0)).mean()
            ),
            "the weight is ‖Z‖² alone: R comes in once": (
                lambda R, Z: (R**2 * (Z**2).sum(0)).sum() / (R * (Z**2).sum(0)).sum()
            ),
        },
    ),
    "9.3": Exercise(
        solution=leave_one_out,
        cases=lambda: [(np.array([4.0, 1.0, -2.0, 7.5]),), (np.array([1.0, 3.0]),)],
        wrong={
            "your own return is in that mean; it costs the factor 1 − 1/B": lambda R: R - R.mean(),
            "the others are B − 1 episodes, not B": lambda R: R - (R.sum() - R) / len(R),
            "that is the mean of the others itself; subtract it from R": (
                lambda R: (R.sum() - R) / (len(R) - 1)
            ),
            "the other way round: return minus mean": lambda R: (R.sum() - R) / (len(R) - 1) - R,
        },
    ),
}
