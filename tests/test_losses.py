"""Returns, step losses and reductions, on NumPy and torch, by hand and by plain loops."""

import re
from functools import partial
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit import bugs, losses

few = settings(max_examples=25, derandomize=True, deadline=None)
both_libraries = pytest.mark.parametrize(
    "array", [np.array, lambda x: torch.from_numpy(np.array(x))], ids=["numpy", "torch"]
)
every_reduction = pytest.mark.parametrize("name", sorted(losses.REDUCTIONS))
reals = st.floats(-9, 9)

# Two episodes of 3 and 1 steps, padded to 4: B = 2, T = 4.
LOSSES = [[1.0, 2.0, -4.0, 0.0], [5.0, 0.0, 0.0, 0.0]]
MASK = [[True, True, True, False], [True, False, False, False]]
BY_HAND = {
    "sum": (1 + 2 - 4 + 5) / 2,
    "episode_mean": (-1 / 3 + 5 / 1) / 2,
    "step_mean": (1 + 2 - 4 + 5) / (3 + 1),
    "constant": (1 + 2 - 4 + 5) / 2 / 100,
    "typical": (1 + 2 - 4 + 5) / 2 / 20,
    "tilt": (-1 * 20 / 3 + 5 * 20 / 1) / 2,
}


@both_libraries
@every_reduction
def test_leading_axes_are_batches_of_their_own_however_many(array, name):
    rng = np.random.default_rng(8)
    mask = np.arange(4) < rng.integers(1, 5, (2, 3, 5))[..., None]
    step_losses = rng.normal(size=mask.shape) * mask
    reduce = losses.REDUCTIONS[name]
    more = {"divisor": 7.0} if name == "constant" else {"length": 7.0} if name == "typical" else {}
    whole = reduce(array(step_losses), array(mask), **more)
    for i, j in np.ndindex(2, 3):
        alone = reduce(array(step_losses[i, j]), array(mask[i, j]), **more)
        assert float(whole[i, j]) == pytest.approx(float(alone), abs=1e-14)


def padded(rng, lengths, T):
    """Random step losses, zero after each episode's end, and their mask."""
    mask = np.arange(T) < np.array(lengths)[:, None]
    return rng.normal(size=mask.shape) * mask, mask


lengths_strategy = st.lists(st.integers(1, 6), min_size=1, max_size=4)


@both_libraries
def test_reward_to_go_is_the_worked_example(array):
    returns = losses.reward_to_go(array([0.0, 0.0, 1.0, -2.0, 3.0]), 0.95)
    by_hand = [1.63126875, 1.717125, 1.8075, 0.85, 3.0]
    np.testing.assert_allclose(returns, by_hand, atol=1e-14)
    np.testing.assert_array_equal(np.round(np.asarray(returns), 2), [1.63, 1.72, 1.81, 0.85, 3])


@few
@given(st.lists(reals, min_size=1, max_size=7), st.floats(0, 1))
def test_reward_to_go_is_the_double_sum_and_the_same_in_both_libraries(rewards, gamma):
    n = len(rewards)
    brute = [sum(gamma ** (k - t) * rewards[k] for k in range(t, n)) for t in range(n)]
    np.testing.assert_allclose(losses.reward_to_go(np.array(rewards), gamma), brute, atol=1e-12)
    in_torch = losses.reward_to_go(torch.tensor(rewards, dtype=torch.float64), gamma)
    np.testing.assert_allclose(in_torch, brute, atol=1e-12)


@few
@given(lengths_strategy, st.integers(0, 99), st.floats(0, 1))
def test_padding_changes_no_return_and_stays_zero(lengths, seed, gamma):
    rewards, mask = padded(np.random.default_rng(seed), lengths, T=7)
    returns = losses.reward_to_go(rewards, gamma)
    assert not returns[~mask].any()
    for row, n in enumerate(lengths):
        alone = losses.reward_to_go(rewards[row, :n], gamma)
        np.testing.assert_allclose(returns[row, :n], alone, atol=1e-14)


def test_returns_do_not_touch_the_rewards_they_are_made_from():
    rewards = np.array([[1.0, -2.0, 4.0]])
    for weight in losses.WEIGHTS.values():
        weight(rewards, 0.5)
    np.testing.assert_array_equal(rewards, [[1, -2, 4]])


