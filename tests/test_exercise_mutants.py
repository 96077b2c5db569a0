"""Every mutant of a solution that gives another value somewhere is refused by its check.

The solutions are those of the notebooks. A mutant that passes a check is tried on 400 more cases
from the exercise's domain: where it differs on one of them the check has too few cases; where it
differs on none it must stand below, with the reason why it is no mutant. A third of the mutants is
tried, always the same; all of them where COURSEKIT_FULL is set.
"""

import ast
import copy
import os
import re
import sys
import zlib
from collections import Counter

import numpy as np
import pytest
import reading

from coursekit import checks

FULL = "COURSEKIT_FULL" in os.environ
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Div, ast.Mod: ast.FloorDiv, ast.MatMult: ast.Mult, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
}  # fmt: skip
CALLS = {"sum": "mean", "mean": "sum", "max": "min", "min": "max", "maximum": "minimum"}
LAST = "two axes: 1 is the last one"
ANY = "NumPy takes any negative number for the length that it finds by itself"
EQUIVALENT = {  # what passes, and why it is no mutant
    "2.3": {
        "-1 -> 1": LAST,
        "((np.eye(len(pi)) - pi) ** 2).sum(-1) -> ((np.eye(len(pi)) - pi) ** 2).mean(-1)": (
            "the weights are divided by their sum"
        ),
    },
    "4.2": {"-1 -> 1": LAST, "-1 -> 1 (2)": LAST},
    "6.2": {"np.array(used) -> used": "a list is as good"},
    "6.4": {"np.array(used) -> used": "a list is as good"},
    "8.2": {
        "bool(np.allclose(given, [1.0, 0.0, 4.0])) -> np.allclose(given, [1.0, 0.0, 4.0])": (
            "it is a bool already"
        ),
        "np.array([1.0, -2.0, 4.0]) -> [1.0, -2.0, 4.0]": "what is tested takes lists as well",
    },
    "9.2": {"(Z ** 2).sum(0) -> (Z ** 2).mean(0)": "the weights are divided by their sum"},
    "12.4": {
        "rewards, lengths = (np.asarray(rewards, float), np.asarray(lengths, float)) -> pass": (
            "they are arrays already"
        )
    },
    "12.5": {
        "1 -> 2 (3)": "B + 1 does not divide B",
        "1 -> 2 (4)": ANY,
        "1e-09 -> 1.1000000000000001e-09": "no weights are off by just as much",
    },
    "13.1": {"-1 -> 1 (2)": LAST, "-1 -> 1 (3)": LAST, "1 -> 0": "one axis: 0 is the last one"},
    "13.2": {"-1 -> 1": LAST, "-1 -> 1 (3)": LAST, "1 -> 0 (3)": "one axis: 0 is the last one"},
    "14.3": {"-1 -> 1": LAST, "1 -> 2 (3)": ANY},
}


def read():
    """The solution of each exercise, and what its notebook imports."""
    found = {}
    for path in reading.PATHS:
        book = reading.book(path)
        cells = {cell.id: cell.source for cell in book.cells}
        for name, source in cells.items():
            if part := re.fullmatch(r"ex-(\d+)-(\d+)-solution", name):
                found[f"{part[1]}.{part[2]}"] = cells["setup"].split("SEED =")[0], source
    return found


SOLUTIONS = read()
TAGS = [tag for tag in SOLUTIONS if tag != "9.3"]  # which needs what its notebook ran before


def other(node):
    """Nodes to stand in the place of this one."""
    if isinstance(node, ast.BinOp):
        if new := OPERATORS.get(type(node.op)):
            yield ast.BinOp(node.left, new(), node.right)
        yield from (node.left, node.right)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        yield ast.Compare(node.left, [OPERATORS[type(node.ops[0])]()], node.comparators)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield from (ast.Constant(node.value + step) for step in (1, -1))
        if isinstance(node.value, float) and node.value:
            yield ast.Constant(node.value * 1.1)
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.Slice):
        for end in ("lower", "upper", "step"):
            if getattr(node, end) is not None:
                ends = {name: getattr(node, name) for name in ("lower", "upper", "step")}
                yield ast.Slice(**(ends | {end: None}))
    elif isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        if called in CALLS and isinstance(node.func, ast.Attribute):
            new = ast.Attribute(node.func.value, CALLS[called], ast.Load())
            yield ast.Call(new, node.args, node.keywords)
        elif called in CALLS:
            yield ast.Call(ast.Name(CALLS[called], ast.Load()), node.args, node.keywords)
        if len(node.args) == 1:  # without the call: reversed, sort, exp
            yield node.args[0]
        for keyword in node.keywords:
            rest = [k for k in node.keywords if k is not keyword]
            yield ast.Call(node.func, node.args, rest)
    elif isinstance(node, ast.Assign | ast.AugAssign) or (
        isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
    ):
        yield ast.Pass()


