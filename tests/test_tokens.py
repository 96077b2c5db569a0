"""Answers and groups: reductions, advantages, ratios, clips, KL terms, by hand and by autograd."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit import losses, tokens

few = settings(max_examples=40, derandomize=True, deadline=None)
both = pytest.mark.parametrize(
    "array", [np.array, lambda x: torch.from_numpy(np.array(x))], ids=["numpy", "torch"]
)

# Four answers of 1, 3, 2 and 4 tokens, padded to 5; two groups of 2. Losses without a symmetry.
LENGTHS = np.array([1, 3, 2, 4])
MASK = np.arange(5) < LENGTHS[:, None]
LOSSES = np.array(
    [
        [2.0, 0, 0, 0, 0],
        [1.0, -3.0, 5.0, 0, 0],
        [7.0, -1.0, 0, 0, 0],
        [0.5, 1.5, -2.5, 4.0, 0],
    ]
)
REWARDS = np.array([3.0, 1.0, 0.0, 0.5])
BY_HAND = {
    "sum": (2 + 3 + 6 + 3.5) / 4,
    "episode_mean": (2 / 1 + 3 / 3 + 6 / 2 + 3.5 / 4) / 4,
    "step_mean": (2 + 3 + 6 + 3.5) / 10,
    "constant": (2 + 3 + 6 + 3.5) / 4 / 100,
    "typical": (2 + 3 + 6 + 3.5) / 4 / 20,
    "tilt": 20 * (2 / 1 + 3 / 3 + 6 / 2 + 3.5 / 4) / 4,
    "pool_mean": (2 + 3 + 6 + 3.5) / 10,
    "leave_out_twice": 2 / 9 + 3 / 7 + 6 / 8 + 3.5 / 6,
    "padded_width": (2 + 3 + 6 + 3.5) / 4 / 5,
    "token_sum": 2 + 3 + 6 + 3.5,
}
ADVANTAGES_BY_HAND = {
    "none": [3, 1, 0, 0.5],
    "own_mean": [1, -1, -0.25, 0.25],
    "leave_one_out": [2, -2, -0.5, 0.5],
    "group_std": [1, -1, -1, 1],
    "group_std_ddof1": [0.5**0.5, -(0.5**0.5), -(0.5**0.5), 0.5**0.5],
    "batch_mean": [1.875, -0.125, -1.125, -0.625],
}


def answers(lengths, T, seed):
    rng = np.random.default_rng(seed)
    mask = np.arange(T) < np.array(lengths)[:, None]
    return rng.normal(size=mask.shape) * mask, mask


@both
@pytest.mark.parametrize("name", sorted(tokens.REDUCTIONS))
def test_a_reduction_is_what_it_is_by_hand(array, name):
    value = float(tokens.REDUCTIONS[name](array(LOSSES), array(MASK)))
    assert value == pytest.approx(BY_HAND[name], abs=1e-14)


def test_by_hand_every_reduction_gives_another_number_but_the_pool_that_is_the_batch():
    assert set(BY_HAND) == set(tokens.REDUCTIONS)
    assert len({round(v, 9) for k, v in BY_HAND.items() if k != "pool_mean"}) == len(BY_HAND) - 1


@both
def test_pools_of_two_by_hand(array):
    pool, twice = tokens.pool_mean, tokens.leave_out_twice
    given_ = array(LOSSES), array(MASK)
    assert float(pool(*given_, pool=2)) == pytest.approx((5 / 4 + 9.5 / 6) / 2)
    by_hand = ((2 / 3 + 3 / 1) + (6 / 4 + 3.5 / 2)) / 2
    assert float(twice(*given_, pool=2)) == pytest.approx(by_hand)


def test_a_width_that_is_the_longest_answer_divides_that_answer_by_its_own_length():
    x, mask = answers([2], 2, 4)
    np.testing.assert_allclose(tokens.padded_width(x, mask), losses.episode_mean(x, mask))
    wide = np.pad(x, [(0, 0), (0, 3)]), np.pad(mask, [(0, 0), (0, 3)])
    np.testing.assert_allclose(tokens.padded_width(*wide), x.sum() / 5)


lengths_of = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(lambda x: x + x[::-1])


@few
@given(lengths_of, st.integers(0, 999))
def test_a_pool_of_one_is_episode_mean_and_of_all_step_mean(lengths, seed):
    given_ = answers(lengths, 7, seed)
    one, whole = (tokens.pool_mean(*given_, pool=p) for p in (1, len(lengths)))
    np.testing.assert_allclose(one, losses.episode_mean(*given_), atol=1e-13)
    np.testing.assert_allclose(whole, losses.step_mean(*given_), atol=1e-13)


@few
@given(lengths_of, st.integers(0, 999))
def test_token_weights_are_the_gradient_and_reduce_like_the_reduction(lengths, seed):
    x, mask = answers(lengths, 7, seed)
    for name, reduction in tokens.REDUCTIONS.items():
        use = partial(reduction, pool=2) if name in ("pool_mean", "leave_out_twice") else reduction
        weights = tokens.token_weights(use, mask)
        leaf = torch.from_numpy(x).requires_grad_()
        use(leaf, torch.from_numpy(mask)).backward()
        np.testing.assert_allclose(weights[:, None] * mask, leaf.grad.numpy() * mask, atol=1e-14)
        np.testing.assert_allclose((weights[:, None] * x).sum(), use(x, mask), atol=1e-12)


@few
@given(lengths_of, st.integers(0, 999))
def test_numpy_and_torch_agree_and_leading_axes_are_independent(lengths, seed):
    x, mask = answers(lengths, 7, seed)
    two = np.stack([x, 3 * x])
    for name, reduction in tokens.REDUCTIONS.items():
        use = partial(reduction, pool=2) if name in ("pool_mean", "leave_out_twice") else reduction
        value = use(x, mask)
        np.testing.assert_allclose(use(two, mask * np.ones((2, 1, 1))), [value, 3 * value])
        in_torch = use(torch.from_numpy(x), torch.from_numpy(mask))
        np.testing.assert_allclose(in_torch, value, atol=1e-14)


@both
@pytest.mark.parametrize("name", sorted(ADVANTAGES_BY_HAND))
def test_an_advantage_is_what_it_is_by_hand(array, name):
    found = tokens.ADVANTAGES[name](array(REWARDS), 2)
    np.testing.assert_allclose(found, ADVANTAGES_BY_HAND[name], atol=1e-14)


@both
def test_advantages_of_one_right_answer_in_four_name_their_kind(array):
    right = array([1, 0, 0, 0])  # integers, as a verifier gives them
    first = {name: float(a(right, 4)[0]) for name, a in tokens.ADVANTAGES.items()}
    by_hand = {"none": 1, "own_mean": 0.75, "leave_one_out": 1, "batch_mean": 0.75}
    by_hand |= {"group_std": 3**0.5, "group_std_ddof1": 1.5, "batch_std": 3**0.5, "others_std": 0}
    assert first == pytest.approx(by_hand)
    assert float(tokens.others_std(right, 4)[1]) == pytest.approx((0 - 1 / 3) / (2 / 9) ** 0.5)


@both
def test_the_batch_statistics_cross_the_groups(array):
    x = np.array([3.0, 1.0, 0.0, 0.5])
    np.testing.assert_allclose(
        tokens.batch_std(array(x), 2, ddof=1, eps=0.1), (x - x.mean()) / (x.std(ddof=1) + 0.1)
    )


@few
@given(st.lists(st.floats(-3, 3), min_size=2, max_size=8), st.floats(0, 1))
def test_a_unanimous_group_has_no_advantage_whatever_the_rounding(values, eps):
    group = len(values)
    for value in values:
        rewards = np.full(group, value)
        for name in ("group_std", "group_std_ddof1", "batch_std"):
            assert not tokens.ADVANTAGES[name](rewards, group).any()
        assert not tokens.group_std(rewards, group, eps=eps).any()
    assert not np.isnan(tokens.others_std(np.array([1.0, 0, 0, 0]), 4)).any()


def test_rounding_alone_would_have_been_an_advantage_of_one():
    tenth = np.full(3, 0.1)
    assert ((tenth - tenth.mean()) / tenth.std() != 0).all()  # what a plain formula makes of it
    assert not tokens.group_std(tenth, 3).any()


@few
@given(st.lists(st.floats(-3, 3), min_size=3, max_size=8))
def test_leave_one_out_subtracts_the_mean_of_the_others(values):
    rewards, G = np.array(values), len(values)
    others = [np.delete(rewards, i) for i in range(G)]
    by_hand = [r - o.mean() for r, o in zip(rewards, others, strict=True)]
    np.testing.assert_allclose(tokens.leave_one_out(rewards, G), by_hand, atol=1e-13)
    if all(np.ptp(o) > 1e-3 for o in others):
        ratio = [a / o.std() for a, o in zip(by_hand, others, strict=True)]
        np.testing.assert_allclose(tokens.others_std(rewards, G), ratio, rtol=1e-9)


def test_the_loss_by_names_is_the_loss_by_hand():
    logp, _ = answers(LENGTHS, 5, 0)
    A = np.array(ADVANTAGES_BY_HAND["leave_one_out"])
    by_hand = -(A * logp.sum(1) / LENGTHS).mean()
    found = tokens.loss(logp, REWARDS, MASK, 2, "leave_one_out", "episode_mean")
    assert float(found) == pytest.approx(by_hand)
    grpo = tokens.loss(logp, REWARDS, MASK, 2, *tokens.RECIPES["grpo"])
    by_hand = -(np.array([1, -1, -1, 1]) * logp.sum(1) / LENGTHS).mean()
    assert float(grpo) == pytest.approx(by_hand)


def test_every_recipe_names_what_there_is():
    for advantage, reduction in tokens.RECIPES.values():
        assert advantage in tokens.ADVANTAGES
        assert reduction in tokens.REDUCTIONS


# Ratios and clips


@both
def test_ratios_by_hand(array):
    new = np.log(np.array([[0.5, 0.2, 1.0], [0.4, 1.0, 1.0]]))
    old = np.log(np.array([[0.25, 0.8, 1.0], [0.5, 1.0, 1.0]]))
    mask = np.array([[True, True, False], [True, False, False]])
    given_ = array(new), array(old), array(mask)
    np.testing.assert_allclose(tokens.token_ratio(*given_), [[2, 0.25, 1], [0.8, 1, 1]])
    np.testing.assert_allclose(tokens.answer_ratio(*given_), [[0.5] * 3, [0.8] * 3])
    np.testing.assert_allclose(tokens.sequence_ratio(*given_), [[0.5**0.5] * 3, [0.8] * 3])


@both
def test_what_stands_in_the_padding_of_the_log_probabilities_does_not_count(array):
    logp, mask = answers(LENGTHS, 5, 1)
    noise = np.random.default_rng(2).normal(size=logp.shape) * ~mask
    for ratio in tokens.RATIOS.values():
        clean = ratio(array(logp), array(logp * 2), array(mask))
        dirty = ratio(array(logp + noise), array(logp * 2), array(mask))
        np.testing.assert_allclose(clean, dirty)


RATIO = np.array([[0.7, 0.75, 0.95, 1.1, 1.25, 1.5, 5.0]] * 2)
ALL = RATIO > 0
UP = np.array([1.0, -1.0])


@both
def test_clips_by_hand_under_both_signs(array):
    given_ = array(RATIO), array(UP), array(ALL)
    by_hand = [[-0.7, -0.75, -0.95, -1.1, -1.2, -1.2, -1.2], [0.8, 0.8, 0.95, 1.1, 1.25, 1.5, 5.0]]
    np.testing.assert_allclose(tokens.clipped(*given_), by_hand)
    by_hand[1][-1] = 3.0
    np.testing.assert_allclose(tokens.dual_clipped(*given_), by_hand)
    np.testing.assert_allclose(tokens.unclipped(*given_), -RATIO * UP[:, None])
    higher = tokens.clipped(*given_, low=0.0, high=0.28)[0]
    np.testing.assert_allclose(higher, -np.minimum(RATIO[0], 1.28))
    never_above = tokens.clipped(*given_, low=1.0, high=0.0)[0]
    np.testing.assert_allclose(never_above, -np.minimum(RATIO[0], 1.0))


def test_the_gradients_of_the_clips_by_hand():
    logp = torch.full((2, 7), -1.5, dtype=torch.float64, requires_grad=True)
    mask, A = torch.ones(2, 7, dtype=torch.bool), torch.tensor(UP)
    old = -1.5 - torch.tensor(RATIO).log()

    def gradient(clip, **more):
        ratio = tokens.token_ratio(logp, old, mask)
        return torch.autograd.grad(clip(ratio, A, mask, **more).sum(), logp)[0].numpy()

    passes = np.array([[1, 1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1, 1]])
    np.testing.assert_allclose(gradient(tokens.clipped), -UP[:, None] * RATIO * passes)
    passes[1, -1] = 0
    np.testing.assert_allclose(gradient(tokens.dual_clipped), -UP[:, None] * RATIO * passes)
    weight = np.clip(RATIO, 0.8, 1.2)
    np.testing.assert_allclose(gradient(tokens.detached, logp=logp), -UP[:, None] * weight)


@both
def test_clips_by_hand_under_advantages_of_other_sizes_and_nothing_in_the_padding(array):
    ratio = array([[1.5, 5.0, 9.0], [5.0, 9.0, 9.0], [2.0, 0.5, 1.0]])
    mask = array([[True, True, False], [True, False, False], [True, True, True]])
    A = array([0.5, -2.0, 0.0])
    zeros = [0.0, 0.0, 0.0]
    by_hand = {
        tokens.unclipped: [[-0.75, -2.5, 0], [10, 0, 0], zeros],
        tokens.clipped: [[-0.6, -0.6, 0], [10, 0, 0], zeros],
        tokens.dual_clipped: [[-0.6, -0.6, 0], [6, 0, 0], zeros],
        partial(tokens.dual_clipped, most=1.5): [[-0.6, -0.6, 0], [3, 0, 0], zeros],
        # −clip(ρ) A log π, log π = −1
        partial(tokens.detached, logp=0 * ratio - 1): [[0.6, 0.6, 0], [-2.4, 0, 0], zeros],
    }
    for clip, losses_ in by_hand.items():
        np.testing.assert_allclose(clip(ratio, A, mask), losses_, atol=1e-15)


@both
def test_leading_axes_of_ratios_and_token_weights_are_independent(array):
    logp, mask = answers(LENGTHS, 5, 6)
    two = array(np.stack([logp, 2 * logp])), array(np.stack([3 * logp, logp]))
    masks = array(np.stack([mask, mask[::-1]]))
    for ratio in tokens.RATIOS.values():
        found = ratio(*two, masks)
        for k in range(2):
            np.testing.assert_allclose(found[k], ratio(two[0][k], two[1][k], masks[k]))
    A = np.random.default_rng(8).normal(size=(2, 4))
    found = tokens.clipped(tokens.token_ratio(*two, masks), array(A), masks)
    for k in range(2):
        ratio = tokens.token_ratio(two[0][k], two[1][k], masks[k])
        np.testing.assert_allclose(found[k], tokens.clipped(ratio, array(A[k]), masks[k]))
    for reduction in (losses.episode_mean, tokens.padded_width):
        found = tokens.token_weights(reduction, masks)
        for k in range(2):
            np.testing.assert_allclose(found[k], tokens.token_weights(reduction, masks[k]))


@both
def test_what_comes_back_is_another_array_of_real_numbers(array):
    rewards, delta = array([1, 0, 0, 1]), array([0.5, -2.0])
    for advantage in tokens.ADVANTAGES.values():
        found = advantage(rewards, 4)
        found += 0.5  # refused by whole numbers
    assert rewards.tolist() == [1, 0, 0, 1]
    for kl in tokens.KL.values():
        found = kl(delta)
        found += 1
    assert delta.tolist() == [0.5, -2.0]


def test_on_policy_ratio_and_clip_leave_the_gradient_alone():
    logp, mask = answers(LENGTHS, 5, 3)
    A = torch.tensor([1.0, -2.0, 3.0, -0.5], dtype=torch.float64)
    logp, mask = torch.from_numpy(logp).requires_grad_(), torch.from_numpy(mask)
    plain = torch.autograd.grad(tokens.token_losses(logp, A, mask).sum(), logp)[0]
    for clip in (tokens.unclipped, tokens.clipped, tokens.dual_clipped):
        ratio = tokens.token_ratio(logp, logp.detach(), mask)
        found = torch.autograd.grad(clip(ratio, A, mask).sum(), logp)[0]
        np.testing.assert_allclose(found, plain, atol=1e-15)


@both
def test_kl_terms_by_hand(array):
    delta = array([0.0, 0.5, -2.0])
    by_hand = {
        "k1": [0, 0.5, -2],
        "k2": [0, 0.125, 2],
        "k3": [0, np.exp(-0.5) - 0.5, np.exp(2) - 3],
    }
    for name, term in tokens.KL.items():
        np.testing.assert_allclose(term(delta), by_hand[name], atol=1e-15)


# What is refused, with one sentence that repeats what was given


def refused(message, call, *args, **more):
    with pytest.raises(ValueError, match=re.escape(message)) as said:
        call(*args, **more)
    assert "\n\n" not in str(said.value)


every_name = pytest.mark.parametrize("name", sorted(tokens.REDUCTIONS))


@both
@every_name
def test_a_mask_with_a_hole_is_refused_and_a_prompt_in_front_is_not(array, name):
    holes = np.array([[True, False, True], [True, True, False]])
    call = tokens.REDUCTIONS[name]
    more = {"pool": 2} if name in ("pool_mean", "leave_out_twice") else {}
    refused("the mask has a hole, a False between two True", call, array(holes * 1.0), array(holes))
    prompt = np.array([[False, True, True], [False, True, False]])
    assert np.isfinite(float(call(array(prompt * 1.0), array(prompt), **more)))


@both
@every_name
def test_an_empty_answer_and_shapes_that_disagree_are_refused(array, name):
    call = tokens.REDUCTIONS[name]
    empty = np.array([[True, False], [False, False]])
    refused("an episode is empty: lengths [1, 0]", call, array(empty * 1.0), array(empty))
    refused("must end in the same (B, T)", call, array(LOSSES.T), array(MASK))
    refused("must be True or False", call, array(LOSSES), array(MASK * 2))


@both
@pytest.mark.parametrize("size", [3, 8])
def test_sizes_that_do_not_divide_the_batch_are_refused(array, size):
    sentence = f"{size} does not divide the batch of 4 answers"
    for call in (tokens.pool_mean, tokens.leave_out_twice):
        refused(f"pool {sentence}", call, array(LOSSES), array(MASK), size)
    for advantage in tokens.ADVANTAGES.values():
        refused(f"group {sentence}", advantage, array(REWARDS), size)
    refused(f"group {sentence}", tokens.loss, LOSSES, REWARDS, MASK, size, "own_mean", "sum")


@both
@pytest.mark.parametrize("size", [0, -1, 2.0, True, "2", None])
def test_sizes_that_are_no_count_are_refused(array, size):
    refused("must be a whole number, 1 or more", tokens.own_mean, array(REWARDS), size)
    refused("must be a whole number", tokens.pool_mean, array(LOSSES), array(MASK), size)


@both
def test_a_group_of_one_has_no_others_and_no_deviation(array):
    for name in ("leave_one_out", "group_std", "group_std_ddof1"):
        refused("group 1 is too small", tokens.ADVANTAGES[name], array(REWARDS), 1)
    refused("pool 1 is too small", tokens.leave_out_twice, array(LOSSES), array(MASK), 1)
    refused("the batch 1 is too small", tokens.batch_std, array(REWARDS[:1]), 1)
    refused("group 2 leaves fewer than 2 others", tokens.others_std, array(REWARDS), 2)


ONES = np.ones((4, 5))
TAKES = {  # what has one number a token, beside what has one an answer
    "token_losses": (tokens.token_losses, {"logp": ONES}),
    "loss": (partial(tokens.loss, group=2, advantage="own_mean", reduction="sum"), {"logp": ONES}),
    **{k: (ratio, {"logp": ONES, "old_logp": ONES}) for k, ratio in tokens.RATIOS.items()},
    **{
        clip.__name__: (clip, {"ratio": ONES})
        for clip in (tokens.unclipped, tokens.clipped, tokens.dual_clipped)
    },
    "detached": (tokens.detached, {"ratio": ONES, "logp": ONES}),
}
NO_TOKENS = {
    "None": lambda x: None,
    "a number": lambda x: 0.3,
    "a list": lambda x: x.tolist(),
    "a word": lambda x: "a",
    "one an answer": lambda x: x[:, :1],
    "a token too few": lambda x: x[:, 1:],
    "one answer's": lambda x: x[0],
    "the other library's": lambda x: torch.from_numpy(x),
}


@pytest.mark.parametrize("bad", list(NO_TOKENS))
@pytest.mark.parametrize("name", list(TAKES))
def test_what_is_not_one_number_a_token_is_refused_by_name(name, bad):
    call, at_tokens = TAKES[name]
    rest = {"mask": MASK}
    if name not in tokens.RATIOS:
        rest["rewards" if name == "loss" else "advantage"] = REWARDS
    call(**at_tokens, **rest)
    for which, x in at_tokens.items():
        refused(f"{which} ", call, **{**at_tokens, which: NO_TOKENS[bad](x)}, **rest)


@pytest.mark.parametrize("bad", [None, 0.3, [0.3], "a"])
@pytest.mark.parametrize("name", list(tokens.KL))
def test_a_kl_term_of_what_is_no_array_is_refused(name, bad):
    refused(f"delta {bad!r} must be an array or a tensor", tokens.KL[name], bad)


@both
@pytest.mark.parametrize("shape", [(4, 5), (5,), (1, 4), ()])
def test_rewards_and_advantages_per_token_are_refused(array, shape):
    sentence = f"has shape {shape}, the mask (4, 5); give one number an answer, shape (4,)"
    wrong, x, mask = array(np.ones(shape)), array(LOSSES), array(MASK)
    refused(f"rewards {sentence}", tokens.loss, x, wrong, mask, 2, "own_mean", "sum")
    refused(f"advantage {sentence}", tokens.token_losses, x, wrong, mask)
    refused(f"advantage {sentence}", tokens.clipped, x, wrong, mask)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_reward_that_is_no_number_is_refused(bad):
    for advantage in tokens.ADVANTAGES.values():
        refused("rewards hold a NaN or an infinity", advantage, np.array([1, bad, 0, 0]), 4)
        refused("must have shape (…, B)", advantage, np.array(1.0), 4)
        refused("rewards [1, 0] must be an array or a tensor", advantage, [1, 0], 2)


def test_unknown_names_and_settings_are_refused():
    for names, message in (
        (("mean", "sum"), "advantage 'mean' is unknown; choose from: batch_mean"),
        (("own_mean", "avg"), "reduction 'avg' is unknown; choose from: constant"),
    ):
        refused(message, tokens.loss, LOSSES, REWARDS, MASK, 2, *names)
    refused("ddof 2 must be 0", tokens.group_std, REWARDS, 2, ddof=2)
    refused("eps -1 must be 0 or above", tokens.group_std, REWARDS, 2, eps=-1)
    refused("low 1.5 is outside [0, 1]", tokens.clipped, RATIO, UP, ALL, low=1.5)
    refused("high -0.1 must be 0 or above", tokens.clipped, RATIO, UP, ALL, high=-0.1)
    refused("most 1.0 must be above 1", tokens.dual_clipped, RATIO, UP, ALL, most=1.0)


def test_the_two_libraries_are_not_mixed():
    refused("NumPy and torch are mixed", tokens.pool_mean, LOSSES, torch.from_numpy(MASK), 2)
    refused("NumPy and torch are mixed", tokens.token_losses, LOSSES, torch.ones(4), MASK)
