"""Which mistakes in a module would be noticed, by its tests, and by the notebooks alone?

Each mutant is one mistake: another operator, a factor forgotten, a number off by one, a condition
turned round. The known tools change files in place, or know no kernel of a notebook; so here an
import hook gives the mutant to any process (``sitecustomize``), and nothing on disk changes. Each
mutant has a process of its own, forked from one that has the libraries in memory already.
"""

from __future__ import annotations

import ast
import copy
import functools
import itertools
import json
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from coursekit import install

ROOT = Path(__file__).resolve().parents[2]
MODULES = (
    *("mdp", "losses", "bugs", "gradients", "mlp", "policies", "rollout", "baselines", "train"),
    *("actor_critic", "stats", "tokens"),
)
SWAPS = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Pow: ast.Mult, ast.FloorDiv: ast.Div},
}
EXPLAINED = ROOT / "tests" / "survivors.json"
LIBRARIES = ["torch", "numpy", "scipy.stats", "pandas", "numba", "gymnasium", "matplotlib.pyplot"]
LIBRARIES += ["pytest", "hypothesis", "IPython", "joblib"]
TIMEOUT = 600  # seconds; a mutant that never ends is noticed, too
# a function begins in its line of the file on disk: a notebook that prints one shows the true one
HOOK = """
import ast, importlib.abc, importlib.machinery, os, sys

class Mutant(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    def __init__(self):
        super().__init__(os.environ["MUTANT"], os.environ["MUTANT_FILE"])
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["MUTANT"]:
            place = os.environ["MUTANT_PLACE"]
            return importlib.machinery.ModuleSpec(name, self, origin=place)
    def get_code(self, name):
        trees = []
        for path in (os.environ["MUTANT_FILE"], os.environ["MUTANT_PLACE"]):
            with open(path, encoding="utf-8") as file:
                trees.append(ast.parse(file.read()))
        found = ([n for n in ast.walk(t) if isinstance(n, ast.FunctionDef)] for t in trees)
        for ours, true in zip(*found):
            for node, place in zip([ours, *ours.decorator_list], [true, *true.decorator_list]):
                ast.copy_location(node, place)
        return compile(trees[0], os.environ["MUTANT_PLACE"], "exec", dont_inherit=True)

sys.meta_path.insert(0, Mutant())
"""


class Mutant(NamedTuple):
    """A mistake: what was changed, in which line, and the module's source with it.

    ``guard``: only wrong input meets it.
    """

    what: str
    line: int
    source: str
    guard: bool = False


def mutate(names: Sequence[str], sample: int | None = None, by: str = "tests") -> int:
    """Print the score of each module and its survivors; 1 where one is not explained, else 0.

    ``sample``: so many of a module's mutants, always the same ones; None: all. ``by``: "tests" or
    "notebooks"; these give no wrong input, so they are not asked about guards. Survivors that no
    test can notice, and why, stand in ``tests/survivors.json``.
    ValueError: an unknown module, another ``by``. Stopped: a judge that is red without any
    mistake, since it would take every mutant for noticed.
    """
    if unknown := [name for name in names if name not in MODULES]:
        raise ValueError(f"module {unknown[0]!r} is unknown; choose from: {', '.join(MODULES)}")
    if by not in ("tests", "notebooks"):
        raise ValueError(f"by {by!r} is unknown; choose from: tests, notebooks")
    reasons = json.loads(EXPLAINED.read_text(encoding="utf-8")) if by == "tests" else {}
    surprised = False
    for name in names or MODULES:
        path = ROOT / "coursekit" / f"{name}.py"
        lines = path.read_text(encoding="utf-8").splitlines()
        found = [m for m in mutants("\n".join(lines)) if by == "tests" or not m.guard]
        chosen = found
        if sample is not None and sample < len(found):
            chosen = sorted(random.Random(name).sample(found, sample), key=lambda m: m.line)
        judges, killed = judging(name, by), 0
        asked = functools.partial(noticed, name, judges)
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # each waits for a process of its own
            sound = functools.partial(notices, name, Mutant("no mistake", 0, "\n".join(lines)))
            for judge, red in zip(judges, pool.map(sound, judges), strict=True):
                if red:
                    raise install.Stopped(f"{judge[0]} is red without any mistake; mend that first")
            for mutant, seen in zip(chosen, pool.map(asked, chosen), strict=True):
                killed += seen
                if not seen:
                    why = reasons.get(name, {}).get(
                        f"{lines[mutant.line - 1].strip()} # {mutant.what}"
                    )
                    surprised |= why is None
                    said = f"  survives: {name}.py:{mutant.line}: {mutant.what}"
                    print(said + (f" ({why})" if why else ""), flush=True)
        of = f"{len(found)} mutants in all" + (" but those of guards" if by != "tests" else "")
        print(f"{name:<14}{killed}/{len(chosen)} killed by {by}, of {of}")
    return int(surprised)


def judging(name: str, by: str) -> list[list[str]]:
    """What is asked, one after the other, until one is red: own file, or quickest book, first.

    A module without a test file of its own is judged by the smallest files that import it.
    """
    if by == "tests":
        own = sorted(ROOT.glob(f"tests/test_{name}*.py"))
        if not own:
            every = sorted(ROOT.glob("tests/test_*.py"), key=lambda path: path.stat().st_size)
            imports = re.compile(rf"^from coursekit import .*\b{name}\b", re.MULTILINE)
            own = [path for path in every if imports.search(path.read_text(encoding="utf-8"))]
        mutants_of_ours = ROOT / "tests" / "test_mutants.py"
        return [[str(path)] for path in dict.fromkeys([*own, mutants_of_ours])]
    names = (f"import {name}", f"{name}.", f", {name}")
    costs = json.loads((ROOT / "notebooks" / "budgets.json").read_text(encoding="utf-8"))
    books = sorted(ROOT.glob("notebooks/*.ipynb"), key=lambda b: costs.get(b.stem, 0))
    return [[str(b)] for b in books if any(n in b.read_text(encoding="utf-8") for n in names)]


