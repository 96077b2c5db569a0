"""Policies: probabilities, initial weights, drawing by inverse CDF, the network by hand."""

import dataclasses
import math
import re

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit import policies

few = settings(max_examples=25, derandomize=True, deadline=None)


def logits_of(*probabilities):
    return torch.tensor(probabilities, dtype=torch.float64).log()


@few
@given(st.lists(st.floats(-700, 700), min_size=2, max_size=6))
def test_probabilities_of_the_actions_add_to_one(logits):
    logits = torch.tensor(logits, dtype=torch.float64)
    A = len(logits)
    logp = policies.logp_from_logits(logits.expand(A, A), torch.arange(A))
    assert float(logp.exp().sum()) == pytest.approx(1, abs=1e-12)
    assert torch.isfinite(logp).all()


def test_logp_is_the_chosen_logit_minus_the_log_of_the_sum_of_exponentials():
    logits = np.random.default_rng(0).normal(size=(2, 4, 3))  # (B, T, A)
    action = np.array([[0, 2, 1, 1], [2, 2, 0, 1]])
    logp = policies.logp_from_logits(logits, action)
    assert logp.shape == (2, 4)
    for i, t in np.ndindex(2, 4):
        z = math.log(sum(math.exp(x) for x in logits[i, t]))
        assert logp[i, t] == pytest.approx(logits[i, t, action[i, t]] - z, abs=1e-14)


