"""What a loss of tokens does to every token: reduction, mask, ratio, clip and KL, found by asking.

Each part is found by batches in which nothing else moves; then all parts together must predict the
gradient on batches in which everything does. Only then is a name given.
Axes: ``B`` answers, ``T`` places.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from coursekit.detective import asking, graph
from coursekit.detective.finding import Finding
from coursekit.detective.tokens import batches, calls, field, kl, ratios, sentences, weights
from coursekit.detective.tokens.batches import batch, steps
from coursekit.detective.tokens.calls import Batch, Call
from coursekit.detective.tokens.ratios import Response
from coursekit.detective.tokens.weights import Reduction

Array = np.ndarray
TOLERANCE = 5e-5  # of the largest weight of a batch; wider where the loss itself rounds
PLAIN, EIGHT = "lengths 1, 3, 2, 4", "eight answers"
STEPS = np.geomspace(3e-5, 4, 24)
GRID = np.concatenate([-STEPS[::-1], [0], STEPS])
FAR = 12  # the largest log π − log π_ref that is asked
COARSE = np.arange(1, 17) ** 2 / 64  # where the loss rounds: multiples of 1/64, up to 4


class Model(NamedTuple):
    """All parts of a loss, and what they say about any batch."""

    reduction: Reduction
    transform: str = ""
    below: float = 1.0  # by what advantages below 0 are multiplied
    log: bool = True
    response: Response | None = None
    ratio_of: str = "places"
    term: kl.Term | None = None

    @property
    def plain(self) -> bool:
        """Are the advantages taken as they are?"""
        return not self.transform and self.below == 1

    def advantages(self, b: Batch) -> Array:
        """What the loss makes of them, (B, T)."""
        A = weights.TRANSFORMS[self.transform](per_token(b), b.mask)
        return np.where(A < 0, self.below * A, A)

    def table(self, b: Batch) -> Array:
        """The weight of every place at ρ = 1 and A = 1, (B, T)."""
        return self.reduction.table(b.mask, b.groups) * (1.0 if self.log else np.exp(b.logp))

    def x(self, b: Batch) -> Array:
        """The log-ratio that every place sees, (B, T)."""
        places = weights.PLACES[self.reduction.places](b.mask)
        return ratios.level_x(
            self.response.level, b.logp - b.old, places if self.ratio_of == "places" else b.mask
        )

    def predict(self, b: Batch) -> Array:
        """−∂loss/∂log π of every place, (B, T)."""
        A = self.advantages(b)
        delta, x, extra = b.logp - b.ref, b.logp - b.old, 0.0
        if self.term and self.term.inside:
            A = A - self.term.reduction.factor / self.reduction.factor * delta
        elif self.term:
            table = self.term.reduction.table(b.mask, b.groups)
            extra = table * self.term.factor(delta, x)
        response = self.response.weight(self.x(b), np.sign(A)) if self.response else 1.0
        return self.table(b) * A * response - extra

    def near_a_border(self, b: Batch, margin: float) -> Array:
        """Places whose ratio stands on the border of a clip, where either side may be seen."""
        gaps = [np.abs(self.x(b) - border) for border in self.response.borders]
        return np.min([*gaps, np.full(b.mask.shape, np.inf)], axis=0) < margin


def _near(a: Array, b: Array, tolerance: float) -> bool:
    return bool(np.abs(a - b).max() <= 2 * tolerance * np.abs(b).max())


def per_token(b: Batch) -> Array:
    """The advantages as (B, T)."""
    return np.broadcast_to(b.advantages.reshape(len(b.advantages), -1), b.mask.shape)


class Probe:
    """Asks one loss, keeps what went wrong, and knows how much it rounds."""

    def __init__(self, call: Call):
        self.call, self.wrong, self.rounding = call, {}, 0.0

    @property
    def tolerance(self) -> float:
        """Of the largest weight of a batch."""
        return min(0.06, max(TOLERANCE, 8 * self.rounding))

    @property
    def fine(self) -> float:
        """For two answers to one question: rounding alone."""
        return max(1e-9, 4 * self.rounding)

    @property
    def pools(self) -> list[str]:
        """Which answers may be counted together."""
        grouped = {"group_ids", "group_size"} & set(self.call.takes.values())
        return [name for name in weights.POOLS if name != "group" or grouped]

    def labels(self) -> list[str]:
        """The layouts that are asked."""
        more = [batches.UNEVEN] * ("group_ids" in self.call.takes.values())
        return [*batches.LAYOUTS, *more]

    def weights(self, b: Batch) -> Array | None:
        """−∂loss/∂log π, or None; what went wrong is kept, with the label."""
        weight, wrong = calls.ask(self.call, b)
        for name, text in wrong.items():
            self.wrong.setdefault(name, {}).setdefault(b.label, text)
        return weight

    def policy(self, b: Batch) -> Array | None:
        """The part that depends on the advantages: what is left without that of A = 0."""
        with_A = self.weights(b)
        without = self.alone(b)
        if with_A is None or without is None:
            return with_A
        return with_A - without

    def alone(self, b: Batch) -> Array | None:
        """What is there at advantages of 0; None where that is no number."""
        weight, _ = calls.ask(self.call, b._replace(advantages=0 * b.advantages))
        return weight


def audit_tokens(loss: Callable[..., Any]) -> Finding:
    """Name ``loss(logprobs, old_logprobs, advantages, response_mask) -> scalar``, to be minimised.

    Tensors (B, T), advantages (B,) or (B, T), by the field's names for them or in this order;
    ``ref_logprobs``, ``group_ids`` and ``group_size`` where it takes them. (scalar, metrics) will
    do. What is compared is ∂loss/∂log π on small batches: which tokens count, by what they are
    divided, the ratio and its bounds, a KL. Nothing here raises.

    ✓ says: every part has a name, the mask is right, and while the policy that writes is the one
    that learns, the expected step has exactly the direction of ∇J for advantages that are unbiased
    (sum, token_sum, constant). A ratio may be bounded as PPO, dual clip or CISPO do, or tokens left
    out beyond bounds: at ratio 1 that changes nothing. A mean over a random number of tokens gets
    no ✓, nor does a term beside the policy gradient, such as a KL: the angles say how much it is.
    """
    call = calls.bound(loss)
    if not isinstance(call, Call):
        return _finding(call[:1], evidence=call[1:])
    probe = _working(call)
    if not isinstance(probe, Probe):
        return _finding(tuple(probe), evidence=list(probe.values()))
    first = batch(EIGHT)
    if not asking.alike(probe.weights(first), probe.weights(first)):
        text = "a batch that is given again has another gradient"
        return _finding(("not_repeatable",), evidence=[text])
    probe.rounding = _rounding(probe)
    return _Audit(probe).finding()


def _finding(names: Sequence[str], ok: bool = False, **said: Any) -> Finding:
    return Finding(names=tuple(names), ok=ok, said=sentences.TOKENS, **said)


def _working(call: Call) -> Probe | dict[str, str]:
    """The first form in which the function gives a gradient; else what goes wrong in the first."""
    first: dict[str, str] = {}
    for way in call.ways():
        weight, wrong = calls.ask(way, batch(PLAIN))
        if weight is not None:
            return Probe(way)
        first = first or wrong
        if not {"raises", "not_scalar", "nan"} & set(wrong):
            break
    return first


def _rounding(probe: Probe) -> float:
    """How far weights are from growing in proportion to all advantages, or from not growing."""
    base, off = batch(EIGHT), []
    alone, whole = probe.alone(base), probe.weights(base)
    if alone is None or whole is None:
        return 0.0
    some = np.abs(whole - alone) > 1e-6 * np.abs(whole).max()
    for more in (1.0037, 1.0113, 1.027):
        grown = probe.weights(base._replace(advantages=more * base.advantages))
        if grown is None or not some.any():
            return 0.0
        ratio = (grown - alone)[some] / (whole - alone)[some]
        off.append(np.minimum(np.abs(ratio / more - 1), np.abs(ratio - 1)).max())
    return float(max(off)) if max(off) < 8e-3 else 0.0


class _Audit:
    """One audit, part by part."""

    def __init__(self, probe: Probe):
        self.probe, self.notes, self.names = probe, [], []
        self.asked: list[Batch] = []

    # --- The parts.

    def finding(self) -> Finding:
        """Ask for every part; name what all of them together explain."""
        tables = self._on_policy()
        if isinstance(tables, Finding):
            return tables
        model = self._reduction(tables)
        if model is None:
            return self._unknown_reduction(tables)
        response, ratio_of = self._response(model)
        if response is None:
            return self._unknown(model, "off policy", self._off_policy(), sentences.NO_RATIO)
        model = model._replace(response=response, ratio_of=ratio_of)
        models = self._with_term(model)
        if not models:
            return self._unknown(
                model, "the term without advantages", self._apart(), sentences.NO_KL
            )
        for model in models:
            if (odd := self._first_odd(model)) is None:
                return self._named(model)
        return self._unknown(models[0], "everything at once", odd, sentences.NOT_TOGETHER)

    def _on_policy(self) -> list[tuple[Batch, Array]] | Finding:
        """S = what depends on the advantages at ρ = 1 and δ = 0, on every layout."""
        probe, seen = self.probe, []
        for label in probe.labels():
            b = batch(label)
            part = probe.policy(b)
            if part is not None:
                seen.append((b, part))
        raised = probe.wrong.pop("raises", {})
        if raised and len(seen) > len(raised) and PLAIN not in raised and EIGHT not in raised:
            self.notes += [
                f"not looked at, for it stops there: {k} ({v})" for k, v in raised.items()
            ]
        elif raised:
            probe.wrong["raises"] = raised
        troubles = {name: next(iter(at.items())) for name, at in probe.wrong.items()}
        self.names += [*troubles]
        said = [f"{name}: {text} (first on: {label})" for name, (label, text) in troubles.items()]
        if len(seen) < 4 or "raises" in troubles:
            return _finding(self.names or ["unknown"], evidence=said)
        self.notes += said
        size = max(np.abs(part).max() for _, part in seen)
        if not size:
            alone = max(
                np.abs(w).max() if w is not None else 0 for w in map(probe.alone, self._bs())
            )
            name = "advantages_missing" if alone else "no_gradient"
            return _finding([name, *self.names], evidence=[sentences.TOKENS[name][0]])
        return seen

    def _bs(self) -> list[Batch]:
        return [batch(PLAIN), batch(EIGHT)]

    def _reduction(self, seen: list[tuple[Batch, Array]]) -> Model | None:
        """Whose advantages, log or not, which places, by what divided: the tables at ρ = 1."""
        for name, k in itertools.chain(((t, 1.0) for t in weights.TRANSFORMS), self._below()):
            if not self._follows(Model(Reduction("sum", 1.0), name, k)):
                continue
            for log in (True, False):
                model = Model(Reduction("sum", 1.0), name, k, log)
                tables = []
                for b, part in seen:
                    A = model.advantages(b) * (1.0 if log else np.exp(b.logp))
                    tables.append((b.mask, b.groups, part / np.where(np.abs(A) > 1e-12, A, np.inf)))
                if found := weights.identify(tables, self.probe.tolerance, self.probe.pools):
                    return model._replace(reduction=found)
        return None

    def _below(self) -> Iterator[tuple[str, float]]:
        """By what advantages below 0 may be multiplied: from one batch with its signs exchanged."""
        b = batch(EIGHT)
        a, c = self._moved[0][1], self.probe.policy(b._replace(advantages=-b.advantages))
        some = (per_token(b) > 0) & b.mask
        if a is not None and c is not None and a[some].all() and c[some].all():
            yield "", float(np.median(-c[some] / a[some]))

    @cached_property
    def _moved(self) -> list[tuple[Batch, Array | None]]:
        """One batch under three sets of advantages, the last of them small."""
        small = 1000 if self.probe.fine < 1e-5 else 8  # of what is rounded to 0
        A = batch(EIGHT).advantages
        moved = [batch(EIGHT, a) for a in (A, np.roll(A, 3) ** 3 / 4, A / small)]
        return [(b, self.probe.policy(b)) for b in moved]

    def _follows(self, model: Model) -> bool:
        """Do the weights on one batch follow the model's advantages, whatever they are?"""
        parts = []
        for b, part in self._moved:
            by = model.advantages(b)
            if part is None or not np.isfinite(by).all() or np.abs(by).min() < 1e-9:
                return False
            parts.append(part / by)
        return all(_near(p, parts[0], self.probe.tolerance / 2) for p in parts)

    def _response(self, model: Model) -> tuple[Response | None, str]:
        """Level, power and pieces: near ratios first, then far ones, one to an answer."""
        probe, fine = self.probe, self.probe.fine
        base, alone = batch(EIGHT), self._terms
        at_one = probe.policy(base)
        places = weights.PLACES[model.reduction.places](base.mask)

        def ask(x: Array) -> Array | None:
            b = batch(EIGHT, x=x)
            part = probe.policy(b) if alone else probe.weights(b)
            self.asked.append(b)
            return None if part is None else part / np.where(places, at_one, np.inf)

        A = model.advantages(base)
        found, ratio_of = None, "mask"
        for unit, most in ((1 / 64, 11), (1e-3, 9), (1e-5, 9), (1e-6, 9)):
            if found or unit * most < 4 * fine:
                break
            xs = [steps(EIGHT, seed, unit, most) for seed in (1, 2)]
            ws = [ask(x) for x in xs]
            if any(w is None for w in ws):
                continue
            for M in (places, base.mask):
                pairs = zip(xs, ws, strict=True)
                near = [ratios.Near(x, M, places, w, np.sign(A)) for x, w in pairs]
                if found := ratios.find_level(near, max(fine, 1e-4 * unit)):
                    ratio_of = "places" if M is places else "mask"
                    break
        if not found:
            return None, "places"
        level, power = found
        M = places if ratio_of == "places" else base.mask
        rows = {
            s: [i for i in np.flatnonzero(places.any(-1)) if np.sign(A[i, 0]) == s] for s in (1, -1)
        }
        n = M.sum(-1) if level == "answer" else np.ones(len(M))

        def far(x: Array, signs: Array) -> Array:
            values, waiting = (
                np.full(len(x), np.nan),
                {s: [*np.flatnonzero(signs == s)] for s in rows},
            )
            while any(waiting.values()):
                at, put = np.zeros(base.mask.shape), []
                for s, free in rows.items():
                    for i in free[: len(waiting[s])]:
                        k = waiting[s].pop(0)
                        at[i] = x[k] / n[i]
                        put.append((k, i))
                w = ask(at)
                for k, i in put if w is not None else []:
                    values[k] = w[i, places[i].argmax()]
            return values

        if not rows[1] or not rows[-1]:
            return None, ratio_of
        grid = GRID if fine < 1e-5 else np.concatenate([-COARSE[::-1], [0], COARSE])
        pieces = None
        if not np.isnan(power):
            pieces = ratios.find_pieces(far, power, grid, max(1e-6, 2 * fine))
        if pieces is not None:
            return Response(level, power, pieces), ratio_of
        soft = ratios.find_gate(far, 1e-6) if fine < 1e-7 else None
        return (Response(level, power, {}, soft) if soft else None), ratio_of

    @cached_property
    def _left(self) -> list[tuple[Batch, Array]]:
        """What is left at A = 0 when ratios or the reference move."""
        pairs = [(b, self.probe.alone(b)) for b in self._apart()]
        return [(b, -w) for b, w in pairs if w is not None]

    @cached_property
    def _terms(self) -> bool:
        """Is anything left?"""
        size = np.abs(self.probe.weights(batch(EIGHT))).max()
        return any(np.abs(w).max() > 1e-11 * size for _, w in self._left)

    def _apart(self) -> list[Batch]:
        """Batches of A = 0: on policy and off, near the reference and away from it."""
        found, ref = [], "ref_logprobs" in self.probe.call.takes.values()
        for k, label in enumerate(batches.LAYOUTS):
            near, far = steps(label, 3 + k, most=7), steps(label, 5 + k, most=48)
            found += [batch(label, 0.0, delta=far, seed=k)] * ref
            found.append(batch(label, 0.0, x=near, seed=k))
        both = batch(EIGHT, 0.0, x=steps(EIGHT, 30, most=7), delta=steps(EIGHT, 9, most=48))
        return [*found, both, batch(EIGHT, 0.0)]

    def _with_term(self, model: Model) -> list[Model]:
        """The model with what is left at A = 0; more than one where another batch must decide."""
        probe = self.probe
        if not self._terms:
            return [model]
        seen, found = self._left, []
        takes = set(probe.call.takes.values())
        for to in [name for name in ("ref", "old") if f"{name}_logprobs" in takes] or ["old"]:
            for kind in kl.KINDS:
                tables = []
                for b, w in seen:
                    empty = Reduction("sum", 1.0)
                    kappa = kl.Term(kind, empty, to).factor(b.logp - b.ref, b.logp - b.old)
                    if np.abs(w[kappa == 0]).max(initial=0) > 1e-9 * max(1, np.abs(w).max()):
                        break
                    w = np.divide(w, kappa, out=np.zeros_like(w), where=np.abs(kappa) > 1e-9)
                    if (np.abs(kappa) > 1e-9).all():
                        tables.append((b.mask, b.groups, w))
                else:
                    alike = [w for M, _, w in tables if len(M) == 8]
                    if any(not _near(w, alike[0], probe.tolerance) for w in alike):
                        continue
                    enough = len(tables) > 3 and len({len(M) for M, _, _ in tables}) > 1
                    if enough and (
                        r := weights.identify(tables, probe.tolerance, probe.pools, powers=False)
                    ):
                        found.append(model._replace(term=kl.Term(kind, r, to)))
        inside = [
            m._replace(term=m.term._replace(inside=True))
            for m in found
            if (m.term.kind, m.term.to) == ("k3_with_ratio", "ref")
            and m.term.reduction._replace(factor=1.0) == m.reduction._replace(factor=1.0)
        ]
        return found + inside

    # --- All parts together.

    def _off_policy(self) -> list[Batch]:
        return [batch(EIGHT, x=steps(EIGHT, 1, most=7)), batch(EIGHT, x=steps(EIGHT, 2, most=48))]

    def _hard(self, model: Model) -> list[Batch]:
        """Batches in which everything moves at once; then one token of an answer beyond a border.

        There the others show whether a ratio bounds its own token alone, or the whole answer.
        """
        found = []
        for k, label in enumerate(self.probe.labels()):
            for most in (12, 100):
                x, delta = steps(label, 20 + k, most=most), steps(label, 40 + k, most=48)
                A = np.roll(batches.LADDER, k)[: len(x)]
                A = np.resize(A, len(x)) * (1 + np.arange(len(x)) / 7)
                found.append(batch(label, A, x, delta, seed=10 + k))
        if self.probe.fine < 1e-5:  # rare and sure tokens, large advantages, long answers
            x, delta = steps(EIGHT, 60, most=60), steps(EIGHT, 61, most=48)
            A = 10 * batch(EIGHT).advantages
            found.append(batch(EIGHT, A[::-1], x, delta, seed=62, times=5))
            found.append(batch(EIGHT, None, x, delta, seed=66, times=1 / 2048))
            x, delta = steps(batches.LONG, 63, most=30), steps(batches.LONG, 64, most=48)
            found.append(batch(batches.LONG, None, x, delta, seed=65))
        mask = batch(EIGHT).mask
        for k, border in enumerate(sorted({round(b, 6) for b in model.response.borders})):
            x = steps(EIGHT, 70 + k, most=7)
            for i, row in enumerate(mask):
                there = np.flatnonzero(row)
                x[i, there[(i + k + 1) % len(there)]] = (
                    np.round(64 * border + 16 * np.sign(border)) / 64
                )
            found.append(batch(EIGHT, None, x, seed=80 + k))
        return found

    def _first_odd(self, model: Model) -> list[Batch] | None:
        """The first batch on which the model is not what is seen; None if there is none."""
        for b in self._hard(model):
            seen = self.probe.weights(b)
            if seen is None:
                if b.label in " ".join(self.notes):
                    continue
                return [b]
            want = model.predict(b)
            size = max(np.abs(want).max(), np.abs(seen).max())
            off = np.abs(seen - want) > self.probe.tolerance * size
            if (off & ~model.near_a_border(b, max(2e-3, 2 * self.probe.fine))).any():
                return [b]
        return None

    # --- In words.

    def _named(self, model: Model) -> Finding:
        parts, numbers, evidence = sentences.describe(model, self.probe)
        evidence += [*self.probe.call.said(), *self._edges(model)]
        if far := self._far_from_reference(model):
            self.names.append("kl_other_when_far")
            evidence = [text for text in evidence if not text.startswith("no KL")] + far
        exact = field.of(model.reduction) if model.plain and model.log else None
        headline = ""
        if exact:
            numbers |= exact.numbers
            evidence += exact.words
            headline = exact.headline
            headline = f"its policy part is {headline}" if model.term else headline
            headline = "the other way" if "wrong_sign" in parts else headline
        if model.term and model.term.kind in field.KL_KINDS:
            evidence.append(field.kl_words(model.term.kind))
        self._other_leaves()
        names = [*parts, *self.names]
        ok = not set(names) - sentences.RIGHT and names[0] in sentences.DIRECTION
        return _finding(
            names,
            ok,
            evidence=[*evidence, *self.notes],
            numbers=numbers,
            headline=headline,
            probed=sentences.probed(self.probe),
        )

    def _far_from_reference(self, model: Model) -> list[str]:
        """Where |δ| is large, does the term differ from what it is called? In words, if so."""
        to = model.term.to if model.term else "ref"
        if f"{to}_logprobs" not in self.probe.call.takes.values() or self.probe.fine > 1e-5:
            return []
        said, mask = [], batch(EIGHT).mask
        for sign, word in ((-1, "below"), (1, "above")):
            d = np.zeros(mask.shape)
            d[mask] = sign * np.round(64 * np.geomspace(FAR / 16, FAR, mask.sum())) / 64
            b = batch(EIGHT, 0.0, **{"delta" if to == "ref" else "x": d})
            seen, want = self.probe.alone(b), model.predict(b)
            if seen is None:
                said.append(f"no number where log π − log π_{to} is {sign * FAR}")
                continue
            least = 1e-6 * np.abs(self.probe.weights(batch(EIGHT))).max() * (model.term is None)
            off = mask & (np.abs(seen - want) > self.probe.tolerance * np.abs(want) + least)
            if off.any():
                first = d[off][np.abs(d[off]).argmin()]
                none = " and has no gradient" * bool(
                    np.abs(seen[off]).max() < 1e-9 * np.abs(seen).max()
                )
                said.append(f"{word} log π − log π_{to} = {first:.3g} the term is another{none}")
        return said

    def _other_leaves(self) -> None:
        """Other tensors to which the policy's part of the loss gives a gradient."""
        call = self.probe.call
        others = graph.other_leaves(call.fn, lambda b: calls.ask(call, b)[0], batch(EIGHT))
        for scales, name in ((True, "leaking_coefficient"), (False, "leaking_critic")):
            if told := [leaf.name for leaf in others if leaf.leaks and leaf.scales == scales]:
                self.names.append(name)
                text = "the policy's part of the loss has a gradient for"
                self.notes.append(f"{text} {', '.join(told)}" + ", which only scales it" * scales)
        if others and not any(leaf.leaks for leaf in others):
            text = "another gradient, in which the policy's part has no share"
            self.notes.append(f"{', '.join(leaf.name for leaf in others)}: {text}")

    def _edges(self, model: Model) -> list[str]:
        """What holes, an empty answer and an advantage of 0 do; in words."""
        probe, said, model = self.probe, [], model._replace(term=None)  # the policy's part alone
        for label in (batches.HOLES, batches.EMPTY):
            b = batch(label)
            weight, wrong = calls.ask(probe.call, b)
            if weight is None:
                why = next(iter(wrong.values()))
                said.append(f"{label}: {next(iter(wrong))} ({why})")
                continue
            without = probe.alone(b)
            weight = weight - (0 if without is None else without)
            text, odd = sentences.edge(label, model, b, weight, probe.tolerance)
            said.append(text)
            self.names += ["holes_filled"] * (odd and label == batches.HOLES)
        A = batch(PLAIN).advantages * np.array([1, 1, 0, 1])
        b = batch(PLAIN, A)
        weight = probe.policy(b)
        if weight is not None and model.plain:
            off = np.abs(weight - model.predict(b)).max()
            if off > probe.tolerance * np.abs(weight).max():
                said.append("an answer of advantage 0 is not counted in the divisor")
                self.names.append("zero_left_out")
        if probe.call.shape == "BT" and model.plain:
            b = batch(PLAIN)
            A = per_token(b) * (1 + np.arange(b.mask.shape[1]) / 3)
            weight = probe.policy(b._replace(advantages=A))
            want = model.predict(b._replace(advantages=A))
            same = (
                weight is not None
                and np.abs(weight - want).max() <= probe.tolerance * np.abs(want).max()
            )
            said.append(
                "each token has its own advantage"
                if same
                else "advantages that differ within an answer: not each token has its own"
            )
        return said

    def _unknown_reduction(self, seen: list[tuple[Batch, Array]]) -> Finding:
        tables = [(b.mask, b.groups, part / per_token(b)) for b, part in seen]
        near = weights.nearest(tables, self.probe.pools, self.probe.tolerance)
        b, part = next((b, part) for b, part in seen if b.label == EIGHT)
        if not np.abs(part[per_token(b) < 0]).max() > 1e-9 * np.abs(part).max():
            self.names.append("negatives_dropped")
        return self._unknown(
            Model(near), "at ratio 1", [b for b, _ in seen], sentences.NO_REDUCTION
        )

    def _unknown(self, model: Model, where: str, found: list[Batch], why: str) -> Finding:
        """No name: what is nearest, where it differs, tokens side by side, the cosine in words."""
        said = [why, *sentences.parts_so_far(model, why)]
        worst, most = None, -1.0
        for b in found:
            seen, want = self.probe.weights(b), model.predict(b)
            if seen is None:
                said.append(f"no gradient there: {calls.ask(self.probe.call, b)[1]}")
                continue
            off = np.abs(seen - want).max() / max(np.abs(seen).max(), 1e-300)
            if off > most:
                worst, most = (b, seen, want), off
        if worst:
            said += sentences.side_by_side(*worst, where, model)
        return _finding(
            ("unknown", *self.names),
            evidence=[*said, *self.notes],
            probed=sentences.probed(self.probe),
        )
