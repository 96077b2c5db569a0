"""What an estimate of ∇J is worth, exactly: every trajectory of a small process, with its estimate.

An estimator is an array ``g`` (D, N): a column for each trajectory; ``P`` (N,) are their chances.
Axes: ``D`` parameters, ``N`` trajectories, ``T`` time, ``S`` states. γ = 1 everywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from coursekit import guards, losses, mdp

Array = np.ndarray


class Listed(NamedTuple):
    """All trajectories ``tau`` of a process under one policy, and what estimators are made from.

    ``P`` (N,): their probabilities; ``z`` (D, N, T): scores; ``G``, ``R`` (N, T): reward-to-go and
    whole return, as weights of the steps; ``grad`` (D,): ∇J.
    """

    tau: mdp.Trajectories
    P: Array
    z: Array
    G: Array
    R: Array
    grad: Array

    @property
    def n(self) -> Array:
        """Lengths; (N,)."""
        return self.tau.lengths

    @property
    def J(self) -> float:
        """The expected return."""
        return float(self.P @ self.R[:, 0])


def listed(process: mdp.FiniteMDP, theta: Array) -> Listed:
    """Every trajectory of the process; ``theta`` (S, A): its policy's logits."""
    tau, grad = mdp.enumerate_trajectories(process), mdp.grad_J(process, theta)
    z = mdp.scores(tau, theta).reshape(grad.size, *tau.mask.shape)
    G, R = losses.reward_to_go(tau.rewards, 1.0), losses.whole_return(tau.rewards, 1.0)
    return Listed(tau, mdp.probability(tau, theta), z, G, R, grad.ravel())


def total(x: Listed, weight: Array | float) -> Array:
    """Σ_t z_t w_t of every trajectory; (N, T) -> (D, N)."""
    return (x.z * weight).sum(-1)


def moments(g: Array, P: Array) -> tuple[Array, float]:
    """E g and E‖g‖²; (D, N), (N,) -> (D,), number. ValueError where N differs."""
    if g.shape[-1:] != P.shape:
        raise ValueError(f"g has shape {g.shape}, P {P.shape}; give one column for each trajectory")
    return g @ P, float((g**2).sum(0) @ P)


def variance(g: Array, P: Array) -> float:
    """tr Cov(g) = E‖g‖² − ‖E g‖²; (D, N), (N,) -> number."""
    mean, square = moments(g, P)
    return square - mean @ mean


def efficiency(g: Array, P: Array, grad: Array, B: int = 1) -> float:
    """η of the average over B episodes: (∇J · E g)² / (‖∇J‖² E‖g_B‖²), between 0 and 1.

    It is the gain that a step is sure of at its best rate, with the exact gradient's as the unit.
    ValueError for B below 1.
    """
    guards.count("B", B)
    mean, square = moments(g, P)
    signal = mean @ mean
    return float((mean @ grad) ** 2 / (grad @ grad) / (signal + (square - signal) / B))


def here(x: Listed) -> Array:
    """Whether the episode is at time t in state s; (N, T, S)."""
    return x.tau.mask[..., None] & (x.tau.obs[..., None] == np.arange(x.tau.obs.max() + 1))


def values(x: Listed, weight: Array) -> Array:
    """E[w_t | s_t = s] for every t and s, 0 where nobody comes; (N, T) -> (T, S)."""
    visits = np.einsum("n,nts->ts", x.P, here(x))
    sums = np.einsum("n,nts,nt->ts", x.P, here(x), weight)
    return np.divide(sums, visits, where=visits > 0, out=np.zeros_like(sums))


def learned_values(x: Listed, episodes: int, rng: np.random.Generator) -> Array:
    """The same for G_t, estimated from ``episodes`` that are drawn by ``rng``; (T, S)."""
    seen = rng.choice(len(x.P), size=episodes, p=x.P / x.P.sum())
    at = here(x)[seen]
    return np.einsum("nts,nt->ts", at, x.G[seen]) / np.maximum(at.sum(0), 1)


def along(x: Listed, table: Array) -> Array:
    """table[t, s_t] of every trajectory; (T, S) -> (N, T)."""
    return table[np.arange(len(table)), x.tau.obs]


def best_constant(g: Array, Z: Array, P: Array) -> float:
    """b* = E[g·Z] / E‖Z‖², for which g − b Z is calmest; Z = Σ_t z_t. Greensmith et al. 2004."""
    return float((g * Z).sum(0) @ P / ((Z**2).sum(0) @ P))