def mutants(source):
    """(what was changed, the whole source with it), one change each; the check's call left out."""
    tree = ast.parse(source)
    tree.body = [s for s in tree.body if not ast.unparse(s).startswith("checks.check")]
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            for k, node in enumerate(value if isinstance(value, list) else [value]):
                if not isinstance(node, ast.AST) or isinstance(node, ast.FunctionDef):
                    continue
                for new in other(node):
                    place(parent, field, k, new)
                    changed = ast.unparse(ast.fix_missing_locations(copy.deepcopy(tree)))
                    place(parent, field, k, node)
                    yield f"{said(node)} -> {said(new)}", changed


def place(parent, field, k, node):
    """Put a node into a field, or at place ``k`` of it where it is a list."""
    if isinstance(getattr(parent, field), list):
        getattr(parent, field)[k] = node
    else:
        setattr(parent, field, node)


def said(node):
    return ast.unparse(node) if not isinstance(node, ast.Slice) else f"[{ast.unparse(node)}]"


def answer(tag, source):
    """What the cell calls its solution; the error where it does not even run."""
    space = {}
    exec(SOLUTIONS[tag][0], space)
    try:
        exec(compile(source, "<mutant>", "exec"), space)
    except Exception as error:
        return error
    return next((x for name, x in space.items() if name.startswith("my_")), None)


def differs(exercise, function):
    """Whether the function and the solution part somewhere in the domain."""
    if not callable(exercise.solution):  # a number: nothing but its rounding may differ
        return not np.allclose(checks._plain(function), exercise.solution, rtol=5e-7, atol=0)
    right = checks.outcomes(exercise, exercise.solution)
    usual = float(np.median([checks._size(one.value) for one in right]))
    wide = exercise.cases(400, seed=1), exercise.cases(400, seed=1)
    return any(
        not checks._alike(
            checks._outcome(function, mine), checks._outcome(exercise.solution, theirs), usual
        )
        for mine, theirs in zip(*wide, strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("tag", TAGS)
def test_every_mutant_of_a_solution_is_refused(tag):
    exercise, known = checks.find(tag), EQUIVALENT.get(tag, {})
    passed, seen = {}, Counter()
    assert checks.verdict(exercise, answer(tag, SOLUTIONS[tag][1])) == "correct"
    for change, source in mutants(SOLUTIONS[tag][1]):
        mutant = answer(tag, source)
        seen[change] += 1
        change = f"{change} ({seen[change]})" if seen[change] > 1 else change
        if not FULL and change not in known and zlib.crc32(f"{tag} {change}".encode()) % 3:
            continue
        if not isinstance(mutant, Exception) and checks.verdict(exercise, mutant) == "correct":
            passed[change] = mutant
    assert [change for change, mutant in passed.items() if differs(exercise, mutant)] == []
    if callable(exercise.solution):
        assert set(passed) == set(known)


def reached(exercise, function):
    """How many different cases come to each line of a function: {line: cases}."""
    seen = {}

    def trace(frame, event, arg):
        if frame.f_code is function.__code__ and event == "line":
            seen.setdefault(frame.f_lineno, set()).add(case)
        return trace

    for args in exercise.cases():
        case = repr(args)
        sys.settrace(trace)
        try:
            checks._outcome(function, args)
        finally:
            sys.settrace(None)
    return {line: len(cases) for line, cases in seen.items()}


@pytest.mark.parametrize("tag", [tag for tag in TAGS if callable(checks.find(tag).solution)])
def test_each_line_of_a_solution_is_reached_in_more_ways_than_one(tag):
    # a branch that a few cases reach can be replaced by a list of these few
    counts = reached(checks.find(tag), answer(tag, SOLUTIONS[tag][1]))
    assert min(counts.values(), default=0) >= 8, counts


def test_a_branch_that_hardly_any_case_reaches_is_seen():
    exercise = checks.find("12.6")
    few = exercise._replace(edges=lambda: exercise.edges()[:3], draw=None)
    assert min(reached(few, answer("12.6", SOLUTIONS["12.6"][1])).values()) == 1


def test_a_check_with_too_few_cases_is_seen():
    exercise = checks.find("1.2")
    few = exercise._replace(draw=None, edges=lambda: exercise.edges()[:1])
    mutant = answer("1.2", SOLUTIONS["1.2"][1].replace("np.zeros(len(rewards))", "rewards.copy()"))
    assert checks.verdict(few, mutant) == "correct"
    assert differs(exercise, mutant)


def test_mutants_are_of_every_kind():
    changes = [
        change for change, _ in mutants("def f(x):\n    y = -x[1:] + 2\n    return y.sum(0)")
    ]
    assert {
        "-x[1:] + 2 -> -x[1:] - 2",
        "-x[1:] -> x[1:]",
        "[1:] -> [:]",
        "1 -> 2",
        "2 -> 1",
    } <= set(changes)
    assert {"y.sum(0) -> y.mean(0)", "y = -x[1:] + 2 -> pass", "0 -> -1"} <= set(changes)
