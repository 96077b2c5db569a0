"""A prediction, written down before a run and compared after it. Optional, and plain Python.

Above a run a notebook has a cell such as ``guess_end = None  # "walks" or "stops"``. The reader
writes a word, a number or a list in place of None. Below the run ``compare`` says how it fits.
"""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

from coursekit import guards

NOTHING = "no prediction written down; it is optional"


def compare(guess: Any, came_out: Any, within: float | None = None) -> None:
    """Print one line: how ``guess`` fits what ``came_out``. Never raises, whatever was guessed.

    ``came_out``: a word, a number, a list of either, or a set of words, whose order is no matter.
    A number is near if it is off by ``within`` or less: by default, a fifth of what came out.
    """
    print(verdict(guess, came_out, within))


def verdict(guess: Any, came_out: Any, within: float | None = None) -> str:
    """The line itself."""
    if guess is None or guess is ...:
        return NOTHING
    wanted = words(came_out)
    try:
        if wanted is None:
            shown, near = _number(guess, came_out, within)
        else:
            shown, near = came_out, words(guess, type(wanted)) == wanted
        said = f"you predicted {_show(guess)}; it came out: {_show(shown)}"
    except Exception:  # anything can be guessed
        one = "a number" if wanted is None else "a word"
        kind = one if np.ndim(came_out) == 0 else f"{one} each, {len(came_out)} in a list"
        return f"{reprlib.repr(guess)} cannot be compared with what came out; write {kind}"
    return f"as predicted, or near it: {said}" if near else f"not as predicted: {said}"


def words(given: Any, kind: type | None = None) -> Any:
    """A word in small letters, without "the", or a list or a set of them; None for numbers."""
    if isinstance(given, str):
        word = given.strip().lower().replace("_", " ").removeprefix("the ")
        return {word} if kind is set else [word] if kind is list else word
    if isinstance(given, list | tuple | set) and given and all(isinstance(x, str) for x in given):
        kind = kind if kind in (list, set) else set if isinstance(given, set) else list
        return kind(words(x) for x in given)
    return None


def _number(guess: Any, came_out: Any, within: float | None) -> tuple[Any, bool]:
    mine, true = guards.finite("guess", guess), guards.reals("what came out", came_out)
    if mine.shape != true.shape:
        raise ValueError
    allowed = abs(true) / 5 if within is None else within
    return true, bool((abs(mine - true) <= allowed + 1e-12).all())


def _show(value: Any) -> str:
    """A word as it stands; numbers with three digits."""
    if words(value) is not None:
        return value if isinstance(value, str) else ", ".join(map(str, value))
    array = np.asarray(value, dtype=float)
    shown = [f"{x:.3g}" for x in array.ravel()]
    return shown[0] if array.ndim == 0 else f"[{', '.join(shown)}]"