def test_integer_rewards_give_returns_with_fractions():
    np.testing.assert_allclose(losses.reward_to_go(np.array([1, 2, 3]), 0.5), [2.75, 3.5, 3])


@both_libraries
def test_the_whole_return_stands_at_every_step(array):
    rewards = array([[[1.0, -2.0, 4.0], [0.5, 8.0, 0.0]]])
    by_hand = [[[1 - 1 + 1] * 3, [0.5 + 4] * 3]]
    np.testing.assert_allclose(losses.whole_return(rewards, 0.5), by_hand, atol=1e-15)


def test_the_weights_that_a_setting_may_name_are_these_two():
    rewards = np.array([[3.0, -1.0]])
    named = {name: weight(rewards, 0.5).tolist() for name, weight in losses.WEIGHTS.items()}
    assert named == {"reward_to_go": [[2.5, -1.0]], "whole_return": [[2.5, 2.5]]}


@both_libraries
@pytest.mark.parametrize("weight", list(losses.WEIGHTS.values()))
@pytest.mark.parametrize("gamma", [-0.01, 1.5, float("nan"), float("inf")])
def test_gamma_outside_zero_to_one_is_refused(array, weight, gamma):
    with pytest.raises(ValueError, match=rf"gamma {gamma} is outside \[0, 1\]"):
        weight(array([[1.0, 2.0]]), gamma)


@both_libraries
@pytest.mark.parametrize("weight", list(losses.WEIGHTS.values()))
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_reward_that_is_no_number_is_refused(array, weight, bad):
    with pytest.raises(ValueError, match=r"(?s)rewards hold a NaN or an infinity: .*(nan|inf)"):
        weight(array([[1.0, bad, 2.0]]), 0.9)


@pytest.mark.parametrize("rewards", [[1.0, 2.0], 3.0, None, np.array(1.0), np.zeros((2, 0))])
def test_rewards_that_are_no_array_over_time_are_refused(rewards):
    for weight in losses.WEIGHTS.values():
        with pytest.raises(
            ValueError, match=r"rewards must be an array or a tensor \(…, T\)"
        ) as said:
            weight(rewards, 0.9)
        assert repr(rewards) in str(said.value)


@pytest.mark.parametrize("gamma", ["0.9", None, True, [0.9], torch.tensor(0.9)])
def test_a_gamma_that_is_no_number_is_refused(gamma):
    with pytest.raises(ValueError, match=re.escape(f"gamma {gamma!r} must be a number")):
        losses.reward_to_go(np.ones(3), gamma)


@both_libraries
def test_step_losses_are_minus_logp_times_weight_and_zero_in_padding(array):
    logp = array([[-0.5, -2.0, -0.1, -0.7], [-1.5, -0.2, -0.3, -0.4]])
    weight = array([[3.0, -1.0, 2.0, 9.0], [4.0, 9.0, 9.0, 9.0]])
    result = losses.step_losses(logp, weight, array(MASK))
    by_hand = [[1.5, -2.0, 0.2, 0], [6.0, 0, 0, 0]]
    np.testing.assert_allclose(result, by_hand, atol=1e-15)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_step_losses_of_shapes_that_disagree_are_refused(which):
    parts = [np.ones((3, 2)), np.ones((3, 2)), np.ones((3, 2), dtype=bool)]
    parts[which] = parts[which].T
    with pytest.raises(ValueError, match=r"disagree in their last two axes.*\(2, 3\)"):
        losses.step_losses(*parts)


@both_libraries
@every_reduction
def test_a_reduction_is_what_it_is_by_hand(array, name):
    value = losses.REDUCTIONS[name](array(LOSSES), array(MASK))
    assert float(value) == pytest.approx(BY_HAND[name], abs=1e-14)


@few
@given(lengths_strategy, st.integers(0, 99))
def test_reductions_are_plain_loops_over_episodes_and_steps(lengths, seed):
    values, mask = padded(np.random.default_rng(seed), lengths, T=6)
    B, N = len(lengths), sum(lengths)
    loops = dict.fromkeys(losses.REDUCTIONS, 0.0)
    for i, n in enumerate(lengths):
        for t in range(n):
            loops["sum"] += values[i, t] / B
            loops["episode_mean"] += values[i, t] / n / B
            loops["step_mean"] += values[i, t] / N
            loops["constant"] += values[i, t] / 100 / B
            loops["typical"] += values[i, t] / 20 / B
            loops["tilt"] += values[i, t] * 20 / n / B
    for name, reduce in losses.REDUCTIONS.items():
        assert float(reduce(values, mask)) == pytest.approx(loops[name], abs=1e-12)
        in_torch = reduce(torch.from_numpy(values), torch.from_numpy(mask))
        assert float(in_torch) == pytest.approx(loops[name], abs=1e-12)


