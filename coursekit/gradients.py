"""Gradients as flat vectors: of a loss, of every step, of every episode, and exactly expected.

``D`` is the number of parameters, flattened in the order of the dict. Axes ``B T D``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from coursekit import guards, mdp
from coursekit.policies import Params, TablePolicy


def flat(tensors: Params | list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    """All entries in one vector, in order; -> (D,)."""
    values = tensors.values() if isinstance(tensors, dict) else tensors
    return torch.cat([value.reshape(-1) for value in values])


def gradient(loss: Tensor, params: Params) -> Tensor:
    """∂loss/∂θ as one vector, leaving .grad alone; () -> (D,).

    ValueError for a loss that is no scalar or depends on no parameter.
    """
    if not getattr(loss, "requires_grad", False):
        raise ValueError(f"the loss {loss!r} depends on no parameter; make it from policy.logp")
    if loss.ndim:
        raise ValueError(f"the loss has shape {tuple(loss.shape)}; reduce it to a scalar first")
    return flat(torch.autograd.grad(loss, list(params.values()), retain_graph=True))


def per_step(losses: Tensor, params: Params) -> Tensor:
    """∂ℓ_{i,t}/∂θ for every step; (B, T) -> (B, T, D). One backward pass for each entry."""
    _two_axes(losses)
    rows = [gradient(loss, params) for loss in losses.reshape(-1)]
    return torch.stack(rows).reshape(*losses.shape, -1)


def per_episode(losses: Tensor, params: Params) -> Tensor:
    """∂(Σ_t ℓ_{i,t})/∂θ for every episode; (B, T) -> (B, D)."""
    _two_axes(losses)
    return torch.stack([gradient(loss, params) for loss in losses.sum(-1)])


def _two_axes(losses: Tensor) -> None:
    if len(getattr(losses, "shape", ())) != 2 or 0 in losses.shape:
        raise ValueError(f"losses {losses!r} must be a tensor (B, T), neither of them 0")


def cosine(a: Tensor, b: Tensor) -> float:
    """a·b / (‖a‖ ‖b‖), in [−1, 1]; (D,), (D,) -> number; NaN where one of them is zero."""
    a, b = _pair(a, b)
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.clip(a @ b / norms, -1, 1)) if norms else float("nan")


def norm_ratio(a: Tensor, b: Tensor) -> float:
    """‖a‖ / ‖b‖; (D,), (D,) -> number; NaN where b is zero."""
    a, b = map(np.linalg.norm, _pair(a, b))
    return float(a / b) if b else float("nan")


def _pair(a: Tensor, b: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Both flattened, in float64; ValueError where one has more entries than the other."""
    a, b = guards.reals("a", a).ravel(), guards.reals("b", b).ravel()
    if a.size != b.size:
        raise ValueError(
            f"the gradients have {a.size} and {b.size} entries; compare like with like"
        )
    return a, b


def expected_gradient(
    loss: Callable[..., Tensor],
    process: mdp.FiniteMDP,
    theta: np.ndarray,
    gamma: float,
    episodes: int = 1,
) -> np.ndarray:
    """E[∇ loss(logp, rewards, mask, γ)] exactly, by listing all batches of trajectories; (S, A).

    Σ_τ P(τ) ∇ loss(τ) is the gradient of Σ_τ P(τ) loss(τ) with P(τ) held fixed, so one backward
    pass does it. ``loss`` takes arrays (N, B, T) and returns (N,), as ``losses.reinforce`` does.
    ValueError where it returns another shape, or what has no gradient.
    """
    batch = mdp.batches(mdp.enumerate_trajectories(process), episodes)
    table = torch.tensor(process.table(theta), requires_grad=True)
    policy = TablePolicy(states=process.states, actions=process.actions)
    mask = torch.from_numpy(batch.mask)
    logp = policy.logp({"theta": table}, batch.obs, batch.actions) * mask
    values = loss(logp, torch.from_numpy(batch.rewards), mask, gamma)
    if (shape := tuple(getattr(values, "shape", ()))) != mask.shape[:1]:
        raise ValueError(
            f"the loss returned shape {shape} for {mask.shape[0]} batches of shape "
            f"{tuple(mask.shape[1:])}; it must reduce the last two axes only"
        )
    if not getattr(values, "requires_grad", False):
        raise ValueError(f"the loss returned {values}, which has no gradient; make it from logp")
    weight = torch.from_numpy(mdp.probability(batch, theta))
    return torch.autograd.grad((weight * values).sum(), table)[0].numpy()
