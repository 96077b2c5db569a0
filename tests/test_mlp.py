"""The network by hand: equal to autograd, right by its own slopes, and clear about bad input."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit import mlp, policies

few = settings(max_examples=25, derandomize=True, deadline=None)
TORCH = {
    "linear": lambda z: z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softmax": lambda z: torch.softmax(z, -1),
}
every_activation = pytest.mark.parametrize("name", sorted(mlp.ACTIVATIONS))


def case(seed, sizes=(4, 5, 3), batch=(2, 6)):
    """Parameters, observations and a derivative at the output, all non-zero."""
    rng = np.random.default_rng(seed)
    params = {k: 2 * p for k, p in mlp.init(sizes, rng).items()}
    return params, rng.normal(size=(*batch, sizes[0])), rng.normal(size=(*batch, sizes[-1]))


def by_autograd(params, obs, dout, activations):
    """The same network and gradients by torch; the observations' own gradient as ``dh0``."""
    theta = {k: torch.tensor(p, requires_grad=True) for k, p in params.items()}
    first = layer = torch.tensor(obs, requires_grad=True)
    for k, name in enumerate(activations):
        layer = TORCH[name](layer @ theta[f"w{k}"].T + theta[f"b{k}"])
    (layer * torch.tensor(dout)).sum().backward()
    return layer.detach().numpy(), {
        "dh0": first.grad.numpy(),
        **{f"d{k}": p.grad.numpy() for k, p in theta.items()},
    }


def compare(params, obs, dout, activations):
    cache = mlp.forward(params, obs, activations)
    grads = mlp.backward(params, cache, dout, activations)
    output, wanted = by_autograd(params, obs, dout, activations)
    np.testing.assert_allclose(cache[f"h{len(activations)}"], output, atol=1e-10, rtol=1e-10)
    for name, value in wanted.items():
        np.testing.assert_allclose(grads[name], value, atol=1e-10, rtol=1e-10, err_msg=name)
    return cache, grads


def test_torch_judges_every_activation_there_is():
    assert set(TORCH) == set(mlp.ACTIVATIONS)


@every_activation
@few
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=4),
    st.lists(st.integers(1, 5), max_size=2),
    st.integers(0, 2**32 - 1),
)
def test_all_layers_with_one_activation_agree_with_autograd(name, sizes, batch, seed):
    params, obs, dout = case(seed, tuple(sizes), tuple(batch))
    compare(params, obs, dout, [name] * (len(sizes) - 1))


@few
@given(st.lists(st.sampled_from(sorted(TORCH)), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_any_mixture_of_activations_agrees_with_autograd(activations, seed):
    sizes = tuple(np.random.default_rng(seed).integers(1, 12, size=len(activations) + 1))
    compare(*case(seed, sizes), activations)


def test_every_intermediate_has_its_derivative_of_the_same_shape():
    cache, grads = compare(*case(0, (4, 7, 5, 3)), ["relu", "tanh", "softmax"])
    assert set(cache) == {"h0", "z0", "h1", "z1", "h2", "z2", "h3"}
    assert set(grads) == {"d" + n for n in (*cache, "w0", "b0", "w1", "b1", "w2", "b2")}
    assert all(grads["d" + name].shape == value.shape for name, value in cache.items())


@pytest.mark.parametrize("z", [-800.0, -30.0, 0.0, 30.0, 800.0])
@every_activation
def test_large_inputs_make_no_overflow_and_no_nan(name, z):
    rows = np.array([[z, 1.0, -z], [z, z, z]])
    f, pull_back = mlp.ACTIVATIONS[name]
    y = f(rows)
    assert np.isfinite(y).all()
    assert np.isfinite(pull_back(np.ones_like(y), y)).all()
    np.testing.assert_allclose(y, TORCH[name](torch.tensor(rows)).numpy(), atol=1e-15)


def test_initial_parameters_are_the_draws_of_the_torch_policy():
    policy = policies.SoftmaxPolicy(obs_size=4, actions=3, hidden=(6, 5))
    wanted = policy.init(np.random.default_rng(8))
    given = mlp.init((4, 6, 5, 3), np.random.default_rng(8))
    assert list(given) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(given[name], value.detach().numpy())


@pytest.mark.parametrize("hidden", [(), (5,), (7, 5)])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_head_and_network_give_the_policy_gradient_that_autograd_gives(hidden, activation):
    policy = policies.SoftmaxPolicy(obs_size=4, actions=3, hidden=hidden, activation=activation)
    theta, rng = policy.init(np.random.default_rng(2)), np.random.default_rng(3)
    obs, weight = rng.normal(size=(2, 6, 4)), rng.normal(size=(2, 6))
    action = rng.integers(3, size=(2, 6))
    wanted = policy.logp(theta, torch.tensor(obs), torch.tensor(action))
    (wanted * torch.tensor(weight)).sum().backward()
    params = {k: p.detach().numpy() for k, p in theta.items()}
    layers = [*[activation] * len(hidden), "linear"]
    cache = mlp.forward(params, obs, layers)
    logp, dlogits = mlp.head(cache[f"h{len(layers)}"], action)
    grads = mlp.backward(params, cache, weight[..., None] * dlogits, layers)
    np.testing.assert_allclose(logp, wanted.detach().numpy(), atol=1e-12)
    for name, p in theta.items():
        np.testing.assert_allclose(grads["d" + name], p.grad.numpy(), atol=1e-10)


# --- The head.


def test_the_head_by_hand():
    logp, dlogits = mlp.head(np.log([[0.7, 0.3], [0.2, 0.8]]), np.array([0, 0]))
    np.testing.assert_allclose(logp, [math.log(0.7), math.log(0.2)], atol=1e-15)
    np.testing.assert_allclose(dlogits, [[0.3, -0.3], [0.8, -0.8]], atol=1e-15)


@few
@given(st.lists(st.floats(-30, 30), min_size=1, max_size=6), st.integers(0, 5), st.floats(-50, 50))
def test_the_two_heads_are_one_through_the_jacobian(logits, action, shift):
    z, action = np.array(logits), min(action, len(logits) - 1)
    p = mlp.softmax(z)
    logp, dlogits = mlp.head(z, action)
    logp_of_p, dp = mlp.head_of_p(p, action)
    assert logp_of_p == pytest.approx(logp, abs=1e-9)
    np.testing.assert_allclose(mlp.softmax_jacobian(p) @ dp, dlogits, atol=1e-10)
    np.testing.assert_allclose(mlp.ACTIVATIONS["softmax"][1](dp, p), dlogits, atol=1e-10)
    np.testing.assert_allclose(mlp.head(z + shift, action)[1], dlogits, atol=1e-10)
    assert abs(dlogits.sum()) < 1e-12


@few
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6))
def test_scores_average_to_zero_under_the_policy_itself(logits):
    A = len(logits)
    rows = np.tile(logits, (A, 1))
    scores = mlp.head(rows, np.arange(A))[1]
    np.testing.assert_allclose(mlp.softmax(rows[0]) @ scores, 0, atol=1e-12)


