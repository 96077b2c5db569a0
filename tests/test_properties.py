"""Any input within reason: the right number, by the slow and clear version, or a sentence.

Lengths 1 to 500, rewards up to ±1e30, γ at its ends. Fractions are exact, so a tolerance is that of
floating point and no more.
"""

import dataclasses
import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit import experiments, losses, stats, tokens, train

quick = settings(max_examples=40, deadline=None, derandomize=True)
sizes = st.floats(-1e30, 1e30, allow_subnormal=False)
gammas = st.one_of(st.sampled_from([0.0, 1.0, 1e-300, np.nextafter(1.0, 0.0)]), st.floats(0, 1))


def batch(lengths, extra, seed, scale):
    """Values and a mask (B, T): real steps first, T the longest length and ``extra``."""
    mask = np.arange(max(lengths) + extra) < np.array(lengths)[:, None]
    return np.random.default_rng(seed).normal(size=mask.shape) * scale * mask, mask


batches = st.builds(
    batch,
    st.lists(st.integers(1, 500), min_size=1, max_size=6),
    st.integers(0, 9),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1.0, 1e-30, 1e30]),
)


@quick
@given(st.lists(sizes, min_size=1, max_size=40), gammas)
def test_returns_are_those_of_exact_fractions(rewards, gamma):
    G = losses.reward_to_go(np.array(rewards), gamma)
    exact, size = Fraction(0), Fraction(0)
    for t in reversed(range(len(rewards))):
        exact = Fraction(rewards[t]) + Fraction(gamma) * exact
        size = abs(Fraction(rewards[t])) + Fraction(gamma) * size  # rounding is in units of this
        assert abs(Fraction(float(G[t])) - exact) <= size * Fraction(1e-14) + Fraction(1e-300)


@quick
@given(st.integers(1, 500), sizes, st.sampled_from([0.0, 1.0]))
def test_returns_at_the_ends_of_gamma_are_known_for_every_length(n, reward, gamma):
    G = losses.reward_to_go(np.full(n, reward), gamma)
    steps = np.arange(n, 0, -1) if gamma else np.ones(n)
    np.testing.assert_allclose(G, steps * reward, rtol=1e-12)


@quick
@given(batches, gammas)
def test_padding_stays_zero_and_changes_no_return(given_, gamma):
    rewards, mask = given_
    G = losses.reward_to_go(rewards, gamma)
    assert not G[~mask].any()
    for row, real, whole in zip(rewards, mask, G, strict=True):
        np.testing.assert_array_equal(losses.reward_to_go(row[real], gamma), whole[real])


@quick
@given(batches)
def test_step_losses_are_zero_outside_the_mask_whatever_stands_there(given_):
    values, mask = given_
    logp, weight = -np.abs(values) - 1, values + 3.0  # neither is zero in the padding
    result = losses.step_losses(logp, weight, mask)
    assert not result[~mask].any()
    np.testing.assert_array_equal(result[mask], (-logp * weight)[mask])


def slow(name, values, mask):
    """A reduction by plain loops and math.fsum, one episode at a time."""
    each = [math.fsum(row[real]) for row, real in zip(values, mask, strict=True)]
    n = [int(real.sum()) for real in mask]
    if name == "step_mean":
        return math.fsum(values[mask]) / sum(n)
    if name == "episode_mean":
        each = [total / k for total, k in zip(each, n, strict=True)]
    return math.fsum(each) / len(n)


@quick
@given(batches, st.sampled_from(["sum", "step_mean", "episode_mean"]))
def test_a_reduction_is_a_plain_loop_at_every_size(given_, name):
    values, mask = given_
    size = slow(name, np.abs(values), mask)  # what cancels leaves rounding of this size
    result = losses.REDUCTIONS[name](values, mask)
    assert abs(float(result) - slow(name, values, mask)) <= 1e-12 * size


@quick
@given(batches, st.integers(1, 40))
def test_one_number_divides_all_of_the_constant_reduction(given_, divisor):
    values, mask = given_
    result = losses.constant(values, mask, divisor=float(divisor))
    expected = slow("sum", values, mask) / divisor
    assert abs(float(result) - expected) <= 1e-12 * slow("sum", np.abs(values), mask)


@quick
@given(batches)
def test_token_reductions_are_plain_loops(given_):
    values, mask = given_
    total, size = math.fsum(values[mask]), math.fsum(np.abs(values[mask]))
    assert abs(float(tokens.token_sum(values, mask)) - total) <= 1e-12 * size
    pools = [(values[i : i + 1], mask[i : i + 1]) for i in range(len(mask))]
    for pool in (1, len(mask)):
        if pool == len(mask):
            pools = [(values, mask)]
        by_loop = math.fsum(math.fsum(v[m]) / m.sum() for v, m in pools) / len(pools)
        assert abs(float(tokens.pool_mean(values, mask, pool)) - by_loop) <= 1e-12 * size


@quick
@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_gamma_is_served_or_refused_by_what_it_is(gamma):
    if 0 <= gamma <= 1:
        assert np.isfinite(losses.reward_to_go(np.ones(3), gamma)).all()
    else:
        with pytest.raises(ValueError, match=f"gamma {re.escape(repr(gamma))}"):
            losses.reward_to_go(np.ones(3), gamma)


@quick
@given(
    st.lists(st.sampled_from(["sum", "step_mean", "constant"]), min_size=1, max_size=3),
    st.lists(st.floats(1e-6, 10), min_size=1, max_size=4),
)
def test_a_grid_is_every_combination_in_order(names, rates):
    base = train.Config()
    made = experiments.grid(base, reduction=names, lr=rates)
    one_by_one = [dataclasses.replace(base, reduction=n, lr=r) for n in names for r in rates]
    assert list(made) == one_by_one


@quick
@given(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=64))
def test_the_interquartile_mean_lies_in_the_middle_half(values):
    middle = stats.interquartile_mean(np.array(values))
    low, high = np.quantile(values, [0.25, 0.75], method="lower"), max(values)
    spread = 1e-9 * (1 + max(map(abs, values)))
    assert low.min() - spread <= middle <= high + spread
