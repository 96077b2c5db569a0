"""After the loss: what does one update of the parameters do?

Compared is (θ_new − θ)/lr: ``M`` parameters of all updates in a row, one rate after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch

from coursekit import losses, mdp
from coursekit.detective import asking, known, matching, sentences
from coursekit.detective.cases import Case, Casebook, casebook, with_junk
from coursekit.detective.expectation import compared, in_words
from coursekit.detective.finding import Finding

Array = np.ndarray
RATES = (0.2, 0.02)


class Batch(NamedTuple):
    """What an audited update is given: tensors (B, T), and γ."""

    obs: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    mask: torch.Tensor
    gamma: float


def given(case: Case) -> tuple[dict[str, torch.Tensor], Batch]:
    """The case as an update is given it."""
    arrays = (case.obs, case.actions, case.rewards, case.mask)
    batch = Batch(*(torch.tensor(array) for array in arrays), case.gamma)
    return {"theta": torch.tensor(case.theta, requires_grad=True)}, batch


def example(case: Case) -> tuple[dict[str, torch.Tensor], Batch, float]:
    """What an update is given, with a rate."""
    return *given(case), RATES[0]


def chosen(book: Casebook) -> list[Case]:
    """Batches with their θ: some of each exact process, and those of four episodes and more."""
    every = [case for case in book.cases if case.theta is not None]
    listed = sum(len(exact.prob) for exact in book.exact)
    return every[:listed:16] + every[listed:]


def audit_update(fn: Callable[..., Any]) -> Finding:
    """Name ``fn(params, batch, lr)``: one update by plain SGD at the rate ``lr``.

    For what happens after the loss. ``params`` is {"theta": (S, A)}, a float64 tensor that requires
    grad; the policy is softmax(theta[obs]). ``batch`` has the attributes ``batch.obs``,
    ``.actions``, ``.rewards``, ``.mask``, tensors (B, T), and ``.gamma``; the rewards of padding
    are 0. It changes theta in place, or returns {"theta": new} or the new theta; anything else
    that it returns, such as the loss, is left aside. Right is θ + lr · (1/B) Σ_i Σ_t z_t G_t.
    """
    said, book = sentences.UPDATES, casebook()
    trouble = asking.refused(fn, "fn(params, batch, lr)", 3)
    first, second, changed, trouble = ([], [], "", trouble) if trouble else _every(fn, book)
    if trouble:
        return Finding(names=trouble[:1], ok=False, evidence=trouble[1:], said=said)
    u, again = np.concatenate(first), np.concatenate(second)
    evidence, probed = [f"{len(first)} updates, each from its own θ"], _probed(book)
    wrong = [f"it wrote into {changed}"] if changed else []
    names, extra = ("changes_inputs",) * bool(changed), {"said": said, "probed": probed}
    if not np.isfinite(u).all() or not u.any():
        names = ("no_update" if np.isfinite(u).all() else "nan", *names)
        return Finding(names=names, ok=False, evidence=evidence + wrong, **extra)
    found, ok, numbers = describe(u, moves(book))
    once = u[: len(again)]
    if not np.allclose(once, again, rtol=1e-6, atol=1e-9):
        left = np.allclose(2 * once, again, rtol=1e-6, atol=1e-9)
        names, ok = ("gradients_left_over" if left else "not_repeatable", *names), False
    evidence += [f"{name} {value:.4g}" for name, value in numbers.items()]
    numbers |= compared(u, moves(book).blocks[0].rows[0])
    text = in_words(numbers)
    evidence += [f"against the moves of the sum: {text}", *wrong]
    case = chosen(book)[0]
    grain = asking.precision(lambda: _ask(fn, given(case)[0], case, RATES[0]))
    if grain in (torch.float16, torch.bfloat16):
        told = str(grain).removeprefix("torch.")
        evidence.append(f"it computes in {told} inside: steps so small are lost in the rounding")
    if not {"changes_inputs", "not_repeatable"} & set(names) and _padding_matters(fn, book):
        evidence.append(
            "relies on rewards of 0 in the padding: with others there it moves otherwise"
        )
    return Finding(
        names=(*found, *names),
        ok=ok and not changed,
        evidence=evidence,
        numbers=numbers,
        headline=f"{text} to the moves of the sum" * (found == ("unknown",)),
        **extra,
    )


def _every(fn: Callable, book: Casebook):
    """Every batch at every rate, at the first of them twice.

    The first moves, the second, what was changed, and the trouble where there is any.
    """
    first, second, changed = [], [], ""
    for lr, case in itertools.product(RATES, chosen(book)):
        params, _ = given(case)
        twice = (first, second) if lr == RATES[0] else (first,)
        for moved in twice:  # to see what is left over
            step, trouble, wrote = _ask(fn, params, case, lr)
            if trouble:
                return first, second, changed, trouble
            moved.append(step)
            changed = changed or wrote
    return first, second, changed, None


def _ask(fn: Callable, params: dict, case: Case, lr: float):
    """(θ_new − θ)/lr in a row, or None; the trouble: (name, in words); what it wrote into."""
    with torch.no_grad():
        params["theta"].copy_(torch.tensor(case.theta))
    leaf, batch = params["theta"], given(case)[1]
    before = [x.clone() for x in batch[:4]]
    try:
        with asking.quiet():
            new = _theta(fn(params, batch, lr), params, case.theta)
    except asking.STOPS as error:
        return None, ("raises", asking.error_in_words(error)), ""
    finally:
        params["theta"] = leaf
    wrote = [n for n, a, b in zip(batch._fields, before, batch, strict=False) if not a.equal(b)]
    if np.shape(new) != case.theta.shape:
        text = f"the new theta has the shape {np.shape(new)}; it must be {case.theta.shape}"
        return None, ("wrong_shape", text), ""
    return (new - case.theta).ravel() / lr, None, ", ".join(wrote)


def _theta(returned: Any, params: dict, old: Array) -> Array:
    """The new parameters: returned, or else those that were given, which may have been changed."""
    given = _array(params["theta"])
    new = returned.get("theta", given) if isinstance(returned, dict) else given
    if isinstance(returned, (torch.Tensor, np.ndarray)) and np.array_equal(given, old):
        new = returned if tuple(returned.shape) == old.shape else given
    return _array(new)


def _array(x: Any) -> Array:
    return np.array(
        x.detach().double().numpy() if isinstance(x, torch.Tensor) else x, dtype=np.float64
    )


def _padding_matters(fn: Callable, book: Casebook) -> bool:
    """Does an update change where the rewards of the padding are not 0?"""
    case = next(case for case in chosen(book) if not case.mask.all())
    steps = []
    for one in (case, with_junk(case)):
        steps.append(_ask(fn, given(one)[0], one, RATES[0])[0])
    return steps[1] is None or not np.allclose(*steps, rtol=1e-4, atol=1e-9)


def _probed(book: Casebook) -> str:
    used, rates = chosen(book), " and ".join(f"{rate:g}" for rate in RATES)
    longest = max(case.mask.sum(-1).max() for case in used)
    most = max(len(case.mask) for case in used)
    return (
        f"{len(used)} batches of 1 to {most} episodes of up to {longest} steps, rewards of 0 in "
        f"the padding, rates {rates}. Nothing is said about what lies outside of these"
    )


class Moves(NamedTuple):
    """What is known of the updates on the chosen cases.

    ``blocks``: of all known losses, ``rare`` and ``wrong`` (by the name of what stands for log π)
    of more. ``special``: names -> moves. ``theta`` (M,). ``starts``.
    ``steps_of`` (updates,): how many real steps the batch of each update has.
    """

    blocks: list[matching.Block]
    rare: list[matching.Block]
    wrong: dict[str, list[matching.Block]]
    special: dict[tuple[str, ...], list[Array]]
    theta: Array
    starts: Array
    steps_of: Array


def _scores(case: Case, theta: Array) -> Array:
    """z of every real step, (steps, S·A)."""
    obs, taken = case.obs[case.mask], case.actions[case.mask]
    z = np.zeros((len(obs), *theta.shape))
    z[np.arange(len(obs)), obs] = np.eye(theta.shape[1])[taken] - mdp.softmax(theta)[obs]
    return z.reshape(len(obs), -1)


def _picked(logits: torch.Tensor, actions: torch.Tensor, axis: int) -> torch.Tensor:
    return torch.log_softmax(logits, axis).gather(-1, actions[..., None])[..., 0]


# What may stand for log π: name -> (theta, obs, actions) -> (B, T).
WRONG: dict[str, Callable[..., torch.Tensor]] = {
    "softmax_over_states": lambda theta, obs, a: torch.log_softmax(theta, 0)[obs, a],
    "softmax_over_time": lambda theta, obs, a: _picked(theta[obs], a, 1),
    "softmax_over_episodes": lambda theta, obs, a: _picked(theta[obs], a, 0),
    "argmax_for_sample": lambda theta, obs, a: _picked(theta[obs], theta[obs].argmax(-1), -1),
}


def _wrong_scores(case: Case, logp: Callable[..., torch.Tensor]) -> Array:
    """The derivative of ``logp`` at every real step, (steps, S·A), by autograd."""
    obs, actions, mask = map(torch.tensor, (case.obs, case.actions, case.mask))
    theta = torch.tensor(case.theta)
    z = torch.autograd.functional.jacobian(lambda x: logp(x, obs, actions)[mask], theta)
    return z.reshape(len(z), -1).numpy()


def _in_loop(
    case: Case,
    lr: float,
    divide: bool,
    backwards: bool = False,
    episodes: bool = False,
    clear: bool = True,
) -> Array:
    """Stepping after each step's loss, or each episode's: (θ_end − θ)/lr."""
    weight = losses.reward_to_go(case.rewards, case.gamma)[case.mask]
    weight, theta, g = weight / (len(case.mask) if divide else 1), case.theta.copy(), 0.0
    parts = np.nonzero(case.mask)[0] if episodes else np.arange(len(weight))
    for part in np.unique(parts)[:: -1 if backwards else 1]:
        g = g * (not clear) + (weight[:, None] * _scores(case, theta))[parts == part].sum(0)
        theta += lr * g.reshape(theta.shape)
    return (theta - case.theta).ravel() / lr


def _last(case: Case, divide: bool) -> Array:
    weight = losses.reward_to_go(case.rewards, case.gamma)[case.mask][-1]
    return weight / (len(case.mask) if divide else 1) * _scores(case, case.theta)[-1]


@cache
def moves(book: Casebook) -> Moves:
    """Computed once: the scores at each case's θ, and what stepping inside the loop does."""
    used = chosen(book)
    steps = np.concatenate([np.full(c.mask.sum(), any(c is d for d in used)) for c in book.cases])
    ends = np.cumsum([0] + [int(case.mask.sum()) for case in used])

    def blocks(z: list[Array], rare: bool = False) -> list[matching.Block]:
        def image(x: Array) -> Array:
            parts = [x[..., a:b] @ one for a, b, one in zip(ends[:-1], ends[1:], z, strict=True)]
            return np.concatenate(parts * len(RATES), axis=-1)

        return [
            matching.Block(
                keys, (moved := image(rows * one)), np.ones(moved.shape[1]), tolerance, image(one)
            )
            for keys, rows, one, tolerance, _ in known.on_steps(known.blocks(book, rare), steps)
        ]

    right = [_scores(case, case.theta) for case in used]
    wrong = {
        name: blocks([_wrong_scores(case, logp) for case in used]) for name, logp in WRONG.items()
    }
    pairs = [(case, lr) for lr in RATES for case in used]

    def loops(**way) -> list[Array]:
        both = itertools.product((True, False), repeat=2)
        return [np.concatenate([_in_loop(*pair, *two, **way) for pair in pairs]) for two in both]

    special = {
        ("step_in_loop",): loops(),
        ("step_in_loop", "gradients_left_over"): loops(clear=False),
        ("step_per_episode",): loops(episodes=True),
        ("step_per_episode", "gradients_left_over"): loops(episodes=True, clear=False),
        ("last_step_only",): [
            np.concatenate([_last(case, divide) for case, _ in pairs]) for divide in (True, False)
        ],
    }
    theta = np.concatenate([case.theta.ravel() for case, _ in pairs])
    starts = np.cumsum([0] + [case.theta.size for case, _ in pairs[:-1]])
    steps_of = np.array([case.mask.sum() for case, _ in pairs])
    return Moves(blocks(right), blocks(right, True), wrong, special, theta, starts, steps_of)


