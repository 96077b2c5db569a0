"""Exact processes: enumeration against dynamic programming, differences, autograd, hand counts."""

import dataclasses
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit import mdp

few = settings(max_examples=15, derandomize=True, deadline=None)


def sample(seed, states=3, actions=2, horizon=3):
    rng = np.random.default_rng(seed)
    process = mdp.random_process(rng, states, actions, horizon)
    return process, rng.normal(size=(states, actions))


def listing(process):
    """(environment's probability, [(s, a, r), …], terminated) of each trajectory, by recursion."""

    def walk(s, t, prob, steps):
        for a, p in np.ndindex(process.actions, process.states + 1):
            chance, path = prob * process.P[s, a, p], [*steps, (s, a, process.R[s, a, p])]
            if chance and (p == process.states or t + 1 == process.horizon):
                yield chance, path, p == process.states
            elif chance:
                yield from walk(p, t + 1, chance, path)

    for s in np.flatnonzero(process.rho):
        yield from walk(s, 0, process.rho[s], [])


def discounted(rewards, gamma):
    return sum(gamma**t * r for t, r in enumerate(rewards))


def weighted(theta, weight):
    """The estimator (1/B) Σ z_t w_t, with w (N, B, T) made from a batch."""
    return lambda batch: (mdp.scores(batch, theta) * weight(batch)).sum(-1).mean(-1)


def to_go(gamma, front):
    """G_t (times γ^t where ``front``), by a double loop over steps."""

    def weight(batch):
        T = batch.rewards.shape[-1]
        w = np.zeros(batch.rewards.shape)
        for t in range(T):
            for k in range(t, T):
                w[..., t] += gamma ** (k if front else k - t) * batch.rewards[..., k]
        return w

    return weight


def whole(gamma):
    def weight(batch):
        powers = gamma ** np.arange(batch.rewards.shape[-1])
        return (batch.rewards * powers).sum(-1)[..., None]

    return weight


@few
@given(st.integers(0, 999), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_probabilities_of_all_trajectories_add_to_one(seed, states, actions, horizon):
    process, theta = sample(seed, states, actions, horizon)
    every = mdp.enumerate_trajectories(process)
    assert mdp.probability(every, theta).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    "process",
    [sample(1)[0], mdp.toll_bridge(), mdp.stop_or_walk(), mdp.bandit(1, -2, 3), mdp.balance(3)],
    ids=lambda process: process.name,
)
def test_enumeration_lists_what_a_plain_recursion_lists(process):
    every = mdp.enumerate_trajectories(process)
    rows = zip(*every, every.lengths, strict=True)
    arrays = [
        (p, list(zip(o[:n], a[:n], r[:n], strict=True)), ended) for p, o, a, r, _, ended, n in rows
    ]
    assert sorted(arrays, key=lambda x: x[1:]) == [
        (pytest.approx(p, abs=1e-14), path, ended)
        for p, path, ended in sorted(listing(process), key=lambda x: x[1:])
    ]


def test_an_episode_that_ends_early_is_terminated_whatever_the_last_edge_of_the_table_is():
    P = np.zeros((2, 2, 3))
    P[0, 0, 2] = P[0, 1, 1] = P[1, 0, 2] = P[1, 1, 0] = 1  # the last edge goes on, to state 0
    process = mdp.FiniteMDP(P=P, R=np.ones((2, 2)), rho=[1, 0], horizon=3)
    every = mdp.enumerate_trajectories(process)
    paths = {tuple(a[:n]): t for a, n, t in zip(*every[2:3], every.lengths, every[5], strict=True)}
    assert paths == {(0,): True, (1, 0): True, (1, 1, 0): True, (1, 1, 1): False}


def test_a_process_does_not_change_with_the_arrays_that_it_was_made_from():
    P, R, rho = (x.copy() for x in (mdp.balance().P, mdp.balance().R, mdp.balance().rho))
    process = mdp.FiniteMDP(P=P, R=R, rho=rho, horizon=5)
    for array in (P, R, rho):
        array[:] = 0
    assert mdp.J(process, np.zeros((2, 2))) == mdp.J(mdp.balance(), np.zeros((2, 2))) > 0


