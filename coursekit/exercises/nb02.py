"""Exercises of notebook 02: the score, the losses of an episode, the best constant baseline."""

from __future__ import annotations

import numpy as np

from coursekit import bugs, losses
from coursekit.checks import Exercise
from coursekit.exercises import draws

PI = np.array([0.2, 0.5, 0.3])


def score(pi, action):
    return np.eye(len(pi))[action] - pi


def step_losses(logp, rewards, gamma):
    return -logp * losses.reward_to_go(rewards, gamma)


def episode():
    return [
        (np.array([-0.7, -0.2, -1.3]), np.array([1.0, 0.0, 2.0]), 0.5),
        (np.array([-0.1, -0.4, -2.0, -0.9, -0.3]), np.array([0.0, 0.0, 1.0, -2.0, 3.0]), 0.95),
        (np.array([-0.7, -0.2, -1.3]), np.array([1, 2, 4]), 0.5),
        (np.array([-0.7]), np.array([3.0]), 0.9),
        (np.array([-0.7, -0.2, -1.3]), np.array([1.0, 5.0, 2.0]), 0.0),
        (np.array([-0.7, -0.2, -1.3]), np.array([1.0, 5.0, 2.0]), 1.0),
        (np.array([-20.0, -0.5]), np.array([1.0, 2.0]), 0.5),
        (np.full(200, -0.5), draws.long(), 0.02),
    ]


def some_action(rng):
    pi = draws.chances(rng, draws.length(rng, 1, 5))
    return pi, int(rng.integers(len(pi)))


def some_episode(rng):
    rewards, gamma = draws.rewards_and_gamma(rng)
    logp = -(rng.integers(1, 40, len(rewards)) / 16)
    return logp * rng.choice([1, 1, 1, 10]), rewards, gamma


def some_values(rng):
    pi = draws.chances(rng, draws.length(rng, 2, 5))
    return pi, draws.numbers(rng, len(pi))


def best_baseline(pi, values):
    weight = pi * ((np.eye(len(pi)) - pi) ** 2).sum(-1)
    return weight @ values / weight.sum()


def some_taken(rng):
    n = draws.length(rng)
    p = rng.integers(1, 33, n) / 32
    if rng.integers(4) == 0:
        p = np.float32(10 ** rng.uniform(-12, 0, n)).astype(float)
    return p, draws.numbers(rng, n)


EXERCISES = {
    "2.1": Exercise(
        solution=score,
        takes=(
            "pi: array (A,), probabilities above 0 that add to 1\n"
            "action: a whole number from 0 to A − 1"
        ),
        edges=lambda: [
            (PI.copy(), 1),
            (np.array([0.7, 0.3]), 0),
            (np.array([0.25, 0.25, 0.25, 0.25]), 3),
            (np.array([1.0]), 0),
        ],
        draw=some_action,
        wrong={
            "the sign is reversed: this is the gradient of −log π": lambda pi, a: -score(pi, a),
            "this is ∂ log π/∂π, with respect to the probabilities; go on to the logits": (
                lambda pi, a: np.eye(len(pi))[a] / pi
            ),
            "this is ∇π, not ∇ log π: one factor π(a) too many (the log is missing)": (
                lambda pi, a: pi[a] * score(pi, a)
            ),
            "the one-hot vector alone: raising one logit also lowers the other probabilities": (
                lambda pi, a: np.eye(len(pi))[a]
            ),
        },
    ),
    "2.2": Exercise(
        solution=step_losses,
        takes=(
            "logp: array (n,), floats below 0, n ≥ 1\n"
            "rewards: array (n,), whole numbers or floats\n"
            "gamma: a number from 0 to 1"
        ),
        edges=episode,
        draw=some_episode,
        wrong={
            "the sign is reversed: going down this loss goes down in return": (
                lambda logp, rewards, gamma: -step_losses(logp, rewards, gamma)
            ),
            "each step must weigh the rewards from its own time on, not those of the start": (
                lambda logp, rewards, gamma: -logp * bugs.from_start(rewards, gamma)
            ),
            "each step has the whole return; use the reward-to-go": (
                lambda logp, rewards, gamma: -logp * losses.reward_to_go(rewards, gamma)[0]
            ),
            "the future is missing: each step has its own reward only": (
                lambda logp, rewards, gamma: -logp * rewards
            ),
            "γ is missing": lambda logp, rewards, gamma: step_losses(logp, rewards, 1.0),
            "there is a γ^t in front, as in (2.7); the loss asked for is without it (section 8)": (
                lambda logp, rewards, gamma: (
                    step_losses(logp, rewards, gamma) * gamma ** np.arange(len(rewards))
                )
            ),
            "the logarithm is undone: use log π as it is given": (
                lambda logp, rewards, gamma: step_losses(np.exp(logp), rewards, gamma)
            ),
            "this is reduced to one number; leave one loss for each step": (
                lambda logp, rewards, gamma: step_losses(logp, rewards, gamma).sum()
            ),
        },
    ),
    "2.3": Exercise(
        solution=best_baseline,
        takes=(
            "pi: array (A,), probabilities above 0 that add to 1, A ≥ 2\n"
            "values: array (A,), whole numbers or floats"
        ),
        edges=lambda: [
            (PI.copy(), np.array([1.0, -2.0, 0.5])),
            (PI.copy(), np.arange(3)),
            (np.array([0.9, 0.1]), np.array([2.0, 2.0])),
            (np.array([1 - 1e-8, 1e-8]), np.array([1.0, 5.0])),
        ],
        draw=some_values,
        wrong={
            "this is the mean value J, good but not the best: weigh by ‖z‖² as well": (
                lambda pi, values: pi @ values
            ),
            "the weights lack π: actions are drawn with it": (
                lambda pi, values: (
                    ((np.eye(len(pi)) - pi) ** 2).sum(-1)
                    @ values
                    / ((np.eye(len(pi)) - pi) ** 2).sum()
                )
            ),
            "a plain average of the values; actions are not drawn uniformly": (
                lambda pi, values: values.mean()
            ),
        },
    ),
    "2.4": Exercise(
        solution=0.64,
        wrong={
            "that is for the first action": -0.64,
            "that is π Q of the second action; the average J is to be subtracted from Q": 1.0,
            "that is Q − J; the action is only taken with probability 0.2": 3.2,
            "that is the second action's part; the first action pulls at that logit, too": 0.8,
            "that is the derivative with respect to the probability; go on to the logit": 5.0,
            "that is J itself": 1.8,
        },
    ),
    "2.5": Exercise(
        solution=lambda p, G: -np.log(p) * G,
        takes="p: array (n,), probabilities above 0, n ≥ 1\nG: array (n,), whole numbers or floats",
        edges=lambda: [
            (np.array([0.5, 0.25, 0.9]), np.array([3.0, -1.0, 2.0])),
            (np.array([0.5, 0.25]), np.array([3, 0])),
            (np.array([0.75]), np.array([2.0])),
            (np.array([1e-8]), np.array([2.0])),
        ],
        draw=some_taken,
        wrong={
            "that is the function as it stands: its gradient is −G ∇π, without the log": (
                lambda p, G: -p * G
            ),
            "the sign is reversed: going down this loss goes down in return": (
                lambda p, G: np.log(p) * G
            ),
            "divided by p: that is ∇ log π where the derivative is taken, not in the loss": (
                lambda p, G: -G / p
            ),
            "this is reduced to one number; leave one loss for each step": (
                lambda p, G: -(np.log(p) * G).sum()
            ),
            "the return is missing": lambda p, G: -np.log(p),
        },
    ),
}
