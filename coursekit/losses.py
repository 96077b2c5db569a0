"""From rewards to one number to differentiate: returns, step losses, reductions, the loop.

Functions work on NumPy arrays and on torch tensors, and on the last two axes, ``B`` episodes and
``T`` time: (…, B, T); ``loop`` and ``backward`` on torch and (B, T) alone. ``mask`` is True where a
step is real; padding is zero and stays zero. "``-> (…)``" has lost the last two axes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from coursekit import guards

Array = Any  # a NumPy array or a torch tensor
Reduction = Callable[[Array, Array], Array]


def reward_to_go(rewards: Array, gamma: float) -> Array:
    """G_t = Σ_{k≥t} γ^{k−t} r_k, by G_t = r_t + γ G_{t+1}; (…, T) -> (…, T).

    Padding at the end must hold zero rewards; its returns are then zero as well.
    Raises ValueError for γ outside [0, 1] and for a reward that is NaN or infinite.
    Sutton & Barto 2018, section 3.3 (whose R_{t+1} is our r_t).
    """
    guards.fraction("gamma", gamma)
    if not getattr(rewards, "shape", ()) or not rewards.shape[-1]:
        raise ValueError(f"rewards must be an array or a tensor (…, T), T above 0, not {rewards!r}")
    if not bool((abs(rewards) < float("inf")).all()):  # NaN compares false
        raise ValueError(f"rewards hold a NaN or an infinity: {rewards}")
    returns, G = rewards * 0.0, 0.0
    for t in reversed(range(rewards.shape[-1])):
        returns[..., t] = G = rewards[..., t] + gamma * G
    return returns


def whole_return(rewards: Array, gamma: float) -> Array:
    """R = G_0, repeated at every time step, padding included; (…, T) -> (…, T)."""
    return reward_to_go(rewards, gamma)[..., :1] + rewards * 0.0


WEIGHTS = {"reward_to_go": reward_to_go, "whole_return": whole_return}


def step_losses(logp: Array, weight: Array, mask: Array) -> Array:
    """ℓ_t = −log π(a_t|s_t) w_t at real steps, 0 elsewhere; (…, B, T). One line before reducing.

    logp and weight must be finite, in the padding too. Raises ValueError where shapes disagree.
    """
    guards.arrays(logp=logp, weight=weight, mask=mask)
    shapes = tuple(logp.shape[-2:]), tuple(weight.shape[-2:]), tuple(mask.shape[-2:])
    if len(set(shapes)) > 1:
        raise ValueError(f"logp, weight and mask disagree in their last two axes (B, T): {shapes}")
    return -(logp * weight) * mask


def sum_(losses: Array, mask: Array) -> Array:
    """(1/B) Σ_i Σ_t ℓ_{i,t}: sum over steps, average over episodes; (…, B, T) -> (…).

    This and the other reductions raise ValueError where losses and mask disagree in (B, T), where
    the mask is anything but True and False, and for an episode without a real step.
    """
    guards.batch("losses", losses, mask)
    return losses.sum(-1).mean(-1)


def episode_mean(losses: Array, mask: Array) -> Array:
    """(1/B) Σ_i (1/n_i) Σ_t ℓ_{i,t}: each episode divided by its own length; (…, B, T) -> (…).

    ValueError as in ``sum_``.
    """
    guards.batch("losses", losses, mask)
    return (losses.sum(-1) / mask.sum(-1)).mean(-1)


def step_mean(losses: Array, mask: Array) -> Array:
    """(1/N) Σ_i Σ_t ℓ_{i,t} with N = Σ_i n_i, itself random; (…, B, T) -> (…).

    ValueError as in ``sum_``.
    """
    guards.batch("losses", losses, mask)
    return losses.sum(-1).sum(-1) / mask.sum(-1).sum(-1)


def constant(losses: Array, mask: Array, divisor: float) -> Array:
    """(1/(B C)) Σ_i Σ_t ℓ_{i,t} with a fixed C; (…, B, T) -> (…).

    ValueError as in ``sum_``, and for a divisor that is not above 0.
    """
    guards.above_zero("divisor", divisor)
    return sum_(losses, mask) / divisor


def typical(losses: Array, mask: Array, length: float) -> Array:
    """(1/(B n̄)) Σ_i Σ_t ℓ_{i,t}, n̄ the mean length of *earlier* episodes; (…, B, T) -> (…).

    n̄ is handed in: ``baselines.TypicalLength`` keeps it. It is known before the batch is played, so
    that the expected direction is the sum's: the constant of the policy gradient theorem (Sutton &
    Barto 2018, section 13.2). An infinite length, nothing known as yet, gives 0.
    ValueError as in ``sum_``, and for a length that is not above 0.
    """
    guards.positive("length", length)
    return sum_(losses, mask) / length


def tilt(losses: Array, mask: Array, length: float) -> Array:
    """(1/B) Σ_i (n̄/n_i) Σ_t ℓ_{i,t}: an episode longer than usual counts less; (…, B, T) -> (…).

    1/n_i = 1/n̄ · n̄/n_i: the first factor is ``typical``, and all of the mean's bias is in this one.
    ``length`` is n̄, as in ``typical``; so are the ValueErrors.
    """
    guards.positive("length", length)
    return episode_mean(losses, mask) * (length if length < float("inf") else 0.0)


# Those that are functions of a number have one here that fits CartPole's beginner.
REDUCTIONS: dict[str, Reduction] = {
    "sum": sum_,
    "episode_mean": episode_mean,
    "step_mean": step_mean,
    "constant": partial(constant, divisor=100.0),
    "typical": partial(typical, length=20.0),
    "tilt": partial(tilt, length=20.0),
}


def loop(losses: Array, mask: Array) -> Array:
    """Call backward on ℓ_{i,t}/B for every real step, episode by episode; gradients add in .grad.

    (B, T) -> (). ValueError as in ``sum_``, and for losses without a gradient.

    Not a reduction: there is no scalar to hand on. The losses share one graph, which is kept until
    the end, so this loop saves no memory; one that runs the policy afresh on each step does.
    Returns the detached sum, to be logged.
    """
    _differentiable(losses)
    guards.batch("losses", losses, mask)
    for i, t in mask.nonzero().tolist():
        (losses[i, t] / losses.shape[-2]).backward(retain_graph=True)
    return sum_(losses.detach(), mask)


def backward(
    losses: Array, mask: Array, reduction: str, *, divisor: float = 100.0, length: float = 20.0
) -> Array:
    """Put the gradient of the reduced losses into .grad, by any way the course knows; (B, T) -> ().

    ``reduction`` is a key of ``REDUCTIONS`` or "loop". ``divisor`` reaches "constant" alone,
    ``length`` "typical" and "tilt". Raises ValueError for another reduction.
    """
    if reduction == "loop":
        return loop(losses, mask)
    _differentiable(losses)
    reduce = REDUCTIONS[known(reduction)]
    own = getattr(reduce, "keywords", ())  # a number of another name keeps its value
    numbers = {"divisor": divisor, "length": length}
    scalar = reduce(losses, mask, **{x: numbers[x] for x in numbers if x in own})
    scalar.backward()
    return scalar.detach()


def known(reduction: str) -> str:
    """The name itself where it is a reduction or "loop"; if not, ValueError listing those."""
    guards.one_of("reduction", reduction, sorted([*REDUCTIONS, "loop"]))
    return reduction


def reinforce(
    logp: Array, rewards: Array, mask: Array, gamma: float, reduction: str = "sum"
) -> Array:
    """Reduced −log π(a_t|s_t) G_t; (…, B, T) -> (…). After Williams 1992.

    With "sum" its expected gradient is −∇J at γ = 1; for γ < 1 the factor γ^t is dropped, as usual.
    Rewards must be 0 in the padding. ValueError for an unknown reduction, and for "loop", which has
    no scalar; else as in ``reward_to_go``, ``step_losses`` and ``sum_``.
    """
    if reduction == "loop":
        raise ValueError("reduction 'loop' has no scalar to return; call losses.backward with it")
    losses = step_losses(logp, reward_to_go(rewards, gamma), mask)
    return REDUCTIONS[known(reduction)](losses, mask)


def _differentiable(losses: Array) -> None:
    if not getattr(losses, "requires_grad", False) or losses.ndim != 2:
        raise ValueError(
            f"losses {losses!r} must be a tensor (B, T) with a gradient; make it from policy.logp"
        )
