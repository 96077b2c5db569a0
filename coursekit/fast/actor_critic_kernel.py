"""Actor and critic, compiled by numba: play, estimate advantages, move both; in plain loops.

The actor is a softmax or a Gaussian over ``backprop``'s network, the critic the same network with
one output. ``actor_critic.train_many`` prepares the arrays, ``coursekit.actor_critic`` specifies.
Axes: ``B`` episodes, ``O`` observation, ``H`` hidden, ``A`` action.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from coursekit import actor_critic
from coursekit.fast import backprop, envs, lanes

REDUCTION, AT_LIMIT, POTENTIAL = (
    {name: number for number, name in enumerate(names)}
    for names in (actor_critic.REDUCTIONS, actor_critic.AT_LIMIT, actor_critic.POTENTIALS)
)
energy = envs.compiled(actor_critic.energy)


class Setting(NamedTuple):
    """What the compiled loop needs of an ``actor_critic.Config``, as numbers."""

    env: int
    limit: int
    gaussian: bool
    gamma: float
    lam: float
    critic: bool
    at_limit: int
    potential: int
    reduction: int
    adam: bool
    lr: float
    anneal: bool
    critic_lr: float
    critic_steps: int
    scale: np.ndarray  # (O,): the networks see obs / scale


class Batch(NamedTuple):
    """The steps of B episodes one after the other, and what the backward passes need of them."""

    obs: np.ndarray  # (B · limit, O)
    four: np.ndarray  # (B · limit, 4): the same and zeros, or nothing where O is above 4
    hidden: np.ndarray  # (B · limit, H), the actor's
    dout: np.ndarray  # (B · limit, A): the derivative of log π by the actor's outputs
    dspread: np.ndarray  # (B · limit, A): by log σ
    reward: np.ndarray  # (B · limit,), shaped
    weight: np.ndarray  # (B · limit,): the advantage, then times the reduction's factor
    target: np.ndarray  # (B · limit,), of the critic
    value: np.ndarray  # (B · limit, 1)
    critic_hidden: np.ndarray  # (B · limit, H)
    after: np.ndarray  # (B,): what stands for the future after the last step
    one: np.ndarray  # (B · limit, 1): the derivative of the critic's output by itself


class Log(NamedTuple):
    """``returns`` (of the environment's own rewards) and ``lengths`` (U, B)."""

    returns: np.ndarray
    lengths: np.ndarray


@envs.compiled
def potential(kind, obs):
    """Φ(s): 0, or MountainCar's energy."""
    return 0.0 if kind == 0 else energy(obs)


@envs.compiled
def learn(setting, actor, critic, batch, stream, log, done):
    """Updates ``done`` and on while every lane has enough noise; how many are done."""
    updates, B = log.returns.shape
    while done < updates and lanes.enough(stream, setting.limit):
        steps = np.int64(0)  # no literal, for which numba would compile versions of their own
        for lane in range(B):
            steps += _play(setting, actor, critic.net, batch, steps, stream, done, lane, log)
        _advantages(setting, batch, log.lengths[done])
        gone, lr = done / updates, setting.lr
        done += 1
        if setting.anneal:
            lr *= min(1.0, 10.0 * done / updates) * (1.0 - gone)
        _move_actor(setting, lr, actor, batch, steps, done)
        if setting.critic:
            _move_critic(setting, critic, batch, steps, done)
    return done


@envs.compiled
def _play(setting, actor, critic, batch, first, stream, update, lane, log):
    """One episode into the rows of ``batch`` from ``first`` on; its length."""
    state, O = lanes.first(stream, update, lane), batch.obs.shape[1]  # noqa: E741
    obs, value = np.empty((1, O)), np.zeros((1, 1))
    hidden = np.empty((1, batch.hidden.shape[1]))
    obs[0, :] = stream.obs[update, lane]
    here = potential(setting.potential, obs[0])
    n, total, terminated = 0, 0.0, False
    while n < setting.limit and not terminated:
        row = first + n
        for i in range(O):
            batch.obs[row, i] = obs[0, i] / setting.scale[i]
            if batch.four.shape[0] > 0:
                batch.four[row, i] = batch.obs[row, i]
        backprop.outputs(False, actor.net, batch.obs, row, batch.hidden, batch.dout)
        noise = lanes.draw(stream, lane)
        if setting.gaussian:
            action = _gaussian(actor.rest[0], batch, row, noise)
        else:
            backprop.softmax(batch.dout, row)
            action = float(backprop.taken(batch.dout, row, noise))
        batch.value[row, 0] = 0.0
        if setting.critic:
            backprop.outputs(False, critic, batch.obs, row, batch.critic_hidden, batch.value)
        state, reward, terminated = envs.step(setting.env, state, action)
        envs.observe(setting.env, state, obs, 0)
        total += reward
        n += 1
        ends = terminated or (n == setting.limit and setting.at_limit == 0)
        there = 0.0 if ends else potential(setting.potential, obs[0])
        batch.reward[row] = reward + setting.gamma * there - here
        here = there
    if setting.at_limit == 1 and setting.critic and not terminated:
        for i in range(O):
            obs[0, i] /= setting.scale[i]
        backprop.outputs(False, critic, obs, 0, hidden, value)
    batch.after[lane] = value[0, 0]
    log.returns[update, lane], log.lengths[update, lane] = total, n
    return n


@envs.inlined
def _gaussian(log_std, batch, row, noise):
    """The action m + σ ε on the one axis; ∂ log π / ∂m = ε/σ and ∂ log π / ∂ log σ = ε² − 1."""
    sigma = math.exp(log_std)
    action = batch.dout[row, 0] + sigma * noise
    batch.dout[row, 0] = noise / sigma
    batch.dspread[row, 0] = noise * noise - 1.0
    return action


@envs.compiled
def _advantages(setting, batch, lengths):
    """GAE into ``weight``, reduction included; the critic's target into ``target``."""
    first, B = 0, lengths.shape[0]
    for i in range(B):
        n, A, after = lengths[i], 0.0, batch.after[i]
        for t in range(first + n - 1, first - 1, -1):
            value = batch.value[t, 0]
            A = batch.reward[t] + setting.gamma * after - value + setting.gamma * setting.lam * A
            batch.weight[t] = A / (B * n) if setting.reduction == 1 else A / B
            batch.target[t] = A + value
            after = value
        first += n
    if setting.reduction == 2:
        for t in range(first):
            batch.weight[t] *= B / first


@envs.compiled
def _move_actor(setting, lr, actor, batch, steps, done):
    """One step along Σ_t weight_t ∇ log π(a_t|s_t)."""
    obs, hidden, dout = batch.obs, batch.hidden, batch.dout
    backprop.backward(False, actor.net, actor.dnet, obs, hidden, dout, batch.weight, steps)
    if setting.gaussian:
        actor.drest[0] = 0.0
        for t in range(steps):
            actor.drest[0] -= batch.weight[t] * batch.dspread[t, 0]
    backprop.move(setting.adam, lr, actor.theta, actor.grad, actor.mean, actor.square, done)


@envs.compiled
def _move_critic(setting, critic, batch, steps, done):
    """Some steps down ½ (1/N) Σ_t (V(s_t) − target_t)², the targets held fixed."""
    obs, hidden, net, narrow = batch.obs, batch.critic_hidden, critic.net, batch.four.shape[0] > 0
    for k in range(setting.critic_steps):
        if narrow:
            _critic_gradient(net, critic.dnet, batch.four, batch.target, steps)
        else:
            for t in range(steps):
                if k > 0:
                    backprop.outputs(False, net, obs, t, hidden, batch.value)
                batch.weight[t] = (batch.target[t] - batch.value[t, 0]) / steps
            backprop.backward(False, net, critic.dnet, obs, hidden, batch.one, batch.weight, steps)
        number, lr = (done - 1) * setting.critic_steps + k + 1, setting.critic_lr
        backprop.move(
            setting.adam, lr, critic.theta, critic.grad, critic.mean, critic.square, number
        )


@envs.compiled(fastmath=backprop.FAST)
def _critic_gradient(net, grad, four, target, steps):
    """∂ ½ (1/N) Σ_t (V(s_t) − target_t)² into ``grad``: forwards and back, two rows at a time.

    One pass with four inputs written out: the sums stay near the processor. Three to four times
    as fast as ``outputs`` and ``backward``, of which it is the same numbers.
    """
    inputs, H = net.w0.shape
    w0, g0 = np.zeros((4, H)), np.zeros((4, H))
    w0[:inputs] = net.w0
    a0, a1, a2, a3, b, w = w0[0], w0[1], w0[2], w0[3], net.b0, net.w1[0]
    c0, c1, c2, c3, gb, gw = g0[0], g0[1], g0[2], g0[3], grad.b0, grad.w1[0]
    h, k, bias = np.empty(H), np.empty(H), 0.0
    gb[:] = 0.0
    gw[:] = 0.0
    for row in range(0, steps, 2):
        x0, x1, x2, x3 = four[row, 0], four[row, 1], four[row, 2], four[row, 3]
        other = min(row + 1, steps - 1)  # of an odd number the last is alone
        y0, y1, y2, y3 = four[other, 0], four[other, 1], four[other, 2], four[other, 3]
        v = u = net.b1[0]
        for j in range(H):
            h[j] = max(b[j] + x0 * a0[j] + x1 * a1[j] + x2 * a2[j] + x3 * a3[j], 0.0)
            k[j] = max(b[j] + y0 * a0[j] + y1 * a1[j] + y2 * a2[j] + y3 * a3[j], 0.0)
            v += h[j] * w[j]
            u += k[j] * w[j]
        d, e = (v - target[row]) / steps, (u - target[other]) / steps * (other > row)
        bias += d + e
        for j in range(H):
            gw[j] += d * h[j] + e * k[j]
            dh = d * w[j] if h[j] > 0.0 else 0.0
            dk = e * w[j] if k[j] > 0.0 else 0.0
            gb[j] += dh + dk
            c0[j] += x0 * dh + y0 * dk
            c1[j] += x1 * dh + y1 * dk
            c2[j] += x2 * dh + y2 * dk
            c3[j] += x3 * dh + y3 * dk
    grad.w0[:] = g0[:inputs]
    grad.b1[0] = bias
