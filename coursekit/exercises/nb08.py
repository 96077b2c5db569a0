"""Exercises of notebook 08: mended returns, a test that sees, what to send back."""

from __future__ import annotations

import numpy as np

from coursekit import bugs
from coursekit.checks import Exercise
from coursekit.exercises import draws
from coursekit.losses import reward_to_go, whole_return


def forwards(rewards, gamma):
    return reward_to_go(rewards[::-1], gamma)[::-1]


def absolute(rewards, gamma):
    return reward_to_go(rewards, gamma) * gamma ** np.arange(len(rewards))


def no_discount(rewards, gamma):
    return reward_to_go(rewards, 1.0)


def one_late(rewards, gamma):
    return np.append(reward_to_go(rewards, gamma)[1:], 0.0)


def squared(rewards, gamma):
    return reward_to_go(rewards, gamma**2)


def less_discount(rewards, gamma):
    return reward_to_go(rewards, 0.97 * gamma)


def turned_round(rewards, gamma):
    return reward_to_go(rewards, gamma)[::-1]


def wrong_at(place):
    """One entry is off, counted round and round, by a tenth of the largest."""

    def returns(rewards, gamma):
        out = reward_to_go(rewards, gamma)
        out[place % len(out)] += 0.1 * abs(out).max()
        return out

    return InWords(returns, f"entry {place} mod n is wrong")


class InWords:
    """One of the functions that a test is tried on, with a name to be read in a message."""

    def __init__(self, function, words):
        self.function, self.words = function, words

    def __call__(self, rewards, gamma):
        return np.array(self.function(np.asarray(rewards, dtype=float), gamma))

    def __repr__(self):
        return self.words


CANDIDATES = [  # at most 30 characters each: a message shows no more
    InWords(reward_to_go, "the right one"),
    InWords(bugs.from_start, "rewards read from the start"),
    InWords(forwards, "the recursion run forwards"),
    InWords(absolute, "γ counted from the start"),
    InWords(no_discount, "γ not used"),
    InWords(one_late, "one step late"),
    InWords(whole_return, "the whole return at each step"),
    InWords(squared, "γ² for γ"),
    InWords(less_discount, "γ 3 % too small"),
    InWords(turned_round, "right, but the last one first"),
    *map(wrong_at, range(4)),
]


def one_more(rng):
    """One of the above, or one entry is off, or a right one that is bent by 1 % or more."""
    kind = rng.integers(4)
    if kind == 0:
        return (CANDIDATES[rng.integers(len(CANDIDATES))],)
    if kind == 1:
        return (wrong_at(int(rng.integers(4, 60))),)
    if kind == 2:
        factor = [-2, -1, 0, 2, 3, 0.9, 0.95, 0.99, 1.01, 1.05, 1.1][rng.integers(11)]
        bent = lambda r, gamma: factor * reward_to_go(r, gamma)  # noqa: E731
        return (InWords(bent, f"{factor} times the right one"),)
    return (InWords(lambda r, gamma: reward_to_go(r, gamma) + 1, "the right one plus 1"),)


def sees(rewards, gamma):
    """A test that calls once with these rewards."""
    rewards = np.array(rewards, dtype=float)
    return lambda returns: bool(np.allclose(returns(rewards, gamma), reward_to_go(rewards, gamma)))


def some_return(rng):
    p = draws.chances(rng, draws.length(rng, 1, 5))
    return p, int(rng.integers(len(p))), draws.number(rng)


def onehot(p, action):
    return np.eye(len(p))[action]


EXERCISES = {
    "8.1": Exercise(
        solution=reward_to_go,
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
            "the rewards are read from the start: rewards[t + k] is meant": bugs.from_start,
            "the recursion runs forwards: each step is given what came before it": forwards,
            "γ counts from the start: a step's own reward has γ⁰": absolute,
            "γ is not used": no_discount,
            "one step late: a step's own reward belongs to its return": one_late,
            "this is the return of the whole episode, at every step": whole_return,
        },
    ),
    "8.2": Exercise(
        solution=sees([1, -2, 4], 0.5),
        takes="returns: a function of an array of rewards and of gamma that gives an array",
        edges=lambda: [(returns,) for returns in CANDIDATES],
        draw=one_more,
        wrong={
            "equal rewards cannot see returns that are read from the start": sees([1, 1, 1], 0.5),
            "one reward cannot see anything that concerns time": sees([2], 0.5),
            "γ = 1 cannot see a γ that is missing or misplaced": sees([1, -2, 4], 1.0),
            "it says True to all of them": lambda returns: True,
            "it says False to all of them, to the right one too": lambda returns: False,
            "upside down: True is for the right one": lambda f: not sees([1, -2, 4], 0.5)(f),
        },
    ),
    "8.3": Exercise(
        solution=lambda p, action, G: (p - onehot(p, action)) * G,
        takes=(
            "p: array (A,), probabilities above 0 that add to 1\n"
            "action: a whole number from 0 to A − 1\n"
            "G: a number"
        ),
        edges=lambda: [
            (np.array([0.24, 0.365, 0.395]), 1, 10.0),
            (np.array([0.7, 0.3]), 0, -2.0),
            (np.array([0.5, 0.5]), 1, 0),
            (np.array([1.0]), 0, 3.0),
            (np.array([1e-8, 1 - 1e-8]), 0, 2.0),
        ],
        draw=some_return,
        wrong={
            "this is the direction of ascent: the gradient of the loss has the other sign": (
                lambda p, action, G: (onehot(p, action) - p) * G
            ),
            "only the chosen logit has a gradient: the others are pushed too": (
                lambda p, action, G: (p - 1) * onehot(p, action) * G
            ),
            "that is at the probabilities: multiply it by the softmax Jacobian": (
                lambda p, action, G: -onehot(p, action) / p * G
            ),
            "that is the gradient of −p, the log is missing": (
                lambda p, action, G: p[action] * (p - onehot(p, action)) * G
            ),
            "the return is missing": lambda p, action, G: p - onehot(p, action),
        },
    ),
    "8.4": Exercise(
        solution=(4.5 / 8.25**0.5, 49.5 / 833.25**0.5),
        wrong={
            "those are the returns; they are to be standardised": (10.0, 100.0),
            "centred, but not yet divided by the deviation": (4.5, 49.5),
            "divided, but not centred": (10 / 8.25**0.5, 100 / 833.25**0.5),
            "that is the deviation with n − 1; NumPy's std divides by n": (
                4.5 / (8.25 * 10 / 9) ** 0.5,
                49.5 / (833.25 * 100 / 99) ** 0.5,
            ),
            "that is the last step's": (-4.5 / 8.25**0.5, -49.5 / 833.25**0.5),
        },
    ),
}