def test_the_jacobian_is_that_of_autograd_and_the_element_wise_one_is_not():
    z = np.random.default_rng(4).normal(size=(2, 5, 3))
    p, jacobian = mlp.softmax(z), mlp.softmax_jacobian(mlp.softmax(z))
    assert jacobian.shape == (2, 5, 3, 3)
    softmax = TORCH["softmax"]
    for i in np.ndindex(2, 5):
        wanted = torch.autograd.functional.jacobian(softmax, torch.tensor(z[i])).numpy()
        np.testing.assert_allclose(jacobian[i], wanted, atol=1e-14)
        assert np.abs(np.diag(p[i] * (1 - p[i])) - wanted).max() > 0.01


def test_the_head_stays_finite_where_a_probability_underflows():
    logp, dlogits = mlp.head(np.array([0.0, 2000.0]), 0)
    assert logp == -2000
    np.testing.assert_array_equal(dlogits, [1, -1])


# --- The numerical check: passes on what is right, fails on each planted bug, says where.


def check(layers=("tanh", "relu", "softmax"), mutate=None, **options):
    """Check the gradient of Σ weight · log π; ``mutate`` spoils it."""
    params, obs, _ = case(11, (4, 6, 5, 3), batch=(7,))
    rng = np.random.default_rng(12)
    action, weight = rng.integers(3, size=7), rng.normal(size=7)

    def function(params):
        out = mlp.forward(params, obs, layers)["h3"]
        return float((weight * mlp.head_of_p(out, action)[0]).sum())

    cache = mlp.forward(params, obs, layers)
    dp = weight[:, None] * mlp.head_of_p(cache["h3"], action)[1]
    grads = mlp.backward(params, cache, dp, layers)
    if mutate:
        grads |= mutate(grads, cache, params)
    return mlp.check_gradient(function, params, grads, np.random.default_rng(0), **options)


def test_the_check_passes_on_the_right_gradient_with_room():
    errors = check(directions=5)
    assert list(errors) == ["w0", "b0", "w1", "b1", "w2", "b2"]
    assert max(errors.values()) < 1e-8


def element_wise(grads, cache, params):
    p, dp = cache["h3"], grads["dh3"]
    dz = dp * p * (1 - p)
    return {"dw2": dz.T @ cache["h2"], "db2": dz.sum(0)}


