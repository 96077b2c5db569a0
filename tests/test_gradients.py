"""Flat gradients and their exact expectation, against autograd, enumeration and plain loops."""

import math
import re
from functools import partial

import numpy as np
import pytest
import torch

from coursekit import gradients, losses, mdp

THETA = {
    "toll_bridge": np.array([[0.3, -0.4], [1.1, 0.2]]),
    "random_process": np.array([[0.5, -1.0, 0.2]]),
}
PROCESSES = [
    mdp.toll_bridge(),
    mdp.random_process(np.random.default_rng(0), states=1, actions=3, horizon=3),
]
every_process = pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)


def network():
    """Parameters of two shapes and step losses (B, T) = (2, 4) that depend on both."""
    rng = np.random.default_rng(1)
    params = {
        "w": torch.tensor(rng.normal(size=(3, 5)), requires_grad=True),
        "b": torch.tensor(rng.normal(size=3), requires_grad=True),
    }
    inputs = torch.from_numpy(rng.normal(size=(2, 4, 5)))
    logp = torch.log_softmax(inputs @ params["w"].T + params["b"], -1)[..., 1]
    weight = torch.from_numpy(rng.normal(size=(2, 4)))
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    return params, losses.step_losses(logp, weight, mask)


def test_flat_keeps_the_order_of_the_dict():
    params = {"w": torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), "b": torch.tensor([7.0])}
    assert gradients.flat(params).tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert gradients.flat(list(params.values())[::-1]).tolist() == [7, 1, 2, 3, 4, 5, 6]


def test_gradient_is_what_backward_leaves_and_leaves_nothing_itself():
    params, values = network()
    g = gradients.gradient(values.sum(), params)
    assert all(value.grad is None for value in params.values())
    values.sum().backward()
    by_backward = np.concatenate([value.grad.numpy().ravel() for value in params.values()])
    np.testing.assert_allclose(g, by_backward, atol=1e-14)


def test_gradients_of_the_steps_add_to_those_of_the_episodes_and_of_the_sum():
    params, values = network()
    steps, episodes = gradients.per_step(values, params), gradients.per_episode(values, params)
    assert steps.shape == (2, 4, 18)
    assert episodes.shape == (2, 18)
    np.testing.assert_allclose(steps.sum(1), episodes, atol=1e-14)
    np.testing.assert_allclose(
        episodes.sum(0), gradients.gradient(values.sum(), params), atol=1e-14
    )


def test_each_step_has_its_own_gradient_and_padding_has_none():
    params, values = network()
    steps = gradients.per_step(values, params)
    assert not steps[1, 2:].any()
    for i, t in [(0, 0), (0, 3), (1, 1)]:
        own = gradients.gradient(values[i, t], params)
        assert own.abs().max() > 1e-3
        np.testing.assert_allclose(steps[i, t], own, atol=1e-15)


@pytest.mark.parametrize("loss", [1.0, np.float64(1), torch.tensor(1.0), None])
def test_a_loss_that_depends_on_no_parameter_is_refused(loss):
    with pytest.raises(ValueError, match=re.escape(f"the loss {loss!r} depends on no parameter")):
        gradients.gradient(loss, network()[0])


@pytest.mark.parametrize("function", [gradients.per_step, gradients.per_episode])
@pytest.mark.parametrize("shape", [(), (4,), (0, 4), (2, 3, 4)])
def test_losses_that_are_not_one_batch_are_refused(function, shape):
    with pytest.raises(ValueError, match=r"(?s)losses .* must be a tensor \(B, T\), neither"):
        function(torch.zeros(shape), network()[0])


def test_a_loss_that_is_no_scalar_is_refused_with_its_shape():
    params, values = network()
    with pytest.raises(ValueError, match=r"the loss has shape \(2, 4\); reduce it to a scalar"):
        gradients.gradient(values, params)


@pytest.mark.parametrize(
    "kind", [np.array, lambda x: torch.tensor(x, dtype=torch.float64)], ids=["numpy", "torch"]
)
def test_cosine_and_norm_ratio_are_what_they_are_by_hand(kind):
    a, b = kind([[3.0, 0.0], [4.0, 0.0]]), kind([[0.0, 0.0], [-2.0, 0.0]])
    assert gradients.cosine(a, b) == pytest.approx(-0.8, abs=1e-15)
    assert gradients.norm_ratio(a, b) == pytest.approx(2.5, abs=1e-15)
    assert np.isnan(gradients.norm_ratio(a, b * 0))


