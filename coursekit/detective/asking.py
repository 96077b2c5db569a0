"""Calling what a user hands over: whatever it does is caught, and becomes a finding.

``B`` episodes, ``T`` time. KeyboardInterrupt passes; every other way to stop is an answer.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

Array = np.ndarray
Asked = tuple[Array | None, dict[str, str]]  # the weights, and what went wrong: name -> in words
STOPS = (Exception, SystemExit)  # whatever a user's function may raise


# How far rounding may move a weight, relative to the largest of its batch, by what is found inside.
GRAIN = {torch.float64: 1e-8, torch.float32: 5e-5, torch.float16: 5e-3, torch.bfloat16: 4e-2}

GROWN = (1.0, 1.0037, 1.0113, 1.027)  # what `rounding` multiplies by: no power of 2


class Answers(NamedTuple):
    """Weights of every case, or None; what went wrong: name -> numbers of the cases; in words."""

    weights: list[Array | None]
    where: dict[str, list[int]]
    notes: list[str]

    @property
    def names(self) -> tuple[str, ...]:
        """What went wrong, by name."""
        return tuple(self.where)


@contextmanager
def quiet() -> Iterator[None]:
    """A user's warnings are no errors here, and gradients are on."""
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")
        yield


def error_in_words(error: BaseException) -> str:
    """Its type and the first line of its words, cut between two words."""
    line = (str(error).strip().splitlines() or [""])[0]
    line = line if len(line) <= 120 else line[:119].rsplit(" ", 1)[0] + " …"
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def refused(fn: Any, call: str, count: int) -> tuple[str, str] | None:
    """Name and evidence where ``fn`` cannot be called with ``count`` arguments, as in ``call``."""
    if not callable(fn):
        return "not_callable", f"{fn!r:.40} is of type {type(fn).__name__}, not a function"
    if inspect.iscoroutinefunction(fn):
        return "not_callable", "it is a coroutine function (async def), which has to be awaited"
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):  # not every callable can say what it takes
        return None
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return "wrong_signature", f"it is called as {call}, and takes {signature}"
    return None


def tensors(given: dict[str, Array], dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """The arrays as tensors, real numbers in this dtype; the first, log π, requires grad."""
    made = {
        name: torch.tensor(x, dtype=dtype if x.dtype.kind == "f" else None)
        for name, x in given.items()
    }
    next(iter(made.values())).requires_grad_()
    return made


def weights(
    call: Callable[[dict[str, torch.Tensor]], Any],
    given: dict[str, Array],
    dtype: torch.dtype = torch.float64,
) -> Asked:
    """−∂call(given)/∂log π, the first of ``given``, in its shape; None where there is none."""
    before, wrong = tensors(given, dtype), {}
    name, leaf = next(iter(before.items()))
    after = {name: leaf * 1} | {k: x.clone() for k, x in before.items() if k != name}
    named = dict(after)
    try:
        with quiet():
            value = call(named)
            gradient = leaf.grad  # filled by a loop that calls backward itself
            if gradient is None:
                if trouble := _no_scalar(value):
                    return None, dict([trouble])
                (gradient,) = torch.autograd.grad(value.sum(), leaf, allow_unused=True)
    except STOPS as error:
        return None, {"raises": error_in_words(error)}
    for name, old in before.items():
        if not torch.equal(old.detach(), after[name].detach()):
            wrong["changes_inputs"] = f"it wrote into {name}"
    if gradient is None:
        return None, wrong | {"no_gradient": "the result does not depend on log π"}
    weight = -gradient.double().numpy()
    if not np.isfinite(weight).all():
        return None, wrong | {"nan": "the gradient holds a NaN or an infinity"}
    return weight, wrong


def value(call: Callable[[dict[str, torch.Tensor]], Any], given: dict[str, Array]) -> float:
    """What call(given) returns, as a number; NaN where it is none."""
    try:
        with quiet():
            return float(call(tensors(given)))
    except STOPS:
        return float("nan")


class _Dtypes(TorchFunctionMode):
    """Remembers which kinds of real numbers any operation takes or gives."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.seen |= {x.dtype for x in tree_leaves((args, out)) if isinstance(x, torch.Tensor)}
        return out


def precision(ask: Callable[[], Any]) -> torch.dtype:
    """The coarsest kind of real number that this call computes with."""
    return precisions(ask)[0]


def precisions(ask: Callable[[], Any]) -> list[torch.dtype]:
    """Every kind of real number that this call computes with, the coarsest first; float64 last."""
    with _Dtypes() as mode:
        ask()
    return sorted(mode.seen & set(GRAIN) | {torch.float64}, key=GRAIN.__getitem__, reverse=True)


def rounding(ask: Callable[[float], Array | None]) -> float:
    """How far what is asked moves off a straight line where all that enters grows by a few percent.

    Relative to the largest number of the answer; 0 where there is none.
    """
    seen, line = [ask(k) for k in GROWN], np.stack([np.ones(len(GROWN)), GROWN], axis=-1)
    if any(x is None or not np.isfinite(x).all() for x in seen) or not np.any(seen):
        return 0.0
    rows = np.array(seen).reshape(len(GROWN), -1)
    fit = line @ np.linalg.lstsq(line, rows, rcond=None)[0]
    return float(np.abs(rows - fit).max() / np.abs(rows).max())


def every(ask: Callable[[Any], Asked], cases: Sequence[Any]) -> Answers:
    """Ask of every case; of each kind of trouble the first is told, with the case's label."""
    found, where, first = [], {}, {}
    for number, case in enumerate(cases):
        weight, wrong = ask(case)
        found.append(weight)
        for name, text in wrong.items():
            where.setdefault(name, []).append(number)
            first.setdefault(name, f"{text} (first batch: number {number}, {case.label})")
    notes = [f"{k}, on {len(n)} of {len(cases)} batches: {first[k]}" for k, n in where.items()]
    return Answers(found, where, notes)


def _no_scalar(value: Any) -> tuple[str, str] | None:
    if isinstance(value, (dict, tuple, list)):
        return "not_a_tensor", f"it returned a {type(value).__name__}: return only the loss"
    if not isinstance(value, torch.Tensor):
        return "not_a_tensor", f"it returned {value!r:.60}"
    if value.numel() != 1:
        return "not_scalar", f"it returned the shape {tuple(value.shape)}"
    if not value.requires_grad:
        return "detached", f"it returned {value.item():.4g}, without a graph"
    return None


def alike(a: Array | None, b: Array | None) -> bool:
    """The same weights, but for rounding; None is like None alone."""
    if a is None or b is None:
        return a is b
    return np.allclose(a, b, rtol=1e-6, atol=1e-6 * np.abs(b).max())
