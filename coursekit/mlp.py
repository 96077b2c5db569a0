"""A network by hand in NumPy: forward with named intermediates, backward in names with a ``d``.

Layer k is ``z{k} = h{k} @ w{k}.T + b{k}`` and ``h{k+1} = f_k(z{k})``, with the observations as
``h0``; ``w{k}`` (fan-out, fan-in) and ``b{k}`` (fan-out,) as in ``policies.SoftmaxPolicy``, whose
logits are those of a "linear" last layer. Axes: ``O`` observation, ``A`` action; any leading ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

Array = np.ndarray
Params = dict[str, Array]


class GradientError(AssertionError):
    """A gradient disagrees with the slopes that were measured."""


def log_softmax(logits: Array) -> Array:
    """log p_a = z_a − log Σ_b exp z_b, safe for any finite logits; (…, A) -> (…, A)."""
    shifted = logits - np.max(logits, axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def softmax(logits: Array) -> Array:
    """p_a = exp z_a / Σ_b exp z_b; (…, A) -> (…, A)."""
    return np.exp(log_softmax(logits))


def softmax_jacobian(p: Array) -> Array:
    """∂p_a/∂z_b = p_a (1[a = b] − p_b), that is diag(p) − p pᵀ; (…, A) -> (…, A, A)."""
    p = probabilities(p)
    return p[..., None] * (np.eye(p.shape[-1]) - p[..., None, :])


# name: (y = f(z), dz from dy and y). Each derivative is written in the *output* y: 1 − y² for tanh.
ACTIVATIONS: dict[str, tuple[Callable, Callable]] = {
    "linear": (lambda z: z, lambda dy, y: dy),
    "sigmoid": (lambda z: 0.5 + 0.5 * np.tanh(z / 2), lambda dy, y: dy * y * (1 - y)),
    "tanh": (np.tanh, lambda dy, y: dy * (1 - y**2)),
    "relu": (lambda z: np.maximum(z, 0.0), lambda dy, y: dy * (y > 0)),
    # the Jacobian times dy, without building the Jacobian
    "softmax": (softmax, lambda dy, y: y * (dy - (dy * y).sum(-1, keepdims=True))),
}


def init(sizes: Sequence[int], rng: np.random.Generator) -> Params:
    """Weights and biases uniform on ±1/√(fan-in); the very draws of ``SoftmaxPolicy.init``.

    ValueError for fewer than two widths, or one below 1.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(
            f"sizes {tuple(sizes)} must be two or more widths, all above 0: (4, 64, 2)"
        )
    params = {}
    for k, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        bound = 1 / fan_in**0.5
        params[f"w{k}"] = rng.uniform(-bound, bound, (fan_out, fan_in))
        params[f"b{k}"] = rng.uniform(-bound, bound, fan_out)
    return params


def forward(params: Params, obs: Array, activations: Sequence[str]) -> dict[str, Array]:
    """Every intermediate by name: ``h0`` (the observations), ``z0``, ``h1``, …; (…, O) -> (…, A).

    One activation for each layer, names of ``ACTIVATIONS``; the output of K layers is ``h{K}``.
    Raises ValueError for an unknown activation, too many or too few, or a width that does not fit.
    """
    _layers(params, activations)
    cache = {"h0": np.asarray(obs, dtype=np.float64)}
    for k, name in enumerate(activations):
        h, w, b = cache[f"h{k}"], params[f"w{k}"], params[f"b{k}"]
        if h.ndim == 0 or w.ndim != 2 or h.shape[-1] != w.shape[1] or b.shape != w.shape[:1]:
            raise ValueError(
                f"layer {k} is given shape {h.shape}, w{k} has {w.shape}, b{k} has {b.shape}; "
                f"they must be (…, fan-in), (fan-out, fan-in), (fan-out,)"
            )
        cache[f"z{k}"] = h @ w.T + b
        cache[f"h{k + 1}"] = ACTIVATIONS[name][0](cache[f"z{k}"])
    return cache


def backward(
    params: Params, cache: dict[str, Array], dout: Array, activations: Sequence[str]
) -> dict[str, Array]:
    """The chain rule from the output to the input: for every name of ``forward``, ``d`` + name.

    ``dout``: the derivative of some number by the network's output, of the output's shape. With
    dz = f'(z) dh, the layer below gets dw = dzᵀ h, db = Σ dz, dh = dz w, the sums running over all
    leading axes. Raises ValueError where shapes disagree.
    """
    last = _layers(params, activations)
    out, dout = cache[f"h{last}"], np.asarray(dout, dtype=np.float64)
    if dout.shape != out.shape:
        raise ValueError(f"dout has shape {dout.shape}; the output h{last} has shape {out.shape}")
    grads = {f"dh{last}": dout}
    for k in reversed(range(last)):
        h, w, pull_back = cache[f"h{k}"], params[f"w{k}"], ACTIVATIONS[activations[k]][1]
        dz = grads[f"dz{k}"] = pull_back(grads[f"dh{k + 1}"], cache[f"h{k + 1}"])
        rows = dz.reshape(-1, dz.shape[-1])
        grads[f"dw{k}"] = rows.T @ h.reshape(-1, h.shape[-1])
        grads[f"db{k}"] = rows.sum(0)
        grads[f"dh{k}"] = dz @ w
    return grads