def noticed(name: str, judges: Sequence[Sequence[str]], mutant: Mutant) -> bool:
    """Whether one of the judges is red under the mutant, or never ends."""
    return any(notices(name, mutant, judge) for judge in judges)


def notices(name: str, mutant: Mutant, judge: Sequence[str]) -> bool:
    """Whether pytest is red under the mutant, or never ends."""
    fork = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if fork else "spawn")
    if fork:
        context.set_forkserver_preload(LIBRARIES)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
        file = Path(folder) / f"{name}.py"
        file.write_text(mutant.source, encoding="utf-8")
        env = os.environ | {
            "PYTHONPATH": os.pathsep.join([folder, str(ROOT)]),
            "MUTANT": f"coursekit.{name}",
            "MUTANT_FILE": str(file),
            "MUTANT_PLACE": str(ROOT / "coursekit" / f"{name}.py"),
            "COURSEKIT_CACHE": str(Path(folder) / "cache"),  # results of the true source lie
            "HYPOTHESIS_STORAGE_DIRECTORY": str(Path(folder) / "hypothesis"),
            "OMP_NUM_THREADS": "1",
        }
        process = context.Process(target=tested, args=(str(ROOT), env, list(judge)))
        process.start()
        process.join(TIMEOUT)
        if process.exitcode is None:
            (os.killpg if fork else os.kill)(process.pid, signal.SIGTERM)  # with its kernels
            process.join()
        return process.exitcode != 0


def tested(root: str, env: dict[str, str], judge: list[str]) -> None:
    """In a process of its own: the hook, then pytest, silent; its status is the process's."""
    if hasattr(os, "setsid"):
        os.setsid()
    os.chdir(root)
    os.environ.update(env)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    sys.path[:0] = env["PYTHONPATH"].split(os.pathsep)
    for module in [m for m in sys.modules if m.split(".")[0] == "coursekit"]:
        del sys.modules[module]
    exec(HOOK, {})
    import pytest

    sys.exit(pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider", *judge]))


def mutants(source: str, step: int = 1) -> list[Mutant]:
    """A module's, in the order of its lines: all of them, or each ``step``-th."""
    tree = ast.parse(source)
    found, met = [], guards(tree)
    for node, what, change in itertools.islice(changes(tree), None, None, step):
        before = copy.copy(node.__dict__)
        change()
        text = ast.unparse(tree)
        found.append(Mutant(what, node.lineno, text, id(node) in met))
        node.__dict__.clear()
        node.__dict__.update(before)
    return found


def guards(tree: ast.AST) -> set[int]:
    """Which nodes only wrong input meets, by id.

    A condition of which nothing but an error follows, a call of ``guards``, what is done about an
    exception; and decorators, since that a class is frozen shows where somebody writes to it.
    """
    met = []
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise):
            met += [node.test, *node.body] + ([] if node.orelse else [node])
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if called.startswith("guards.") or isinstance(node, ast.ExceptHandler):
            met.append(node)
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            met += node.decorator_list
    return {id(inner) for node in met for inner in ast.walk(node)}


def changes(tree: ast.AST) -> Iterator[tuple[ast.AST, str, object]]:
    """(node, what it says, a function that changes this node alone) for each mistake."""
    for node in sorted(counted(tree), key=lambda n: (n.lineno, n.col_offset)):
        said = ast.unparse(node)
        if isinstance(node, ast.BinOp | ast.BoolOp) and (swap := SWAPS.get(type(node.op))):
            yield node, f"{said}: {sign(swap)}", lambda n=node, s=swap: setattr(n, "op", s())
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            yield (
                node,
                f"{said}: the factor {ast.unparse(node.right)} forgotten",
                lambda n=node: setattr(n, "right", ast.Constant(1)),
            )
        if isinstance(node, ast.Compare) and (swap := SWAPS.get(type(node.ops[0]))):
            yield (
                node,
                f"{said}: {sign(swap)}",
                lambda n=node, s=swap: setattr(n, "ops", [s(), *n.ops[1:]]),
            )
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield node, f"{said}: the sign", lambda n=node: setattr(n, "op", ast.UAdd())
        if isinstance(node, ast.If | ast.IfExp):
            test = ast.UnaryOp(ast.Not(), node.test)
            said = f"{ast.unparse(node.test)}: turned round"
            yield node, said, lambda n=node, t=test: setattr(n, "test", t)
        if isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            other = not node.value if isinstance(node.value, bool) else node.value + 1
            yield node, f"{said}: {other}", lambda n=node, o=other: setattr(n, "value", o)


def counted(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that compute; no annotations, no texts of errors."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "exc") or isinstance(tree, ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                if isinstance(child, ast.expr | ast.stmt):
                    yield child
                yield from counted(child)


def sign(operator: type) -> str:
    """How an operator is written."""
    left, right = ast.Name("a"), ast.Name("b")
    if issubclass(operator, ast.operator):
        node = ast.BinOp(left, operator(), right)
    elif issubclass(operator, ast.boolop):
        node = ast.BoolOp(operator(), [left, right])
    else:
        node = ast.Compare(left, [operator()], [right])
    return ast.unparse(node)
