"""A network of one hidden layer, compiled: forward, backward by hand, the optimiser's step.

This is notebook 07's backward pass, in loops that run along memory. Sums may be added up in another
order than written (``FAST``), which turns the loops into vector instructions.
Axes: ``T`` rows, one a step; ``O`` observation, ``H`` hidden, ``A`` actions.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from coursekit.fast.envs import compiled, inlined

FAST = {"reassoc", "contract"}


class Network(NamedTuple):
    """One hidden layer: w0 (O, H), transposed so that the inner loops run along memory; b0 (H,),
    w1 (A, H), b1 (A,). Also holds a gradient."""

    w0: np.ndarray
    b0: np.ndarray
    w1: np.ndarray
    b1: np.ndarray


class Part(NamedTuple):
    """What is trained, each in one flat array (P,): the parameters, their gradient, Adam's means.

    ``net`` and ``dnet`` are the network and its gradient, ``rest`` and ``drest`` what else there
    is, as windows into ``theta`` and ``grad``.
    """

    theta: np.ndarray
    grad: np.ndarray
    mean: np.ndarray
    square: np.ndarray
    net: Network
    dnet: Network
    rest: np.ndarray
    drest: np.ndarray


def part(params: dict) -> Part:
    """From tensors (w0 (H, O), b0, w1, b1 and perhaps one more), as ``policies`` names them."""
    values = [value.detach().numpy() for value in params.values()]
    values[0] = values[0].T
    rest = values[4] if len(values) > 4 else np.zeros(0)
    theta = np.concatenate([value.ravel() for value in (*values[:4], rest)])
    grad, mean, square = (np.zeros_like(theta) for _ in range(3))
    windows, start = [], 0
    for value in (*values[:4], rest):
        for flat in (theta, grad):
            windows.append(flat[start : start + value.size].reshape(value.shape))
        start += value.size
    net, dnet = (Network(*windows[k:8:2]) for k in (0, 1))
    return Part(theta, grad, mean, square, net, dnet, *windows[8:])


def named(net: Network) -> dict[str, np.ndarray]:
    """The windows of ``net`` under the names and in the shapes of ``policies``."""
    return {"w0": net.w0.T, "b0": net.b0, "w1": net.w1, "b1": net.b1}


LOG2E, LN2, LN2_REST = 1.4426950408889634, 0.6931471803691238, 1.9082149292705877e-10
ROUND = 1.5 * 2.0**52  # x + ROUND has no bits for a fraction: adding it rounds to a whole number


@inlined  # not FAST: (x + ROUND) - ROUND is no x
def _exponential(x):
    """e^x = 2^n (b + a)/(b − a); returns 2^n, a, b. Padé's approximant for |x − n ln 2| ≤ ln(2)/2.

    Off by 2e-16 of e^x for |x| < 700, and free of branches, so that a loop of it is vectorised.
    """
    shifted = np.float64(x * LOG2E + ROUND)
    n = shifted - ROUND
    r = (x - n * LN2) - n * LN2_REST
    power = np.int64((shifted.view(np.int64) + 1023) << 52).view(np.float64)  # 2^n by its bits
    q = r * r
    a = r * (332640.0 + q * (10080.0 + q * 42.0))
    return power, a, 665280.0 + q * (75600.0 + q * (840.0 + q))


@inlined
def exponential(x):
    """e^x for x ≤ 0; e^−700 below −700."""
    power, a, b = _exponential(-700.0 if x < -700.0 else x)
    return power * (b + a) / (b - a)


@inlined
def tanh(x):
    """tanh x = (e^2x − 1)/(e^2x + 1), to 5e-16 of it."""
    y = 2.0 * x
    y = 40.0 if y > 40.0 else y  # a NaN is neither, and stays
    y = -40.0 if y < -40.0 else y
    power, a, b = _exponential(y)
    top = 2.0 * power * a + (power - 1.0) * (b - a)
    return top / (top + 2.0 * (b - a))


@inlined(fastmath=FAST)
def outputs(curved, net, obs, row, hidden, out):
    """hidden = f(W0 x + b0); out = W1 hidden + b1: logits, a Gaussian's mean, or a value.

    In the given ``row`` of obs (T, O), hidden (T, H), out (T, A). f is tanh if ``curved``, or relu.
    """
    O, H, A = net.w0.shape[0], net.b0.shape[0], net.b1.shape[0]  # noqa: E741
    for j in range(H):
        hidden[row, j] = net.b0[j]
    for i in range(4, O):
        for j in range(H):
            hidden[row, j] += obs[row, i] * net.w0[i, j]
    # the first four inputs at once: where there are fewer, some input again, times zero
    i1, i2, i3 = min(1, O - 1), min(2, O - 1), min(3, O - 1)
    x0, x1 = obs[row, 0], obs[row, i1] if O > 1 else 0.0
    x2, x3 = obs[row, i2] if O > 2 else 0.0, obs[row, i3] if O > 3 else 0.0
    w = net.w0
    if curved:
        for j in range(H):
            z = hidden[row, j] + x0 * w[0, j] + x1 * w[i1, j] + x2 * w[i2, j] + x3 * w[i3, j]
            hidden[row, j] = tanh(z)
    else:
        for j in range(H):
            z = hidden[row, j] + x0 * w[0, j] + x1 * w[i1, j] + x2 * w[i2, j] + x3 * w[i3, j]
            hidden[row, j] = max(z, 0.0)
    for a in range(A):
        z = net.b1[a]
        for j in range(H):
            z += net.w1[a, j] * hidden[row, j]
        out[row, a] = z


@inlined(fastmath=FAST)
def softmax(out, row):
    """p = e^(z_a − max z) / Σ, in place of the logits z = out[row] (A,)."""
    A = out.shape[1]
    largest, total = out[row, 0], 0.0
    for a in range(1, A):
        largest = max(largest, out[row, a])
    for a in range(A):
        below = out[row, a] - largest
        out[row, a] = exponential(below) if below != 0.0 else 1.0
        total += out[row, a]
    for a in range(A):
        out[row, a] /= total


@inlined
def taken(p, row, u):
    """The action by inverse CDF from the uniform u; p[row] becomes onehot − p = ∂ log π / ∂ logits.

    p (T, A).
    """
    action, below = 0, 0.0
    for a in range(p.shape[1] - 1):
        below += p[row, a]
        if below <= u:
            action = a + 1
    for a in range(p.shape[1]):
        p[row, a] = -p[row, a]
    p[row, action] += 1.0
    return action


@compiled(fastmath=FAST)
def backward(curved, net, grad, obs, hidden, dlogits, weight, steps):
    """The gradient of −Σ_t weight_t log π(a_t|s_t) over the first ``steps`` rows, into ``grad``.

    From the outputs back: ``dlogits`` is the derivative of log π by them, onehot − p for a softmax.
    obs (T, O), hidden (T, H), dlogits (T, A), weight (T,). Four rows at a time.
    """
    grad.w0.fill(0.0)
    grad.b0.fill(0.0)
    grad.w1.fill(0.0)
    grad.b1.fill(0.0)
    dz, dhidden = np.empty((4, dlogits.shape[1])), np.empty((4, hidden.shape[1]))
    zero = np.int64(0)  # no literal, for which numba would compile a version of its own
    four = zero, zero + 1, zero + 2, zero + 3
    for t in range(0, steps, 4):
        last = steps - 1  # after it: that row again, with weight 0
        rows = t, min(t + 1, last), min(t + 2, last), min(t + 3, last)
        for k in range(4):
            factor = -weight[t + k] if t + k < steps else 0.0
            for a in range(dz.shape[1]):
                dz[k, a] = factor * dlogits[rows[k], a]
                grad.b1[a] += dz[k, a]
            backward_to_hidden(curved, net, dz, k, hidden, rows[k], dhidden, grad.b0)
        add_products(grad.w1, dz, four, hidden, rows)
        add_products(grad.w0, obs, rows, dhidden, four)


@inlined(fastmath=FAST)
def backward_to_hidden(curved, net, dz, k, hidden, row, dhidden, total):
    """dhidden[k] = f'(…) Σ_a dz[k, a] w1[a]; also added to ``total`` (H,)."""
    H, A = hidden.shape[1], dz.shape[1]
    d = dz[k, 0]
    for j in range(H):
        dhidden[k, j] = d * net.w1[0, j]
    for a in range(1, A):
        d = dz[k, a]
        for j in range(H):
            dhidden[k, j] += d * net.w1[a, j]
    for j in range(H):
        h = hidden[row, j]
        d = dhidden[k, j] * (1.0 - h * h if curved else 1.0 if h > 0.0 else 0.0)
        dhidden[k, j] = d
        total[j] += d