@pytest.mark.parametrize("function", [mdp.J, mdp.grad_J])
def test_gamma_is_one_where_nothing_is_said(function):
    theta = np.array([[0.3, -0.4], [1.1, 0.2]])
    said, unsaid = function(mdp.toll_bridge(), theta, 1.0), function(mdp.toll_bridge(), theta)
    np.testing.assert_array_equal(said, unsaid)


def test_padding_of_trajectories_is_zero_and_the_mask_is_a_prefix():
    every = mdp.enumerate_trajectories(sample(2, horizon=4)[0])
    assert len(set(every.lengths)) == 4
    for field in (every.obs, every.actions, every.rewards):
        assert not field[~every.mask].any()
        assert field[every.mask].any()
    np.testing.assert_array_equal(every.mask, np.arange(4) < every.lengths[:, None])


def test_toll_bridge_has_the_eight_trajectories_of_its_docstring():
    every = mdp.enumerate_trajectories(mdp.toll_bridge())
    told = sorted(zip(every.lengths.tolist(), every.rewards.sum(-1).tolist(), strict=True))
    assert told == [(1, 1), (2, 3), (3, -1), (3, -1), (3, -1), (3, -1), (3, 3), (3, 3)]
    assert sorted(every.env_prob.tolist()) == [0.0625, 0.1875, 0.25, 0.25, 0.75, 0.75, 1, 1]


@pytest.mark.parametrize(
    ("gamma", "value"),
    # V(bridge, 1 step left) = ½·¾·4 = 1.5; V(bridge, 2 left) = 1.5 + γ·⅝·1.5
    [(1.0, 1.21875), (0.5, 0.5 + 0.5 * (-1 + 0.5 * (1.5 + 0.5 * 0.625 * 1.5))), (0.0, 0.0)],
)
def test_toll_bridge_is_worth_what_it_is_by_hand(gamma, value):
    assert mdp.J(mdp.toll_bridge(), np.zeros((2, 2)), gamma) == pytest.approx(value, abs=1e-15)


def test_a_bandit_is_worth_the_mean_of_its_arms_and_climbs_by_the_softmax_rule():
    process, theta = mdp.bandit(1, -2, 4), [[0.0, math.log(2), math.log(5)]]
    assert mdp.J(process, theta) == pytest.approx((1 - 4 + 20) / 8, abs=1e-14)
    by_hand = np.array([[1 / 8, 2 / 8, 5 / 8]]) * (np.array([[1, -2, 4]]) - 17 / 8)
    np.testing.assert_allclose(mdp.grad_J(process, theta), by_hand, atol=1e-14)


@few
@given(st.integers(0, 999), st.floats(0, 1))
def test_J_by_dynamic_programming_is_J_by_listing_trajectories(seed, gamma):
    process, theta = sample(seed)
    pi = np.exp(theta) / np.exp(theta).sum(-1, keepdims=True)
    by_listing = sum(
        prob * math.prod(pi[s, a] for s, a, _ in path) * discounted([r for *_, r in path], gamma)
        for prob, path, _ in listing(process)
    )
    assert mdp.J(process, theta, gamma) == pytest.approx(by_listing, abs=1e-12)


@pytest.mark.parametrize(
    ("gamma", "weight"),
    [
        (1.0, whole(1.0)),
        (1.0, to_go(1.0, front=False)),
        (0.9, whole(0.9)),
        (0.6, to_go(0.6, front=True)),
        (0.0, whole(0.0)),
    ],
    ids=["whole", "to_go", "whole_discounted", "to_go_with_gamma_t", "myopic"],
)
@pytest.mark.parametrize("shape", [(3, 2, 4), (2, 3, 3)])
def test_grad_J_is_the_expectation_of_scores_times_returns(shape, gamma, weight):
    process, theta = sample(7, *shape)
    listed = mdp.expected(process, theta, weighted(theta, weight))
    np.testing.assert_allclose(listed, mdp.grad_J(process, theta, gamma), atol=1e-12)


def test_below_gamma_one_the_reward_to_go_without_gamma_t_is_another_direction():
    process, theta = sample(7, 3, 2, 4)
    listed = mdp.expected(process, theta, weighted(theta, to_go(0.6, front=False)))
    assert np.abs(listed - mdp.grad_J(process, theta, 0.6)).max() > 1e-2
    assert np.abs(listed - mdp.grad_J(process, theta, 1.0)).max() > 5e-3