@pytest.mark.parametrize("factor", [0.01, 1.0, 40.0, -3.0])
def test_a_multiple_shows_in_the_norm_ratio_and_only_its_sign_in_the_cosine(factor):
    a = np.random.default_rng(0).normal(size=7)
    assert gradients.cosine(factor * a, a) == pytest.approx(math.copysign(1, factor), abs=1e-14)
    assert gradients.norm_ratio(factor * a, a) == pytest.approx(abs(factor), abs=1e-13)


def test_a_cosine_is_never_above_one_whatever_the_rounding():
    rows = np.random.default_rng(0).normal(size=(200, 7))
    assert any(a @ a / np.linalg.norm(a) ** 2 > 1 for a in rows)  # what clipping is for
    assert max(gradients.cosine(a, a) for a in rows) == 1
    assert min(gradients.cosine(a, -a) for a in rows) == -1


@pytest.mark.parametrize("function", [gradients.cosine, gradients.norm_ratio])
def test_gradients_of_unequal_sizes_are_not_compared(function):
    with pytest.raises(ValueError, match="the gradients have 6 and 4 entries; compare like with"):
        function(np.ones((2, 3)), torch.ones(4))
    assert function(np.ones((2, 3)), torch.ones(6)) == pytest.approx(1)  # a table and its vector


@pytest.mark.parametrize("function", [gradients.cosine, gradients.norm_ratio])
@pytest.mark.parametrize("wrong", [None, "a", [None]])
def test_what_is_no_gradient_is_refused(function, wrong):
    with pytest.raises(ValueError, match=r"b .* must be a number or an array of numbers"):
        function(np.ones(1), wrong)


def test_the_cosine_with_zero_is_not_a_number():
    assert math.isnan(gradients.cosine(np.zeros(3), np.ones(3)))
    assert math.isnan(gradients.cosine(np.ones(3), np.zeros(3)))


@pytest.mark.parametrize("episodes", [1, 2])
@every_process
def test_the_expected_gradient_of_the_sum_is_minus_grad_J(process, episodes):
    theta = THETA[process.name]
    g = gradients.expected_gradient(losses.reinforce, process, theta, 1.0, episodes)
    np.testing.assert_allclose(-g, mdp.grad_J(process, theta), atol=1e-13)


@pytest.mark.parametrize("reduction", sorted(losses.REDUCTIONS))
@every_process
def test_the_expected_gradient_is_a_plain_double_loop_over_pairs_of_episodes(process, reduction):
    theta, gamma = THETA[process.name], 0.9
    pi = np.exp(theta) / np.exp(theta).sum(-1, keepdims=True)
    single = mdp.enumerate_trajectories(process)
    listed = []  # (probability, Σ_t z_t G_t, n) of each trajectory
    for prob, obs, actions, rewards, mask, _ in zip(*single, strict=True):
        n, g = int(mask.sum()), np.zeros_like(theta)
        for t in range(n):
            s, a = obs[t], actions[t]
            prob *= pi[s, a]
            G = sum(gamma ** (k - t) * rewards[k] for k in range(t, n))
            g[s] += (np.eye(len(pi[s]))[a] - pi[s]) * G
        listed.append((prob, g, n))
    assert len({n for *_, n in listed}) == 3
    factors = {
        "sum": lambda n, m: (1 / 2, 1 / 2),
        "episode_mean": lambda n, m: (1 / (2 * n), 1 / (2 * m)),
        "step_mean": lambda n, m: (1 / (n + m), 1 / (n + m)),
        "constant": lambda n, m: (1 / 200, 1 / 200),
        "typical": lambda n, m: (1 / 40, 1 / 40),
        "tilt": lambda n, m: (10 / n, 10 / m),
    }
    by_hand = np.zeros_like(theta)
    for p, g, n in listed:
        for q, h, m in listed:
            first, second = factors[reduction](n, m)
            by_hand -= p * q * (first * g + second * h)
    loss = partial(losses.reinforce, reduction=reduction)
    result = gradients.expected_gradient(loss, process, theta, gamma, episodes=2)
    np.testing.assert_allclose(result, by_hand, atol=1e-12)


