"""Baselines and standardising: hand-made numbers, only the past is used, padding changes nothing.

B = 2 episodes of 3 and 1 steps or B = 3 of 2, 4 and 1; every expected number is written out.
"""

import re

import numpy as np
import pytest
import torch
from comparing import difference
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit import baselines

few = settings(max_examples=25, derandomize=True, deadline=None)
both_libraries = pytest.mark.parametrize(
    "array", [np.array, lambda x: torch.from_numpy(np.array(x))], ids=["numpy", "torch"]
)
every_baseline = pytest.mark.parametrize("name", sorted(baselines.BASELINES))
every_way = pytest.mark.parametrize("name", ["per_batch", "per_episode"])

WEIGHT = [[6.0, 2.0, -1.0], [4.0, 0.0, 0.0]]
MASK = [[True, True, True], [True, False, False]]
LATER = [[3.0, 5.0, 0.0, 0.0], [8.0, 7.0, -2.0, 9.0], [1.0, 0.0, 0.0, 0.0]]
LATER_MASK = [[True, True, False, False], [True] * 4, [True, False, False, False]]
# after the first batch: G_0 = 6, 4; then G_0 = 3, 8, 1 with gain 1/2
FIRST = {"none": [0, 0, 0, 0, 0], "running_mean": [5] * 5, "per_time_step": [5, 2, -1, 0, 0]}
SECOND = {
    "none": [0, 0, 0, 0, 0],
    "running_mean": [4.5] * 5,
    "per_time_step": [5 + (4 - 5) / 2, 2 + (6 - 2) / 2, -1 + (-2 + 1) / 2, 9, 0],
}


def ragged(lengths, seed, T=6):
    """Random weights, zero after each episode's end, and their mask."""
    mask = np.arange(T) < np.array(lengths)[:, None]
    return np.random.default_rng(seed).normal(2, 3, mask.shape) * mask, mask


lengths_strategy = st.lists(st.integers(1, 6), min_size=1, max_size=4)
batches_strategy = st.lists(lengths_strategy, min_size=1, max_size=5)

# --- Baselines.


@both_libraries
@every_baseline
def test_a_baseline_after_two_batches_is_what_it_is_by_hand(name, array):
    baseline = baselines.BASELINES[name]()
    np.testing.assert_array_equal(baseline.values(5), np.zeros(5))
    baseline.update(array(WEIGHT), array(MASK))
    np.testing.assert_allclose(baseline.values(5), FIRST[name], atol=1e-15)
    baseline.update(array(LATER), array(LATER_MASK))
    np.testing.assert_allclose(baseline.values(5), SECOND[name], atol=1e-15)
    np.testing.assert_array_equal(baseline.values(2), baseline.values(5)[:2])


@pytest.mark.parametrize("name", ["running_mean", "per_time_step"])
def test_the_gain_falls_as_one_over_k_to_a_twentieth_and_stays_there(name):
    baseline, b = baselines.BASELINES[name](), 0.0
    draws = np.random.default_rng(1).normal(3, 2, size=(40, 2))
    for k, pair in enumerate(draws, start=1):
        baseline.update(pair[:, None], np.ones((2, 1), dtype=bool))
        b += (1 / k if k < 20 else 0.05) * (pair.mean() - b)
        assert baseline.values(1)[0] == pytest.approx(b, abs=1e-12)
    assert abs(b - draws.mean()) > 1e-2  # with 1/k throughout it would be the mean of all


@every_baseline
def test_a_return_that_is_always_the_same_is_learned_at_once_and_kept(name):
    baseline, seen = baselines.BASELINES[name](), []
    for _ in range(30):
        baseline.update(np.full((3, 2), 7.0), np.ones((3, 2), dtype=bool))
        seen.append(baseline.values(2))
    np.testing.assert_array_equal(seen, np.full((30, 2), 0.0 if name == "none" else 7.0))


