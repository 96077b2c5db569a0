"""Progress: what was solved is kept in one small file, which nothing can make an error."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import coursekit
from coursekit import checks, progress, quiz
from coursekit.checks import Exercise

ROOT = Path(__file__).resolve().parent.parent
root_may_write = pytest.mark.skipif(
    getattr(os, "geteuid", lambda: 1)() == 0, reason="nothing is unwritable for root"
)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Where progress is kept in this test: a file that does not exist yet."""
    path = tmp_path / "deep" / "progress.jsonl"
    monkeypatch.setenv("COURSEKIT_PROGRESS", str(path))
    monkeypatch.setattr(progress, "_told", [])
    return path


def test_a_check_records_its_verdict_and_what_is_right_stays_right(file, capsys):
    checks.check("0.2", None)
    assert not file.exists()
    checks.check("0.2", 3)
    assert progress.states(file) == {"0.2": "attempted"}
    checks.check("0.2", 1.2)
    checks.check("0.2", 3)
    assert progress.states(file) == {"0.2": "correct"}
    assert len(file.read_text().splitlines()) == 2


def test_a_solution_is_nobodys_progress(file, capsys):
    checks.check("0.2", 1.2, "solution")
    assert not file.exists()


def test_a_question_is_recorded_too(file, capsys):
    quiz.check({"0.q1": quiz.find("0.q1").right, "0.q2": None})
    assert progress.states(file) == {"0.q1": "correct"}


def test_the_table_counts_and_says_what_is_next(file, capsys):
    checks.check("0.1", 4.0)
    checks.check("0.2", 3)
    capsys.readouterr()
    coursekit.progress()
    lines = capsys.readouterr().out.splitlines()
    total = len(progress.asked()["00"])
    assert lines[1].split() == ["00", "1", "1", str(total - 2)]
    assert lines[2].split()[1:3] == ["0", "0"]
    assert len(lines) == 1 + len(progress.asked()) + 1
    assert lines[-1].startswith("Next: notebook 00, exercise 0.2, once more")


KNOWN = {"00": ["0.1", "0.q1"], "01": ["1.1"], "02": ["2.1"]}


@pytest.mark.parametrize(
    ("done", "said"),
    [
        ({}, "notebook 00, exercise 0.1, not tried yet."),
        ({"0.1": "correct"}, "notebook 00, question 1 of the quiz, not tried yet."),
        (
            {"0.1": "correct", "0.q1": "attempted"},
            "notebook 00, question 1 of the quiz, once more.",
        ),
        ({"1.1": "attempted"}, "notebook 01, exercise 1.1, once more (its hints"),
        ({"1.1": "correct"}, "notebook 00, exercise 0.1, not tried yet."),
        (dict.fromkeys(["0.1", "0.q1", "1.1", "2.1"], "correct"), "all is solved"),
    ],
)
def test_what_is_next(done, said):
    assert progress.following(KNOWN, done).startswith(said)


DAMAGE = [b"", b"{", b"\xff\xfe\x00", b"[1, 2]\n", b'{"tag": 3, "state": "correct"}\n']
DAMAGE += [b'{"tag": "0.1", "state": "great"}\n', b"null\n", b'{"tag": "0.1", "sta', b"[" * 200_000]


@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
def test_a_damaged_file_loses_its_damaged_lines_and_no_other(file, damage, capsys):
    file.parent.mkdir()
    good = json.dumps({"tag": "1.1", "state": "correct"}).encode() + b"\n"
    file.write_bytes(good + damage)
    checks.check("0.1", 4.0)
    assert progress.states(file) == {"1.1": "correct", "0.1": "correct"}
    coursekit.progress()


def test_a_file_that_cannot_be_written_is_said_once_and_stops_nothing(file, capsys):
    file.mkdir(parents=True)  # a folder of that name
    checks.check("0.1", 4.0)
    checks.check("0.2", 1.2)
    coursekit.progress()
    said = capsys.readouterr().out
    assert said.count("Progress is not kept") == 1
    assert str(file) in said
    assert said.count(": correct") == 2
    progress.reset()
    assert "could not be deleted" in capsys.readouterr().out


@root_may_write
def test_a_folder_without_permission_is_said_once(file, capsys):
    file.parent.mkdir()
    file.parent.chmod(0o500)
    checks.check("0.1", 4.0)
    checks.check("0.2", 1.2)
    assert capsys.readouterr().out.count("Progress is not kept") == 1


def test_reset_forgets_everything_and_may_be_called_twice(file, capsys):
    checks.check("0.1", 4.0)
    coursekit.progress.reset()
    coursekit.progress.reset()
    assert not file.exists()
    assert capsys.readouterr().out.count("nothing is recorded now") == 2


@pytest.mark.parametrize("name", ["COURSEKIT_QUIET", "PYTEST_CURRENT_TEST"])
def test_nothing_is_recorded_where_tests_or_execute_run(name, monkeypatch):
    for other in ("COURSEKIT_PROGRESS", "COURSEKIT_QUIET", "PYTEST_CURRENT_TEST"):
        monkeypatch.delenv(other, raising=False)
    assert progress.path().name == "progress.jsonl"
    monkeypatch.setenv(name, "1")
    assert progress.path() is None
    progress.record("exercise", "0.1", "correct")
    assert progress.states(progress.path()) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="the place differs from system to system")
def test_the_file_stands_in_the_data_folder_of_the_user(monkeypatch, tmp_path):
    for name in ("COURSEKIT_PROGRESS", "COURSEKIT_QUIET", "PYTEST_CURRENT_TEST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert progress.path() == tmp_path / "coursekit" / "progress.jsonl"


def test_two_notebooks_at_once_lose_nothing(file):
    program = (
        "import sys; from coursekit import progress\n"
        "for k in range(60): progress.record('exercise', f'{sys.argv[1]}.{k}', 'correct')"
    )
    command = [sys.executable, "-c", program]
    both = [subprocess.Popen([*command, word], cwd=ROOT) for word in "78"]
    assert [one.wait() for one in both] == [0, 0]
    assert len(progress.states(file)) == 120


def test_everything_there_is_to_solve_is_counted():
    known = progress.asked()
    assert sorted(known) == [f"{number:02d}" for number in range(15)]
    for number, tags in known.items():
        assert {re.split(r"\.", tag)[0] for tag in tags} == {str(int(number))}
        assert len(set(tags)) == len(tags) >= 3


def test_a_check_that_is_no_sentence_yet_counts_as_attempted(file):
    progress.record("exercise", "3.1", verdict := checks.verdict(Exercise(1.0, {}), 2.0))
    assert verdict.startswith("not yet")
    assert progress.states(file) == {"3.1": "attempted"}
