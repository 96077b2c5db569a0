"""A language model so small that every answer is listed: exact expectations of any estimator.

The policy writes letters until it writes *stop*, the last token of the vocabulary. It writes one
letter at least and is cut off after ``limit`` tokens; the length n counts the stop. Shapes: ``N``
answers, ``T`` tokens, ``V`` vocabulary, ``S`` contexts, ``C`` classes of answers; ``theta`` (S, V)
are logits, a row for each context. All is float64.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from coursekit import guards, mdp

Array = np.ndarray
Coefficients = Callable[[Array, Array], Array]


class Answers(NamedTuple):
    """Every answer, padded with zeros: ``tokens``, ``mask`` and ``contexts`` (N, T).

    ``contexts``: the row of ``theta`` from which each token is drawn, below ``rows`` (S); row
    ``start`` is that of the first token, where *stop* is not allowed.
    """

    tokens: Array
    mask: Array
    contexts: Array
    vocabulary: int
    rows: int
    start: int

    @property
    def lengths(self) -> Array:
        """n, the number of tokens, the stop among them; (N,)."""
        return self.mask.sum(-1)

    @property
    def stopped(self) -> Array:
        """Whether the answer ended with a stop; if not, it was cut off; (N,)."""
        return ((self.tokens == self.vocabulary - 1) & self.mask).any(-1)

    @property
    def letters(self) -> Array:
        """The number of letters, the stop left out; (N,)."""
        return self.lengths - self.stopped


def _bigram(tokens: Array, vocabulary: int) -> tuple[Array, int, int]:
    """The token before; nothing stands before the first, and its row is the stop's, the last."""
    before = np.roll(tokens, 1, axis=1)
    before[:, 0] = vocabulary - 1
    return before, vocabulary, vocabulary - 1


def _position(tokens: Array, vocabulary: int) -> tuple[Array, int, int]:
    """The place t alone."""
    T = tokens.shape[1]
    return np.broadcast_to(np.arange(T), tokens.shape), T, 0


def _prefix(tokens: Array, vocabulary: int) -> tuple[Array, int, int]:
    """All letters so far: a row for every prefix, numbered by length and then alphabetically."""
    T, letters = tokens.shape[1], vocabulary - 1
    first = np.cumsum([0] + [letters**t for t in range(T)])
    rows, number = np.zeros(tokens.shape, dtype=np.int64), np.zeros(len(tokens), dtype=np.int64)
    for t in range(T):
        rows[:, t] = first[t] + number
        number = number * letters + np.minimum(tokens[:, t], letters - 1)
    return rows, int(first[-1]), 0


POLICIES = {"bigram": _bigram, "position": _position, "prefix": _prefix}


def every_answer(policy: str = "bigram", limit: int = 4, vocabulary: int = 3) -> Answers:
    """All answers of at most ``limit`` tokens, and the contexts of a ``policy`` of ``POLICIES``.

    "bigram": the token before, "position": the place, "prefix": all before. ValueError for an
    unknown policy, a limit or vocabulary below 2, and for more than 100,000 answers.
    """
    guards.one_of("policy", policy, list(POLICIES))
    for name, value in (("limit", limit), ("vocabulary", vocabulary)):
        guards.count(name, value)
        if value < 2:
            raise ValueError(f"{name} {value} is too small: give 2 or more")
    letters, stop = vocabulary - 1, vocabulary - 1
    total = sum(letters**n for n in range(1, limit)) + letters**limit
    if total > 100_000:
        raise ValueError(f"{vocabulary} tokens up to {limit} make {total:,} answers; lower either")
    written = [
        [*word, stop] if n < limit else list(word)
        for n in range(1, limit + 1)
        for word in itertools.product(range(letters), repeat=n)
    ]
    tokens = np.array([word + [0] * (limit - len(word)) for word in written])
    mask = np.arange(limit) < np.array([len(word) for word in written])[:, None]
    contexts, rows, start = POLICIES[policy](tokens, vocabulary)
    return Answers(tokens, mask, np.where(mask, contexts, 0), vocabulary, rows, start)