@few
@given(batches_strategy, st.integers(0, 99))
def test_per_time_step_is_the_mean_of_the_batch_means_of_those_that_reached_t(batches, seed):
    baseline, means = baselines.PerTimeStep(), [[] for _ in range(6)]
    for k, lengths in enumerate(batches):
        weight, mask = ragged(lengths, seed + k, T=max(lengths))
        baseline.update(weight, mask)
        for t in range(max(lengths)):
            means[t].append(
                np.mean([row[t] for row, n in zip(weight, lengths, strict=True) if n > t])
            )
    # fewer than twenty batches, so that the gain is 1/k_t: a plain mean over the batches
    by_hand = [np.mean(column) if column else 0.0 for column in means]
    np.testing.assert_allclose(baseline.values(6), by_hand, atol=1e-12)


@few
@given(batches_strategy, st.integers(0, 99))
def test_the_running_mean_reads_the_first_weight_of_each_episode_alone(batches, seed):
    baseline, means = baselines.RunningMean(), []
    for k, lengths in enumerate(batches):
        weight, mask = ragged(lengths, seed + k)
        means.append(weight[:, 0].mean())
        baseline.update(weight, mask)
        np.testing.assert_allclose(baseline.values(4), [np.mean(means)] * 4, atol=1e-12)


@few
@given(lengths_strategy, st.integers(0, 99), st.sampled_from(sorted(baselines.BASELINES)))
def test_padding_teaches_a_baseline_nothing_even_where_it_is_not_zero(lengths, seed, name):
    tight, loose = baselines.BASELINES[name](), baselines.BASELINES[name]()
    for k in range(2):
        weight, mask = ragged(lengths, seed + k, T=max(lengths))
        tight.update(weight, mask)
        more = ((0, 0), (0, 3))
        loose.update(np.pad(weight, more) + 50.0 * ~np.pad(mask, more), np.pad(mask, more))
    np.testing.assert_allclose(loose.values(9), tight.values(9), atol=1e-12)


@pytest.mark.parametrize("name", ["running_mean", "per_time_step"])
def test_values_taken_before_an_update_do_not_depend_on_its_batch(name):
    seen = []
    for batch in (WEIGHT, [[-60.0, 20.0, 1.0], [40.0, 0.0, 0.0]]):
        baseline = baselines.BASELINES[name]()
        baseline.update(np.array([[1.0, 3.0]]), np.array([[True, True]]))
        before = baseline.values(3)
        baseline.update(np.array(batch), np.array(MASK))
        seen.append((before.tolist(), baseline.values(3).tolist()))
    assert seen[0][0] == seen[1][0] != [0, 0, 0]  # not even through memory that is shared
    assert seen[0][1] != seen[1][1]


@every_baseline
def test_changing_the_values_or_the_weights_afterwards_changes_no_baseline(name):
    baseline, weight = baselines.BASELINES[name](), np.array(WEIGHT)
    baseline.update(weight, np.array(MASK))
    baseline.values(3)[:] = 99.0
    weight[:] = 99.0
    np.testing.assert_allclose(baseline.values(5), FIRST[name], atol=1e-15)


@every_baseline
def test_an_update_does_not_touch_its_batch(name):
    weight, mask = np.array(WEIGHT), np.array(MASK)
    baselines.BASELINES[name]().update(weight, mask)
    assert (weight.tolist(), mask.tolist()) == (WEIGHT, MASK)


def test_two_baselines_share_nothing():
    for kind in baselines.BASELINES.values():
        taught, fresh = kind(), kind()
        taught.update(np.array(WEIGHT), np.array(MASK))
        np.testing.assert_array_equal(fresh.values(3), np.zeros(3))


# --- Mutants: a baseline with one mistake, which the numbers by hand reject.


class UpdatedFirst(baselines.RunningMean):
    """Its values contain the batch that they will be subtracted from: one batch ahead."""

    def values(self, steps):
        return np.full(steps, 5.0) if not self.batches else super().values(steps)


class MeanOfAllWeights(baselines.RunningMean):
    def update(self, weight, mask):
        super().update(np.full(mask.shape, weight[mask].mean()), mask)


class PaddingCounts(baselines.PerTimeStep):
    def update(self, weight, mask):
        super().update(weight, np.ones_like(mask))


