"""What the detective knows by name: normalisations, weights, discounts, and their products.

A loss is known by the weight it puts on every step, w_{i,t} = −∂loss/∂log π(a_{i,t}|s_{i,t}). Every
loss of the course is a product, w = c · normalisation · weight · (π, where the log is missing).
All arrays are NumPy, (…, B, T), float64; ``mask`` is True where a step is real.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from coursekit import bugs, losses
from coursekit.detective.cases import Casebook
from coursekit.detective.matching import TOLERANCE, Block, Match

Array = np.ndarray


def _lengths(mask: Array) -> Array:
    return mask.sum(-1)[..., None]


# Names -> the factor in front of every step. "total" is not averaged over the episodes.
NORMALISATIONS: dict[tuple[str, ...], Callable[[Array], Array]] = {
    ("sum",): lambda mask: mask / mask.shape[-2],
    ("total",): lambda mask: mask * 1.0,
    ("episode_mean",): lambda mask: mask / _lengths(mask) / mask.shape[-2],
    ("episode_mean", "total"): lambda mask: mask / _lengths(mask),
    ("step_mean",): lambda mask: mask / mask.sum((-2, -1))[..., None, None],
    ("mask_forgotten",): lambda mask: mask / (mask.shape[-2] * mask.shape[-1]),
    ("mask_forgotten", "total"): lambda mask: mask / mask.shape[-1],
}


def _of_bug(name: str) -> Callable[..., Array]:
    """The weight of an entry of ``bugs.BUGS`` that sums over steps, read off by autograd."""

    def weight(rewards: Array, mask: Array, gamma: float) -> Array:
        logp = torch.zeros(rewards.shape, dtype=torch.float64, requires_grad=True)
        value = bugs.BUGS[name](logp, torch.tensor(rewards), torch.tensor(mask), gamma).sum()
        return -torch.autograd.grad(value, logp)[0].numpy() * rewards.shape[-2]

    return weight


def _centred(values: Array, over: Array, axes: tuple[int, ...], divide: int | None = None) -> Array:
    """values − mean; ÷ standard deviation with ``divide`` degrees of freedom taken off, if any."""
    count = over.sum(axes, keepdims=True)
    centred = values - (values * over).sum(axes, keepdims=True) / count
    if divide is None:
        return centred
    squares = (centred**2 * over).sum(axes, keepdims=True)
    return centred / (np.sqrt(squares / np.maximum(count - divide, 1)) + 1e-8)


def _group(divide: int | None = None) -> Callable[..., Array]:
    """G_0 less the mean of the batch (GRPO's advantage), ÷ its standard deviation if asked for."""

    def weight(rewards: Array, mask: Array, gamma: float) -> Array:
        R = losses.whole_return(rewards, gamma)
        return _centred(R, np.ones_like(R), (-2,), divide)

    return weight


def _batch(divide: int | None = None, padded: bool = False) -> Callable[..., Array]:
    def weight(rewards: Array, mask: Array, gamma: float) -> Array:
        over = np.ones_like(mask) if padded else mask
        return _centred(losses.reward_to_go(rewards, gamma), over, (-2, -1), divide)

    return weight


def _episode_std_1(rewards: Array, mask: Array, gamma: float) -> Array:
    return _centred(losses.reward_to_go(rewards, gamma), mask, (-1,), 1)


def _leave_one_out(own: Callable, other: Callable, alone: int = 1) -> Callable[..., Array]:
    """A return less the mean of the other episodes'; ``alone``: what is left of it at B = 1."""

    def weight(rewards: Array, mask: Array, gamma: float) -> Array:
        R, B = other(rewards, gamma), mask.shape[-2]
        baseline = (R.sum(-2, keepdims=True) - R) / max(B - 1, 1)
        return (own(rewards, gamma) - baseline) * (alone if B == 1 else 1)

    return weight


def _batch_return(mean: bool) -> Callable[..., Array]:
    """One number for every step of the batch: all returns added up, or their mean."""

    def weight(rewards: Array, mask: Array, gamma: float) -> Array:
        total = losses.reward_to_go(rewards, gamma).sum((-2, -1), keepdims=True)
        count = mask.sum((-2, -1), keepdims=True) if mean else 1
        return total / count + rewards * 0.0

    return weight


def _sum_of_returns(rewards: Array, mask: Array, gamma: float) -> Array:
    return losses.reward_to_go(rewards, gamma).sum(-1)[..., None] + rewards * 0.0


BY_BUG = (
    "past_rewards",
    "next_return",
    "immediate_reward",
    "returns_from_start",
    "centred_per_episode",
)
# Name -> weights it may stand for (two where a deviation may divide by n or by n − 1, and so on).
WEIGHTS: dict[str, tuple[Callable[..., Array], ...]] = {
    "reward_to_go": (losses.reward_to_go,),
    "whole_return": (losses.whole_return,),
    **{name: (_of_bug(name),) for name in BY_BUG},
    "standardised_per_episode": (_of_bug("standardised_per_episode"), _episode_std_1),
    "centred_over_batch": (_batch(),),
    "standardised_over_batch": (_batch(0), _batch(1)),
    "standardised_with_padding": (_batch(0, padded=True), _batch(1, padded=True)),
    "group_centred": (_group(),),
    "group_standardised": (_group(0), _group(1)),
    "leave_one_out": tuple(_leave_one_out(*[losses.whole_return] * 2, k) for k in (0, 1)),
    "leave_one_out_to_go": tuple(
        _leave_one_out(losses.reward_to_go, R) for R in (losses.whole_return, losses.reward_to_go)
    ),
    "sum_of_returns": (_sum_of_returns,),
    "batch_return": (_batch_return(False), _batch_return(True)),
    "reward_missing": (lambda rewards, mask, gamma: mask * 1.0,),
}
# Name -> (rewards, γ, weight) to weight; the first is what was asked for.
DISCOUNTS: dict[str, Callable[..., Array]] = {
    "": lambda weight, rewards, mask, gamma: weight(rewards, mask, gamma),
    "gamma_missing": lambda weight, rewards, mask, gamma: weight(rewards, mask, 1.0),
    "gamma_twice": lambda weight, rewards, mask, gamma: weight(rewards, mask, gamma**2),
    "gamma_to_the_t": lambda weight, rewards, mask, gamma: (
        weight(rewards, mask, gamma) * gamma ** np.arange(rewards.shape[-1])
    ),
}
ALIASES = {("episode_mean", "sum_of_returns"): "mean_logp_times_sum_return"}
# (weight, discount) whose expectation, summed over steps, has the direction of ∇J.
UNBIASED = {
    ("reward_to_go", ""),
    ("reward_to_go", "gamma_to_the_t"),
    ("whole_return", ""),
    ("group_centred", ""),
    ("leave_one_out", ""),
    ("leave_one_out_to_go", ""),
}


def weight_rows(rewards: Array, mask: Array, gamma: float) -> dict[tuple[str, str, int], Array]:
    """Every weight under every discount: (weight, discount, variant) -> (…, B, T)."""
    rows = {}
    for name, variants in WEIGHTS.items():
        for k, weight in enumerate(variants):

            def masked(rewards, mask, gamma, weight=weight):
                plain = weight in (losses.reward_to_go, losses.whole_return)
                return (weight(rewards, gamma) if plain else weight(rewards, mask, gamma)) * mask

            for discount, change in DISCOUNTS.items():
                rows[name, discount, k] = change(masked, rewards, mask, gamma)
    return rows


class Key(NamedTuple):
    """A candidate: its normalisation, whether the log is there, its weight, its discount."""

    normalisation: tuple[str, ...]
    log: bool
    weight: str
    discount: str


@cache
def known_weights(book: Casebook) -> tuple[list[tuple[str, str]], Array]:
    """Names (K) and weights (K, M) on all real steps of all cases; no two of them are the same."""
    alike: dict[tuple, list[int]] = {}  # cases of one shape and one γ are stacked: (N, B, T)
    for i, case in enumerate(book.cases):
        alike.setdefault((case.mask.shape, case.gamma), []).append(i)
    columns: dict[int, Array] = {}
    for (_, gamma), members in alike.items():
        rewards, mask = (
            np.stack([getattr(book.cases[i], f) for i in members]) for f in ("rewards", "mask")
        )
        rows = weight_rows(rewards, mask, gamma)
        table = np.array(list(rows.values()))
        columns |= {i: table[:, k][:, mask[k]] for k, i in enumerate(members)}
    W, names = np.concatenate([columns[i] for i in range(len(book.cases))], axis=1), [*rows]
    _, first = np.unique(W.round(9), axis=0, return_index=True)  # γ is nothing to some of them
    return [names[i][:2] for i in np.sort(first)], W[np.sort(first)]


@cache
def blocks(book: Casebook) -> list[Block]:
    """All candidates on all real steps: each weight by each factor in front, with the log or π."""
    names, W = known_weights(book)
    p = np.exp(book.steps(lambda case: case.logp))
    wide = np.array([3e-3 if "standardised" in name else TOLERANCE for name, _ in names])
    found = []
    for norm, factor in NORMALISATIONS.items():
        one = book.steps(lambda case, factor=factor: factor(case.mask))
        for log in (True, False):
            keys = [Key(norm, log, *name) for name in names]
            found.append(Block(keys, W, one if log else one * p, wide))
    return found


def on_steps(every: list[Block], keep: Array) -> list[Block]:
    """The candidates on the chosen steps alone, (M,) of True and False."""
    rows = every[0].rows[:, keep]  # all blocks share them
    return [block._replace(rows=rows, one=block.one[keep]) for block in every]


def sum_weights(book: Casebook) -> Array:
    """What the sum puts on each real step, (M,)."""
    first = blocks(book)[0]
    return first.rows[0] * first.one


def describe(match: Match) -> tuple[tuple[str, ...], bool]:
    """The names of a candidate with its factor, normalisation first; is it a policy gradient?"""
    norm, log, weight, discount = match.key
    summed, unit = norm in (("sum",), ("total",)), abs(abs(match.factor) - 1) < 1e-4
    ok = summed and log and match.factor > 0 and (weight, discount) in UNBIASED
    alias = ALIASES.get((norm[0], weight))
    norm = norm[1:] if alias else ("constant",) if summed and not unit else norm
    parts = [alias or weight, discount, "constant_baseline" if match.baseline else ""]
    parts += ["" if log else "no_log", "wrong_sign" if match.factor < 0 else ""]
    changes = tuple(part for part in parts if part and part != "reward_to_go")
    # the sum is not worth a word beside what is wrong with it
    return (() if norm == ("sum",) and changes and not ok else norm) + changes, ok