@few
@given(lengths_strategy, st.integers(0, 99))
def test_more_padding_and_another_order_of_episodes_change_no_reduction(lengths, seed):
    rng = np.random.default_rng(seed)
    values, mask = padded(rng, lengths, T=6)
    wide, wide_mask = (np.pad(x, [(0, 0), (0, 3)]) for x in (values, mask))
    order = rng.permutation(len(lengths))
    for reduce in losses.REDUCTIONS.values():
        once = reduce(values, mask)
        assert reduce(wide, wide_mask) == pytest.approx(once, abs=1e-12)
        assert reduce(values[order], mask[order]) == pytest.approx(once, abs=1e-12)


@few
@given(st.integers(1, 6), st.integers(0, 99))
def test_for_one_episode_the_step_mean_is_the_episode_mean_and_n_times_less_than_the_sum(n, seed):
    values, mask = padded(np.random.default_rng(seed), [n], T=6)
    mean = losses.episode_mean(values, mask)
    assert losses.step_mean(values, mask) == pytest.approx(mean, abs=1e-15)
    assert losses.sum_(values, mask) == pytest.approx(n * mean, abs=1e-13)


def test_with_unequal_lengths_no_two_reductions_agree():
    values = [reduce(np.array(LOSSES), np.array(MASK)) for reduce in losses.REDUCTIONS.values()]
    assert min(abs(a - b) for a, b in combinations(values, 2)) > 0.05


def test_with_equal_lengths_both_means_are_the_sum_over_that_length():
    values, mask = padded(np.random.default_rng(0), [3, 3, 3, 3, 3], T=3)
    total = losses.sum_(values, mask)
    assert losses.episode_mean(values, mask) == pytest.approx(total / 3, abs=1e-15)
    assert losses.step_mean(values, mask) == pytest.approx(total / 3, abs=1e-15)


@every_reduction
def test_a_reduction_keeps_the_axes_in_front(name):
    rng = np.random.default_rng(1)
    pairs = [padded(rng, lengths, T=4) for lengths in ([1, 4], [2, 3], [4, 1])]
    values, mask = (np.stack(x) for x in zip(*pairs, strict=True))
    together = losses.REDUCTIONS[name](values, mask)
    apart = [losses.REDUCTIONS[name](*pair) for pair in pairs]
    assert together.shape == (3,)
    np.testing.assert_allclose(together, apart, atol=1e-15)


@pytest.mark.parametrize("divisor", [1.0, 8.0, 250.0])
def test_constant_is_the_sum_over_its_divisor(divisor):
    by_hand = 2.0 / divisor
    assert losses.constant(np.array(LOSSES), np.array(MASK), divisor) == by_hand


@pytest.mark.parametrize("divisor", [0.0, -2.0, float("nan")])
def test_a_divisor_that_is_not_positive_is_refused(divisor):
    with pytest.raises(ValueError, match=f"divisor {divisor} must be above 0 and finite"):
        losses.constant(np.array(LOSSES), np.array(MASK), divisor)


@both_libraries
@every_reduction
def test_an_empty_episode_is_refused_with_the_lengths(array, name):
    empty = [MASK[0], [False] * 4]
    with pytest.raises(ValueError, match=r"an episode is empty: lengths \[3, 0\]; leave it out"):
        losses.REDUCTIONS[name](array(LOSSES), array(empty))


@every_reduction
@pytest.mark.parametrize("shape", [(4, 2), (2, 3), (4,)])
def test_a_mask_of_another_shape_is_refused_with_both_shapes(name, shape):
    with pytest.raises(ValueError, match=rf"losses have shape \(2, 4\) and mask \({shape[0]},"):
        losses.REDUCTIONS[name](np.array(LOSSES), np.ones(shape, dtype=bool))