@few
@given(st.integers(0, 999), st.floats(0, 1))
def test_grad_J_is_the_slope_of_J_along_a_random_direction(seed, gamma):
    process, theta = sample(seed, 3, 2, 5)
    direction = np.random.default_rng(seed + 1).normal(size=theta.shape)
    up, down = (mdp.J(process, theta + e * direction, gamma) for e in (1e-5, -1e-5))
    slope = (mdp.grad_J(process, theta, gamma) * direction).sum()
    assert slope == pytest.approx((up - down) / 2e-5, abs=1e-8)


def test_grad_J_is_what_autograd_makes_of_the_sum_over_trajectories():
    process, theta = sample(11, 2, 3, 3)
    table = torch.tensor(theta, requires_grad=True)
    log_pi = torch.log_softmax(table, -1)
    total = sum(
        prob
        * torch.exp(sum(log_pi[s, a] for s, a, _ in path))
        * discounted([r for *_, r in path], 0.8)
        for prob, path, _ in listing(process)
    )
    total.backward()
    np.testing.assert_allclose(mdp.grad_J(process, theta, 0.8), table.grad, atol=1e-12)


def test_scores_have_zero_expectation_at_every_time_step():
    process, theta = sample(3, 3, 2, 4)
    by_step = mdp.expected(process, theta, lambda b: np.moveaxis(mdp.scores(b, theta), 2, -1))
    assert by_step.shape == (3, 2, 1, 4)
    np.testing.assert_allclose(by_step, 0, atol=1e-13)


def test_scores_are_the_slopes_of_logp():
    process, theta = sample(4, 2, 3, 3)
    every = mdp.enumerate_trajectories(process)
    direction = np.random.default_rng(5).normal(size=theta.shape)
    up, down = (mdp.logp(every, theta + e * direction) for e in (1e-5, -1e-5))
    slope = np.einsum("sa,sant->nt", direction, mdp.scores(every, theta))
    np.testing.assert_allclose(slope, (up - down) / 2e-5, atol=1e-9)


def test_scores_and_logp_are_zero_in_padding():
    process, theta = sample(4, 2, 3, 3)
    every = mdp.enumerate_trajectories(process)
    assert not mdp.scores(every, theta)[..., ~every.mask].any()
    assert not mdp.logp(every, theta)[~every.mask].any()


@pytest.mark.parametrize("theta", [[1.0, -2.0, 0.5], [800.0, 799.0, -800.0]])
def test_softmax_is_exponentials_over_their_sum_at_any_size(theta):
    shifted = [math.exp(x - max(theta)) for x in theta]
    np.testing.assert_allclose(mdp.softmax(np.array(theta)), np.divide(shifted, sum(shifted)))


def test_expected_over_two_episodes_is_a_double_loop_over_trajectories():
    process, theta = mdp.toll_bridge(), np.array([[0.3, -0.4], [1.1, 0.2]])
    single = mdp.enumerate_trajectories(process)
    prob = mdp.probability(single, theta)
    by_hand = 0.0
    for i in range(8):
        for j in range(8):
            steps = single.lengths[i] + 3 * single.lengths[j]
            by_hand += prob[i] * prob[j] * single.rewards[i, 0] * single.rewards[j].sum() / steps
    listed = mdp.expected(
        process,
        theta,
        lambda b: b.rewards[:, 0, 0] * b.rewards[:, 1].sum(-1) / (b.lengths @ np.array([1, 3])),
        episodes=2,
    )
    assert listed == pytest.approx(by_hand, abs=1e-14)


def test_batches_are_all_ordered_tuples_of_trajectories():
    single = mdp.enumerate_trajectories(mdp.toll_bridge())
    triples = mdp.batches(single, 3)
    assert triples.rewards.shape == (512, 3, 3)
    tuples = {episodes.tobytes() for episodes in np.stack([triples.actions, triples.rewards], 1)}
    assert len(tuples) == 512
    np.testing.assert_array_equal(triples.rewards[2 * 64 + 5 * 8 + 7], single.rewards[[2, 5, 7]])
    assert triples.env_prob[2 * 64 + 5 * 8 + 7] == single.env_prob[[2, 5, 7]].prod()
    np.testing.assert_array_equal(triples.terminated[1], single.terminated[[0, 0, 1]])


