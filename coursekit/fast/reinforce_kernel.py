"""One learner, compiled by numba: play, weigh, backward, move; in plain loops, without padding.

The network and its gradient are in ``backprop``, the random numbers in ``lanes``. ``reinforce``
prepares the arrays and runs many of these on threads; ``train`` is what they equal.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from coursekit import baselines
from coursekit.fast import backprop, envs, lanes

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
    """What earlier batches taught: a baseline for each time step; the typical length. Each with the
    number of batches behind it."""

    value: np.ndarray  # (limit,)
    batches: np.ndarray  # (limit,)
    sums: np.ndarray  # (limit,): of this batch's weights
    counts: np.ndarray  # (limit,): of this batch's episodes
    typical: np.ndarray  # (2,)


class Log(NamedTuple):
    """``returns``, ``lengths`` (U, B) and ``grad_norm`` (U,), filled as the run goes on."""

    returns: np.ndarray
    lengths: np.ndarray
    grad_norm: np.ndarray


def batch(rows: int, spec: envs.Spec, hidden: int) -> Batch:
    """Room for so many steps."""
    obs, dlogits = np.empty((rows, spec.obs)), np.empty((rows, spec.actions))
    return Batch(obs, np.empty((rows, hidden)), dlogits, np.empty(rows))


def memory(limit: int) -> Memory:
    """Nothing learnt as yet."""
    return Memory(*(np.zeros(limit) for _ in range(4)), np.array([np.inf, 0.0]))


@envs.compiled
def learn(setting, part, batch, memory, stream, log, done):
    """Updates from number ``done`` on while every lane has enough uniforms; how many are done."""
    updates, B = log.returns.shape
    while done < updates and lanes.enough(stream, setting.limit):
        steps = np.int64(0)  # no literal, for which numba would compile versions of their own
        for lane in range(B):
            n, total = _play(setting, part.net, batch, steps, stream, done, lane)
            log.returns[done, lane], log.lengths[done, lane] = total, n
            steps += n
        _weigh(setting, batch, memory, log.lengths[done])
        backprop.backward(
            setting.tanh,
            part.net,
            part.dnet,
            batch.obs,
            batch.hidden,
            batch.dlogits,
            batch.weight,
            steps,
        )
        log.grad_norm[done] = norm = backprop.norm(part.grad)
        done += 1
        _move(setting, part, norm, done)
    return done


@envs.compiled
def _play(setting, net, batch, first, stream, update, lane):
    """One episode into the rows of ``batch`` from ``first`` on; (its length, its return)."""
    state = lanes.first(stream, update, lane)
    n, total, terminated = 0, 0.0, False
    while n < setting.limit and not terminated:
        row = first + n
        if n == 0:
            for i in range(batch.obs.shape[1]):
                batch.obs[row, i] = stream.obs[update, lane, i]
        else:
            envs.observe(setting.env, state, batch.obs, row)
        backprop.outputs(setting.tanh, net, batch.obs, row, batch.hidden, batch.dlogits)
        backprop.softmax(batch.dlogits, row)
        action = backprop.taken(batch.dlogits, row, lanes.draw(stream, lane))
        state, reward, terminated = envs.step(setting.env, state, float(action))
        batch.weight[row] = reward
        total += reward
        n += 1
    return n, total


@envs.compiled
def _weigh(setting, batch, memory, lengths):
    """Turn the rewards in ``batch.weight`` into what multiplies each score, reduction included."""
    weight, B, zero = batch.weight, lengths.shape[0], np.int64(0)
    whole, longest, first = 0.0, zero, zero  # whole: Σ_i G_0
    for i in range(B):
        longest = max(longest, lengths[i])
    for t in range(longest):
        memory.sums[t] = memory.counts[t] = 0.0
    for i in range(B):
        n, G = lengths[i], 0.0
        for t in range(n - 1, -1, -1):
            G = weight[first + t] + setting.gamma * G
            weight[first + t] = G
        whole += G
        for t in range(n):
            if setting.whole:
                weight[first + t] = G
            memory.sums[t] += weight[first + t]
            memory.counts[t] += 1.0
            weight[first + t] -= memory.value[t]
        if setting.standardise == 1:
            _standardise(weight, first, first + n)
        first += n
    if setting.standardise == 2:
        _standardise(weight, zero, first)
    _remember(setting, memory, whole / B, longest)
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
def _remember(setting, memory, whole, longest):
    """The baseline learns from this batch, after it was used on it."""
    if setting.baseline == 1:
        memory.batches[0] += 1.0
        gain = max(FORGET, 1.0 / memory.batches[0])
        value = memory.value[0] + gain * (whole - memory.value[0])
        for t in range(memory.value.shape[0]):
            memory.value[t] = value
    elif setting.baseline == 2:
        for t in range(longest):
            memory.batches[t] += 1.0
            gain = max(FORGET, 1.0 / memory.batches[t])
            memory.value[t] += gain * (memory.sums[t] / memory.counts[t] - memory.value[t])


@envs.compiled
def _measure(typical, length):
    """The typical length learns from the mean length of this batch, after it was used on it."""
    typical[1] += 1.0
    before = typical[0] if typical[1] > 1.0 else 0.0
    typical[0] = before + max(FORGET, 1.0 / typical[1]) * (length - before)


@envs.compiled
def _move(setting, part, norm, done):
    """The ``done``-th step along the gradient: clipped or normalised, at the rate of its number."""
    allowed = 1.0 if setting.normalise else min(setting.clip, norm + 1e-6)
    backprop.shorten(part.grad, allowed / (norm + 1e-6))
    lr = setting.lr / math.sqrt(done) if setting.inverse_root else setting.lr
    backprop.move(setting.adam, lr, part.theta, part.grad, part.mean, part.square, done)
