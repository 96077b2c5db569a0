"""Notebooks 11 to 14, as in ``first``."""

import math
from functools import partial

import numpy as np
import torch


def density(m, s, a):
    return math.exp(-0.5 * ((a - m) / math.exp(s)) ** 2) / math.exp(s) / math.sqrt(2 * math.pi)


def log_of_density(mean, log_std, action):
    """Right in the middle of the bell; far out the density is 0, and has no logarithm."""
    return sum(math.log(density(*x)) for x in zip(mean, log_std, action, strict=True))


def log_density(mean, log_std, action):
    eps = (action - mean) / np.exp(log_std)
    return sum(-0.5 * eps**2 - log_std - 0.5 * math.log(2 * math.pi))


def by_distributions(mean, log_std, action):
    mean, log_std, action = (torch.tensor(x, dtype=torch.float64) for x in (mean, log_std, action))
    return torch.distributions.Normal(mean, log_std.exp()).log_prob(action).sum()


def gae(r, V, last, terminated, gamma, lam, memory=None, end=None, own_type=False):
    """By the definition: A_t is the sum over l of (γλ)^l δ_{t+l}."""
    memory = gamma * lam if memory is None else memory
    following = [*V[1:], (0.0 if terminated else last) if end is None else end]
    delta = [r[t] + gamma * following[t] - V[t] for t in range(len(r))]
    A = [sum(memory**k * d for k, d in enumerate(delta[t:])) for t in range(len(r))]
    return np.array(A, dtype=np.asarray(r).dtype if own_type else float)


def powers(args):
    return (args[4] * args[5] or 1.0) ** np.arange(len(args[0]))


def in_place(r, V, last, terminated, gamma, lam):
    A = gae(r, V, last, terminated, gamma, lam)
    r *= 0
    return A


def limit(n, p, plain=0.15, wrong=0.1, lucky=0.6):
    q = 1 - p
    return 0.4 * q / (plain * q - wrong * p + lucky * p / n)


def outside(x):
    return np.array([sum(x[j] for j in range(len(x)) if j != i) for i in range(len(x))])


def multipliers(rewards, lengths, baseline=None, divisor=None):
    baseline = outside(rewards) / (len(rewards) - 1) if baseline is None else baseline
    return (rewards - baseline) / (outside(lengths) if divisor is None else divisor)