def text(answers: Answers) -> list[str]:
    """The answers as words, the stop as a full stop: "ab." was ended, "abba" was cut off."""
    sign = "abcdefghijklmnopqrstuvwxyz"[: answers.vocabulary - 1] + "."
    pairs = zip(answers.tokens, answers.lengths, strict=True)
    return ["".join(sign[token] for token in row[:n]) for row, n in pairs]


def ends_with_a(answers: Answers) -> Array:
    """1 where the last letter is a, else 0; (N,). Its probability need not depend on the length."""
    last = np.take_along_axis(answers.tokens, answers.letters[:, None] - 1, axis=1)[:, 0]
    return (last == 0) * 1.0


def contains_a(answers: Answers) -> Array:
    """1 where some letter is a, else 0; (N,). Longer answers are more often right."""
    return ((answers.tokens == 0) & answers.mask).any(-1) * 1.0


def no_b(answers: Answers) -> Array:
    """1 where no letter is b, else 0; (N,). Shorter answers are more often right."""
    return 1.0 - ((answers.tokens == 1) & answers.mask).any(-1)


PROMPTS = {"ends with a": ends_with_a, "contains a": contains_a, "no b": no_b}


def even(answers: Answers, stop: float = 1 / 3) -> Array:
    """θ (S, V) under which all letters are alike and *stop* has this probability everywhere.

    ValueError for a probability that is not strictly between 0 and 1.
    """
    guards.number("stop", stop)
    if not 0 < stop < 1:
        raise ValueError(f"stop {stop} must lie strictly between 0 and 1")
    theta = np.zeros((answers.rows, answers.vocabulary))
    theta[:, -1] = np.log(stop * (answers.vocabulary - 1) / (1 - stop))
    return theta


def log_pi(answers: Answers, theta: Array) -> Array:
    """log π(token|context) (S, V); −∞ for a stop as the first token. ValueError: θ not (S, V)."""
    theta, need = guards.finite("theta", theta), (answers.rows, answers.vocabulary)
    if theta.shape != need:
        raise ValueError(f"theta has shape {theta.shape}; these answers need {need}")
    table = mdp.log_softmax(theta)
    table[answers.start] = np.append(mdp.log_softmax(theta[answers.start, :-1]), -np.inf)
    return table


def logp(answers: Answers, theta: Array) -> Array:
    """log π of every token, 0 in padding; (N, T)."""
    return np.where(answers.mask, log_pi(answers, theta)[answers.contexts, answers.tokens], 0.0)


def probability(answers: Answers, theta: Array) -> Array:
    """P(answer), adding to 1 over all of them; (N,)."""
    return np.exp(logp(answers, theta).sum(-1))


def token_scores(answers: Answers, theta: Array) -> Array:
    """∇_θ log π of every token, 0 in padding; (S, V, N, T)."""
    table = np.exp(log_pi(answers, theta))
    here = answers.contexts == np.arange(answers.rows)[:, None, None, None]
    taken = answers.tokens == np.arange(answers.vocabulary)[:, None, None]
    return (here & answers.mask) * (taken - table[:, :, None, None])


def scores(answers: Answers, theta: Array) -> Array:
    """z = ∇_θ log P(answer), the sum over its tokens; (S, V, N)."""
    table = np.exp(log_pi(answers, theta))
    z, index = np.zeros((*table.shape, len(answers.tokens))), np.arange(len(answers.tokens))
    for row, token, real in zip(answers.contexts.T, answers.tokens.T, answers.mask.T, strict=True):
        z[row, :, index] -= table[row] * real[:, None]
        z[row, token, index] += real
    return z