@pytest.mark.parametrize("shape", [(3,), (0, 3)])
def test_a_single_episode_without_its_axis_and_no_episode_at_all_are_refused(shape):
    with pytest.raises(ValueError, match=re.escape(f"losses have shape {shape} and mask {shape}")):
        losses.sum_(np.ones(shape), np.ones(shape, dtype=bool))


@every_reduction
@pytest.mark.parametrize(
    ("values", "mask", "message"),
    [
        (LOSSES, np.array(MASK), f"losses {LOSSES} must be an array or a tensor"),
        (np.array(LOSSES), MASK, f"mask {MASK} must be an array or a tensor"),
        (np.array(LOSSES), None, "mask None must be an array or a tensor"),
        (torch.tensor(LOSSES), np.array(MASK), "mixed (losses Tensor, mask ndarray)"),
        (np.array(LOSSES), torch.tensor(MASK), "mixed (losses ndarray, mask Tensor)"),
        (np.array(LOSSES), np.array(MASK) * 0.5, "the mask must be True or False at every step"),
    ],
)
def test_lists_and_mixed_libraries_and_masks_of_halves_are_refused(name, values, mask, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        losses.REDUCTIONS[name](values, mask)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_step_losses_of_lists_or_of_mixed_libraries_are_refused(which):
    names, parts = ("logp", "weight", "mask"), [np.ones((2, 3))] * 3
    parts[which] = [[1.0, 2.0]]
    with pytest.raises(ValueError, match=rf"{names[which]} \[\[1.0, 2.0\]\] must be an array"):
        losses.step_losses(*parts)
    parts[which] = torch.ones(2, 3)
    with pytest.raises(ValueError, match=rf"mixed \(.*{names[which]} Tensor"):
        losses.step_losses(*parts)


@pytest.mark.parametrize("reduction", ["loop", *losses.REDUCTIONS])
@pytest.mark.parametrize(
    "values", [np.ones((2, 3)), torch.ones(2, 3), torch.ones(2, 2, 3, requires_grad=True), None]
)
def test_backward_refuses_what_has_no_gradient_and_what_is_not_one_batch(reduction, values):
    mask = torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"must be a tensor \(B, T\) with a gradient"):
        losses.backward(values, mask, reduction)


@pytest.mark.parametrize("divisor", ["100", None, True, float("inf")])
def test_a_divisor_that_is_no_finite_number_is_refused(divisor):
    with pytest.raises(ValueError, match=re.escape(f"divisor {divisor!r} must be")):
        losses.constant(np.array(LOSSES), np.array(MASK), divisor)


def test_an_unknown_reduction_is_refused_with_the_known_ones():
    logp = torch.zeros(1, 2, requires_grad=True)
    mask = torch.ones(1, 2, dtype=torch.bool)
    sentence = (
        "reduction 'avg' is unknown; choose from: constant, episode_mean, loop, step_mean, sum, "
        "tilt, typical"
    )
    for call in (
        lambda: losses.known("avg"),
        lambda: losses.backward(logp, mask, "avg"),
        lambda: losses.reinforce(logp, mask * 1.0, mask, 0.9, "avg"),
    ):
        with pytest.raises(ValueError, match="avg") as caught:
            call()
        assert str(caught.value) == sentence


def test_reinforce_refuses_the_loop_which_is_no_reduction():
    mask = np.ones((1, 2), dtype=bool)
    with pytest.raises(ValueError, match="'loop' has no scalar"):
        losses.reinforce(np.zeros((1, 2)), mask * 1.0, mask, 0.9, "loop")


# --- backward: the logits of a table are the parameters; B = 2, T = 4, S = 3, A = 5.

OBS = torch.tensor([[0, 2, 1, 0], [2, 0, 0, 0]])
ACTIONS = torch.tensor([[4, 0, 3, 0], [1, 0, 0, 0]])
WEIGHT = torch.tensor([[1.5, -2.0, 0.7, 0.0], [3.0, 0.0, 0.0, 0.0]], dtype=torch.float64)


def table():
    values = np.random.default_rng(8).normal(size=(3, 5))
    return torch.tensor(values, requires_grad=True)


def gradient_by_backward(reduction, **keywords):
    theta, mask = table(), torch.tensor(MASK)
    logp = torch.log_softmax(theta, -1)[OBS, ACTIONS]
    value = losses.backward(losses.step_losses(logp, WEIGHT, mask), mask, reduction, **keywords)
    return theta.grad.numpy(), value


