"""Mutants: each is one mistake, and reaches a process without a change on disk."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from coursekit import install
from coursekit.publish import mutate

SOURCE = '''
def f(a, b: int = 2) -> float:
    """A sum: 1."""
    if a < 0:
        raise ValueError(f"a is {a * 1}")
    return -(a * b) + 1
'''


def test_each_mutant_changes_one_thing_and_the_rest_stays():
    found = mutate.mutants(SOURCE)
    assert [(m.line, m.what) for m in found] == [
        (2, "2: 3"),
        (4, "a < 0: turned round"),
        (4, "a < 0: a <= b"),
        (4, "0: 1"),
        (6, "-(a * b) + 1: a - b"),
        (6, "-(a * b): the sign"),
        (6, "a * b: a / b"),
        (6, "a * b: the factor b forgotten"),
        (6, "1: 2"),
    ]
    sources = {m.source for m in found}
    assert len(sources) == 9
    assert ast.unparse(ast.parse(SOURCE)) not in sources
    assert mutate.mutants(SOURCE) == found  # and nothing was left behind
    assert mutate.mutants(SOURCE, step=4) == found[::4]


@pytest.mark.slow
@pytest.mark.parametrize("name", mutate.MODULES)
def test_every_mutant_of_the_course_is_python(name):
    source = (mutate.ROOT / "coursekit" / f"{name}.py").read_text(encoding="utf-8")
    found = mutate.mutants(source, step=7)
    assert len(found) > 2
    for mutant in found:
        compile(mutant.source, name, "exec")


COMMENTED = """
import functools
# a comment that no mutant keeps


def first(a):
    # one more
    return a


@functools.cache
# and here
def second(a):
    \"\"\"Twice.\"\"\"

    def inner(b):  # as well
        return b + 1

    return 2 * inner(a)
"""


def test_where_a_mutant_s_source_is_printed_it_is_that_on_disk(tmp_path):
    """Else a notebook that prints it would notice every mistake, and a comment too."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(mutate.HOOK)
    (tmp_path / "shown.py").write_text(COMMENTED)
    (wrong,) = [m for m in mutate.mutants(COMMENTED) if m.what == "b + 1: a - b"]
    (tmp_path / "wrong.py").write_text(wrong.source)
    code = "import inspect, shown; print(shown.second(1)); f = shown.second.__wrapped__\n"
    code += "print(inspect.getsource(shown.first) + inspect.getsource(f))"
    env = {"MUTANT": "shown", "MUTANT_FILE": tmp_path / "wrong.py"}
    env |= {"MUTANT_PLACE": tmp_path / "shown.py", "PYTHONPATH": tmp_path / "hook"}
    said = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {name: str(value) for name, value in env.items()},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    value, *lines = said.rstrip().splitlines()
    assert value == "0"
    first, second = COMMENTED.index("def first"), COMMENTED.index("@functools")
    true = COMMENTED[first:].partition("\n\n")[0] + "\n" + COMMENTED[second:]
    assert lines == true.rstrip().splitlines()