def gradient(answers: Answers, theta: Array, values: Array) -> Array:
    """∇_θ E[values] = E[values · z], the values (…, N) themselves held fixed; (…, S, V).

    ValueError where a value is not finite.
    """
    weighted = guards.finite("values", values) * probability(answers, theta)
    return np.moveaxis(scores(answers, theta) @ np.moveaxis(weighted, -1, 0), (0, 1), (-2, -1))


def covariance_gradient(answers: Answers, theta: Array, a: Array, b: Array) -> Array:
    """∇Cov(a, b) = ∇E[ab] − E[a]∇E[b] − E[b]∇E[a], of two values (N,) held fixed; (S, V).

    ValueError where a value is not finite.
    """
    a, b = guards.finite("a", a), guards.finite("b", b)
    p = probability(answers, theta)
    return gradient(answers, theta, a * b - (p @ a) * b - (p @ b) * a)


def together(fields: Array) -> Array:
    """The field of P prompts, drawn evenly, in a table that they share and one that each adds.

    The logits of prompt x are θ + θ_x, so the shared part of the gradient is the prompts' mean and
    each own part its 1/P; (P, S, V) -> (P + 1, S, V).
    """
    return np.concatenate([fields.mean(0, keepdims=True), fields / len(fields)])


# The table of answer weights: an estimator Σ_i c_i z_i has the expectation Σ_y P(y) w(y) z(y).


class Classes(NamedTuple):
    """Answers of one reward and one length are alike to every estimator here.

    ``reward``, ``length``, ``probability`` (C,); ``index`` (N,): the class of each answer.
    """

    reward: Array
    length: Array
    probability: Array
    index: Array


def classes(answers: Answers, theta: Array, rewards: Array) -> Classes:
    """The pairs (reward, length) that occur, ordered, with their probability."""
    pairs = np.column_stack([rewards, answers.lengths])
    found, index = np.unique(pairs, axis=0, return_inverse=True)
    index = index.ravel()
    p = np.bincount(index, weights=probability(answers, theta), minlength=len(found))
    return Classes(found[:, 0], found[:, 1].astype(int), p, index)


def every_group(
    p: Array, rewards: Array, lengths: Array, coefficients: Coefficients, group: int
) -> Array:
    """The weights w (N,) by listing every ordered group: the specification, slow and plain.

    ``coefficients(rewards, lengths)`` (M, G) -> (M, G): what the score of each answer of a group is
    multiplied by. p, rewards, lengths (N,). ValueError above 3,000,000 groups.
    """
    guards.count("group", group)
    if (total := len(p) ** group) > 3_000_000:
        raise ValueError(f"a group of {group} of {len(p)} answers makes {total:,} groups; too many")
    index = np.indices([len(p)] * group).reshape(group, -1).T
    weighted = coefficients(rewards[index], lengths[index]) * p[index].prod(-1)[:, None]
    return np.bincount(index.ravel(), weights=weighted.ravel(), minlength=len(p)) / p


def by_listing(kinds: Classes, coefficients: Coefficients, group: int) -> Array:
    """The weights w (C,), the other G − 1 answers listed as multisets of classes.

    w_c = G · E[c_1 | answer 1 is of class c]; ``coefficients`` as in ``every_group``, and alike for
    all answers of a group. ValueError above 3,000,000 multisets.
    """
    one, p = _with_others(kinds, coefficients, group, 1)
    return group * one[..., 0] @ p


def second_moments(kinds: Classes, coefficients: Coefficients, group: int) -> tuple[Array, Array]:
    """E[c_1² | class of 1] (C,) and E[c_1 c_2 | classes of 1 and 2] (C, C), by listing.

    With z the scores, E‖Σ c_i z_i‖² = G Σ_y P(y) own‖z_y‖² + G(G − 1) Σ_cd cross ∇P_c·∇P_d.
    ValueError as for ``by_listing``, and for a group below 2.
    """
    if guards.is_whole(group) and group < 2:
        raise ValueError(f"group {group} has no pairs; give 2 or more")
    two, p = _with_others(kinds, coefficients, group, 2)
    C = len(kinds.probability)
    own, cross = two[..., 0] ** 2 @ p, (two[..., 0] * two[..., 1]) @ p
    return own.reshape(C, C) @ kinds.probability, cross.reshape(C, C)


