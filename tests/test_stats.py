"""Statistics against numbers made by hand, and against the coverage that they promise."""

import re

import numpy as np
import pytest

from coursekit import stats

EIGHT = np.array([30.0, 1, 4, 9, 2, 100, 6, -50])  # sorted: −50 1 | 2 4 6 9 | 30 100


# The interquartile mean


@pytest.mark.parametrize(
    ("values", "by_hand"),
    [
        (EIGHT, (2 + 4 + 6 + 9) / 4),
        ([7, 1, 2, 100], (2 + 7) / 2),
        ([5, 1, 2, 100, 3], (2 + 3 + 5) / 3),  # ⌊5/4⌋ = 1 off each end
        ([8, 1, 2, 100, 3, 4, 5], (2 + 3 + 4 + 5 + 8) / 5),
        ([-5, -5, -5, -5], -5),
    ],
)
def test_the_interquartile_mean_is_that_made_by_hand(values, by_hand):
    assert stats.interquartile_mean(values) == pytest.approx(by_hand, abs=1e-12)


def test_mean_median_and_a_quarter_off_one_end_are_told_apart_by_the_eight_numbers():
    ours = stats.interquartile_mean(EIGHT)
    for mutant in (np.mean, np.median, lambda x: np.sort(x)[2:].mean(), lambda x: x[2:6].mean()):
        assert abs(mutant(EIGHT) - ours) > 0.2


def test_the_axis_is_the_one_asked_for():
    table = np.random.default_rng(0).normal(size=(5, 8))
    by_row = [np.sort(row)[2:6].mean() for row in table]
    by_column = [np.sort(column)[1:4].mean() for column in table.T]
    np.testing.assert_allclose(stats.interquartile_mean(table), by_row, atol=1e-12)
    np.testing.assert_allclose(stats.interquartile_mean(table, axis=0), by_column, atol=1e-12)


# Intervals


def by_hand(values, seed, level, resamples, statistic):
    """The percentile interval, one resample after the other."""
    rng, n = np.random.default_rng(seed), len(values)
    picks = rng.integers(0, n, (resamples, n))
    return np.quantile([statistic(values[i]) for i in picks], [(1 - level) / 2, (1 + level) / 2])


@pytest.mark.parametrize("level", [0.95, 0.5])
def test_the_interval_is_the_one_written_out(level):
    limits = stats.bootstrap_interval(EIGHT, 3, level=level, resamples=200)
    written = by_hand(EIGHT, 3, level, 200, lambda x: np.sort(x)[2:6].mean())
    np.testing.assert_allclose(limits, written, atol=1e-12)
    assert np.abs(by_hand(EIGHT, 4, level, 200, np.mean) - written).max() > 0.5


def test_nothing_said_is_95_percent_from_2000_resamples():
    values = np.random.default_rng(5).normal(size=12)  # no two resamples alike

    def written(resamples):
        return by_hand(values, 3, 0.95, resamples, lambda x: np.sort(x)[3:9].mean())

    np.testing.assert_allclose(stats.bootstrap_interval(values, 3), written(2000), atol=1e-12)
    found = stats.paired_difference(values, 0 * values, 3)
    np.testing.assert_allclose([found.low, found.high], written(2000), atol=1e-12)
    assert np.abs(written(2001) - written(2000)).max() > 1e-6