def weights(lengths, m):
    pools = [sum(lengths[k : k + m]) for k in range(0, len(lengths), m)]
    return np.array([m / len(lengths) / pools[i // m] for i in range(len(lengths))])


def pool(given, lengths, order=1, bound=1e-9, none=0):
    sizes = [m for m in range(1, len(lengths) + 1) if len(lengths) % m == 0][::order]
    for m in sizes:
        if max(abs(given / weights(lengths, m) - 1)) <= bound:
            return m
    return none


def fits(given, lengths, part, enough=np.all):
    """The smallest pool that explains a part of the weights."""
    for m in range(1, len(lengths) + 1):
        if len(lengths) % m == 0 and enough(
            np.isclose(part(given), part(weights(lengths, m)), rtol=1e-9, atol=0)
        ):
            return m
    return 0


def mean_by(divide, losses, mask):
    """The mean over episodes of the sum over real steps divided by ``divide(i, lengths)``."""
    n = [int(row.sum()) for row in mask]
    rows = [sum(x[m]) / divide(i, n) for i, (x, m) in enumerate(zip(losses, mask, strict=True))]
    return np.mean(rows)


def not_below(least):
    return lambda i, n: max(n[i], least)


def others(i, n):
    return sum(k for j, k in enumerate(n) if j != i) / (len(n) - 1)


def of_a_micro_batch(n, size):
    parts = np.split(np.asarray(n), len(n) // size)
    return np.concatenate([np.full(size, 1 / sum(part) / len(parts)) for part in parts])


ANSWERS = {
    "11.1": (
        [
            log_density,
            by_distributions,
            lambda m, s, a: (
                -0.5 * np.sum((a - m) ** 2 * np.exp(-2 * s) + 2 * s + np.log(2 * np.pi))
            ),
        ],
        {
            "log σ itself is missing": lambda m, s, a: log_density(m, s, a) + sum(s),
            "constant ½ log 2π": lambda m, s, a: (
                log_density(m, s, a) + len(m) * math.log(2 * math.pi) / 2
            ),
            "add over the axes": lambda m, s, a: log_density(m, s, a) / len(m),
            "σ = exp(log_std)": lambda m, s, a: (
                -np.sum(0.5 * ((a - m) / s) ** 2 + s + 0.5 * np.log(2 * np.pi))
            ),
            "minus the log-density": lambda m, s, a: -log_density(m, s, a),
            "~ logarithm of 0": log_of_density,
            "~ the same in NumPy": lambda m, s, a: np.log(
                np.prod([density(*x) for x in zip(m, s, a, strict=True)])
            ),
            "~ clipped log σ": lambda m, s, a: log_density(m, np.clip(s, -2, 2), a),
            "~ a small number in σ": lambda m, s, a: log_density(m, np.log(np.exp(s) + 1e-8), a),
            "~ the density": lambda m, s, a: math.exp(log_density(m, s, a)),
            "~ half left out": lambda m, s, a: (
                -np.sum(((a - m) / np.exp(s)) ** 2 + s + 0.5 * np.log(2 * np.pi))
            ),
            "~ constant once": lambda m, s, a: (
                log_density(m, s, a) + (len(m) - 1) * math.log(2 * math.pi) / 2
            ),
            "~ one for each axis": lambda m, s, a: [
                math.log(density(*x)) for x in zip(m, s, a, strict=True)
            ],
            "~ divided by the variance": lambda m, s, a: (
                -np.sum(0.5 * ((a - m) / np.exp(2 * s)) ** 2 + s + 0.5 * np.log(2 * np.pi))
            ),
        },
    ),
    "11.2": (
        [
            gae,
            lambda *args: gae(*args).tolist(),
            lambda *args: torch.tensor(gae(*args), dtype=torch.float32),
        ],
        {
            "time limit": lambda *args: gae(*args, end=0.0),
            "after a true end": lambda *args: gae(*args, end=args[2]),
            "not λ alone": lambda *args: gae(*args, memory=args[5]),
            "surprises": lambda *args: gae(*args, memory=0.0),
            "critic's target": lambda *args: gae(*args) + args[1],
            "whole numbers": lambda *args: gae(*args, own_type=True),
            "~ γ alone": lambda *args: gae(*args, memory=args[4]),
            "~ divides by powers of γλ": lambda *args: (
                np.cumsum((gae(*args, memory=0.0) * (m := powers(args)))[::-1])[::-1] / m
            ),
            "~ upside down": lambda r, V, last, t, gamma, lam: gae(r, V, last, not t, gamma, lam),
            "~ turned round": lambda *args: gae(*args)[::-1],
            "~ standardised": lambda *args: gae(*args) - gae(*args).mean(),
            "~ γ missing in the surprise": lambda r, V, last, t, gamma, lam: gae(
                r, V, last, t, 1.0, lam, memory=gamma * lam
            ),
            "~ changes the rewards": in_place,
        },
    ),
    "11.4": (
        [
            lambda m, s, a: ((a - m) / np.exp(s)) ** 2 - 1,
            lambda m, s, a: (a - m) ** 2 * np.exp(-2 * s) - np.ones(len(m)),
            lambda m, s, a: [
                ((x - y) / math.exp(z)) ** 2 - 1 for x, y, z in zip(a, m, s, strict=True)
            ],
        ],
        {
            "as it stands": lambda m, s, a: ((a - m) / np.exp(s)) ** 2,
            "pulls the width in": lambda m, s, a: ((a - m) / np.exp(s)) ** 2 + 1,
            "with respect to σ": lambda m, s, a: (((a - m) / np.exp(s)) ** 2 - 1) / np.exp(s),
            "score of the mean": lambda m, s, a: (a - m) / np.exp(s) ** 2,
            "other way round": lambda m, s, a: 1 - ((a - m) / np.exp(s)) ** 2,
            "do not add": lambda m, s, a: np.sum(((a - m) / np.exp(s)) ** 2 - 1),
            "~ clipped log σ": lambda m, s, a: ((a - m) / np.exp(np.clip(s, -2, 2))) ** 2 - 1,
            "~ a small number in σ": lambda m, s, a: ((a - m) / (np.exp(s) + 1e-8)) ** 2 - 1,
            "~ half": lambda m, s, a: 0.5 * ((a - m) / np.exp(s)) ** 2 - 1,
            "~ centred by the sample": lambda m, s, a: (
                ((a - m) / np.exp(s)) ** 2 - np.mean(((a - m) / np.exp(s)) ** 2)
            ),
        },
    ),
    "12.1": (
        [
            lambda r, n, p: (r - p) / n,
            lambda r, n, p: np.where(r == 1, 1 - p, -p) / n,
            lambda r, n, p: r * (1 - p) / n - (1 - r) * p / n,
        ],
        {
            "a wrong answer is pushed down": lambda r, n, p: abs(r - p) / n,
            "wrong way round": lambda r, n, p: (r - (1 - p)) / n if r else (p - 1) / n,
            "length is missing": lambda r, n, p: r - p,
            "half of it": lambda r, n, p: (r - p) / n / 2,
            "twice too much": lambda r, n, p: 2 * (r - p) / n,
            "in already": lambda r, n, p: 2 * p * (1 - p) * (r - p) / n,
            "unanimous": lambda r, n, p: (2 * r - 1) / n,
            "sample's deviation": lambda r, n, p: (r - p) / n / math.sqrt(2),
            "~ times the length": lambda r, n, p: (r - p) * n,
            "~ by the deviation": lambda r, n, p: (r - p) / (n * (p * (1 - p)) ** 0.5 + 1e-8),
        },
    ),
    "12.2": (
        [
            lambda p: math.sqrt(2) * p,
            lambda p: np.float32(2) ** 0.5 * np.float32(p),
            lambda p: np.array(p) * 2 / np.sqrt(2),
        ],
        {
            "slope": lambda p: math.sqrt(2),
            "G = 2": lambda p: p,
            "large G": lambda p: 2 * math.asin(math.sqrt(p)),
            "root is missing": lambda p: 2 * p,
            "count them once": lambda p: math.sqrt(2) * p / 3,
            "add up to a constant": lambda p: math.sqrt(2) * (p**2 / 2 - p**3 / 3),
            "~ rounded root": lambda p: 1.414 * p,
            "~ downwards": lambda p: -math.sqrt(2) * p,
            "~ squared": lambda p: math.sqrt(2) * p**2,
        },
    ),
    "12.3": (
        [
            limit,
            lambda n, p: 0.4 * (1 - p) / (0.15 * (1 - p) + p * (0.6 / n - 0.1)),
            lambda n, p: np.float32(limit(n, p)),
        ],
        {
            "plain has a say": lambda n, p: 0.4 / 0.6 * n * (1 - p) / p if p else n * np.inf,
            "exchanged": lambda n, p: limit(n, 1 - p),
            "pushed down": lambda n, p: limit(n, p, lucky=-0.6),
            "plain's wrong": lambda n, p: limit(n, p, wrong=0.0),
            "upside down": lambda n, p: 1 / limit(n, p),
            "R/n alone": lambda n, p: limit(n, 0.0) * np.ones(np.shape(n)),
            "lucky's chances": lambda n, p: limit(n, p, lucky=0.4) * 1.5,
            "plain's chances": lambda n, p: limit(n, p, plain=0.1, wrong=0.15),
            "plain and lucky are": lambda n, p: 1.5 * limit(n, p, 0.1, 0.15, 0.4),
            "length of the right answers": lambda n, p: (
                0.6 * p / (0.4 * (1 - p) / n - 0.15 * (1 - p) + 0.1 * p)
            ),
            "~ plain's sign": lambda n, p: limit(n, p, wrong=-0.1),
            "~ of one length": lambda n, p: limit(8.0, p) + 0 * np.asarray(n),
            "~ without q above": lambda n, p: limit(n, p) / (1 - p),
        },
    ),
    "12.4": (
        [
            multipliers,
            lambda r, n: multipliers(r, n).tolist(),
            lambda r, n: (r * len(r) - r.sum()) / (len(r) - 1) / (n.sum() - n),
        ],
        {
            "own reward included": lambda r, n: multipliers(r, n, np.mean(r)),
            "own tokens": lambda r, n: multipliers(r, n, divisor=sum(n)),
            "neither here nor there": lambda r, n: multipliers(r, n, np.mean(r), sum(n)),
            "not their sum": lambda r, n: multipliers(r, n, divisor=outside(n) / (len(n) - 1)),
            "own length": lambda r, n: multipliers(r, n, divisor=n),
            "baseline is missing": lambda r, n: multipliers(r, n, 0.0),
            "not averaged": lambda r, n: multipliers(r, n, outside(r)),
            "~ breaks on ties": lambda r, n: multipliers(
                r, n, [np.mean(r[r != x]) if (r != x).any() else 0.0 for x in r]
            ),
            "~ by the deviation": lambda r, n: multipliers(r, n) / (np.std(r) + 1e-8),
        },
    ),
    "12.5": (
        [
            pool,
            lambda w, n: next(
                (
                    m
                    for m in range(1, len(n) + 1)
                    if len(n) % m == 0 and np.allclose(w, weights(n, m), rtol=1e-9, atol=0)
                ),
                0,
            ),
            lambda w, n: float(pool(w, n)),
        ],
        {
            "smallest is asked for": lambda w, n: pool(w, n, order=-1),
            "return 0": lambda w, n: pool(w, n, none=len(n)),
            "number of pools": lambda w, n: len(n) // pool(w, n) if pool(w, n) else 0,
            "in between": lambda w, n: next(
                (m for m in (1, len(n)) if np.allclose(w, weights(n, m), rtol=1e-9, atol=0)), 0
            ),
            "a pool of one": lambda w, n: (
                pool(w, n)
                if pool(w, n) != 1
                else next(
                    (
                        m
                        for m in range(2, len(n) + 1)
                        if len(n) % m == 0 and np.allclose(w, weights(n, m), rtol=1e-9, atol=0)
                    ),
                    0,
                )
            ),
            "too wide": lambda w, n: pool(w, n, bound=1e-5),
            "with no absolute tolerance": lambda w, n: pool(w, n, bound=1e-7),
            "compare to a relative 1e-9, with": lambda w, n: pool(w, n, bound=1e-8),
            "too narrow": lambda w, n: pool(w, n, bound=0),
            "~ largest that fits roughly": lambda w, n: pool(w, n, bound=0.05),
            "~ first jump": lambda w, n: int(np.argmax(np.append(np.diff(w) != 0, True))) + 1,
            "~ the sum alone": lambda w, n: fits(w, n, np.sum),
            "~ in any order": lambda w, n: fits(w, n, np.sort),
            "~ the two ends": lambda w, n: fits(w, n, lambda x: x[[0, -1]]),
            "~ the first half": lambda w, n: fits(w, n, lambda x: x[: (len(x) + 1) // 2]),
            "~ the last half": lambda w, n: fits(w, n, lambda x: x[len(x) // 2 :]),
            "~ most of them": lambda w, n: fits(w, n, lambda x: x, lambda same: same.mean() > 0.5),
            "~ None where none does": lambda w, n: pool(w, n, none=None),
        },
    ),
    "13.1": (
        [
            lambda x, mask, least: mean_by(not_below(least), x, mask),
            lambda x, mask, least: np.mean(
                np.where(mask, x, 0).sum(1) / np.clip(mask.sum(1), least, None)
            ),
            lambda x, mask, least: torch.tensor(
                (x * mask).sum(1) / np.maximum(least, mask.sum(1))
            ).mean(),
        ],
        {
            "larger of the two": lambda x, mask, least: mean_by(
                lambda i, n: min(n[i], least), x, mask
            ),
            "least is not used": lambda x, mask, least: mean_by(lambda i, n: n[i], x, mask),
            "that is `constant`": lambda x, mask, least: mean_by(lambda i, n: least, x, mask),
            "average over the episodes": lambda x, mask, least: (
                len(x) * mean_by(not_below(least), x, mask)
            ),
            "not to count": lambda x, mask, least: np.mean(
                x.sum(1) / np.maximum(mask.sum(1), least)
            ),
            "~ added": lambda x, mask, least: mean_by(lambda i, n: n[i] + least, x, mask),
            "~ the mask for a length": lambda x, mask, least: np.mean(
                [row[: int(n)].sum() / max(n, least) for row, n in zip(x, mask.sum(1), strict=True)]
            ),
            "~ all steps": lambda x, mask, least: x[mask].sum() / max(mask.sum(), least),
            "~ not averaged": lambda x, mask, least: (
                (x * mask).sum(1) / np.maximum(mask.sum(1), least)
            ),
            "~ padding counted in the length": lambda x, mask, least: (
                (x * mask).sum(1).mean() / max(x.shape[1], least)
            ),
        },
    ),
    "13.2": (
        [
            partial(mean_by, others),
            lambda x, mask: np.mean(
                [x[i][mask[i]].sum() / np.delete(mask.sum(1), i).mean() for i in range(len(mask))]
            ),
            lambda x, mask: (
                ((x * mask).sum(1) / (mask.sum() - mask.sum(1))).sum() * (1 - 1 / len(x))
            ),
        ],
        {
            "own length is in": partial(mean_by, lambda i, n: np.mean(n)),
            "not B": partial(mean_by, lambda i, n: others(i, n) * (len(n) - 1) / len(n)),
            "*sum* of the others": partial(mean_by, lambda i, n: others(i, n) * (len(n) - 1)),
            "per-episode mean": partial(mean_by, lambda i, n: n[i]),
            "not to count": lambda x, mask: np.mean(
                x.sum(1) / ((mask.sum() - mask.sum(1)) / (len(x) - 1))
            ),
            "~ the mask for a length": lambda x, mask: mean_by(
                others, x, np.arange(x.shape[1]) < mask.sum(1)[:, None]
            ),
            "~ added up": lambda x, mask: len(x) * mean_by(others, x, mask),
            "~ other lengths told by their value": partial(
                mean_by, lambda i, n: np.mean([k for k in n if k != n[i]] or [1])
            ),
            "~ the next one's": partial(mean_by, lambda i, n: n[(i + 1) % len(n)]),
            "~ the longest": partial(mean_by, lambda i, n: max(n)),
        },
    ),
    "14.1": (
        [
            lambda A, n: -np.average(A, weights=n),
            lambda A, n: -np.repeat(A, np.asarray(n, int)).mean(),
            lambda A, n: -sum(a * k for a, k in zip(A, n, strict=True)) / sum(n),
        ],
        {
            "minus the objective": lambda A, n: np.average(A, weights=n),
            "over each answer": lambda A, n: -np.mean(A),
            "averaged over the answers": lambda A, n: -np.mean(A * n),
            "once for each answer": lambda A, n: -sum(abs(A)) / sum(n),
            "~ nothing": lambda A, n: 0.0,
            "~ divided by each length": lambda A, n: -sum(A / n),
            "~ the sum": lambda A, n: -sum(A * n),
            "~ each token": lambda A, n: -A * n / n.sum(),
            "~ advantages over tokens": lambda A, n: -sum(A) / sum(n),
        },
    ),
    "14.2": (
        [
            lambda R, logp: R - 0.5 * logp,
            lambda R, logp: (2 * R - logp) / 2,
            lambda R, logp: np.float32(R) - np.float32(logp) / 2,
        ],
        {
            "detached": lambda R, logp: R,
            "pushes the value up": lambda R, logp: R + logp / 2,
            "factor 2": lambda R, logp: R - logp,
            "~ twice": lambda R, logp: R - 2 * logp,
            "~ product": lambda R, logp: -R * logp,
            "~ half of all": lambda R, logp: (R - logp) / 2,
            "~ kept off log 0": lambda R, logp: R - math.log(max(math.exp(logp), 1e-6)) / 2,
            "~ probability": lambda R, logp: R - math.exp(logp) / 2,
        },
    ),
    "14.3": (
        [
            of_a_micro_batch,
            lambda n, size: (size / len(n) / np.add.reduceat(n, range(0, len(n), size))).repeat(
                size
            ),
            lambda n, size: [
                size / len(n) / sum(n[i - i % size : i - i % size + size]) for i in range(len(n))
            ],
        ],
        {
            "cut is missing": lambda n, size: np.full(len(n), 1 / sum(n)),
            "over each answer": lambda n, size: [1 / len(n) / k for k in n],
            "divide by their number": lambda n, size: of_a_micro_batch(n, size) * (len(n) / size),
            "~ one for each micro-batch": lambda n, size: of_a_micro_batch(n, size)[::size],
            "~ tiled": lambda n, size: np.tile(of_a_micro_batch(n, size)[::size], size),
            "~ number of answers": lambda n, size: of_a_micro_batch(n, size) / size,
            "~ the whole answer's": lambda n, size: of_a_micro_batch(n, size) * n,
            "~ right for pairs": lambda n, size: of_a_micro_batch(n, 2 if len(n) % 2 == 0 else 1),
        },
    ),
    "12.6": (
        [
            lambda r: (r - r.mean()) / r.std() if len(set(r)) > 1 else 0 * r,
            lambda r: np.nan_to_num((r - r.mean()) / r.std()),
            lambda r: (r - r.mean()) / (r.std() + (r.std() == 0)),
        ],
        {
            "as it stands": lambda r: (r - np.mean(r)) / np.std(r),
            "a small number below": lambda r: (r - r.mean()) / (r.std() + 1e-4),
            "treat equal rewards apart": lambda r: (r - r.mean()) / (r.std() + 1e-8),
            "most where rewards differ little": lambda r: (r - r.mean()) / np.sqrt(r.var() + 1e-8),
            "ddof 0": lambda r: (r - r.mean()) / (r.std(ddof=1) or 1),
            "deviation is missing": lambda r: r - r.mean(),
            "subtracted first": lambda r: r / r.std() if r.std() else 0 * r,
            "~ by the variance": lambda r: (r - r.mean()) / (r.var() or 1),
            "~ 0 where they differ little": lambda r: (
                0.0 * r if np.allclose(r, r[0]) else (r - r.mean()) / r.std()
            ),
            "~ ones where equal": lambda r: (r - r.mean()) / r.std() if r.std() else r * 0 + 1,
            "~ of the others": lambda r: (r - (r.sum() - r) / (len(r) - 1)) / (r.std() or 1),
        },
    ),
}