@pytest.mark.parametrize("shape", [(4, 2), (2,), (2, 4, 1)])
def test_actions_that_do_not_fit_the_logits_are_refused(shape):
    with pytest.raises(
        ValueError, match=r"actions have shape .*; logits of shape \(2, 4, 3\) need"
    ):
        policies.logp_from_logits(torch.zeros(2, 4, 3), torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize(
    ("u", "action"),
    [
        (0.0, 0),
        (math.nextafter(0.25, 0), 0),
        (0.25, 1),
        (math.nextafter(0.75, 0), 1),
        (0.75, 2),
        (math.nextafter(1, 0), 2),
    ],
)
def test_draw_inverts_the_distribution_function_at_its_exact_boundaries(u, action):
    logits = logits_of(0.25, 0.5, 0.25)
    inner = torch.softmax(logits, -1).cumsum(-1)[:-1]
    assert inner.tolist() == [0.25, 0.75]  # exact in binary
    assert policies.draw(logits, u) == action


def test_draw_stays_among_the_actions_where_the_probabilities_add_to_less_than_one():
    rows, u = torch.from_numpy(np.random.default_rng(0).normal(size=(200, 7))), math.nextafter(1, 0)
    assert any(torch.softmax(row, -1).cumsum(-1)[-1] <= u for row in rows)  # rounding: below one
    assert {policies.draw(row, u) for row in rows} == {6}


@pytest.mark.parametrize(
    ("logits", "u"),
    [
        (torch.zeros(3, 2), 0.5),
        (torch.tensor(1.0), 0.5),
        (torch.tensor([0.0, math.nan]), 0.5),
        (torch.zeros(0), 0.5),
        ([0.0, 0.0], 1.0),
        ([0.0, 0.0], -0.1),
        ([0.0, 0.0], math.nan),
    ],
)
def test_draw_refuses_what_is_no_distribution_and_no_uniform_number(logits, u):
    with pytest.raises(ValueError, match=r"(?s)logits .* must be \(A,\) without NaN, and u"):
        policies.draw(logits, u)


@pytest.mark.parametrize("u", ["0.5", None, torch.tensor(0.5)])
def test_draw_refuses_what_is_no_number(u):
    with pytest.raises(ValueError, match=re.escape(f"u {u!r} must be a number")):
        policies.draw([0.0, 0.0], u)


@pytest.mark.parametrize("u", [0.0, 0.5, math.nextafter(1, 0)])
def test_draw_never_takes_an_action_of_probability_zero(u):
    logits = torch.tensor([-math.inf, 0.0, -math.inf, 0.0], dtype=torch.float64)
    assert policies.draw(logits, u) in (1, 3)


@few
@given(st.lists(st.floats(-30, 30), min_size=1, max_size=6), st.floats(0, 1, exclude_max=True))
def test_draw_is_a_plain_walk_along_the_cumulative_sum(logits, u):
    weights = [math.exp(x) for x in logits]
    total, drawn = 0.0, 0
    for action, weight in enumerate(weights[:-1]):
        total += weight / math.fsum(weights)
        if abs(total - u) < 1e-12:
            return  # within rounding of a boundary either neighbour is right
        drawn = action + 1 if total <= u else drawn
    assert policies.draw(torch.tensor(logits, dtype=torch.float64), u) == drawn


def test_frequencies_are_within_four_standard_errors_of_the_probabilities():
    p, n = np.array([0.1, 0.6, 0.3]), 4000
    rng, logits = np.random.default_rng(12), logits_of(*p)
    counts = np.bincount([policies.draw(logits, rng.random()) for _ in range(n)], minlength=3)
    assert (np.abs(counts / n - p) < 4 * np.sqrt(p * (1 - p) / n)).all()


def test_a_table_policy_looks_its_logits_up():
    policy = policies.TablePolicy(states=3, actions=2)
    params = policy.init(np.random.default_rng(4))
    theta = np.random.default_rng(4).normal(size=(3, 2))
    np.testing.assert_array_equal(params["theta"].detach(), theta)
    obs, action = np.array([[2, 0, 1, 1]]), np.array([[1, 0, 0, 1]])
    np.testing.assert_array_equal(policy.logits(params, obs).detach(), theta[obs])
    by_hand = theta[obs, action] - np.log(np.exp(theta[obs]).sum(-1))
    np.testing.assert_allclose(policy.logp(params, obs, action).detach(), by_hand, atol=1e-14)


def test_initial_weights_are_drawn_layer_by_layer_weight_before_bias():
    policy = policies.SoftmaxPolicy(obs_size=3, actions=2, hidden=(5, 4))
    params, rng = policy.init(np.random.default_rng(6)), np.random.default_rng(6)
    by_hand = {}
    for name, shape, fan_in in [
        ("w0", (5, 3), 3),
        ("b0", (5,), 3),
        ("w1", (4, 5), 5),
        ("b1", (4,), 5),
        ("w2", (2, 4), 4),
        ("b2", (2,), 4),
    ]:
        by_hand[name] = (2 * rng.random(shape) - 1) / math.sqrt(fan_in)
    assert list(params) == list(by_hand)
    for name, value in params.items():
        assert value.dtype == torch.float64
        assert value.requires_grad
        np.testing.assert_allclose(value.detach(), by_hand[name], atol=1e-15)


def test_initial_weights_fill_their_bounds():
    params = policies.SoftmaxPolicy(obs_size=9, actions=16, hidden=(400,)).init(
        np.random.default_rng(0)
    )
    for name, bound in (("w0", 1 / 3), ("b0", 1 / 3), ("w1", 1 / 20), ("b1", 1 / 20)):
        largest = params[name].abs().max()
        assert 0.75 * bound < largest <= bound


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
def test_the_network_is_the_numpy_forward_by_hand(activation, hidden):
    policy = policies.SoftmaxPolicy(obs_size=3, actions=2, hidden=hidden, activation=activation)
    params = policy.init(np.random.default_rng(1))
    obs = np.random.default_rng(2).normal(size=(4, 6, 3))  # (B, T, O)
    action = np.random.default_rng(3).integers(2, size=(4, 6))
    act = {"relu": lambda x: np.where(x > 0, x, 0), "tanh": np.tanh}[activation]
    layer = obs
    for k in range(len(hidden) + 1):
        w, b = (params[f"{letter}{k}"].detach().numpy() for letter in "wb")
        layer = np.einsum("bti,oi->bto", layer, w) + b
        layer = act(layer) if k < len(hidden) else layer
    np.testing.assert_allclose(policy.logits(params, obs).detach(), layer, atol=1e-14)
    chosen = np.take_along_axis(layer, action[..., None], -1)[..., 0]
    logp = policy.logp(params, torch.from_numpy(obs), torch.from_numpy(action)).detach()
    np.testing.assert_allclose(logp, chosen - np.log(np.exp(layer).sum(-1)), atol=1e-13)


def test_every_parameter_gets_its_gradient():
    policy = policies.SoftmaxPolicy(obs_size=3, actions=4, hidden=(5,))
    params = policy.init(np.random.default_rng(1))
    policy.logp(params, np.array([0.3, -1.0, 2.0]), torch.tensor(2)).backward()
    assert all(value.grad.abs().max() > 1e-3 for value in params.values())


def test_policy_for_reads_the_sizes_off_the_environment():
    policy = policies.policy_for(gymnasium.make("Acrobot-v1"), hidden=[7], activation="tanh")
    expected = policies.SoftmaxPolicy(obs_size=6, actions=3, hidden=(7,), activation="tanh")
    assert policy == expected
    usual = policies.SoftmaxPolicy(obs_size=6, actions=3, hidden=(64,), activation="relu")
    assert policies.policy_for(gymnasium.make("Acrobot-v1")) == usual


def test_continuous_actions_are_refused_with_the_id_and_the_space():
    with pytest.raises(ValueError, match=r"Pendulum-v1 has Box\(-2\.0, 2\.0, \(1,\).*CartPole-v1"):
        policies.policy_for(gymnasium.make("Pendulum-v1"))


@pytest.mark.parametrize(
    "space",
    [
        gymnasium.spaces.Discrete(3, start=1),
        gymnasium.spaces.MultiBinary(4),
        gymnasium.spaces.MultiDiscrete([2, 3]),
    ],
)
def test_actions_that_are_not_0_to_A_are_refused(space):
    env = gymnasium.make("CartPole-v1")
    env.action_space = space
    with pytest.raises(
        ValueError, match="chooses among actions 0 … A−1; CartPole-v1 has"
    ) as caught:
        policies.policy_for(env)
    assert str(space) in str(caught.value)


def test_observations_that_are_no_vector_are_refused_with_the_id_and_the_space():
    with pytest.raises(ValueError, match=r"FrozenLake-v1 observes Discrete\(16\)"):
        policies.policy_for(gymnasium.make("FrozenLake-v1"))


def test_what_is_no_environment_is_refused_with_what_to_give():
    with pytest.raises(ValueError, match=r"env 'CartPole-v1' must be an environment, such as roll"):
        policies.policy_for("CartPole-v1")


def test_a_space_is_refused_where_the_environment_has_no_id_too():
    env = gymnasium.make("Pendulum-v1").unwrapped
    env.spec = None
    with pytest.raises(ValueError, match=r"PendulumEnv.* has Box\("):
        policies.policy_for(env)


def test_an_unknown_activation_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="activation 'gelu' is unknown; choose from: relu, tanh"):
        policies.policy_for(gymnasium.make("CartPole-v1"), activation="gelu")