@every_process
def test_the_typical_length_keeps_the_direction_and_the_tilt_carries_all_of_the_bias(process):
    theta, n_bar = THETA[process.name], 3.7
    exact = mdp.grad_J(process, theta)
    typical, tilt, mean = (
        gradients.expected_gradient(loss, process, theta, 1.0, 2)
        for loss in (
            partial(with_length, losses.typical, n_bar),
            partial(with_length, losses.tilt, n_bar),
            partial(losses.reinforce, reduction="episode_mean"),
        )
    )
    np.testing.assert_allclose(-n_bar * typical, exact, atol=1e-12)
    np.testing.assert_allclose(tilt, n_bar * mean, atol=1e-12)
    cosine = -(tilt * exact).sum() / np.linalg.norm(tilt) / np.linalg.norm(exact)
    assert cosine < (0.999 if process.name == "toll_bridge" else 1.0 - 1e-9)


def with_length(reduce, length, logp, rewards, mask, gamma):
    weight = losses.reward_to_go(rewards, gamma)
    return reduce(losses.step_losses(logp, weight, mask), mask, length)


def test_the_expected_gradient_leaves_theta_alone():
    theta = THETA["toll_bridge"].copy()
    gradients.expected_gradient(losses.reinforce, PROCESSES[0], theta, 0.9)
    np.testing.assert_array_equal(theta, THETA["toll_bridge"])


def test_logp_is_zero_in_the_padding_that_a_loss_sees():
    def without_mask(logp, rewards, mask, gamma):
        assert not logp[~mask].any()
        return -logp.sum((-2, -1))  # rewards and mask forgotten

    def with_mask(logp, rewards, mask, gamma):
        return -(logp * mask).sum((-2, -1))

    theta = THETA["toll_bridge"]
    forgotten, remembered = (
        gradients.expected_gradient(loss, PROCESSES[0], theta, 0.9)
        for loss in (without_mask, with_mask)
    )
    np.testing.assert_array_equal(forgotten, remembered)


def test_one_episode_is_what_is_expected_where_nothing_is_said():
    seen = []

    def loss(logp, rewards, mask, gamma):
        seen.append(mask.shape)
        return losses.reinforce(logp, rewards, mask, gamma)

    gradients.expected_gradient(loss, PROCESSES[0], THETA["toll_bridge"], 0.9)
    assert seen == [(8, 1, 3)]


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (2,)])
def test_theta_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"theta has shape .*; toll_bridge needs \(2, 2\)"):
        gradients.expected_gradient(losses.reinforce, PROCESSES[0], np.zeros(shape), 0.9)


def test_a_loss_that_reduces_over_the_batches_too_is_refused_with_its_shape():
    def loss(logp, rewards, mask, gamma):
        return losses.reinforce(logp, rewards, mask, gamma).mean()

    with pytest.raises(ValueError, match=r"returned shape \(\) for 64 batches of shape \(2, 3\)"):
        gradients.expected_gradient(loss, PROCESSES[0], THETA["toll_bridge"], 0.9, episodes=2)


@pytest.mark.parametrize("value", [None, 0.0, "x"])
def test_a_loss_that_returns_no_tensor_is_refused(value):
    with pytest.raises(ValueError, match=r"the loss returned shape \(\) for 8 batches"):
        gradients.expected_gradient(lambda *args: value, PROCESSES[0], THETA["toll_bridge"], 0.9)


def test_a_loss_that_returns_an_array_of_numpy_is_refused():
    def loss(logp, rewards, mask, gamma):
        return losses.reinforce(logp, rewards, mask, gamma).detach().numpy()

    with pytest.raises(ValueError, match=r"(?s)which has no gradient; make it from logp"):
        gradients.expected_gradient(loss, PROCESSES[0], THETA["toll_bridge"], 0.9)


def test_a_loss_without_logp_is_refused():
    def loss(logp, rewards, mask, gamma):
        return losses.reinforce(logp.detach(), rewards, mask, gamma)

    with pytest.raises(ValueError, match=r"(?s)which has no gradient; make it from logp"):
        gradients.expected_gradient(loss, PROCESSES[0], THETA["toll_bridge"], 0.9)