def gradient_by_hand(factor):
    """Σ c_i (p − onehot) w_t in NumPy, the factor c_i by episode."""
    theta = table().detach().numpy()
    total = np.zeros_like(theta)
    for i, n in enumerate((3, 1)):
        for t in range(n):
            s, a = OBS[i, t], ACTIONS[i, t]
            p = np.exp(theta[s]) / np.exp(theta[s]).sum()
            total[s] += factor[i] * (p - np.eye(5)[a]) * WEIGHT[i, t].item()
    return total


@pytest.mark.parametrize(
    ("reduction", "factor"),
    [
        ("loop", (1 / 2, 1 / 2)),
        ("sum", (1 / 2, 1 / 2)),
        ("episode_mean", (1 / 6, 1 / 2)),
        ("step_mean", (1 / 4, 1 / 4)),
        ("constant", (1 / 200, 1 / 200)),
        ("typical", (1 / 40, 1 / 40)),
        ("tilt", (20 / 6, 20 / 2)),
    ],
)
def test_backward_leaves_the_gradient_by_hand(reduction, factor):
    gradient, _ = gradient_by_backward(reduction)
    np.testing.assert_allclose(gradient, gradient_by_hand(factor), atol=1e-14)


def test_the_loop_of_backward_calls_leaves_the_gradient_of_the_sum():
    (loop, logged), (total, value) = gradient_by_backward("loop"), gradient_by_backward("sum")
    np.testing.assert_allclose(loop, total, atol=1e-12)
    assert logged.item() == pytest.approx(value.item(), abs=1e-15)
    assert not logged.requires_grad
    assert not value.requires_grad


@pytest.mark.parametrize(
    ("reduction", "base", "factor"),
    [("constant", "sum", 1 / 5), ("typical", "sum", 1 / 8), ("tilt", "episode_mean", 8.0)],
)
def test_backward_hands_a_number_to_the_reductions_that_are_functions_of_it(
    reduction, base, factor
):
    numbers = {"divisor": 5.0, "length": 8.0}
    (found, _), (plain, _) = gradient_by_backward(reduction, **numbers), gradient_by_backward(base)
    np.testing.assert_allclose(found, factor * plain, atol=1e-14)
    np.testing.assert_array_equal(gradient_by_backward(base, **numbers)[0], plain)


def test_backward_leaves_numbers_of_other_names_to_a_reduction_of_one_s_own(monkeypatch):
    scaled = partial(lambda values, mask, scale: scale * losses.sum_(values, mask), scale=3.0)
    monkeypatch.setitem(losses.REDUCTIONS, "scaled", scaled)
    np.testing.assert_allclose(
        gradient_by_backward("scaled")[0], 3 * gradient_by_backward("sum")[0], atol=1e-12
    )


def test_the_tilt_of_the_typical_is_the_episode_mean():
    """1/n = 1/n̄ · n̄/n, whatever n̄ is."""
    values, mask = np.array(LOSSES), np.array(MASK)
    for length in (0.3, 20.0, 777.0):
        both = losses.tilt(values, mask, length) / length
        assert both == pytest.approx(losses.episode_mean(values, mask), abs=1e-15)
        assert losses.typical(values, mask, length) == losses.constant(values, mask, length)


@both_libraries
def test_an_infinite_length_moves_nothing(array):
    for reduce in (losses.typical, losses.tilt):
        assert float(reduce(array(LOSSES), array(MASK), float("inf"))) == 0


@pytest.mark.parametrize("length", [0.0, -1.0, float("nan")])
@pytest.mark.parametrize("reduce", [losses.typical, losses.tilt])
def test_a_length_that_is_none_is_refused(reduce, length):
    with pytest.raises(ValueError, match=f"length {length} must be above 0"):
        reduce(np.array(LOSSES), np.array(MASK), length)


@pytest.mark.parametrize("reduction", ["loop", *losses.REDUCTIONS])
def test_backward_refuses_an_empty_episode(reduction):
    values = torch.zeros(2, 3, requires_grad=True)
    mask = torch.tensor([[True, True, True], [False, False, False]])
    with pytest.raises(ValueError, match=r"an episode is empty: lengths \[3, 0\]"):
        losses.backward(values, mask, reduction)
    assert values.grad is None  # nothing was added before it was seen


