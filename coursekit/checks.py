"""Exercise checks that never raise: not attempted, correct, or what is wrong and with which input.

What an exercise probes stands in ``coursekit/exercises/nbXX.py``, one small file a notebook.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import reprlib
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from coursekit import guards, progress


class Exercise(NamedTuple):
    """``solution``: a function, or the value itself where the answer is a value.

    ``cases``: makes fresh argument tuples at every call (so that nothing a learner changes lasts).
    ``wrong``: what is said -> the wrong answer it is said to; at least three.
    ``errors``: words in the message of an error that the answer raises -> what is said to it.
    """

    solution: Any
    wrong: Mapping[str, Any]
    cases: Callable[[], Sequence[tuple]] = lambda: [()]
    atol: float = 1e-9
    errors: Mapping[str, str] = {}


def check(tag: str, answer: Any, what: str = "exercise") -> None:
    """Print what is to be said about the learner's answer to exercise ``tag``; never raises.

    ``what`` is "solution" in the folded solution cells, so that nobody takes them for his own.
    """
    try:
        said = verdict(find(tag), answer)
        print(f"{what} {tag}: {said}")
        progress.record(what, tag, said)
    except KeyboardInterrupt:  # its traceback would show lines of the solution
        print(f"{what} {tag}: stopped before it was decided")
    except (Exception, SystemExit) as error:  # a check that breaks must not stop the notebook
        print(f"exercise {tag}: the check itself stopped with {type(error).__name__}: {error}")


def find(tag: str) -> Exercise:
    """The exercise "2.1" is entry "2.1" of ``coursekit.exercises.nb02``; KeyError lists those."""
    name = f"coursekit.exercises.nb{int(tag.split('.')[0]):02d}"
    known = importlib.import_module(name).EXERCISES
    if tag not in known:
        raise KeyError(f"{tag} is not in {name}; known: {', '.join(known)}")
    return known[tag]


def verdict(exercise: Exercise, answer: Any) -> str:
    """The sentence itself: compares on every case, then recognises the known wrong answers."""
    function = callable(exercise.solution)
    if function and not callable(answer):
        if answer is None or answer is ...:
            return "not attempted"
        return f"a function is expected here, not {reprlib.repr(answer)}"
    first = None
    for i, args in enumerate(exercise.cases()):
        right = exercise.solution(*args) if function else exercise.solution
        try:
            given = answer(*exercise.cases()[i]) if function else answer
        except NotImplementedError:
            return "not attempted"
        except (Exception, SystemExit) as error:
            for words, said in exercise.errors.items():
                if words in str(error):
                    return f"not yet: {type(error).__name__}: … {words} …: {said}"
            return f"not yet: it stops with {type(error).__name__}: {error}{_with(exercise, args)}"
        if i == 0 and (given is None or given is ...):
            if not function or given is ...:
                return "not attempted"
            if said := _nothing_returned(answer):
                return said
        if first is None and not _same(given, right, exercise.atol):
            first = f"not yet: {_difference(given, right, exercise)}{_with(exercise, args)}"
    if first is None:
        return "correct"
    for message, wrong in exercise.wrong.items():
        if _agrees(exercise, answer, wrong):
            return f"not yet: {message}"
    return first


def _nothing_returned(answer: Any) -> str:
    """What is to be said of a function that gave None, or "" where it has a `return` with a value.

    By its source; where that can not be read, a stub can not be told from a forgotten `return`.
    """
    body = _body(answer)
    if body is None:
        return "not attempted, or without a `return`: it returns None"
    if all(_is_filler(statement) for statement in body):
        return "not attempted"
    return "" if _returns(body) else "not yet: it returns None; is there a `return`?"


def _body(answer: Any) -> list[ast.stmt] | None:
    """The statements of a function or of a lambda; None where no source is at hand."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(answer)))
    except (OSError, TypeError, SyntaxError):
        return None
    name, kinds = getattr(answer, "__name__", ""), ast.FunctionDef | ast.Lambda
    nodes = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    found = [node for node in nodes if getattr(node, "name", "<lambda>") == name]
    if len(found) != 1:  # two lambdas in one line: which is it?
        return None
    return found[0].body if isinstance(found[0].body, list) else [ast.Return(found[0].body)]


def _is_filler(statement: ast.stmt) -> bool:
    """`pass`, `...`, a docstring, `return`, and `return None`."""
    value = getattr(statement, "value", None)
    words = isinstance(statement, ast.Expr) and isinstance(value, ast.Constant)
    return words or isinstance(statement, ast.Pass) or _is_empty(statement)


def _is_empty(node: ast.AST) -> bool:
    """A `return` that gives None."""
    return isinstance(node, ast.Return) and (
        node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None)
    )


def _returns(body: Sequence[ast.AST]) -> bool:
    """Whether a `return` among these gives anything but None, those of inner functions left out."""
    inner = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
    return any(
        (isinstance(node, ast.Return) and not _is_empty(node))
        or (not isinstance(node, inner) and _returns(list(ast.iter_child_nodes(node))))
        for node in body
    )


def _difference(given: Any, right: Any, exercise: Exercise) -> str:
    """In words; the right value is shown for a function, where it is one case among many."""
    if not callable(exercise.solution):
        if _show(given) == _show(right):
            return f"{_show(given)} is right so far, but not exact: give a formula, not its digits"
        if _same(given, [right], exercise.atol) or _same(given, [[right]], exercise.atol):
            return "the number is right; give it alone, not in a list or an array"
        return f"{_show(given)} is not it; the hints help"
    try:
        mine, shape = _plain(given).shape, _plain(right).shape
    except Exception:
        mine = shape = ()
    if mine != shape:
        return f"the result has shape {mine}, expected {shape}"
    digits = 4 if _show(given) != _show(right) else 12
    return f"it gives {_show(given, digits)}, expected {_show(right, digits)}"


def _agrees(exercise: Exercise, answer: Any, wrong: Any) -> bool:
    if not callable(exercise.solution):
        return _same(answer, wrong, exercise.atol)
    pairs = zip(exercise.cases(), exercise.cases(), strict=True)
    return all(_same(answer(*mine), wrong(*theirs), exercise.atol) for mine, theirs in pairs)


def _same(a: Any, b: Any, atol: float) -> bool:
    if a is None or b is None:
        return a is b
    try:
        single = "float32" in str(getattr(a, "dtype", ""))
        a, b, rtol = _plain(a), _plain(b), 1e-5 if single else 1e-9
        return a.shape == b.shape and bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True))
    except Exception:  # a learner may give anything
        return False


def _plain(x: Any) -> np.ndarray:
    return guards.reals("the answer", x)


def _show(x: Any, digits: int = 4) -> str:
    try:
        return np.array2string(_plain(x), precision=digits, threshold=12).replace("\n", "")
    except Exception:
        return reprlib.repr(x)


def _with(exercise: Exercise, args: tuple) -> str:
    if not args:
        return ""
    names = inspect.signature(exercise.solution).parameters
    return ", for " + ", ".join(f"{n} = {_show(a)}" for n, a in zip(names, args, strict=False))