def describe(u: Array, moves: Moves) -> tuple[tuple[str, ...], bool, dict[str, float]]:
    """Names, ok and numbers of u = Δθ/lr of all updates in a row; ``moves``: what is known."""
    blocks, starts = moves.blocks, moves.starts
    for names, rows in moves.special.items():
        if any(matching.agreement(u, row, starts).all() for row in rows):
            return names, False, {}
    if found := matching.search(u, blocks, starts) or matching.search(u, moves.rare, starts):
        names, ok = known.describe(found[0])
        names = tuple("wrong_scale" if name == "constant" else name for name in names)
        return names, ok and "wrong_scale" not in names, {"factor": found[0].factor}
    for name, wrong in moves.wrong.items():
        if found := matching.search(u, wrong, starts):
            names = tuple(n for n in known.describe(found[0])[0] if n not in ("sum", "constant"))
            return (*names, name), False, {"factor": found[0].factor}
    if found := matching.search(u, [block._replace(less=moves.theta) for block in blocks], starts):
        names, _ = known.describe(found[0]._replace(baseline=0.0))
        decay = found[0].factor * found[0].baseline
        return (*names, "weight_decay"), False, {"weight_decay": decay}
    g = blocks[0].rows[0]
    live = matching.peak(g, starts) > 1e-9
    k = np.add.reduceat(u * g, starts) / np.maximum(np.add.reduceat(g * g, starts), 1e-300)
    sizes = np.diff(np.append(starts, len(u)))
    same = matching.agreement(u, np.repeat(k, sizes) * g, starts)
    if (same & (k > 0))[live].all():
        return _rescaled(k, live, moves.steps_of)
    moved = np.abs(g) > 1e-6
    if np.allclose(np.abs(u[moved]), np.abs(u[moved][0]), rtol=1e-2):
        return ("sign_of_gradient",), False, {"size": float(np.abs(u[moved][0]))}
    return ("unknown",), False, {}


def _rescaled(k: Array, live: Array, steps: Array) -> tuple[tuple[str, ...], bool, dict]:
    """Names for u = k · (what the sum does), k (updates,) > 0 where ``live``; ``steps``: N."""

    def same(values: Array) -> bool:
        return bool(np.ptp(values) < 1e-4 * values.max())

    rates = np.repeat(RATES, len(k) // len(RATES))[live]
    k, steps = k[live], steps[live]
    if same(k * rates):
        return ("rate_ignored",), False, {"own_rate": float((k * rates)[0])}
    if all(same(k[rates == rate]) for rate in RATES):
        each = {f"factor at the rate {rate:g}:": k[rates == rate][0] for rate in RATES}
        return ("rate_misused",), False, each
    numbers = {"smallest": k.min(), "largest": k.max()}
    if same(k * steps):
        numbers["times N, the steps of its batch, every size is"] = (k * steps)[0]
    return ("rescaled_per_batch",), False, numbers
