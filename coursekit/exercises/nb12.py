"""Exercises of notebook 12: weights by hand, F_3, a limit of luck, left out twice, which pool."""

from __future__ import annotations

import numpy as np

from coursekit.checks import Exercise
from coursekit.exercises import draws


def of_two(r, n, p):
    return (1 - p) / n if r == 1 else -p / n


def one_answer(rng):
    return int(rng.integers(2)), int(rng.integers(1, 50)), draws.fraction(rng)


def limit(n_wrong, p):
    q = 1 - p
    return 0.4 * q / (0.15 * q - 0.1 * p + 0.6 * p / n_wrong)


def luck(rng):  # no division by zero: .15 q > .1 p
    n_wrong, p = rng.integers(8, 160, size=3) / 8, int(rng.integers(0, 56)) / 100
    return float(n_wrong[0]) if rng.integers(2) else n_wrong, p


def a_group(rng):
    G = int(rng.integers(2, 9))
    rewards = rng.choice([0.0, 1.0, 2.5], size=G)
    if rng.integers(2):
        rewards = rng.integers(0, 2, G)
    return rewards, rng.integers(1, 30, size=G)


def twice(rewards, lengths):
    rewards, lengths = np.asarray(rewards, float), np.asarray(lengths, float)
    baseline = (rewards.sum() - rewards) / (len(rewards) - 1)
    return (rewards - baseline) / (lengths.sum() - lengths)


def roughly(compare):
    """``pool``, with another way to compare weights."""
    return lambda weights, lengths: next(
        (m for m in pools(lengths) if compare(weights, weights_of(lengths, m))), 0
    )


def within(bound):
    return roughly(lambda a, b: np.allclose(a, b, rtol=bound, atol=0))


def own_mean(rewards):
    return np.asarray(rewards, float) - np.mean(rewards)


def others(values):
    return np.sum(values) - np.asarray(values, float)


def weights_of(lengths, m):
    of_pool = np.asarray(lengths, float).reshape(-1, m).sum(1)
    return np.repeat(m / len(lengths) / of_pool, m)


def pools(lengths):
    return [m for m in range(1, len(lengths) + 1) if len(lengths) % m == 0]


def explains(weights, lengths, m):
    return np.allclose(weights, weights_of(lengths, m), rtol=1e-9, atol=0)


def pool(weights, lengths):
    return next((m for m in pools(lengths) if explains(weights, lengths, m)), 0)


def largest_pool(weights, lengths):
    return max((m for m in pools(lengths) if explains(weights, lengths, m)), default=0)


def a_reduction(rng):
    B = int(rng.choice([4, 6, 8, 9, 12, 16]))
    lengths = rng.integers(1, 9, size=B)
    if rng.uniform() < 0.1:  # the sum: no pool
        return np.full(B, 1 / B), lengths
    noise = 1 + 1e-11 * rng.integers(-3, 4, B)
    m = int(rng.choice(pools(lengths)))
    weights = weights_of(lengths, m) * noise
    if rng.integers(3) == 0:  # no pool, or another one where lengths are alike
        weights = unexplained(rng, weights, m)
    return weights, lengths


def unexplained(rng, weights, m):
    """The right weights, but for one of them, or for their places."""
    if (kind := rng.integers(4)) == 0:
        return np.roll(weights, int(rng.integers(1, len(weights))))
    if kind == 1:
        return weights.reshape(-1, m)[::-1].ravel()
    weights[rng.integers(len(weights))] *= [0.5, 1.001, 1 + 1e-6, 1 - 2e-8][rng.integers(4)]
    return weights


def standardised(rewards, ddof=0):
    deviation = np.std(rewards, ddof=ddof)
    return (rewards - np.mean(rewards)) / (deviation if deviation else np.inf)


