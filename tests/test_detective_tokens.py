"""Losses of tokens: every combination of their parts is named, and nothing else is.

The losses are written here once more, in torch, from the formulas of the field; none of them calls
the package.
"""

import math
import os
import warnings
from itertools import product

import numpy as np
import pytest
import torch

from coursekit import detective, tokens
from coursekit.detective import audit_accumulation, audit_advantages, audit_tokens
from coursekit.detective.tokens import batches, calls, field, takes_tokens, weights

torch.set_num_threads(1)
slow = pytest.mark.slow


# --- The parts.


def per_answer(x, mask):
    return ((x * mask).sum(-1) / mask.sum(-1).clamp(min=1)).mean()


def token_mean(x, mask):
    return (x * mask).sum() / mask.sum().clamp(min=1)


def pairs(x, mask):
    whole, real = ((y * mask).sum(-1).view(-1, 2).sum(-1) for y in (x, torch.ones_like(x)))
    return (whole / real.clamp(min=1)).mean()


REDUCTIONS = {
    "sum": lambda x, mask: (x * mask).sum(-1).mean(),
    "token_sum": lambda x, mask: (x * mask).sum(),
    "episode_mean": per_answer,
    "step_mean": token_mean,
    "pool_mean": pairs,
    "constant": lambda x, mask: (x * mask).sum(-1).mean() / 512,
    "padded_width": lambda x, mask: (x * mask).mean(),
    "length_weighted": lambda x, mask: ((x * mask).sum(-1) * mask.sum(-1)).mean(),
    "length_over_width": lambda x, mask: ((x * mask).mean(-1) * mask.sum(-1)).mean(),
}


def first_to_last(mask):
    start = mask.long().argmax(-1, keepdim=True)
    end = mask.shape[1] - mask.flip(-1).long().argmax(-1, keepdim=True)
    return start, end, torch.arange(mask.shape[1])


def with_prompt(mask):
    start, _, t = first_to_last(mask)
    return mask | (t < start)


def with_padding(mask):
    _, end, t = first_to_last(mask)
    return mask | (t >= end)


def without_stop(mask):
    _, end, t = first_to_last(mask)
    return mask & (t != end - 1)


def early(mask):
    return torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], 1)


def late(mask):
    return torch.cat([torch.zeros_like(mask[:, :1]), mask[:, :-1]], 1)


MASKS = {
    "response": lambda mask: mask,
    "prompt_in": with_prompt,
    "padding_in": with_padding,
    "stop_dropped": without_stop,
    "shifted_left": early,
    "shifted_right": late,
    "mask_forgotten": torch.ones_like,
}
LOW, HIGH = 0.2, 0.28


def bounded(r):
    return r.clamp(1 - LOW, 1 + HIGH)


def ppo(r, A):
    return -torch.min(r * A, bounded(r) * A)


def dual(r, A):
    return torch.where(A < 0, torch.min(ppo(r, A), -3 * A + 0 * r), ppo(r, A))


def ratio(logp, old):
    return (logp - old).exp()


def mean_ratio(logp, old, mask):
    d = ((logp - old) * mask).sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)
    return d.exp() + 0 * logp


# name -> (logp, old, A, mask) to a loss of every token; and the names that are asked for
SURROGATES = {
    "no ratio": (lambda p, q, A, m: -A * p, ()),
    "ratio": (lambda p, q, A, m: -A * ratio(p, q), ()),
    "clip": (lambda p, q, A, m: ppo(ratio(p, q), A), ()),
    "dual clip": (lambda p, q, A, m: dual(ratio(p, q), A), ("dual_clip",)),
    "sign": (lambda p, q, A, m: -ppo(ratio(p, q), A), ("wrong_sign",)),
    "max for min": (
        lambda p, q, A, m: -torch.max(ratio(p, q) * A, bounded(ratio(p, q)) * A),
        ("min_max_exchanged",),
    ),
    "clip alone": (lambda p, q, A, m: -bounded(ratio(p, q)) * A, ("zero_outside",)),
    "cispo": (lambda p, q, A, m: -bounded(ratio(p, q)).detach() * A * p, ("detached",)),
    "cispo above": (
        lambda p, q, A, m: -ratio(p, q).clamp(max=3).detach() * A * p,
        ("detached",),
    ),
    "gspo": (
        lambda p, q, A, m: (
            -torch.min(mean_ratio(p, q, m) * A, mean_ratio(p, q, m).clamp(1 - 3e-4, 1 + 4e-4) * A)
        ),
        ("sequence_ratio",),
    ),
    "inverted": (lambda p, q, A, m: ppo(ratio(q, p), A), ("ratio_inverted", "wrong_sign")),
    "inverted, sign": (lambda p, q, A, m: A * ratio(q, p), ("ratio_inverted",)),
    "pi": (lambda p, q, A, m: -A * p.exp(), ("no_log",)),
}
KLS = {
    "none": (0.0, lambda d, r: d, ()),
    "k1": (0.1, lambda d, r: d, ("k1",)),
    "k2": (0.1, lambda d, r: d * d / 2, ("k2",)),
    "k3": (0.001, lambda d, r: (-d).exp() - 1 + d, ("k3",)),
    "k3 -": (-0.1, lambda d, r: (-d).exp() - 1 + d, ("k3", "kl_wrong_sign")),
    "k2 -": (-1e-5, lambda d, r: d * d / 2, ("k2", "kl_wrong_sign")),
    "ratio k3": (0.04, lambda d, r: r * ((-d).exp() - 1 + d), ("k3_with_ratio",)),
}


def composed(reduction, mask, surrogate, term):
    change, one, reduce = MASKS[mask], SURROGATES[surrogate][0], REDUCTIONS[reduction]
    beta, kl, _ = KLS[term]

    def loss(logprobs, old_logprobs, advantages, response_mask, ref_logprobs):
        m = change(response_mask)
        x = one(logprobs, old_logprobs, advantages[:, None], m)
        if beta:
            x = x + beta * kl(logprobs - ref_logprobs, ratio(logprobs, old_logprobs))
        return reduce(x, m)

    return loss


def asked_for(reduction, mask, surrogate, term):
    names = {reduction, *SURROGATES[surrogate][1], *KLS[term][2], mask} - {"response"}
    if mask == "mask_forgotten":  # all of B·T places: three reductions are one
        names -= {"episode_mean", "step_mean", "pool_mean", "length_weighted", "length_over_width"}
        same = {
            **{k: {"padded_width"} for k in ("episode_mean", "step_mean", "pool_mean")},
            "length_over_width": {"sum"},
            "length_weighted": {"length_weighted"},
        }
        names |= same.get(reduction, set())
    return names


EVERY = list(product(REDUCTIONS, MASKS, SURROGATES, KLS))


def wrongly_named(combinations):
    wrong = {}
    for c in combinations:
        finding = audit_tokens(composed(*c))
        assert all(name in finding.said for name in finding.names)
        if set(finding.names) != asked_for(*c):
            wrong[c] = finding.names
    return wrong


