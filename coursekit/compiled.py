"""``train`` again, compiled: many learners, several million steps a second, the same numbers.

The backward pass is written out by hand, as in notebook 07. One learner is a plain loop over the
steps that it really takes: no padding, no mask, no stacking; learners run on threads. In float64
learner k equals ``train(config, seeds[k])``, whoever else is in the batch.
Axes: ``L`` learners, ``U`` updates, ``B`` episodes, ``O`` observation, ``H`` hidden, ``A`` actions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from coursekit import baselines, envs, policies, train

REDUCTION = {"loop": 0, "sum": 0, "constant": 0, "episode_mean": 1, "step_mean": 2}
BASELINE = {"none": 0, "running_mean": 1, "per_time_step": 2}
STANDARDISE = {"none": 0, "per_episode": 1, "per_batch": 2}
FORGET = baselines.FORGET
FAST = {"reassoc", "contract"}  # sums may be added up in another order: the loops become vectors


class Many(NamedTuple):
    """``returns``, ``lengths`` (L, U, B); ``grad_norm`` (L, U); ``params``: a dict a learner."""

    returns: np.ndarray
    lengths: np.ndarray
    grad_norm: np.ndarray
    params: list[dict[str, np.ndarray]]


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


class Network(NamedTuple):
    """One hidden layer: w0 (O, H), transposed so that the inner loops run along memory; b0 (H,),
    w1 (A, H), b1 (A,). Also holds a gradient, and Adam's two running means."""

    w0: np.ndarray
    b0: np.ndarray
    w1: np.ndarray
    b1: np.ndarray


class Batch(NamedTuple):
    """The steps of B episodes one after the other, and what the backward pass needs of them."""

    obs: np.ndarray  # (B · limit, O)
    hidden: np.ndarray  # (B · limit, H), after the activation
    dlogits: np.ndarray  # (B · limit, A): onehot − p
    weight: np.ndarray  # (B · limit,)


class Memory(NamedTuple):
    """The baseline: one number a time step, and the number of batches behind it; (limit,)."""

    value: np.ndarray
    batches: np.ndarray


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


def train_many(
    config: train.Config,
    seeds: Sequence[int],
    lr: float | Sequence[float] | None = None,
    *,
    threads: int = 2,
    progress: bool = False,
) -> Many:
    """Learner k is ``train(config, seeds[k])`` with the rate ``lr[k]`` (default: the config's).

    The same streams, the same order of operations up to rounding: equal episode lengths,
    parameters to 1e-9 over dozens of updates. "loop" runs as "sum", which notebook 03 proves equal.
    Raises ValueError for no or repeated seeds, rates that are not above 0, an environment that is
    not compiled or has no discrete actions, and for other than one hidden layer.
    """
    seeds = [int(seed) for seed in seeds]
    rates = np.full(len(seeds), config.lr) if lr is None else np.asarray(lr, dtype=float)
    rates = np.broadcast_to(rates, len(seeds)) if rates.ndim == 0 else rates
    _guard(config, seeds, rates)
    bar = tqdm(total=len(seeds), leave=False, disable=not train.bars(progress), unit="learner")
    runs = []
    with ThreadPoolExecutor(max(1, threads)) as pool, bar:
        for run in pool.map(lambda k: _one(config, seeds[k], float(rates[k])), range(len(seeds))):
            runs.append(run)
            bar.update()
    logs, params = zip(*runs, strict=True)
    return Many(*(np.array(column) for column in zip(*logs, strict=True)), list(params))


def _guard(config: train.Config, seeds: list[int], rates: np.ndarray) -> None:
    if not seeds:
        raise ValueError("no seeds given; give at least one")
    if len(set(seeds)) < len(seeds):
        twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
        raise ValueError(f"seeds repeat: {twice}; each learner needs a seed of its own")
    if rates.shape != (len(seeds),):
        raise ValueError(f"lr has shape {rates.shape}; give one rate, or {len(seeds)} of them")
    if not (np.isfinite(rates).all() and (rates > 0).all()):
        raise ValueError(f"lr {rates} must be above 0 and finite")
    if not envs.spec(config.env_id).actions:
        raise ValueError(f"{config.env_id} has no discrete actions; the softmax policy needs them")
    if len(config.hidden) != 1:
        raise ValueError(f"hidden {config.hidden}: compiled for one hidden layer; use train.train")


def _one(config: train.Config, seed: int, lr: float) -> tuple[Log, dict[str, np.ndarray]]:
    """One learner: draw its random numbers, run the compiled loop, refill, run on."""
    spec, B, U = envs.spec(config.env_id), config.episodes, config.updates
    for_weights, *for_lanes = np.random.SeedSequence(seed).spawn(1 + 2 * B)
    env_seeds = [int(stream.generate_state(1)[0]) for stream in for_lanes[::2]]
    starts = [envs.reset(config.env_id, np.random.default_rng(s), U + 1) for s in env_seeds]
    rngs = [np.random.default_rng(stream) for stream in for_lanes[1::2]]
    uniform = np.empty((B, max(16 * spec.limit, 4096)))
    stream = Stream(
        # the first reset is the one that seeds; as in train, it is never played
        states=np.stack([states[1:] for states, _ in starts], axis=1),
        obs=np.stack([obs[1:] for _, obs in starts], axis=1),
        uniform=uniform,
        cursor=np.full(B, uniform.shape[1]),
    )
    net = _network(config, spec, np.random.default_rng(for_weights))
    grad, mean, square = (Network(*(np.zeros_like(x) for x in net)) for _ in range(3))
    H = len(net.b0)
    batch = Batch(*(np.empty((B * spec.limit, k)) for k in (spec.obs, H, spec.actions)), None)
    batch = batch._replace(weight=np.empty(B * spec.limit))
    memory = Memory(np.zeros(spec.limit), np.zeros(spec.limit))
    log = Log(np.zeros((U, B)), np.zeros((U, B), dtype=np.int64), np.zeros(U))
    setting = _setting(config, spec, lr)
    done = 0
    while done < U:
        for lane, rng in enumerate(rngs):  # keep what is unused, draw what was used
            used = stream.cursor[lane]
            uniform[lane, : uniform.shape[1] - used] = uniform[lane, used:].copy()
            uniform[lane, uniform.shape[1] - used :] = rng.random(used)
        stream.cursor[:] = 0
        done = _learn(setting, net, grad, mean, square, batch, memory, stream, log, done)
    return log, {"w0": net.w0.T.copy(), "b0": net.b0, "w1": net.w1, "b1": net.b1}


