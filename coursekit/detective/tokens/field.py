"""The exact expected step of a reduction on the language model whose every answer is listed.

Batches of four answers to one prompt, leave-one-out advantages, ρ = 1, three prompts that share
logits, a bigram policy, answers of at most six tokens. Everything is computed once and kept.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from coursekit import answers
from coursekit.detective.tokens import kl
from coursekit.detective.tokens.weights import PLACES, Reduction

Array = np.ndarray
LIMIT, GROUP = 6, 4
STARTS = {"a stop at 1/3": 1 / 3, "a stop at .15": 0.15}
KL_KINDS = ("k1", "k2", "k3", "k3_reversed", "k3_with_ratio")


class Exact(NamedTuple):
    """The angle to ∇J at both starts, in numbers and words, and what happens to lengths."""

    numbers: dict[str, float]
    words: list[str]
    headline: str


class _Start(NamedTuple):
    """One prompt at one start: its classes, token scores, and gradients of J and of lengths."""

    kinds: answers.Classes
    probability: Array
    mask: Array
    scores: Array
    up: Array
    longer: dict[str, Array]


@cache
def _starts(stop: float) -> list[_Start]:
    every = answers.every_answer("bigram", LIMIT)
    theta, found = answers.even(every, stop), []
    p, n = answers.probability(every, theta), every.lengths
    for prompt in answers.PROMPTS.values():
        R = prompt(every)
        up, longer = answers.gradient(every, theta, R), {}
        for name, who in (("wrong", 1 - R), ("right", R)):
            share, mean = p @ who, p @ (who * n) / (p @ who)
            longer[name] = answers.gradient(every, theta, who * (n - mean)) / share
        kinds = answers.classes(every, theta, R)
        scores = answers.token_scores(every, theta)
        found.append(_Start(kinds, p, every.mask, scores, up, longer))
    return found


def of(reduction: Reduction) -> Exact | None:
    """The field of a reduction; None where tokens that the policy did not write have a gradient."""
    if reduction.places not in ("response", "stop_dropped", "first_dropped"):
        return None
    return _of(reduction._replace(factor=float(np.sign(reduction.factor))))


@cache
def _of(reduction: Reduction) -> Exact | None:
    numbers, words = {}, []
    for name, stop in STARTS.items():
        starts = _starts(stop)
        fields = answers.together(np.array([_field(start, reduction) for start in starts]))
        if not np.isfinite(fields).all() or not np.any(fields):
            return None
        up = answers.together(np.array([s.up for s in starts]))
        angle = answers.angle(np.array(fields), up)
        numbers[f"angle from {name}"] = angle
        drifts = []
        for who in ("wrong", "right"):
            longer = answers.together(np.array([s.longer[who] for s in starts]))
            ours, right = (float((longer * g).sum() / (up * g).sum()) for g in (fields, up))
            drifts.append(f"{who} ones {ours:+.2f} (∇J {right:+.2f})")
        words.append(
            f"exact expectation, {name}: {_degrees(angle)} from ∇J; tokens that answers grow by, "
            f"per unit of accuracy: {', '.join(drifts)}"
        )
    worst = max(numbers.values())
    pooled = "; it falls like one over the answers that are counted together"
    headline = f"in expectation {_degrees(worst)} from ∇J (batches of four answers, worst start)"
    if worst < 1e-6:
        headline = "in expectation the direction of ∇J"
    elif reduction.name in ("step_mean", "pool_mean"):
        words[-1] += pooled
    return Exact(numbers, words, headline)


def _degrees(angle: float) -> str:
    return f"{round(angle, 1) + 0.0:.1f}°"


def _field(start: _Start, reduction: Reduction) -> Array:
    def coefficients(rewards: Array, lengths: Array) -> Array:
        baseline = (rewards.sum(-1, keepdims=True) - rewards) / (GROUP - 1)
        width = np.arange(LIMIT) < lengths[..., None]
        longest = lengths.max(-1, keepdims=True)  # to which a batch is padded
        table = reduction.table(width, np.zeros(GROUP, dtype=int), longest)
        on = PLACES[reduction.places](width)
        return (rewards - baseline) * table.sum(-1) / np.maximum(on.sum(-1), 1)

    w = answers.by_listing(start.kinds, coefficients, GROUP)[start.kinds.index]
    on = PLACES[reduction.places](start.mask) & start.mask
    z = (start.scores * on).sum(-1)
    return z @ (w * start.probability)


@cache
def kl_angle(kind: str) -> float:
    """Degrees from the expected gradient of a KL term, summed over tokens, to ∇KL; NaN for 0."""
    every = answers.every_answer("bigram", LIMIT)
    theta = np.random.default_rng(11).normal(size=(every.rows, every.vocabulary)) * 0.7
    reference = answers.even(every, 1 / 3)
    p, logp = answers.probability(every, theta), answers.logp(every, theta)
    delta = logp - answers.logp(every, reference)
    z = answers.token_scores(every, theta)
    truth = answers.gradient(every, theta, delta.sum(-1))
    step = (z * (kl.KINDS[kind][0](delta) * every.mask)).sum(-1) @ p
    if np.linalg.norm(step) < 1e-12 * np.linalg.norm(truth):
        return float("nan")
    return answers.angle(step, truth)


def kl_words(kind: str) -> str:
    """What the expected gradient of a KL term is, on one start of the listed model."""
    angle = kl_angle(kind)
    if np.isnan(angle):
        return f"{kind} as a loss: its expected gradient is 0 on policy, where it is summed"
    return (
        f"{kind}, summed over tokens: its expected gradient is {_degrees(angle)} from ∇KL(π‖ref), "
        f"on the listed model with answers of at most {LIMIT} tokens"
    )