def test_a_hundred_thousand_trajectories_are_listed():
    process, theta = sample(0, states=3, actions=2, horizon=6)
    every = mdp.enumerate_trajectories(process)
    # 3 first states, 6 edges that go on and 2 that end at every step, the last step cut
    assert len(every.env_prob) == sum(3 * 6**t * 2 for t in range(5)) + 3 * 6**5 * 8 > 1e5
    assert mdp.probability(every, theta).sum() == pytest.approx(1, abs=1e-11)


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_stop_or_walk_pays_one_now_or_one_and_a_half_later(gamma):
    process, theta = mdp.stop_or_walk(), np.array([[0.4, -0.7], [2.0, 0.1], [-1.0, 3.0]])
    walk = 1 / (1 + math.exp(0.4 + 0.7))
    assert mdp.J(process, theta, gamma) == pytest.approx(
        (1 - walk) + walk * 1.5 * gamma**2, abs=1e-14
    )
    every = mdp.enumerate_trajectories(process)
    assert sorted(every.lengths) == [1, 3, 3, 3, 3]
    assert every.terminated.all()


def test_in_stop_or_walk_the_sum_pulls_to_walk_and_the_episode_mean_to_stop():
    process, theta = mdp.stop_or_walk(), np.zeros((3, 2))
    total = weighted(theta, whole(1.0))
    mean = weighted(theta, lambda b: whole(1.0)(b) / b.lengths[..., None])
    for estimator, pull in ((total, 0.25 * (1.5 - 1)), (mean, 0.25 * (1.5 / 3 - 1))):
        by_hand = [[-pull, pull], [0, 0], [0, 0]]
        np.testing.assert_allclose(mdp.expected(process, theta, estimator), by_hand, atol=1e-15)


def test_balance_pays_one_a_step():
    every = mdp.enumerate_trajectories(mdp.balance(4))
    np.testing.assert_array_equal(every.rewards, every.mask.astype(float))


def test_terminated_says_which_episodes_ended_by_themselves():
    process, theta = mdp.balance(4), np.array([[0.3, -0.2], [0.9, 0.4]])
    pi = mdp.softmax(theta)
    chain = np.einsum("sa,sap->sp", pi, process.P)[:, :2]
    cut = process.rho @ np.linalg.matrix_power(chain, 4)  # still on its feet after the last step
    ended = mdp.expected(process, theta, lambda b: b.terminated[:, 0])
    assert ended == pytest.approx(1 - cut.sum(), abs=1e-14)
    every = mdp.enumerate_trajectories(process)
    assert every.terminated[every.lengths < 4].all()
    assert set(every.terminated[every.lengths == 4]) == {True, False}


def test_rewards_by_state_and_action_are_the_same_for_every_next_state():
    process = mdp.balance()
    assert process.R.shape == process.P.shape == (2, 2, 3)
    assert (process.states, process.actions) == (2, 2)


