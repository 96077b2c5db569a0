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
from coursekit.detective import asking, known, matching, naming, sentences
from coursekit.detective.cases import Case, Casebook, casebook, with_junk
from coursekit.detective.expectation import compared, in_words
from coursekit.detective.finding import Finding
from coursekit.detective.looking import EXACT

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
    grain, near = _grain(fn, book), EXACT
    found, ok, numbers, told = describe(u, book, near)
    if found == ("unknown",) and asking.GRAIN[grain] > EXACT:
        near = min(asking.GRAIN[grain], max(EXACT, 8 * _rounding(fn, book)))
        found, ok, numbers, told = describe(u, book, near)
    if found == ("unknown",) and (term := _without_rewards(fn, book)) is not None:
        found, ok, numbers, told = _with_term(u, term, book, near) or (found, ok, numbers, told)
    once = u[: len(again)]
    if not np.allclose(once, again, rtol=1e-6, atol=1e-9):
        left = np.allclose(2 * once, again, rtol=1e-6, atol=1e-9)
        names, ok = ("gradients_left_over" if left else "not_repeatable", *names), False
    evidence += [f"{name} {value:.4g}" for name, value in numbers.items()] + told
    numbers |= compared(*_alike_in_size(u, moves(book)))
    text = in_words(numbers)
    evidence += [f"against the moves of the sum: {text}", *wrong]
    if near > EXACT and found != ("unknown",):
        evidence.append(f"compared to {near:.0e} of a batch's largest move, for rounding inside")
    elif grain in (torch.float16, torch.bfloat16):
        kind = str(grain).removeprefix("torch.")
        evidence.append(f"it computes in {kind} inside: steps so small are lost in the rounding")
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


def _alike_in_size(u: Array, what: Moves) -> tuple[Array, Array]:
    """The moves u and those of the sum, so that each batch counts alike, whatever its rewards."""
    right, starts = what.blocks[0].rows[0], what.starts
    size = matching.peak(right, starts)
    scale = np.repeat(
        np.where(size > 1e-9, 1 / np.maximum(size, 1e-9), 1), np.diff([*starts, len(u)])
    )
    return u * scale, right * scale


def _grain(fn: Callable, book: Casebook) -> torch.dtype:
    case = chosen(book)[0]
    return asking.precision(lambda: _ask(fn, given(case)[0], case, RATES[0]))


def _rounding(fn: Callable, book: Casebook) -> float:
    """How far moves are from straight lines in the size of the rewards, over the largest move."""

    def grown(case: Case) -> Callable[[float], Array | None]:
        def moved(k: float) -> Array | None:
            return _ask(fn, given(case)[0], case._replace(rewards=k * case.rewards), min(RATES))[0]

        return moved

    return max(asking.rounding(grown(case)) for case in chosen(book))


