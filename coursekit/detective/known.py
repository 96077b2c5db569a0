"""What the detective knows by name: normalisations, weights, discounts, and their products.

A loss is known by the weight it puts on every step, w_{i,t} = −∂loss/∂log π(a_{i,t}|s_{i,t}). Every
loss of the course is a product, w = c · normalisation · weight · (π, where the log is missing).
All arrays are NumPy, (…, B, T), float64; ``mask`` is True where a step is real.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from functools import cache, cached_property, partial
from typing import NamedTuple

import numpy as np

from coursekit import bugs, losses
from coursekit.detective.cases import Casebook
from coursekit.detective.matching import Block, Match

Array = np.ndarray
Factor = Callable[[Array], Array]


class Stack:
    """Batches of one shape at one γ, (…, B, T), and what is often asked of them."""

    def __init__(self, rewards: Array, mask: Array, gamma: float) -> None:
        self.rewards, self.mask, self.gamma = rewards, mask, gamma

    @cached_property
    def G(self) -> Array:
        """Rewards-to-go, 0 in the padding."""
        return losses.reward_to_go(self.rewards, self.gamma) * self.mask

    @cached_property
    def R(self) -> Array:
        """The return of the whole episode at every real step."""
        return self.G[..., :1] * self.mask


# --- The factor in front of every step.


def _size(mask: Array) -> int:
    return mask.shape[-2]


def _lengths(mask: Array) -> Array:
    return mask.sum(-1, keepdims=True)


def _steps(mask: Array) -> Array:
    return mask.sum((-2, -1), keepdims=True)


def _in_groups(mask: Array, size: Callable[[int], int], mean: bool) -> Array:
    """Each group of ``size(B)`` episodes has its mean over steps; their mean, or their sum."""
    first = np.arange(0, _size(mask), size(_size(mask)))
    steps = np.add.reduceat(mask.sum(-1), first, axis=-1)
    of_each = np.repeat(steps, np.diff([*first, _size(mask)]), axis=-1)
    return mask / of_each[..., None] / (len(first) if mean else 1)


def _shifted(mask: Array, norm: tuple[str, ...], drop: int, roll: bool, counted: int) -> Array:
    """A normalisation under a mask that is shifted by one; drop 0: an episode's first step is lost.

    ``roll``: what leaves on one side comes in on the other. ``counted``: what the divisor counts,
    the mask, the shifted one, or the steps in both.
    """
    moved = np.roll(mask, 1 if drop == 0 else -1, axis=-1)
    if not roll:
        moved[..., drop] = False
    with np.errstate(invalid="ignore"):  # 0/0, where no step is left
        factor = NORMALISATIONS[norm][0]((mask, moved, mask & moved)[counted])
    return np.nan_to_num(factor) * (mask & moved)


def _of_batch(of_lengths: Callable[..., Array], mean: bool) -> Factor:
    """One over a number that the lengths of a batch have in common; ``mean``: and over B."""
    return lambda mask: (
        mask / of_lengths(_lengths(mask), -2, keepdims=True) / (_size(mask) if mean else 1)
    )


def _of_length(of_length: Callable[[Array], Array]) -> tuple[Factor, Factor]:
    """One over a function of the episode's own length; over B and not."""
    return (
        lambda mask: mask / of_length(_lengths(mask)) / _size(mask),
        lambda mask: mask / of_length(_lengths(mask)),
    )


