"""Estimators on listed processes: hand numbers, the exact gradient, the value function, mutants."""

import numpy as np
import pytest

from coursekit import estimators, mdp

PROCESS = mdp.random_process(np.random.default_rng(3), states=3, actions=3, horizon=3)
THETA = np.random.default_rng(4).normal(size=(3, 3))


@pytest.fixture(scope="module")
def x():
    return estimators.listed(PROCESS, THETA)


def test_a_listing_is_a_law_with_the_right_mean_and_lengths(x):
    assert x.P.sum() == pytest.approx(1)
    assert pytest.approx(mdp.J(PROCESS, THETA)) == x.J
    assert set(x.n) == {1, 2, 3}
    assert x.z.shape == (9, len(x.P), 3)


@pytest.mark.parametrize("weight", ["G", "R"])
def test_either_return_estimates_the_exact_gradient(x, weight):
    mean, square = estimators.moments(estimators.total(x, getattr(x, weight)), x.P)
    np.testing.assert_allclose(mean, mdp.grad_J(PROCESS, THETA).ravel(), atol=1e-12)
    assert square > mean @ mean


def test_efficiency_and_variance_of_a_coin_by_hand():
    g, even, grad = np.array([[3.0, -1.0]]), np.array([0.5, 0.5]), np.array([1.0])
    assert estimators.moments(g, even)[1] == 5
    assert estimators.variance(g, even) == 4
    assert [estimators.efficiency(g, even, grad, B) for B in (1, 4)] == [0.2, 0.5]


def test_efficiency_sees_a_wrong_direction_and_no_factor():
    g, P = np.array([[3.0, -1.0], [0.5, 2.0]]), np.array([0.25, 0.75])
    grad = np.array([1.0, -2.0])
    eta = estimators.efficiency(g, P, grad)
    mean = np.array([0.0, 1.625])  # by hand: (3 − 3)/4, (0.5 + 6)/4
    square = 0.25 * 9.25 + 0.75 * 5
    assert eta == pytest.approx((mean @ grad) ** 2 / 5 / square)
    assert estimators.efficiency(7 * g, P, grad) == pytest.approx(eta)


def test_values_are_those_of_dynamic_programming(x):
    V = estimators.values(x, x.G)
    pi = mdp.softmax(THETA)
    after = np.zeros(3)
    for t in (2, 1, 0):
        Q = (PROCESS.P * (PROCESS.R + np.append(after, 0.0))).sum(-1)
        after = (pi * Q).sum(-1)
        np.testing.assert_allclose(V[t], after, atol=1e-12)
    np.testing.assert_allclose(estimators.along(x, V)[:, 0], V[0, x.tau.obs[:, 0]])


def test_a_state_that_nobody_reaches_has_the_value_zero():
    bridge = estimators.listed(mdp.toll_bridge(), np.zeros((2, 2)))
    by_hand = [[1.21875, 0.0], [0.0, 2.4375], [0.0, 1.5]]
    np.testing.assert_allclose(estimators.values(bridge, bridge.G), by_hand, atol=1e-12)


def test_learned_values_approach_the_values_and_need_no_visit(x):
    V, rng = estimators.values(x, x.G), np.random.default_rng(0)
    errors = [
        np.abs(np.mean([estimators.learned_values(x, k, rng) for _ in range(20)], 0) - V).max()
        for k in (1, 3000)
    ]
    assert errors[1] < 0.05 < errors[0]


def test_the_best_constant_is_the_bottom_of_the_parabola(x):
    g, Z = estimators.total(x, x.R), estimators.total(x, 1.0)
    b = estimators.best_constant(g, Z, x.P)
    at = [estimators.moments(g - (b + d) * Z, x.P)[1] for d in (-0.1, 0, 0.1)]
    assert at[0] == pytest.approx(at[2])
    assert at[1] < at[0]


WRONG = {  # what the tests above would not let pass, seen on the coin and on the process
    "the mean square divided as a whole": lambda g, P, grad, B: (
        (g @ P @ grad) ** 2 / (grad @ grad) / ((g**2).sum(0) @ P / B)
    ),
    "cos instead of cos²": lambda g, P, grad, B: (
        abs(g @ P @ grad) / np.linalg.norm(grad) / np.sqrt((g**2).sum(0) @ P)
    ),
    "unweighted": lambda g, P, grad, B: estimators.efficiency(
        g, np.full(len(P), 1 / len(P)), grad, B
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_efficiency_differs(x, name):
    g = estimators.total(x, x.G)
    right = estimators.efficiency(g, x.P, x.grad, 3)
    assert abs(WRONG[name](g, x.P, x.grad, 3) - right) > 1e-3


def test_other_shapes_and_no_episodes_are_refused(x):
    with pytest.raises(ValueError, match="one column for each trajectory"):
        estimators.moments(np.ones((2, 3)), np.ones(2))
    with pytest.raises(ValueError, match="B"):
        estimators.efficiency(np.ones((1, 2)), np.full(2, 0.5), np.ones(1), 0)