def test_random_process_is_the_same_for_the_same_generator_and_another_for_another():
    first, again, other = (sample(seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.P, again.P)
    np.testing.assert_array_equal(first.R, again.R)
    assert not np.allclose(first.R, other.R)
    assert not np.allclose(first.rho, other.rho)


def test_nothing_said_of_its_size_is_three_states_two_actions_four_steps():
    process = mdp.random_process(np.random.default_rng(0))
    assert (process.states, process.actions, process.horizon) == (3, 2, 4)


def test_the_processes_of_the_course_are_as_long_as_they_say_and_a_bandit_ends_by_itself():
    pulls = mdp.enumerate_trajectories(mdp.bandit(1.0, 2.0))
    assert pulls.mask.tolist() == [[True], [True]]
    assert pulls.terminated.all()
    lasts = {mdp.stop_or_walk: 3, mdp.toll_bridge: 3, mdp.balance: 5}
    assert {process: process().horizon for process in lasts} == lasts


def test_a_process_is_made_by_names_and_stays_what_it_is():
    process = mdp.toll_bridge()
    with pytest.raises(TypeError, match="positional"):
        mdp.FiniteMDP(process.P, process.R, process.rho, 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        process.horizon = 4


def build(**change):
    P = np.zeros((2, 3, 3))
    P[..., 2] = 1
    parts = {"P": P, "R": np.ones((2, 3)), "rho": [0.25, 0.75], "horizon": 2}
    return mdp.FiniteMDP(**{**parts, **change})


def test_the_parts_that_the_bad_ones_are_made_from_are_good():
    assert mdp.J(build(), np.zeros((2, 3))) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"P": np.ones((2, 3, 2)) / 2}, r"P has shape \(2, 3, 2\)"),
        ({"P": np.ones((2, 3)) / 3}, r"P has shape \(2, 3\)"),
        ({"R": np.ones((3, 2))}, r"R has shape \(3, 2\); P says \(2, 3\) or \(2, 3, 3\)"),
        ({"R": np.ones((2, 3, 2))}, r"R has shape \(2, 3, 2\)"),
        ({"rho": [0.5, 0.25, 0.25]}, r"rho has shape \(3,\); P says \(2,\)"),
        ({"rho": [0.5, 0.4]}, "rho must be ≥ 0 and add to 1"),
        ({"rho": [1.5, -0.5]}, "rho must be ≥ 0 and add to 1"),
        ({"rho": [np.nan, 1]}, "rho holds a NaN or an infinity: .*nan"),
        ({"P": np.full((2, 3, 3), 0.3)}, r"P must be ≥ 0 and add to 1 .* 0\.3"),
        ({"P": np.full((2, 3, 3), np.nan)}, "P holds a NaN or an infinity: .*nan"),
        ({"R": np.full((2, 3), np.nan)}, "R holds a NaN or an infinity: .*nan"),
        ({"R": np.full((2, 3), np.inf)}, "R holds a NaN or an infinity: .*inf"),
        ({"horizon": 0}, "horizon 0 must be a whole number, 1 or more"),
        ({"horizon": -3}, "horizon -3 must be a whole number, 1 or more"),
        ({"horizon": 2.5}, "horizon 2.5 must be a whole number, 1 or more"),
        ({"horizon": "3"}, "horizon '3' must be a whole number, 1 or more"),
        ({"horizon": True}, "horizon True must be a whole number, 1 or more"),
        ({"P": np.zeros((2, 0, 3)), "R": np.zeros((2, 0))}, r"P has shape \(2, 0, 3\)"),
        ({"P": "P"}, "P 'P' must be a number or an array of numbers"),
        ({"P": None}, "P None must be a number or an array of numbers"),
        ({"R": [[1.0], [1.0, 2.0]]}, "R .* must be a number or an array of numbers"),
        ({"R": [["a"] * 3] * 2}, "R .*'a'.* must be a number or an array of numbers"),
        ({"rho": [1j, 0]}, "rho .* must be a number or an array of numbers"),
    ],
)
def test_a_process_that_makes_no_sense_is_refused_with_what_was_given(change, message):
    with pytest.raises(ValueError, match="(?s)" + message):
        build(**change)


@pytest.mark.parametrize("function", [mdp.J, mdp.grad_J])
@pytest.mark.parametrize("gamma", [-0.1, 1.01, np.nan, np.inf])
def test_gamma_outside_zero_to_one_is_refused(function, gamma):
    with pytest.raises(ValueError, match=rf"gamma {gamma} is outside \[0, 1\]"):
        function(mdp.toll_bridge(), np.zeros((2, 2)), gamma)


@pytest.mark.parametrize("function", [mdp.J, mdp.grad_J])
@pytest.mark.parametrize("gamma", ["0.9", None, True, [0.9], np.array([0.9, 0.8])])
def test_a_gamma_that_is_no_number_is_refused(function, gamma):
    with pytest.raises(ValueError, match=re.escape(f"gamma {gamma!r} must be a number")):
        function(mdp.toll_bridge(), np.zeros((2, 2)), gamma)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_theta_that_is_not_finite_is_refused(bad):
    process, theta = mdp.toll_bridge(), np.array([[0.0, bad], [0.0, 0.0]])
    every = mdp.enumerate_trajectories(process)
    for function, first in ((mdp.J, process), (mdp.grad_J, process), (mdp.logp, every)):
        with pytest.raises(ValueError, match=f"(?s)theta holds a NaN or an infinity: .*{bad}"):
            function(first, theta)