@pytest.mark.parametrize("reduction", sorted(losses.REDUCTIONS))
@both_libraries
def test_reinforce_is_minus_logp_times_reward_to_go_reduced(array, reduction):
    logp = [[-0.5, -2.0, -0.1, 0.0], [-1.5, 0.0, 0.0, 0.0]]
    rewards = [[1.0, 2.0, -4.0, 0.0], [5.0, 0.0, 0.0, 0.0]]
    # γ = ½: G = 1, 0, −4 and 5, so ℓ = .5, 0, −.4 and 7.5
    first, second = 0.5 + 0.0 - 0.4, 7.5
    by_hand = {
        "sum": (first + second) / 2,
        "episode_mean": (first / 3 + second) / 2,
        "step_mean": (first + second) / 4,
        "constant": (first + second) / 200,
        "typical": (first + second) / 40,
        "tilt": 20 * (first / 3 + second) / 2,
    }
    value = losses.reinforce(array(logp), array(rewards), array(MASK), 0.5, reduction)
    assert float(value) == pytest.approx(by_hand[reduction], abs=1e-14)


GAMMA, LOGP, REWARDS = 0.5, [[-0.5, -2.0, -0.1], [-1.5, -0.7]], [[1.0, 2.0, -4.0], [5.0, 3.0]]


def to_go(rewards, gamma):
    n = len(rewards)
    return np.array([sum(gamma ** (k - t) * rewards[k] for k in range(t, n)) for t in range(n)])


def so_far(rewards):
    return [sum(GAMMA ** (t - k) * rewards[k] for k in range(t + 1)) for t in range(len(rewards))]


def first_ones(rewards):
    n = len(rewards)
    return [sum(GAMMA**k * rewards[k] for k in range(n - t)) for t in range(n)]


def standard(returns):
    return (returns - returns.mean()) / (returns.std() + 1e-8)


# What each wrong variant puts in the place of G_t, from the rewards of one episode.
INSTEAD_OF_RETURNS = {
    "wrong_sign": lambda r: -to_go(r, GAMMA),
    "returns_from_start": first_ones,
    "past_rewards": so_far,
    "next_return": lambda r: [*to_go(r, GAMMA)[1:], 0.0],
    "immediate_reward": lambda r: r,
    "gamma_missing": lambda r: to_go(r, 1.0),
    "gamma_twice": lambda r: to_go(r, GAMMA**2),
    "centred_per_episode": lambda r: to_go(r, GAMMA) - to_go(r, GAMMA).mean(),
    "standardised_per_episode": lambda r: standard(to_go(r, GAMMA)),
}


def bug_by_hand(bug):
    """The mean over the two episodes of what the bug makes of each, one step at a time."""
    found = []
    for logp, rewards in zip(LOGP, REWARDS, strict=True):
        n, G = len(rewards), to_go(rewards, GAMMA)
        w = INSTEAD_OF_RETURNS.get(bug, lambda r: to_go(r, GAMMA))(rewards)
        total = -sum(logp[t] * w[t] for t in range(n))
        if bug == "no_log":
            total = -sum(np.exp(logp[t]) * w[t] for t in range(n))
        if bug == "mean_logp_times_sum_return":
            total = -sum(logp) / n * sum(G)
        found.append(total / {"episode_mean": n, "mask_forgotten": 3}.get(bug, 1))
    return sum(found) / 2


@pytest.mark.parametrize("bug", sorted(bugs.BUGS))
def test_a_wrong_variant_is_wrong_in_the_way_that_its_name_says(bug):
    logp, rewards = (
        torch.tensor([[*row, 0.0][:3] for row in rows], dtype=torch.float64)
        for rows in (LOGP, REWARDS)
    )
    mask = torch.tensor([[True, True, True], [True, True, False]])
    value = bugs.BUGS[bug](logp, rewards, mask, GAMMA)
    assert float(value) == pytest.approx(bug_by_hand(bug), abs=1e-12)


@both_libraries
def test_rewards_read_from_the_start_need_no_lengths_where_nothing_is_padded(array):
    rewards = [[2.0, -1.0, 3.0], [0.5, 4.0, -2.0]]
    wanted = [first_ones(row) for row in rewards]
    found = bugs.from_start(array(rewards), GAMMA)
    np.testing.assert_allclose(found, wanted, rtol=1e-13)
    found = bugs.from_start(array(rewards), GAMMA, array([3, 3]))
    np.testing.assert_allclose(found, wanted, rtol=1e-13)
    assert float(bugs.from_start(array(rewards), 0.0)[0, 0]) == 2  # 0^0 is 1