def _network(config: train.Config, spec: envs.Spec, rng: np.random.Generator) -> Network:
    policy = policies.SoftmaxPolicy(
        obs_size=spec.obs,
        actions=spec.actions,
        hidden=tuple(config.hidden),
        activation=config.activation,
    )
    w0, b0, w1, b1 = (value.detach().numpy() for value in policy.init(rng).values())
    return Network(np.ascontiguousarray(w0.T), b0, w1, b1)


def _setting(config: train.Config, spec: envs.Spec, lr: float) -> Setting:
    return Setting(
        env=spec.number,
        limit=spec.limit,
        gamma=float(config.gamma),
        whole=config.weight == "whole_return",
        reduction=REDUCTION[config.reduction],
        divisor=float(config.divisor) if config.reduction == "constant" else 1.0,
        baseline=BASELINE[config.baseline],
        standardise=STANDARDISE[config.standardise],
        adam=config.optimiser == "adam",
        tanh=config.activation == "tanh",
        lr=lr,
    )


@envs.compiled
def _learn(setting, net, grad, mean, square, batch, memory, stream, log, done):
    """Updates from number ``done`` on, while every lane has enough uniforms; how many are done."""
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
        _backward(setting, net, grad, batch, steps)
        done += 1
        norm = 0.0
        for part in range(4):
            norm += _move(setting, net, grad, mean, square, part, done)
        log.grad_norm[done - 1] = math.sqrt(norm)
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
        _forward(setting.tanh, net, obs, batch.hidden[row], p)
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


@envs.compiled(fastmath=FAST)
def _forward(tanh, net, obs, hidden, p):
    """hidden = f(W0 x + b0); p = softmax(W1 hidden + b1)."""
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
    largest = -np.inf
    for a in range(A):
        z = 0.0
        for j in range(H):
            z += net.w1[a, j] * hidden[j]
        p[a] = z + net.b1[a]
        largest = max(largest, p[a])
    total = 0.0
    for a in range(A):
        p[a] = math.exp(p[a] - largest)
        total += p[a]
    for a in range(A):
        p[a] /= total


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
        for t in range(start, start + n):
            weight[t] *= scale
        start += n


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


@envs.compiled(fastmath=FAST)
def _backward(setting, net, grad, batch, steps):
    """The gradient of −Σ weight · log π, by the chain rule from the logits back; into ``grad``."""
    H, A = net.b0.shape[0], net.b1.shape[0]
    dhidden = np.empty(H)
    grad.w0.fill(0.0)
    grad.b0.fill(0.0)
    grad.w1.fill(0.0)
    grad.b1.fill(0.0)
    for row in range(steps):
        hidden, obs = batch.hidden[row], batch.obs[row]
        for j in range(H):
            dhidden[j] = 0.0
        for a in range(A):
            d = -batch.weight[row] * batch.dlogits[row, a]
            grad.b1[a] += d
            for j in range(H):
                grad.w1[a, j] += d * hidden[j]
                dhidden[j] += d * net.w1[a, j]
        if setting.tanh:
            for j in range(H):
                dhidden[j] *= 1.0 - hidden[j] * hidden[j]
        else:
            for j in range(H):
                dhidden[j] = dhidden[j] if hidden[j] > 0.0 else 0.0
        for j in range(H):
            grad.b0[j] += dhidden[j]
        for i in range(obs.shape[0]):
            x = obs[i]
            for j in range(H):
                grad.w0[i, j] += x * dhidden[j]


@envs.compiled(fastmath=FAST)
def _move(setting, net, grad, mean, square, part, done):
    """One optimiser step for one of the four arrays; returns Σ g². Kingma & Ba 2015 for Adam."""
    if part == 0:
        p, g, m, v = net.w0.ravel(), grad.w0.ravel(), mean.w0.ravel(), square.w0.ravel()
    elif part == 1:
        p, g, m, v = net.b0, grad.b0, mean.b0, square.b0
    elif part == 2:
        p, g, m, v = net.w1.ravel(), grad.w1.ravel(), mean.w1.ravel(), square.w1.ravel()
    else:
        p, g, m, v = net.b1, grad.b1, mean.b1, square.b1
    total = 0.0
    size, root = setting.lr / (1.0 - 0.9**done), math.sqrt(1.0 - 0.999**done)
    for k in range(p.shape[0]):
        total += g[k] * g[k]
    if setting.adam:
        for k in range(p.shape[0]):
            m[k] = 0.9 * m[k] + 0.1 * g[k]
            v[k] = 0.999 * v[k] + 0.001 * g[k] * g[k]
            p[k] -= size * m[k] / (math.sqrt(v[k]) / root + 1e-8)
    else:
        for k in range(p.shape[0]):
            p[k] -= setting.lr * g[k]
    return total