def test_what_is_no_process_and_no_generator_is_refused():
    theta = np.zeros((2, 2))
    calls = (
        lambda: mdp.J(theta, mdp.toll_bridge()),
        lambda: mdp.grad_J("toll_bridge", theta),
        lambda: mdp.enumerate_trajectories(None),
        lambda: mdp.expected(theta, theta, lambda b: b.rewards[:, 0, 0]),
    )
    for call in calls:
        with pytest.raises(ValueError, match=r"(?s)process .* is no FiniteMDP; give one, such as"):
            call()
    with pytest.raises(ValueError, match=r"rng 3 is no Generator; give one, such as np\.random"):
        mdp.random_process(3)


@pytest.mark.parametrize("function", [mdp.logp, mdp.probability, mdp.scores])
@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 2), "states .* from 0 to 0"), ((2, 1), "actions .* from 0 to 0"), ((2,), "from 0 to 0")],
)
def test_trajectories_that_leave_the_table_are_refused(function, shape, message):
    every = mdp.enumerate_trajectories(mdp.toll_bridge())
    with pytest.raises(ValueError, match=r"(?s)theta's .*must be whole numbers") as said:
        function(every, np.zeros(shape))
    assert re.search(message, str(said.value))


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (2,), ()])
def test_theta_of_another_shape_is_refused_by_every_exact_function(shape):
    process, theta = mdp.toll_bridge(), np.zeros(shape)
    calls = (
        lambda: mdp.J(process, theta),
        lambda: mdp.grad_J(process, theta),
        lambda: mdp.expected(process, theta, lambda b: b.rewards[:, 0, 0]),
    )
    for call in calls:
        with pytest.raises(ValueError, match=r"theta has shape \(.*\); toll_bridge needs \(2, 2\)"):
            call()


@pytest.mark.slow
def test_too_many_trajectories_are_refused_before_they_are_made():
    with pytest.raises(ValueError, match=r"toll_bridge has more than 7 .* \(8 after 3 of"):
        mdp.enumerate_trajectories(mdp.toll_bridge(), limit=7)
    assert len(mdp.enumerate_trajectories(mdp.toll_bridge(), limit=8).env_prob) == 8
    with pytest.raises(ValueError, match="shorten the horizon or raise limit"):
        mdp.enumerate_trajectories(mdp.balance(60))


@pytest.mark.parametrize("wrong", [lambda b: b.rewards, lambda b: 1.0, lambda b: b.rewards[:7]])
def test_an_estimator_of_the_wrong_shape_is_refused(wrong):
    with pytest.raises(ValueError, match=r"the estimator returned shape \(.*the 8 batches"):
        mdp.expected(mdp.toll_bridge(), np.zeros((2, 2)), wrong)


@pytest.mark.parametrize("episodes", [0, -1, 1.5, 2.0, True, "2", None])
def test_a_batch_of_no_episodes_is_refused(episodes):
    with pytest.raises(
        ValueError, match=f"episodes {episodes!r} must be a whole number, 1 or more"
    ):
        mdp.batches(mdp.enumerate_trajectories(mdp.toll_bridge()), episodes)


def test_extreme_logits_warn_of_nothing_and_lose_no_probability():
    theta = np.array([[800.0, 0.0], [0.0, -900.0]])
    tau = mdp.enumerate_trajectories(mdp.toll_bridge())
    assert mdp.probability(tau, theta).sum() == pytest.approx(1, abs=1e-12)
    assert mdp.log_softmax(theta).tolist() == [[0, -800], [0, -900]]


def test_too_many_batches_are_refused_with_their_number():
    tau = mdp.enumerate_trajectories(mdp.toll_bridge())
    with pytest.raises(ValueError, match="9 episodes make 134,217,728 batches"):
        mdp.batches(tau, 9)
    assert len(mdp.batches(tau, 2, limit=64).env_prob) == 64
    with pytest.raises(ValueError, match="2 episodes make 64 batches, more than 63"):
        mdp.batches(tau, 2, limit=63)