class OneCountForAllSteps(baselines.PerTimeStep):
    def update(self, weight, mask):
        self.batches = np.full(len(self.batches), self.batches.max(initial=0))
        missing = max(0, mask.shape[1] - len(self.means))
        self.means = np.pad(self.means, (0, missing))
        self.batches = np.pad(
            self.batches, (0, missing), constant_values=self.batches.max(initial=0)
        )
        super().update(weight, mask)


def from_the_hand(kind, name):
    baseline, seen = kind(), []
    for weight, mask in ((WEIGHT, MASK), (LATER, LATER_MASK)):
        seen.append(baseline.values(5))
        baseline.update(np.array(weight), np.array(mask))
    expected = [np.zeros(5), FIRST[name], SECOND[name]]
    return difference({"b": [*seen, baseline.values(5)]}, {"b": expected}, atol=1e-12)


@pytest.mark.parametrize(
    ("mutant", "name"),
    [
        (UpdatedFirst, "running_mean"),
        (MeanOfAllWeights, "running_mean"),
        (baselines.PerTimeStep, "running_mean"),
        (PaddingCounts, "per_time_step"),
        (OneCountForAllSteps, "per_time_step"),
        (baselines.RunningMean, "per_time_step"),
        (baselines.NoBaseline, "per_time_step"),
    ],
)
def test_the_numbers_by_hand_reject_a_baseline_with_one_mistake(mutant, name):
    assert not from_the_hand(baselines.BASELINES[name], name)
    assert from_the_hand(mutant, name)


# --- The typical length: before the first batch nothing is known, then means of batches.

BATCHES = [[10, 30], [50], [7, 8, 9]]
TYPICAL = [np.inf, 20.0, 35.0, 26.0]  # after none, one, two, three


def typical_from_the_hand(kind):
    length, seen = kind(), []
    for batch in BATCHES:
        seen.append(length.value)
        length.update(np.array(batch))
    return difference({"typical": [*seen, length.value]}, {"typical": TYPICAL}, atol=1e-12)


class KnowsItsBatch(baselines.TypicalLength):
    """Its value contains the batch that it will divide, from the first one on."""

    def __init__(self):
        super().__init__()
        self.update(BATCHES[0])


class NeverForgets(baselines.TypicalLength):
    def update(self, lengths):
        self.all = [*getattr(self, "all", []), *lengths]
        self.value = np.mean(self.all)


class LastBatch(baselines.TypicalLength):
    def update(self, lengths):
        self.value = np.mean(lengths)


@pytest.mark.parametrize("mutant", [KnowsItsBatch, NeverForgets, LastBatch])
def test_the_typical_length_is_that_by_hand_and_no_mutant_is(mutant):
    assert not typical_from_the_hand(baselines.TypicalLength)
    assert typical_from_the_hand(mutant)


def test_the_typical_length_is_a_running_mean_like_the_baseline_of_one_number():
    """Where the return is the length, over enough batches that the gain is at its smallest."""
    length, mean = baselines.TypicalLength(), baselines.RunningMean()
    for seed in range(30):
        mask = np.arange(50) < np.random.default_rng(seed).integers(1, 50, 3)[:, None]
        length.update(torch.from_numpy(mask.sum(1)))
        mean.update(np.repeat(mask.sum(1)[:, None], 50, axis=1) * mask, mask)
        assert length.value == pytest.approx(mean.mean, abs=1e-12)


@pytest.mark.parametrize("lengths", [[], [3, 0], [3, -1]])
def test_lengths_that_are_none_are_refused(lengths):
    with pytest.raises(ValueError, match=r"^lengths \[.*\] must be one or more, all above 0$"):
        baselines.TypicalLength().update(lengths)


# --- Standardising.

# Weights 6, 2, −1 and 4: means 7/3 and 4 an episode, 11/4 in all; deviations over n, not n − 1.
BY_HAND = {
    "per_episode": [[11, -1, -10], [0, 0, 0]] / np.sqrt([[222 / 3], [1]]),
    "per_batch": [[13, -3, -15], [5, 0, 0]] / np.sqrt((13**2 + 3**2 + 15**2 + 5**2) / 4),
}