def test_another_statistic_can_be_asked_for():
    limits = stats.bootstrap_interval(EIGHT, 3, np.mean, resamples=200)
    np.testing.assert_allclose(limits, by_hand(EIGHT, 3, 0.95, 200, np.mean), atol=1e-12)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    first, again, other = (stats.bootstrap_interval(EIGHT, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_band_is_the_interval_of_each_point_and_small_batches_change_nothing(monkeypatch):
    curves = np.random.default_rng(1).normal(size=(9, 3)).cumsum(axis=1)  # n = 9 learners
    band = stats.bootstrap_interval(curves, 5, axis=0, resamples=300)
    assert band.low.shape == (3,)
    for u in range(3):
        point = stats.bootstrap_interval(curves[:, u], 5, resamples=300)
        np.testing.assert_allclose([band.low[u], band.high[u]], point, atol=1e-12)
    for few in (40, 1):  # less than one resample holds: it is still taken whole
        monkeypatch.setattr(stats, "AT_ONCE", few)
        again = stats.bootstrap_interval(curves, 5, axis=0, resamples=300)
        np.testing.assert_allclose(again, band, atol=1e-12)


def test_values_that_are_all_alike_have_an_interval_of_no_width():
    assert stats.bootstrap_interval([2.5] * 6, 0) == (2.5, 2.5)
    assert stats.paired_difference([2.5] * 6, [1.5] * 6, 0) == (1, 1, 1)


def covered(level, claimed, sets=300, n=32, seed=0):
    """How many of many samples around 10 have 10 in an interval taken at ``level``."""
    samples = 10 + np.random.default_rng(seed).normal(size=(sets, n))
    low, high = stats.bootstrap_interval(samples, seed, level=level, resamples=400)
    share = np.mean((low <= 10) & (high >= 10))
    return abs(share - claimed) < 4 * np.sqrt(claimed * (1 - claimed) / sets)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_interval_covers_the_truth_as_often_as_it_says(seed):
    assert covered(0.95, 0.95, seed=seed)
    assert covered(0.6, 0.6, seed=seed)


@pytest.mark.parametrize("mutant", [0.8, 0.9999])
def test_coverage_tells_an_interval_that_is_too_narrow_or_too_wide(mutant):
    assert not covered(mutant, 0.95 if mutant < 0.95 else 0.6)


# Pairs


def pairs(n=40, difference=0.3, seed=0):
    """Two arms whose seeds matter ten times as much as what is compared."""
    rng = np.random.default_rng(seed)
    shared = 10 * rng.normal(size=n)
    return shared + difference + 0.1 * rng.normal(size=n), shared


def test_the_difference_is_that_of_the_two_statistics():
    a, b = EIGHT, EIGHT[::-1] * 2 + 1
    found = stats.paired_difference(a, b, 0, resamples=50)
    assert found.difference == pytest.approx(5.25 - (2 * 5.25 + 1), abs=1e-12)
    assert stats.paired_difference(b, a, 0, resamples=50).difference == -found.difference


def test_the_interval_of_a_difference_draws_both_arms_together():
    a, b = EIGHT, np.array([3.0, 1, 4, 1, 5, 9, 2, 6])
    found = stats.paired_difference(a, b, 7, np.mean, resamples=300)
    together = by_hand(a - b, 7, 0.95, 300, np.mean)  # for the mean, and for it alone
    np.testing.assert_allclose(found[1:], together, atol=1e-12)


def test_pairing_finds_a_difference_that_the_seeds_would_hide():
    a, b = pairs()
    found = stats.paired_difference(a, b, 0, np.mean)
    assert 0.2 < found.low < 0.3 < found.high < 0.4
    shuffled = stats.paired_difference(a, np.roll(b, 1), 0, np.mean)  # the mutant: no pairs
    assert shuffled.low < 0 < shuffled.high


# Bad input


@pytest.mark.parametrize(
    "call",
    [
        lambda x: stats.interquartile_mean(x),
        lambda x: stats.bootstrap_interval(x, 0),
        lambda x: stats.paired_difference(x, EIGHT, 0),
        lambda x: stats.paired_difference(EIGHT, x, 0),
    ],
)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, 3], "values of shape (3,) have fewer than 4 along axis -1; run at least 4 seeds"),
        ([], "values of shape (0,) have fewer than 4"),
        (3.0, "values of shape () have fewer than 4"),
        ([1, 2, np.nan, 4, 5, np.nan, 7, 8], "2 of 8 values are NaN"),
        ([1, 2, np.inf, 4, 5, 6, 7, 8], "1 of 8 values are NaN or infinite"),
        (None, "values None must be a number or an array of numbers"),
        ("abcd", "values 'abcd' must be a number or an array of numbers"),
        ([1, 2, 3, "4"], "values [1, 2, 3, '4'] must be a number or an array of numbers"),
    ],
)
def test_too_few_values_or_a_nan_are_refused(call, values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call(values)


@pytest.mark.parametrize(("shape", "axis"), [((3, 5), 0), ((5, 3), -1)])
def test_too_few_values_along_the_axis_are_refused_however_many_there_are(shape, axis):
    with pytest.raises(ValueError, match=rf"have fewer than 4 along axis {axis}; run at least 4"):
        stats.interquartile_mean(np.ones(shape), axis=axis)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, float("nan")])
def test_a_level_outside_0_and_1_is_refused(level):
    for call in (
        lambda: stats.bootstrap_interval(EIGHT, 0, level=level),
        lambda: stats.paired_difference(EIGHT, EIGHT, 0, level=level),
    ):
        with pytest.raises(ValueError, match=rf"level {level} is outside \(0, 1\)"):
            call()


