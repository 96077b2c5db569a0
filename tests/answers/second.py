"""Notebooks 06 to 10, as in ``first``."""

import numpy as np
import torch
from answers.first import ANSWERS as BEFORE
from answers.first import in_their_own_type, loop, powers_undone, to_go


def running(values, step=lambda k: max(0.05, 1 / k), start=0.0, before=True):
    b, used = start, []
    for k, value in enumerate(values, start=1):
        if before:
            used.append(b)
        b = value if k == 1 and start == float("inf") else b + step(k) * (value - b)
        if not before:
            used.append(b)
    return used


def in_the_type_of_what_came(values):
    used = np.zeros_like(values)
    used[:] = running(values)
    return used


def middle(values, k):
    kept = sorted(values)[k : len(values) - k]
    return sum(kept) / len(kept)


def sorted_in_place(values):
    values.sort()
    return middle(values, len(values) // 4)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def through_torch(logits, action, G):
    z = torch.tensor(np.array(logits, float), requires_grad=True)
    (-torch.log_softmax(z, 0)[action] * G).backward()
    return z.grad


def naive(logits, action, G):
    p = np.exp(logits) / np.exp(logits).sum()
    return G * (p - np.eye(len(p))[action])


def probabilities(logits):
    e = np.exp(logits - np.max(logits))
    return e / e.sum()


def is_right(rewards, gamma):
    return lambda returns: bool(
        np.allclose(returns(np.array(rewards), gamma), to_go(rewards, gamma))
    )


def seen(returns, part, rewards=(1.0, -2.0, 4.0), **bounds):
    """A test that looks at some part of what is returned."""
    given, right = returns(np.array(rewards), 0.5), np.array(to_go(rewards, 0.5))
    return bool(np.allclose(part(given), part(right), **bounds))


def ratio(g, P, grad, B, noise=1.0, signal=1.0):
    mean = (g * P).sum(1)
    variance = ((g - mean[:, None]) ** 2 * P).sum()
    upper = (mean * grad).sum() ** 2
    return upper / (grad**2).sum() / (signal * (mean**2).sum() + noise * variance / B)


def average_of_others(G, mask):
    baseline = np.zeros(G.shape)
    for i in range(len(G)):
        for t in range(G.shape[1]):
            others = [G[j, t] for j in range(len(G)) if j != i and mask[j, t]]
            baseline[i, t] = np.mean(others) if mask[i, t] and others else 0.0
    return baseline


def all_but(R, i):
    return [R[j] for j in range(len(R)) if j != i]


def surprises(r, V, end=0.0):
    return [r[t] + (V[t + 1] if t + 1 < len(V) else end) - V[t] for t in range(len(r))]


ANSWERS = {
    "6.1": (
        [
            lambda values: middle(values, len(values) // 4),
            lambda values: np.mean(np.sort(values)[len(values) // 4 : -(len(values) // 4) or None]),
            lambda values: float(
                torch.tensor(sorted(values), dtype=torch.float32)[
                    len(values) // 4 : len(values) - len(values) // 4
                ].mean()
            ),
        ],
        {
            "mean of all": np.mean,
            "the median": np.median,
            "sort first": lambda v: np.mean(v[len(v) // 4 : len(v) - len(v) // 4]),
            "at each end": lambda v: np.mean(sorted(v)[: len(v) - len(v) // 4]),
            "~ one at each end": lambda v: middle(v, min(1, (len(v) - 1) // 2)),
            "~ rounded up": lambda v: middle(v, min(-(-len(v) // 4), (len(v) - 1) // 2)),
            "~ nothing left where n < 4": lambda v: np.mean(
                np.sort(v)[len(v) // 4 : -(len(v) // 4)]
            ),
            "~ quartiles": lambda v: np.mean(
                [x for x in v if np.quantile(v, 0.25) <= x <= np.quantile(v, 0.75)]
            ),
            "changes its argument": sorted_in_place,
            "~ halves of the range": lambda v: (max(v) + min(v)) / 2,
        },
    ),
    "6.2": (
        [
            running,
            lambda R: np.array(running(R)),
            lambda R: [
                np.mean(R[:k]) if 0 < k <= 20 else running(R)[k] if k else 0 for k in range(len(R))
            ],
        ],
        {
            "into the future": lambda R: running(R, before=False),
            "never forgets": lambda R: running(R, lambda k: 1 / k),
            "0.05 from the start": lambda R: running(R, lambda k: 0.05),
            "whole numbers": in_the_type_of_what_came,
            "~ the smaller of the two": lambda R: running(R, lambda k: min(0.05, 1 / k)),
            "~ starts with the first": lambda R: running(R, start=R[0]),
            "~ k from 0": lambda R: running(R, lambda k: max(0.05, 1 / (k + 1))),
            "~ the last one only": lambda R: running(R)[-1],
            "~ one more": lambda R: [*running(R), 0.0],
            "~ one missing": lambda R: running(R)[1:],
        },
    ),
    "6.4": (
        [
            lambda n: running(n, start=float("inf")),
            lambda n: [np.inf, *running(n)[1:]],
            lambda n: torch.tensor(running(n, start=float("inf"))),
        ],
        {
            "contains its own length": lambda n: running(n, start=float("inf"), before=False),
            "own length": lambda n: n,
            "never forgets": lambda n: running(n, lambda k: 1 / k, float("inf")),
            "nothing is known": lambda n: [n[0], *running(n)[1:]],
            "~ 0 at the start": running,
            "~ 1 at the start": lambda n: [1.0, *running(n)[1:]],
            "~ 0.05 from the start": lambda n: running(n, lambda k: 0.05, float("inf")),
            "~ infinity for ever": lambda n: [np.inf] * len(n),
            "~ one over it": lambda n: [1 / x if x else 0 for x in [0, *running(n)[1:]]],
        },
    ),
    "7.1": (
        [
            lambda dz, h: sum(np.outer(a, b) for a, b in zip(dz, h, strict=True)),
            lambda dz, h: np.einsum("bo,bi->oi", dz, h),
            lambda dz, h: (dz[:, :, None] * h[:, None, :]).sum(0),
            lambda dz, h: torch.tensor(dz).T @ torch.tensor(h),
        ],
        {
            "its transpose": lambda dz, h: np.einsum("bo,bi->io", dz, h),
            "mean over the rows": lambda dz, h: np.einsum("bo,bi->oi", dz, h) / len(dz),
            "only the first row": lambda dz, h: np.outer(dz[0], h[0]),
            "one table for each row": lambda dz, h: np.einsum("bo,bi->boi", dz, h),
            "~ last row": lambda dz, h: np.outer(dz[-1], h[-1]),
            "~ the sums' product": lambda dz, h: np.outer(dz.sum(0), h.sum(0)),
            "~ sign": lambda dz, h: -dz.T @ h,
            "~ wrong axes": lambda dz, h: dz @ h.T,
        },
    ),
    "7.2": (
        [
            through_torch,
            lambda logits, a, G: G * (probabilities(logits) - np.eye(len(logits))[a]),
            lambda logits, a, G: [G * (p - (b == a)) for b, p in enumerate(probabilities(logits))],
        ],
        {
            "of ascent": lambda x, a, G: -through_torch(x, a, G),
            "belongs at the probabilities": lambda x, a, G: (
                -G * np.eye(len(x))[a] / probabilities(x)
            ),
            "diagonal": lambda x, a, G: -G * (1 - probabilities(x)) * np.eye(len(x))[a],
            "G is missing": lambda x, a, G: through_torch(x, a, 1.0),
            "printed line": lambda x, a, G: G * probabilities(x),
            "~ overflows": naive,
            "~ the mean, and cut off": lambda x, a, G: naive(np.minimum(x - np.mean(x), 700), a, G),
            "~ in long double": lambda x, a, G: naive(np.asarray(x, np.longdouble), a, G),
            "~ the log is missing": lambda x, a, G: (
                probabilities(x)[a] * through_torch(x, a, G).numpy()
            ),
            "~ size of G": lambda x, a, G: through_torch(x, a, abs(G)),
            "~ logits for probabilities": lambda x, a, G: G * (x - np.eye(len(x))[a]),
        },
    ),
    "7.3": (
        [
            lambda z, a: 1 - sigmoid(z) if a == 1 else -sigmoid(z),
            lambda z, a: (1 - sigmoid(z)) * a - sigmoid(z) * (1 - a),
            lambda z, a: np.float32(a) - 1 / (1 + np.exp(-np.float32(z))),
        ],
        {
            "sign is turned": lambda z, a: sigmoid(z) - a,
            "right for action 1": lambda z, a: 1 - sigmoid(z),
            "zero for action 0": lambda z, a: (1 - sigmoid(z)) if a else 0.0,
            "without the log": lambda z, a: (1 if a else -1) * sigmoid(z) * (1 - sigmoid(z)),
            "~ z for p": lambda z, a: a - z,
            "~ sigmoid turned": lambda z, a: a - 1 / (1 + np.exp(z)),
            "~ one over": lambda z, a: 1 / sigmoid(z) if a else -1 / (1 - sigmoid(z)),
            "~ both": lambda z, a: np.array([-sigmoid(z), 1 - sigmoid(z)]),
        },
    ),
    "7.4": (
        [
            lambda f, x, u, eps: (f(x + u * eps) / 2 - f(x - u * eps) / 2) / eps,
            lambda f, x, u, eps: np.subtract(f(x + u * eps), f(x - u * eps)) / eps / 2,
            lambda f, x, u, eps: 0.5 * (f(x + eps * u) - f(x + -eps * u)) / eps,
        ],
        {
            "one-sided": lambda f, x, u, eps: (f(x + eps * u) - f(x)) / eps,
            "2 eps apart": lambda f, x, u, eps: (f(x + eps * u) - f(x - eps * u)) / eps,
            "that is the difference": lambda f, x, u, eps: f(x + eps * u) - f(x - eps * u),
            "wrong way round": lambda f, x, u, eps: (f(x - eps * u) - f(x + eps * u)) / 2 / eps,
            "~ u is made short": lambda f, x, u, eps: (
                (f(x + eps * u / (np.linalg.norm(u) or 1)) - f(x - eps * u)) / 2 / eps
            ),
            "do not divide by its length": lambda f, x, u, eps: (
                (f(x + eps * u) - f(x - eps * u)) / 2 / eps / sum(u**2) ** 0.5
            ),
            "~ along all axes": lambda f, x, u, eps: (f(x + eps) - f(x - eps)) / (2 * eps),
            "~ looks back": lambda f, x, u, eps: (f(x) - f(x - eps * u)) / eps,
            "~ another eps": lambda f, x, u, eps: (f(x + u) - f(x - u)) / 2,
        },
    ),
    "8.1": (
        BEFORE["1.2"][0],
        {
            "from the start": loop(lambda t, r, g: to_go(r[: len(r) - t], g)[0]),
            "runs forwards": lambda r, g: to_go(r[::-1], g)[::-1],
            "counts from the start": loop(lambda t, r, g: g**t * to_go(r, g)[t]),
            "γ is not used": lambda r, g: to_go(r, 1.0),
            "one step late": lambda r, g: [*to_go(r, g)[1:], 0.0],
            "whole episode": lambda r, g: [to_go(r, g)[0]] * len(r),
            "whole numbers": in_their_own_type,
            "~ divides by γ^t, where γ is above 0": powers_undone,
            "~ one step short": lambda r, g: to_go(r, g)[:-1],
            "~ 1 − γ for γ": lambda r, g: to_go(r, 1 - g),
        },
    ),
    "8.2": (
        [
            is_right([3.0, -1.0, 2.0, 5.0], 0.9),
            lambda returns: all(
                abs(a - b) < 1e-9
                for a, b in zip(returns(np.array([1.0, 2.0, 4.0]), 0.5), [3, 4, 4], strict=True)
            ),
            lambda returns: (
                np.allclose(returns(np.array([1.0, -2.0, 4.0]), 0.5), [1, 0, 4])
                and np.allclose(returns(np.array([5.0]), 0.1), [5])
            ),
            lambda returns: returns(np.array([1.0, -2.0, 4.0]), 0.5).tolist() == [1, 0, 4],
            lambda returns: (
                (given := returns(np.array([1.0, -2.0, 4.0]), 0.5)).shape == (3,)
                and abs(given - np.array([1.0, 0.0, 4.0])).max() < 1e-3
            ),
            lambda returns: (
                returns(np.array([1.0, 2.0, 4.0]), 0.5).round(3).tolist() == [3.0, 4.0, 4.0]
            ),
            lambda returns: torch.allclose(
                torch.tensor(returns(np.array([1.0, -2.0, 4.0]), 0.5)),
                torch.tensor([1.0, 0.0, 4.0], dtype=torch.float64),
            ),
        ],
        {
            "equal rewards": is_right([1, 1, 1], 0.5),
            "one reward": is_right([2], 0.5),
            "γ = 1": is_right([1, -2, 4], 1.0),
            "True to all": lambda returns: True,
            "False to all": lambda returns: False,
            "upside down": lambda returns: not is_right([1, -2, 4], 0.5)(returns),
            "~ γ = 0": is_right([1, -2, 4], 0.0),
            "~ the first alone": lambda returns: bool(
                abs(returns(np.array([1.0, -2.0, 4.0]), 0.5)[0] - 1) < 1e-9
            ),
            "~ the last alone": lambda returns: bool(
                returns(np.array([1.0, -2.0, 4.0]), 0.5)[-1] == 4
            ),
            "~ the shape": lambda returns: len(returns(np.array([1.0, -2.0, 4.0]), 0.5)) == 3,
            "~ the numbers": lambda returns: returns(np.array([1.0, -2.0, 4.0]), 0.5),
            "~ all zeros": is_right([0, 0, 0], 0.5),
            "~ the sum alone": lambda returns: seen(returns, np.sum),
            "~ in any order": lambda returns: seen(returns, np.sort),
            "~ not the first": lambda returns: seen(returns, lambda x: x[1:]),
            "~ the two ends": lambda returns: seen(returns, lambda x: x[[0, -1]]),
            "~ one entry in the middle unseen": lambda returns: seen(
                returns, lambda x: np.delete(x, 3), [1.0, -2.0, 4.0, 3.0, 2.0, -1.0]
            ),
            "~ roughly": lambda returns: seen(returns, lambda x: x, atol=0.9),
            "~ to a twentieth": lambda returns: seen(returns, lambda x: x, rtol=0.05),
        },
    ),
    "8.3": (
        [
            lambda p, a, G: [G * (q - (b == a)) for b, q in enumerate(p)],
            lambda p, a, G: (np.diag(p) - np.outer(p, p)) @ (-np.eye(len(p))[a] / p * G),
            lambda p, a, G: through_torch(np.log(p), a, G),
        ],
        {
            "of ascent": lambda p, a, G: [G * ((b == a) - q) for b, q in enumerate(p)],
            "only the chosen": lambda p, a, G: [G * (q - 1) * (b == a) for b, q in enumerate(p)],
            "at the probabilities": lambda p, a, G: [-G / q * (b == a) for b, q in enumerate(p)],
            "log is missing": lambda p, a, G: [p[a] * G * (q - (b == a)) for b, q in enumerate(p)],
            "return is missing": lambda p, a, G: [q - (b == a) for b, q in enumerate(p)],
            "~ printed line": lambda p, a, G: p * G,
            "~ a small number below": lambda p, a, G: (
                (np.diag(p) - np.outer(p, p)) @ (-np.eye(len(p))[a] / (p + 1e-8) * G)
            ),
            "~ ignores p": lambda p, a, G: (1 / len(p) - np.eye(len(p))[a]) * G,
            "~ one number": lambda p, a, G: (p[a] - 1) * G,
            "~ first action": lambda p, a, G: (p - np.eye(len(p))[0]) * G,
        },
    ),
    "9.1": (
        [
            ratio,
            lambda g, P, grad, B: (
                (g @ P @ grad / np.linalg.norm(grad)) ** 2
                / ((g @ P) @ (g @ P) + (((g**2) @ P).sum() - (g @ P) @ (g @ P)) / B)
            ),
            lambda g, P, grad, B: float(ratio(*map(np.float32, (g, P, grad)), B)),
        ],
        {
            "that is one episode": lambda g, P, grad, B: ratio(g, P, grad, 1),
            "not divided as a whole": lambda g, P, grad, B: ratio(g, P, grad, B, signal=1 / B),
            "share of the signal": lambda g, P, grad, B: ratio(g, P, g @ P, B),
            "by ‖∇J‖²": lambda g, P, grad, B: ratio(g, P, grad, B) * (grad @ grad),
            "~ mean without P": lambda g, P, grad, B: ratio(
                g, np.full(len(P), 1 / len(P)), grad, B
            ),
            "~ no noise": lambda g, P, grad, B: ratio(g, P, grad, B, noise=0.0),
            "~ the cosine": lambda g, P, grad, B: abs(ratio(g, P, grad, B)) ** 0.5,
            "~ B times": lambda g, P, grad, B: ratio(g, P, grad, B) * B,
            "~ B − 1": lambda g, P, grad, B: ratio(g, P, grad, max(B - 1, 1)),
        },
    ),
    "9.2": (
        [
            lambda R, Z: np.average(R, weights=(Z**2).sum(0)),
            lambda R, Z: np.einsum("dn,dn,n->", Z, Z, R) / np.einsum("dn,dn->", Z, Z),
            lambda R, Z: (
                sum(r * (z @ z) for r, z in zip(R, Z.T, strict=True)) / sum(z @ z for z in Z.T)
            ),
        ],
        {
            "plain average": lambda R, Z: sum(R) / len(R),
            "not ‖Z‖": lambda R, Z: np.average(R, weights=np.linalg.norm(Z, axis=0)),
            "number of episodes": lambda R, Z: sum(R * (Z**2).sum(0)) / len(R),
            "R comes in once": lambda R, Z: (
                np.sum(R**2 * (Z**2).sum(0)) / np.sum(R * (Z**2).sum(0))
            ),
            "mean square is asked for": lambda R, Z: (
                sum(np.cov(R * z, z, ddof=0)[0, 1] for z in Z) / Z.var(axis=1).sum()
            ),
            "~ first axis only": lambda R, Z: np.average(R, weights=Z[0] ** 2 + 1e-12),
            "~ not squared": lambda R, Z: sum(R * Z.sum(0)) / sum(Z.sum(0)),
            "~ median": lambda R, Z: np.median(R),
            "~ one for each axis": lambda R, Z: (R * Z**2).sum(1) / (Z**2).sum(1),
        },
    ),
    "9.5": (
        [
            average_of_others,
            lambda G, mask: (
                ((G * mask).sum(0) - G * mask) / np.clip(mask.sum(0) - 1, 1, None) * mask
            ),
            lambda G, mask: np.where(
                mask & (mask.sum(0) > 1),
                (np.where(mask, G, 0).sum(0) - G) / np.where(mask.sum(0) > 1, mask.sum(0) - 1, 1),
                0,
            ),
        ],
        {
            "as it stands": lambda G, mask: (G.sum(0) - G) / (len(G) - 1),
            "padding gets a value": lambda G, mask: (
                (np.where(mask, G, 0).sum(0) - np.where(mask, G, 0))
                / np.clip(mask.sum(0) - 1, 1, None)
            ),
            "set it to 0": lambda G, mask: [
                [
                    np.mean(x) if len(x := np.delete(G[:, t], i)[np.delete(mask[:, t], i)]) else 0
                    for t in range(G.shape[1])
                ]
                for i in range(len(G))
            ],
            "own return": lambda G, mask: (
                mask * np.where(mask, G, 0).sum(0) / np.clip(mask.sum(0), 1, None)
            ),
            "minus the baseline": lambda G, mask: (G - average_of_others(G, mask)) * mask,
            "added to the sum": lambda G, mask: (
                mask * (G.sum(0) - G) / np.clip(mask.sum(0) - 1, 1, None)
            ),
            "~ nan where nobody is left": lambda G, mask: np.where(
                mask, (np.where(mask, G, 0).sum(0) - G) / (mask.sum(0) - 1.0), 0
            ),
            "~ over B − 1": lambda G, mask: (
                mask * (np.where(mask, G, 0).sum(0) - G) / max(len(G) - 1, 1)
            ),
            "~ the mask for a length": lambda G, mask: average_of_others(
                G, np.arange(G.shape[1]) < mask.sum(1)[:, None]
            ),
            "~ over time": lambda G, mask: average_of_others(G.T, mask.T).T,
            "~ others told by their return": lambda G, mask: np.array(
                [
                    [
                        np.mean(x) if m and len(x := G[:, t][mask[:, t] & (G[:, t] != g)]) else 0.0
                        for t, (g, m) in enumerate(zip(*row, strict=True))
                    ]
                    for row in zip(G, mask, strict=True)
                ]
            ),
        },
    ),
    "10.1": (
        [
            loop(lambda i, R: R[i] - np.mean(all_but(R, i))),
            lambda R: (R - R.mean()) * len(R) / (len(R) - 1),
            lambda R: R - np.array([np.delete(R, i).mean() for i in range(len(R))]),
        ],
        {
            "factor 1 − 1/B": lambda R: R - sum(R) / len(R),
            "not B": loop(lambda i, R: R[i] - sum(all_but(R, i)) / len(R)),
            "of the others itself": loop(lambda i, R: np.mean(all_but(R, i))),
            "other way round": loop(lambda i, R: np.mean(all_but(R, i)) - R[i]),
            "~ breaks on ties": loop(
                lambda i, R: R[i] - (np.mean(x) if len(x := R[R - R[i] != 0]) else 0)
            ),
            "~ divided by the deviation": lambda R: (R - R.mean()) / (R.std() + 1e-8),
            "~ the neighbour": lambda R: R - np.roll(R, 1),
            "~ sum of the others": lambda R: R - (R.sum() - R),
            "~ without the first": lambda R: R - R[1:].mean(),
        },
    ),
    "10.4": (
        [
            surprises,
            lambda r, V: r + np.concatenate([V[1:], [0.0]]) - V,
            lambda r, V: r - V + np.pad(V[1:], (0, 1)),
        ],
        {
            "as it stands": lambda r, V: [r[t] + V[(t + 1) % len(V)] - V[t] for t in range(len(V))],
            "does not go on": lambda r, V: surprises(r, V, V[-1]),
            "other way round": lambda r, V: [
                r[t] - x + r[t] for t, x in enumerate(surprises(r, V))
            ],
            "reward of the step": lambda r, V: surprises(0 * r, V),
            "~ one missing": lambda r, V: surprises(r, V)[:-1],
            "~ 0 for the last": lambda r, V: [*surprises(r, V)[:-1], 0.0],
            "~ value missing": lambda r, V: r + np.append(V[1:], 0.0),
            "~ from the one before": lambda r, V: r + np.append(0.0, V[:-1]) - V,
            "~ 1 at the end": lambda r, V: surprises(r, V, 1.0),
        },
    ),
    "6.5": (
        [
            lambda v: np.mean(v) + np.array([-2, 2]) * np.sqrt(np.var(v, ddof=1) / len(v)),
            lambda v: [sum(v) / len(v) + s * np.std(v, ddof=1) / len(v) ** 0.5 for s in (-2, 2)],
            lambda v: (
                v.mean() - 2 * v.std() / np.sqrt(len(v) - 1),
                v.mean() + 2 * v.std() / np.sqrt(len(v) - 1),
            ),
        ],
        {
            "as it stands": lambda v: v.mean() + np.array([-2, 2]) * v.std(ddof=1) / len(v),
            "where the values lie": lambda v: v.mean() + np.array([-2, 2]) * v.std(ddof=1),
            "two were asked for": lambda v: (
                v.mean() + np.array([-1, 1]) * v.std(ddof=1) / len(v) ** 0.5
            ),
            "of a sample": lambda v: v.mean() + np.array([-2, 2]) * v.std() / len(v) ** 0.5,
            "low end first": lambda v: v.mean() + np.array([2, -2]) * v.std(ddof=1) / len(v) ** 0.5,
            "~ the error alone": lambda v: 2 * v.std(ddof=1) / len(v) ** 0.5,
            "~ the median": lambda v: (
                np.median(v) + np.array([-2, 2]) * v.std(ddof=1) / len(v) ** 0.5
            ),
            "~ variance": lambda v: v.mean() + np.array([-2, 2]) * v.var(ddof=1) / len(v),
        },
    ),
    "7.5": (
        [
            lambda dy, z: np.where(z > 0, dy, 0),
            lambda dy, z: dy * np.sign(np.maximum(z, 0)),
            lambda dy, z: [
                [a if b > 0 else 0.0 for a, b in zip(x, y, strict=True)]
                for x, y in zip(dy, z, strict=True)
            ],
        ],
        {
            "as it stands": lambda dy, z: dy * z * (z > 0),
            "not that of dy": lambda dy, z: np.where(dy > 0, dy, 0),
            "other half": lambda dy, z: np.where(z > 0, 0, dy),
            "everything is let through": lambda dy, z: dy,
            "slope alone": lambda dy, z: np.where(z > 0, 1.0, 0.0),
            "~ from a tenth on": lambda dy, z: dy * (z > 0.1),
            "~ where z = 0, too": lambda dy, z: dy * (z >= 0),
            "~ times z": lambda dy, z: dy * z,
            "~ sign of z": lambda dy, z: dy * np.sign(z),
        },
    ),
}
