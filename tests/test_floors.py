"""The package as a building: a module imports from lower floors only.

The rule is *strictly lower*. Two doors are on one floor: the command opens what it publishes, and
an exercise is an entry of ``checks``.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "coursekit"
FLOORS = {
    **dict.fromkeys(["guards", "places"], -1),  # the ground under all of them
    **dict.fromkeys(["__init__", "ready", "install", "mlp", "stats", "streams", "progress"], 0),
    **dict.fromkeys(["mdp", "losses", "policies", "baselines", "quiz"], 1),
    **dict.fromkeys(["bugs", "rollout", "gradients", "estimators", "tokens", "answers"], 2),
    **dict.fromkeys(["train", "detective", "actor_critic"], 3),
    **dict.fromkeys(["fast"], 4),
    **dict.fromkeys(["experiments", "plots", "explorables"], 5),
    **dict.fromkeys(["verify", "checks", "predictions", "exercises"], 6),
    **dict.fromkeys(["publish", "__main__"], 7),
}
DOORS = {("__main__", "publish"), ("exercises", "checks")}
FILES = sorted(PACKAGE.rglob("*.py"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))


def module_of(path):
    """coursekit/mdp.py is ``mdp``; every file of coursekit/detective is ``detective``."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(source):
    """Dotted names of everything a source imports, inside functions too; relative ones resolved."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, ["coursekit" if node.level else "", node.module]))
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def rooms(source):
    """The modules of coursekit that a source imports."""
    parts = [name.split(".") for name in imports(source)]
    return {p[1] if len(p) > 1 else "__init__" for p in parts if p[0] == "coursekit"}


def upward(module, source):
    """What ``module`` may not import and does: anything not strictly lower, but for the doors."""
    return {
        room
        for room in rooms(source) - {"__version__"}
        if FLOORS[room] >= FLOORS[module] and (module, room) not in DOORS and room != module
    }


@every_file
def test_a_module_imports_from_lower_floors_only(path):
    assert upward(module_of(path), path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("losses", "from coursekit import train", {"train"}),
        ("losses", "from coursekit.train import Config", {"train"}),
        ("losses", "import coursekit.train as t", {"train"}),
        ("losses", "from . import policies, mlp", {"policies"}),
        ("mdp", "def f():\n    from .losses import sum_", {"losses"}),
        ("publish", "from coursekit import checks, __main__", {"__main__"}),
        ("exercises", "from coursekit.checks import Exercise", set()),
        ("gradients", "from coursekit import mdp, policies\nimport numpy", set()),
    ],
)
def test_the_check_finds_an_upward_import_and_one_on_the_same_floor(module, source, found):
    assert upward(module, source) == found


@every_file
def test_every_module_has_a_floor(path):
    assert module_of(path) in FLOORS, f"give {module_of(path)} a floor in tests/test_floors.py"


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("mdp", {"torch", "gymnasium"}),
        ("mlp", {"torch", "gymnasium", "numba"}),
        ("losses", {"numpy", "torch", "gymnasium"}),
        ("tokens", {"numpy", "torch", "gymnasium"}),
        ("answers", {"torch", "gymnasium"}),
        ("policies", {"gymnasium"}),
        ("baselines", {"torch", "gymnasium"}),
        ("fast/envs", {"torch", "gymnasium"}),
        ("guards", {"torch", "gymnasium"}),
    ],
)
def test_a_module_does_without_the_libraries_it_has_no_need_of(module, without):
    used = {name.split(".")[0] for name in imports((PACKAGE / f"{module}.py").read_text("utf-8"))}
    assert not used & without


def modules_after(statement):
    """What a fresh interpreter has loaded after ``statement`` that it had not before, top names."""
    code = (
        f"import sys; before = set(sys.modules); {statement}; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, check=True, capture_output=True, text=True
    )
    return set(run.stdout.split())


def test_importing_the_package_loads_nobody_elses_package():
    assert modules_after("import coursekit") == {"coursekit"}


def test_starting_the_command_loads_the_standard_library_alone():
    loaded = modules_after("import coursekit.__main__")
    assert "argparse" in loaded
    assert loaded - set(sys.stdlib_module_names) == {"coursekit"}


@pytest.mark.parametrize("module", ["mdp", "mlp"])
def test_the_exact_processes_and_the_network_by_hand_load_numpy_and_not_torch(module):
    loaded = modules_after(f"import coursekit.{module}")
    assert "numpy" in loaded
    assert not loaded & {"torch", "gymnasium"}


def test_the_package_names_each_of_its_modules_and_rooms_where_one_begins_to_read():
    said = set(
        re.findall(r"\w+", ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text())))
    )
    assert {module_of(path) for path in FILES} - {"__init__"} <= said


def undocumented(source):
    """Public functions and classes of a module that have no docstring."""
    return {
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    }


# The functions of an exercise file are answers, right and wrong; what is said of each stands there.
@pytest.mark.parametrize(
    "path", [p for p in FILES if module_of(p) != "exercises"], ids=lambda p: p.name
)
def test_every_module_and_its_public_functions_and_classes_have_a_docstring(path):
    source = path.read_text(encoding="utf-8")
    assert undocumented(source) == set()
    assert ast.get_docstring(ast.parse(source))


def test_the_docstring_check_finds_a_function_and_a_class_without_one():
    source = "def f(): pass\ndef _g(): pass\nclass C: pass\nclass D:\n    'D.'\n"
    assert undocumented(source) == {"f", "C"}
