"""What else is in the graph of a loss: other tensors that learn, and an old policy made of log π.

``B`` episodes, ``T`` time, ``K`` steps that were asked for, in a row.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from coursekit.detective.cases import Case

Array = np.ndarray
Call = Callable[[Case], Any]  # calls the loss on a case and hands back weights or None


# --- Other leaves.


class Leaf(NamedTuple):
    """A tensor that gets a gradient: its name, if it has one, and whether log π changes that."""

    name: str
    leaks: bool


@contextmanager
def _watched():
    """Before every call of backward or grad: the gradient of each leaf, id -> (leaf, gradient)."""
    found: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    plain = torch.autograd.backward, torch.autograd.grad

    def watch(fn: Callable) -> Callable:
        @functools.wraps(fn)
        def watched(tensors: Any, *args: Any, **settings: Any) -> Any:
            given = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
            leaves = _leaves(given)
            every = plain[1](given, leaves, retain_graph=True, allow_unused=True) if leaves else ()
            for leaf, gradient in zip(leaves, every, strict=True):
                if gradient is not None:
                    before = found.get(id(leaf), (leaf, 0))[1]
                    found[id(leaf)] = leaf, before + gradient.detach()
            return fn(tensors, *args, **settings)

        return watched

    torch.autograd.backward, torch.autograd.grad = map(watch, plain)
    try:
        yield found
    finally:
        torch.autograd.backward, torch.autograd.grad = plain


def _leaves(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """Every leaf of the graph behind these tensors."""
    nodes = [x.grad_fn for x in tensors if x.grad_fn is not None]
    seen, found = set(nodes), []
    while nodes:
        node = nodes.pop()
        if hasattr(node, "variable"):
            found.append(node.variable)
        more = {n for n, _ in node.next_functions if n is not None} - seen
        seen |= more
        nodes += more
    return found


def other_leaves(loss: Callable, call: Call, case: Case) -> list[Leaf]:
    """Tensors beside log π that get a gradient from the loss, on one case.

    A critic's own loss does not see log π. Where the gradient of another tensor changes with
    log π, the policy's part of the loss teaches it: it leaks.
    """
    seen = [_gradients(call, c) for c in (case, case._replace(logp=case.logp - 0.5))]
    found, names = [], None
    for key, (leaf, gradient) in seen[0].items():
        then = seen[1].get(key, (leaf, torch.zeros_like(gradient)))[1]
        if gradient.abs().max() > 0 or then.abs().max() > 0:
            names = _names(loss) if names is None else names
            leaks = not torch.allclose(gradient, then, rtol=1e-5, atol=1e-12)
            found.append(Leaf(names.get(key, f"a tensor of shape {tuple(leaf.shape)}"), leaks))
    return found


def _gradients(call: Call, case: Case) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """Every leaf of one call but log π itself, and its gradient."""
    with _watched() as found:
        call(case)
    own = torch.tensor(case.logp)
    return {
        key: pair
        for key, pair in found.items()
        if pair[0].shape != own.shape
        or not torch.equal(pair[0].detach().to(own), own.to(pair[0]).to(own))
    }


def _names(loss: Callable) -> dict[int, str]:
    """The tensors that a function can reach by name: id -> name."""
    found: dict[int, str] = {}
    for name, value in _reach(loss):
        if isinstance(value, torch.Tensor):
            found.setdefault(id(value), name)
        elif isinstance(value, torch.nn.Module):
            for part, tensor in value.named_parameters():
                found.setdefault(id(tensor), f"{name}.{part}")
    return found


def _reach(loss: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    if isinstance(loss, functools.partial):
        found += [*loss.keywords.items(), *((f"argument {i}", x) for i, x in enumerate(loss.args))]
        return found + _reach(loss.func)
    owner = getattr(loss, "__self__", loss)
    found += getattr(owner, "__dict__", {}).items()
    try:
        scopes = inspect.getclosurevars(inspect.unwrap(getattr(loss, "__func__", loss)))
        found += [*scopes.nonlocals.items(), *scopes.globals.items()]
    except (TypeError, ValueError):
        pass
    return found


# --- An old policy that is made of log π itself: ratios of 1, on which no clip acts.


class _OtherPolicy(TorchFunctionMode):
    """Where log π is cut off from the graph, ``shift(log π)`` is added: that of another policy."""

    def __init__(self, logp: torch.Tensor, shift: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.logp, self.shift, self.count = logp, shift, 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = args[0] if args else None
        if not (isinstance(out, torch.Tensor) and isinstance(given, torch.Tensor)):
            return out
        if given.requires_grad and not out.requires_grad and out.is_floating_point():
            with torch._C.DisableTorchFunction():
                if out.numel() and bool(torch.isin(out.double(), self.logp.to(out).double()).all()):
                    self.count += 1
                    return out + self.shift(out)
        return out


class Ratios(NamedTuple):
    """What the weight of a step is multiplied by, where its ratio is ``ratio``; (K,) each."""

    ratio: Array
    times: Array
    sign: Array  # of the weight


def _shift(x: torch.Tensor, k: int) -> torch.Tensor:
    return 1.8 * torch.sin(37 * x + 2 * k)


def ratios(call: Call, cases: list[Case]) -> Ratios | None:
    """How the weights answer to ratios other than 1; None where log π is never cut off."""
    rows = []
    for case in cases:
        u, logp = call(case), torch.tensor(case.logp)
        for k in range(3):
            with _OtherPolicy(logp, functools.partial(_shift, k=k)) as mode:
                v = call(case)
            if not mode.count or u is None or v is None:
                return None
            some = case.mask & (np.abs(u) > 1e-3 * np.abs(u[case.mask]).max())
            ratio = np.exp(-_shift(logp, k).numpy())
            rows.append(np.array([ratio[some], v[some] / u[some], np.sign(u[some])]))
    return Ratios(*np.concatenate(rows, axis=1))


TRIED = "ratios other than 1 were tried: "
STRANGE = "not probed: ratios other than 1, which enter in a way that is not known here"


def clip(seen: Ratios, tolerance: float) -> tuple[str, str]:
    """The name of what a clip does, "" if that is right, and what was found, in words."""
    r, f, up = seen.ratio, seen.times, seen.sign > 0
    near = max(100 * tolerance, 1e-6) * np.maximum(r, 1)
    live, dead = np.abs(f - r) < near, np.abs(f) < near
    if (np.abs(f - 1) < near).all():
        return "", ""  # log π was cut off for another purpose
    if live.all():
        return "", TRIED + "each weight is multiplied by its ratio, there is no clip"
    if not (live | dead).all() or not (live & up).any() or not (live & ~up).any():
        return "", STRANGE
    ends, shown = {}, []
    for label, side in (("> 0", up), ("< 0", ~up)):
        for word, d in (("below", dead & side & (r < 1)), ("above", dead & side & (r > 1))):
            if d.any():
                end = r[d].max() if word == "below" else r[d].min()
                inside = live & side & ((r < end) if word == "below" else (r > end))
                if inside.any():
                    return "", STRANGE
                ends[label, word] = end
                shown.append(f"{word} {end:.2f} where the weight is {label}")
    text = f"{TRIED}no gradient {', '.join(shown)}"
    wrong, right = {("> 0", "below"), ("< 0", "above")}, {("> 0", "above"), ("< 0", "below")}
    if set(ends) <= right or (
        set(ends) == right | {("< 0", "above")} and ends["< 0", "above"] > 1.5
    ):
        return "", text + ": a clip as PPO has it"
    return ("clip_exchanged" if set(ends) <= wrong else "clip_without_min"), text
