"""Weights that are made of the returns in another way: what can be found by asking, without a list.

A function of the return or of the rewards; a sum of rewards that is discounted otherwise; a known
weight times one number for each batch or each episode. ``M`` real steps of all cases in a row.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from coursekit.detective import known, matching, probes
from coursekit.detective.asking import alike
from coursekit.detective.cases import Case
from coursekit.detective.looking import Identity, Look

Array = np.ndarray
AT = np.array([-3.0, -1.0, -0.3, 0.0, 0.3, 1.0, 3.0])  # where a function is shown
# Names that say in which way a weight is made, not whether that is right: the expectation tells.
GENERAL = {
    *("function_of_return", "function_of_rewards", "other_discount"),
    *("rescaled_per_batch", "rescaled_per_episode", "one_weight_per_episode"),
}
SHAPES: dict[str, Callable[[Array], Array]] = {
    "tanh x": np.tanh,
    "|x|": np.abs,
    "the sign of x": np.sign,
    "x²": np.square,
    "x³": lambda x: x**3,
    "eˣ": np.exp,
    "max(x, 0)": lambda x: np.maximum(x, 0),
    "sign(x) √|x|": lambda x: np.sign(x) * np.sqrt(np.abs(x)),
    "sign(x) log(1 + |x|)": lambda x: np.sign(x) * np.log1p(np.abs(x)),
    "1/(1 + e⁻ˣ)": lambda x: 1 / (1 + np.exp(-x)),
    "1 where x > 0": lambda x: 1.0 * (x > 0),
}


def _named(look: Look, match: matching.Match, name: str, evidence: list[str]) -> Identity:
    names = tuple(n for n in known.describe(match)[0] if n not in ("sum", "constant", name))
    return Identity((*names, name), False, [look.total, *evidence], {})


def found(look: Look) -> Identity | None:
    """The first of these that the weights are, on batches whose weights are of a usual size.

    exp(880) beside 1 would hide all else.
    """
    u, usual = look.u[look.keep], matching.peak(look.u[look.keep], look.starts)
    loud = look.kept[usual > 1e6 * np.median(usual[usual > 0])] if u.any() else []
    said = []
    if len(loud):
        look = Look(np.where(np.isin(look.book.owners, loud), np.nan, look.u), *look.how)
        said = [f"batches with weights 1e6 times as large as others, left out: {len(loud)}"]
    for way in (_of_return, _other_discount, _late, _rescaled):
        if identity := way(look):
            return identity._replace(evidence=[*identity.evidence, *said])
    return None


def _late(look: Look) -> Identity | None:
    """One of the functions of a batch's or an episode's returns that have a name."""
    if found := look.search(look.blocks(late=True)):
        return _named(look, found[0], found[0].key.weight, [])
    return None


# --- One function of the return, or of every reward, for all steps.


def _single_steps(look: Look, x: Array) -> Array | None:
    """The weights of as many episodes of one step, with these rewards (N,), times N; (N,)."""
    one = np.ones((len(x), 1))
    w = look.ask(Case("", -one, x[:, None], one > 0, 0.9))
    return None if w is None else w[:, 0] * len(x)


def _of_return(look: Look) -> Identity | None:
    """The weight is f(return), or the return of f(reward); f is what one step gets for its reward.

    A function of other things too, such as of the batch, does not agree with that and has no name
    here.
    """
    names, W = known.known_weights(look.book)
    plain = [i for i, name in enumerate(names) if name[0] in probes.PLAIN]
    keys, returns = [names[i] for i in plain], W[plain][:, look.keep].round(10) + 0.0
    rewards = [case.rewards.round(10) + 0.0 for case in look.book.cases]
    every = [returns.ravel(), *(r.ravel() for r in rewards), AT]
    x, at = np.unique(np.concatenate(every), return_inverse=True)
    f = _single_steps(look, x)
    if f is None or not np.isfinite(f).any() or not f.any():
        return None
    f = np.nan_to_num(f, nan=0.0, posinf=0.0, neginf=0.0)  # where the loss itself is none
    tables = []
    cuts = np.cumsum([part.size for part in every])[:-1]
    first, *others, _ = np.split(f[at], cuts)
    tables.append(("function_of_return", keys, first.reshape(returns.shape)))
    rows = []
    for case, values in zip(look.book.cases, others, strict=True):
        changed = values.reshape(case.mask.shape) * case.mask
        table = known.weight_rows(changed, case.mask, case.gamma, probes.PLAIN)
        rows.append(np.array(list(table.values()))[:, case.mask])
    tables.append(
        ("function_of_rewards", [key[:2] for key in table], np.concatenate(rows, 1)[:, look.keep])
    )
    for name, keys, rows in tables:
        blocks = [
            matching.Block(
                [block.keys[0]._replace(weight=w, discount=d) for w, d in keys],
                rows,
                block.one,
                np.zeros(len(rows)),
            )
            for block in look.blocks()
        ]
        if found := look.search(blocks):
            return _named(look, found[0], name, [_shown(found[0].factor * f, x, name)])
    return None


def _shown(f: Array, x: Array, name: str) -> str:
    """The function in words: what it is like, and some of its values."""
    what = "the return" if name == "function_of_return" else "every reward"
    values = ", ".join(
        f"f({a:g}) = {v + 0.0:.3g}" for a, v in zip(AT, f[np.searchsorted(x, AT)], strict=True)
    )
    departs = np.abs(f - x) > 1e-4 * np.abs(x)
    if not departs[np.abs(x) <= 3].any() and departs.any():
        bent = x[departs]
        end = np.abs(bent).min()
        some = {
            bent[np.abs(bent - a).argmin()] for a in (bent.min(), -2 * end, 2 * end, bent.max())
        }
        values += "".join(f", f({a:.4g}) = {f[x == a][0] + 0.0:.4g}" for a in sorted(some))
        return f"{what} x stands as it is up to {end:.3g} in size, not beyond: {values}"
    x, f = x[np.abs(x) < 20], f[np.abs(x) < 20]
    for shape, of in SHAPES.items():
        y = of(x)
        k = (y @ f) / (y @ y)
        if np.abs(f - k * y).max() <= 1e-4 * np.abs(f).max():
            times = "" if abs(k - 1) < 1e-3 else f"{k:.4g} times "
            return f"in the place of {what} x stands {times}{shape}: {values}"
    return f"in the place of {what} x stands a function f of it: {values}"


# --- A sum of rewards that is discounted otherwise.


def _other_discount(look: Look) -> Identity | None:
    """The weight of step t is Σ_k κ(k) r_{t+k}, any κ for each γ: found by a single reward of 1."""
    book = look.book
    kernels, columns = {}, {}
    for gamma in sorted({case.gamma for case in book.cases}):
        n = max(case.mask.shape[1] for case in book.cases if case.gamma == gamma)
        rewards = np.zeros((1, 2 * n - 1))
        rewards[0, n - 1] = 1
        case = Case("", rewards - 1, rewards, rewards > -1, gamma)
        w = look.ask(case)
        if w is None:
            return None
        kernels[gamma] = w[0, ::-1], n, case.mask  # κ(k) stands at n − 1 + k
    of_case, alike_ = [], {}
    for case in book.cases:
        kappa, n, _ = kernels[case.gamma]
        T = case.mask.shape[1]
        if (case.gamma, T) not in alike_:
            t = np.arange(T)
            alike_[case.gamma, T] = kappa[n - 1 + t[:, None] - t]  # (reward, step)
        of_case.append((case.rewards @ alike_[case.gamma, T])[case.mask])
    row = np.concatenate(of_case)
    gammas = book.steps(lambda case: case.gamma + 0 * case.logp)
    for block in look.blocks():
        norm, log = block.keys[0][:2]
        factor = known.NORMALISATIONS[norm][0]
        columns = {g: factor(mask).max() for g, (_, _, mask) in kernels.items()}
        here = row / np.vectorize(columns.get)(gammas)
        key = known.Key(norm, log, "reward_to_go", "")
        one = matching.Block([key], here[look.keep][None], block.one, np.zeros(1))
        if found := matching.search(
            look.u[look.keep], [one._replace(less=0 * block.one)], look.starts, look.tolerance
        ):
            named = _named(look, found[0], "other_discount", _kernel_in_words(kernels))
            near = 10 * look.tolerance
            later = all(_departs(g, *kernel[:2], near) is None for g, kernel in kernels.items())
            return named._replace(special=later)  # only the past counts otherwise
    return None


def _departs(gamma: float, kappa: Array, n: int, near: float = 1e-4) -> int | None:
    """The first delay k at which a reward does not count as γᵏ, beside one without delay."""
    right = kappa[n - 1] * gamma ** np.arange(n)
    off = np.abs(kappa[n - 1 :] - right) > near * np.abs(kappa).max()
    return int(off.argmax()) if off.any() else None


def _kernel_in_words(kernels: dict) -> list[str]:
    of_late = {g: _departs(g, *kernel[:2]) for g, kernel in kernels.items()}
    bent = [g for g, k in of_late.items() if k is not None]
    gamma = 0.9 if 0.9 in bent else max(bent or [0.9 if 0.9 in kernels else max(kernels)])
    kappa, n, _ = kernels[gamma]
    now = kappa[n - 1] or np.abs(kappa).max()
    relative = kappa[n - 1 :] / now

    def listed(k: int) -> str:
        return ", ".join(f"{v + 0.0:.3g}" for v in relative[k : k + 6].round(6))

    said = [f"linear in the rewards: at γ = {gamma:g} one that comes 0, 1, 2 … steps later counts "]
    said[0] += listed(0)
    if (k := of_late[gamma] or 0) > 5:
        said[0] += f", as γᵏ does up to k = {k - 1}; from k = {k} on {listed(k)}"
    if np.abs(kappa[: n - 1]).max() > 1e-9 * np.abs(kappa).max():
        before = ", ".join(f"{v + 0.0:.3g}" for v in kappa[n - 2 : max(n - 6, 0) : -1] / now)
        said.append(f"rewards that came before t enter too: 1, 2 … steps before {before}")
        return said
    ratio = relative[1] if n > 1 else 0
    if ratio > 0 and np.abs(relative - ratio ** np.arange(n)).max() < 1e-4:
        said.append(f"that is {ratio:.4g}ᵏ: {ratio / gamma:.4g} γ in the place of γ")
    return said


# --- A known weight, times one number for each batch or for each episode.


def _rescaled(look: Look) -> Identity | None:
    """Every batch, or every episode, has a factor of its own, which follows rewards or log π."""
    book, keep = look.book, look.keep
    names, W = known.known_weights(book)
    owner = book.owners[keep]
    row = book.steps(lambda case: np.arange(len(case.mask))[:, None] + 0.0 * case.logp)[keep]
    episode = np.unique(owner * 1000 + row, return_inverse=True)[1]
    batches = np.flatnonzero(np.diff(owner, prepend=-1))
    episodes = np.flatnonzero(np.diff(episode, prepend=-1))
    u, W = look.u[keep], W[:, keep]
    size = np.repeat(matching.peak(u, batches), np.diff([*batches, len(u)]))
    alone, returns = (names.index((n, "")) for n in ("reward_missing", "whole_return"))
    ways = (
        ("rescaled_per_batch", batches, [*range(len(names))], (("sum",), ("episode_mean",))),
        ("one_weight_per_episode", episodes, [alone], (("sum",),)),
        ("rescaled_per_episode", episodes, [*range(alone), *range(alone + 1, len(names))],
         (("sum",),)),
    )  # fmt: skip
    for name, starts, chosen, norms in ways:
        for block in [block for block in look.blocks() if block.keys[0].normalisation in norms]:
            rows = W[chosen] * block.one
            found = _proportional(u, rows, starts, size, look.tolerance, chosen == [alone])
            for i, k in found[:1]:
                key, text = block.keys[chosen[i]], _follows(look, block, k, starts, name)
                if chosen == [alone] and text:  # or is it the return, over a length?
                    R = W[returns, starts]
                    k = np.divide(k, R, out=np.full_like(k, np.nan), where=R != 0)
                    text = text if _follows(look, block, k, starts, name) else ""
                if not text:  # lengths say all of it: a normalisation that is not known here
                    return None
                return _named(look, matching.Match(key, 1.0, 0.0, k), name, [text])
    return None


def _proportional(
    u: Array, rows: Array, starts: Array, size: Array, tolerance: float, one_number: bool
) -> list[tuple[int, Array]]:
    """The rows that are u up to one number in each part, with these numbers (parts,)."""
    xy, xx = (np.add.reduceat(x, starts, axis=-1) for x in (rows * u, rows**2))
    k = np.divide(xy, xx, out=np.full_like(xy, np.nan), where=xx > 0)
    counts = np.diff([*starts, len(u)])
    off = np.abs(u - np.repeat(np.nan_to_num(k), counts, axis=-1) * rows)
    fits = (off <= tolerance * size).all(-1)
    # parts of one step or two fit everything: in others must the numbers be seen, and differ
    low, high = np.minimum.reduceat(rows, starts, -1), np.maximum.reduceat(rows, starts, -1)
    told = (counts > 2) & ((high > low) | one_number)
    k = np.where(told, k, np.nan)
    return [(int(i), k[i]) for i in np.flatnonzero(fits & ((told & (k != 0)).sum(-1) > 20))]


def _follows(look: Look, block: matching.Block, k: Array, starts: Array, name: str) -> str:
    """In words what the numbers follow; "" where the lengths say all of it."""
    cases, keep = look.book.cases, look.keep
    row = look.book.steps(lambda case: np.arange(len(case.mask))[:, None] + 0.0 * case.logp)[keep]
    lengths = look.book.steps(lambda case: case.mask.sum(-1)[:, None] + 0.0 * case.logp)[keep]
    owner, place = look.book.owners[keep][starts], row[starts]
    whole = name == "rescaled_per_batch"
    kinds = [f"{case.mask.shape}{case.mask.tobytes()}{case.gamma}" for case in cases]
    alike_ = [[f"{kinds[o]}{'' if whole else p}" for o, p in zip(owner, place, strict=True)]]
    if not whole and _whatever_the_place(look):  # or episodes of one length in one batch
        alike_.append([f"{o} {n}" for o, n in zip(owner, lengths[starts], strict=True)])
    least, most = np.nanmin(k) + 0.0, np.nanmax(k) + 0.0
    if max(_spread(k, labels) for labels in alike_) <= 10 * look.tolerance * np.nanmax(np.abs(k)):
        return ""
    some = [case for case in cases if case.mask.shape[0] > 1 and case.rewards.any()][::40]
    moved = [(look.ask(c), look.ask(c._replace(logp=c.logp[::-1, ::-1].copy()))) for c in some]
    by_logp = block.keys[0].log and any(not alike(a, b) for a, b in moved)
    what = "batch" if name == "rescaled_per_batch" else "episode"
    of = "log π and the rewards" if by_logp else "the rewards"
    said = "the weight" if name == "one_weight_per_episode" else "the number in front"
    return f"{said} of each {what}, from {least:.3g} to {most:.3g}, follows {of}"


def _spread(k: Array, labels: list[str]) -> float:
    """The largest difference between numbers of one label; NaN counts for nothing."""
    _, same = np.unique(labels, return_inverse=True)
    low, high = np.full(same.max() + 1, np.inf), np.full(same.max() + 1, -np.inf)
    np.fmin.at(low, same, k)
    np.fmax.at(high, same, k)
    return float((high - low)[np.isfinite(low)].max(initial=0))


def _whatever_the_place(look: Look) -> bool:
    """Does an episode keep its weights where those of a batch stand in another order?"""
    case = look.book.cases[look.book.numbered("forty episodes")]
    turned = case._replace(
        **{part: getattr(case, part)[::-1].copy() for part in ("logp", "rewards", "mask")}
    )
    a, b = look.ask(case), look.ask(turned)
    return a is not None and b is not None and alike(a, b[::-1])
