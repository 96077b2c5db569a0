"""From rewards to advantages: which mean is taken off, by which deviation it is divided.

``B`` answers; ``groups`` (B,) says to which prompt each belongs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from coursekit.detective import asking
from coursekit.detective.finding import Finding
from coursekit.detective.tokens import calls, sentences

Array = np.ndarray
AS_CALLED = "fn(rewards, group_ids)"
REWARDS = ("rewards", "reward", "scores", "outcome_rewards", "token_level_rewards", "r")
T, NEAR, HALVES = 3, 1e-6, (torch.float16, torch.bfloat16)


class Seen(NamedTuple):
    """One batch that was asked: its label, rewards, groups and advantages, (B,) each."""

    label: str
    R: Array
    groups: Array
    A: Array


class Form(NamedTuple):
    """What each parameter is, and whether NumPy arrays are given in place of tensors."""

    takes: dict[str, str]
    numpy: bool = False


# What may be taken off, and what it may be divided by: (rewards, same-group (B, B)) -> (B,).


def _others(same: Array) -> Array:
    return same & ~np.eye(len(same), dtype=bool)


def _mean(R: Array, who: Array) -> Array:
    return (who @ R) / np.maximum(who.sum(-1), 1)


def _std(R: Array, who: Array, ddof: int) -> Array:
    off = (R - _mean(R, who)[:, None]) ** 2
    return np.sqrt((who * off).sum(-1) / np.maximum(who.sum(-1) - ddof, 1))


def _all(same: Array) -> Array:
    return np.ones_like(same)


BASELINES: dict[str, Callable[[Array, Array], Array]] = {
    "none": lambda R, same: 0 * R,
    "own_mean": _mean,
    "leave_one_out": lambda R, same: _mean(R, _others(same)),
    "batch_mean": lambda R, same: _mean(R, _all(same)),
    "batch_leave_one_out": lambda R, same: _mean(R, _others(_all(same))),
    "group_median": lambda R, same: np.array([np.median(R[row]) for row in same]),
    "group_lower_median": lambda R, same: np.array(
        [np.sort(R[row])[(row.sum() - 1) // 2] for row in same]
    ),
}
SCALES: dict[str, Callable[[Array, Array], Array]] = {
    "group_std": lambda R, same: _std(R, same, 0),
    "group_std_ddof1": lambda R, same: _std(R, same, 1),
    "batch_std": lambda R, same: _std(R, _all(same), 0),
    "batch_std_ddof1": lambda R, same: _std(R, _all(same), 1),
    "others_std": lambda R, same: _std(R, _others(same), 0),
    "others_std_ddof1": lambda R, same: _std(R, _others(same), 1),
}
TOGETHER = {  # (taken off, divided by) -> one name, that of ``coursekit.tokens`` where it has one
    ("own_mean", "group_std"): "group_std",
    ("own_mean", "group_std_ddof1"): "group_std_ddof1",
    ("batch_mean", "batch_std"): "batch_std",
    ("batch_mean", "batch_std_ddof1"): "batch_std_ddof1",
    ("leave_one_out", "others_std"): "others_std",
}
UNBIASED = {"none", "own_mean", "leave_one_out", "batch_mean", "batch_leave_one_out"}
UNBIASED |= {"constant_baseline"}
ROOTS = np.sqrt(np.array([2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37.0]))


def _with_outliers(G: int) -> tuple[Array, Array]:
    """Two groups of G, in one a reward far above the others, in the other one far below."""
    R = np.resize(ROOTS, 2 * G) * (1 + np.arange(2 * G) / (2 * G))
    R[2], R[G + 5] = 1000, -1000
    return R, np.repeat([0, 1], G)


# label -> rewards, groups
CASES: dict[str, tuple[Array, Array]] = {
    "two groups of four": (ROOTS[[3, 0, 6, 1, 7, 2, 5, 4]] - 3, np.repeat([0, 1], 4)),
    "three groups of four": (
        ROOTS[[8, 0, 3, 10, 2, 7, 1, 6, 11, 9, 4, 5]] - 2,
        np.repeat([0, 1, 2], 4),
    ),
    "four groups of two": (ROOTS[[1, 4, 0, 9, 7, 2, 5, 3]], np.repeat([0, 1, 2, 3], 2)),
    "small rewards": (ROOTS[[3, 0, 6, 1, 7, 2, 5, 4]] / 1000, np.repeat([0, 1], 4)),
    "large rewards": (1000 * (ROOTS[[3, 0, 6, 1, 7, 2, 5, 4]] - 3), np.repeat([0, 1], 4)),
    "outliers": _with_outliers(120),
}
MIXED = {
    "groups of 3, 3 and 2": (
        ROOTS[[5, 2, 8, 0, 3, 7, 1, 6]] - 3,
        np.array([0, 1, 0, 1, 1, 2, 0, 2]),
    )
}
UNANIMOUS = (np.array([1, 1, 1, 1, 1, 0, 0, 1.0]), np.repeat([0, 1], 4))
ALONE = (np.array([2, 5, 3, 0.5]), np.array([0, 1, 1, 1]))


def audit_advantages(fn: Callable[..., Any]) -> Finding:
    """Name ``fn(rewards, group_ids) -> advantages``: the baseline, the divisor and its ε.

    ``rewards`` (B,), or (B, T) with ``response_mask``; ``group_ids`` or ``group_size``; it returns
    (B,) or (B, T), or a tuple of which that is the first. Tensors, or NumPy arrays where it refuses
    those. ✓: with a sum over tokens the expectation is ∇J for any rewards and any prompts, up to a
    constant (none, constant_baseline, own_mean, leave_one_out, batch_mean); with own_mean while all
    groups are of one size, for it multiplies a prompt's part by 1 − 1/G. Whatever is divided by is
    a random number or differs from prompt to prompt.
    """
    form = _bound(fn)
    if not isinstance(form, Form):
        return _finding(form[:1], evidence=form[1:])
    first = CASES["two groups of four"]
    for numpy in (False, True):
        form = form._replace(numpy=numpy)
        A, wrong = _ask(fn, form, *first)
        if A is not None:
            break
    if A is None:
        return _finding([*wrong], evidence=[*wrong.values()])
    again = _ask(fn, form, *first)[0]
    if again is None or not np.array_equal(A, again):
        return _finding(["not_repeatable"], evidence=["the same rewards again give another result"])
    cases = CASES | (MIXED if "group_ids" in form.takes.values() else {})
    asked = {label: (*case, _ask(fn, form, *case)) for label, case in cases.items()}
    notes = [f"{k}: {'; '.join(w.values())}" for k, (*_, (_, w)) in asked.items() if w]
    seen = [Seen(k, R, g, a) for k, (R, g, (a, _)) in asked.items() if a is not None]
    grain = asking.precision(lambda: _ask(fn, form, *first))
    near = NEAR
    if grain in HALVES:
        off = [asking.rounding(_grown(fn, form, *case)) for case in cases.values()]
        near = min(max(NEAR, 8 * max(off)), asking.GRAIN[grain])
    names, numbers, said = _named(seen, near)
    said += [f"it computes in {str(grain).removeprefix('torch.')} inside"] * (near > NEAR)
    edges, troubles = _edges(fn, form)
    changed = [name for *_, (_, w) in asked.values() for name in w if name != "raises"]
    names += [*dict.fromkeys(changed), *troubles]
    if names[:1] == ["own_mean"] and "group_ids" in form.takes.values():
        said.append("groups of G weigh 1 − 1/G: prompts of larger groups more, where sizes differ")
    ok = set(names) <= UNBIASED | {"scaled"} and numbers.get("factor", 1) > 0
    return _finding(
        names,
        ok,
        evidence=[*said, *edges, *notes],
        numbers=numbers,
        probed=_probed(seen),
    )


def _probed(seen: list[Seen]) -> str:
    sizes = sorted({int(n) for one in seen for n in np.bincount(one.groups)})
    rewards = np.abs(np.concatenate([one.R for one in seen]))
    furthest = max(
        np.abs((one.R - _mean(one.R, same)) / _std(one.R, same, 0)).max()
        for one in seen
        for same in [_same(one.groups)]
    )
    return (
        f"{len(seen)} batches in groups of {', '.join(map(str, sizes))}; rewards of both signs, "
        f"{rewards.min():.1g} to {rewards.max():.0f} in size, up to {furthest:.2g} deviations from "
        "the mean of their group; a group of equal rewards, a group of one. Nothing is said about "
        "what lies outside of these, nor about rewards per token"
    )


def _finding(names: Sequence[str], ok: bool = False, **said: Any) -> Finding:
    return Finding(names=tuple(names), ok=ok, said=sentences.ADVANTAGES, **said)


def _bound(fn: Any) -> Form | tuple[str, str]:
    parameters = calls.parameters_of(fn, AS_CALLED)
    if isinstance(parameters, tuple):
        return parameters
    if parameters is None:
        return Form({"0": "rewards", "1": "group_ids"})
    takes = {}
    for place, (name, p) in enumerate(parameters.items()):
        word, needed = name.lower().strip("_"), p.default is inspect.Parameter.empty
        found = "rewards" if word in REWARDS else calls.WORDS.get(word)
        if found is None and needed and p.kind.name in (*calls.NAMED, "POSITIONAL_ONLY"):
            found = {0: "rewards", 1: "group_ids"}.get(place, "?")
        if found:
            takes[name] = found
    if "rewards" not in takes.values() or "?" in takes.values():
        return "wrong_signature", (
            f"it is called as {AS_CALLED}, with group_size or response_mask where it takes them, "
            f"and takes {inspect.signature(fn)}"
        )
    return Form(takes)


def _ask(fn: Callable, form: Form, R: Array, groups: Array) -> tuple[Array | None, dict[str, str]]:
    """The advantages (B,), or None, and what went wrong: name -> in words."""
    mask = np.ones((len(R), T), dtype=bool)
    mask[::2, -1] = False
    per_token = "response_mask" in form.takes.values()
    last = mask & (np.cumsum(mask, axis=-1) == mask.sum(-1, keepdims=True))
    rewards = R[:, None] * last if per_token else R
    given = {"rewards": rewards, "group_ids": groups, "response_mask": mask}
    given = {k: v.copy() if form.numpy else torch.tensor(v) for k, v in given.items()}
    before, size = given["rewards"].copy() if form.numpy else given["rewards"].clone(), 0
    size = int(np.bincount(groups).max())
    values = {k: size if what == "group_size" else given[what] for k, what in form.takes.items()}
    try:
        with asking.quiet():
            by_place = all(name.isdigit() for name in values)
            result = fn(*values.values()) if by_place else fn(**values)
            result = result[0] if isinstance(result, tuple) else result
            if result is None:
                return None, {"not_a_vector": "it returned None"}
            result = result.detach().double() if isinstance(result, torch.Tensor) else result
            A = np.asarray(result, dtype=float)
    except asking.STOPS as error:
        return None, {"raises": asking.error_in_words(error)}
    wrong = {}
    if not np.array_equal(np.asarray(before), np.asarray(given["rewards"])):
        wrong["changes_inputs"] = "it wrote into the rewards"
    if A.shape == (*R.shape, T):
        rows = np.where(mask, A, np.nan)
        if np.nanmax(np.abs(rows - A[:, :1])) > NEAR * max(1, np.nanmax(np.abs(rows))):
            return None, {"not_a_vector": "tokens of one answer have different advantages"}
        A = A[:, 0]
    A = A.reshape(-1) if A.size == R.size else A
    if A.shape != R.shape:
        return None, {"not_a_vector": f"it returned the shape {A.shape} for {len(R)} rewards"}
    return (A, wrong) if np.isfinite(A).all() else (None, wrong | {"nan": "a NaN or an infinity"})


def _grown(fn: Callable, form: Form, R: Array, groups: Array) -> Callable[[float], Array | None]:
    return lambda k: _ask(fn, form, k * R, groups)[0]


def _same(groups: Array) -> Array:
    return groups[:, None] == groups


def _named(seen: list[Seen], near: float) -> tuple[list[str], dict[str, float], list[str]]:
    """Baseline and divisor that give every number; else unknown, with what stands where."""
    if not any(np.abs(one.A).max() for one in seen):
        return ["no_reward"], {}, ["every advantage is 0"]
    A, models = np.concatenate([one.A for one in seen]), {}
    for name, baseline in BASELINES.items():
        tops = np.concatenate([one.R - baseline(one.R, _same(one.groups)) for one in seen])
        models[f"R_i − {WORDS[name]}"] = tops
        factor, b = float((tops @ A) / (tops @ tops)), 0.0
        if name == "none" and not _close(A, factor * tops, seen, near):
            factor, b = _line(tops, A, seen)
        if factor and _close(A, factor * (tops - b), seen, near):
            names = ["constant_baseline" if b else name]
            names += ["scaled"] * (abs(abs(factor) - 1) > near) + ["wrong_sign"] * (factor < 0)
            text = f"A_i = {factor:.6g} · (R_i − {f'{b:.4g}' if b else WORDS[name]})"
            return names, {"factor": factor} | ({"baseline": b} if b else {}), [text]
        for scale, spread in SCALES.items():
            stds = np.concatenate([spread(one.R, _same(one.groups)) for one in seen])
            models[f"(R_i − {WORDS[name]}) / {WORDS[scale]}"] = tops / np.maximum(stds, 1e-300)
            if bottom := _bottom(tops, A, stds, seen, near):
                names = [TOGETHER.get((name, scale), name)]
                names += [] if (name, scale) in TOGETHER else [f"over_{scale}"]
                text = f"A_i = (R_i − {WORDS[name]}) / {WORDS[scale]}{bottom.words}"
                return names, bottom.numbers, [text]
    return ["unknown"], {}, _side_by_side(A, models, seen)


def _line(x: Array, A: Array, seen: list[Seen]) -> tuple[float, float]:
    """k and b of A = k (x − b), where every batch counts alike."""
    scale = 1 / np.concatenate(
        [np.full(len(one.A), max(np.abs(one.A).max(), 1e-9)) for one in seen]
    )
    columns = np.array([x * scale, scale])
    size = np.abs(columns).max(-1)
    k, c = np.linalg.lstsq((columns.T / size), A * scale, rcond=None)[0] / size
    return (float(k), float(-c / k)) if k else (0.0, 0.0)


def _side_by_side(A: Array, models: dict[str, Array], seen: list[Seen]) -> list[str]:
    """Which formula it is on most batches, and five rewards of the first on which it is not."""
    agrees = {text: _agrees(A, model, seen, 1e-3) for text, model in models.items()}
    text = max(agrees, key=lambda text: agrees[text].sum())
    k = int(np.argmin(agrees[text]))
    one, at = seen[k], slice(*(sum(len(s.A) for s in seen[:j]) for j in (k, k + 1)))
    worst = sorted(np.argsort(-np.abs(A[at] - models[text][at]))[:5])
    rows = "; ".join(f"{one.R[i]:.3g} -> {one.A[i]:.3g} / {models[text][at][i]:.3g}" for i in worst)
    return [
        f"nearest: {text}, the same on {agrees[text].sum()} of {len(seen)} batches",
        f"on {one.label}, rewards -> yours / its: {rows}",
    ]


WORDS = {
    "none": "0",
    "own_mean": "the mean of its group",
    "leave_one_out": "the mean of the others in its group",
    "batch_mean": "the mean of the batch",
    "batch_leave_one_out": "the mean of all others",
    "group_median": "the median of its group",
    "group_lower_median": "the lower median of its group",
    "group_std": "the deviation of its group (ddof 0)",
    "group_std_ddof1": "the deviation of its group (ddof 1)",
    "batch_std": "the deviation of the batch (ddof 0)",
    "batch_std_ddof1": "the deviation of the batch (ddof 1)",
    "others_std": "the deviation of the others (ddof 0)",
    "others_std_ddof1": "the deviation of the others (ddof 1)",
}


def _agrees(A: Array, model: Array, seen: list[Seen], near: float) -> Array:
    starts = np.cumsum([0] + [len(one.A) for one in seen])[:-1]
    off, size = (np.maximum.reduceat(np.abs(x), starts) for x in (A - model, A))
    return off <= near * np.maximum(size, 1e-300)


def _close(A: Array, model: Array, seen: list[Seen], near: float) -> bool:
    return bool(_agrees(A, model, seen, near).all())


class Bottom(NamedTuple):
    """What is done to a deviation before it divides: numbers and words."""

    numbers: dict[str, float]
    words: str


def _bottom(tops: Array, A: Array, stds: Array, seen: list[Seen], near: float) -> Bottom | None:
    """ε of top / (std + ε) or top / √(std² + ε), or c of top / max(std, c); None if none is A."""
    some = np.abs(A) > 1e-9
    if not some.any() or (stds[some] == 0).any():
        return None
    least = some & (stds < 30 * stds[some].min())  # where an ε says most
    with np.errstate(all="ignore"):
        bottom = np.abs(tops / A)
    floor = float(np.median(bottom[some & (stds == stds[some].min())]))
    for gap, tail, of in (
        (bottom - stds, "", lambda e: stds + e),
        (bottom**2 - stds**2, " inside the root", lambda e: np.sqrt(stds**2 + e)),
    ):
        found = float(np.median(gap[least]))
        found = float(f"{found:.3g}") if 1e-10 < found < np.inf else 0.0
        for eps in (0.0, found) if near > NEAR else (found,):  # rounding may hide an ε
            if _close(A, tops / np.maximum(of(eps), 1e-300), seen, near):
                words = f", ε = {eps:.3g}{tail}" * (eps > 1e-12)
                return Bottom({"epsilon": eps}, words)
    if _close(A, tops / np.maximum(stds, floor), seen, near):
        return Bottom({"least_deviation": floor}, f", which counts as no less than {floor:.3g}")
    return None


def _edges(fn: Callable, form: Form) -> tuple[list[str], list[str]]:
    """What a group of equal rewards and a group of one give, in words; names of what is wrong."""
    said, names = [], []
    A, wrong = _ask(fn, form, *UNANIMOUS)
    if A is None:
        said.append(f"a group of equal rewards: {'; '.join(wrong.values())}")
        names += ["nan_when_equal"] * ("nan" in wrong)
    else:
        own = A[:4]
        text = "0" if not np.abs(own).max() else f"{own[0]:.3g} each"
        said.append(f"a group of equal rewards gets {text}")
    if "group_ids" in form.takes.values():
        A, wrong = _ask(fn, form, *ALONE)
        text = "; ".join(wrong.values()) if A is None else f"a reward of 2 becomes {A[0]:.3g}"
        said.append(f"a group of one: {text}")
        names += ["nan_when_alone"] * ("nan" in wrong)
    return said, names