SIZES = {
    policies.TablePolicy: {"states": 3, "actions": 2},
    policies.SoftmaxPolicy: {"obs_size": 4, "actions": 2},
    policies.GaussianPolicy: {"obs_size": 4, "action_size": 2},
}


@pytest.mark.parametrize("kind", list(SIZES), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("size", [0, -1, 2.5, True, "2"])
def test_a_policy_of_an_impossible_size_is_refused_when_it_is_made(kind, size):
    for name in SIZES[kind]:
        with pytest.raises(ValueError, match=f"{name} {size!r} must be a whole number, 1 or more"):
            kind(**SIZES[kind] | {name: size})


@pytest.mark.parametrize("kind", list(SIZES), ids=lambda kind: kind.__name__)
def test_a_policy_is_made_by_names_and_stays_what_it_is(kind):
    with pytest.raises(TypeError, match="positional"):
        kind(*SIZES[kind].values())
    made = kind(**SIZES[kind])
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.actions = 3
    assert {made: "a key of a dictionary"}[kind(**SIZES[kind])]


@pytest.mark.parametrize("kind", list(SIZES)[1:], ids=lambda kind: kind.__name__)
def test_a_network_of_impossible_layers_is_refused_when_it_is_made(kind):
    for hidden in (64, "64", (0,), (4.0,), None):
        with pytest.raises(ValueError, match=re.escape(f"hidden {hidden!r} must be a tuple of")):
            kind(**SIZES[kind], hidden=hidden)
    with pytest.raises(ValueError, match="activation 'gelu' is unknown; choose from: relu, tanh"):
        kind(**SIZES[kind], activation="gelu")


def test_an_environment_with_layers_that_are_no_list_is_refused():
    with pytest.raises(ValueError, match="hidden 64 must be a tuple of layer widths"):
        policies.policy_for(gymnasium.make("CartPole-v1"), hidden=64)


@pytest.mark.parametrize("kind", list(SIZES), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("rng", [0, None, torch.Generator()])
def test_initial_weights_without_a_generator_of_numpy_are_refused(kind, rng):
    with pytest.raises(
        ValueError, match=r"rng .* is no Generator; give one, such as np\.random\.default"
    ):
        kind(**SIZES[kind]).init(rng)


@pytest.mark.parametrize("kind", [np.float32, np.int64, np.float64, list])
def test_observations_of_any_type_of_number_give_the_same_logits(kind):
    policy = policies.SoftmaxPolicy(obs_size=3, actions=2, hidden=(5,))
    params, obs = policy.init(np.random.default_rng(1)), np.array([3.0, -1.0, 2.0])
    given = list(obs) if kind is list else obs.astype(kind)
    assert torch.equal(policy.logits(params, given), policy.logits(params, torch.from_numpy(obs)))


def test_observations_and_parameters_that_do_not_fit_the_network_are_refused():
    policy = policies.SoftmaxPolicy(obs_size=3, actions=2, hidden=(5,))
    params = policy.init(np.random.default_rng(1))
    for obs in (np.zeros(4), np.zeros((3, 2)), 1.0):
        with pytest.raises(ValueError, match=r"obs have shape \(.*\); the last axis must be 3"):
            policy.logits(params, obs)
    for wrong in ({}, {name: value.detach().numpy() for name, value in params.items()}):
        with pytest.raises(
            ValueError, match=r"(?s)w0 .* is no Tensor; give one, such as policy\.init"
        ):
            policy.logits(wrong, np.zeros(3))


def test_states_and_tables_that_do_not_fit_the_table_policy_are_refused():
    policy = policies.TablePolicy(states=3, actions=2)
    params = policy.init(np.random.default_rng(1))
    for obs in ([3], [-1], [0.5], [True]):
        with pytest.raises(ValueError, match="obs must be whole numbers from 0 to 2, not tensor"):
            policy.logits(params, obs)
    with pytest.raises(ValueError, match=r"theta has shape \(2, 3\); this policy needs \(3, 2\)"):
        policy.logits({"theta": params["theta"].T}, [0])
    for wrong in ({}, {"theta": np.zeros((3, 2))}):
        with pytest.raises(
            ValueError, match=r"(?s)theta .* is no Tensor; give one, such as policy\.init"
        ):
            policy.logits(wrong, [0])


def test_the_gradient_of_every_step_comes_from_vmap_too():
    policy = policies.SoftmaxPolicy(obs_size=3, actions=2, hidden=(5,))
    params, obs = policy.init(np.random.default_rng(1)), torch.linspace(-1, 1, 12).reshape(4, 3)
    actions = torch.tensor([1, 0, 0, 1])
    one = torch.func.grad(lambda p, o, a: policy.logp(p, o, a))
    together = torch.func.vmap(one, in_dims=(None, 0, 0))(params, obs, actions)
    for k in range(4):
        alone = one(params, obs[k], actions[k])
        assert all(torch.allclose(together[name][k], alone[name]) for name in params)


@pytest.mark.parametrize("action", [2, -1, 0.5, True])
def test_actions_that_the_logits_do_not_have_are_refused(action):
    with pytest.raises(ValueError, match="actions must be whole numbers from 0 to 1, not "):
        policies.logp_from_logits(torch.zeros(2), action)


# --- The Gaussian policy: O = 3, A = 2 (T = 4, B = 5), log σ neither zero nor equal on both axes.


def gaussian_case():
    policy = policies.GaussianPolicy(obs_size=3, action_size=2, hidden=(6,), activation="tanh")
    rng = np.random.default_rng(8)
    params = policy.init(rng)
    params["log_std"] = torch.tensor([0.3, -0.7], dtype=torch.float64, requires_grad=True)
    return policy, params, rng.normal(size=(5, 4, 3)), rng.normal(size=(5, 4, 2))


def density(policy, params, obs, action):
    """scipy's log-densities on the axes, added up."""
    from scipy.stats import norm  # here, since it takes a second to load

    mean = policy.mean(params, obs).detach().numpy()
    return norm.logpdf(action, mean, np.exp([0.3, -0.7])).sum(-1)


def wrong_densities(policy, params, obs, action):
    """Four plausible mistakes: log σ left out, σ² for σ, averaged over axes, first axis alone."""
    eps = (torch.as_tensor(action) - policy.mean(params, obs)) / params["log_std"].exp()
    steps = -(0.5 * eps**2 + params["log_std"] + 0.5 * math.log(2 * math.pi))
    wide = (torch.as_tensor(action) - policy.mean(params, obs)) / (2 * params["log_std"]).exp()
    return [
        (steps + params["log_std"]).sum(-1),
        -(0.5 * wide**2 + 2 * params["log_std"] + 0.5 * math.log(2 * math.pi)).sum(-1),
        steps.mean(-1),
        steps[..., 0],
    ]


@pytest.mark.slow
def test_the_gaussian_log_density_is_scipys_added_over_the_action_axes():
    case = gaussian_case()
    logp = case[0].logp(*case[1:])
    assert logp.shape == (5, 4)
    np.testing.assert_allclose(logp.detach(), density(*case), atol=1e-13)
    for wrong in wrong_densities(*case):
        assert np.abs(wrong.detach().numpy() - density(*case)).min() > 1e-6


def slope_along(policy, params, obs, action, way, h=1e-6):
    """Central difference of Σ log π along the direction ``way`` in all parameters."""

    def total(sign):
        moved = {k: p.detach() + sign * h * way[k] for k, p in params.items()}
        return float(policy.logp(moved, obs, action).sum())

    return (total(1) - total(-1)) / (2 * h)


def test_its_gradient_is_the_central_difference_for_log_std_too():
    policy, params, obs, action = gaussian_case()
    rng = np.random.default_rng(9)
    policy.logp(params, obs, action).sum().backward()
    for _ in range(3):
        way = {k: torch.from_numpy(rng.normal(size=p.shape)) for k, p in params.items()}
        numeric = slope_along(policy, params, obs, action, way)
        exact = sum(float((p.grad * way[k]).sum()) for k, p in params.items())
        without = exact - float((params["log_std"].grad * way["log_std"]).sum())
        assert exact == pytest.approx(numeric, rel=1e-6)
        assert without != pytest.approx(numeric, rel=1e-3)


def test_a_gaussian_action_is_mean_plus_sigma_times_the_noise():
    policy, params, obs, noise = gaussian_case()
    action = policy.sample(params, obs, noise)
    by_hand = policy.mean(params, obs).detach().numpy() + noise * np.exp([0.3, -0.7])
    np.testing.assert_allclose(action, by_hand, atol=1e-15)
    assert not action.requires_grad
    assert np.abs(by_hand - noise).max() > 0.1


def test_the_gaussian_starts_like_the_softmax_with_sigma_1():
    gauss = policies.GaussianPolicy(obs_size=3, action_size=2).init(np.random.default_rng(4))
    soft = policies.SoftmaxPolicy(obs_size=3, actions=2).init(np.random.default_rng(4))
    assert gauss["log_std"].tolist() == [0, 0]
    assert gauss["log_std"].requires_grad
    assert gauss["log_std"].dtype == torch.float64
    assert all(torch.equal(gauss[name], soft[name]) for name in soft)


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (4, 5, 2)])
def test_gaussian_actions_and_noise_that_do_not_fit_are_refused(shape):
    policy, params, obs, _ = gaussian_case()
    with pytest.raises(ValueError, match=r"actions have shape .*means of shape \(5, 4, 2\)"):
        policy.logp(params, obs, np.zeros(shape))
    with pytest.raises(ValueError, match=r"noise has shape .* need \(5, 4, 2\)"):
        policy.sample(params, obs, np.zeros(shape))