@both_libraries
@every_way
def test_standardised_weights_are_what_they_are_by_hand(name, array):
    result = baselines.STANDARDISE[name](array(WEIGHT), array(MASK))
    np.testing.assert_allclose(result, BY_HAND[name], atol=1e-7)
    assert np.abs(np.asarray(result) - BY_HAND[name]).max() > 1e-12  # the 1e-8 is there
    np.testing.assert_array_equal(np.asarray(result)[1, 1:], [0, 0])


@both_libraries
@every_way
def test_weights_that_differ_by_little_are_standardised_like_any_others(name, array):
    result = baselines.STANDARDISE[name](array([[1001.0, 999.0]]), array([[True, True]]))
    np.testing.assert_allclose(result, [[1, -1]], rtol=1e-7)


@both_libraries
@every_way
def test_a_tiny_deviation_is_divided_by_itself_plus_1e_8(name, array):
    result = baselines.STANDARDISE[name](array([[3e-8, 1e-8]]), array([[True, True]]))
    np.testing.assert_allclose(result, [[0.5, -0.5]], rtol=1e-12)


@both_libraries
def test_none_hands_on_the_weights_as_they_are(array):
    weight = array(WEIGHT)
    assert baselines.STANDARDISE["none"](weight, array(MASK)) is weight


@few
@given(lengths_strategy, st.integers(0, 99), st.sampled_from(["per_batch", "per_episode"]))
def test_real_steps_have_mean_zero_and_deviation_one_and_padding_stays_zero(lengths, seed, name):
    weight, mask = ragged(lengths, seed)
    result = baselines.STANDARDISE[name](weight, mask)
    assert not result[~mask].any()
    for rows in (
        [mask]
        if name == "per_batch"
        else [mask & row[:, None] for row in np.eye(len(mask), dtype=bool)]
    ):
        assert result[rows].mean() == pytest.approx(0, abs=1e-12)
        spread = weight[rows].std()
        assert result[rows].std() == pytest.approx(spread / (spread + 1e-8), abs=1e-9)


@few
@given(lengths_strategy, st.integers(0, 99), st.sampled_from(["per_batch", "per_episode"]))
def test_padding_its_content_and_the_library_make_no_difference(lengths, seed, name):
    weight, mask = ragged(lengths, seed)
    result = baselines.STANDARDISE[name](weight, mask)
    tight = max(lengths)
    np.testing.assert_allclose(
        baselines.STANDARDISE[name](weight[:, :tight], mask[:, :tight]),
        result[:, :tight],
        atol=1e-12,
    )
    dirty = baselines.STANDARDISE[name](weight + 50.0 * ~mask, mask)
    np.testing.assert_allclose(dirty, result, atol=1e-12)
    in_torch = baselines.STANDARDISE[name](torch.from_numpy(weight), torch.from_numpy(mask))
    np.testing.assert_allclose(in_torch, result, atol=1e-12)


@few
@given(lengths_strategy, st.integers(0, 99), st.floats(0.5, 8), st.floats(-9, 9))
def test_a_shift_or_a_scale_of_the_weights_drops_out(lengths, seed, scale, shift):
    weight, mask = ragged(lengths, seed)
    for name in ("per_batch", "per_episode"):
        moved, result = (
            baselines.STANDARDISE[name](x, mask) for x in ((scale * weight + shift) * mask, weight)
        )
        np.testing.assert_allclose(moved, result, atol=1e-4)


def test_per_episode_is_per_batch_of_each_episode_alone_and_not_of_them_together():
    weight, mask = ragged([5, 2, 4], seed=3)
    alone = [baselines.per_batch(w[None], m[None])[0] for w, m in zip(weight, mask, strict=True)]
    np.testing.assert_allclose(baselines.per_episode(weight, mask), alone, atol=1e-12)
    assert np.abs(baselines.per_batch(weight, mask) - alone).max() > 0.1


@both_libraries
@every_way
@pytest.mark.parametrize("value", [0.1, -7.3, 1 / 3, 99.34290, 1e6, 0.0])
def test_equal_weights_give_exact_zeros_and_no_noise(name, array, value):
    mask = np.arange(7) < np.array([[7], [3], [6]])
    result = baselines.STANDARDISE[name](array(value * mask), array(mask))
    assert not np.asarray(result).any()


