"""The compiled network alone: its functions against NumPy, its passes against autograd, its steps
against torch's optimisers. (``test_fast_reinforce`` compares whole runs.)"""

import numba
import numpy as np
import pytest
import torch

from coursekit.fast import backprop

EPS = 2.0**-52


@numba.njit
def curves(x):  # all in one function: each call of its own would be compiled on its own
    """e^x and tanh x, one after the other; (N,) -> (2, N)."""
    y = np.empty((2, x.shape[0]))
    for i in range(x.shape[0]):
        y[0, i] = backprop.exponential(x[i])
        y[1, i] = backprop.tanh(x[i])
    return y


@numba.njit
def played(curved, net, obs, u, hidden, out):
    """One pass forward over all rows; the logits, the probabilities, the actions drawn by u."""
    logits, p, actions = out.copy(), out.copy(), np.empty(len(u), dtype=np.int64)
    for row in range(obs.shape[0]):
        backprop.outputs(curved, net, obs, row, hidden, out)
        logits[row] = out[row]
        backprop.softmax(out, row)
        p[row] = out[row]
        actions[row] = backprop.taken(out, row, u[row])
    return logits, p, actions


def network(rng, O, H, A):  # noqa: E741
    arrays = (
        rng.normal(size=(O, H)),
        rng.normal(size=H),
        rng.normal(size=(A, H)),
        rng.normal(size=A),
    )
    return backprop.Network(*arrays)


def by_torch(net, obs, curved):
    """Logits (T, A) with their leaves, from the same numbers."""
    leaves = [torch.from_numpy(np.ascontiguousarray(w)).requires_grad_() for w in net]
    z = torch.from_numpy(obs) @ leaves[0] + leaves[1]
    h = torch.tanh(z) if curved else torch.relu(z)
    return h @ leaves[2].T + leaves[3], leaves


@pytest.mark.slow
def test_the_exponential_and_tanh_are_right_to_the_last_bits():
    below = np.concatenate([-np.logspace(-300, np.log10(699.9), 4001), [0.0]])
    np.testing.assert_allclose(curves(below)[0], np.exp(below), rtol=2 * EPS)
    x = np.concatenate([-below, below, np.linspace(-50, 50, 4001)])
    np.testing.assert_allclose(curves(x)[1], np.tanh(x), rtol=4 * EPS)


def test_where_a_number_is_none_they_say_so_and_far_out_they_are_flat():
    exponential, tanh = curves(np.array([np.nan, -np.inf, -1e300, -701.0, np.inf, 1e300]))
    assert np.isnan([exponential[0], tanh[0]]).all()
    np.testing.assert_allclose(exponential[1:4], 0.0, atol=1e-300)
    assert tanh[1:].tolist() == [-1, -1, -1, 1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("O", [1, 2, 3, 4, 6])  # the first four inputs have a loop of their own
def test_forward_and_backward_are_autograds(O, curved):  # noqa: E741
    rng = np.random.default_rng([O, curved])
    H, A = 5, 3
    for steps in range(1, 10):  # blocks of four rows, and what is left
        net, rows = network(rng, O, H, A), 11
        grad = backprop.Network(*(np.full_like(w, np.nan) for w in net))  # nothing of it may stay
        obs, weight = rng.normal(size=(rows, O)), rng.normal(size=rows)
        hidden, out = np.empty((rows, H)), np.empty((rows, A))
        logits, p, actions = played(curved, net, obs, rng.random(rows), hidden, out)
        theirs, leaves = by_torch(net, obs, curved)
        np.testing.assert_allclose(logits, theirs.detach(), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(p, theirs.softmax(1).detach(), rtol=1e-12)
        np.testing.assert_allclose(out, np.eye(A)[actions] - p, atol=1e-15)
        score = theirs.log_softmax(1)[torch.arange(rows), torch.from_numpy(actions)]
        loss = -(torch.from_numpy(weight) * score)[:steps].sum()  # rows after them play no part
        backprop.backward(curved, net, grad, obs, hidden, out, weight, steps)
        for mine, right in zip(grad, torch.autograd.grad(loss, leaves), strict=True):
            np.testing.assert_allclose(mine, right, rtol=1e-11, atol=1e-12)


def test_the_action_is_the_first_whose_cumulated_probability_exceeds_u():
    logits = np.log([[0.2, 0.3, 0.5]])
    net = backprop.Network(np.zeros((1, 2)), np.zeros(2), np.zeros((3, 2)), logits[0])
    u = np.array([0.0, 0.19, 0.21, 0.49, 0.51, 0.999999])
    empty = np.zeros((6, 1)), u, np.empty((6, 2)), np.empty((6, 3))
    assert played(False, net, *empty)[2].tolist() == [0, 0, 1, 1, 2, 2]


def test_logits_far_apart_give_probabilities_that_add_to_one():
    net = backprop.Network(
        np.zeros((1, 2)), np.zeros(2), np.zeros((3, 2)), np.array([1000.0, 0.0, -1e300])
    )
    p = played(False, net, np.zeros((1, 1)), np.zeros(1), np.empty((1, 2)), np.empty((1, 3)))[1]
    np.testing.assert_allclose(p, [[1.0, 0.0, 0.0]], atol=1e-300)


@pytest.mark.parametrize("adam", [False, True])
def test_seven_steps_are_those_of_torchs_optimiser(adam):
    rng = np.random.default_rng(adam)
    p, m, v = rng.normal(size=6), np.zeros(6), np.zeros(6)
    theirs = torch.from_numpy(p.copy()).requires_grad_()
    optimiser = (torch.optim.Adam if adam else torch.optim.SGD)([theirs], lr=0.3)
    for done in range(1, 8):
        g = rng.normal(size=6) * 10.0 ** rng.integers(-6, 3, size=6)
        theirs.grad = torch.from_numpy(g.copy())
        optimiser.step()
        backprop.move(adam, 0.3, p, g, m, v, done)
        np.testing.assert_allclose(p, theirs.detach(), rtol=1e-12)


def test_norm_and_shortening_are_torchs():
    g = np.random.default_rng(3).normal(size=13)
    assert backprop.norm(g) == pytest.approx(np.linalg.norm(g), rel=1e-14)
    shorter = g * 0.37
    backprop.shorten(g, 0.37)
    np.testing.assert_array_equal(g, shorter)