def _with_others(
    kinds: Classes, coefficients: Coefficients, group: int, known: int
) -> tuple[Array, Array]:
    """Coefficients (C^known, M, known) of the first ``known`` answers, every class for each, beside
    each multiset (M) of the others, and the probability of that multiset (M,).
    """
    guards.count("group", group)
    C, rest = len(kinds.probability), group - known
    if (total := C**known * math.comb(C + rest - 1, rest)) > 3_000_000:
        raise ValueError(f"a group of {group} of {C} classes makes {total:,} multisets; too many")
    listed = list(itertools.combinations_with_replacement(range(C), rest))
    others = np.array(listed, dtype=int).reshape(len(listed), rest)
    counts = (others[:, :, None] == np.arange(C)).sum(1)
    log_factorial = np.append(0.0, np.log(np.arange(1, group + 1)).cumsum())
    ways = np.round(np.exp(log_factorial[rest] - log_factorial[counts].sum(-1)))
    first = np.indices([C] * known).reshape(known, -1).T
    index = np.hstack([np.repeat(first, len(others), axis=0), np.tile(others, (len(first), 1))])
    c = coefficients(kinds.reward[index], kinds.length[index])[:, :known]
    return c.reshape(len(first), -1, known), ways * np.prod(kinds.probability**counts, axis=-1)


def law(p: Array, amounts: Array, times: int) -> Array:
    """The law of the sum of ``times`` independent draws of ``amounts`` (C, d), by convolution.

    p (C,) -> array of d axes: its entry [k, N, …] is the probability of exactly these sums.
    ``times`` 0 gives the certain 0. ValueError for amounts below 0, for a number of times below 0.
    """
    amounts = np.asarray(amounts)
    if (
        not guards.is_whole(times)
        or times < 0
        or amounts.dtype.kind not in "iu"
        or amounts.min() < 0
    ):
        raise ValueError(f"law of {times!r} draws of {amounts}: give whole numbers, 0 or above")
    top, total = amounts.max(0), np.ones([1] * amounts.shape[1])
    for _ in range(times):
        grown = np.zeros(np.add(total.shape, top))
        for chance, step in zip(p, amounts, strict=True):
            at = tuple(slice(s, s + n) for s, n in zip(step, total.shape, strict=True))
            grown[at] += chance * total
        total = grown
    return total


def tokens_law(p: Array, lengths: Array, count: int) -> Array:
    """The law of the number of tokens of ``count`` independent answers; (N,), (N,) -> (N_max + 1,).

    Entry N is the probability of exactly N tokens. ValueError as for ``law``.
    """
    one = np.bincount(lengths, weights=p)
    return law(one, np.arange(len(one))[:, None], count)


def pool_divisor(p: Array, lengths: Array, pool: int) -> Array:
    """h(n) = E[m / (n + N)], N the tokens of m − 1 other answers, m the ``pool``; (N,) -> (N,).

    What the score of an answer of n tokens is multiplied by in a mean over the tokens of m answers,
    the others averaged out. ValueError for a pool that is no count.
    """
    guards.count("pool", pool)
    others = tokens_law(p, lengths, pool - 1)
    return pool * (others / (np.arange(len(others)) + lengths[:, None])).sum(-1)


def angle(field: Array, other: Array) -> float:
    """The angle between two fields of any shape, in degrees. ValueError where one of them is 0."""
    a, b = (guards.finite("a field", x).ravel() for x in (field, other))
    size = np.linalg.norm(a), np.linalg.norm(b)
    if a.shape != b.shape or not min(size):
        raise ValueError(f"fields of shapes {a.shape}, {b.shape} and lengths {size} make no angle")
    a, b = a / size[0], b / size[1]
    return float(np.degrees(2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b))))