@pytest.mark.parametrize("bug", sorted(bugs.BUGS))
def test_a_wrong_variant_is_called_like_reinforce_and_gives_another_number(bug):
    rng = np.random.default_rng(3)
    rewards, mask = padded(rng, [4, 2, 3], T=4)
    logp = torch.from_numpy(-rng.uniform(0.2, 2, mask.shape) * mask)
    arguments = logp, torch.from_numpy(rewards), torch.from_numpy(mask), 0.9
    wrong, right = bugs.BUGS[bug](*arguments), losses.reinforce(*arguments)
    assert wrong.shape == right.shape == ()
    assert abs(wrong - right) > 1e-3


def test_a_variant_is_chosen_by_its_name():
    assert bugs.variant(None) is losses.reinforce
    assert bugs.variant("no_log") is bugs.BUGS["no_log"]
    for odd in ("typo", ["no_log"], ""):
        with pytest.raises(ValueError, match="is unknown; choose from: wrong_sign, no_log"):
            bugs.variant(odd)


# --- The mistakes with a setting, by hand: three episodes, of 3, 2 and 1 steps, in 4.

THREE = [*LOGP, [-0.3]], [*REWARDS, [2.0]]


def three_padded():
    logp, rewards = (
        torch.tensor([[*row, 0.0, 0.0, 0.0][:4] for row in rows], dtype=torch.float64)
        for rows in THREE
    )
    return logp.requires_grad_(), rewards, torch.arange(4) < torch.tensor([[3], [2], [1]])


def by_hand_of(each):
    """The sum over the steps of what ``each`` makes of log π and G, for each episode."""
    logp, rewards = THREE
    return [
        sum(each(p, G) for p, G in zip(ps, to_go(r, GAMMA), strict=True))
        for ps, r in zip(logp, rewards, strict=True)
    ]


@pytest.mark.parametrize("detach", [True, False])
def test_a_critic_stands_below_the_return_in_padding_nothing_and_learns_where_not_detached(detach):
    values = torch.full((3, 4), 0.25, dtype=torch.float64, requires_grad=True)
    value = bugs.with_critic(*three_padded(), GAMMA, values, detach=detach)
    assert value.item() == pytest.approx(sum(by_hand_of(lambda p, G: -p * (G - 0.25))) / 3)
    value.backward()
    assert (values.grad is None) == detach


@pytest.mark.parametrize("pick", ["maximum", "minimum"])
def test_of_ppo_s_first_pass_both_picks_have_the_value_and_gradient_of_one_step(pick):
    logp, rewards, mask = three_padded()
    value = bugs.ppo(logp, rewards, mask, GAMMA, pick)
    assert value.item() == pytest.approx(sum(by_hand_of(lambda p, G: -G)) / 3)
    value.backward()
    wanted = [[*-to_go(r, GAMMA), 0.0, 0.0, 0.0][:4] for r in THREE[1]]
    np.testing.assert_allclose(logp.grad, np.array(wanted) / 3, atol=1e-14)


@pytest.mark.parametrize("coefficient", [-1e-3, 0.5])
def test_the_kl_term_is_half_the_squared_log_ratio_to_two_even_actions(coefficient):
    def each(p, G):
        return -p * G + coefficient * (p + np.log(2)) ** 2 / 2

    value = bugs.with_kl(*three_padded(), GAMMA, coefficient)
    assert value.item() == pytest.approx(sum(by_hand_of(each)) / 3, rel=1e-12)
    if coefficient == -1e-3:
        assert value == bugs.with_kl(*three_padded(), GAMMA)


def test_a_mean_of_means_divides_each_part_by_its_own_steps():
    first, second, third = by_hand_of(lambda p, G: -p * G)
    value = bugs.micro_batches(*three_padded(), GAMMA)
    assert value.item() == pytest.approx(((first + second) / 5 + third / 1) / 2)
    value = bugs.micro_batches(*three_padded(), GAMMA, size=1)
    assert value.item() == pytest.approx((first / 3 + second / 2 + third / 1) / 3)
    value = bugs.micro_batches(*three_padded(), GAMMA, size=None)
    assert value.item() == pytest.approx((first + second + third) / 6)
