"""A name for the weights that a loss puts on the real steps of all cases, or the admission of none.

``M`` real steps of all cases in a row; ``keep`` (M,) is False where the loss gave no number.
"""

from __future__ import annotations

import numpy as np

from coursekit import losses
from coursekit.detective import functions, known, matching, probes
from coursekit.detective.cases import Case, Casebook
from coursekit.detective.expectation import compared, expected, loudness, of_processes
from coursekit.detective.looking import EXACT, Identity, Look

Array = np.ndarray


@np.errstate(all="ignore")  # a loss may be of any size
def identify(u: Array, book: Casebook, ask: probes.Ask, tolerance: float) -> Identity:
    """What the weights u (M,) are called: first what is known, then what can be found by asking."""
    look = Look(u, book, ask, tolerance)
    for bound in sorted({EXACT, tolerance}):
        for rare in (False, True):
            if found := look.search(look.blocks(rare), tolerance=bound):
                return _named(look, found, bound)
    for way in WAYS:
        if identity := way(look):
            return identity
    return _unknown(look)


def _named(look: Look, found: list[matching.Match], bound: float) -> Identity:
    first = found[0]
    names, ok = known.describe(first)
    others = list({known.describe(match)[0]: 0 for match in found[1:]} | {names: 0})[:-1]
    evidence, numbers = [look.total], {"factor": first.factor}
    if bound > EXACT:
        evidence.append(f"compared to {bound:.0e} of a batch's largest weight, for rounding inside")
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        evidence.append(f"or one of: {', '.join(' + '.join(o) for o in others[:3])}{more}")
    if not known.is_one(first):
        numbers["divisor"] = 1 / abs(first.factor)
        per = "each episode's sum" if first.key.normalisation == ("sum",) else "the whole"
        evidence.append(f"{per} is divided by a constant, C = {numbers['divisor']:.5g}")
    if first.baseline:
        numbers["baseline"] = first.baseline
        evidence.append(f"the baseline is {first.baseline:.4g}")
    return Identity(names, ok, evidence, numbers)


def _free(look: Look) -> Identity | None:
    """A return less a baseline that the episode itself does not change."""
    if look.without_rewards.any() and probes.depends_on_logp(look.ask, look.book, look.tolerance):
        return None  # however small: no baseline does
    found = probes.free_baseline(look.ask, look.book, look.u, look.tolerance)
    if isinstance(found, str):
        look.departs = found
    if not isinstance(found, probes.Baseline):
        return None
    match = matching.Match(found.key, found.factor, 0.0, look.keep)
    names, ok = known.describe(match)
    evidence = [
        "where one episode is exchanged for another, its weights change as its returns do: what is "
        f"taken off depends on {probes.DEPENDS[found.kind]}"
    ]
    if ok and not expected(look.u, look.book, look.tolerance).same:
        if not probes.follows_width(look.ask, look.book):
            return None
        ok = False
        evidence.append(
            "and on the number of columns, which is the longest episode's length: that is biased, "
            "unless every batch has as many"
        )
    numbers = {"factor": found.factor}
    if not known.is_one(match):
        numbers["divisor"] = 1 / abs(found.factor)
        evidence.append(f"divided by a constant, C = {numbers['divisor']:.5g}")
    names = names or ("sum",)
    return Identity((*names, f"{found.kind}_baseline"), ok, evidence, numbers)


def _fixed(look: Look) -> Identity | None:
    """One γ for all batches."""
    for gamma in probes.fixed_gamma(look.ask):
        if found := look.search(look.blocks(gamma=gamma)):
            names = tuple(name for name in known.describe(found[0])[0] if name != "sum")
            text = f"every batch has the γ of the code, {gamma:.4g}, not its own"
            return Identity((*names, "gamma_fixed"), False, [look.total, text], {"gamma": gamma})
    return None


# What is added to the loss without the rewards: what it is called -> its weight by log π, (M,).
TERMS = {
    "log π of the actions taken": lambda logp: 0 * logp + 1,
    "½ (log π)²": lambda logp: logp,
    "π of the actions taken": np.exp,
    "π log π of the actions taken": lambda logp: np.exp(logp) * logp,
    "exp(−log π)": lambda logp: np.exp(-logp),
}