@inlined(fastmath=FAST)
def add_products(total, left, m, right, n):
    """total[i, j] += Σ_k left[m_k, i] right[n_k, j], k = 0 … 3."""
    for i in range(total.shape[0]):
        a, b, c, d = left[m[0], i], left[m[1], i], left[m[2], i], left[m[3], i]
        for j in range(total.shape[1]):
            total[i, j] += (
                a * right[n[0], j] + b * right[n[1], j] + c * right[n[2], j] + d * right[n[3], j]
            )


@compiled
def shorten(g, factor):
    """g · factor, in place; (P,)."""
    for k in range(g.shape[0]):
        g[k] *= factor


@compiled(fastmath=FAST)
def norm(g):
    """√Σ g²; (P,) -> ()."""
    total = 0.0
    for k in range(g.shape[0]):
        total += g[k] * g[k]
    return math.sqrt(total)


@compiled  # not FAST: one rounding at a time, so that every copy of the loop gives the same bits
def move(adam, lr, p, g, m, v, done):
    """The ``done``-th step of SGD or Adam (Kingma & Ba 2015), in place; (P,) each."""
    if adam:
        size, root = lr / (1.0 - 0.9**done), math.sqrt(1.0 - 0.999**done)
        for k in range(p.shape[0]):
            m[k] = 0.9 * m[k] + 0.1 * g[k]
            v[k] = 0.999 * v[k] + 0.001 * g[k] * g[k]
            p[k] -= size * m[k] / (math.sqrt(v[k]) / root + 1e-8)
    else:
        for k in range(p.shape[0]):
            p[k] -= lr * g[k]