KNOWN = "return a + 1 if a < 5 else a # a < 5: a <= b"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A package with one module, and a test that knows its sum but not its bound."""
    for folder in ("coursekit", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "coursekit" / "__init__.py").touch()
    source = "def f(a):\n    return a + 1 if a < 5 else a\n"
    (tmp_path / "coursekit" / "losses.py").write_text(source)
    test = "from coursekit import losses\n\ndef test_f():\n    assert losses.f(1) == 2\n"
    (tmp_path / "tests" / "test_losses.py").write_text(test)
    (tmp_path / "tests" / "test_mutants.py").write_text("def test_nothing():\n    pass\n")
    explained = json.dumps({"losses": {KNOWN: "one bound"}})
    (tmp_path / "tests" / "survivors.json").write_text(explained)
    monkeypatch.setattr(mutate, "ROOT", tmp_path)
    monkeypatch.setattr(mutate, "EXPLAINED", tmp_path / "tests" / "survivors.json")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p xdist")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return tmp_path


@pytest.mark.slow
def test_what_survives_is_listed_and_the_source_on_disk_is_as_it_was(course, capsys):
    before = (course / "coursekit" / "losses.py").read_bytes()
    assert mutate.mutate(["losses"]) == 1
    *survivors, last = capsys.readouterr().out.splitlines()
    assert survivors == [
        "  survives: losses.py:2: a < 5: a <= b (one bound)",
        "  survives: losses.py:2: 5: 6",
    ]
    assert last.split() == [
        "losses",
        "3/5",
        "killed",
        "by",
        "tests,",
        "of",
        "5",
        "mutants",
        "in",
        "all",
    ]
    assert (course / "coursekit" / "losses.py").read_bytes() == before
    assert sorted(path.name for path in Path(course / "coursekit").glob("*.py")) == [
        "__init__.py",
        "losses.py",
    ]


@pytest.mark.slow
def test_where_every_survivor_is_explained_the_status_is_zero(course, monkeypatch, capsys):
    reasons = {"losses": {KNOWN: "one bound", KNOWN.split(" #")[0] + " # 5: 6": "another"}}
    mutate.EXPLAINED.write_text(json.dumps(reasons))
    assert mutate.mutate(["losses"]) == 0
    assert "5: 6 (another)" in capsys.readouterr().out


def test_what_is_explained_is_still_a_mutant():
    for name, reasons in json.loads(mutate.EXPLAINED.read_text(encoding="utf-8")).items():
        source = (mutate.ROOT / "coursekit" / f"{name}.py").read_text(encoding="utf-8")
        lines = source.splitlines()
        found = mutate.changes(ast.parse(source))
        places = {f"{lines[node.lineno - 1].strip()} # {what}" for node, what, _ in found}
        assert set(reasons) <= places
        assert all(len(why) > 10 for why in reasons.values())


@pytest.mark.slow
def test_a_mutant_that_never_ends_is_noticed(course, monkeypatch):
    (course / "tests" / "test_losses.py").write_text(
        "import time\n\ndef test_f():\n    time.sleep(600)\n"
    )
    monkeypatch.setattr(mutate, "TIMEOUT", 3)
    assert mutate.noticed("losses", mutate.judging("losses", "tests"), mutate.mutants("x = 1")[0])


@pytest.mark.slow
def test_a_judge_that_is_red_without_a_mistake_is_no_judge(course):
    (course / "tests" / "test_losses.py").write_text("import nowhere\n")
    with pytest.raises(install.Stopped, match="red without any mistake"):
        mutate.mutate(["losses"])


def test_a_sample_is_always_the_same_one(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        mutate,
        "notices",
        lambda name, mutant, judge: mutant.line and (asked.append(mutant.what) or True),
    )
    for _ in range(2):
        assert mutate.mutate(["losses"], sample=6) == 0
    assert asked[:6] == asked[6:]
    assert "6/6 killed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "by", "said"),
    [(["x"], "tests", "module 'x' is unknown"), (["losses"], "x", "by 'x' is unknown")],
)
def test_what_is_unknown_is_refused(names, by, said):
    with pytest.raises(ValueError, match=said):
        mutate.mutate(names, by=by)


GUARDED = """
@dataclass(frozen=True)
class C:
    n: int = 1
    def f(self, x):
        guards.number("x", x, 2)
        if x < 3:
            raise ValueError(x)
        if x > 4:
            x += 5
        elif x == 6:
            raise ValueError(x)
        try:
            return x - 7
        except TypeError:
            return x - 8
"""


def test_what_only_wrong_input_meets_is_asked_of_the_tests_alone(monkeypatch, capsys):
    found = mutate.mutants(GUARDED)
    assert {m.line for m in found if not m.guard} == {4, 9, 10, 14}
    assert {m.line for m in found if m.guard} == {2, 6, 7, 11, 16}
    turned = {m.line: m.guard for m in found if m.what.endswith("turned round")}
    assert turned == {7: True, 9: False, 11: True}
    monkeypatch.setattr(mutate, "notices", lambda name, mutant, judge: mutant.line > 0)
    counts = {}
    for by in ("tests", "notebooks"):
        mutate.mutate(["losses"], 2, by)
        counts[by] = int(re.search(r"of (\d+) mutants in all", capsys.readouterr().out)[1])
    source = (mutate.ROOT / "coursekit" / "losses.py").read_text(encoding="utf-8")
    met = [m.guard for m in mutate.mutants(source)]
    assert counts == {"tests": len(met), "notebooks": len(met) - sum(met)}
    assert sum(met) > 0


def test_the_notebooks_that_judge_are_those_that_use_the_module():
    books = [Path(judge[0]).name[:2] for judge in mutate.judging("losses", "notebooks")]
    assert {"01", "02", "04"} <= set(books)
    assert "07" not in [Path(j[0]).name[:2] for j in mutate.judging("tokens", "notebooks")]
