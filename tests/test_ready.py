"""The first cell of the course: what is missing is said in words, whatever is missing."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from coursekit import ready

ROOT = Path(__file__).resolve().parent.parent
FIRST = json.loads((ROOT / "notebooks" / "00_start_here.ipynb").read_text(encoding="utf-8"))


def declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["course"]
    return sorted({re.match(r"[\w-]+", line).group() for line in lines})


def test_it_looks_for_all_that_the_course_declares():
    assert sorted(ready.needed()) == declared()


def test_it_looks_for_nothing_that_another_extra_declares(monkeypatch):
    lines = ["a>=1", 'a<2,>=1; extra == "course"', "b.c ; extra == 'course'", 'd; extra == "test"']
    monkeypatch.setattr(ready, "requires", lambda name: [*lines, 'e; extra == "courses2"'])
    assert ready.needed() == ["a", "b.c"]


def test_it_says_that_all_is_there(capsys):
    ready.check()
    assert capsys.readouterr().out == "✓ ready: everything that the course needs is installed.\n"


def test_a_folder_that_was_not_installed_is_not_ready(monkeypatch, capsys):
    def requires(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(ready, "requires", requires)
    ready.check()
    assert "✗ not ready: an installed coursekit is missing here" in capsys.readouterr().out


# {hidden} cannot be imported, and finding it fails; then the first code cell of notebook 00
HIDING = """
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == {hidden!r} else real(name, *a)
sys.modules[{hidden!r}] = None
"""


@pytest.mark.parametrize("hidden", ["coursekit", *declared()])
def test_the_first_cell_says_what_is_missing_and_stops_nothing(hidden):
    first = next(cell for cell in FIRST["cells"] if cell["cell_type"] == "code")
    program = HIDING.format(hidden=hidden) + "".join(first["source"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("✗ not ready: ")
    assert f"{hidden} is missing" in done.stdout


def test_the_module_needs_the_standard_library_alone():
    tree = ast.parse((ROOT / "coursekit" / "ready.py").read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {n.module if isinstance(n, ast.ImportFrom) else n.names[0].name for n in nodes}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
