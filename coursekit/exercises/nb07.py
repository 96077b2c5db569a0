"""Exercises of notebook 07: a layer's weights, what goes back into the logits, slopes."""

from __future__ import annotations

import numpy as np

from coursekit import mlp
from coursekit.checks import Exercise
from coursekit.exercises import draws


def layers():
    rng = np.random.default_rng(71)
    return [
        (rng.normal(size=(4, 3)), rng.normal(size=(4, 2))),
        (np.ones((2, 1)), np.ones((2, 5))),
        (np.array([[1.0, -2.0]]), np.array([[3.0, 0.5]])),
    ]


def some_layer(rng):
    B, into, out = (draws.length(rng, 1, 4) for _ in range(3))
    return draws.numbers(rng, B, out).astype(float), draws.numbers(rng, B, into).astype(float)


def steps():
    return [
        (np.log([0.24, 0.365, 0.395]), 1, 10.0),
        (np.array([2.0, -1.0]), 0, -3.0),
        (np.array([1000, 0]), 1, 2),
        (np.array([-1000.0, -1001.0, -1000.5]), 2, 1.0),
        (np.array([3.0]), 0, 5.0),
        (np.array([0.5, 0.5]), 1, 0.0),
        (np.array([3000.0, 2900.0, 0.0]), 1, 2.0),
        (np.array([20000.0, 0.0]), 1, 1.0),
    ]


def a_step(rng):
    logits = draws.numbers(rng, draws.length(rng, 1, 5))
    return logits, int(rng.integers(len(logits))), draws.number(rng)


def descend(logits, action, G):
    return G * (mlp.softmax(logits) - mlp.onehot(action, logits.shape))


def element_wise(logits, action, G):
    p = mlp.softmax(logits)
    return -G * (1 - p) * mlp.onehot(action, p.shape)


def through_again(logits, action, G):
    return mlp.softmax_jacobian(mlp.softmax(logits)) @ descend(logits, action, G)


def at_probabilities(logits, action, G):
    p = mlp.softmax(logits)
    return -G * mlp.onehot(action, p.shape) / p


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def called(formula, f):
    """``f`` as it is shown to the learner."""
    f.__doc__ = f"({formula})"
    return f


def cubes():
    sum_of_cubes = called("x ↦ (x**3).sum()", lambda x: (x**3).sum())
    growing = called("x ↦ exp(x[0]) * x[1]", lambda x: float(np.exp(x[0]) * x[1]))
    square = called("x ↦ 3 * x[0]**2", lambda x: 3.0 * x[0] ** 2)
    return [
        (sum_of_cubes, np.array([1.0, -2.0, 0.5]), np.array([0.6, 0.0, 0.8]), 0.1),
        (growing, np.array([0.3, 2.0]), np.array([0.0, -1.0]), 0.5),
        (square, np.array([0.0]), np.array([2.0]), 0.25),
    ]


def some_slope(rng):
    """A cubic, which two points on one side get wrong, along a direction of any length."""
    x, u, a, b = (draws.eighths(rng, 3).astype(float) for _ in range(4))
    formula = f"x ↦ ({a.tolist()} * x**3 + {b.tolist()} * x).sum() + x[0] * x[1]"
    cubic = called(formula, lambda x: (a * x**3 + b * x).sum() + x[0] * x[1])
    return cubic, x, u, int(rng.integers(2, 9)) / 8


def some_signals(rng):
    B, n = draws.length(rng, 1, 4), draws.length(rng, 1, 4)
    return draws.numbers(rng, B, n).astype(float), draws.numbers(rng, B, n).astype(float)