def small_or_large(rng):
    rewards = rng.integers(0, 1 + rng.integers(1, 4), draws.length(rng, 2))
    if rng.integers(4) == 0:  # all alike, at any value
        rewards = np.full_like(rewards, rng.integers(-3, 6))
    return (rewards / (2 if rng.integers(3) else 2**14),)


def bent():
    """With a small number below, in the three ways in which people write it."""
    sums = [lambda r, e=10.0**-k: (r - r.mean()) / (r.std() + e) for k in range(3, 11)]
    roots = [lambda r, e=10.0**-k: (r - r.mean()) / (r.var() + e) ** 0.5 for k in range(3, 14)]
    return [*sums, *roots, lambda r: (r - r.mean()) / max(r.std(), 1e-4)]


EXERCISES = {
    "12.1": Exercise(
        solution=of_two,
        takes=("r: 0 or 1\nn: a whole number, 1 or more\np: a number from 0 to 1"),
        edges=lambda: [(1, 3, 0.25), (0, 3, 0.25), (0, 1, 1.0), (1, 5, 0.0)],
        draw=one_answer,
        wrong={
            "the sign: a wrong answer is pushed down": lambda r, n, p: abs(of_two(r, n, p)),
            "the chances are the wrong way round: a right answer needs a wrong neighbour": (
                lambda r, n, p: p / n if r == 1 else -(1 - p) / n
            ),
            "the length is missing: GRPO divides each answer by its own tokens": (
                lambda r, n, p: of_two(r, 1, p)
            ),
            "half of it: w adds up both places in the group, and the deviation is 1/2, not 1": (
                lambda r, n, p: of_two(r, n, p) / 2
            ),
            "that is with a sample's deviation (ddof 1), 1/√2; the group's own (ddof 0) is 1/2": (
                lambda r, n, p: of_two(r, n, p) / 2**0.5
            ),
            "twice too much: each answer counts 1/G in the group": (
                lambda r, n, p: of_two(r, n, p) * 2
            ),
            "the chance of a mixed group is in already: the other one's reward decides": (
                lambda r, n, p: of_two(r, n, p) * 2 * p * (1 - p)
            ),
            "a unanimous group has no advantage": lambda r, n, p: (1 if r == 1 else -1) / n,
        },
    ),
    "12.2": Exercise(
        solution=lambda p: 2**0.5 * p,
        takes="p: a number from 0 to 1",
        edges=lambda: [(0.3,), (0.0,), (1.0,)],
        draw=lambda rng: (draws.fraction(rng),),
        tells=False,
        wrong={
            "that is the slope F'; integrate it": lambda p: 2**0.5 + 0 * p,
            "that is G = 2": lambda p: p,
            "that is the limit for large G": lambda p: 2 * np.arcsin(p**0.5),
            "the root is missing: k(G - k) = 2 stands under it": lambda p: 2 * p,
            "the 1/G in front and the binomial 3 cancel; count them once": (
                lambda p: 2**0.5 * p / 3
            ),
            "p + q = 1, not p q: the two terms add up to a constant": (
                lambda p: 2**0.5 * (p**2 / 2 - p**3 / 3)
            ),
        },
    ),
    "12.3": Exercise(
        solution=limit,
        takes=("n_wrong: a number or an array, 1 or more\np: a number from 0 to 0.55"),
        edges=lambda: [(8.0, 0.5), (np.array([4.0, 8.0, 16.0]), 0.4), (2.0, 0.0), (3, 0.55)],
        draw=luck,
        tells=False,
        wrong={
            "this compares the two lengths of lucky alone; plain has a say": (
                lambda n_wrong, p: 2 / 3 * (1 - p) / p * n_wrong if p else np.inf * n_wrong
            ),
            "p and q are exchanged: a right answer has the advantage 1 - p": (
                lambda n_wrong, p: limit(n_wrong, 1 - p)
            ),
            "the sign of lucky's wrong answers: they are pushed down": (
                lambda n_wrong, p: 0.4 * (1 - p) / (0.15 * (1 - p) - 0.1 * p - 0.6 * p / n_wrong)
            ),
            "plain's wrong answers are missing": (
                lambda n_wrong, p: 0.4 * (1 - p) / (0.15 * (1 - p) + 0.6 * p / n_wrong)
            ),
            "upside down": lambda n_wrong, p: 1 / limit(n_wrong, p),
            "lucky's chances are exchanged: it is right with .4, wrong with .6": (
                lambda n_wrong, p: 0.6 * (1 - p) / (0.15 * (1 - p) - 0.1 * p + 0.4 * p / n_wrong)
            ),
            "plain's chances are exchanged: it is right with .6, wrong with .4": (
                lambda n_wrong, p: 0.4 * (1 - p) / (0.1 * (1 - p) - 0.15 * p + 0.6 * p / n_wrong)
            ),
            "plain and lucky are exchanged: plain is right with .6, lucky with .4": (
                lambda n_wrong, p: 0.6 * (1 - p) / (0.1 * (1 - p) - 0.15 * p + 0.4 * p / n_wrong)
            ),
            "n_right and n_wrong are exchanged: solve for the length of the right answers": (
                lambda n_wrong, p: 0.6 * p / (0.4 * (1 - p) / n_wrong - 0.15 * (1 - p) + 0.1 * p)
            ),
            "this is without a baseline: R/n alone": (
                lambda n_wrong, p: 0.4 / 0.15 + 0 * np.asarray(n_wrong)
            ),
        },
    ),
    "12.4": Exercise(
        solution=twice,
        takes=(
            "rewards: array (G,), whole numbers or floats, G ≥ 2\n"
            "lengths: array (G,), whole numbers, 1 or more"
        ),
        edges=lambda: [
            (np.array([1.0, 0, 0, 1]), np.array([2, 5, 3, 4])),
            (np.array([1, 0]), np.array([3, 7])),
            (np.array([1, 1, 1]), np.array([4, 4, 2])),
        ],
        draw=a_group,
        wrong={
            "your baseline is the group's mean, own reward included": (
                lambda rewards, lengths: own_mean(rewards) / others(lengths)
            ),
            "your divisor counts the answer's own tokens": (
                lambda rewards, lengths: twice(rewards, lengths) * others(lengths) / np.sum(lengths)
            ),
            "left out neither here nor there: own mean, all tokens": (
                lambda rewards, lengths: own_mean(rewards) / np.sum(lengths)
            ),
            "your divisor is the mean length of the others, not their sum": (
                lambda rewards, lengths: twice(rewards, lengths) * (len(rewards) - 1)
            ),
            "your divisor is the answer's own length": (
                lambda rewards, lengths: twice(rewards, lengths) * others(lengths) / lengths
            ),
            "the baseline is missing": (
                lambda rewards, lengths: np.asarray(rewards, float) / others(lengths)
            ),
            "the others' rewards are summed, not averaged": (
                lambda rewards, lengths: (rewards - others(rewards)) / others(lengths)
            ),
        },
    ),
    "12.5": Exercise(
        solution=pool,
        takes=(
            "weights: array (B,) of floats, B ≥ 1\nlengths: array (B,), whole numbers, 1 or more"
        ),
        edges=lambda: [
            (weights_of(np.array([1, 3, 2, 4]), 2), np.array([1, 3, 2, 4])),
            (weights_of(np.array([2, 2, 2, 2]), 4), np.array([2, 2, 2, 2])),
            (weights_of(np.array([5]), 1), np.array([5])),
            (np.full(4, 0.25), np.array([1, 3, 2, 4])),
            (np.array([0.1, 0.2, 0.3, 0.4]), np.array([1, 2, 3, 4])),
            (np.array([0.5, 0.25]), np.array([1, 3])),
            (weights_of(np.array([1, 3, 2, 4]), 2) * (1 + 1e-6), np.array([1, 3, 2, 4])),
            (weights_of(np.array([1, 3, 2, 4]), 2) * (1 + 2e-8), np.array([1, 3, 2, 4])),
            (weights_of(np.array([1, 3, 2, 4]), 2) * (1 + 2e-9), np.array([1, 3, 2, 4])),
            (weights_of(np.array([1, 3, 2, 4]), 2) * (1 - 2e-10), np.array([1, 3, 2, 4])),
            (weights_of(np.array([1, 3, 2, 4]), 2) * [1, 0.5, 1, 1], np.array([1, 3, 2, 4])),
            (weights_of(np.array([1, 3, 2, 4]), 4) * [1, 1, 0.5, 1], np.array([1, 3, 2, 4])),
        ],
        draw=a_reduction,
        wrong={
            "the largest pool that fits; the smallest is asked for": largest_pool,
            "if no pool explains the weights, return 0": (
                lambda weights, lengths: pool(weights, lengths) or len(lengths)
            ),
            "that is the number of pools, not their size": (
                lambda weights, lengths: (
                    len(lengths) // pool(weights, lengths) if pool(weights, lengths) else 0
                )
            ),
            "the tolerance is too wide: off by a relative 1e-8 or 1e-6 is another reduction; "
            "compare to a relative 1e-9, with no absolute tolerance (atol=0)": [
                roughly(np.allclose),
                within(1e-5),
                within(1e-7),
                within(1e-8),
                roughly(lambda a, b: np.allclose(a, b, rtol=0, atol=1e-9)),
                roughly(lambda a, b: np.allclose(a, b, rtol=1e-9)),
            ],
            "the tolerance is too narrow: a computer rounds; compare to a relative 1e-9": [
                roughly(np.array_equal),
                within(1e-10),
                within(1e-11),
                within(1e-12),
                within(1e-15),
            ],
            "only 1 and B are tried; there are pools in between": (
                lambda weights, lengths: next(
                    (m for m in (1, len(lengths)) if explains(weights, lengths, m)), 0
                )
            ),
            "equal weights of neighbours are not enough: equal lengths give them, too": (
                lambda weights, lengths: max(
                    m for m in pools(lengths) if not np.ptp(weights.reshape(-1, m), axis=1).any()
                )
            ),
            "a pool of one is possible": (
                lambda weights, lengths: next(
                    (m for m in pools(lengths)[1:] if explains(weights, lengths, m)), 0
                )
            ),
        },
    ),
    "12.6": Exercise(
        solution=standardised,
        takes="rewards: array (G,), whole numbers or multiples of 1/16384, G ≥ 2",
        edges=lambda: [
            (np.array([1.0, 0.0, 0.0, 1.0]),),
            (np.array([1.0, 1.0, 1.0]),),
            (np.array([0, 0]),),
            (np.array([1, 0, 0, 0, 0, 0]),),
            (np.array([1.0, 0.0, 0.0, 2.0, 1.0]) / 2**14,),
            (np.array([2, 2, 2]),),
            (np.array([0.5, 0.5]),),
            (np.array([-1, -1, -1, -1]),),
            (np.array([0, 2]),),
            (np.array([3, -1, 1]),),
            (np.array([1000000, 1000001]),),
            (np.array([10.0, 10.0 + 2**-14]),),
        ],
        draw=small_or_large,
        wrong={
            "that is the function as it stands: 0/0 where all rewards are equal": (
                lambda rewards: (rewards - rewards.mean()) / rewards.std()
            ),
            "a small number below bends every advantage, most where rewards differ little; treat "
            "equal rewards apart": bent(),
            "the deviation here is that of the group, ddof 0": (
                lambda rewards: standardised(rewards, ddof=1)
            ),
            "the deviation is missing": lambda rewards: rewards - rewards.mean(),
            "the mean is to be subtracted first": (
                lambda rewards: rewards / (rewards.std() or np.inf)
            ),
        },
    ),
}