PLANTED = {
    "wrong sign": (lambda g, c, p: {k: -v for k, v in g.items()}, "w0"),
    "a factor of 1 + 1e-4": (lambda g, c, p: {"db1": g["db1"] * (1 + 1e-4)}, "b1"),
    "mean over the batch": (lambda g, c, p: {k: v / 7 for k, v in g.items()}, "w0"),
    "mean in one bias alone": (lambda g, c, p: {"db0": g["dz0"].mean(0)}, "b0"),
    "bias forgotten": (lambda g, c, p: {"db2": 0 * g["db2"]}, "b2"),
    "activation forgotten": (lambda g, c, p: {"dw0": g["dh1"].T @ c["h0"]}, "w0"),
    "tanh' taken at z": (
        lambda g, c, p: {"dw0": (g["dh1"] * (1 - c["z0"] ** 2)).T @ c["h0"]},
        "w0",
    ),
    "input of the wrong layer": (lambda g, c, p: {"dw1": (g["dz1"].T @ c["z0"])}, "w1"),
    "element-wise softmax": (element_wise, "w2"),
    "softmax derivative forgotten": (
        lambda g, c, p: {"dw2": g["dh3"].T @ c["h2"]},
        "w2",
    ),
    "a NaN": (lambda g, c, p: {"dw1": g["dw1"] * np.nan}, "w0|w1"),
    "rows out of order": (
        lambda g, c, p: {"dw1": np.roll(g["dw1"], 1, axis=0)},
        "w1",
    ),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_each_planted_bug_is_rejected_and_located(bug):
    mutate, where = PLANTED[bug]
    with pytest.raises(mlp.GradientError, match=rf"d({where}) is wrong: along a random direction"):
        check(mutate=mutate)
    assert max(check(mutate=mutate, bound=math.inf).values()) > 1e-6  # the table instead


def test_the_error_of_the_check_is_relative_to_the_whole_gradient():
    params = {"w0": np.array([[2.0]]), "b0": np.array([3.0])}
    wrong = {"dw0": np.array([[3.0]]), "db0": np.array([4.0])}  # right: 3 and 2

    def function(p):
        return float((p["w0"] * p["b0"]).sum())

    errors = mlp.check_gradient(function, params, wrong, np.random.default_rng(0), bound=math.inf)
    assert errors["w0"] < 1e-9
    assert errors["b0"] == pytest.approx(2 / 5, abs=1e-9)


def test_a_gradient_of_zero_is_right_for_a_constant_and_wrong_for_anything_else():
    params, zero = {"w0": np.ones((2, 3))}, {"dw0": np.zeros((2, 3))}
    rng = np.random.default_rng(0)
    assert mlp.check_gradient(lambda p: 1e6 / 3, params, zero, rng) == {"w0": 0.0}
    with pytest.raises(mlp.GradientError, match=r"the gradient says 0; relative error 1"):
        mlp.check_gradient(lambda p: 1e-3 * p["w0"][0].sum(), params, zero, rng)


def test_what_rounding_explains_is_taken_off_and_nothing_more():
    params, grads = {"w0": np.ones(1)}, {"dw0": np.array([1e-3])}
    noise = 10 * 2.0**-52 * 1e6 / 1e-5  # ten last bits of f, over the step
    rng, f = np.random.default_rng(0), lambda p: 1e6  # its slope is 0, the gradient says 1e-3
    errors = mlp.check_gradient(f, params, grads, rng, bound=math.inf)
    assert errors["w0"] == pytest.approx((1e-3 - noise) / 1e-3, rel=1e-12)


def test_where_another_array_of_the_gradient_is_not_finite_an_error_is_absolute():
    params = {"w0": np.ones(1), "w1": np.ones(1)}
    grads = {"dw0": np.array([0.5]), "dw1": np.array([np.nan])}
    rng, f = np.random.default_rng(0), lambda p: 0.0
    errors = mlp.check_gradient(f, params, grads, rng, bound=math.inf)
    assert errors == {"w0": 0.5, "w1": math.inf}


def test_three_directions_are_usual_and_both_ends_of_the_steps_are_allowed():
    calls = []
    params, zero = {"w0": np.ones(2)}, {"dw0": np.zeros(2)}
    for step in (1e-8, 1e-2):
        calls.clear()
        mlp.check_gradient(
            lambda p: calls.append(p) or 0.0, params, zero, np.random.default_rng(0), step=step
        )
    assert len(calls) == 1 + 2 * 3


@pytest.mark.parametrize("grads", [{}, {"dw0": np.zeros((3, 2))}])
def test_a_gradient_that_is_missing_or_has_another_shape_is_refused(grads):
    with pytest.raises(ValueError, match=r"w0 has shape \(2, 3\); dw0 has (no entry|\(3, 2\))"):
        mlp.check_gradient(sum, {"w0": np.ones((2, 3))}, grads, np.random.default_rng(0))


@pytest.mark.parametrize("step", [1e-12, 0.5, 0.0, -1e-5, math.nan])
def test_a_step_at_which_the_check_could_not_fail_or_not_pass_is_refused(step):
    with pytest.raises(ValueError, match=f"step {step} must be from 1e-8"):
        check(step=step)


# --- Bad input.


def forward(obs=None, activations=("tanh", "softmax"), **changes):
    params, given, _ = case(1)
    return mlp.forward(params | changes, given if obs is None else obs, activations)


@pytest.mark.parametrize("shape", [(5, 3), (3,), (4, 5), ()])
def test_a_wrong_width_is_refused_with_both_shapes(shape):
    with pytest.raises(ValueError, match=r"layer 0 is given shape \(.*\), w0 has \(5, 4\), b0 has"):
        forward(np.ones(shape))


def test_layers_that_do_not_fit_each_other_are_refused():
    with pytest.raises(ValueError, match=r"layer 1 is given shape \(2, 6, 5\), w1 has \(3, 6\)"):
        forward(w1=np.ones((3, 6)))
    with pytest.raises(ValueError, match=r"w1 has \(3, 5\), b1 has \(1,\)"):
        forward(b1=np.ones(1))


@pytest.mark.parametrize("name", ["gelu", "Tanh", None])
def test_an_unknown_activation_is_refused_with_the_known_ones(name):
    known = "linear, relu, sigmoid, softmax, tanh"
    with pytest.raises(ValueError, match=f"activation {name!r} is unknown; choose from: {known}"):
        forward(activations=("tanh", name))


@pytest.mark.parametrize("activations", [(), ("tanh",), ("tanh", "tanh", "softmax")])
def test_another_number_of_activations_than_layers_is_refused(activations):
    with pytest.raises(ValueError, match=rf"{len(activations)} activations .* need the parameters"):
        forward(activations=activations)


def test_a_name_alone_in_place_of_a_list_is_refused():
    with pytest.raises(ValueError, match=r"must be a list, one for each layer: \['softmax'\]"):
        forward(activations="softmax")


def test_a_derivative_of_another_shape_than_the_output_is_refused():
    params, obs, dout = case(1)
    cache = mlp.forward(params, obs, ["tanh", "softmax"])
    with pytest.raises(ValueError, match=r"dout has shape \(2, 6\); the output h2 has shape \(2,"):
        mlp.backward(params, cache, dout[..., 0], ["tanh", "softmax"])


@pytest.mark.parametrize("sizes", [(4,), (4, 0), (), (4, -1, 2)])
def test_sizes_that_are_no_network_are_refused(sizes):
    with pytest.raises(ValueError, match="must be two or more widths, all above 0"):
        mlp.init(sizes, np.random.default_rng(0))


both_heads = pytest.mark.parametrize("head", [mlp.head, mlp.head_of_p])


@both_heads
@pytest.mark.parametrize("action", [3, -1, 7])
def test_an_action_out_of_range_is_refused_with_the_range(head, action):
    p = np.full((2, 3), 1 / 3)
    with pytest.raises(ValueError, match=f"action {action} is outside 0 … 2, the 3 given"):
        head(p, np.array([1, action]))


@both_heads
def test_actions_that_are_no_whole_numbers_or_do_not_fit_are_refused(head):
    p = np.full((2, 3), 1 / 3)
    with pytest.raises(ValueError, match="actions must be whole numbers"):
        head(p, np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match=r"actions have shape \(3,\); \(2, 3\) needs \(2,\)"):
        head(p, np.array([0, 1, 2]))


@pytest.mark.parametrize("wrong", [-1, 4, 9])
def test_the_action_that_is_named_is_the_one_outside(wrong):
    actions = np.array([[0, 3, wrong], [1, 2, 0]])  # 3 is the largest one of four
    with pytest.raises(ValueError, match=rf"action {wrong} is outside 0 … 3, the 4 given"):
        mlp.onehot(actions, (2, 3, 4))


@pytest.mark.parametrize(
    "p", [[0.7, 1.0], [0.7, 0.0], [0.7, 0.7], [1.2, -0.2], [math.nan, 1.0], [[1, 0], [0.5, 0.4]]]
)
@pytest.mark.parametrize(
    "use", [mlp.softmax_jacobian, lambda p: mlp.head_of_p(p, np.zeros(np.shape(p)[:-1], int))]
)
def test_what_is_no_distribution_is_refused_and_repeated(use, p):
    with pytest.raises(ValueError, match="no probabilities: they must be ≥ 0 and add to 1") as seen:
        use(np.array(p))
    assert str(np.array(p, dtype=float)) in str(seen.value)
    assert f"add to {np.array(p, dtype=float).sum(-1)}." in str(seen.value)


def test_a_chosen_action_of_probability_zero_is_refused():
    with pytest.raises(ValueError, match=r"has probability 0 .* its log is −∞. Use head"):
        mlp.head_of_p(np.array([0.0, 1.0]), 0)
