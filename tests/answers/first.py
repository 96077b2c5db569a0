"""Notebooks 00 to 05: answers as learners write them; nothing is taken from the exercises.

Each exercise: right forms, and wrong ones by the words that are said to them. A name that begins
with "~" is a wrong answer for which no words of its own are kept.
"""

import math

import numpy as np
import torch


def loop(answer):
    """A function of one episode's arrays, made from one that gives the entry at t."""
    return lambda *args: np.array([answer(t, *args) for t in range(len(args[0]))])


def discounted(rewards, gamma):
    return sum(gamma**k * r for k, r in enumerate(rewards))


def to_go(rewards, gamma):
    return [discounted(rewards[t:], gamma) for t in range(len(rewards))]


def backwards(rewards, gamma):
    G, returns = 0, []
    for r in rewards[::-1]:
        G = r + gamma * G
        returns.insert(0, G)
    return returns


def in_their_own_type(rewards, gamma):
    returns, G = np.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards))):
        returns[t] = G = rewards[t] + gamma * G
    return returns


def without_the_last(rewards, gamma):
    returns = np.zeros(len(rewards))
    for t in reversed(range(len(rewards) - 1)):
        returns[t] = rewards[t] + gamma * returns[t + 1]
    return returns


def in_place(rewards, gamma):
    for t in reversed(range(len(rewards) - 1)):
        rewards[t] = rewards[t] + gamma * rewards[t + 1]
    return rewards


def divided_by_powers(rewards, gamma):
    powers = gamma ** np.arange(len(rewards))
    return np.cumsum((rewards * powers)[::-1])[::-1] / powers


def powers_undone(rewards, gamma):
    return divided_by_powers(rewards, gamma) if gamma else rewards


def exponentials(logits):
    return [math.exp(x - max(logits)) for x in logits]


def overflowing(logits):
    return np.exp(logits) / sum(np.exp(logits))


def squares(pi, a):
    return sum((float(a == b) - p) ** 2 for b, p in enumerate(pi))


def best(pi, values):
    weights = [p * squares(pi, a) for a, p in enumerate(pi)]
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


def grad(clear, pick):
    """What ``.grad`` holds after backward on what is picked from the losses of the steps."""

    def answer(step_losses, theta):
        theta.grad = None if clear else theta.grad
        for loss in pick(step_losses):
            loss.backward()
        return theta.grad

    return answer


def cleared(clear):
    """As above for all steps, cleared after each of them."""

    def answer(step_losses, theta):
        for loss in step_losses:
            loss.backward()
            clear(theta)
        return theta.grad

    return answer


def zeroed_first(step_losses, theta):
    theta.grad.zero_()  # fails where nothing is there yet
    return grad(False, lambda steps: steps)(step_losses, theta)


def zeroed_if_there(step_losses, theta):
    if theta.grad is not None:
        theta.grad.zero_()
    return grad(False, lambda steps: steps)(step_losses, theta)


def difference(step_losses, theta):
    before = 0 if theta.grad is None else theta.grad.clone()
    return grad(False, lambda steps: steps)(step_losses, theta) - before


def after_a_step(steps, theta, rate):
    """θ − rate · θ Σ c_t, for losses c_t Σ θ², without a backward pass."""
    total = torch.autograd.grad(sum(steps), theta, retain_graph=True)[0] / 2
    return theta.detach() - rate * total


def by_an_optimiser(steps, theta, lr):
    optimiser = torch.optim.SGD([theta], lr=lr)
    optimiser.zero_grad()
    for loss in steps:
        loss.backward(retain_graph=True)
    optimiser.step()
    return theta


def others_law(law, B):
    rest = [1.0]
    for _ in range(1, B):
        rest = [
            sum(rest[i] * law[k - i] for i in range(len(rest)) if 0 <= k - i < len(law))
            for k in range(len(rest) + len(law) - 1)
        ]
    return rest


def right_up_to_three(law, B):
    return [np.ones(1), law, np.convolve(law, law)][min(B, 3) - 1]


