"""Exercises of notebook 10: leave one out, a batch size, what standardising hides, surprises."""

from __future__ import annotations

import numpy as np

from coursekit.checks import Exercise
from coursekit.exercises import draws


def leave_one_out(R):
    return R - (R.sum() - R) / (len(R) - 1)


def surprises(r, V):
    return r + np.append(V[1:], 0.0) - V


def rolled(r, V):
    return r + np.roll(V, -1) - V


def stays(r, V):
    return r + np.append(V[1:], V[-1]) - V


def backwards(r, V):
    return r + V - np.append(V[1:], 0.0)


def unpaid(r, V):
    return np.append(V[1:], 0.0) - V


EXERCISES = {
    "10.1": Exercise(
        solution=leave_one_out,
        takes="R: array (B,), whole numbers or floats, B ≥ 2",
        edges=lambda: [
            (np.array([4.0, 1.0, -2.0, 7.5]),),
            (np.array([1.0, 3.0]),),
            (np.array([2.0, 2.0, 5.0]),),
            (np.array([3, 3, 0, 1]),),
            (np.array([4.0, 4.0, 4.0]),),
        ],
        draw=lambda rng: (draws.numbers(rng, draws.length(rng, 2)),),
        wrong={
            "your own return is in that mean; it costs the factor 1 − 1/B": lambda R: R - R.mean(),
            "the others are B − 1 episodes, not B": lambda R: R - (R.sum() - R) / len(R),
            "that is the mean of the others itself; subtract it from R": (
                lambda R: (R.sum() - R) / (len(R) - 1)
            ),
            "the other way round: return minus mean": lambda R: (R.sum() - R) / (len(R) - 1) - R,
        },
    ),
    "10.2": Exercise(
        solution=12,
        wrong={
            "that is the noise scale c, where the efficiency is one half": 4,
            "20 is the mean square; the variance leaves the signal's 4 off": 15,
            "that is the variance; in units of ‖∇J‖² it is 4": 16,
            "the noise scale is the variance divided by ‖∇J‖², not by ‖∇J‖": 24,
            "the efficiency is B/(B + c), not 1 − 1/B": 4 / 3,
        },
    ),
    "10.3": Exercise(
        solution=7.0,
        wrong={
            "that is how far it lies above the others, before the division": 1.0,
            "that is its distance from the mean; now divide by the deviation": 0.98,
            "that is 49; the deviation is a root": 49.0,
            "the others count as well: the mean lies 1/50 above 200": 50**0.5,
            "that is the deviation itself": 0.14,
        },
    ),
    "10.4": Exercise(
        solution=surprises,
        takes=(
            "r: array (T,), whole numbers or floats, T ≥ 1\nV: array (T,), whole numbers or floats"
        ),
        edges=lambda: [
            (np.array([1.0, 2.0, -3.0]), np.array([5.0, 0.5, 1.0])),
            (np.array([2.0]), np.array([-1.5])),
            (np.array([0, 1, 0, 4]), np.array([0.25, -2.0, 1.5, 0.75])),
            (np.array([0.5, 1.0]), np.array([2, 3])),
        ],
        draw=lambda rng: (draws.numbers(rng, T := draws.length(rng)), draws.numbers(rng, T)),
        wrong={
            "that is the function as it stands: the last step looks at the first value": rolled,
            "after the end nothing is left; the last value does not go on": stays,
            "the other way round: what comes next, minus what was expected": backwards,
            "the reward of the step is missing": unpaid,
        },
    ),
}
