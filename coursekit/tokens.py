"""The same reductions for a language model: an answer is an episode, a token is a step.

Functions work on NumPy arrays and on torch tensors. Axes: ``B`` answers, ``T`` tokens; logp, losses
and mask (…, B, T), rewards and advantages (…, B): one number an answer. Answers to one prompt stand
side by side, ``group`` of them. ``mask`` is True at the answer's tokens: one block, without holes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

from coursekit import guards, losses

Array = Any  # a NumPy array or a torch tensor
Advantage = Callable[[Array, int], Array]


# From token losses to one number: ``losses.REDUCTIONS``, and what only language models have.


def pool_mean(token_losses: Array, mask: Array, pool: int) -> Array:
    """The mean over the tokens of each ``pool`` answers in a row, averaged over the B/pool pools.

    (pool/B) Σ_k (1/N_k) Σ_{i in pool k} Σ_t ℓ_{i,t}; (…, B, T) -> (…). A pool of 1 is
    ``episode_mean``, of B ``step_mean``; between them lie the group and the micro-batch.
    ValueError: a pool that does not divide B, an empty answer, a mask with holes, other shapes.
    """
    _answers("losses", token_losses, mask)
    whole, real = (_split(x, pool, "pool", -2) for x in (token_losses, mask))
    return losses.step_mean(whole, real).mean(-1)


def leave_out_twice(token_losses: Array, mask: Array, pool: int) -> Array:
    """Each answer divided by the tokens of the *others* in its pool, N_k − n_i; (…, B, T) -> (…).

    (pool/B) Σ_k Σ_{i in pool k} (1/(N_k − n_i)) Σ_t ℓ_{i,t}. With a leave-one-out baseline, and a
    pool within the prompt's group, its expected gradient is parallel to that of the mean reward.
    ValueError as for ``pool_mean``, and for a pool of 1.
    """
    _answers("losses", token_losses, mask)
    several("pool", pool)
    whole, real = (_split(x, pool, "pool", -2) for x in (token_losses, mask))
    n = real.sum(-1)
    return (whole.sum(-1) / (n.sum(-1)[..., None] - n)).sum(-1).mean(-1)


def padded_width(token_losses: Array, mask: Array) -> Array:
    """``constant`` with the width T of the padded batch as divisor; (…, B, T) -> (…).

    A constant only where every batch is padded to one width. Where a batch is padded to the longest
    answer in it, T is random, and a long answer is divided by its own length: for a batch of one
    this is ``episode_mean``. ValueError as for ``pool_mean``.
    """
    _answers("losses", token_losses, mask)
    return losses.constant(token_losses, mask, divisor=mask.shape[-1])


def token_sum(token_losses: Array, mask: Array) -> Array:
    """Σ_i Σ_t ℓ_{i,t}, divided by nothing at all; (…, B, T) -> (…). ValueError: ``pool_mean``."""
    _answers("losses", token_losses, mask)
    return token_losses.sum(-1).sum(-1)


def for_answers(reduction: losses.Reduction) -> losses.Reduction:
    """A reduction of ``losses`` as it is, behind the refusals of this module (ValueError)."""

    def reduce(token_losses: Array, mask: Array, **settings: Any) -> Array:
        _answers("losses", token_losses, mask)
        return reduction(token_losses, mask, **settings)

    return reduce


REDUCTIONS: dict[str, losses.Reduction] = {
    **{name: for_answers(reduction) for name, reduction in losses.REDUCTIONS.items()},
    "pool_mean": partial(pool_mean, pool=4),
    "leave_out_twice": partial(leave_out_twice, pool=4),
    "padded_width": padded_width,
    "token_sum": token_sum,
}


def token_weights(reduction: losses.Reduction, mask: Array) -> Array:
    """What a token of each answer is multiplied by under a reduction; (…, B, T) -> (…, B).

    A loss of 1 at the first token of one answer, 0 elsewhere, reduced: B probes. ValueError as for
    the reduction.
    """
    _answers("mask", mask, mask)
    real = mask * 1.0
    first = real * (real.cumsum(-1) == 1)
    found = []
    for i in range(mask.shape[-2]):
        probe = first * 0.0
        probe[..., i, :] = first[..., i, :]
        found.append(reduction(probe, mask))
    return _library(mask).stack(found, -1)


# From one reward an answer to its advantage. Each takes (rewards, group), rewards (…, B). Without a
# mask nothing tells rewards per token, (B, T), from B batches of T answers: ``loss`` refuses them.


def no_baseline(rewards: Array, group: int) -> Array:
    """A_i = R_i; (…, B) -> (…, B). ValueError: a group that does not divide B, a reward of NaN."""
    _rewards(rewards, group)
    return rewards * 1.0


def own_mean(rewards: Array, group: int) -> Array:
    """A_i = R_i − the mean of its group, R_i included; (…, B) -> (…, B). ``no_baseline``'s errors.

    Shao et al. 2024 (GRPO), Liu et al. 2025 (Dr. GRPO, without the division below).
    """
    return _centred(_rewards(rewards, group)).reshape(rewards.shape)


def leave_one_out(rewards: Array, group: int) -> Array:
    """A_i = R_i − the mean of the *others* in its group; (…, B) -> (…, B).

    G/(G − 1) times ``own_mean``. ValueError for a group of one, and as for ``no_baseline``.
    Kool et al. 2019, Ahmadian et al. 2024 (RLOO).
    """
    several("group", group)
    return own_mean(rewards, group) * (group / (group - 1))


def group_std(rewards: Array, group: int, ddof: int = 0, eps: float = 0.0) -> Array:
    """``own_mean`` / (standard deviation of the group + eps); 0 where all rewards of it are equal.

    (…, B) -> (…, B); ``ddof`` 0 divides the squares by G, 1 by G − 1. ValueError for a group of
    one, for another ddof, for eps below 0, and as for ``no_baseline``.
    """
    several("group", group)
    _std_settings(ddof, eps)
    grouped = _rewards(rewards, group)
    standardised = _divided(_centred(grouped), grouped[..., None, :], ddof, eps)
    return standardised.reshape(rewards.shape)


def batch_mean(rewards: Array, group: int) -> Array:
    """A_i = R_i − the mean of all B; (…, B) -> (…, B). ValueError as for ``no_baseline``."""
    _rewards(rewards, group)
    return _centred(rewards * 1.0)


def batch_std(rewards: Array, group: int, ddof: int = 0, eps: float = 0.0) -> Array:
    """``batch_mean`` / (standard deviation of all B + eps), 0 where all are equal.

    (…, B) -> (…, B). ValueError for a batch of one, and as for ``group_std`` but for its group.
    """
    _rewards(rewards, group)
    several("the batch", rewards.shape[-1])
    _std_settings(ddof, eps)
    rewards = rewards * 1.0
    return _divided(_centred(rewards), rewards[..., None, :], ddof, eps)


def others_std(rewards: Array, group: int) -> Array:
    """(R_i − mean of the others) / standard deviation of the others (ddof 0), 0 where that is 0.

    (…, B) -> (…, B). ValueError for a group below 3, and as for ``no_baseline``.
    """
    grouped = _rewards(rewards, group)
    if group < 3:
        raise ValueError(f"group {group} leaves fewer than 2 others; their deviation needs 3")
    others = [[j for j in range(group) if j != i] for i in range(group)]
    rest = _library(grouped).stack([grouped[..., index] for index in others], -2)  # (…, G, G − 1)
    return _divided(grouped - rest.mean(-1), rest, 0, 0.0).reshape(rewards.shape)


ADVANTAGES: dict[str, Advantage] = {
    "none": no_baseline,
    "own_mean": own_mean,
    "leave_one_out": leave_one_out,
    "group_std": group_std,
    "group_std_ddof1": partial(group_std, ddof=1),
    "batch_mean": batch_mean,
    "batch_std": batch_std,
    "others_std": others_std,
}
RECIPES = {  # what each is while the policy that writes is the policy that learns
    "grpo": ("group_std", "episode_mean"),
    "dapo": ("group_std", "step_mean"),
    "dr_grpo": ("own_mean", "constant"),
    "rloo": ("leave_one_out", "sum"),
}


# One line before the reduction: the losses of the tokens.


def token_losses(logp: Array, advantage: Array, mask: Array) -> Array:
    """ℓ_{i,t} = −A_i log π(token t of answer i), 0 in padding; (…, B, T), (…, B) -> (…, B, T).

    ValueError: advantages that are not one an answer, and as for ``losses.step_losses``.
    """
    weight = _per_token("advantage", advantage, mask, logp=logp) + logp * 0.0
    return losses.step_losses(logp, weight, mask)


def loss(
    logp: Array, rewards: Array, mask: Array, group: int, advantage: str, reduction: str
) -> Array:
    """Reduced −A log π, by the names of an advantage and a reduction; (…, B, T), (…, B) -> (…).

    ``loss(logp, rewards, mask, 8, *RECIPES["grpo"])``. ValueError for an unknown name, for rewards
    per token where one an answer is expected, for a group that does not divide B, for an empty
    answer, for a mask with holes.
    """
    guards.one_of("advantage", advantage, sorted(ADVANTAGES))
    guards.one_of("reduction", reduction, sorted(REDUCTIONS))
    _per_token("rewards", rewards, mask, logp=logp)
    parts = token_losses(logp, ADVANTAGES[advantage](rewards, group), mask)
    return REDUCTIONS[reduction](parts, mask)


# When another policy wrote the answers: ratios, and what bounds them.


def token_ratio(logp: Array, old_logp: Array, mask: Array) -> Array:
    """ρ_{i,t} = π(token) / π_old(token), 1 in padding; (…, B, T) -> (…, B, T). Errors: below."""
    log_ratio = _log_ratio(logp, old_logp, mask)
    return _library(log_ratio).exp(log_ratio)


def answer_ratio(logp: Array, old_logp: Array, mask: Array) -> Array:
    """The product of an answer's token ratios, at each of its places; (…, B, T) -> (…, B, T)."""
    total = _log_ratio(logp, old_logp, mask).sum(-1)[..., None] + logp * 0.0
    return _library(logp).exp(total)


