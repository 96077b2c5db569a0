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
    """A tensor that gets a gradient: its name, if it has one; is it from the policy's part?

    ``scales``: it is one number that stands in front of the loss, or of a term that is no baseline.
    """

    name: str
    leaks: bool
    scales: bool = False


class _Seen(NamedTuple):
    """A leaf, its gradient, and how the weights of log π move with it; None: autograd stopped.

    ``in_front``: they move in proportion to themselves.
    """

    leaf: torch.Tensor
    gradient: torch.Tensor
    moves: float | None
    in_front: bool


@contextmanager
def _watched(logp: Array):
    """Before every call of backward or grad: what each leaf but log π gets, id -> _Seen."""
    found: dict[int, _Seen] = {}
    plain, own = (torch.autograd.backward, torch.autograd.grad), torch.tensor(logp)

    def is_own(leaf: torch.Tensor) -> bool:
        x = leaf.detach()
        return x.shape == own.shape and torch.equal(x.to(own), own.to(x).to(own))

    def watch(fn: Callable) -> Callable:
        @functools.wraps(fn)
        def watched(tensors: Any, *args: Any, **settings: Any) -> Any:
            given = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
            leaves = _leaves(given)
            others = [leaf for leaf in leaves if not is_own(leaf)]
            if others:
                every = plain[1](given, others, retain_graph=True, allow_unused=True)
                mine = [leaf for leaf in leaves if is_own(leaf)]
                moves = _moves(given, mine, others, plain[1])
                for leaf, gradient, (move, in_front) in zip(others, every, moves, strict=True):
                    new = torch.zeros_like(leaf) if gradient is None else gradient.detach()
                    if before := found.get(id(leaf)):
                        new, in_front = before.gradient + new, before.in_front or in_front
                        move = None if None in (move, before.moves) else max(move, before.moves)
                    found[id(leaf)] = _Seen(leaf, new, move, in_front)
            return fn(tensors, *args, **settings)

        return watched

    torch.autograd.backward, torch.autograd.grad = map(watch, plain)
    try:
        yield found
    finally:
        torch.autograd.backward, torch.autograd.grad = plain


def _moves(
    given: list[torch.Tensor], logp: list[torch.Tensor], others: list[torch.Tensor], grad: Callable
) -> list[tuple[float | None, bool]]:
    """∂/∂leaf of two sums over the weights −∂loss/∂log π, the larger; for each leaf ``_Seen``'s.

    A critic's own loss has none. (A shift of log π would not show what a ratio to log π hides.)
    """
    none: list[tuple[float | None, bool]] = [(0.0, False)] * len(others)
    if not logp:
        return none
    try:
        how = {"retain_graph": True, "allow_unused": True}
        (w,) = grad(given, logp[:1], create_graph=True, **how)
        if w is None or not w.requires_grad:
            return none
        numbers = torch.linspace(1, 2, w.numel(), dtype=w.dtype).reshape(w.shape)
        sums = (w * numbers).sum(), (w * numbers.cos()).sum()
        moves = [grad(x, others, **how) for x in sums]
    except RuntimeError:  # no second derivative, as of many functions that are written by hand
        return [(None, False)] * len(others)
    found = []
    for a, b in zip(*moves, strict=True):
        if a is None or b is None:
            found.append((0.0, False))
            continue
        near = 1e-6 * (a * sums[1]).abs().max()
        alike = a.numel() == 1 and bool((a * sums[1] - b * sums[0]).abs().max() <= near)
        found.append((max(float(x.abs().max()) for x in (a, b)), alike))
    return found


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


def other_leaves(loss: Callable, call: Call, *cases: Case) -> list[Leaf]:
    """Tensors beside log π that get a gradient from the loss, on any of the cases.

    A critic's own loss does not see log π. Where the weights of log π move with another tensor, the
    policy's part of the loss teaches it: it leaks. Where autograd cannot tell, log π is shifted.
    """
    found: dict[int, Leaf] = {}
    for case in cases:
        seen = _gradients(call, case)
        then = _gradients(call, case._replace(logp=case.logp - 0.5)) if seen else {}
        for key, now in seen.items():
            gradient, later = now.gradient, then.get(key)
            if now.moves is not None:
                leaks = now.moves > 1e-12
            else:
                other = later.gradient if later else torch.zeros_like(gradient)
                leaks = not torch.allclose(gradient, other, rtol=1e-5, atol=1e-12)
            if not leaks and not gradient.abs().max():
                continue
            before = found.get(key) or Leaf(_name(loss, key, now.leaf), False)
            moved = (later and later.moves) or 0.0
            scales = leaks and now.moves is not None and gradient.numel() == 1
            scales = scales and (now.in_front or abs(moved - now.moves) > 1e-6 * now.moves)
            found[key] = Leaf(before.name, leaks or before.leaks, scales or before.scales)
    return list(found.values())


def _name(loss: Callable, key: int, leaf: torch.Tensor) -> str:
    return _names(loss).get(key, f"a tensor of shape {tuple(leaf.shape)}")


def _gradients(call: Call, case: Case) -> dict[int, _Seen]:
    """Every leaf of one call but log π itself, and its gradient."""
    with _watched(case.logp) as found:
        call(case)
    return found


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
POWERS = {
    -1.0: ("ratio_inverted", "each weight is multiplied by one over its ratio"),
    2.0: ("ratio_squared", "each weight is multiplied by the square of its ratio"),
    0.5: ("ratio_root", "each weight is multiplied by the root of its ratio"),
}
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
    for power, (name, stands) in POWERS.items():
        here = np.abs(f - r**power) < near * np.maximum(r, 1 / r) ** 2
        if (here | dead).all() and here.mean() > 0.1:
            return name, f"{TRIED}{stands}" + ", or by 0, as of a clip" * (not here.all())
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
