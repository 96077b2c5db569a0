"""No unverified equation, no unverified claim: both sides are compared, and a difference raises.

Where COURSEKIT_GO_ON is set (``execute --seeds``), it is printed and reported, and the run goes on.
"""

from __future__ import annotations

import json
import math
import operator
import os
from pathlib import Path
from typing import Any

import numpy as np

from coursekit import guards

OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}


class VerificationError(AssertionError):
    """An equation or a claim of the course does not hold in this run."""


def master_seed() -> int:
    """The seed from which a notebook derives all others: COURSEKIT_SEED, or 0.

    ValueError where that variable is no whole number.
    """
    text = os.environ.get("COURSEKIT_SEED", "0")
    if not text.isdecimal():
        raise ValueError(f"COURSEKIT_SEED is {text!r}; it must be a whole number ≥ 0")
    return int(text)


def equation(tag: str, lhs: Any, rhs: Any, atol: float = 1e-12) -> None:
    """Compare both sides of the equation ``\\tag{…}``: max |lhs − rhs| ≤ atol, shapes equal.

    Takes numbers, arrays and tensors. Raises VerificationError naming the largest difference and
    where it is. Prints the tag and the bound alone, since the difference depends on the machine.
    """
    guards.text("tag", tag, "'2.3'")
    largest, problem = _compare(lhs, rhs, atol)
    _report("equation", tag, not problem, value=largest, bound=float(atol))
    if problem:
        _fails(f"equation {tag}{problem}")
    else:
        print(f"✓ equation {tag}: both sides agree to {atol:g}")


def attempt(tag: str, lhs: Any, rhs: Any, atol: float = 1e-12) -> None:
    """As ``equation``, for "break it" cells: a difference is printed, not raised or reported."""
    _, problem = _compare(lhs, rhs, atol)
    print(f"✗ equation {tag}{problem}" if problem else f"✓ equation {tag}: still holds")


def _compare(lhs: Any, rhs: Any, atol: float) -> tuple[float, str]:
    """The largest |lhs − rhs|, and what is wrong with it: an empty string where it is ≤ atol."""
    guards.above_zero("atol", atol)
    left, right = guards.reals("the left side", lhs), guards.reals("the right side", rhs)
    if left.shape != right.shape:
        return math.nan, f": the left side has shape {left.shape}, the right side {right.shape}"
    if not left.size:
        return math.nan, f": both sides are empty, shape {left.shape}"
    with np.errstate(invalid="ignore"):
        difference = np.abs(left - right)
    largest = float(difference.max())
    if largest <= atol:  # a NaN is not
        return largest, ""
    # the first of nearly equal differences, and 0 for rounding noise: the same on every machine
    size = np.nan_to_num(difference, nan=np.inf)
    worst = np.unravel_index(np.argmax(size >= size.max() * (1 - 1e-6)), left.shape)
    a, b = (0.0 if abs(side[worst]) < 1e-12 else side[worst] for side in (left, right))
    return largest, (
        f" does not hold: left {a:.6g}, right {b:.6g} at index {tuple(map(int, worst))}; "
        f"difference {largest:.3g}, allowed {atol:g}"
    )


def claim(tag: str, value: float, op: str, bound: float, *, scale: float | None = None) -> None:
    """Test the empirical claim "value op bound", op one of <, <=, >, >=, ==.

    ``bound`` is fixed before the run and is printed; ``value`` depends on the machine and is not.
    The margin |bound − value|, in units of ``scale`` (default |bound|, or 1 where that is zero),
    goes to the report. Raises VerificationError where the claim fails, NaN included.
    """
    guards.text("tag", tag, "'6.2'")
    guards.one_of("operator", op, OPERATORS)
    value, bound = _number("value", value), _number("bound", bound)
    guards.finite("bound", bound)
    unit = abs(bound) or 1.0
    if scale is not None:
        guards.above_zero("scale", unit := _number("scale", scale))
    holds = bool(OPERATORS[op](value, bound))
    margin = abs(bound - value) / unit
    _report("claim", tag, holds, value=value, op=op, bound=bound, margin=margin)
    if not holds:
        _fails(
            f"claim {tag} does not hold: {value:.6g} {op} {bound:g} is false; "
            f"difference {value - bound:.3g}"
        )
    else:
        print(f"✓ claim {tag}: the measured value is {op} {bound:g}")


def _fails(message: str) -> None:
    """Raise, or print and go on where COURSEKIT_GO_ON is set: the report has it, too."""
    if not os.environ.get("COURSEKIT_GO_ON"):
        raise VerificationError(message)
    print(f"✗ {message}")


def _number(name: str, value: Any) -> float:
    array = guards.reals(name, value)
    if array.ndim:
        raise ValueError(f"{name} has shape {array.shape}; a claim is about one number")
    return float(array)


def _report(kind: str, tag: str, holds: bool, **numbers: Any) -> None:
    """Append one JSON line to the file named by COURSEKIT_REPORT; NaN and infinity become null."""
    path = os.environ.get("COURSEKIT_REPORT")
    if path:
        for name, number in numbers.items():
            if isinstance(number, float) and not math.isfinite(number):
                numbers[name] = None
        line = json.dumps({"kind": kind, "tag": tag, "holds": holds, **numbers})
        with Path(path).open("a", encoding="utf-8") as report:
            report.write(line + "\n")