def sequence_ratio(logp: Array, old_logp: Array, mask: Array) -> Array:
    """The geometric mean of an answer's token ratios, at each place; (…, B, T) -> (…, B, T).

    exp((1/n_i) Σ_t log ρ_{i,t}). Zheng et al. 2025 (GSPO).
    """
    mean = _log_ratio(logp, old_logp, mask).sum(-1) / mask.sum(-1)
    return _library(logp).exp(mean[..., None] + logp * 0.0)


RATIOS = {"token": token_ratio, "answer": answer_ratio, "sequence": sequence_ratio}


def unclipped(ratio: Array, advantage: Array, mask: Array) -> Array:
    """ℓ = −ρ A, 0 in padding; (…, B, T), (…, B) -> (…, B, T).

    ValueError: a ratio that is no array (…, B, T), and as for ``token_losses``.
    """
    return -_per_token("advantage", advantage, mask, ratio=ratio) * ratio * mask


def clipped(
    ratio: Array, advantage: Array, mask: Array, low: float = 0.2, high: float = 0.2
) -> Array:
    """ℓ = −min(ρ A, clip(ρ, 1 − low, 1 + high) A), 0 in padding; shapes of ``unclipped``.

    Schulman et al. 2017. ValueError: low not in [0, 1], high below 0, and as for ``unclipped``.
    """
    A = _per_token("advantage", advantage, mask, ratio=ratio)
    return -_library(ratio).minimum(ratio * A, _bounded(ratio, low, high) * A) * mask