def _with_term(look: Look) -> Identity | None:
    """A known loss and a term that does not depend on the rewards."""
    term, some = look.without_rewards, look.keep
    if not np.isfinite(term[some]).all() or not term[some].any():
        return None
    rest, term = look.u - term, term.copy()
    loud = matching.peak(term[some], look.starts) > 1e6 * matching.peak(rest[some], look.starts)
    quiet = Look(np.where(np.isin(look.book.owners, look.kept[loud]), np.nan, rest), *look.how)
    for rare in (False, True):
        if rest[some].any() and (found := quiet.search(quiet.blocks(rare))):
            names = tuple(n for n in known.describe(found[0])[0] if n != "sum")
            name, evidence, numbers = _term(look, term, rest)
            return Identity((*names, name), False, evidence, numbers)
    return None


def _term(look: Look, term: Array, rest: Array) -> tuple[str, list[str], dict[str, float]]:
    """Which way it pushes the entropy, how far beside the rewards' part, and what it is."""
    book, some = look.book, look.keep
    logp, sizes = book.steps(lambda c: c.logp), book.steps(lambda c: len(c.mask) + 0 * c.logp)
    later = book.steps(lambda c: losses.reward_to_go(c.logp * c.mask, c.gamma))
    g, main = of_processes(term, book), of_processes(rest, book)
    shares = [
        np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(g, main, strict=True) if y.any()
    ]
    size = float(np.median(shares)) if shares else np.nan
    # two entropies: of the policy where it is, and as a reward that is looked forward to
    pushes = []
    for up in (of_processes(-w / sizes, book) for w in (logp, later)):
        pushes.append([compared(x, y)["cosine"] for x, y in zip(g, up, strict=True)])
    if all(
        b > 0 and np.linalg.norm(x) < 1e-6 * b for x, b in zip(g, loudness(term, book), strict=True)
    ):
        name, does = "idle_term", "its expectation is 0: it adds noise, and changes nothing"
    elif not probes.depends_on_logp(look.ask, book, look.tolerance):
        sign = "likelier" if term[some].mean() > 0 else "rarer"
        name, does = "other_term", f"nor on log π; on the whole it makes the actions taken {sign}"
    elif any(min(cosines) > 0.05 for cosines in pushes):
        name, does = "entropy_bonus", "it raises the entropy of the policy"
    elif any(max(cosines) < -0.05 for cosines in pushes):
        name, does = "entropy_penalty", "it lowers the entropy of the policy"
    else:
        sign = "likelier" if term[some].mean() > 0 else "rarer"
        name, does = "other_term", f"on the whole it makes the actions taken {sign}"
    evidence = [
        f"a term does not depend on the rewards; {does}; in expectation {size:.1e} of the rest"
    ]
    numbers, rows = {"term": size}, {label: of(logp) for label, of in TERMS.items()}
    rows["log π, where rewards are, of this step and all later ones"] = later
    rows["1, added to every reward"] = -known.steps_of_ones(book)
    candidates = []
    for block in look.blocks()[::2]:  # those with the log
        for label, row in rows.items():
            less = block.one * (np.exp(logp[some]) if label[0] == "π" else 1.0)
            key = (label, block.keys[0].normalisation)
            candidates.append(matching.Block([key], row[some][None], block.one, np.zeros(1), less))
    if found := look.search(candidates, term):
        (label, norm), k = found[0].key, -found[0].factor
        per = " + ".join(norm)
        evidence.append(f"it is {k:+.3g} times {label}, reduced by {per}, up to a constant")
        numbers["coefficient"] = k
    return name, evidence, numbers


def _clipped(look: Look) -> Identity | None:
    """A known weight, cut at two bounds, or at one."""
    u = look.u[look.keep]
    for block in look.blocks()[::2]:  # those with the log
        v = u / block.one
        high, low, near = v.max(), v.min(), (EXACT + look.tolerance) * np.abs(v).max()
        cut = (v <= low + near).sum() > 2, (v >= high - near).sum() > 2
        inside = np.flatnonzero((v < high - near) & (v > low + near) & (np.abs(v) > near))
        if not any(cut) or not len(inside):
            continue
        bounds = (low if cut[0] else -np.inf), (high if cut[1] else np.inf)
        inside = inside[np.linspace(0, len(inside) - 1, 8).astype(int)]
        with np.errstate(all="ignore"):
            ratio = v[inside] / block.rows[:, inside]
        k = np.median(ratio, axis=-1)
        may = np.isfinite(ratio).all(-1) & (np.ptp(ratio, axis=-1) < 1e-2 * np.abs(k))
        for i in np.flatnonzero(may):
            row, bound = np.clip(k[i] * block.rows[i], *bounds), block.tolerance[i]
            agrees = matching.agreement(u, row * block.one, look.starts, max(look.tolerance, bound))
            if agrees.all():
                match = matching.Match(block.keys[i], float(k[i]), 0.0, agrees)
                return _cut(look, match, "clipped", *sorted(b / k[i] for b in bounds))
    return None


