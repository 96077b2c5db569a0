"""Exercises of notebook 03: the loop of backward calls, what .grad holds, micro-batches."""

from __future__ import annotations

import numpy as np

from coursekit.checks import Exercise
from coursekit.exercises import draws


def parameters(start, left):
    """θ, with something left over in .grad, or nothing as at the start of a program."""
    import torch

    theta = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    theta.grad = None if left is None else torch.full_like(theta, left)
    return theta


def separate(start, c, left):
    """Losses c_t Σ θ² + t θ_0, each with a graph of its own."""
    theta = parameters(start, left)
    return [c_t * (theta**2).sum() + t * theta[0] for t, c_t in enumerate(c)], theta


def loss_lists():
    return [
        separate([1.0, -2.0], (1.0, 2.0, 3.0), 100.0),
        separate([0.5, 3.0], (2.0, -1.0, 4.0, 0.5), None),
        separate([1.5], (2.0,), -7.0),
        separate([1.0, 2.0, 3.0], (1.0, -1.0), 0.0),
    ]


def drawn(rng):
    start = draws.numbers(rng, draws.length(rng, 1, 4)).astype(float)
    c = draws.numbers(rng, draws.length(rng, 1, 5)).astype(float)
    return start.tolist(), c.tolist(), [None, 50.0][rng.integers(2)]


def some_losses(rng):
    return separate(*drawn(rng))


def some_pieces(rng):
    K = draws.length(rng, 1, 6)
    return draws.numbers(rng, K), rng.integers(1, 20, K)


def by_loop(step_losses, theta):
    theta.grad = None
    for loss in step_losses:
        loss.backward()
    return theta.grad


def last_only(step_losses, theta):
    return by_loop(step_losses[-1:], theta)


def cleared_at_the_end(step_losses, theta):
    by_loop(step_losses, theta)
    theta.grad = None
    return theta.grad


def with_leftovers(step_losses, theta):
    for loss in step_losses:
        loss.backward()
    return theta.grad


def cut(start, c, left, lr):
    """Losses c_t Σ θ² that share a graph, θ needed for each of them."""
    import torch

    theta, factors = parameters(start, left), torch.tensor(c, dtype=torch.float64)
    return list((factors[:, None] * theta**2).sum(1)), theta, lr


def cut_from_one_graph():
    return [
        cut([1.0, -2.0], (1.0, 2.0, 3.0), 50.0, 0.1),
        cut([0.5, 3.0, -1.0], (2.0, -1.0), None, 0.3),
        cut([2.0], (1.5,), -3.0, 0.5),
    ]


def some_cut(rng):
    return cut(*drawn(rng), int(rng.integers(1, 20)) / 16)


def update(step_losses, theta, lr, scale=1.0, clear=True):
    theta.grad = None if clear else theta.grad
    for loss in step_losses:
        loss.backward(retain_graph=True)
    return theta.detach() - lr * scale * theta.grad


def stepping_inside(step_losses, theta, lr):
    for loss in step_losses:
        theta.grad = None
        loss.backward(retain_graph=True)
        theta.data -= lr * theta.grad
    return theta.detach()


def global_mean(means, counts):
    return (means * counts).sum() / counts.sum()


EXERCISES = {
    "3.1": Exercise(
        solution=by_loop,
        takes=(
            "step_losses: list of n ≥ 1 scalar tensors, each with a graph of its own\n"
            "theta: tensor (d,) that requires a gradient; theta.grad may be None"
        ),
        edges=loss_lists,
        draw=some_losses,
        wrong={
            "only the last step is left: the gradient was cleared inside the loop": last_only,
            ".grad is None: it was cleared after the last backward": cleared_at_the_end,
            ".grad is zero: it was cleared after the last backward": (
                lambda step_losses, theta: by_loop(step_losses, theta).zero_()
            ),
            "something from before is still in .grad: clear it once, before the loop": (
                with_leftovers
            ),
            "this is divided by the number of steps: the mean, not the loop": (
                lambda step_losses, theta: by_loop(step_losses, theta) / len(step_losses)
            ),
        },
    ),
    "3.2": Exercise(
        solution=7.5,
        wrong={
            "that is the first call alone; the second adds to it": 5.0,
            "that is the second call alone; nothing cleared what the first left": 2.5,
            "the second call is on the mean, which has half the gradient of the sum": 10.0,
        },
    ),
    "3.3": Exercise(
        solution=global_mean,
        takes=(
            "means: array (K,), whole numbers or floats, K ≥ 1\n"
            "counts: array (K,), whole numbers, 1 or more"
        ),
        edges=lambda: [
            (np.array([2.0, 10.0]), np.array([3, 1])),
            (np.array([1.0, -2.0, 4.0]), np.array([5, 1, 2])),
            (np.array([3, 3, 8]), np.array([1, 1, 1])),
            (np.array([2.5]), np.array([4])),
        ],
        draw=some_pieces,
        wrong={
            "this is the mean of the means: the lonely token counts as much as a full piece": (
                lambda means, counts: means.mean()
            ),
            "the means are added as if they were sums: multiply each by its count first": (
                lambda means, counts: means.sum() / counts.sum()
            ),
            "this is the sum over all tokens: divide by their number": (
                lambda means, counts: (means * counts).sum()
            ),
            "divided by the number of pieces, not of tokens": (
                lambda means, counts: (means * counts).sum() / len(counts)
            ),
        },
    ),
    "3.4": Exercise(
        solution=update,
        takes=(
            "step_losses: list of n ≥ 1 scalar tensors that share one graph\n"
            "theta: tensor (d,) that requires a gradient; theta.grad may be None\n"
            "lr: a number above 0"
        ),
        edges=cut_from_one_graph,
        draw=some_cut,
        changes=["theta"],
        wrong={
            "the other way: descend, θ − lr · grad": (
                lambda losses, theta, lr: update(losses, theta, lr, scale=-1.0)
            ),
            "something from before is still in .grad: clear it once, before the loop": (
                lambda losses, theta, lr: update(losses, theta, lr, clear=False)
            ),
            "only the last step is left: the gradient was cleared inside the loop": (
                lambda losses, theta, lr: update(losses[-1:], theta, lr)
            ),
            "this is divided by the number of steps: the mean, not the loop": (
                lambda losses, theta, lr: update(losses, theta, lr, scale=1 / len(losses))
            ),
            "θ moves inside the loop, before the other gradients: step once, after the loop": (
                stepping_inside
            ),
            "that is the gradient; return θ after the step": (
                lambda losses, theta, lr: (theta.detach() - update(losses, theta, lr)) / lr
            ),
        },
        errors={
            "through the graph a second time": "the losses share one graph, and the first backward "
            "has freed it; say retain_graph=True (section 4)",
            "modified by an inplace operation": "θ was changed inside the loop, and the other "
            "losses still need the old one; step once, after the loop (section 6)",
        },
    ),
    "3.5": Exercise(
        solution=(0.5, 0.56),
        wrong={
            "the two are exchanged: the step after the loop first": (0.56, 0.5),
            "inside the loop the second loss sees a θ that has moved": (0.5, 0.5),
            "those are the steps; what is θ afterwards?": (0.5, 0.44),
            "the other way: descend": (1.5, 1.56),
            "that is θ after the first loss alone; the second one steps as well": (0.5, 0.7),
        },
    ),
}