@pytest.mark.slow
def test_combinations_of_all_parts_are_named():
    parts = [list(d) for d in (REDUCTIONS, MASKS, SURROGATES, KLS)]
    chosen = [
        tuple(p[(i * k + i // 13) % len(p)] for p, k in zip(parts, (1, 3, 1, 2), strict=True))
        for i in range(26)
    ]
    assert {x for c in chosen for x in c} == {x for p in parts for x in p}
    assert not wrongly_named(chosen)


@slow
@pytest.mark.parametrize(("reduction", "mask"), list(product(REDUCTIONS, MASKS)))
def test_every_combination_is_named(reduction, mask):
    """One in 31, others for each pair; all 5,733, some quarter of an hour: COURSEKIT_FULL=1."""
    first = (7 * list(REDUCTIONS).index(reduction) + list(MASKS).index(mask)) % 31
    chosen = [c for c in EVERY if c[:2] == (reduction, mask)]
    assert not wrongly_named(chosen if os.environ.get("COURSEKIT_FULL") else chosen[first::31])


def test_the_check_of_combinations_finds_a_wrong_name():
    assert asked_for("sum", "response", "clip", "k3") == {"sum", "k3"}
    names = audit_tokens(composed("sum", "response", "clip", "k2")).names
    assert set(names) != asked_for("sum", "response", "clip", "k3")


# --- Neighbours: near to something known, and not it.


def loss_of(reduction="sum", surrogate="clip"):
    return composed(reduction, "response", surrogate, "none")


def wrapped(change):
    """A loss of the plain four arguments, from what is done with the parts of a PPO loss."""

    def loss(logprobs, old_logprobs, advantages, response_mask):
        return change(logprobs, old_logprobs, advantages[:, None], response_mask)

    return loss


NEIGHBOURS = {
    "half a sum, half a mean": lambda p, q, A, m: (
        REDUCTIONS["sum"](ppo(ratio(p, q), A), m) + token_mean(ppo(ratio(p, q), A), m)
    ),
    "1/n to the 1.1": lambda p, q, A, m: ((-A * p * m).sum(-1) / m.sum(-1) ** 1.1).mean(),
    "n + 1": lambda p, q, A, m: ((-A * p * m).sum(-1) / (m.sum(-1) + 1)).mean(),
    "lengths above 100 are cut": lambda p, q, A, m: (
        (-A * ratio(p, q) * m).sum(-1) / m.sum(-1).clamp(max=100)
    ).mean(),
    "a second token dropped": lambda p, q, A, m: (
        (-A * p * without_stop(without_stop(m))).sum(-1).mean()
    ),
    "advantages cut at 2": lambda p, q, A, m: (-A.clamp(-2, 2) * ratio(p, q) * m).sum(-1).mean(),
    "advantages cut at 20": lambda p, q, A, m: (-A.clamp(-20, 20) * ratio(p, q) * m).sum(-1).mean(),
    "advantages by rank": lambda p, q, A, m: (
        (-A.argsort(0).argsort(0) * ratio(p, q) * m).sum(-1).mean()
    ),
    "rare tokens masked": lambda p, q, A, m: (-A * ratio(p, q) * m * (p > -4)).sum(-1).mean(),
    "discounted": lambda p, q, A, m: (
        (-A * ratio(p, q) * m * 0.99 ** torch.arange(m.shape[1])).sum(-1).mean()
    ),
    "clipped only where a neighbour is": lambda p, q, A, m: (
        (ppo(ratio(p, q), A) * m * (ratio(p, q).roll(1, 1) < 3)).sum(-1).mean()
    ),
    "bounds on π, not on ρ": lambda p, q, A, m: (
        (-A * ratio(p, q) * m * ((p.exp() - q.exp()).abs() < 0.2)).sum(-1).mean()
    ),
    "mean ratio of the batch": lambda p, q, A, m: (
        (-A * ((p - q) * m).mean().exp() * m).sum(-1).mean() - 0 * p.sum()
    ),
    "clipped tokens leave the divisor": lambda p, q, A, m: (
        (ppo(ratio(p, q), A) * m).sum() / (m * ((ratio(p, q) - 1).abs() < 0.2)).sum().clamp(min=1)
    ),
    "good and bad answers apart": lambda p, q, A, m: (
        token_mean(-A * p, m & (A > 0)) + token_mean(-A * p, m & (A <= 0))
    ),
    "a penalty on large ratios": lambda p, q, A, m: (
        (-A * ratio(p, q) * m + (ratio(p, q) - 1) ** 2 * m).sum(-1).mean()
    ),
    "the other's advantage": lambda p, q, A, m: (-A.roll(1, 0) * ratio(p, q) * m).sum(-1).mean(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NEIGHBOURS)
def test_a_neighbour_of_something_known_is_unknown_and_its_tokens_stand_side_by_side(name):
    finding = audit_tokens(wrapped(NEIGHBOURS[name]))
    assert not finding.ok
    assert finding.names == ("unknown",)
    tokens_ = next(text for text in finding.evidence if "yours / its" in text)
    assert 3 <= tokens_.count("place") <= 5
    assert any("points" in text and "cosine" in text for text in finding.evidence)


# --- A fuzz: whatever has a name must be what the name says, on batches that nobody has seen.


def fresh(seed):
    rng = np.random.default_rng(seed)
    B, T = (int(rng.choice([4, 8])), int(rng.integers(9, 14)))
    start, n = rng.integers(0, 3, (B, 1)), rng.integers(1, 7, (B, 1))
    mask = (np.arange(T) >= start) & (np.arange(T) < start + n)
    p = -rng.uniform(0.05, 4, (B, T))
    q, ref = p + rng.normal(0, 0.4, (B, T)), p + rng.normal(0, 0.5, (B, T))
    made = [torch.tensor(x) for x in (p, q, rng.normal(0, 2, B), mask, ref)]
    made[0].requires_grad_()
    return made


def gradient(loss, batch):
    return torch.autograd.grad(loss(*batch), batch[0])[0]


BY_NAME = {
    **REDUCTIONS,
    "longest": lambda x, m: (x * m).sum(-1).mean() / m.sum(-1).max(),
    "width_alone": lambda x, m: (x * m).sum() / m.shape[1],
    "sum_of_means": lambda x, m: per_answer(x, m) * len(m),
    "root_length": lambda x, m: ((x * m).sum(-1) / m.sum(-1).clamp(min=1) ** 0.5).mean(),
    "length_squared": lambda x, m: ((x * m).sum(-1) / m.sum(-1).clamp(min=1) ** 2).mean(),
    "position_mean": lambda x, m: ((x * m).sum(0) / m.sum(0).clamp(min=1)).mean(),
    "leave_out_twice": lambda x, m: ((x * m).sum(-1) / (m.sum() - m.sum(-1)).clamp(min=1)).sum(),
}
KL_NAMES = {names[0]: kl for _, kl, names in KLS.values() if names}


def from_names(finding):
    """The loss that a finding says it is; None where this test cannot write it."""
    names, numbers = list(finding.names), finding.numbers
    reduction = BY_NAME.get(names[0])
    mask = next((k for k in MASKS if k in names), "response")
    bound = next(
        (k for k in ("dual_clip", "min_max_exchanged", "zero_outside", "detached") if k in names),
        "",
    )
    term = next((k for k in KL_NAMES if k in names), None)
    known = {names[0], mask, bound, term, "no_log", "sequence_ratio", "wrong_sign", "scaled"}
    known |= {"kl_wrong_sign", "ratio_inverted"}
    if reduction is None or set(names) - known:
        return None
    low, high = numbers.get("clip_low", math.inf), numbers.get("clip_high", math.inf)
    factor, used = numbers["factor"], any("ratio of" in text for text in finding.evidence)
    if names[0] == "constant":
        factor *= 512

    def token(p, q, A, m):
        r = mean_ratio(p, q, m) if "sequence_ratio" in names else ratio(p, q)
        inside = r.clamp(1 - low, 1 + high)
        if not used:
            return -A * (p.exp() if "no_log" in names else p)
        if bound == "min_max_exchanged":
            return -torch.max(r * A, inside * A)
        if bound == "zero_outside":
            return -inside * A
        if bound == "detached":
            return -inside.detach() * A * p
        x = -torch.min(r * A, inside * A)
        if "ratio_inverted" in names:
            return torch.min(A / r, (1 / r).clamp(1 - low, 1 + high) * A)
        if bound == "dual_clip":
            x = torch.where(A < 0, torch.min(x, -numbers["dual_clip"] * A + 0 * x), x)
        return x

    def loss(p, q, A, m, ref):
        m = MASKS[mask](m)
        x = factor * token(p, q, A[:, None], m)
        if term:
            x = x + abs(factor) * numbers["beta"] * KL_NAMES[term](p - ref, ratio(p, q))
        return reduction(x, m)

    return loss


def random_loss(rng):
    """Parts of known and of unknown kind, drawn independently."""
    powers = rng.choice([-1, -0.5, 0, 0, 0.3, 1], 3)

    def by_powers(x, m):
        n = m.sum(-1).clamp(min=1).double()
        weight = n ** powers[0] * n.sum() ** powers[1] * len(m) ** powers[2]
        return ((x * m).sum(-1) * weight).sum()

    names = list(BY_NAME)
    a, b = (BY_NAME[names[k]] for k in rng.integers(0, len(names), 2))
    share = float(rng.choice([1, 1, 1, 1, 1, 1, 1, 0.5]))
    reduce = (
        by_powers if rng.random() < 0.1 else lambda x, m: share * a(x, m) + (1 - share) * b(x, m)
    )
    first, second = (list(MASKS.values())[k] for k in rng.integers(0, len(MASKS), 2))
    twice = rng.random() < 0.1
    low, high = rng.choice([0.1, 0.2, 0.3, 0.9]), rng.choice([0.05, 0.2, 0.28, 4.0])
    kinds = list(SURROGATES)
    one = SURROGATES[kinds[rng.integers(len(kinds))]][0]
    if rng.random() < 0.3:
        forms = [
            lambda r, A, p: -torch.min(r * A, r.clamp(1 - low, 1 + high) * A),
            lambda r, A, p: -torch.max(r * A, r.clamp(1 - low, 1 + high) * A),
            lambda r, A, p: -r.clamp(1 - low, 1 + high) * A,
            lambda r, A, p: -r.clamp(1 - low, 1 + high).detach() * A * p,
            lambda r, A, p: -r.sqrt() * A,
            lambda r, A, p: -r.log().tanh() * A,
            lambda r, A, p: -r.clamp(max=1 + high) * A,
            lambda r, A, p: -torch.min(r * A, r.clamp(1 - low, 1 + high) * A) * (p > -3.5),
        ]
        form = forms[rng.integers(len(forms))]
        one = lambda p, q, A, m: form(ratio(p, q), A, p)  # noqa: E731
    terms = list(KLS.values())
    beta, kl, _ = terms[rng.integers(len(terms))]
    scale = float(rng.choice([1, 1, 0.25, -1]))
    cut = float(rng.choice([math.inf] * 7 + [1.5]))

    def loss(logprobs, old_logprobs, advantages, response_mask, ref_logprobs):
        m = first(response_mask)
        m = second(m) if twice else m
        x = scale * one(logprobs, old_logprobs, advantages.clamp(-cut, cut)[:, None], m)
        if beta:
            x = x + beta * kl(logprobs - ref_logprobs, ratio(logprobs, old_logprobs))
        return reduce(x, m)

    return loss


def fuzzed(seed):
    """The finding of a random loss; are its names true? None where that is not checked."""
    loss = random_loss(np.random.default_rng([seed, 5]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        finding = audit_tokens(loss)
    named = from_names(finding) if finding.names[0] in BY_NAME else None
    if named is None:
        return finding, None
    for k in range(6):
        batch = fresh([seed, k])
        seen, said = gradient(loss, batch), gradient(named, batch)
        if (seen - said).abs().max() > 1e-6 * seen.abs().max():
            return finding, False
    return finding, True


def false_names(seeds):
    found = {seed: fuzzed(seed) for seed in seeds}
    true = [f for f, right in found.values() if right]
    assert len(true) > 0.2 * len(found)
    return {seed: f.names for seed, (f, right) in found.items() if right is False}


# 2601 and 2699: where one answer of each batch began at the first place, its padding, counted too,
# reached from there to the end, so that the longest row was the width.
@pytest.mark.slow
@pytest.mark.parametrize(
    "seeds", [[*range(12), 2601, 2699], pytest.param(range(12, 60), marks=slow)]
)
def test_no_name_of_a_random_composition_is_false(seeds):
    assert not false_names(seeds)


@pytest.mark.skipif(
    not os.environ.get("COURSEKIT_FULL"), reason="2,000 losses; run with COURSEKIT_FULL=1"
)
@slow
@pytest.mark.parametrize("block", range(20))
def test_no_name_of_many_random_compositions_is_false(block):
    assert not false_names(range(1000 + 100 * block, 1100 + 100 * block))


def other_layouts():
    """Masks and groups of another kind than those that are asked."""
    rng = np.random.default_rng(3)
    for B, first in ((4, 0), (8, 1), (12, 2), (8, 1), (16, 0)):
        T, t = int(rng.integers(9, 14)), np.arange(14)
        start, n = rng.integers(first, first + 3, (B, 1)), rng.integers(1, 5, (B, 1))
        yield ((t >= start) & (t < start + n))[:, :T], np.arange(B) * 2 // B


def alike_on(reductions, layouts):
    """The reductions in sets, in each of which all have the same tables up to one factor."""
    found = {}
    for r in reductions:
        w = np.concatenate([r.table(mask, groups).ravel() for mask, groups in layouts])
        if w.any():
            found.setdefault((w / np.abs(w).max()).round(9).tobytes(), []).append(r)
    return list(found.values())


def taken_for_another(labels):
    """Reductions that are one on these layouts, and more than one on others.

    Where no mask is used, pools of four in a batch of less than eight are no question.
    """
    every = [
        r
        for r in weights.candidates(list(weights.PLACES), list(weights.POOLS))
        if r.places != "mask_forgotten" or r.pool not in ("4 in a row", "quarters")
    ]
    sets = alike_on(every, [batches.layout(label) for label in labels])
    return [s for s in sets if len(alike_on(s, list(other_layouts()))) > 1]


@pytest.mark.slow
def test_no_two_reductions_are_alike_on_what_is_asked_alone(monkeypatch):
    assert not taken_for_another(batches.LAYOUTS)
    at_0 = (7, (2, 1, 0, 1), (1, 3, 2, 4), (0, 0, 1, 1))
    monkeypatch.setitem(batches.ALL, "prompts in front", at_0)
    (one,) = taken_for_another(batches.LAYOUTS)
    assert {r.name for r in one} == {"padded_width", "longest"}


def test_the_fuzz_finds_a_false_name(monkeypatch):
    monkeypatch.setitem(BY_NAME, "root_length", BY_NAME["length_squared"])
    finding = audit_tokens(wrapped(lambda p, q, A, m: token_mean(-A * p, m)))
    named, batch = from_names(finding), fresh(1)
    assert torch.allclose(gradient(named, batch), gradient(loss_of("step_mean", "no ratio"), batch))
    wrong = from_names(finding.__class__(**{**finding.__dict__, "names": ("root_length",)}))
    assert not torch.allclose(gradient(wrong, batch), gradient(named, batch))


# --- What is said of ratio, clip and KL.


def numbers_of(loss):
    return audit_tokens(loss).numbers


def test_the_bounds_of_a_clip_are_found_to_six_digits():
    found = numbers_of(wrapped(lambda p, q, A, m: (dual(ratio(p, q), A) * m).sum(-1).mean()))
    assert (found["clip_low"], found["clip_high"], found["dual_clip"]) == (0.2, 0.28, 3.0)
    odd = wrapped(
        lambda p, q, A, m: (
            (-torch.min(ratio(p, q) * A, ratio(p, q).clamp(1 - 0.123456, 1 + 0.345678) * A) * m)
            .sum(-1)
            .mean()
        )
    )
    assert numbers_of(odd)["clip_low"] == pytest.approx(0.123456, abs=2e-6)
    assert numbers_of(odd)["clip_high"] == pytest.approx(0.345678, abs=2e-6)


def test_tiny_bounds_on_a_mean_ratio_are_found():
    found = numbers_of(loss_of("episode_mean", "gspo"))
    assert (found["clip_low"], found["clip_high"]) == (3e-4, 4e-4)


def test_smooth_gates_are_named_with_their_numbers():
    def gate(p, q, A, m):
        tau = torch.where(A > 0, 1.0, 1.05)
        return -torch.sigmoid(tau * (ratio(p, q) - 1)) * 4 / tau * A

    finding = audit_tokens(wrapped(lambda p, q, A, m: per_answer(gate(p, q, A, m), m)))
    assert finding.names == ("episode_mean", "soft_gate")
    assert any("1 at A > 0 and 1.05 at A < 0" in text for text in finding.evidence)


def seen_by_all(x, mask, reduce=torch.amin):
    """One number of each answer, at each of its tokens."""
    return torch.stack([reduce(row[on], 0) for row, on in zip(x, mask, strict=True)])[:, None]


GATED = {  # (log-ratio, A, mask) -> which tokens have a gradient; and whether each token decides
    "any far below": (lambda x, A, m: seen_by_all(x, m) > -3, False),
    "any far above": (lambda x, A, m: seen_by_all(x, m, torch.amax) < 2.5, False),
    "the mean": (lambda x, A, m: seen_by_all(x, m, torch.mean) < 2, False),
    "the mean, where A < 0": (
        lambda x, A, m: (seen_by_all(x, m, torch.mean) > -2) | (A >= 0),
        False,
    ),
    "each": (lambda x, A, m: x > -3, True),
    "each, on both sides": (lambda x, A, m: x.abs() < 2, True),
}


@pytest.mark.parametrize("name", GATED)
def test_a_bound_on_a_whole_answer_is_no_bound_on_its_tokens(name):
    gate, each = GATED[name]

    def loss(logprobs, old_logprobs, advantages, response_mask):
        x, A = logprobs - old_logprobs, advantages[:, None]
        return -(x.exp() * A * gate(x.detach(), A, response_mask) * response_mask).sum(-1).mean()

    assert audit_tokens(loss).names == (("sum", "zero_outside") if each else ("unknown",))


@pytest.mark.parametrize("change", [
    lambda p: p * (p < -0.1), lambda p: p * (p.detach() < -0.01), lambda p: p.clamp(max=-1e-4),
    lambda p: p.exp().clamp(1e-14, 1 - 1e-4).log(),
])  # fmt: skip
def test_tokens_that_are_nearly_sure_count_too(change):
    def loss(logprobs, old_logprobs, advantages, response_mask):
        return -(change(logprobs) * advantages[:, None] * response_mask).sum() / response_mask.sum()

    assert audit_tokens(loss).names[0] not in ("sum", "step_mean")


def k3(d):
    return (-d).exp() - 1 + d


FAR = ("kl_other_when_far",)
FAR_KLS = {
    "k3": (k3, ("sum", "k3")),
    "k2": (lambda d: d * d / 2, ("sum", "k2")),
    "k3 up to 10": (lambda d: k3(d.clamp(-20, 20)).clamp(-10, 10), ("sum", "k3", *FAR)),
    "k2 of a clamp": (lambda d: d.clamp(-1, 1) ** 2 / 2, ("sum", "k2", *FAR)),
    "above alone": (lambda d: d.clamp(max=4) ** 2 / 2, ("sum", "k2", *FAR)),
    "Huber": (lambda d: torch.where(d.abs() < 1, d * d / 2, d.abs() - 0.5), ("sum", "k2", *FAR)),
    "hinge": (lambda d: (d.abs() - 2).clamp(min=0), ("sum", *FAR)),
}  # fmt: skip


@pytest.mark.parametrize("name", FAR_KLS)
@pytest.mark.parametrize("dtype", [torch.float64, pytest.param(torch.float32, marks=slow)])
def test_a_kl_is_looked_at_where_the_reference_is_far(name, dtype):
    kl, names = FAR_KLS[name]

    def loss(logprobs, old_logprobs, advantages, response_mask, ref_logprobs):
        p, q, r = (x.to(dtype) for x in (logprobs, old_logprobs, ref_logprobs))
        x = (p - q).exp() * advantages[:, None] - 0.01 * kl(p - r)
        return -(x * response_mask).sum(-1).mean()

    finding = audit_tokens(loss)
    assert finding.names == names
    assert "log π_ref up to 12" in finding.probed
    assert ("the term is another" in str(finding)) == ("kl_other_when_far" in names)


DIVIDED, UNEQUAL = ("sum", "advantages_divided"), ("sum", "advantages_unequal")
CHANGED = {  # A (B,) -> what the loss makes of it; the names that are asked for; a number
    "deviation": (lambda A: A / (A.std() + 1e-6), DIVIDED, None),
    "norm": (lambda A: A / A.norm(), DIVIDED, None),
    "largest": (lambda A: A / A.abs().max(), DIVIDED, None),
    "centred too": (lambda A: (A - A.mean()) / A.std(), ("sum", "advantages_standardised"), None),
    "halved": (lambda A: torch.where(A < 0, 0.5 * A, A), UNEQUAL, 0.5),
    "twice": (lambda A: torch.where(A < 0, 2 * A, A), UNEQUAL, 2),
    "dropped": (lambda A: A.clamp(min=0), ("unknown", "negatives_dropped"), None),
    "squared": (lambda A: A * A.abs(), ("unknown",), None),
    "bounded": (lambda A: A.clamp(-2, 2), ("unknown",), None),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_the_loss_makes_of_the_advantages_is_named(name):
    change, names, number = CHANGED[name]

    def loss(logprobs, old_logprobs, advantages, response_mask):
        x = ppo(ratio(logprobs, old_logprobs), change(advantages)[:, None])
        return (x * response_mask).sum(-1).mean()

    finding = audit_tokens(loss)
    assert (finding.names, finding.ok) == (names, False)
    assert finding.numbers.get("below") == (number and pytest.approx(number))


CRITIC = torch.nn.Parameter(torch.full((400,), 0.1, dtype=torch.float64))
SCALE = torch.nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
LEAVES = {
    "baseline": (lambda p, q, A, V: (p - q).exp() * (A - V), ("sum", "leaking_critic")),
    "ratio of 1": (lambda p, q, A, V: (p - p.detach()).exp() * (A - V), ("sum", "leaking_critic")),
    "scale": (lambda p, q, A, V: (p - q).exp() * A * SCALE, ("constant", "leaking_coefficient")),
    "own loss": (lambda p, q, A, V: (p - q).exp() * A - (V - 3) ** 2, ("sum",)),
    "detached": (lambda p, q, A, V: (p - q).exp() * (A - 0 * V.detach()), ("sum",)),
}


@pytest.mark.parametrize("name", LEAVES)
def test_other_tensors_that_the_policys_part_teaches_are_named(name):
    x, names = LEAVES[name]

    def loss(logprobs, old_logprobs, advantages, response_mask):
        V = CRITIC[: logprobs.shape[1]]
        every = x(logprobs, old_logprobs, advantages[:, None], V - V.detach())
        return -(every * response_mask).sum(-1).mean()

    finding = audit_tokens(loss)
    assert (finding.names, finding.ok) == (names, len(names) == 1)
    assert ("own loss" in name) == ("in which the policy's part has no share" in str(finding))


@pytest.mark.slow
@pytest.mark.parametrize("beta", [0.1, 1e-3, 1e-5, -1e-5])
@pytest.mark.parametrize("reduction", ["sum", "step_mean"])
def test_a_small_term_is_named_with_its_sign_and_its_size(beta, reduction):
    def loss(logprobs, old_logprobs, advantages, response_mask, ref_logprobs):
        x = ppo(ratio(logprobs, old_logprobs), advantages[:, None])
        d = ref_logprobs - logprobs
        return REDUCTIONS[reduction](x + beta * (d.exp() - 1 - d), response_mask)

    finding = audit_tokens(loss)
    assert not finding.ok
    assert set(finding.names) == {reduction, "k3", *["kl_wrong_sign"] * (beta < 0)}
    assert finding.numbers["beta"] == pytest.approx(beta, rel=1e-6)


def test_a_term_of_log_pi_without_advantages_is_no_entropy_bonus():
    def loss(logprobs, old_logprobs, advantages, response_mask):
        x = -advantages[:, None] * logprobs + 1e-4 * logprobs
        return REDUCTIONS["sum"](x, response_mask)

    finding = audit_tokens(loss)
    assert (finding.ok, finding.names) == (False, ("sum", "logp_term"))


@pytest.mark.slow
def test_a_kl_reduced_in_another_way_a_kl_to_the_old_policy_and_one_in_the_advantages():
    def other(logprobs, old_logprobs, advantages, response_mask, ref_logprobs):
        k2 = (logprobs - ref_logprobs) ** 2 / 2
        policy = REDUCTIONS["sum"](-advantages[:, None] * logprobs, response_mask)
        return policy + 0.1 * token_mean(k2, response_mask)

    def to_old(logprobs, old_logprobs, advantages, response_mask):
        d = logprobs - old_logprobs
        return REDUCTIONS["sum"](-advantages[:, None] * d.exp() + 0.1 * d * d / 2, response_mask)

    def inside(logprobs, old_logprobs, advantages, response_mask, ref_logprobs):
        A = advantages[:, None] - 0.1 * (logprobs - ref_logprobs).detach()
        return REDUCTIONS["sum"](ppo(ratio(logprobs, old_logprobs), A), response_mask)

    assert audit_tokens(other).names == ("sum", "k2", "kl_other_reduction")
    assert audit_tokens(to_old).names == ("sum", "k2", "kl_to_old")
    assert audit_tokens(inside).names == ("sum", "kl_in_advantages")


# --- ✓ and the exact field.


@pytest.mark.slow
def test_ok_is_given_for_the_exact_direction_alone():
    wrong = [("sum", "sign"), ("constant", "max for min"), ("sum", "pi"), ("sum", "inverted")]
    good = {
        (reduction, surrogate)
        for reduction, surrogate in [*product(REDUCTIONS, ("no ratio", "clip")), *wrong]
        if audit_tokens(loss_of(reduction, surrogate)).ok
    }
    assert good == set(product(("sum", "token_sum", "constant"), ("no ratio", "clip")))


def test_the_angles_are_those_of_the_listed_language_model():
    angles = {
        name: field.of(weights.Reduction(name, 2.5)).numbers.values()
        for name in ("sum", "episode_mean", "step_mean", "leave_out_twice")
    }
    assert max(*angles["sum"], *angles["leave_out_twice"]) < 1e-9
    # E[1/n]∇p + ∇Cov(R, 1/n), whatever the group: 10.5 and 15.1 degrees
    assert [*angles["episode_mean"]] == pytest.approx([10.52, 15.11], abs=0.01)
    assert 2 < min(angles["step_mean"]) < max(angles["step_mean"]) < 5


def test_the_fields_agree_with_every_group_listed():
    from coursekit import answers

    every = answers.every_answer("bigram", 3)
    theta, R = answers.even(every, 0.3), answers.ends_with_a(every)

    def coefficients(rewards, lengths):
        others = (rewards.sum(-1, keepdims=True) - rewards) / 2
        return (rewards - others) / lengths.sum(-1, keepdims=True)

    w = answers.every_group(answers.probability(every, theta), R, every.lengths, coefficients, 3)
    kinds = answers.classes(every, theta, R)
    listed = answers.by_listing(kinds, coefficients, 3)[kinds.index]
    assert np.abs(w - listed).max() < 1e-12


def test_a_dropped_stop_token_turns_the_field_and_a_leaking_prompt_says_nothing_of_it():
    dropped = audit_tokens(composed("sum", "stop_dropped", "clip", "none"))
    assert not dropped.ok
    assert max(v for k, v in dropped.numbers.items() if k.startswith("angle")) > 5
    leaking = audit_tokens(composed("sum", "prompt_in", "clip", "none"))
    assert not any(k.startswith("angle") for k in leaking.numbers)


# --- Forms in which it may come.


def plain(logprobs, old_logprobs, advantages, response_mask):
    return loss_of()(logprobs, old_logprobs, advantages, response_mask, None)


def with_metrics(log_prob, old_log_prob, advantages, response_mask):
    return plain(log_prob, old_log_prob, advantages, response_mask), {"clipfrac": 0.1}


def old_first(old_log_probs, log_probs, adv, mask):
    return plain(log_probs, old_log_probs, adv, mask)


def per_token_advantages(per_token_logps, old_per_token_logps, advantages, completion_mask):
    assert advantages.shape == per_token_logps.shape
    x = ppo(ratio(per_token_logps, old_per_token_logps), advantages)
    return REDUCTIONS["sum"](x, completion_mask)


def calls_backward(logprobs, old_logprobs, advantages, response_mask):
    plain(logprobs, old_logprobs, advantages, response_mask).backward()


def of_floats(logprobs, old_logprobs, advantages, response_mask):
    return plain(logprobs, old_logprobs, advantages, (1 - response_mask) == 0)


def by_place(a, b, c, d):
    return plain(a, b, c, d)


def of_keywords(**batch):
    names = ("logprobs", "old_logprobs", "advantages", "response_mask")
    return plain(*(batch[name] for name in names))


def keyword_only(*, logprobs, old_logprobs, advantages, response_mask, **_):
    return plain(logprobs, old_logprobs, advantages, response_mask)


def float32_alone(logprobs, old_logprobs, advantages, response_mask):
    if logprobs.dtype != torch.float32:
        raise TypeError("give float32")
    return plain(logprobs, old_logprobs, advantages, response_mask)


def optional(logprobs, advantages, response_mask, old_logprobs=None, beta=0.0):
    return plain(logprobs, old_logprobs, advantages, response_mask)


FORMS = [with_metrics, old_first, per_token_advantages, calls_backward, of_floats, by_place]
FORMS += [of_keywords, keyword_only, float32_alone, optional]


@pytest.mark.slow
@pytest.mark.parametrize("loss", FORMS, ids=lambda f: f.__name__)
def test_the_forms_of_the_field_are_heard(loss):
    finding = audit_tokens(loss)
    assert (finding.ok, finding.names) == (True, ("sum",))
    assert (finding.numbers["clip_low"], finding.numbers["clip_high"]) == (0.2, 0.28)


def test_what_a_reader_cannot_guess_of_the_call_is_said():
    def corrected(logprobs, old_logprobs, advantages, response_mask, rollout_log_probs):
        weight = (old_logprobs - rollout_log_probs).exp().clamp(max=2).detach()
        x = ppo(ratio(logprobs, old_logprobs), advantages[:, None])
        return token_mean(x * weight, response_mask)

    said = {f: " ".join(audit_tokens(f).evidence) for f in (by_place, float32_alone, corrected)}
    assert "a as logprobs, b as old_logprobs, c as advantages, d as response_mask" in said[by_place]
    assert "with float64 it stops" in said[float32_alone]
    assert "what corrects one is unseen" in said[corrected]
    assert "order" not in " ".join(audit_tokens(plain).evidence)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("reduction", ["sum", "episode_mean", "step_mean", "padded_width"])
def test_a_loss_that_rounds_is_named_too(dtype, reduction):
    def loss(logprobs, old_logprobs, advantages, response_mask):
        p, q, A = (x.to(dtype) for x in (logprobs, old_logprobs, advantages))
        return REDUCTIONS[reduction](ppo(ratio(p, q), A[:, None]), response_mask)

    finding = audit_tokens(loss)
    assert finding.names == (reduction,)
    assert finding.numbers["clip_low"] == pytest.approx(0.2, abs=0.03)


def by_groups(logprobs, advantages, mask, group_ids):
    x, means = -advantages[:, None] * logprobs, []
    for g in group_ids.unique():
        means.append(token_mean(x[group_ids == g], mask[group_ids == g]))
    return sum(means) / len(means)


def by_group_size(logprobs, advantages, mask, num_generations):
    x = (-advantages[:, None] * logprobs * mask).sum(-1).view(-1, num_generations).sum(-1)
    return (x / mask.sum(-1).view(-1, num_generations).sum(-1)).mean()


def in_halves(logprobs, advantages, mask):
    x = -advantages[:, None] * logprobs
    parts = zip(x.chunk(2), mask.chunk(2), strict=True)
    return sum(token_mean(*part) for part in parts) / 2


@pytest.mark.parametrize(
    ("loss", "pool"), [(by_groups, "group"), (by_group_size, "group"), (in_halves, "halves")]
)
def test_pools_within_the_loss_are_found(loss, pool):
    finding = audit_tokens(loss)
    assert finding.names == ("pool_mean",)
    assert f"counted together: {pool}" in finding.evidence


@pytest.mark.slow
def test_coursekits_own_recipes_are_named():
    def loss(logprobs, advantages, response_mask, reduction):
        parts = tokens.token_losses(logprobs, advantages, response_mask)
        return tokens.REDUCTIONS[reduction](parts, response_mask)

    found = {}
    for name in tokens.REDUCTIONS:
        finding = audit_tokens(
            lambda logprobs, advantages, response_mask, name=name: loss(
                logprobs, advantages, response_mask, name
            )
        )
        found[name] = finding.names
        assert any("holes: raises" in text for text in finding.evidence)  # refused, and it is said
    pools = {"pool_mean", "leave_out_twice"}
    same = {"typical": ("constant",), "tilt": ("episode_mean", "scaled")}  # a number is handed in
    assert {k: v for k, v in found.items() if k not in pools} == {
        name: same.get(name, (name,)) for name in tokens.REDUCTIONS if name not in pools
    }
    assert [found[k][0] for k in pools] == [*pools]


# --- What is not as it should be: one sentence each, and no crash.


def raises(logprobs, old_logprobs, advantages, response_mask):
    raise RuntimeError("no tokens today")


def returns_nothing(logprobs, old_logprobs, advantages, response_mask):
    pass


def changes_inputs(logprobs, old_logprobs, advantages, response_mask):
    value = (-advantages[:, None].clone() * logprobs * response_mask).sum(-1).mean()
    advantages *= 0.5
    return value


class Remembers:
    """Keeps a running mean of the losses and takes it off."""

    def __init__(self):
        self.mean = 0.0

    def __call__(self, logprobs, old_logprobs, advantages, response_mask):
        self.mean += 0.1
        return plain(logprobs, old_logprobs, advantages - self.mean, response_mask)


def no_advantages(logprobs, old_logprobs, advantages, response_mask):
    return -(logprobs * response_mask).sum(-1).mean()


def nothing_at_all(logprobs, old_logprobs, advantages, response_mask):
    return (0 * logprobs).sum()


def cut_off(logprobs, old_logprobs, advantages, response_mask):
    return plain(logprobs.detach(), old_logprobs, advantages, response_mask)


def a_matrix(logprobs, old_logprobs, advantages, response_mask):
    return logprobs * advantages[:, None]


def not_a_number(logprobs, old_logprobs, advantages, response_mask):
    return plain(logprobs, old_logprobs, advantages, response_mask) * math.nan


def draws(logprobs, old_logprobs, advantages, response_mask):
    return plain(logprobs, old_logprobs, advantages, response_mask) * torch.rand(())


def a_float(logprobs, old_logprobs, advantages, response_mask):
    return plain(logprobs, old_logprobs, advantages, response_mask).item()


def wants_config(log_prob, old_log_prob, advantages, response_mask, config):
    return plain(log_prob, old_log_prob, advantages, response_mask)


def stops_on_padding(logprobs, old_logprobs, advantages, response_mask):
    if not response_mask.all():
        raise ValueError("no padding, please")
    return plain(logprobs, old_logprobs, advantages, response_mask)


def whitens(logprobs, old_logprobs, advantages, response_mask):
    A = advantages[:, None] + 0 * old_logprobs
    real = A[response_mask]
    x = -(A - real.mean()) / (real.std() + 1e-8) * ratio(logprobs, old_logprobs)
    return token_mean(x, response_mask)


def skips_zeros(logprobs, old_logprobs, advantages, response_mask):
    counted = response_mask & (advantages != 0)[:, None]
    return token_mean(-advantages[:, None] * logprobs, counted)


def fills_holes(logprobs, old_logprobs, advantages, response_mask):
    start, end, t = first_to_last(response_mask)
    return plain(logprobs, old_logprobs, advantages, (t >= start) & (t < end))


def from_the_left(logprobs, old_logprobs, advantages, response_mask):
    mask = torch.arange(logprobs.shape[1]) < response_mask.sum(-1, keepdim=True)
    return plain(logprobs, old_logprobs, advantages, mask)


ODD = {
    raises: ("raises",),
    returns_nothing: ("not_a_tensor",),
    changes_inputs: ("sum", "changes_inputs"),
    Remembers(): ("not_repeatable",),
    no_advantages: ("advantages_missing",),
    nothing_at_all: ("no_gradient",),
    cut_off: ("detached",),
    a_matrix: ("not_scalar",),
    not_a_number: ("nan",),
    draws: ("not_repeatable",),
    a_float: ("not_a_tensor",),
    wants_config: ("wrong_signature",),
    stops_on_padding: ("raises",),
    whitens: ("step_mean", "advantages_standardised"),
    skips_zeros: ("step_mean", "zero_left_out"),
    fills_holes: ("sum", "holes_filled"),
    from_the_left: ("sum", "left_aligned"),
    7: ("not_callable",),
    (lambda x: x): ("wrong_signature",),
}


@pytest.mark.parametrize(
    ("loss", "names"), [*ODD.items()], ids=lambda x: getattr(x, "__name__", "_")
)
def test_whatever_is_handed_over_gets_a_name_and_a_sentence(loss, names):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        finding = audit_tokens(loss)
    assert (finding.ok, finding.names) == (False, names)
    assert finding.evidence
    assert all(text == text.strip() and text for text in str(finding).splitlines()[0:1])


@pytest.mark.parametrize("text", ["log_prob", "logprobs", "per_token_logps", "new_log_probs"])
def test_the_fields_words_for_log_pi(text):
    assert calls.role(text) == "logprobs"
    assert (
        calls.role(f"old_{text}" if text != "new_log_probs" else "old_log_probs") == "old_logprobs"
    )
    assert calls.role("ref_per_token_logps") == "ref_logprobs"
    assert calls.role("temperature") is None


def test_assert_is_pins_a_loss_of_tokens_exactly():
    detective.assert_is(loss_of("step_mean"), ("step_mean",))
    with pytest.raises(AssertionError, match=r"this is not step_mean\n✗ step_mean \+ scaled"):
        detective.assert_is(wrapped(lambda p, q, A, m: 0.5 * token_mean(-A * p, m)), ("step_mean",))
    with pytest.raises(AssertionError, match="episode_mean"):
        detective.assert_is(loss_of("episode_mean"), ("step_mean",))
    with pytest.raises(ValueError, match="'token_mean' is no name"):
        detective.assert_is(plain, ("token_mean",))


def test_audit_refuses_a_loss_of_tokens_and_points_to_the_place():
    finding = detective.audit(plain)
    assert (finding.ok, finding.names) == (False, ("wrong_signature",))
    assert "audit_tokens" in finding.evidence[0]


def test_a_signature_of_tokens_is_told_from_one_of_steps():
    assert takes_tokens(plain)
    assert takes_tokens(with_metrics)
    assert not takes_tokens(lambda logp, rewards, mask, gamma: 0)
    assert not takes_tokens(7)


# --- Advantages.


def standardised(rewards, num_generations, ddof=1, eps=1e-4, inside=False):
    grouped = rewards.view(-1, num_generations)
    var = grouped.var(1, correction=ddof, keepdim=True)
    deviation = (var + eps).sqrt() if inside else var.sqrt() + eps
    return ((grouped - grouped.mean(1, keepdim=True)) / deviation).view(-1)


@pytest.mark.parametrize("name", tokens.ADVANTAGES)
def test_every_advantage_of_the_course_is_named(name):
    finding = audit_advantages(lambda rewards, group: tokens.ADVANTAGES[name](rewards, group))
    assert finding.names == (name,)
    assert finding.ok == (name in {"none", "own_mean", "leave_one_out", "batch_mean"})


@pytest.mark.parametrize(
    ("ddof", "eps", "inside"), [*product((0, 1), (0, 1e-8, 1e-6, 1e-4), (0, 1))]
)
def test_the_deviations_ddof_and_epsilon_are_found(ddof, eps, inside):
    finding = audit_advantages(
        lambda rewards, num_generations: standardised(rewards, num_generations, ddof, eps, inside)
    )
    assert finding.names[0] == ("group_std", "group_std_ddof1")[ddof]
    if eps > 1e-8 or not inside:
        assert finding.numbers["epsilon"] == pytest.approx(eps, rel=0.02, abs=1e-9)
    assert ("nan_when_equal" in finding.names) == (eps == 0)


def test_batch_deviation_ids_and_edges_of_advantages():
    def own_over_batch(rewards, num_generations):
        mean = rewards.view(-1, num_generations).mean(1).repeat_interleave(num_generations)
        return (rewards - mean) / (rewards.std() + 1e-4)

    def by_ids(rewards, group_ids):
        out = torch.zeros_like(rewards)
        for g in group_ids.unique():
            out[group_ids == g] = rewards[group_ids == g] - rewards[group_ids == g].mean()
        return out

    def per_token(token_level_rewards, response_mask, index):
        A = by_ids(token_level_rewards.sum(-1), index)
        return A[:, None] * response_mask, None

    def of_numpy(rewards, group_ids):
        return rewards - np.mean(rewards) if isinstance(rewards, np.ndarray) else rewards.nope

    assert audit_advantages(own_over_batch).names == ("own_mean", "over_batch_std_ddof1")
    found = audit_advantages(by_ids)
    assert (found.ok, found.names) == (True, ("own_mean",))
    assert any(
        text.startswith("a group of one: a reward of 2 becomes 0") for text in found.evidence
    )
    assert audit_advantages(per_token).names == ("own_mean",)
    assert audit_advantages(of_numpy).names == ("batch_mean",)


@pytest.mark.parametrize(
    ("fn", "name"),
    [
        (lambda rewards, group_ids: rewards.argsort().argsort() * 1.0, "unknown"),
        (lambda rewards, group_ids: rewards.clamp(-1, 1), "unknown"),
        (lambda rewards, group_ids: rewards - 0.1 * rewards.mean(), "unknown"),
        (lambda rewards, group_ids: rewards / 0, "nan"),
        (lambda rewards, group_ids: rewards[:3], "not_a_vector"),
        (lambda rewards, group_ids: None, "not_a_vector"),
        (lambda rewards, group_ids: rewards.mul_(2), "changes_inputs"),
        (lambda rewards, group_ids: rewards * torch.rand(()), "not_repeatable"),
        (lambda rewards, group_ids: rewards * 0, "no_reward"),
        (lambda a, b, c: a, "wrong_signature"),
        (None, "not_callable"),
    ],
)
def test_advantages_that_are_none_of_these(fn, name):
    finding = audit_advantages(fn)
    assert not finding.ok
    assert name in finding.names


def per_group(of):
    def fn(rewards, group_ids):
        out = torch.zeros_like(rewards)
        for g in group_ids.unique():
            out[group_ids == g] = of(rewards[group_ids == g])
        return out

    return fn


@pytest.mark.parametrize(
    "fn",
    [
        per_group(lambda R: (R - R.mean()).clamp(-5, 5)),
        per_group(lambda R: (R - R.mean()).clamp(min=-20)),
        per_group(lambda R: ((R - R.mean()) / (R.std() + 1e-4)).clamp(-2, 2)),
        per_group(lambda R: ((R - R.mean()) / (R.std(correction=0) + 1e-4)).clamp(max=10)),
        lambda rewards, group_ids: rewards.clamp(-10, 10),
        lambda rewards, group_ids: 50 * torch.tanh(rewards / 50),
    ],
)
def test_a_bound_on_rewards_or_advantages_is_not_passed_over(fn):
    finding = audit_advantages(fn)
    assert (finding.ok, finding.names[0]) == (False, "unknown")
    assert "the same on" in str(finding)
    assert "rewards of both signs, 0.001 to 1586" in finding.probed


@pytest.mark.parametrize(
    ("fn", "names", "ok", "number"),
    [
        (lambda rewards, group: 2 * rewards - 1, ("constant_baseline", "scaled"), True, 0.5),
        (lambda rewards, group: rewards + 3, ("constant_baseline",), True, -3),
        (lambda rewards, group: 1 - rewards, ("constant_baseline", "wrong_sign"), False, 1),
        (per_group(lambda R: R - R.median()), ("group_lower_median",), False, None),
        (
            per_group(lambda R: (R - R.mean()) / R.std(correction=0).clamp(min=0.1)),
            ("group_std",),
            False,
            0.1,
        ),
    ],
)
def test_a_number_as_baseline_a_lower_median_and_a_least_deviation(fn, names, ok, number):
    finding = audit_advantages(fn)
    assert (finding.names, finding.ok) == (names, ok)
    found = finding.numbers.get("baseline", finding.numbers.get("least_deviation"))
    assert found == (number and pytest.approx(number))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_blunts_advantages_by_what_they_round_alone(dtype):
    one = torch.ones((), dtype=dtype)
    own = per_group(lambda R: (R.to(dtype) - R.to(dtype).mean()).double())
    over = per_group(lambda R: ((R - R.mean()).to(dtype) / (R.to(dtype).std() + 1e-4)).double())
    off = per_group(lambda R: (R - 0.98 * R.mean()) * one)
    assert audit_advantages(own).names == ("own_mean",)
    assert audit_advantages(over).names[0] == "group_std_ddof1"
    assert audit_advantages(off).names == ("unknown",)


def test_groups_of_unequal_size_are_weighted_by_their_own_mean():
    text = "groups of G weigh 1 − 1/G"
    assert text in str(audit_advantages(per_group(lambda R: R - R.mean())))
    assert text not in str(audit_advantages(lambda rewards, group_ids: rewards))


# --- Accumulation.


def micro_loss(micro):
    return -(micro["logprobs"] * micro["advantages"][:, None] * micro["response_mask"])


def n_of(micro):
    return micro["response_mask"].sum()


def global_count(parts):
    N = sum(n_of(m) for m in parts)
    for m in parts:
        (micro_loss(m).sum() / N).backward()


def mean_of_means(parts):
    for m in parts:
        (micro_loss(m).sum() / n_of(m) / len(parts)).backward()


def means_added(parts):
    for m in parts:
        (micro_loss(m).sum() / n_of(m)).backward()


def divided_twice(parts):
    N = sum(n_of(m) for m in parts)
    return sum(micro_loss(m).sum() / N / len(parts) for m in parts)


def mean_of_answers(parts):
    return sum(micro_loss(m).sum(-1).mean() / len(parts) for m in parts)


def all_answers(parts):
    return sum(micro_loss(m).sum() for m in parts) / sum(len(m["advantages"]) for m in parts)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_blunts_a_step_by_what_it_rounds_alone(dtype):
    def inside(parts):
        log_pi = [m["logprobs"].to(dtype) for m in parts]
        return all_answers([m | {"logprobs": p} for m, p in zip(parts, log_pi, strict=True)])

    def off(parts):
        masks = [m["response_mask"].to(dtype) for m in parts]
        parts = [m | {"response_mask": mask} for m, mask in zip(parts, masks, strict=True)]
        return all_answers(parts) * (1 + 1e-3 * len(parts))

    assert audit_accumulation(inside).names == ("sum",)
    assert audit_accumulation(off).names == ("unknown",)


STEPS = {
    global_count: ("step_mean",),
    mean_of_means: ("pool_mean",),
    means_added: ("step_mean", "means_added"),
    divided_twice: ("step_mean", "divided_twice"),
    mean_of_answers: ("sum", "micro_batch_mean"),
    all_answers: ("sum",),
    (lambda parts: sum(micro_loss(m).sum() for m in parts)): ("token_sum",),
    (lambda parts: micro_loss(parts[0]).sum()): ("unknown",),
    (lambda parts: None): ("not_a_tensor",),
    (lambda parts, optimizer: None): ("wrong_signature",),
    (lambda parts: parts.nothing): ("raises",),
}


@pytest.mark.parametrize(
    ("step", "names"), [*STEPS.items()], ids=lambda x: getattr(x, "__name__", "_")
)
def test_a_step_over_micro_batches_is_named_and_the_repair_is_said(step, names):
    finding = audit_accumulation(step)
    assert finding.names == names
    assert finding.ok == (names in {("step_mean",), ("sum",), ("token_sum",)})
    if names == ("pool_mean",):
        assert any("tokens of all micro-batches" in text for text in finding.advice)


# --- A peer, where it is installed: whatever it calls a violation has a name here.

peer = pytest.mark.skipif(
    not __import__("importlib").util.find_spec("polgrad"), reason="polgrad is not installed"
)


@slow
@peer
@pytest.mark.parametrize(
    "surrogate",
    [
        "clip",
        "dual clip",
        "max for min",
        "clip alone",
        "cispo",
        "inverted",
        "sign",
        "ratio",
        "no ratio",
        "pi",
    ],
)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_every_violation_that_a_peer_reports_is_named(reduction, surrogate):
    import polgrad
    from polgrad.testing import assert_conforms

    reference = polgrad.PolicyLossConfig(
        ratio=polgrad.RatioKind.TOKEN,
        surrogate=polgrad.SurrogateKind.PG_CLIP,
        clip=polgrad.ClipConfig(eps_low=LOW, eps_high=HIGH),
        aggregation=polgrad.Aggregation.TOKEN_MEAN,
    )
    for mask in MASKS:
        loss = composed(reduction, mask, surrogate, "none")

        def fn(logprobs, old_logprobs, advantages, response_mask, loss=loss):
            return loss(logprobs, old_logprobs, advantages, response_mask, None)

        finding = audit_tokens(fn)
        try:
            assert_conforms(fn, reference, n_cases=8)
        except AssertionError:
            said = finding.names, finding.numbers.get("clip_low"), finding.numbers.get("clip_high")
            assert said != (("step_mean",), LOW, HIGH)
            assert "unknown" not in finding.names
        else:  # it has no prompts in front, so a prompt that is in looks right to it
            assert set(finding.names) - {"prompt_in"} == {"step_mean"}


@peer
def test_the_peers_own_algorithms_are_named():
    import dataclasses

    import polgrad

    names = {
        "ppo": {"step_mean"},
        "dapo": {"step_mean"},
        "grpo": {"episode_mean", "k3"},
        "dr_grpo": {"constant"},
        "gspo": {"episode_mean", "sequence_ratio"},
        "gspo_token": {"episode_mean", "sequence_ratio"},
        "cispo": {"step_mean", "detached"},
        "rloo": {"sum"},
        "reinforce_pp": {"episode_mean"},
        "grpo_tis": {"episode_mean", "k3"},
    }
    for name, spec in polgrad.ALGORITHMS.items():
        config = dataclasses.replace(spec.loss, is_correction=None)
        if config.aggregation is polgrad.Aggregation.TOKEN_SUM_NORM:
            config = dataclasses.replace(config, norm_len=77)

        def loss(logprobs, old_logprobs, advantages, response_mask, ref_logprobs, config=config):
            return polgrad.policy_loss(
                config,
                logprobs=logprobs,
                old_logprobs=old_logprobs,
                advantages=advantages,
                response_mask=response_mask,
                ref_logprobs=ref_logprobs,
            )

        assert set(audit_tokens(loss).names) == names[name]