def dual_clipped(
    ratio: Array,
    advantage: Array,
    mask: Array,
    low: float = 0.2,
    high: float = 0.2,
    most: float = 3.0,
) -> Array:
    """As ``clipped``; where A < 0 the loss is −A ``most`` at the highest. Ye et al. 2020.

    ValueError: ``most`` not above 1, and as for ``clipped``.
    """
    guards.number("most", most)
    if not 1 < most < float("inf"):
        raise ValueError(f"most {most} must be above 1; 3.0 is the usual one")
    once, A, xp = clipped(ratio, advantage, mask, low, high), advantage[..., None], _library(ratio)
    return xp.where((A < 0) & (mask == 1), xp.minimum(once, -A * most + once * 0.0), once)


def detached(
    ratio: Array,
    advantage: Array,
    mask: Array,
    logp: Array,
    low: float = 0.2,
    high: float = 0.2,
) -> Array:
    """ℓ = −sg(clip(ρ)) A log π: the bounded ratio is a weight and has no gradient (CISPO).

    Shapes and ValueError as for ``clipped``. In NumPy nothing has a gradient. MiniMax 2025.
    """
    A = _per_token("advantage", advantage, mask, ratio=ratio, logp=logp)
    weight = _bounded(ratio, low, high) * A
    weight = weight.detach() if hasattr(weight, "detach") else weight
    return losses.step_losses(logp, weight, mask)


# How far from a reference: each takes δ = log π − log π_ref, of tokens or of whole answers, in an
# array of any shape. ValueError for what is no array.


def k1(delta: Array) -> Array:
    """δ: unbiased for KL(π‖ref) on answers of π, and its own gradient has expectation 0.

    ValueError where δ is no array; so in k2 and k3.
    """
    guards.arrays(delta=delta)
    return delta * 1.0


def k2(delta: Array) -> Array:
    """δ²/2: biased as a number; on whole answers its gradient has expectation ∇KL(π‖ref).

    ValueError where δ is no array.
    """
    guards.arrays(delta=delta)
    return delta * delta / 2