def _without_rewards(fn: Callable, book: Casebook) -> Array | None:
    """All moves in a row where every reward is 0; None if there are none."""
    rows = []
    for lr, case in itertools.product(RATES, chosen(book)):
        params, _ = given(case)
        rows.append(_ask(fn, params, case._replace(rewards=0 * case.rewards), lr)[0])
        if rows[-1] is None or not np.isfinite(rows[-1]).all():
            return None
    u = np.concatenate(rows)
    return u if u.any() else None


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
    largest = max(np.abs(case.rewards).max() for case in used)
    returns = max(
        np.abs(losses.reward_to_go(case.rewards, case.gamma) * case.mask).max() for case in used
    )
    return (
        f"{len(used)} batches of 1 to {most} episodes of up to {longest} steps, rewards up to "
        f"{largest:.0f} and returns up to {returns:.0f} in size, rewards of 0 in the padding, "
        f"rates {rates}. Nothing is said about what lies outside of these"
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


def _steps(book: Casebook) -> Array:
    """Which of all real steps are those of the chosen cases."""
    used = chosen(book)
    return np.concatenate([np.full(c.mask.sum(), any(c is d for d in used)) for c in book.cases])


def _image(x: Array, z: list[Array]) -> Array:
    """The moves that weights x (…, steps) make, at each rate; ``z``: the scores of each case."""
    ends = np.cumsum([0] + [len(one) for one in z])
    parts = [x[..., a:b] @ one for a, b, one in zip(ends[:-1], ends[1:], z, strict=True)]
    return np.concatenate(parts * len(RATES), axis=-1)


@cache
def moves(book: Casebook) -> Moves:
    """Computed once: the scores at each case's θ, and what stepping inside the loop does."""
    used, steps = chosen(book), _steps(book)

    def blocks(z: list[Array], rare: bool = False) -> list[matching.Block]:
        return [
            matching.Block(
                *(keys, (moved := _image(rows * one, z)), np.ones(moved.shape[1]), tolerance),
                _image(one, z),
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


Described = tuple[tuple[str, ...], bool, dict[str, float], list[str]]


@np.errstate(all="ignore")  # θ may move to any size
def describe(u: Array, book: Casebook, near: float) -> Described:
    """Names, ok, numbers and words of u = Δθ/lr of all updates in a row, compared to ``near``."""
    what = moves(book)
    blocks, starts = what.blocks, what.starts
    for names, rows in what.special.items():
        if any(matching.agreement(u, row, starts).all() for row in rows):
            return names, False, {}, []
    for some in (blocks, what.rare):
        if found := matching.search(u, some, starts, near):
            names, ok = known.describe(found[0])
            names = tuple("wrong_scale" if name == "constant" else name for name in names)
            return names, ok and "wrong_scale" not in names, {"factor": found[0].factor}, []
    for name, wrong in what.wrong.items():
        if found := matching.search(u, wrong, starts, near):
            names = tuple(n for n in known.describe(found[0])[0] if n not in ("sum", "constant"))
            return (*names, name), False, {"factor": found[0].factor}, []
    decayed = [block._replace(less=what.theta) for block in blocks]
    if found := matching.search(u, decayed, starts, near):
        names, _ = known.describe(found[0]._replace(baseline=0.0))
        decay = found[0].factor * found[0].baseline
        return (*names, "weight_decay"), False, {"weight_decay": decay}, []
    g = blocks[0].rows[0]
    live = matching.peak(g, starts) > 1e-9
    k = np.add.reduceat(u * g, starts) / np.maximum(np.add.reduceat(g * g, starts), 1e-300)
    sizes = np.diff(np.append(starts, len(u)))
    same = matching.agreement(u, np.repeat(k, sizes) * g, starts, near)
    if (same & (k > 0))[live].all():
        return *_rescaled(k, live, what.steps_of, 10 * near), []
    moved = np.abs(g) > 1e-6
    if np.allclose(np.abs(u[moved]), np.abs(u[moved][0]), rtol=1e-2):
        return ("sign_of_gradient",), False, {"size": float(np.abs(u[moved][0]))}, []
    return ("unknown",), False, {}, []


def _rescaled(
    k: Array, live: Array, steps: Array, near: float
) -> tuple[tuple[str, ...], bool, dict[str, float]]:
    """Names for u = k · (what the sum does), k (updates,) > 0 where ``live``; ``steps``: N."""

    def same(values: Array) -> bool:
        return bool(np.ptp(values) < near * values.max())

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


# --- What moves θ without any reward.

ENTROPY = "the entropy of the policy, at each state that was met"


def _pushes(case: Case, weight: Callable[[Array], Array]) -> Array:
    """Σ_a π(a) weight(log π(a)) ∇log π(a) at every real step, (steps, S·A)."""
    obs, p = case.obs[case.mask], mdp.softmax(case.theta)
    inner = p * weight(np.log(p))
    inner -= p * inner.sum(-1, keepdims=True)
    z = np.zeros((len(obs), *p.shape))
    z[np.arange(len(obs)), obs] = inner[obs]
    return z.reshape(len(obs), -1)


class Terms(NamedTuple):
    """Terms in the loss that know no reward: blocks of keys (label, normalisation), their pushes.

    ``pushes``: label -> the moves of its expectation over the actions; ``up``: what raises entropy.
    """

    blocks: list[matching.Block]
    pushes: dict[str, Array]
    up: Array


@cache
def terms(book: Casebook) -> Terms:
    """Computed once, and only where something moves θ without any reward."""
    used = chosen(book)
    z, logp = [_scores(case, case.theta) for case in used], [c.logp[c.mask] for c in used]
    raising, logp = [_pushes(case, np.negative) for case in used], np.concatenate(logp)
    blocks, pushes = [], {ENTROPY: _image(np.ones(len(logp)), raising)}
    for label, of in naming.TERMS.items():
        pushes[label] = _image(np.ones(len(logp)), [_pushes(case, of) for case in used])
    for block in known.on_steps(known.blocks(book), _steps(book))[::2]:  # those with the log
        norm, one = block.keys[0].normalisation, block.one
        rows = [((ENTROPY, norm), _image(one, raising), 0 * pushes[ENTROPY])]
        for label, of in naming.TERMS.items():
            less = one * (np.exp(logp) if label[0] == "π" else 1.0)
            rows.append(((label, norm), _image(of(logp) * one, z), _image(less, z)))
        blocks += [
            matching.Block([key], row[None], np.ones(len(row)), np.zeros(1), less)
            for key, row, less in rows
        ]
    return Terms(blocks, pushes, pushes[ENTROPY])


@np.errstate(all="ignore")
def _with_term(u: Array, term: Array, book: Casebook, near: float) -> Described | None:
    """A known loss and a term that does not depend on the rewards; None if the rest is unknown."""
    what, every, rest = moves(book), terms(book), u - term
    starts = what.starts
    loud = np.abs(term).max() / max(np.abs(rest).max(), 1e-300)
    rates = np.split(term, len(RATES))
    if not loud < 1e4 or np.ptp(rates, axis=0).max() > 1e-4 * np.abs(term).max():
        return None  # the rest is rounding, or what is left is no gradient, times the rate
    near = near * max(1.0, float(loud))
    found = matching.search(rest, what.blocks, starts, near)
    found = found or matching.search(rest, what.rare, starts, near)
    if not found:
        return None
    names = tuple(n for n in known.describe(found[0])[0] if n != "sum")
    push, told, numbers = term, [], {}
    if match := matching.search(term, every.blocks, starts, max(near, 1e-6)):
        (label, norm), k = match[0].key, -match[0].factor
        push = -k * every.pushes[label]
        told.append(f"it is {k:+.3g} times {label}, reduced by {' + '.join(norm)}")
        numbers["coefficient"] = k
    inner = [
        np.add.reduceat(x * y, starts)
        for x, y in (
            (push, every.up),
            (push, push),
            (every.up, every.up),
            (term, term),
            (rest, rest),
        )
    ]
    cosines = inner[0] / np.sqrt(np.maximum(inner[1] * inner[2], 1e-300))
    name, does = "other_term", ""
    if not (inner[1] > 1e-12 * inner[3]).any():
        name, does = "idle_term", "; its expectation is 0: it adds noise, and changes nothing"
    elif cosines.min() > 0.05:
        name, does = "entropy_bonus", "; it raises the entropy of the policy"
    elif cosines.max() < -0.05:
        name, does = "entropy_penalty", "; it lowers the entropy of the policy"
    size = float(np.median(np.sqrt(inner[3] / np.maximum(inner[4], 1e-300))))
    told.insert(0, f"θ moves without any reward{does}; as a rule by {size:.1e} of the rest")
    return (*names, name), False, numbers | {"term": size}, told