def head(logits: Array, action: Array) -> tuple[Array, Array]:
    """log π(a|s) and its derivative by the *logits*, onehot(a) − p; (…, A), (…) -> (…), (…, A).

    Raises ValueError for an action that is not a whole number in 0 … A−1.
    """
    logits = np.asarray(logits, dtype=np.float64)
    log_p, taken = log_softmax(logits), onehot(action, logits.shape)
    return (log_p * taken).sum(-1), taken - np.exp(log_p)


def head_of_p(p: Array, action: Array) -> tuple[Array, Array]:
    """log π(a|s) and its derivative by the *probabilities*, onehot(a)/p; (…, A), (…) -> the same.

    For a network that ends in "softmax". Raises ValueError for an action out of range, for p that
    are no probabilities, and for a chosen one of 0, whose logarithm is −∞.
    """
    p = probabilities(p)
    taken = onehot(action, p.shape)
    chosen = (p * taken).sum(-1)
    if not (chosen > 0).all():
        raise ValueError(
            f"the chosen action has probability 0 in p = {p}, action = {action}; its log is −∞. "
            "Use head, on the logits"
        )
    return np.log(chosen), taken / chosen[..., None]


def probabilities(p: Array) -> Array:
    """``p`` as float64; ValueError where an entry is negative or NaN or a row does not add to 1."""
    p = np.asarray(p, dtype=np.float64)
    if p.ndim == 0 or not ((p >= 0).all() and np.allclose(p.sum(-1), 1, rtol=0, atol=1e-9)):
        total = p.sum(-1) if p.ndim else p
        raise ValueError(
            f"p = {p} are no probabilities: they must be ≥ 0 and add to 1 over the last axis, and "
            f"add to {total}. Give the output of a softmax, not logits or changed probabilities"
        )
    return p


def onehot(action: Array, shape: Sequence[int]) -> Array:
    """1 at the action, 0 elsewhere; (…) -> ``shape`` (…, A), the shape of logits or probabilities.

    Raises ValueError for actions that are not whole numbers in 0 … A−1, or of another shape.
    """
    action, shape = np.asarray(action), tuple(shape)
    if action.shape != shape[:-1] or not shape:
        raise ValueError(f"actions have shape {action.shape}; {shape} needs {shape[:-1]}")
    if not np.issubdtype(action.dtype, np.integer):
        raise ValueError(f"actions must be whole numbers (an integer dtype), not {action!r}")
    if ((action < 0) | (action >= shape[-1])).any():
        wrong = action[(action < 0) | (action >= shape[-1])]
        raise ValueError(f"action {wrong[0]} is outside 0 … {shape[-1] - 1}, the {shape[-1]} given")
    return np.eye(shape[-1])[action]


def check_gradient(
    function: Callable[[Params], float],
    params: Params,
    grads: dict[str, Array],
    rng: np.random.Generator,
    *,
    directions: int = 3,
    step: float = 1e-5,
    bound: float = 1e-6,
) -> dict[str, float]:
    """Compare each ``grads["d" + name]`` with slopes (f(θ + εu) − f(θ − εu)) / 2ε, u random units.

    For each parameter array in turn, so that an error says where it is; returns the largest error
    by name, relative to the size of the whole gradient. Raises GradientError above ``bound`` (give
    infinity to see the table), ValueError where a gradient is missing or has another shape, or the
    step is absurd. Differences that rounding explains count as none. A step across the kink of a
    relu spoils a slope: check relu on a few rows, not on thousands.
    """
    if not 1e-8 <= step <= 1e-2:
        raise ValueError(f"step {step} must be from 1e-8 (rounding below) to 1e-2 (bends above)")
    for name, value in params.items():
        shape = np.shape(grads["d" + name]) if "d" + name in grads else "no entry"
        if shape != value.shape:
            raise ValueError(f"{name} has shape {value.shape}; d{name} has {shape} in the gradient")
    size = np.sqrt(sum((grads["d" + name] ** 2).sum() for name in params))
    noise = 10 * np.finfo(float).eps * abs(function(params)) / step  # what rounding may amount to
    errors = {}
    for name, value in params.items():
        errors[name] = 0.0
        for _ in range(directions):
            u = rng.normal(size=value.shape)
            u /= np.linalg.norm(u)
            ahead, behind = (function(params | {name: value + s * step * u}) for s in (1, -1))
            slope, said = (ahead - behind) / (2 * step), float((grads["d" + name] * u).sum())
            off = max(abs(slope - said) - noise, 0.0) if np.isfinite(slope - said) else np.inf
            scale = max(size, abs(slope)) if np.isfinite(size) else 1.0
            errors[name] = max(errors[name], float(off / scale) if off else 0.0)
            if errors[name] > bound:
                raise GradientError(
                    f"d{name} is wrong: along a random direction the slope is {slope:.6g}, the "
                    f"gradient says {said:.6g}; relative error {errors[name]:.2g}, bound {bound:g}"
                )
    return errors


def _layers(params: Params, activations: Sequence[str]) -> int:
    """The number of layers; ValueError where parameters and activations do not fit together."""
    if isinstance(activations, str):
        raise ValueError(f"activations must be a list, one for each layer: [{activations!r}]")
    for name in activations:
        if name not in ACTIVATIONS:
            known = ", ".join(sorted(ACTIVATIONS))
            raise ValueError(f"activation {name!r} is unknown; choose from: {known}")
    wanted = {f"{letter}{k}" for letter in "wb" for k in range(len(activations))}
    if not activations or set(params) != wanted:
        raise ValueError(
            f"{len(activations)} activations {list(activations)} need the parameters "
            f"{sorted(wanted)}; given: {sorted(params)}"
        )
    return len(activations)
