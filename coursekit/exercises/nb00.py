"""Exercises of notebook 00: the self-test of what the course asks for."""

from __future__ import annotations

import numpy as np

from coursekit.checks import Exercise
from coursekit.exercises import draws

EXERCISES = {
    "0.1": Exercise(
        solution=4.0,
        wrong={
            "that is x itself; the derivative of log x is 1/x": 0.25,
            "that is log x, not its derivative": np.log(0.25),
            "that is the derivative of 1/x": -16.0,
        },
    ),
    "0.2": Exercise(
        solution=1.2,
        wrong={
            "the payment is missing: with probability 0.8 you lose 1": 2.0,
            "the outcomes are not equally likely": 4.5,
            "the sign of the payment: you pay it": 2.8,
            "weigh each outcome by its probability": 9.0,
        },
    ),
    "0.3": Exercise(
        solution=lambda rewards: np.cumsum(rewards[::-1])[::-1],
        takes="rewards: array (n,), whole numbers or floats, n ≥ 1",
        edges=lambda: [
            (np.array([1.0, 2.0, 3.0]),),
            (np.array([0.5, -1.0, 0.0, 4.0]),),
            (np.array([3, 0, 2]),),
            (np.array([7.0]),),
        ],
        draw=lambda rng: (draws.numbers(rng, draws.length(rng)),),
        wrong={
            "these are the sums from the start up to each position": np.cumsum,
            "the order is reversed: turn the array round once more": (
                lambda rewards: np.cumsum(rewards[::-1])
            ),
            "this is the total, at every position": (
                lambda rewards: np.full(len(rewards), rewards.sum())
            ),
            "each position must count its own reward as well": (
                lambda rewards: rewards.sum() - np.cumsum(rewards)
            ),
        },
    ),
}