def _lower_median(n: Array, axis: int, keepdims: bool) -> Array:
    """torch.median: of an even count the lower one of the two in the middle."""
    return np.take(np.sort(n, axis), [(n.shape[axis] - 1) // 2], axis)


def _without_last(mask: Array, alone: int, rest: bool) -> Array:
    """The mean without the last, over all or the ``rest``; ``alone``: where B = 1 it counts."""
    B = _size(mask)
    return mask * (np.arange(B)[:, None] < max(B - 1, alone)) / (max(B - 1, 1) if rest else B)


Norms = dict[tuple[str, ...], tuple[Factor, ...]]
# Names -> the factor in front of every step. "total" is not averaged over the episodes.
NORMALISATIONS: Norms = {
    ("sum",): (lambda mask: mask / _size(mask),),
    ("total",): (lambda mask: mask * 1.0,),
    ("episode_mean",): (lambda mask: mask / _lengths(mask) / _size(mask),),
    ("episode_mean", "total"): (lambda mask: mask / _lengths(mask),),
    ("step_mean",): (lambda mask: mask / _steps(mask),),
    ("mask_forgotten",): (lambda mask: mask / (_size(mask) * mask.shape[-1]),),
    ("mask_forgotten", "total"): (lambda mask: mask / mask.shape[-1],),
}
GROUPS: list[Callable[[int], int]] = [
    *[lambda B, size=size: size for size in (2, 3, 4, 8, 16)],
    *[lambda B, count=count: -(-B // count) for count in (2, 3, 4, 8)],
]
# Looked for where none of those fits.
RARE: Norms = {
    ("micro_batches",): tuple(partial(_in_groups, size=size, mean=True) for size in GROUPS),
    ("micro_batches", "total"): tuple(
        partial(_in_groups, size=size, mean=False) for size in GROUPS
    ),
    ("sum", "divided_twice"): (lambda mask: mask / _size(mask) ** 2,),
    ("episode_mean", "divided_twice"): (
        lambda mask: mask / _lengths(mask) ** 2 / _size(mask),
        lambda mask: mask / _lengths(mask) ** 2,
        lambda mask: mask / _lengths(mask) / _size(mask) ** 2,
        lambda mask: mask / _lengths(mask) / mask.shape[-1] / _size(mask),
    ),
    ("step_mean", "divided_twice"): (
        lambda mask: mask / _steps(mask) / _size(mask),
        lambda mask: mask / _steps(mask) / _lengths(mask),
        lambda mask: mask / _steps(mask) ** 2.0,
        lambda mask: mask / _steps(mask) / mask.shape[-1],
    ),
    ("mask_forgotten", "divided_twice"): (
        lambda mask: mask / mask.shape[-1] / _size(mask) ** 2,
        lambda mask: mask / mask.shape[-1] ** 2 / _size(mask),
    ),
}
for _name, _ways in (
    ("longest", (np.max,)),
    ("median_length", (np.median, _lower_median)),
    ("shortest", (np.min,)),
):
    RARE[_name,] = tuple(_of_batch(way, mean) for way in _ways for mean in (True, False))
RARE |= {
    ("root_length",): _of_length(np.sqrt),
    ("length_plus_one",): _of_length(lambda n: n + 1),
    ("root_of_B",): (lambda mask: mask / np.sqrt(_size(mask)),),
    ("last_episode_dropped",): tuple(
        partial(_without_last, alone=alone, rest=rest) for alone in (0, 1) for rest in (False, True)
    ),
}
for _drop, _name in ((0, "first_step_dropped"), (-1, "last_step_dropped")):
    for _norm in (("sum",), ("total",), ("episode_mean",), ("step_mean",), ("mask_forgotten",)):
        RARE[*_norm, _name] = tuple(
            partial(_shifted, norm=_norm, drop=_drop, roll=roll, counted=counted)
            for roll in (False, True)
            for counted in range(1 if _norm[0] in ("sum", "total", "mask_forgotten") else 3)
        )


# --- What stands in the place of the return.


def _of_bug(name: str) -> Callable[[Stack], Array]:
    return lambda x: bugs.WEIGHTS[name](x.rewards, x.mask, x.gamma)


def _centred(
    values: Array,
    over: Array,
    axes: tuple[int, ...],
    divide: int | None = None,
    eps: float = 1e-8,
) -> Array:
    """values − mean; ÷ standard deviation with ``divide`` degrees of freedom taken off, if any."""
    count = np.maximum(over.sum(axes, keepdims=True), 1)
    centred = values - (values * over).sum(axes, keepdims=True) / count
    if divide is None:
        return centred
    squares = (centred**2 * over).sum(axes, keepdims=True)
    return centred / (np.sqrt(squares / np.maximum(count - divide, 1)) + eps)


def _group(divide: int | None = None, eps: float = 1e-8) -> Callable[[Stack], Array]:
    """G_0 less the mean of the batch (GRPO's advantage), ÷ its standard deviation if asked for."""
    return lambda x: _centred(x.G[..., :1], np.ones_like(x.G[..., :1]), (-2,), divide, eps)


def _less_group(x: Stack) -> Array:
    """G_t less the batch's mean of G_0."""
    return x.G - x.G[..., :1].mean(-2, keepdims=True)


def _all_steps(divide: int | None = None, padded: bool = False, whole: bool = False):
    """Centred over all steps of the batch, and divided if asked for; ``whole``: G_0 at each."""

    def weight(x: Stack) -> Array:
        over = np.ones_like(x.mask) if padded else x.mask
        return _centred(x.R if whole else x.G, over, (-2, -1), divide)

    return weight


def _per_time(divide: int | None = None, padded: bool = False) -> Callable[[Stack], Array]:
    """G_t less the mean of G_t over the episodes, those that are over by then counted or not."""
    return lambda x: _centred(x.G, np.ones_like(x.mask) if padded else x.mask, (-2,), divide)


def _leave_one_out(to_go: bool, others: str, alone: int = 1) -> Callable[[Stack], Array]:
    """A return less the mean of the others'; ``alone``: what is left of it where there are none.

    ``others``: "whole", their G_0; "to_go", their G_t, 0 after the end; "alive", of those not over.
    """

    def weight(x: Stack) -> Array:
        G = x.G[..., :1] if others == "whole" else x.G
        count = x.mask.sum(-2, keepdims=True) if others == "alive" else _size(x.mask)
        baseline = (G.sum(-2, keepdims=True) - G) / np.maximum(count - 1, 1)
        return ((x.G if to_go else x.R) - baseline) * np.where(count == 1, alone, 1)

    return weight


def _batch_return(mean: bool) -> Callable[[Stack], Array]:
    """One number for every step of the batch: all returns added up, or their mean."""
    return lambda x: x.G.sum((-2, -1), keepdims=True) / (_steps(x.mask) if mean else 1)


def _scaled(divide: int) -> Callable[[Stack], Array]:
    """G_t over the deviation of all real steps of the batch."""

    def weight(x: Stack) -> Array:
        count, G = _steps(x.mask), x.G
        mean = G.sum((-2, -1), keepdims=True) / count
        squares = ((G - mean) ** 2 * x.mask).sum((-2, -1), keepdims=True)
        return G / (np.sqrt(squares / np.maximum(count - divide, 1)) + 1e-8)

    return weight


def _of_rewards(divide: int | None) -> Callable[[Stack], Array]:
    """The returns of rewards that are centred over the batch, and divided if asked for."""
    return lambda x: losses.reward_to_go(
        _centred(x.rewards, x.mask, (-2, -1), divide) * x.mask, x.gamma
    )


def _unless_alone(x: Stack) -> Array:
    """Standardised per episode, but for episodes of one step."""
    return np.where(_lengths(x.mask) > 1, _centred(x.G, x.mask, (-1,), 1), x.G)


def _forwards(x: Stack) -> Array:
    """Σ_{k≤t} γ^k r_k."""
    return (x.rewards * x.gamma ** np.arange(x.rewards.shape[-1])).cumsum(-1)


def _last(x: Stack) -> Array:
    """The last reward of the episode at each of its steps."""
    return np.take_along_axis(x.rewards, _lengths(x.mask) - 1, -1) * x.mask


def _again(x: Stack) -> Array:
    """The rewards-to-go of γ^t r_t: discounted from the start and then once more."""
    powers = x.gamma ** np.arange(x.rewards.shape[-1])
    return losses.reward_to_go(x.rewards * powers, x.gamma)


def _previous(x: Stack, roll: bool) -> Array:
    """G_{t−1} at step t; at the first 0, or what stands in the last place."""
    moved = np.roll(x.G, 1, axis=-1)
    moved[..., 0] *= roll
    return moved


BY_BUG = (
    "past_rewards",
    "next_return",
    "immediate_reward",
    "returns_from_start",
    "centred_per_episode",
    "standardised_per_episode",
)
# Name -> weights it may stand for (two where a deviation may divide by n or by n − 1, and so on).
WEIGHTS: dict[str, tuple[Callable[[Stack], Array], ...]] = {
    "reward_to_go": (lambda x: x.G,),
    "whole_return": (lambda x: x.R,),
    **{name: (_of_bug(name),) for name in BY_BUG},
    "centred_over_batch": (_all_steps(),),
    "standardised_over_batch": (_all_steps(0), _all_steps(1)),
    "standardised_with_padding": (_all_steps(0, padded=True), _all_steps(1, padded=True)),
    "centred_over_tokens": (_all_steps(whole=True),),
    "standardised_over_tokens": (_all_steps(0, whole=True), _all_steps(1, whole=True)),
    "centred_per_time": (_per_time(), _per_time(padded=True)),
    "standardised_per_time": tuple(_per_time(d, p) for d in (0, 1) for p in (False, True)),
    "group_centred": (_group(),),
    "group_centred_to_go": (_less_group,),
    "group_standardised": tuple(_group(d, eps) for eps in (1e-8, 1e-4) for d in (0, 1)),
    "leave_one_out": (_leave_one_out(False, "whole", 0), _leave_one_out(False, "whole")),
    "leave_one_out_to_go": tuple(_leave_one_out(True, o) for o in ("whole", "to_go", "alive")),
    "leave_one_out_if_any": (_leave_one_out(True, "alive", 0),),
    "sum_of_returns": (lambda x: x.G.sum(-1, keepdims=True),),
    "batch_return": (_batch_return(False), _batch_return(True)),
    "previous_return": (partial(_previous, roll=False), partial(_previous, roll=True)),
    "scaled_over_batch": (_scaled(0), _scaled(1)),
    "centred_with_padding": (_all_steps(padded=True),),
    "rewards_centred": (_of_rewards(None),),
    "rewards_standardised": (_of_rewards(0), _of_rewards(1)),
    "next_reward": (lambda x: np.append(x.rewards[..., 1:], 0 * x.rewards[..., :1], -1),),
    "last_reward": (_last,),
    "discounted_again": (_again,),
    "reward_missing": (lambda x: x.mask * 1.0,),
}
WEIGHTS["next_return"] += (lambda x: np.roll(x.G, -1, axis=-1),)
WEIGHTS["past_rewards"] += (_forwards,)
WEIGHTS["standardised_per_episode"] += (lambda x: _centred(x.G, x.mask, (-1,), 1), _unless_alone)


def _softmax(whole: bool, axes: tuple[int, ...], padded: bool) -> Callable[[Stack], Array]:
    """exp(return) over its sum along these axes, the zeros of the padding among them or not."""

    def weight(x: Stack) -> Array:
        G = np.where(x.mask | padded, x.R[..., :1] + 0 * x.G if whole else x.G, -np.inf)
        e = np.exp(G - np.maximum(G.max(axes, keepdims=True), -1e300))
        return e / np.maximum(e.sum(axes, keepdims=True), 1e-300)

    return weight


def _over_largest(whole: bool, axes: tuple[int, ...], size: Callable[[Array], Array], padded: bool):
    """A return over the largest one, of ``size(return)``, along these axes."""

    def weight(x: Stack) -> Array:
        G = x.R if whole else x.G
        top = np.where(x.mask | padded, size(G), -np.inf).max(axes, keepdims=True)
        return np.divide(G, top, out=np.zeros_like(G), where=(top != 0) & np.isfinite(top))

    return weight


def _to_range(whole: bool, axes: tuple[int, ...], padded: bool) -> Callable[[Stack], Array]:
    """(return − smallest) / (largest − smallest) along these axes."""

    def weight(x: Stack) -> Array:
        G, on = x.R if whole else x.G, x.mask | padded
        low = np.where(on, G, np.inf).min(axes, keepdims=True)
        range_ = np.where(on, G, -np.inf).max(axes, keepdims=True) - low
        return np.divide(G - low, range_, out=np.zeros_like(G), where=range_ > 0)

    return weight


def _mean_to_go(x: Stack) -> Array:
    """G_t over the number of steps that are left."""
    return x.G / np.maximum(x.mask[..., ::-1].cumsum(-1)[..., ::-1], 1)


_AXES = ((-1,), (-2,), (-2, -1))
# Looked for last: functions of all returns of a batch, of an episode or of a time step.
LATE: dict[str, tuple[Callable[[Stack], Array], ...]] = {
    "softmax_of_returns": tuple(
        _softmax(whole, axes, padded)
        for whole, axes, padded in itertools.product((False, True), _AXES, (False, True))
    ),
    "divided_by_largest": tuple(
        _over_largest(whole, axes, size, padded)
        for whole, axes, size, padded in itertools.product(
            (False, True), _AXES, (np.abs, np.positive), (False, True)
        )
    ),
    "scaled_to_range": tuple(
        _to_range(whole, axes, padded)
        for whole, axes, padded in itertools.product((False, True), _AXES, (False, True))
    ),
    "mean_to_go": (_mean_to_go,),
}
# Name -> the γ that stands where γ was asked for, and whether γ^t stands in front of step t.
DISCOUNTS: dict[str, tuple[Callable[[float], float], bool]] = {
    "": (lambda gamma: gamma, False),
    "gamma_missing": (lambda gamma: 1.0, False),
    "gamma_twice": (lambda gamma: gamma**2, False),
    "gamma_to_the_t": (lambda gamma: gamma, True),
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


def weight_rows(
    rewards: Array, mask: Array, gamma: float, names: Collection[str] = WEIGHTS
) -> dict[tuple[str, str, int], Array]:
    """Every weight of these names, every discount: (weight, discount, variant) -> (…, B, T)."""
    stacks = {g: Stack(rewards, mask, g) for g in {of(gamma) for of, _ in DISCOUNTS.values()}}
    powers, rows = gamma ** np.arange(rewards.shape[-1]), {}
    for name in names:
        for k, weight in enumerate((WEIGHTS | LATE)[name]):
            seen = {g: weight(x) * mask for g, x in stacks.items()}
            for discount, (of, in_front) in DISCOUNTS.items():
                rows[name, discount, k] = seen[of(gamma)] * (powers if in_front else 1)
    return rows


class Key(NamedTuple):
    """A candidate: its normalisation, whether the log is there, its weight, its discount."""

    normalisation: tuple[str, ...]
    log: bool
    weight: str
    discount: str


@cache
def known_weights(
    book: Casebook, gamma: float | None = None, late: bool = False
) -> tuple[list, Array]:
    """Names (K) and weights (K, M) on all real steps of all cases; no two of them are the same.

    ``gamma`` stands in the place of every case's own, where it is given; ``late``: those of LATE.
    """
    alike: dict[tuple, list[int]] = {}  # cases of one shape and one γ are stacked: (N, B, T)
    for i, case in enumerate(book.cases):
        key = (case.mask.shape, case.gamma if gamma is None else gamma)
        alike.setdefault(key, []).append(i)
    columns: dict[int, Array] = {}
    for (_, at), members in alike.items():
        rewards, mask = (
            np.stack([getattr(book.cases[i], f) for i in members]) for f in ("rewards", "mask")
        )
        rows = weight_rows(rewards, mask, at, LATE if late else WEIGHTS)
        table = np.array(list(rows.values()))
        columns |= {i: table[:, k][:, mask[k]] for k, i in enumerate(members)}
    W = np.concatenate([columns[i] for i in range(len(book.cases))], axis=1)
    first: dict[bytes, int] = {}  # γ is nothing to some of them
    for i, row in enumerate(W.round(9) + 0.0):
        first.setdefault(row.tobytes(), i)
    names, chosen = [*rows], list(first.values())
    return [names[i][:2] for i in chosen], W[chosen]


@cache
def blocks(
    book: Casebook, rare: bool = False, gamma: float | None = None, late: bool = False
) -> list[Block]:
    """All candidates on all real steps: each weight by each factor in front, with the log or π."""
    names, W = known_weights(book, gamma, late)
    p = np.exp(book.steps(lambda case: case.logp))
    wide = np.array(
        [
            1e-4 if late else 3e-3 if "standardised" in name or "scaled" in name else 0.0
            for name, _ in names
        ]
    )
    found = []
    for norm, factors in (RARE if rare else NORMALISATIONS).items():
        for factor in factors:
            one = _by_mask(factor, book)
            for log in (True,) if rare else (True, False):
                keys = [Key(norm, log, *name) for name in names]
                found.append(Block(keys, W, one if log else one * p, wide))
    return found


def _by_mask(factor: Factor, book: Casebook) -> Array:
    """The factor in front of every real step, (M,); many cases have the same mask."""
    seen: dict[tuple, Array] = {}
    keys = [(case.mask.shape, case.mask.tobytes()) for case in book.cases]
    for key, case in zip(keys, book.cases, strict=True):
        if key not in seen:
            seen[key] = factor(case.mask)[case.mask]
    return np.concatenate([seen[key] for key in keys])


def on_steps(every: list[Block], keep: Array) -> list[Block]:
    """The candidates on the chosen steps alone, (M,) of True and False."""
    rows = every[0].rows[:, keep]  # all blocks share them
    return [block._replace(rows=rows, one=block.one[keep]) for block in every]


def steps_of(book: Casebook, weight: str, discount: str) -> Array:
    """One weight under one discount on every real step, (M,)."""
    names, W = known_weights(book)
    return W[names.index((weight, discount))]


def steps_of_ones(book: Casebook) -> Array:
    """The reward-to-go of rewards of 1, on every real step, (M,)."""
    return book.steps(lambda case: losses.reward_to_go(case.mask * 1.0, case.gamma))


def sum_weights(book: Casebook) -> Array:
    """What the sum puts on each real step, (M,)."""
    first = blocks(book)[0]
    return first.rows[0] * first.one


def is_one(match: Match) -> bool:
    """Is the factor 1, of either sign, as far as rounding lets one tell?"""
    return abs(abs(match.factor) - 1) < max(1e-4, 2 * match.error)


def describe(match: Match) -> tuple[tuple[str, ...], bool]:
    """The names of a candidate with its factor, normalisation first; is it a policy gradient?"""
    norm, log, weight, discount = match.key
    summed, unit = norm in (("sum",), ("total",)), is_one(match)
    ok = summed and log and match.factor > 0 and (weight, discount) in UNBIASED
    alias = ALIASES.get((norm[0], weight)) if len(norm) == 1 else None
    norm = norm[1:] if alias else ("constant",) if norm == ("sum",) and not unit else norm
    parts = [alias or weight, discount, "constant_baseline" if match.baseline else ""]
    parts += ["" if log else "no_log", "wrong_sign" if match.factor < 0 else ""]
    changes = tuple(part for part in parts if part and part != "reward_to_go")
    # the sum is not worth a word beside what is wrong with it
    if norm[:1] == ("sum",) and not ok and (changes or len(norm) > 1):
        norm = norm[1:]
    return norm + changes, ok