EXERCISES = {
    "7.1": Exercise(
        solution=lambda dz, h: dz.T @ h,
        takes=("dz: array (B, out) of floats, B ≥ 1\nh: array (B, in) of floats"),
        edges=layers,
        draw=some_layer,
        wrong={
            "this is its transpose: the rows of w are the outputs": lambda dz, h: h.T @ dz,
            "this is the mean over the rows; each row used the weights, so they add up": (
                lambda dz, h: dz.T @ h / len(h)
            ),
            "only the first row has come back; all rows used the same weights": (
                lambda dz, h: np.outer(dz[0], h[0])
            ),
            "one table for each row: add them up": lambda dz, h: dz[:, :, None] * h[:, None, :],
        },
    ),
    "7.2": Exercise(
        solution=descend,
        takes=(
            "logits: array (A,), whole numbers or floats of any size, A ≥ 1\n"
            "action: a whole number from 0 to A − 1\n"
            "G: a number"
        ),
        edges=steps,
        draw=a_step,
        wrong={
            "the sign is that of ascent; this optimiser descends": (
                lambda logits, action, G: -descend(logits, action, G)
            ),
            "this belongs at the probabilities; the logits are on the other side of the softmax": (
                at_probabilities
            ),
            "this is the diagonal of the Jacobian alone: the other logits learn nothing": (
                element_wise
            ),
            "G is missing: it says how good the action was": (
                lambda logits, action, G: descend(logits, action, 1.0)
            ),
            "through the Jacobian twice: p − onehot stands behind it already": through_again,
            "the action does not occur in this: it is the printed line of the question": (
                lambda logits, action, G: G * mlp.softmax(logits)
            ),
        },
    ),
    "7.3": Exercise(
        solution=lambda z, action: action - sigmoid(z),
        takes=("z: a number from −20 to 20\naction: 0 or 1"),
        edges=lambda: [(0.4, 1), (0.4, 0), (-1.5, 1), (0, 0), (-20.0, 0), (20.0, 1)],
        draw=lambda rng: (float(np.clip(draws.number(rng), -20, 20)), int(rng.integers(2))),
        tells=False,
        wrong={
            "the sign is turned: action 1 must raise z": lambda z, action: sigmoid(z) - action,
            "right for action 1; for action 0 differentiate log(1 − p)": (
                lambda z, action: 1 - sigmoid(z)
            ),
            "this is zero for action 0, but not to have gone right is news too": (
                lambda z, action: action * (1 - sigmoid(z))
            ),
            "this is the derivative of π(a), without the log": (
                lambda z, action: (2 * action - 1) * sigmoid(z) * (1 - sigmoid(z))
            ),
        },
    ),
    "7.4": Exercise(
        solution=lambda f, x, u, eps: (f(x + eps * u) - f(x - eps * u)) / (2 * eps),
        takes=(
            "f: a function of an array (d,) that gives a number\n"
            "x: array (d,) of floats\n"
            "u: array (d,) of floats, of any length\n"
            "eps: a number above 0"
        ),
        edges=cubes,
        draw=some_slope,
        wrong={
            "one-sided: step back as well, and the error shrinks with the square of eps": (
                lambda f, x, u, eps: (f(x + eps * u) - f(x)) / eps
            ),
            "u is taken as it is given: do not divide by its length": [
                lambda f, x, u, eps: (
                    (f(x + eps * u) - f(x - eps * u)) / (2 * eps * np.linalg.norm(u))
                ),
                lambda f, x, u, eps: (
                    (f(x + eps * u / (u @ u) ** 0.5) - f(x - eps * u / (u @ u) ** 0.5)) / (2 * eps)
                ),
            ],
            "the two points are 2 eps apart": (
                lambda f, x, u, eps: (f(x + eps * u) - f(x - eps * u)) / eps
            ),
            "that is the difference; divide it by the distance, 2 eps": (
                lambda f, x, u, eps: f(x + eps * u) - f(x - eps * u)
            ),
            "the wrong way round: ahead minus back": (
                lambda f, x, u, eps: (f(x - eps * u) - f(x + eps * u)) / (2 * eps)
            ),
        },
    ),
    "7.5": Exercise(
        solution=lambda dy, z: dy * (z > 0),
        takes=(
            "dy: array (B, n) of floats, B and n ≥ 1\n"
            "z: array (B, n) of floats, what went in on the way forward"
        ),
        edges=lambda: [
            (np.array([[1.0, -2.0, 3.0]]), np.array([[0.5, -1.0, 2.0]])),
            (np.array([[1.0], [4.0]]), np.array([[0.0], [-3.0]])),
            (np.array([[-2.0, 5.0]]), np.array([[1.0, 1.0]])),
            (np.array([[-2.0, 5.0]]), np.array([[0.05, -1e-6]])),
        ],
        draw=some_signals,
        wrong={
            "that is the function as it stands: the slope of max(z, 0) is 1 or 0, not z": (
                lambda dy, z: dy * np.maximum(z, 0)
            ),
            "it is the sign of z that counts, not that of dy": lambda dy, z: np.maximum(dy, 0),
            "the other half is let through: the slope is 1 where z is above 0": (
                lambda dy, z: dy * (z <= 0)
            ),
            "everything is let through; where z is below 0 nothing moves": lambda dy, z: dy,
            "that is the slope alone; multiply what comes from above by it": (
                lambda dy, z: (z > 0) * 1.0
            ),
        },
    ),
}
