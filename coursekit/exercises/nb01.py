"""Exercises of notebook 01: softmax, reward-to-go, an expected return by hand."""

from __future__ import annotations

import numpy as np

from coursekit import bugs, losses, mlp
from coursekit.checks import Exercise
from coursekit.exercises import draws


def same_reward(rewards, gamma):
    n = len(rewards)
    return np.array([rewards[t] * (gamma ** np.arange(n - t)).sum() for t in range(n)])


def naive_softmax(logits):
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(logits) / np.exp(logits).sum()


def discounted_from_zero(rewards, gamma):
    return np.cumsum((rewards * gamma ** np.arange(len(rewards)))[::-1])[::-1]


def some_logits(rng):
    x = draws.numbers(rng, draws.length(rng))
    return (x * 300,) if rng.integers(3) == 0 else (x,)


def discounted(rewards, gamma):
    return (rewards * gamma ** np.arange(len(rewards))).sum()


EXERCISES = {
    "1.1": Exercise(
        solution=mlp.softmax,
        takes="logits: array (A,), whole numbers or floats of any size, A ≥ 1",
        edges=lambda: [
            (np.array([0.0, np.log(3.0)]),),
            (np.array([1.0, -2.0, 0.5]),),
            (np.array([1000.0, 999.0]),),
            (np.array([1000, 0]),),
            (np.array([-1000.0, -1001.0]),),
            (np.array([0.0, 0.0, 3000.0]),),
            (np.array([5.0]),),
            (np.array([3000.0, 2900.0, 0.0]),),
            (np.array([20000.0, 0.0]),),
        ],
        draw=some_logits,
        wrong={
            "right for small logits, but exp(1000) overflows: subtract the largest logit first": (
                naive_softmax
            ),
            "these do not add to 1: divide by the sum": lambda x: np.exp(x - x.max()),
            "the logits themselves are divided by their sum: exponentiate first": (
                lambda x: x / x.sum()
            ),
            "this is the logarithm of the softmax": lambda x: mlp.log_softmax(x),
        },
    ),
    "1.2": Exercise(
        solution=losses.reward_to_go,
        takes=("rewards: array (n,), whole numbers or floats, n ≥ 1\ngamma: a number from 0 to 1"),
        edges=lambda: [
            (np.array([0.0, 0.0, 1.0, -2.0, 3.0]), 0.95),
            (np.array([2.0, -1.0, 0.5]), 0.5),
            (np.array([1, 2, 3]), 0.5),
            (np.array([3.0]), 0.9),
            (np.array([2.0, -1.0, 4.0]), 0.0),
            (np.array([2.0, -1.0, 4.0]), 1.0),
            (draws.long(), 0.02),
        ],
        draw=draws.rewards_and_gamma,
        wrong={
            "the rewards are read from the start of the episode: use rewards[t + k]": (
                bugs.from_start
            ),
            "the same reward is added up again and again: r[k] is meant, not r[t]": same_reward,
            "γ is missing": lambda r, gamma: losses.reward_to_go(r, 1.0),
            "the discount counts from time 0; it must count from t (γ^(k−t), not γ^k)": (
                discounted_from_zero
            ),
            "these are the rewards gathered so far: the past, not what is to go": (
                lambda r, gamma: np.cumsum(r)
            ),
            "this is the whole return at every step": (losses.whole_return),
        },
    ),
    "1.3": Exercise(
        solution=1.4375,
        wrong={
            "the toll is missing: subtract 1": 2.4375,
            "this is the uniform policy's J; here the bank is left with certainty": 1.21875,
            "only one step on the bridge is counted; there are two before the night": 0.5,
            "a step succeeds with ½ · ¾; or two chances were added, but only one is used": 2.0,
        },
    ),
    "1.4": Exercise(
        solution=discounted,
        takes="rewards: array (n,), whole numbers or floats, n ≥ 1\ngamma: a number from 0 to 1",
        edges=lambda: [
            (np.array([1.0, 0.0, 4.0]), 0.5),
            (np.array([3, 1, 2]), 0.5),
            (np.array([2.0]), 0.9),
            (np.array([3.0, 1.0]), 0.0),
            (np.array([3.0, 1.0]), 1.0),
        ],
        draw=draws.rewards_and_gamma,
        wrong={
            "that is the function as it stands: the last reward counts in full, the first least": (
                lambda rewards, gamma: discounted(rewards[::-1], gamma)
            ),
            "γ is missing": lambda rewards, gamma: rewards.sum(),
            "one γ too many: the reward of the first step is not discounted": (
                lambda rewards, gamma: gamma * discounted(rewards, gamma)
            ),
            "these are the returns of all steps; G_0 alone is asked for": losses.reward_to_go,
        },
    ),
}