@pytest.mark.parametrize("level", ["0.95", None, True])
def test_a_level_that_is_no_number_is_refused(level):
    with pytest.raises(ValueError, match=f"level {level!r} must be a number"):
        stats.bootstrap_interval(EIGHT, 0, level=level)


@pytest.mark.parametrize("seed", [-1, 1.5, None, "x", np.random.default_rng(0)])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ValueError, match=re.escape(f"seed {seed!r} must be a whole number, 0 or")):
        stats.bootstrap_interval(EIGHT, seed)


@pytest.mark.parametrize("resamples", [2.5, "9", True, -1])
def test_a_number_of_resamples_that_is_none_is_refused(resamples):
    with pytest.raises(ValueError, match=f"resamples {resamples!r} must be a whole number"):
        stats.bootstrap_interval(EIGHT, 0, resamples=resamples)


@pytest.mark.parametrize("statistic", ["mean", None])
def test_a_statistic_that_is_no_function_is_refused(statistic):
    with pytest.raises(ValueError, match=f"statistic {statistic!r} must be a function"):
        stats.bootstrap_interval(EIGHT, 0, statistic)


def test_arms_of_unequal_length_are_refused_with_both_shapes():
    with pytest.raises(ValueError, match=r"shapes \(8,\) and \(7,\); pairs need"):
        stats.paired_difference(EIGHT, EIGHT[:-1], 0)
    with pytest.raises(ValueError, match=r"shapes \(2, 4\) and \(2, 4\)"):
        stats.paired_difference(EIGHT.reshape(2, 4), EIGHT.reshape(2, 4), 0)


def test_no_resample_at_all_is_refused():
    with pytest.raises(ValueError, match="resamples 0 must be a whole number, 1 or more"):
        stats.bootstrap_interval(EIGHT, 0, resamples=0)


# Sliding windows


def test_the_standard_error_of_an_interquartile_mean_is_the_one_by_hand_and_the_bootstraps():
    # −50 1 | 2 4 6 9 | 30 100: the two at each end become 2 and 9
    by_hand = np.std([2, 2, 2, 4, 6, 9, 9, 9], ddof=1) / (0.5 * 8**0.5)
    assert stats.trimmed_error(EIGHT) == pytest.approx(by_hand, rel=1e-12)
    assert stats.trimmed_error(np.stack([EIGHT, 2 * EIGHT], 1), axis=0)[1] == 2 * by_hand
    values = np.random.default_rng(8).standard_t(3, 400)
    low, high = stats.bootstrap_interval(values, 0, level=0.6827)
    assert stats.trimmed_error(values) == pytest.approx((high - low) / 2, rel=0.1)
    for mutant in (values.std() / 20, stats.trimmed_error(values) / 2):  # no trimming; 1 − 2γ lost
        assert mutant != pytest.approx((high - low) / 2, rel=0.1)
    with pytest.raises(ValueError, match="fewer than 4"):
        stats.trimmed_error([1, 2, 3])


def test_a_sliding_window_on_hand_made_numbers():
    x = np.array([8.0, 1.0, 2.0, 4.0, 16.0])
    y = np.array([40.0, 10.0, 20.0, 30.0, 0.0])
    middle, mean, low, high = stats.sliding(x, y, 4)
    np.testing.assert_allclose(middle, [64 ** (1 / 4), 1024 ** (1 / 4)])
    np.testing.assert_allclose(mean, [25.0, 25.0])  # of 10 20 30 40, of 20 30 40 0: the middle two
    np.testing.assert_allclose(low, [17.5, 15.0])
    np.testing.assert_allclose(high, [32.5, 32.5])


@pytest.mark.parametrize(
    ("x", "y", "window"),
    [
        ([1, 2, 3, 4, 5], [1, 2, 3, 4], 4),
        ([1, 2, 3, 4], [1, 2, 3, 4], 5),
        ([0, 1, 2, 3], [1] * 4, 4),
        ([1, 2, 3, 4], [1] * 4, 3),
        ([1, 2, 3, 4], [1] * 4, "4"),
        ([1, 2, 3, 4], [1] * 4, 4.0),
        (np.ones((4, 4)), np.ones((4, 4)), 4),
    ],
)
def test_a_window_that_does_not_fit_is_refused(x, y, window):
    with pytest.raises(ValueError, match="window of"):
        stats.sliding(np.array(x), np.array(y), window)
