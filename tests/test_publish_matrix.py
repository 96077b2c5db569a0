"""Hard conditions: a row is made as it says, a red is a red, and what cannot be made is said."""

import subprocess
import sys
from pathlib import Path

import pytest

from coursekit import __main__ as entry
from coursekit import install
from coursekit.publish import matrix

ROOT = Path(matrix.__file__).parents[2]
PROBE = """
import os
from pathlib import Path

def test_it():
    here = Path.cwd()
    home = Path.home()
    seen = {
        "config-unwritable": home.is_relative_to(here) and writes(home / "a")
        and not writes(home / ".config" / "new"),
        "umask": os.umask(0o022) == 0o077,
        "read-only": not writes(here / "new"),
        "cache-full": not writes(here / "build" / "cache" / "new"),
    }
    assert [name for name, so in seen.items() if so] == os.environ["EXPECTED"].split()

def writes(path):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(30_000))
    except OSError:
        return False
    return True
"""


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A small clone with one test, which looks at the condition that it is in."""
    (tmp_path / "clone" / "tests").mkdir(parents=True)
    (tmp_path / "clone" / "tests" / "test_it.py").write_text(PROBE, encoding="utf-8")
    (tmp_path / "clone" / "coursekit").symlink_to(ROOT / "coursekit")
    monkeypatch.setattr(matrix, "ROOT", tmp_path / "clone")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("LC_ALL", raising=False)
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="some of these rows are Linux's")
@pytest.mark.parametrize("name", ["umask", "read-only", "cache-full", "config-unwritable"])
def test_a_row_is_what_it_says(name, clone, monkeypatch, capsys):
    seen = {"read-only": "read-only cache-full"}  # its cache cannot be written either
    monkeypatch.setenv("EXPECTED", seen.get(name, name))
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p xdist")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    assert matrix.matrix([name], ["tests/test_it.py"]) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    assert said.split()[0] == name
    assert "passed" in said or "not here" in said


@pytest.mark.slow
def test_a_red_row_is_status_1_and_its_end_is_shown(clone, monkeypatch, capsys):
    monkeypatch.setenv("EXPECTED", "something else")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p xdist")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    assert matrix.matrix(["plain"], ["tests/test_it.py"]) == 1
    said = capsys.readouterr().out
    assert "FAILED" in said
    assert "something" in said


def test_an_unknown_row_lists_the_known_ones():
    with pytest.raises(ValueError, match="row 'x' is unknown; choose from: plain, one-thread"):
        matrix.matrix(["x"])


def test_what_the_system_can_not_make_is_said_and_is_no_failure(clone, monkeypatch, capsys):
    monkeypatch.setattr(matrix, "LINUX", False)
    assert matrix.matrix(["no-network"]) == 0
    assert "not here" in capsys.readouterr().out


def test_test_hands_over_rows_and_versions(monkeypatch):
    given = []
    monkeypatch.setattr(install, "prepare", lambda: sys.executable)
    monkeypatch.setattr(entry, "publish", lambda name: lambda words: given.append((name, words)))
    entry.main(["test", "--matrix", "umask", "path"])
    entry.main(["test", "--versions", "oldest", "tests"])
    assert given == [("matrix", ["umask", "path"]), ("versions", ["oldest", "tests"])]


# Versions


@pytest.fixture
def made(tmp_path, monkeypatch):
    """What would have been called, and how it ended."""
    from coursekit.publish import versions

    calls, statuses = [], []

    def run(words, check):
        Path(words[-1]).mkdir(parents=True)
        return subprocess.CompletedProcess(words, 0)

    def call(words):
        calls.append([str(word) for word in words])
        return statuses.pop(0) if statuses else 0

    monkeypatch.setattr(versions.subprocess, "run", run)
    monkeypatch.setattr(install, "call", call)
    declared, needed = install.declared(), install.requirements()
    monkeypatch.setattr(install, "declared", lambda: declared)
    monkeypatch.setattr(install, "requirements", lambda: needed)
    monkeypatch.setattr(install, "ROOT", tmp_path)
    return versions, calls, statuses


def test_the_oldest_are_the_lower_bounds(made, tmp_path):
    versions, calls, _ = made
    assert versions.versions(["oldest", "tests", "-x"]) == 0
    pins = (tmp_path / "build" / "oldest" / "constraints.txt").read_text().split()
    assert {"torch==2.6.*", "numpy==2.0.*", "gymnasium==1.0.*"} <= set(pins)
    pip, _, test = calls
    assert pip[-1].endswith("[course,test]")
    assert test[1:] == ["-m", "coursekit", "test", "tests", "-x"]


def test_the_newest_have_no_upper_bound(made):
    versions, calls, _ = made
    versions.versions(["newest"])
    assert "torch>=2.6" in calls[0]
    assert not [word for word in calls[0] if "<" in word]


def test_where_no_wheel_is_there_for_the_oldest_torch_the_rest_is_tried(made, tmp_path, capsys):
    versions, calls, statuses = made
    statuses += [1]
    assert versions.versions(["oldest"]) == 0
    assert "torch" not in (tmp_path / "build" / "oldest" / "constraints.txt").read_text()
    assert "without the oldest torch" in capsys.readouterr().out
    assert len(calls) == 4
    statuses += [1, 1]
    assert versions.versions(["oldest"]) == 1


def test_another_kind_is_refused(made):
    versions, *_ = made
    for words in ([], ["middle"]):
        with pytest.raises(install.Stopped, match="choose from: oldest, newest"):
            versions.versions(words)
