"""A red is told in plain words, the cause first; whoever never saw the course knows what broke."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import pytest
import reading
import test_floors
from nbformat.v4 import new_code_cell, new_notebook, new_output

from coursekit.publish import budgets, explain, testing

ROOT = Path(__file__).resolve().parent.parent


def stream(text, name="stdout"):
    return new_output("stream", text=text, name=name)


def error(name, value):
    return new_output("error", ename=name, evalue=value, traceback=["\x1b[31mline\x1b[0m", value])


def told(outputs, stored=(), source="x = 1"):
    return explain.cell("sum", source, outputs, stored).splitlines()


def test_an_equation_that_fails_is_the_first_line_and_needs_no_traceback():
    first, *rest = told([error("VerificationError", "equation 3.4 does not hold: left 1, right 2")])
    assert first == "cell 'sum': equation 3.4 does not hold: left 1, right 2"
    assert rest == ["the cell:", "  x = 1"]


def test_another_error_names_what_the_cell_would_have_verified_and_loses_its_colours():
    source = 'a = 1\nverify.equation("3.4", a, b)\nverify.claim(\n    "3.5", a, "<", 1)'
    lines = told([error("NameError", "\x1b[31mno b\x1b[0m")], source=source)
    assert lines[0] == "cell 'sum' (equation 3.4, claim 3.5): NameError: no b"
    assert lines[-2:] == ["  line", "  no b"]
    assert "\x1b" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("stored", "now", "said"),
    [
        (
            "a\n1.20 2\n",
            "a\n1.50 2\n",
            "1.50 instead of 1.20, difference 0.3; line 2 of stdout is '1.50 2', stored '1.20 2'",
        ),
        (
            "array([-1., 2.])",
            "array([-1., 4.])",
            "4 instead of 2, difference 2; "
            "line 1 of stdout is 'array([-1., 4.])', stored 'array([-1., 2.])'",
        ),
        ("a\n", "a\nb\n", "'b' instead of '(nothing)'; line 2 of stdout"),
        ("a\nb\n", "a\n", "'(nothing)' instead of 'b'; line 2 of stdout"),
        ("", "a\n", "'a' instead of '(nothing)'; line 1 of stdout"),
        ("1.0 a", "1.00 a", "'1.00 a' instead of '1.0 a'; line 1 of stdout"),
    ],
)
def test_an_output_that_differs_is_shown_with_both_values_and_the_difference(stored, now, said):
    (first, *_) = told([stream(now)], [stream(stored)] if stored else [])
    assert first == f"cell 'sum': {said}"


def test_where_lines_are_long_the_place_is_cut_out():
    old, new = "x" * 300 + " 1.0 " + "y" * 300, "x" * 300 + " 2.0 " + "y" * 300
    first = told([stream(new)], [stream(old)])[0]
    assert "x 2.0 y" in first
    assert "x 1.0 y" in first
    assert first.startswith("cell 'sum': 2.0 instead of 1.0, difference 1; line 1")


@pytest.mark.parametrize(("old", "new"), [("1.0", "2.0"), ("one", "two")])
def test_both_values_reach_the_summary_however_long_the_names_and_the_line(old, new):
    old, new = (f"{'x' * 300} {value} {'y' * 300}" for value in (old, new))
    where = "FAILED notebooks/05_what_the_mean_optimises.ipynb::Cell 12 - "
    said = explain.cell("say-a-baseline-from-the-same-episode", "x", [stream(new)], [stream(old)])
    line = explain.short(where + said.splitlines()[0])
    assert old[301:304] in line
    assert new[301:304] in line


def test_what_stood_on_stderr_is_shown_even_where_stdout_differs_too():
    lines = told([stream("1"), stream("Warning: \x1b[1mold\x1b[0m\nuse new\n", "stderr")])
    assert lines[0] == "cell 'sum': it writes to stderr: use new"
    assert lines[1:4] == ["stderr:", "  Warning: old", "  use new"]


def test_a_picture_is_not_compared_and_its_alt_text_is():
    old, new = (
        [new_output("display_data", {"text/html": f'<img alt="{alt}" src="base64,{data}">'})]
        for alt, data in (("p 0.5", "AAAA"), ("p 0.6", "BBBB"))
    )
    assert "difference 0.1" in told(new, old)[0]
    same = [new_output("display_data", {"text/html": '<img alt="p 0.5" src="base64,CCCC">'})]
    assert told(same, old)[0] == "cell 'sum': it failed"


def failures(*names):
    return [explain.Failure(name, "AssertionError: 1 is not 2\nmore") for name in names]


def test_many_failures_are_one_screen_with_the_lowest_module_first():
    names = [f"notebooks/{i:02}_a.ipynb::Cell {k}" for i in range(15) for k in range(4)]
    names += ["tests/test_documents.py::a", "tests/test_fast_reinforce.py::b"]
    names += ["tests/test_train.py::c", "tests/test_losses.py::d", "tests/test_losses.py::e"]
    lines = explain.screen(failures(*names))
    assert len(lines) <= 24
    assert lines[0].startswith("65 failed in 19 files; the lowest module first")
    files = [line.split(":")[0] for line in lines[1:-1:2]]
    assert files[:5] == [
        *(f"tests/test_{n}.py" for n in ("losses", "train", "fast_reinforce", "documents")),
        "notebooks/00_a.ipynb",
    ]
    assert lines[1:3] == ["tests/test_losses.py: d, e", "    AssertionError: 1 is not 2"]
    assert lines[-1] == "and 8 more files"


def test_the_message_of_numpy_is_more_than_its_first_line():
    said = "AssertionError: \nNot equal to\n\nMismatched elements: 1 / 2\n [0]: 1 (ACTUAL)"
    assert explain.headline(said).endswith("Mismatched elements: 1 / 2 [0]: 1 (ACTUAL)")


FALSE = "AssertionError: assert False\n +  where False = agrees(3)"
NOT_TRUE = "assert not True\n +  where True = agrees(3)"
EMPTY = "AssertionError: "
VALUES = "AssertionError: assert not 'b[1] is 2, by hand 3, difference 1'"


@pytest.mark.parametrize("mute", ["assert False", "", EMPTY, FALSE, NOT_TRUE])
def test_of_a_file_the_first_failure_that_gives_a_value_is_shown(mute):
    told = [explain.Failure(f"tests/test_a.py::{name}", mute) for name in ("a[1]", "a[2]", "b")]
    told.insert(2, explain.Failure("tests/test_a.py::c[1]", VALUES))
    _, names, said = explain.screen(told)
    assert said.strip() == VALUES
    assert names == "tests/test_a.py: c[1], a[1], b and 1 more"
    told.insert(1, explain.Failure("tests/test_a.py::" + "d" * 160, mute))
    assert explain.screen(told)[1] == "tests/test_a.py: c[1], a[1], b and 2 more"
    alone = explain.Failure("tests/test_a.py::" + "d" * 160, mute)
    assert explain.screen([alone])[1] == "tests/test_a.py: " + "d" * 160


def test_of_what_was_false_the_headline_says_where_that_came_from():
    assert explain.headline(FALSE) == "AssertionError: assert False + where False = agrees(3)"
    assert explain.headline("assert 1 == 2\n + where") == "assert 1 == 2"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("AssertionError: \nNot equal to\n ACTUAL: 1", "AssertionError: Not equal to ACTUAL: 1"),
        (FALSE, "AssertionError: assert False + where False = agrees(3)"),
        ("assert 1 == 2\n + where 1 = f(1)", "assert 1 == 2"),
        ("\n  ValueError: no", "ValueError: no"),
    ],
)
def test_the_first_line_of_a_test_s_message_is_its_headline_and_nothing_is_lost(text, first):
    summed = testing.summed_up(text)
    assert summed.strip().splitlines()[0] == first
    assert summed.endswith(text.strip())


def test_the_storeys_are_those_of_the_package():
    floors = [test_floors.FLOORS[name] for name in explain.STOREYS]
    assert floors == sorted(floors)


# The plugin, in a run of its own

BOOK = {
    "fine": (
        "from coursekit import verify\nverify.claim('1.1', 1, '<', 2)",
        "✓ claim 1.1: the measured value is < 2\n",
    ),
    "wrong": ("print(1.5)", "1.25\n"),
    "claimed": ("verify.claim('1.2', 3, '<', 2)", ""),
    "noisy": ("import sys\nprint('gone', file=sys.stderr)", ""),
}


@pytest.mark.slow
def test_a_notebook_s_reds_reach_the_summary_line_junit_and_the_page(tmp_path):
    for name in ("notebooks", "coursekit"):
        (tmp_path / name).mkdir()
    for name in ("notebooks/conftest.py", "notebooks/sanitize.cfg", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    cells = []
    for i, (name, (source, output)) in enumerate(BOOK.items()):
        cells.append(new_code_cell(source, id=name, execution_count=i + 1))
        cells[-1].outputs = [stream(output)] if output else []
    (tmp_path / "notebooks" / "01_a.ipynb").write_text(json.dumps(new_notebook(cells=cells)))
    words = [sys.executable, "-m", "pytest", "-n", "0", "--junitxml=junit.xml", "notebooks"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "FORCE_COLOR": "1"}
    env.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    causes = {
        "wrong": "1.5 instead of 1.25, difference 0.25; line 1 of stdout is '1.5', stored '1.25'",
        "claimed": "claim 1.2 does not hold: 3 < 2 is false; difference 1",
        "noisy": "it writes to stderr: gone",
    }
    junit = ElementTree.parse(tmp_path / "junit.xml").findall(".//failure")
    assert [failure.get("message") for failure in junit] == [
        f"cell {name!r}: {cause}" for name, cause in causes.items()
    ]
    assert not any("\x1b" in failure.text or "#x1B" in failure.text for failure in junit)
    end = explain.plain(done.stdout).splitlines()
    (line,) = [line for line in end if line.startswith("FAILED") and "Cell 1" in line]
    assert line.endswith(f"cell 'wrong': {causes['wrong']}")
    assert "3 failed in 1 files" in "\n".join(end[-4:])
    assert f"    cell 'wrong': {causes['wrong']}" in end[-2:]


# The order of files


def test_on_a_worker_the_longest_file_comes_first_and_each_stays_together():
    long, short = "test_browser.py", "test_words.py"
    names = [short, "06_the_experiment.ipynb", "test_a.py", "test_a.py", long, long, "test_b.py"]

    def ordered(**given):
        items = [SimpleNamespace(path=Path(name)) for name in names]
        testing.pytest_collection_modifyitems(SimpleNamespace(**given), items)
        return [item.path.name for item in items]

    first, *rest = ordered(workerinput={})
    assert {first, rest[0]} == {"06_the_experiment.ipynb", long}
    assert rest[-4:] == ["test_a.py", "test_a.py", short, "test_b.py"]
    assert ordered() == names
    assert all((ROOT / "tests" / name).exists() for name in testing.LONG)


# Budgets


def book(cpu, memory=300.0, calibration=0.1):
    return {"cpu_seconds": cpu, "memory": memory, "calibration": calibration}


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(budgets, "FILE", tmp_path / "budgets.json")
    monkeypatch.setenv("COURSEKIT_BUDGETS", "1")
    budgets.record({"01_a": book(10.0), "02_b": book(20.0)})


def test_half_as_much_again_is_too_much_and_the_table_says_so(recorded):
    assert budgets.exceeded({"01_a": book(14.0), "02_b": book(20.0)}) == []
    head, columns, first, second = budgets.exceeded({"01_a": book(16.0), "02_b": book(20.0)})
    assert "budget is exceeded" in head
    assert columns.split()[-3:] == ["took", "budget", "MB"]
    assert first.split() == ["01_a", "160", "100", "300", "too", "slow"]
    assert second.split() == ["02_b", "200", "200", "300"]


def test_a_slow_machine_has_a_slow_loop_so_nothing_is_exceeded(recorded):
    assert budgets.exceeded({"01_a": book(100.0, calibration=1.0)}) == []


def test_memory_has_one_bound_for_all_and_time_is_judged_where_it_was_asked_for(
    recorded, monkeypatch
):
    monkeypatch.delenv("COURSEKIT_BUDGETS")
    assert budgets.exceeded({"01_a": book(99.0), "09_new": book(9.0)}) == []
    assert "too large" in budgets.exceeded({"09_new": book(1.0, memory=2000.0)})[-1]


def test_every_notebook_has_a_budget_and_one_without_is_said(recorded, monkeypatch):
    *_, last = budgets.exceeded({"01_a": book(10.0), "09_new": book(9.0)})
    assert last.split()[:4] == ["09_new", "90", "none", "300"]
    assert last.endswith("use test --record-budgets")
    monkeypatch.undo()
    assert sorted(budgets.allowed()) == [path.stem for path in reading.PATHS]


def test_a_record_keeps_what_did_not_run(recorded):
    budgets.record({"02_b": book(5.0)})
    assert json.loads(budgets.FILE.read_text()) == {"01_a": 100, "02_b": 50}


def test_the_loop_takes_time_and_a_process_its_memory():
    assert 0 < budgets.calibration() < 5

    class Provisioner:
        process = type("Process", (), {"pid": os.getpid()})

    found = budgets.measured(Provisioner)
    assert found["cpu_seconds"] > 0
    assert 20 < found["memory"] < 20_000
    assert budgets.measured(None) == {}
    Provisioner.process.pid = 2**22 + 1  # more than there can be
    assert budgets.measured(Provisioner) == {}
