"""Processes small enough to list every trajectory: exact J, exact ∇J, exact expectations.

Shapes: ``S`` states, ``A`` actions, ``N`` trajectories, ``B`` episodes, ``T`` time. All is float64.
The policy is the softmax of a table of logits ``theta`` (S, A).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from coursekit import guards, mlp

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class FiniteMDP:
    """A finite-horizon Markov decision process.

    ``P`` (S, A, S+1): ``P[s, a, s']``, where the last index ``s' = S`` means "the episode ends".
    ``R`` (S, A) or (S, A, S+1): the reward. ``rho`` (S,): the first state. ``horizon``: the number
    of steps after which an episode is cut off (truncated).

    ValueError where shapes disagree, probabilities do not add to 1, or a number cannot be.
    """

    P: Array
    R: Array
    rho: Array
    horizon: int
    name: str = "process"

    def __post_init__(self) -> None:
        P, R, rho = (guards.finite(name, getattr(self, name)) for name in ("P", "R", "rho"))
        if P.ndim != 3 or P.shape[2] != P.shape[0] + 1 or not P.size:
            raise ValueError(f"P has shape {P.shape}; it must be (S, A, S+1), the end as the last")
        if R.shape not in (P.shape, P.shape[:2]):
            raise ValueError(f"R has shape {R.shape}; P says {P.shape[:2]} or {P.shape}")
        if rho.shape != P.shape[:1]:
            raise ValueError(f"rho has shape {rho.shape}; P says {P.shape[:1]}")
        for label, p in (("P", P), ("rho", rho)):
            if not (np.all(p >= 0) and np.allclose(p.sum(-1), 1, atol=1e-12)):
                raise ValueError(f"{label} must be ≥ 0 and add to 1 over its last axis; got {p}")
        guards.count("horizon", self.horizon)
        R = np.broadcast_to(R[..., None] if R.ndim == 2 else R, P.shape)
        self.__dict__.update(P=P, R=R, rho=rho)  # frozen for everybody else

    @property
    def states(self) -> int:
        """S, the end not counted."""
        return self.P.shape[0]

    @property
    def actions(self) -> int:
        """A."""
        return self.P.shape[1]

    def table(self, theta: Array) -> Array:
        """``theta`` as float64; ValueError where it is not finite or its shape is not (S, A)."""
        theta = guards.finite("theta", theta)
        if theta.shape != self.P.shape[:2]:
            raise ValueError(f"theta has shape {theta.shape}; {self.name} needs {self.P.shape[:2]}")
        return theta


class Trajectories(NamedTuple):
    """Episodes of a ``FiniteMDP`` as padded arrays; padding is zero, ``mask`` says which is real.

    ``env_prob`` (N,): what the environment alone contributes, ρ(s₀) ∏ P(s'|s, a).
    ``obs``, ``actions``, ``rewards``, ``mask`` (N, T), or (N, B, T) for batches of B episodes.
    ``terminated`` (N,) or (N, B): it ended by itself; otherwise the horizon cut it (truncated).
    """

    env_prob: Array
    obs: Array
    actions: Array
    rewards: Array
    mask: Array
    terminated: Array

    @property
    def lengths(self) -> Array:
        """n, the number of real steps of each episode; (…, T) -> (…)."""
        return self.mask.sum(-1)


def log_softmax(theta: Array) -> Array:
    """log π(a|s) = θ[s, a] − log Σ_b exp θ[s, b]; (…, A) -> (…, A). ValueError where not finite."""
    return mlp.log_softmax(guards.finite("theta", theta))


def softmax(theta: Array) -> Array:
    """π(a|s) = exp θ[s, a] / Σ_b exp θ[s, b]; (…, A) -> (…, A)."""
    return np.exp(log_softmax(theta))


def enumerate_trajectories(process: FiniteMDP, limit: int = 2_000_000) -> Trajectories:
    """Every trajectory the process allows, whatever the policy; ValueError above ``limit`` (N)."""
    guards.instance("process", process, FiniteMDP, "mdp.toll_bridge()")
    source, action, target = np.nonzero(process.P)  # the edges (s, a, s'), ordered by s
    count = np.bincount(source, minlength=process.states)
    first = np.cumsum(count) - count
    start = np.flatnonzero(process.rho)
    alive, state, finished = np.empty((len(start), 0), dtype=np.int64), start, []
    for t in range(process.horizon):
        repeat = count[state]
        total = int(repeat.sum()) + sum(len(done) for done in finished)
        if total > limit:
            text = f"{process.name} has more than {limit:,} trajectories ({total:,} after {t + 1}"
            raise ValueError(f"{text} of its steps); shorten the horizon or raise limit")
        within = np.arange(repeat.sum()) - np.repeat(np.cumsum(repeat) - repeat, repeat)
        edge = np.repeat(first[state], repeat) + within
        alive = np.column_stack([np.repeat(alive, repeat, axis=0), edge])
        done = (target[edge] == process.states) | (t + 1 == process.horizon)
        padding = np.full((int(done.sum()), process.horizon - t - 1), -1)
        finished.append(np.hstack([alive[done], padding]))
        alive, state = alive[~done], target[edge[~done]]
    edges = np.vstack(finished)
    mask = edges >= 0
    p_edge, r_edge = process.P[source, action, target], process.R[source, action, target]
    obs = np.where(mask, source[edges], 0)
    last = edges[np.arange(len(edges)), mask.sum(-1) - 1]
    return Trajectories(
        env_prob=process.rho[obs[:, 0]] * np.where(mask, p_edge[edges], 1.0).prod(-1),
        obs=obs,
        actions=np.where(mask, action[edges], 0),
        rewards=np.where(mask, r_edge[edges], 0.0),
        mask=mask,
        terminated=target[last] == process.states,
    )


def batches(single: Trajectories, episodes: int, limit: int = 2_000_000) -> Trajectories:
    """Every ordered batch of ``episodes``: (N, T) -> (N^B, B, T); ValueError above ``limit``."""
    guards.count("episodes", episodes)
    if (total := len(single.env_prob) ** episodes) > limit:
        raise ValueError(f"{episodes} episodes make {total:,} batches, more than {limit:,}")
    index = np.array(list(itertools.product(range(len(single.env_prob)), repeat=episodes)))
    return Trajectories(single.env_prob[index].prod(-1), *(field[index] for field in single[1:]))


def logp(trajectories: Trajectories, theta: Array) -> Array:
    """log π_θ(a_t|s_t) of every step, zero in padding; (…, T). ValueError: θ too small."""
    steps = _log_pi(trajectories, theta)[trajectories.obs, trajectories.actions]
    return np.where(trajectories.mask, steps, 0.0)


def probability(trajectories: Trajectories, theta: Array) -> Array:
    """P_θ(τ) = ρ(s₀) ∏ π_θ(a_t|s_t) P(s_{t+1}|s_t, a_t); (N,), adding to 1 over all of them."""
    steps = logp(trajectories, theta)
    return trajectories.env_prob * np.exp(steps.reshape(len(steps), -1).sum(-1))


def scores(trajectories: Trajectories, theta: Array) -> Array:
    """z_t = ∇_θ log π_θ(a_t|s_t), zero in padding; (S, A, …, T).

    For a table of logits, ∂ log π(a|s) / ∂ θ[s, b] = 1[b = a] − π(b|s), and 0 in other rows.
    The parameter axes come first, so that a reduction over (B, T) serves losses and scores alike.
    """
    pi = np.exp(_log_pi(trajectories, theta))
    here = trajectories.obs == np.arange(len(pi)).reshape(-1, 1, *[1] * trajectories.obs.ndim)
    taken = trajectories.actions == np.arange(pi.shape[1]).reshape(-1, *[1] * trajectories.obs.ndim)
    row = pi.reshape(*pi.shape, *[1] * trajectories.obs.ndim)
    return (here & trajectories.mask) * (taken - row)


def expected(
    process: FiniteMDP,
    theta: Array,
    estimator: Callable[[Trajectories], Array],
    episodes: int = 1,
) -> Array:
    """The exact expectation Σ_τ P_θ(τ) f(τ) of any estimator, by listing all batches of episodes.

    ``estimator`` takes ``Trajectories`` of shape (N, B, T) and returns (…, N); returns (…).
    ValueError for θ of another shape than (S, A), and for an estimator of another shape.
    """
    batch = batches(enumerate_trajectories(process), episodes)
    theta = process.table(theta)
    values = np.asarray(estimator(batch))
    if values.shape[-1:] != batch.env_prob.shape:
        raise ValueError(
            f"the estimator returned shape {values.shape}; its last axis must be the "
            f"{len(batch.env_prob)} batches of trajectories it was given"
        )
    return values @ probability(batch, theta)


def J(process: FiniteMDP, theta: Array, gamma: float = 1.0) -> float:
    """J(θ) = E[Σ_t γ^t r_t], by dynamic programming backwards from the horizon (no enumeration)."""
    value, _ = _values(process, theta, gamma)
    return float(process.rho @ value[0])


def grad_J(process: FiniteMDP, theta: Array, gamma: float = 1.0) -> Array:
    """∇J(θ) (S, A), by the policy gradient theorem (no enumeration, no sampling).

    ∂J/∂θ[s, a] = Σ_t γ^t d_t(s) π(a|s) (Q_t(s, a) − V_t(s)), with d_t(s) the probability of being
    in s at time t. Sutton, McAllester, Singh & Mansour 1999.
    """
    (V, Q), pi = _values(process, theta, gamma), softmax(process.table(theta))
    d, total = process.rho, np.zeros_like(pi)
    for t in range(process.horizon):
        total += gamma**t * d[:, None] * pi * (Q[t] - V[t][:, None])
        d = np.einsum("s,sa,sap->p", d, pi, process.P)[:-1]
    return total


def _values(process: FiniteMDP, theta: Array, gamma: float) -> tuple[Array, Array]:
    """V_t(s) (H+1, S) and Q_t(s, a) (H, S, A) of the policy, backwards from V_H = 0."""
    guards.instance("process", process, FiniteMDP, "mdp.toll_bridge()")
    guards.fraction("gamma", gamma)
    pi, H = softmax(process.table(theta)), process.horizon
    V, Q = np.zeros((H + 1, process.states)), np.zeros((H, process.states, process.actions))
    for t in reversed(range(H)):
        Q[t] = (process.P * (process.R + gamma * np.append(V[t + 1], 0.0))).sum(-1)
        V[t] = (pi * Q[t]).sum(-1)
    return V, Q


def _log_pi(trajectories: Trajectories, theta: Array) -> Array:
    log_pi = np.atleast_2d(log_softmax(theta))
    guards.below("theta's states", trajectories.obs, log_pi.shape[0])
    guards.below("theta's actions", trajectories.actions, log_pi.shape[1])
    return log_pi


def bandit(*values: float) -> FiniteMDP:
    """One state, one step: arm a pays ``values[a]``."""
    P = np.zeros((1, len(values), 2))
    P[..., -1] = 1
    return FiniteMDP(P=P, R=[values], rho=[1], horizon=1, name="bandit")


def stop_or_walk() -> FiniteMDP:
    """Stop: 1 at once (n = 1). Walk: 0, 0, 1.5 over three steps, the later two forced (n = 3)."""
    P = np.zeros((3, 2, 4))
    P[0, 0, 3] = P[0, 1, 1] = P[1, :, 2] = P[2, :, 3] = 1
    R = [[1, 0], [0, 0], [1.5, 1.5]]
    return FiniteMDP(P=P, R=R, rho=[1, 0, 0], horizon=3, name="stop_or_walk")


def toll_bridge() -> FiniteMDP:
    """Stay on the bank (1, the end) or pay 1 to step on a bridge that is crossed (4) or slips.

    States: bank, bridge. Actions: stay, go. On the bridge *go* succeeds with probability 3/4 and
    ends; *stay*, or a slip, leaves one there with reward 0. At most three steps; 8 trajectories.
    """
    P, R = np.zeros((2, 2, 3)), np.zeros((2, 2, 3))
    P[0, 0, 2], R[0, 0, 2] = 1, 1
    P[0, 1, 1], R[0, 1, 1] = 1, -1
    P[1, 0, 1] = 1
    P[1, 1, 2], R[1, 1, 2], P[1, 1, 1] = 0.75, 4, 0.25
    return FiniteMDP(P=P, R=R, rho=[1, 0], horizon=3, name="toll_bridge")


def balance(horizon: int = 5) -> FiniteMDP:
    """CartPole in miniature: states upright and leaning; every step pays 1 until the fall."""
    P = np.array([[[0.8, 0.2, 0.0], [0.5, 0.5, 0.0]], [[0.1, 0.3, 0.6], [0.5, 0.2, 0.3]]])
    return FiniteMDP(P=P, R=np.ones((2, 2)), rho=[0.75, 0.25], horizon=horizon, name="balance")


def random_process(
    rng: np.random.Generator, states: int = 3, actions: int = 2, horizon: int = 4
) -> FiniteMDP:
    """P and ρ uniform on the simplex, rewards standard normal; ValueError for what is no rng."""
    guards.instance("rng", rng, np.random.Generator, "np.random.default_rng(0)")
    P = rng.dirichlet(np.ones(states + 1), size=(states, actions))
    R = rng.normal(size=(states, actions, states + 1))
    rho = rng.dirichlet(np.ones(states))
    return FiniteMDP(P=P, R=R, rho=rho, horizon=horizon, name="random_process")