def _cut(look: Look, match: matching.Match, name: str, low: float, high: float) -> Identity:
    names = tuple(n for n in known.describe(match)[0] if n not in ("sum", "constant"))
    what = "rewards are" if name == "rewards_clipped" else "what stands for the return is"
    text = f"{what} cut at {low:.4g} and {high:.4g}"
    if not np.isfinite([low, high]).all():  # on that side nothing that was asked reaches a bound
        side, end = ("below", high) if np.isfinite(high) else ("above", low)
        text = f"{what} cut at {end:.4g} (no return that was asked reaches a bound {side} it)"
    numbers = {"low": float(low), "high": float(high)}
    return Identity((*names, name), False, [look.total, text], numbers)


def _clipped_rewards(look: Look) -> Identity | None:
    """Rewards that are cut before the returns are made of them."""

    def answer(reward: float) -> float:
        w = look.ask(
            Case("", np.full((1, 1), -1.0), np.full((1, 1), reward), np.ones((1, 1), bool), 1.0)
        )
        return np.nan if w is None else float(w[0, 0])

    tiny, most, least = answer(1e-4) / 1e-4, answer(1e5), answer(-1e5)
    if not np.isfinite([tiny, most, least]).all() or not tiny:
        return None
    high, low = most / tiny, least / tiny
    if not low < high or (high > 5e4 and low < -5e4):
        return None
    ends = [end for end in (low, high) if end and abs(end) < 5e4]
    if any(abs(answer(end / 2) - tiny * end / 2) > 1e-3 * abs(tiny * end) for end in ends):
        return None  # no straight line between the bounds
    rows = []
    for case in look.book.cases:
        r = case.rewards.clip(low, high) * case.mask
        table = known.weight_rows(r, case.mask, case.gamma, probes.PLAIN)
        rows.append(np.array(list(table.values()))[:, case.mask])
    table_rows = np.concatenate(rows, axis=1)[:, look.keep]
    for block in look.blocks()[::2]:
        keys = [block.keys[0]._replace(weight=w, discount=d) for w, d, _ in table]
        one = matching.Block(keys, table_rows, block.one, np.zeros(len(keys)))
        if found := look.search([one]):
            return _cut(look, found[0], "rewards_clipped", low, high)
    return None


def _log(look: Look) -> Identity | None:
    """log(π + ε), or log π cut from below, from above or both, with a return as the weight."""
    u, some = look.u[look.keep], look.keep
    logp = look.book.steps(lambda case: case.logp)[some]
    p = np.exp(logp)
    for block in look.blocks()[::2]:  # those with the log
        for key, row in zip(block.keys, block.rows, strict=True):
            y = row * block.one
            if key.weight not in probes.PLAIN or not y.any():
                continue
            share = np.divide(u, y, out=np.full(len(u), np.nan), where=y != 0)
            here = np.isfinite(share)  # share = k π/(π + ε), so share = k − ε share/π
            rows = np.array([np.ones(here.sum()), -share[here] / p[here]])
            size = np.abs(rows).max(0)
            _, eps = np.linalg.lstsq((rows / size).T, share[here] / size, rcond=None)[0]
            k = np.median((share * (1 + eps / p))[here])
            half = here & (np.abs(share / k - 0.5) < 0.49)  # where ε says most
            eps = np.median((p * (k / share - 1))[half]) if half.any() else eps
            dead, live = logp[(u == 0) & (y != 0)], logp[u != 0]
            low = (dead.max(initial=-np.inf, where=dead < live.min()) + live.min()) / 2
            high = (dead.min(initial=np.inf, where=dead > live.max()) + live.max()) / 2
            ends = [end for end in (low, high) if np.isfinite(end)]
            for name, times, number in (
                ("log_smoothed", p / (p + eps), eps),
                ("log_clamped", 1.0 * ((logp > low) & (logp < high)), (ends or [np.nan])[0]),
            ):
                k = (u @ (y * times)) / max((y * times) @ (y * times), 1e-300)
                agrees = matching.agreement(u, k * y * times, look.starts, look.tolerance)
                if np.isfinite(number) and number != 0 and agrees.all():
                    match = matching.Match(key, float(k), 0.0, agrees)
                    names = tuple(n for n in known.describe(match)[0] if n != "sum")
                    text = f"log π is cut near {' and near '.join(f'{end:.3g}' for end in ends)}"
                    text = f"ε {float(number):.3g}" if name == "log_smoothed" else text
                    return Identity((*names, name), False, [look.total, text], {"at": number})
    return None


