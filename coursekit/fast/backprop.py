"""A network of one hidden layer, compiled: forward, backward by hand, the optimiser's step.

This is notebook 07's backward pass, in loops that run along memory. Sums may be added up in another
order than written (``FAST``), which turns the loops into vector instructions.
Axes: ``O`` observation, ``H`` hidden, ``A`` actions.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from coursekit.fast.envs import compiled

FAST = {"reassoc", "contract"}


class Network(NamedTuple):
    """One hidden layer: w0 (O, H), transposed so that the inner loops run along memory; b0 (H,),
    w1 (A, H), b1 (A,). Also holds a gradient, and Adam's two running means."""

    w0: np.ndarray
    b0: np.ndarray
    w1: np.ndarray
    b1: np.ndarray


@compiled(fastmath=FAST)
def outputs(tanh, net, obs, hidden, out):
    """hidden = f(W0 x + b0); out = W1 hidden + b1: logits, a Gaussian's mean, or a value."""
    H, A = net.b0.shape[0], net.b1.shape[0]
    for j in range(H):
        hidden[j] = net.b0[j]
    for i in range(obs.shape[0]):
        x = obs[i]
        for j in range(H):
            hidden[j] += x * net.w0[i, j]
    if tanh:
        for j in range(H):
            hidden[j] = math.tanh(hidden[j])
    else:
        for j in range(H):
            hidden[j] = max(hidden[j], 0.0)
    for a in range(A):
        z = 0.0
        for j in range(H):
            z += net.w1[a, j] * hidden[j]
        out[a] = z + net.b1[a]


@compiled(fastmath=FAST)
def forward(tanh, net, obs, hidden, p):
    """hidden = f(W0 x + b0); p = softmax(W1 hidden + b1)."""
    A = net.b1.shape[0]
    outputs(tanh, net, obs, hidden, p)
    largest = p[0]
    for a in range(1, A):
        largest = max(largest, p[a])
    total = 0.0
    for a in range(A):
        p[a] = math.exp(p[a] - largest)
        total += p[a]
    for a in range(A):
        p[a] /= total


@compiled(fastmath=FAST)
def backward(tanh, net, grad, obs, hidden, dlogits, weight, steps):
    """The gradient of −Σ_t weight_t log π(a_t|s_t) over the first ``steps`` rows, into ``grad``.

    From the outputs back: ``dlogits`` is the derivative of log π by them, onehot − p for a softmax.
    obs (…, O), hidden (…, H), weight (…,).
    """
    H, A = net.b0.shape[0], net.b1.shape[0]
    dhidden = np.empty(H)
    grad.w0.fill(0.0)
    grad.b0.fill(0.0)
    grad.w1.fill(0.0)
    grad.b1.fill(0.0)
    for row in range(steps):
        h, x = hidden[row], obs[row]
        for j in range(H):
            dhidden[j] = 0.0
        for a in range(A):
            d = -weight[row] * dlogits[row, a]
            grad.b1[a] += d
            for j in range(H):
                grad.w1[a, j] += d * h[j]
                dhidden[j] += d * net.w1[a, j]
        if tanh:
            for j in range(H):
                dhidden[j] *= 1.0 - h[j] * h[j]
        else:
            for j in range(H):
                dhidden[j] = dhidden[j] if h[j] > 0.0 else 0.0
        for j in range(H):
            grad.b0[j] += dhidden[j]
        for i in range(x.shape[0]):
            for j in range(H):
                grad.w0[i, j] += x[i] * dhidden[j]


@compiled
def move(adam, lr, net, grad, mean, square, done):
    """The ``done``-th step of SGD or Adam (Kingma & Ba 2015), in place."""
    step(adam, lr, net.w0.ravel(), grad.w0.ravel(), mean.w0.ravel(), square.w0.ravel(), done)
    step(adam, lr, net.b0, grad.b0, mean.b0, square.b0, done)
    step(adam, lr, net.w1.ravel(), grad.w1.ravel(), mean.w1.ravel(), square.w1.ravel(), done)
    step(adam, lr, net.b1, grad.b1, mean.b1, square.b1, done)


@compiled
def norm(grad):
    """‖gradient‖ over all arrays."""
    total = squared(grad.w0.ravel()) + squared(grad.b0)
    return math.sqrt(total + squared(grad.w1.ravel()) + squared(grad.b1))


@compiled
def scale(grad, factor):
    """gradient · factor, in place."""
    for g in (grad.w0.ravel(), grad.b0, grad.w1.ravel(), grad.b1):
        g *= factor


@compiled(fastmath=FAST)
def squared(g):
    """Σ g²."""
    total = 0.0
    for k in range(g.shape[0]):
        total += g[k] * g[k]
    return total


@compiled  # not FAST: one rounding at a time, so that every copy of the loop gives the same bits
def step(adam, lr, p, g, m, v, done):
    """``move`` for one flat array."""
    if adam:
        size, root = lr / (1.0 - 0.9**done), math.sqrt(1.0 - 0.999**done)
        for k in range(p.shape[0]):
            m[k] = 0.9 * m[k] + 0.1 * g[k]
            v[k] = 0.999 * v[k] + 0.001 * g[k] * g[k]
            p[k] -= size * m[k] / (math.sqrt(v[k]) / root + 1e-8)
    else:
        for k in range(p.shape[0]):
            p[k] -= lr * g[k]