ANSWERS = {
    "0.3": (
        [
            loop(lambda t, r: sum(r[t:])),
            lambda r: r.sum() - np.cumsum(r) + r,
            lambda r: list(np.flip(np.cumsum(np.flip(r)))),
        ],
        {
            "from the start": loop(lambda t, r: sum(r[: t + 1])),
            "order is reversed": loop(lambda t, r: sum(r[len(r) - 1 - t :])),
            "the total": loop(lambda t, r: sum(r)),
            "its own reward": loop(lambda t, r: sum(r[t + 1 :])),
            "~ two at a time": loop(lambda t, r: sum(r[t : t + 2])),
            "~ one number": lambda r: r.sum(),
            "~ stops after eight": loop(lambda t, r: sum(r[t : t + 8])),
            "~ rounded": lambda r: np.round(np.cumsum(r[::-1])[::-1], 3),
            "~ right for three": loop(lambda t, r: sum(r[t : t + 3])),
            "~ reversed in the end only": lambda r: np.cumsum(r)[::-1],
        },
    ),
    "1.1": (
        [
            lambda x: [e / sum(exponentials(x)) for e in exponentials(x)],
            lambda x: torch.softmax(torch.tensor(x, dtype=torch.float32), 0),
            lambda x: np.exp(x - np.max(x) - np.log(np.exp(x - np.max(x)).sum())),
        ],
        {
            "overflows": overflowing,
            "do not add to 1": exponentials,
            "exponentiate first": lambda x: [a / sum(x) for a in x],
            "logarithm of the softmax": lambda x: [
                a - max(x) - math.log(sum(exponentials(x))) for a in x
            ],
            "~ the smallest is subtracted": lambda x: overflowing(x - x.min()),
            "~ the mean is subtracted": lambda x: overflowing(x - x.mean()),
            "~ the mean, and cut off": lambda x: overflowing(np.minimum(x - x.mean(), 700)),
            "~ in long double": lambda x: overflowing(np.asarray(x, np.longdouble)),
            "~ cut off at 700": lambda x: overflowing(np.clip(x, -700, 700)),
            "~ divided by the largest": lambda x: overflowing(x / x.max()),
            "~ in base 2": lambda x: 2.0 ** (x - x.max()) / (2.0 ** (x - x.max())).sum(),
            "~ rounded": lambda x: np.round([e / sum(exponentials(x)) for e in exponentials(x)], 3),
        },
    ),
    "1.2": (
        [loop(lambda t, r, gamma: discounted(r[t:], gamma)), backwards, to_go],
        {
            "start of the episode": loop(lambda t, r, gamma: discounted(r[: len(r) - t], gamma)),
            "same reward": loop(lambda t, r, gamma: discounted([r[t]] * (len(r) - t), gamma)),
            "γ is missing": loop(lambda t, r, gamma: sum(r[t:])),
            "counts from time 0": loop(lambda t, r, gamma: gamma**t * discounted(r[t:], gamma)),
            "gathered so far": loop(lambda t, r, gamma: sum(r[: t + 1])),
            "the whole return": loop(lambda t, r, gamma: discounted(r, gamma)),
            "whole numbers": in_their_own_type,
            "~ last reward left out": without_the_last,
            "~ divides by γ^t": divided_by_powers,
            "changes its argument": in_place,
            "~ divides by γ^t, where γ is above 0": powers_undone,
            "~ stops after eight": loop(lambda t, r, gamma: discounted(r[t : t + 8], gamma)),
            "~ in half precision": lambda r, gamma: np.float16(backwards(r, gamma)),
            "~ stops after five": loop(lambda t, r, gamma: discounted(r[t : t + 5], gamma)),
        },
    ),
    "1.4": (
        [
            discounted,
            lambda r, gamma: to_go(r, gamma)[0],
            lambda r, gamma: np.polyval(r[::-1], gamma),
        ],
        {
            "as it stands": lambda r, gamma: discounted(r[::-1], gamma),
            "γ is missing": lambda r, gamma: sum(r),
            "one γ too many": lambda r, gamma: gamma * discounted(r, gamma),
            "G_0 alone": to_go,
            "~ only the end": lambda r, gamma: gamma ** (len(r) - 1) * r[-1],
            "~ the last step's": lambda r, gamma: to_go(r, gamma)[-1],
            "~ stops after eight": lambda r, gamma: discounted(r[:8], gamma),
            "~ each reward twice": lambda r, gamma: 2 * discounted(r, gamma),
            "~ average": lambda r, gamma: discounted(r, gamma) / len(r),
        },
    ),
    "2.1": (
        [
            lambda pi, a: [float(a == b) - p for b, p in enumerate(pi)],
            lambda pi, a: np.where(np.arange(len(pi)) == a, 1 - pi, -pi),
            lambda pi, a: (np.eye(len(pi)) - pi)[a],
        ],
        {
            "sign is reversed": lambda pi, a: [p - float(a == b) for b, p in enumerate(pi)],
            "with respect to the probabilities": lambda pi, a: [
                float(a == b) / p for b, p in enumerate(pi)
            ],
            "not ∇ log π": lambda pi, a: [pi[a] * (float(a == b) - p) for b, p in enumerate(pi)],
            "one-hot vector alone": lambda pi, a: [float(a == b) for b in range(len(pi))],
            "~ ignores π": lambda pi, a: np.eye(len(pi))[a] - 1 / len(pi),
            "~ always the first action": lambda pi, a: np.eye(len(pi))[0] - pi,
            "~ own entry only": lambda pi, a: np.eye(len(pi))[a] * (1 - pi),
            "~ one number": lambda pi, a: 1 - pi[a],
            "~ Jacobian": lambda pi, a: np.diag(pi) - np.outer(pi, pi),
            "~ log π": lambda pi, a: np.log(pi),
        },
    ),
    "2.2": (
        [
            loop(lambda t, logp, r, gamma: -logp[t] * discounted(r[t:], gamma)),
            lambda logp, r, gamma: [-a * b for a, b in zip(logp, backwards(r, gamma), strict=True)],
            lambda logp, r, gamma: -(torch.tensor(logp) * torch.tensor(to_go(r, gamma))),
        ],
        {
            "sign is reversed": loop(lambda t, logp, r, g: logp[t] * discounted(r[t:], g)),
            "not those of the start": loop(
                lambda t, logp, r, g: -logp[t] * discounted(r[: len(r) - t], g)
            ),
            "whole return": loop(lambda t, logp, r, g: -logp[t] * discounted(r, g)),
            "future is missing": loop(lambda t, logp, r, g: -logp[t] * r[t]),
            "γ is missing": loop(lambda t, logp, r, g: -logp[t] * sum(r[t:])),
            "γ^t in front": loop(lambda t, logp, r, g: -logp[t] * g**t * discounted(r[t:], g)),
            "logarithm is undone": loop(
                lambda t, logp, r, g: -math.exp(logp[t]) * discounted(r[t:], g)
            ),
            "reduced to one number": lambda logp, r, g: sum(
                -logp[t] * discounted(r[t:], g) for t in range(len(r))
            ),
            "~ the mean": lambda logp, r, g: loop(
                lambda t, logp, r, g: -logp[t] * discounted(r[t:], g) / len(r)
            )(logp, r, g),
            "whole numbers": lambda logp, r, g: -logp * in_their_own_type(r, g),
            "~ a small number in the log": lambda logp, r, g: (
                -np.log(np.exp(logp) + 1e-8) * backwards(r, g)
            ),
            "~ cut off at −3": lambda logp, r, g: -np.clip(logp, -3, 0) * backwards(r, g),
            "~ divides by γ^t": lambda logp, r, g: -logp * powers_undone(r, g),
            "~ the log twice": loop(lambda t, logp, r, g: -np.log(-logp[t]) * to_go(r, g)[t]),
        },
    ),
    "2.3": (
        [
            best,
            lambda pi, values: np.average(
                values, weights=[p * squares(pi, a) for a, p in enumerate(pi)]
            ),
            lambda pi, values: (
                (pi * (1 - 2 * pi + (pi**2).sum()) * values).sum()
                / (pi * (1 - 2 * pi + (pi**2).sum())).sum()
            ),
        ],
        {
            "mean value J": lambda pi, values: sum(p * v for p, v in zip(pi, values, strict=True)),
            "lack π": lambda pi, values: (
                sum(squares(pi, a) * v for a, v in enumerate(values))
                / sum(squares(pi, a) for a in range(len(pi)))
            ),
            "plain average": lambda pi, values: sum(values) / len(values),
            "~ norm, not its square": lambda pi, values: np.average(
                values, weights=[p * squares(pi, a) ** 0.5 for a, p in enumerate(pi)]
            ),
            "~ a small number below": lambda pi, values: (
                (w := pi * (1 - 2 * pi + (pi**2).sum())) @ values / (w.sum() + 1e-8)
            ),
            "~ own entry of the score": lambda pi, values: np.average(
                values, weights=pi * (1 - pi) ** 2 + 1e-12
            ),
            "~ not divided": lambda pi, values: sum(
                p * squares(pi, a) * v for a, (p, v) in enumerate(zip(pi, values, strict=True))
            ),
            "~ π twice": lambda pi, values: np.average(
                values, weights=[p * p * squares(pi, a) for a, p in enumerate(pi)]
            ),
            "~ median": lambda pi, values: np.median(values),
        },
    ),
    "3.1": (
        [
            grad(True, lambda steps: steps),
            zeroed_if_there,
            difference,
            grad(True, lambda steps: [sum(steps)]),
            grad(True, lambda steps: [torch.stack(steps).sum()]),
            lambda steps, theta: torch.autograd.grad(sum(steps), theta)[0],
            lambda steps, theta: grad(True, lambda s: s)(steps, theta).numpy(),
        ],
        {
            "last step": grad(True, lambda steps: steps[-1:]),
            "from before": grad(False, lambda steps: steps),
            "number of steps": grad(True, lambda steps: [torch.stack(steps).mean()]),
            ".grad is None": cleared(lambda theta: setattr(theta, "grad", None)),
            ".grad is zero": cleared(lambda theta: theta.grad.zero_()),
            "AttributeError": zeroed_first,
            "~ the first step alone": grad(True, lambda steps: steps[:1]),
            "~ twice": grad(True, lambda steps: [2 * sum(steps)]),
            "~ the loss": lambda steps, theta: sum(steps),
            "~ θ": lambda steps, theta: theta,
            "~ the other way": lambda steps, theta: -grad(True, lambda s: s)(steps, theta),
        },
    ),
    "3.3": (
        [
            lambda means, counts: np.average(means, weights=counts),
            lambda means, counts: (
                sum(m * c for m, c in zip(means, counts, strict=True)) / sum(counts)
            ),
            lambda means, counts: means @ counts / counts.sum(),
        ],
        {
            "mean of the means": lambda means, counts: sum(means) / len(means),
            "as if they were sums": lambda means, counts: sum(means) / sum(counts),
            "sum over all": lambda means, counts: means @ counts,
            "number of pieces": lambda means, counts: means @ counts / len(means),
            "~ divided by the counts": lambda means, counts: (means / counts).sum(),
            "~ right for two": lambda means, counts: (
                (means[0] * counts[0] + means[-1] * counts[-1]) / (counts[0] + counts[-1])
            ),
            "~ each piece's share": lambda means, counts: means * counts / counts.sum(),
            "~ whole numbers": lambda means, counts: (means @ counts) // counts.sum(),
        },
    ),
    "3.4": (
        [
            lambda steps, theta, lr: after_a_step(steps, theta, lr * 2),
            by_an_optimiser,
            lambda steps, theta, lr: (
                theta - lr * torch.autograd.grad(torch.stack(steps).sum(), theta)[0]
            ),
        ],
        {
            "the other way": lambda steps, theta, lr: after_a_step(steps, theta, -lr * 2),
            "from before": lambda steps, theta, lr: (
                after_a_step(steps, theta, lr * 2)
                - lr * (0.0 if theta.grad is None else theta.grad)
            ),
            "last step": lambda steps, theta, lr: after_a_step(steps[-1:], theta, lr * 2),
            "number of steps": lambda steps, theta, lr: after_a_step(
                steps, theta, lr * 2 / len(steps)
            ),
            "return θ after": lambda steps, theta, lr: (
                theta - after_a_step(steps, theta, 2)
            ).detach(),
            "~ rate left out": lambda steps, theta, lr: after_a_step(steps, theta, 2),
            "~ θ as it was": lambda steps, theta, lr: theta.detach(),
            "~ the step alone": lambda steps, theta, lr: (
                after_a_step(steps, theta, lr * 2) - theta.detach()
            ),
            "~ zero": lambda steps, theta, lr: 0 * theta.detach(),
        },
    ),
    "4.1": (
        [
            lambda alpha, lengths: [alpha / n for n in lengths],
            lambda alpha, lengths: np.float32(alpha) / np.float32(lengths),
            lambda alpha, lengths: alpha * np.array(lengths, float) ** -1,
        ],
        {
            "upside down": lambda alpha, lengths: [alpha * n for n in lengths],
            "rate that was set": lambda alpha, lengths: [alpha] * len(lengths),
            "not by the average": lambda alpha, lengths: [alpha / np.mean(lengths)] * len(lengths),
            "one rate for all": lambda alpha, lengths: alpha / np.mean(lengths),
            "~ the other way up": lambda alpha, lengths: lengths / alpha,
            "~ root": lambda alpha, lengths: alpha / np.sqrt(lengths),
            "~ longest": lambda alpha, lengths: alpha * lengths / max(lengths),
            "~ whole numbers": lambda alpha, lengths: alpha // lengths,
        },
    ),
    "4.2": (
        [
            lambda x, mask: np.mean([row[real].mean() for row, real in zip(x, mask, strict=True)]),
            lambda x, mask: np.where(mask, x / mask.sum(-1, keepdims=True), 0).sum() / len(x),
            lambda x, mask: (torch.tensor(x * mask).sum(-1) / torch.tensor(mask).sum(-1)).mean(),
        ],
        {
            "over all steps": lambda x, mask: x[mask].mean(),
            "padding is counted": lambda x, mask: x.sum() / x.size,
            "padding included": lambda x, mask: np.where(mask, x, 0).mean(1).mean(),
            "sum over steps": lambda x, mask: x[mask].sum() / len(x),
            "added over the episodes": lambda x, mask: sum(
                row[real].mean() for row, real in zip(x, mask, strict=True)
            ),
            "not yet averaged": lambda x, mask: [
                row[real].mean() for row, real in zip(x, mask, strict=True)
            ],
            "not to count": lambda x, mask: (x.sum(-1) / mask.sum(-1)).mean(),
            "~ 0 taken for padding": lambda x, mask: np.mean(
                [row[row != 0].mean() if row.any() else 0 for row in x * mask]
            ),
            "~ the mask for a length": lambda x, mask: np.mean(
                [row[: int(n)].mean() for row, n in zip(x, mask.sum(1), strict=True)]
            ),
            "~ last step left out": lambda x, mask: ((x * mask).sum(-1) / mask.sum(-1))[:-1].mean(),
            "~ over the other axis": lambda x, mask: (
                (x * mask).sum(0) / np.maximum(mask.sum(0), 1)
            ).mean(),
        },
    ),
    "5.2": (
        [
            lambda n, b: 1 - b / n,
            lambda n, b: [(k - b) / k for k in n],
            lambda n, b: np.array([np.mean((k - b) * np.ones(1)) / k for k in n]),
        ],
        {
            "under the sum": lambda n, b: [k - b for k in n],
            "divided as well": lambda n, b: [1 - b for k in n],
            "without a baseline": lambda n, b: np.ones(len(n)),
            "sign is reversed": lambda n, b: b / n - 1,
            "~ divided by the mean": lambda n, b: (n - b) / n.mean(),
            "~ divided by b": lambda n, b: (n - b) / (abs(b) + 1),
            "~ size only": lambda n, b: abs(n - b) / n,
            "~ n − 1": lambda n, b: (n - 1 - b) / n,
        },
    ),
    "5.3": (
        [
            others_law,
            lambda law, B: (
                np.poly1d([1.0]).c if B == 1 else np.convolve(law, others_law(law, B - 1))
            ),
            lambda law, B: np.fft.irfft(
                np.fft.rfft(law, 2 * ((len(law) - 1) * (B - 1) + 2)) ** (B - 1),
                2 * ((len(law) - 1) * (B - 1) + 2),
            )[: (len(law) - 1) * (B - 1) + 1],
        ],
        {
            "one episode too many": lambda law, B: others_law(law, B + 1),
            "one episode is missing": lambda law, B: others_law(law, max(B - 1, 1)),
            "not multiplied place by place": lambda law, B: np.array(law) ** (B - 1),
            "law of one episode": lambda law, B: law,
            "~ right up to B = 3": right_up_to_three,
            "~ not of the same law": lambda law, B: others_law(law[::-1], B),
            "~ squared again and again": lambda law, B: (
                np.ones(1) if B == 1 else np.convolve(law, law) if B == 3 else law
            ),
            "~ without the noughts at the end": lambda law, B: np.trim_zeros(
                others_law(law, B), "b"
            ),
            "~ up to 32": lambda law, B: np.fft.irfft(np.fft.rfft(law, 32) ** (B - 1), 32)[
                : (len(law) - 1) * (B - 1) + 1
            ],
            "~ cut to the first length": lambda law, B: others_law(law, B)[: len(law)],
        },
    ),
    "2.5": (
        [
            lambda p, G: [-math.log(a) * b for a, b in zip(p, G, strict=True)],
            lambda p, G: np.log(1 / p) * G,
            lambda p, G: -torch.log(torch.tensor(p)) * torch.tensor(G),
        ],
        {
            "as it stands": lambda p, G: -(p * G),
            "sign is reversed": lambda p, G: G * np.log(p),
            "divided by p": lambda p, G: -(G / p),
            "reduced to one number": lambda p, G: -np.dot(np.log(p), G),
            "return is missing": lambda p, G: np.log(1 / p),
            "~ both": lambda p, G: -p * np.log(p) * G,
            "~ a small number in the log": lambda p, G: -np.log(p + 1e-8) * G,
            "~ cut off": lambda p, G: -np.log(np.clip(p, 0.02, 1)) * G,
            "~ in base 2": lambda p, G: -np.log2(p) * G,
            "~ log of the return as well": lambda p, G: -np.log(p) * np.log(abs(G) + 1),
        },
    ),
    "5.5": (
        [
            lambda R, n: sum(a / b for a, b in zip(R, n, strict=True)) / len(R),
            lambda R, n: np.average(R / n),
            lambda R, n: (torch.tensor(R) / torch.tensor(n)).mean(),
        ],
        {
            "as it stands": lambda R, n: R.mean() / n.mean(),
            "which the sum climbs": lambda R, n: sum(R) / len(R),
            "average them": lambda R, n: [a / b for a, b in zip(R, n, strict=True)],
            "number of episodes": lambda R, n: np.sum(R / n),
            "~ by the longest": lambda R, n: R.mean() / n.max(),
            "~ whole numbers": lambda R, n: (R // n).mean(),
            "~ median": lambda R, n: np.median(R / n),
        },
    ),
}
