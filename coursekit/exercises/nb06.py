"""Exercises of notebook 06: the interquartile mean, running means, one rate under three names."""

from __future__ import annotations

import numpy as np

from coursekit.checks import Exercise
from coursekit.exercises import draws


def running(returns, gain=lambda k: max(0.05, 1 / k), late=False):
    """The baselines used: before each return, or (wrong) after it."""
    b, used = 0.0, []
    for k, R in enumerate(returns, start=1):
        before, b = b, b + gain(k) * (R - b)
        used.append(b if late else before)
    return np.array(used)


def typical(lengths, gain=lambda k: max(0.05, 1 / k), late=False, first=np.inf):
    """The divisors used: read before each length, or (wrong) after it."""
    n_bar, used = first, []
    for k, n in enumerate(lengths, start=1):
        before, n_bar = n_bar, n if k == 1 else n_bar + gain(k) * (n - n_bar)
        used.append(n_bar if late else before)
    return np.array(used)


def trimmed(values, low, high):
    return np.sort(values)[low : len(values) - high].mean()


def interval(values, times=2, ddof=1, by=lambda v: np.sqrt(len(v))):
    error = np.std(values, ddof=ddof) / by(values)
    return np.mean(values) - times * error, np.mean(values) + times * error


EXERCISES = {
    "6.1": Exercise(
        solution=lambda values: trimmed(values, len(values) // 4, len(values) // 4),
        takes="values: list of n numbers, n ≥ 1",
        edges=lambda: [
            ([9.0, 1.0, 100.0, 4.0, 5.0, 2.0, 8.0, 6.0],),
            ([3.0, -8.0, 40.0, 1.0, 9.0],),
            ([5.0, 1.0, 40.0, 2.0, -7.0, 3.0, 8.0],),
            ([4, 1, 9],),
            ([2.0, 7.0],),
            ([6.0],),
            ([3.0, 3.0, 3.0, 1.0, 1.0, 90.0],),
        ],
        draw=lambda rng: (draws.numbers(rng, draws.length(rng, 1, 17)).tolist(),),
        wrong={
            "that is the mean of all: one lucky learner moves it": np.mean,
            "that is the median: it keeps one or two values, not the middle half": np.median,
            "sort first: it is the highest and the lowest that go": (
                lambda values: np.mean(values[len(values) // 4 : len(values) - len(values) // 4])
            ),
            "drop a quarter at each end, not only the highest": (
                lambda values: trimmed(values, 0, len(values) // 4)
            ),
        },
    ),
    "6.2": Exercise(
        solution=running,
        takes="returns: array (n,), whole numbers or floats, n ≥ 1",
        edges=lambda: [
            (np.array([10.0, 20.0, 60.0, 30.0]),),
            (np.arange(1.0, 40.0) ** 1.5,),
            (np.array([5, 1, 1, 8]),),
            (np.array([3.0]),),
            (np.arange(60.0) % 7 - 9,),
        ],
        draw=lambda rng: (draws.numbers(rng, draws.length(rng, 1, 50)),),
        wrong={
            "it looks into the future: this return is part of its own baseline": (
                lambda returns: running(returns, late=True)
            ),
            "an ordinary mean never forgets: the step is at least 0.05": (
                lambda returns: running(returns, lambda k: 1 / k)
            ),
            "with 0.05 from the start it takes twenty returns to wake up: use 1/k while larger": (
                lambda returns: running(returns, lambda k: 0.05)
            ),
        },
    ),
    "6.3": Exercise(
        solution=0.01,
        wrong={
            "the divisor 200 is in, the missing 1/B is not": 0.08,
            "the missing 1/B is in, the divisor is not": 0.00005,
            "he did not average, so his lr must be smaller by 8, not larger": 0.64,
            "that is the old rate: his update would be 8/200 of the other": 0.0004,
        },
    ),
    "6.4": Exercise(
        solution=lambda lengths: typical(lengths),
        takes="lengths: array (n,), whole numbers (also stored as floats), 1 or more",
        edges=lambda: [
            (np.array([10.0, 20.0, 60.0, 30.0]),),
            (np.arange(1, 60) ** 2 % 37 + 1,),
            (np.array([7.0]),),
            (np.array([8, 9, 9]),),
        ],
        draw=lambda rng: (draws.lengths(rng, draws.length(rng, 1, 50)),),
        wrong={
            "each is divided by a mean that contains its own length: that bends the direction": (
                lambda lengths: typical(lengths, late=True)
            ),
            "that is the episode's own length; it is not known beforehand": lambda lengths: lengths,
            "an ordinary mean never forgets: the step is at least 0.05": (
                lambda lengths: typical(lengths, lambda k: 1 / k)
            ),
            "before the first episode nothing is known: infinity, so that it moves nothing": (
                lambda lengths: typical(lengths, first=lengths[0])
            ),
        },
    ),
    "6.5": Exercise(
        solution=interval,
        takes="values: array (n,), whole numbers or floats, n ≥ 2",
        edges=lambda: [
            (np.array([1.0, 3.0, 8.0, 4.0]),),
            (np.array([2.0, 5.0]),),
            (np.array([7, 1, 1]),),
            (np.array([4.0, 4.0, 4.0]),),
        ],
        draw=lambda rng: (draws.numbers(rng, draws.length(rng, 2, 12)),),
        errors={
            "bit_length": "the module `statistics` knows Python's whole numbers, not NumPy's; "
            "NumPy's std has ddof=1",
        },
        wrong={
            "that is the function as it stands: the error of a mean shrinks with √n, not with n": (
                lambda values: interval(values, by=len)
            ),
            "that is where the values lie, two deviations; how sure is their mean?": (
                lambda values: interval(values, by=lambda v: 1.0)
            ),
            "one deviation of the mean to each side; two were asked for": (
                lambda values: interval(values, times=1)
            ),
            "the deviation is that of a sample: n − 1 (ddof=1)": (
                lambda values: interval(values, ddof=0)
            ),
            "low end first": lambda values: interval(values)[::-1],
        },
    ),
}
