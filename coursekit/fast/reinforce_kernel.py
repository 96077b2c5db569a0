"""One learner, compiled by numba: play, weigh, backward, move; in plain loops, without padding.

The network and its gradient are in ``backprop``. ``reinforce.train_many`` prepares the arrays and
runs many of these on threads; ``train`` is the specification that they equal.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from coursekit import baselines
from coursekit.fast import backprop, envs

REDUCTION = {"loop": 0, "sum": 0, "constant": 0, "episode_mean": 1, "step_mean": 2}
REDUCTION |= {"typical": 3, "tilt": 4}
BASELINE = {"none": 0, "running_mean": 1, "per_time_step": 2}
STANDARDISE = {"none": 0, "per_episode": 1, "per_batch": 2}
FORGET = baselines.FORGET


class Setting(NamedTuple):
    """What the compiled loop needs of a ``Config``, as numbers."""

    env: int
    limit: int
    gamma: float
    whole: bool
    reduction: int
    divisor: float
    baseline: int
    standardise: int
    adam: bool
    tanh: bool
    lr: float
    inverse_root: bool
    clip: float
    normalise: bool


class Batch(NamedTuple):
    """The steps of B episodes one after the other, and what the backward pass needs of them."""

    obs: np.ndarray  # (B · limit, O)
    hidden: np.ndarray  # (B · limit, H), after the activation
    dlogits: np.ndarray  # (B · limit, A): onehot − p
    weight: np.ndarray  # (B · limit,)


class Memory(NamedTuple):
    """What earlier batches taught. The baseline: one number a time step, and the number of batches
    behind it; (limit,). The typical length and the number of batches behind it; (2,)."""

    value: np.ndarray
    batches: np.ndarray
    typical: np.ndarray


class Stream(NamedTuple):
    """Random numbers, drawn ahead: first states and observations, and uniforms for the actions."""

    states: np.ndarray  # (U, B, 4)
    obs: np.ndarray  # (U, B, O)
    uniform: np.ndarray  # (B, K)
    cursor: np.ndarray  # (B,): the next one to use


class Log(NamedTuple):
    """``returns``, ``lengths`` (U, B) and ``grad_norm`` (U,), filled as the run goes on."""

    returns: np.ndarray
    lengths: np.ndarray
    grad_norm: np.ndarray


@envs.compiled
def learn(setting, net, grad, mean, square, batch, memory, stream, log, done):
    """Updates from number ``done`` on while every lane has enough uniforms; how many are done."""
    updates, B = log.returns.shape
    while done < updates:
        for lane in range(B):
            if stream.uniform.shape[1] - stream.cursor[lane] < setting.limit:
                return done
        steps = 0
        for lane in range(B):
            n, total = _play(setting, net, batch, steps, stream, done, lane, log)
            log.returns[done, lane], log.lengths[done, lane] = total, n
            steps += n
        _weigh(setting, batch, memory, log.lengths[done])
        backprop.backward(
            setting.tanh, net, grad, batch.obs, batch.hidden, batch.dlogits, batch.weight, steps
        )
        norm = log.grad_norm[done] = backprop.norm(grad)
        done += 1
        lr = setting.lr / math.sqrt(done) if setting.inverse_root else setting.lr
        allowed = 1.0 if setting.normalise else min(setting.clip, norm + 1e-6)
        backprop.scale(grad, allowed / (norm + 1e-6))
        backprop.move(setting.adam, lr, net, grad, mean, square, done)
    return done


@envs.compiled
def _play(setting, net, batch, first, stream, update, lane, log):
    """One episode into the rows of ``batch`` from ``first`` on; (its length, its return)."""
    state = (
        stream.states[update, lane, 0],
        stream.states[update, lane, 1],
        stream.states[update, lane, 2],
        stream.states[update, lane, 3],
    )
    A = net.b1.shape[0]
    n, total, terminated = 0, 0.0, False
    while n < setting.limit and not terminated:
        row = first + n
        obs, p = batch.obs[row], batch.dlogits[row]
        if n == 0:
            for i in range(obs.shape[0]):
                obs[i] = stream.obs[update, lane, i]
        else:
            envs.observe(setting.env, state, obs)
        backprop.forward(setting.tanh, net, obs, batch.hidden[row], p)
        u = stream.uniform[lane, stream.cursor[lane]]
        stream.cursor[lane] += 1
        action, below = 0, 0.0
        for a in range(A - 1):  # inverse CDF
            below += p[a]
            if below <= u:
                action = a + 1
        for a in range(A):
            p[a] = -p[a]
        p[action] += 1.0  # ∂ log π(a|s) / ∂ logits = onehot − p
        state, reward, terminated = envs.step(setting.env, state, float(action))
        batch.weight[row] = reward
        total += reward
        n += 1
    return n, total


@envs.compiled
def _weigh(setting, batch, memory, lengths):
    """Turn the rewards in ``batch.weight`` into what multiplies each score, reduction included."""
    weight, B, first = batch.weight, lengths.shape[0], 0
    whole = 0.0  # Σ_i G_0
    sums, counts = np.zeros(setting.limit), np.zeros(setting.limit)
    for i in range(B):
        n, G = lengths[i], 0.0
        for t in range(n - 1, -1, -1):
            G = weight[first + t] + setting.gamma * G
            weight[first + t] = G
        whole += G
        for t in range(n):
            if setting.whole:
                weight[first + t] = G
            sums[t] += weight[first + t]
            counts[t] += 1.0
            weight[first + t] -= memory.value[t]
        if setting.standardise == 1:
            _standardise(weight, first, first + n)
        first += n
    if setting.standardise == 2:
        _standardise(weight, 0, first)
    _remember(setting, memory, whole / B, sums, counts)
    scale, start = 1.0 / (B * setting.divisor), 0
    for i in range(B):
        n = lengths[i]
        if setting.reduction == 1:
            scale = 1.0 / (B * n)
        elif setting.reduction == 2:
            scale = 1.0 / first
        elif setting.reduction == 3:
            scale = 1.0 / (B * memory.typical[0])
        elif setting.reduction == 4:
            scale = memory.typical[0] / (B * n) if memory.typical[1] > 0.0 else 0.0
        for t in range(start, start + n):
            weight[t] *= scale
        start += n
    _measure(memory.typical, first / B)


@envs.compiled
def _standardise(weight, start, stop):
    mean, square, size = 0.0, 0.0, 0.0
    for t in range(start, stop):
        mean += weight[t] / (stop - start)
        size += abs(weight[t]) / (stop - start)
    for t in range(start, stop):
        weight[t] -= mean
        square += weight[t] * weight[t] / (stop - start)
    deviation = math.sqrt(square)
    spread = 1.0 if deviation > 1e-12 * size else 0.0  # else equal up to rounding
    for t in range(start, stop):
        weight[t] *= spread / (deviation + 1e-8)


@envs.compiled
def _measure(typical, length):
    """The typical length learns from the mean length of this batch, after it was used on it."""
    typical[1] += 1.0
    before = typical[0] if typical[1] > 1.0 else 0.0
    typical[0] = before + max(FORGET, 1.0 / typical[1]) * (length - before)


@envs.compiled
def _remember(setting, memory, whole, sums, counts):
    """The baseline learns from this batch, after it was used on it."""
    if setting.baseline == 1:
        memory.batches[0] += 1.0
        gain = max(FORGET, 1.0 / memory.batches[0])
        value = memory.value[0] + gain * (whole - memory.value[0])
        for t in range(setting.limit):
            memory.value[t] = value
    elif setting.baseline == 2:
        for t in range(setting.limit):
            if counts[t] > 0:
                memory.batches[t] += 1.0
                gain = max(FORGET, 1.0 / memory.batches[t])
                memory.value[t] += gain * (sums[t] / counts[t] - memory.value[t])