def k3(delta: Array) -> Array:
    """exp(−δ) − 1 + δ: unbiased and never below 0; as a loss it climbs down another KL.

    Schulman 2020, "Approximating KL divergence". ValueError where δ is no array.
    """
    guards.arrays(delta=delta)
    return _library(delta).exp(-delta) - 1 + delta


KL = {"k1": k1, "k2": k2, "k3": k3}


# What is refused.


def several(name: str, value: Any) -> None:
    """A whole number, 2 or more: one alone has no others and no deviation (ValueError)."""
    guards.count(name, value)
    if value < 2:
        raise ValueError(f"{name} {value} is too small: one answer alone has nothing to compare to")


def _answers(name: str, values: Array, mask: Array) -> None:
    guards.batch(name, values, mask)
    starts = (mask[..., 1:] * 1 > mask[..., :-1] * 1).sum(-1) + (mask[..., 0] == 1)
    if bool((starts > 1).any()):
        raise ValueError(
            f"the mask has a hole, a False between two True: {mask}; an answer is one block of "
            "tokens, so cut out what the policy did not write"
        )


def _split(x: Array, size: int, name: str, axis: int) -> Array:
    """(…, B, …) -> (…, B/size, size, …)."""
    guards.count(name, size)
    shape, place = tuple(x.shape), len(x.shape) + axis
    if shape[place] % size:
        raise ValueError(
            f"{name} {size} does not divide the batch of {shape[place]} answers (shape {shape}); "
            f"give full {name}s"
        )
    return x.reshape(*shape[:place], shape[place] // size, size, *shape[place + 1 :])


def _rewards(rewards: Array, group: int) -> Array:
    """(…, B) -> (…, B/G, G)."""
    guards.arrays(rewards=rewards)
    if not rewards.shape or not rewards.shape[-1]:
        raise ValueError(f"rewards {rewards!r} must have shape (…, B), one number an answer")
    if not bool((abs(rewards) < float("inf")).all()):
        raise ValueError(f"rewards hold a NaN or an infinity: {rewards}")
    return _split(rewards * 1.0, group, "group", -1)


def _per_token(name: str, values: Array, mask: Array, **at_tokens: Array) -> Array:
    """(…, B) -> (…, B, 1), where the mask, and what is given ``at_tokens``, say (…, B, T)."""
    guards.arrays(**{name: values}, **at_tokens, mask=mask)
    for other, found in {"mask": mask, **at_tokens}.items():
        _answers(other, found, mask)
    if tuple(values.shape) != tuple(mask.shape[:-1]):
        raise ValueError(
            f"{name} has shape {tuple(values.shape)}, the mask {tuple(mask.shape)}; give one "
            f"number an answer, shape {tuple(mask.shape[:-1])}, not one a token"
        )
    return values[..., None]


def _log_ratio(logp: Array, old_logp: Array, mask: Array) -> Array:
    guards.arrays(logp=logp, old_logp=old_logp, mask=mask)
    _answers("logp", logp, mask)
    _answers("old_logp", old_logp, mask)
    return _library(logp).where(mask == 1, logp - old_logp, logp * 0.0)


def _bounded(ratio: Array, low: float, high: float) -> Array:
    guards.fraction("low", low)
    guards.number("high", high)
    if not high >= 0:
        raise ValueError(f"high {high} must be 0 or above; 0.2 is the usual one")
    return _library(ratio).clip(ratio, 1 - low, 1 + high)


def _centred(x: Array) -> Array:
    return x - x.mean(-1)[..., None]


def _divided(top: Array, x: Array, ddof: int, eps: float) -> Array:
    """top / (std of x over its last axis + eps); 0 where those x are equal, not rounding / 0."""
    variance = (_centred(x) ** 2).sum(-1) / (x.shape[-1] - ddof)
    equal = (x == x[..., :1]).all(-1)
    return _library(x).where(equal, top * 0.0, top / (variance**0.5 + eps + equal * 1.0))


def _std_settings(ddof: int, eps: float) -> None:
    if ddof not in (0, 1):
        raise ValueError(f"ddof {ddof!r} must be 0 (divide by G) or 1 (divide by G − 1)")
    guards.number("eps", eps)
    if not 0 <= eps < float("inf"):
        raise ValueError(f"eps {eps} must be 0 or above and finite")


def _library(x: Array) -> Any:
    """The module that an array belongs to: numpy or torch, which share the names used here."""
    return importlib.import_module(type(x).__module__.split(".")[0])
