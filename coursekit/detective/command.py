"""``python -m coursekit audit FILE.py:FUNCTION``: the report on a function in somebody's file."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coursekit import detective
from coursekit.detective import asking
from coursekit.detective.tokens import takes_tokens

AUDITS = {  # the parameters, by which a function says what it is -> who looks at it
    ("logp", "rewards", "mask", "gamma"): "audit",
    ("logits", "action", "weight"): "audit_gradient",
    ("mean", "std"): "audit_gaussian",
    ("params", "batch", "lr"): "audit_update",
}
TOKENS = ("logprobs", "old_logprobs", "advantages", "response_mask")  # or as else they are called


def audit(place: str) -> int:
    """Print the report on the function at ``place``, FILE.py:FUNCTION; 0 for a ✓, 1 otherwise.

    ValueError, one sentence, where there is no such function or it takes something else.
    """
    function = find(place)
    finding = chosen(place, function)(function)
    print(finding)
    return 0 if finding.ok else 1


def find(place: str) -> Callable[..., Any]:
    """The function at ``place``, from its file, which is run once; ValueError where there is none.

    As when a file is run by its name, its folder comes first among the places of imports.
    """
    file, _, name = place.rpartition(":")
    if not file or not name.isidentifier():
        raise ValueError(f"{place!r} must be FILE.py:FUNCTION, such as train.py:loss")
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"there is no file {file!r} in {Path.cwd()}")
    if path.suffix != ".py":
        raise ValueError(f"{file!r} is no Python file; give one whose name ends in .py")
    module = loaded(path)
    found = vars(module).get(name)
    if inspect.isclass(found):
        raise ValueError(f"{name} in {file} is a class; give a function, or an object made of it")
    if not callable(found):
        what = "" if found is None else f" (it is of type {type(found).__name__})"
        raise ValueError(f"{file} has no function {name!r}{what}; it has: {functions(module)}")
    return found


def loaded(path: Path) -> Any:
    """The module in a file; ValueError, with the line, where it stops."""
    stem = path.stem if path.stem not in sys.modules else f"audited_{path.stem}"
    spec = importlib.util.spec_from_file_location(stem, path.resolve())
    module = sys.modules[stem] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except asking.STOPS as error:
        del sys.modules[stem]
        frames = traceback.extract_tb(error.__traceback__)
        there = [frame.lineno for frame in frames if frame.filename == spec.origin]
        line = f" at line {there[-1]}" if there else ""
        raise ValueError(f"{path} stops{line}: {asking.error_in_words(error)}") from None
    return module


def functions(module: Any) -> str:
    """The names of the public functions that a module itself defines, or "none"."""
    own = [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
    ]
    return ", ".join(own) or "none"


def chosen(place: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Which audit a function is for: by the names of its parameters, or a loss by their number.

    ValueError where it can be called in none of the known ways.
    """
    if takes_tokens(function):
        return detective.audit_tokens
    try:
        given = tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # not every callable can say what it takes
        given = ()
    said = next((names for names in AUDITS if given[: len(names)] == names), next(iter(AUDITS)))
    trouble = asking.refused(function, "", len(said))
    if trouble and trouble[0] == "wrong_signature":
        ways = " or ".join(f"({', '.join(names)})" for names in (*AUDITS, TOKENS))
        raise ValueError(f"{place} takes ({', '.join(given)}); the detective calls {ways}")
    return getattr(detective, AUDITS[said])
