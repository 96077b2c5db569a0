"""Where a home or a cache cannot be written, another place is found, said, and deleted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coursekit import places

ROOT = Path(places.__file__).parents[1]
NOWHERE = "/dev/null/nowhere"  # nobody can make this folder


def mended(**env):
    """What is said, home, cache and matplotlib's folder after it, in a process of its own."""
    code = (
        "import os; from coursekit import places\n"
        "print(*places.mend(), sep='\\n'); print(os.environ[places.HOME], "
        "os.environ.get('COURSEKIT_CACHE'), os.environ.get('MPLCONFIGDIR'))"
    )
    unset = dict.fromkeys(["MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"])
    env = unset | env
    env = {key: value for key, value in {**os.environ, **env}.items() if value is not None}
    words = [sys.executable, "-c", code]
    said = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    *lines, last = said.stdout.splitlines()
    assert said.stderr == ""
    return [line for line in lines if line], last.split()


def test_where_all_can_be_written_nothing_is_said_or_changed(tmp_path):
    lines, found = mended(**{places.HOME: str(tmp_path), "COURSEKIT_CACHE": str(tmp_path / "c")})
    assert (lines, found) == ([], [str(tmp_path), str(tmp_path / "c"), "None"])


@pytest.mark.parametrize(("home", "why"), [(None, "is not set"), (NOWHERE, "cannot be written")])
def test_a_home_that_is_not_there_is_replaced_said_once_and_gone_at_the_end(home, why, tmp_path):
    (line,), (other, *_) = mended(**{places.HOME: home, "COURSEKIT_CACHE": str(tmp_path)})
    assert why in line
    assert other in line
    assert other != home
    assert not Path(other).exists()


def test_a_cache_that_can_not_be_written_is_replaced_and_said(tmp_path):
    (line,), (_, other, _) = mended(**{places.HOME: str(tmp_path), "COURSEKIT_CACHE": NOWHERE})
    assert line.startswith(f"{NOWHERE} cannot be written: the results of experiments are not kept")
    assert other != NOWHERE


# elsewhere matplotlib has one folder, without XDG
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="these folders are Linux's")


@pytest.mark.parametrize(
    ("env", "locked"),
    [
        ({"MPLCONFIGDIR": NOWHERE}, NOWHERE),
        pytest.param({"XDG_CONFIG_HOME": NOWHERE}, f"{NOWHERE}/matplotlib", marks=LINUX),
        pytest.param({"XDG_CACHE_HOME": NOWHERE}, f"{NOWHERE}/matplotlib", marks=LINUX),
        pytest.param({}, ".cache/matplotlib", marks=LINUX),  # in a home that can be written
    ],
)
def test_a_folder_of_matplotlib_that_can_not_be_written_is_replaced_said_and_gone(
    env, locked, tmp_path
):
    if not env:
        (tmp_path / ".cache").touch()  # where a folder would be
    usual = {places.HOME: str(tmp_path), "COURSEKIT_CACHE": str(tmp_path / "c")}
    (line,), (home, _, other) = mended(**usual, **env)
    assert home == str(tmp_path)
    assert f"{locked} cannot be written: matplotlib uses {other}" in line
    assert not Path(other).exists()


def test_what_is_written_for_matplotlib_is_left_to_it_where_it_can(tmp_path):
    env = {places.HOME: str(tmp_path), "MPLCONFIGDIR": str(tmp_path / "a" / "b")}
    lines, (*_, kept) = mended(**env, COURSEKIT_CACHE=str(tmp_path))
    assert (lines, kept) == ([], env["MPLCONFIGDIR"])
    assert not (tmp_path / "a").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_the_place_is_this_user_s_alone():
    folder = Path(places.temporary())
    assert folder.stat().st_mode & 0o077 == 0
    assert folder.stat().st_uid == os.getuid()


def test_a_full_disk_is_noticed(monkeypatch, tmp_path):
    def full(dir):
        raise OSError(28, "No space left on device")

    assert places.is_writable(tmp_path)
    monkeypatch.setattr(places.tempfile, "TemporaryFile", full)
    assert not places.is_writable(tmp_path)
