"""What many learners say together: a middle, its interval, a difference.

``n`` is the number of independent values (learners, seeds). All intervals are percentile bootstrap
intervals (Efron & Tibshirani 1993, ch. 13) by ``scipy.stats.bootstrap``; each takes a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from coursekit import guards

Array = np.ndarray
Statistic = Callable[..., Array]
FEWEST = 4
AT_ONCE = 4_000_000  # numbers that one batch of resamples holds: 32 MB


class Interval(NamedTuple):
    """From ``low`` to ``high``: numbers, or arrays where many statistics were taken at once."""

    low: Array
    high: Array


class Difference(NamedTuple):
    """``difference`` = statistic(a) − statistic(b), with its interval."""

    difference: float
    low: float
    high: float


def interquartile_mean(values: Array, axis: int = -1) -> Array:
    """The mean of the middle half: sorted, without the ⌊n/4⌋ lowest and the ⌊n/4⌋ highest.

    Where n is no multiple of 4 whole values stay (5 of 7, say): ``scipy.stats.trim_mean`` at .25,
    no fractional weights. (…, n) -> (…); ValueError for n < 4 (it would be the mean) and for NaN.
    Agarwal et al. 2021, section 4.3.
    """
    from scipy import stats  # here, since it takes a second to load

    return stats.trim_mean(checked(values, axis), 0.25, axis=axis)


def trimmed_error(values: Array, axis: int = -1) -> Array:
    """The standard error of ``interquartile_mean``: s_w / ((1 − 2g/n) √n), (…, n) -> (…).

    g = ⌊n/4⌋; s_w is the standard deviation after each of the g values cut off at an end has been
    replaced by the nearest one that is kept. ValueError as there. Tukey & McLaughlin 1963.
    """
    kept = np.sort(np.moveaxis(checked(values, axis), axis, -1), axis=-1)
    n = kept.shape[-1]
    g = n // 4
    kept = np.clip(kept, kept[..., g, None], kept[..., n - 1 - g, None])
    return kept.std(-1, ddof=1) / ((1 - 2 * g / n) * np.sqrt(n))


def sliding(x: Array, y: Array, window: int) -> tuple[Array, Array, Array, Array]:
    """y against x, smoothed: interquartile mean and quartiles of each ``window`` neighbours in x.

    (n,), (n,) -> the windows' middles in x (geometric means: x > 0), interquartile means, lower and
    upper quartiles, each (n − window + 1,). ValueError: a window that does not fit, x ≤ 0.
    """
    x, y = checked(x, -1), checked(y, -1)
    whole = guards.is_whole(window) and x.ndim == 1
    if not whole or x.shape != y.shape or not FEWEST <= window <= len(x) or not (x > 0).all():
        raise ValueError(
            f"x and y of shapes {x.shape}, {y.shape} with a window of {window}: give two lists of "
            f"one length, x above 0, and a window from {FEWEST} to that length"
        )
    order = np.argsort(x)
    x, y = (np.lib.stride_tricks.sliding_window_view(v[order], window) for v in (x, y))
    low, high = np.quantile(y, [0.25, 0.75], axis=1)
    return np.exp(np.log(x).mean(1)), interquartile_mean(y), low, high


def bootstrap_interval(
    values: Array,
    seed: int,
    statistic: Statistic = interquartile_mean,
    level: float = 0.95,
    resamples: int = 2000,
    axis: int = -1,
) -> Interval:
    """The ``level`` interval of ``statistic``; (…, n) -> two arrays (…).

    A resample draws n whole learners with replacement, the same ones at every other index, so that
    a learning curve (n, U) with ``axis=0`` gets its band in one call. ``statistic(values, axis=…)``
    must accept an axis. ValueError: n < 4, NaN, level outside (0, 1), resamples < 1.
    """
    values = np.moveaxis(checked(values, axis), axis, -1)
    return Interval(*bootstrap((values,), statistic, seed, level, resamples))


def paired_difference(
    a: Array,
    b: Array,
    seed: int,
    statistic: Statistic = interquartile_mean,
    level: float = 0.95,
    resamples: int = 2000,
) -> Difference:
    """statistic(a) − statistic(b) of two arms on the same seeds, a[i] and b[i] drawn together.

    (n,), (n,) -> three numbers. What the pairs share cancels, so that the interval is narrower than
    that of unpaired arms. ValueError: lengths that differ, and as for ``bootstrap_interval``.
    """
    a, b = checked(a, -1), checked(b, -1)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(
            f"a and b have shapes {a.shape} and {b.shape}; pairs need two lists of one length, "
            "a[i] and b[i] from the same seed"
        )
    low, high = bootstrap((a, b), partial(gap, statistic), seed, level, resamples)
    return Difference(float(gap(statistic, a, b)), float(low), float(high))


def gap(statistic: Statistic, a: Array, b: Array, axis: int = -1) -> Array:
    """statistic(a) − statistic(b), (…, n) -> (…)."""
    return statistic(a, axis=axis) - statistic(b, axis=axis)


def bootstrap(
    samples: tuple[Array, ...], statistic: Statistic, seed: int, level: float, resamples: int
) -> tuple[Array, Array]:
    """Percentile limits of statistic(*samples), resampled along the last axis, in pairs.

    ValueError for a level outside (0, 1), for no resamples, for a statistic that is no function.
    """
    from scipy import stats

    guards.number("level", level)
    if not 0 < level < 1:
        raise ValueError(f"level {level} is outside (0, 1); 0.95 is the usual one")
    guards.count("resamples", resamples)
    if not callable(statistic):
        raise ValueError(f"statistic {statistic!r} must be a function of (values, axis): np.mean")
    found = stats.bootstrap(
        samples,
        statistic,
        n_resamples=resamples,
        batch=max(1, AT_ONCE // samples[0].size),
        vectorized=True,
        paired=True,
        axis=-1,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(guards.checked_seed(seed)),
    )
    return tuple(found.confidence_interval)


def checked(values: Array, axis: int) -> Array:
    """``values`` as float64; ValueError where they are too few along ``axis`` or are not finite."""
    values = guards.reals("values", values)
    if values.ndim == 0 or values.shape[axis] < FEWEST:
        raise ValueError(
            f"values of shape {values.shape} have fewer than {FEWEST} along axis {axis}; "
            f"run at least {FEWEST} seeds"
        )
    if bad := int((~np.isfinite(values)).sum()):
        raise ValueError(f"{bad} of {values.size} values are NaN or infinite")
    return values
