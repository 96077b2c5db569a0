"""Calling what a user hands over: whatever it does is caught, and becomes a finding.

``B`` episodes, ``T`` time. KeyboardInterrupt passes; every other way to stop is an answer.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from coursekit.detective import casebook

Array = np.ndarray
STOPS = (Exception, SystemExit)  # whatever a user's function may raise


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
    """Name and evidence where ``fn`` can not be called with ``count`` arguments, as in ``call``."""
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


def weights(loss: Callable, case: casebook.Case, dtype: torch.dtype = torch.float64):
    """−∂loss/∂log π on one batch, (B, T) or None, and what went wrong: name -> in words."""
    leaf = torch.tensor(case.logp, dtype=dtype, requires_grad=True)
    before = leaf.detach(), torch.as_tensor(case.rewards, dtype=dtype), torch.as_tensor(case.mask)
    given, wrong = (leaf * 1, before[1].clone(), before[2].clone()), {}
    try:
        with quiet():
            value = loss(*given, case.gamma)
            gradient = leaf.grad  # filled by a loop that calls backward itself
            if gradient is None:
                if trouble := _no_scalar(value):
                    return None, dict([trouble])
                (gradient,) = torch.autograd.grad(value.sum(), leaf, allow_unused=True)
    except STOPS as error:
        return None, {"raises": error_in_words(error)}
    for name, old, new in zip(("logp", "rewards", "mask"), before, given, strict=True):
        if not torch.equal(old, new.detach()):
            wrong["changes_inputs"] = f"it wrote into {name}"
    if gradient is None:
        return None, wrong | {"no_gradient": "the result does not depend on log π"}
    weight = -gradient.double().numpy()
    if not np.isfinite(weight).all():
        return None, wrong | {"nan": "the gradient holds a NaN or an infinity"}
    return weight, wrong


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


def repeats(loss: Callable, dtype: torch.dtype, seen: dict[int, Array | None]) -> bool:
    """Does each of these batches, given once more, have the same weights as before?"""
    every = casebook.cases()[0]
    return all(
        _alike(weights(loss, every[number], dtype)[0], before) for number, before in seen.items()
    )


def padding_matters(loss: Callable, dtype: torch.dtype) -> bool:
    """Do the weights of real steps change where the rewards of the padding are not 0?"""
    case = casebook.cases()[0][casebook.numbered("wide padding")]
    clean, junk = (weights(loss, c, dtype)[0] for c in (case, casebook.with_junk(case)))
    if clean is None:
        return False
    return not _alike(None if junk is None else junk[case.mask], clean[case.mask])


def _alike(a: Array | None, b: Array | None) -> bool:
    if a is None or b is None:
        return a is b
    return np.allclose(a, b, rtol=1e-6, atol=1e-6 * np.abs(b).max())