def _softmax_again(look: Look) -> Identity | None:
    """log π is sent through a softmax once more, over the time or over the episodes."""
    case = look.book.cases[look.book.numbered("no padding")]
    w = look.ask(case)
    if w is None:
        return None
    for axis, name in ((-1, "softmax_over_time"), (-2, "softmax_over_episodes")):
        if np.abs(w.sum(axis)).max() > 10 * look.tolerance * np.abs(w).max():
            continue  # such weights add to 0
        for masked in (True, False):
            rows: list[Array] = []
            for case in look.book.cases:
                table = known.weight_rows(case.rewards, case.mask, case.gamma, probes.PLAIN)
                logp = np.where(case.mask | (not masked), case.logp, -np.inf)
                p = np.exp(logp - logp.max(axis, keepdims=True, initial=-1e9))
                p /= np.maximum(p.sum(axis, keepdims=True), 1e-300)
                y = np.array(list(table.values()))
                norms = np.array([f[0](case.mask) for f in known.NORMALISATIONS.values()])
                y = norms[:, None] * y
                rows.append((y - p * y.sum(axis, keepdims=True))[..., case.mask])
            every = np.concatenate(rows, axis=-1)[..., look.keep]
            one = np.ones(every.shape[-1])
            for norm, table_rows in zip(known.NORMALISATIONS, every, strict=True):
                keys = [known.Key(norm, True, w, d) for w, d, _ in table]
                block = matching.Block(keys, table_rows, one, np.zeros(len(keys)), 0 * one)
                if found := look.search([block]):
                    names = tuple(n for n in known.describe(found[0])[0] if n != "sum")
                    return Identity((*names, name), False, [look.total], {})
    return None


WAYS = (_free, _fixed, _with_term, _clipped, _clipped_rewards, _log, _softmax_again)
WAYS += (functions.found,)


def _unknown(look: Look) -> Identity:
    """No name: which known loss it mostly is, if any, and where it departs from it first."""
    u, book, some = look.u, look.book, look.keep
    right = known.sum_weights(book)
    near = matching.nearest(u[some], look.blocks(), look.starts, look.tolerance)
    agrees = (
        near.agrees
        if near
        else matching.agreement(u[some], right[some], look.starts, look.tolerance)
    )
    text = "it differs from the sum first on"
    if near:
        name = " + ".join(known.describe(near)[0])
        text = f"nearest known: {name}, the same on {agrees.sum()} of {len(look.kept)} batches"
    differs = look.kept[~agrees]
    if not len(differs):  # but for rounding
        evidence = [text]
    else:  # the first that has some steps to show
        long = [n for n in differs if book.cases[n].mask.sum(-1).max() >= 3]
        number = int((long or differs)[0])
        text += "; first different on:" if near else ":"
        evidence = [f"{text} {book.cases[number].label}", _side_by_side(u, number, book)]
    if look.departs:
        evidence.append(f"as a return less a baseline it passes, until {look.departs}")
    of_exact = look.kept < sum(len(e.prob) for e in book.exact)
    return Identity(
        ("unknown",),
        False,
        evidence,
        {},
        not (near and agrees[of_exact].all()) and not look.departs,
    )


def _side_by_side(u: Array, number: int, book: Casebook) -> str:
    """Three to five steps of one episode: rewards, its weights and those of the sum, rounded."""
    case, here = book.cases[number], book.owners == number
    rows = np.full((2, *case.mask.shape), np.nan)
    rows[:, case.mask] = u[here], known.sum_weights(book)[here]
    off = np.abs(rows[0] - rows[1]).max(-1, initial=0, where=case.mask)
    off = np.where(case.mask.sum(-1) >= 3, off, -1) if (case.mask.sum(-1) >= 3).any() else off
    row = int(np.nanargmax(np.where(np.isfinite(off), off, -1)))
    n = int(case.mask[row].sum())
    seen, right, rewards = (
        np.array2string(x[row, : min(n, 5)].round(3) + 0.0, precision=3, separator=", ")
        for x in (*rows, case.rewards)
    )
    return (
        f"there, episode {row} of {len(case.mask)}, {n} steps, γ = {case.gamma:g}: rewards "
        f"{rewards}, its weights {seen}, the sum's {right}" + " …" * (n > 5)
    )