@both_libraries
@every_way
def test_one_step_alone_gives_zero_and_no_nan(name, array):
    result = baselines.STANDARDISE[name](array([[5.3, 0.0]]), array([[True, False]]))
    np.testing.assert_array_equal(result, [[0, 0]])


@every_way
def test_standardising_does_not_touch_the_weights(name):
    weight, mask = np.array(WEIGHT), np.array(MASK)
    baselines.STANDARDISE[name](weight, mask)
    assert (weight.tolist(), mask.tolist()) == (WEIGHT, MASK)


def with_fault(fault):
    """``per_batch`` written again, with room for one mistake."""

    def standardise(weight, mask):
        real = np.ones_like(mask) if fault == "padding counts" else mask
        count = real.sum()
        centred = (weight - (weight * real).sum() / count) * mask
        if fault == "not centred":
            centred = weight * mask
        if fault == "n - 1":
            count = count - 1
        variance = (centred**2).sum() / count
        if fault == "divided by the variance":
            return centred / (variance + 1e-8)
        if fault == "padding not zero":
            return (weight - (weight * mask).sum() / count) / (variance**0.5 + 1e-8)
        return centred / (variance**0.5 + 1e-8)

    return standardise


@pytest.mark.parametrize(
    "fault",
    ["padding counts", "not centred", "n - 1", "divided by the variance", "padding not zero"],
)
def test_the_numbers_by_hand_reject_a_standardising_with_one_mistake(fault):
    weight, mask = np.array(WEIGHT), np.array(MASK)
    assert np.allclose(with_fault(None)(weight, mask), BY_HAND["per_batch"], atol=1e-7)
    assert not np.allclose(with_fault(fault)(weight, mask), BY_HAND["per_batch"], atol=1e-7)


@pytest.mark.parametrize(
    "learn",
    [baselines.per_episode, baselines.per_batch]
    + [
        lambda w, m, kind=kind: kind().update(w, m)
        for kind in (baselines.RunningMean, baselines.PerTimeStep)
    ],
    ids=["per_episode", "per_batch", "running_mean", "per_time_step"],
)
@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((2, 2)), "weights have shape (2, 3) and mask (2, 2); both must end in the same"),
        (np.ones(3), "weights have shape (2, 3) and mask (3,); both must end in the same"),
        ([[1, 1, 0], [0, 0, 0]], "an episode is empty: lengths [2, 0]; leave it out"),
        (np.full((2, 3), 0.5), "the mask must be True or False at every step"),
    ],
)
def test_a_mask_that_does_not_fit_the_weights_is_refused(learn, mask, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        learn(np.array(WEIGHT), np.array(mask))


@every_way
def test_weights_and_mask_are_of_one_library(name):
    with pytest.raises(ValueError, match=r"mixed \(weights Tensor, mask ndarray\)"):
        baselines.STANDARDISE[name](torch.tensor(WEIGHT), np.array(MASK))


def test_without_the_guard_equal_weights_would_make_noise():
    mask = np.arange(7) < np.array([[7], [3], [6]])
    assert np.abs(with_fault(None)(1e9 / 3 * mask, mask)).max() > 0.1
    assert not baselines.per_batch(1e9 / 3 * mask, mask).any()


@pytest.mark.parametrize("name", ["per_episode", "per_batch"])
def test_what_stands_in_the_padding_does_not_matter_however_large(name):
    mask = np.array([[True, True, True], [True, True, False]])
    weight = np.array([[1.0, 2.0, 3.0], [1.0, 3.0, 1e15]])
    standardise = baselines.STANDARDISE[name]
    np.testing.assert_array_equal(standardise(weight, mask), standardise(weight * mask, mask))


@pytest.mark.parametrize("standardise", [baselines.per_episode, baselines.per_batch])
def test_small_differences_among_many_steps_are_no_rounding(standardise):
    weight = 1 + 1e-8 * np.random.default_rng(5).normal(size=(1, 1000))
    result = standardise(weight, np.ones_like(weight, dtype=bool))
    assert 0.4 < result.std() < 0.6  # 1e-8 is added to the deviation, which is 1e-8 itself
