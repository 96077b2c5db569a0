"""Hard conditions, a row each: a small part of the tests and notebooks, in a copy of the clone.

``python -m coursekit test --matrix [ROW …]``. A row is data: adding one is adding an entry.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = (  # a test that draws, one that compiles and keeps results, two notebooks
    "tests/test_plots.py",
    "tests/test_fast_cache.py",
    "notebooks/01_policies_and_returns.ipynb",
    "notebooks/04_mean_is_sum_over_n.ipynb",
)
NOWHERE = "/dev/null/nowhere"  # no user, not even root, can make this folder
LINUX = sys.platform == "linux"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One condition: variables set or (None) removed, a folder's name, what is wrapped around."""

    env: Mapping[str, str | None] = field(default_factory=dict)
    name: str = "clone"
    umask: int = -1
    read_only: bool = False
    shell: str = ""  # run before, by sh, in namespaces of its own; Linux alone


ROWS = {
    "plain": Row(),
    "one-thread": Row(env={"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}),
    "four-threads": Row(env={"OMP_NUM_THREADS": "4", "NUMBA_NUM_THREADS": "4"}),
    "old-kernels": Row(
        env={"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Prescott"}
        | {"NUMBA_CPU_NAME": "generic", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"}
    ),
    "hash-seed": Row(env={"PYTHONHASHSEED": "12345"}),
    "time-zone": Row(env={"TZ": "Pacific/Kiritimati"}),
    "locale": Row(env={"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0"}),
    "umask": Row(umask=0o077),
    "path": Row(name="mit Leerzeichen und Ümläuten"),
    "no-display": Row(env=dict.fromkeys(["DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND"])),
    "no-network": Row(shell="unshare --net: ip link set lo up"),
    "read-only": Row(read_only=True),
    "no-home": Row(env={"HOME": None, "USERPROFILE": None}),
    "home-unwritable": Row(env={"HOME": NOWHERE, "USERPROFILE": NOWHERE}),
    "config-unwritable": Row(  # a home in which one can write, but not in what stands for these
        env={"MPLCONFIGDIR": None, "XDG_CONFIG_HOME": None, "XDG_CACHE_HOME": None},
        shell="unshare --mount: mkdir -p build/home && touch build/home/.config build/home/.cache"
        ' && export HOME="$PWD/build/home"',
    ),
    "xdg-unwritable": Row(
        env={"MPLCONFIGDIR": None, "XDG_CONFIG_HOME": NOWHERE, "XDG_CACHE_HOME": NOWHERE}
    ),
    "cache-unwritable": Row(env={"COURSEKIT_CACHE": NOWHERE}),
    "cache-full": Row(shell="unshare --mount: mount -t tmpfs -o size=16k none build/cache"),
}


def matrix(names: Sequence[str], parts: Sequence[str] = PARTS) -> int:
    """Run the rows of these names, or all; print a line each; 1 where one fails, else 0.

    A row that this system cannot make is said, and is no failure. ValueError: an unknown name.
    """
    if unknown := [name for name in names if name not in ROWS]:
        raise ValueError(f"row {unknown[0]!r} is unknown; choose from: {', '.join(ROWS)}")
    failed = False
    for name in names or ROWS:
        start = time.perf_counter()
        status, said = run(ROWS[name], parts)
        words = {0: "passed", None: "not here"}.get(status, "FAILED")
        print(f"{name:<18}{words:<10}{time.perf_counter() - start:>6.0f} s  {said}", flush=True)
        failed |= status not in (0, None)
    return int(failed)


def run(row: Row, parts: Sequence[str]) -> tuple[int | None, str]:
    """The exit status of pytest under a condition, None where it cannot be made; the last line."""
    words = [sys.executable, "-m", "pytest", "-q", "-n", "0", *parts]
    with copied(row.name) as clone:
        if row.shell or (row.read_only and is_root()):
            if not LINUX or shutil.which("unshare") is None:
                return None, "needs Linux namespaces"
            words = wrapped(row, clone, words)
            if subprocess.run(probe(words), cwd=clone, capture_output=True, check=False).returncode:
                return None, "this user may make no namespaces"
        elif row.read_only:
            writable(clone, False)
        env = {**os.environ, "PYTHONPATH": str(clone), **row.env}
        env = {key: value for key, value in env.items() if value is not None}
        how = {"umask": row.umask} if os.name != "nt" else {}
        done = subprocess.run(
            words, cwd=clone, env=env, capture_output=True, check=False, text=True,
            encoding="utf-8", errors="replace", **how,
        )  # fmt: skip
        writable(clone, True)
    lines = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
    if done.returncode:
        print("\n".join(f"    {line}" for line in lines[-24:]))
    return done.returncode, (done.stdout.strip().splitlines() or lines)[-1]


def wrapped(row: Row, clone: Path, words: list[str]) -> list[str]:
    """The command in namespaces of its own, after the row's shell line."""
    option, _, line = row.shell.removeprefix("unshare ").partition(": ")
    if row.read_only:
        option, line = "--mount", "mount --bind . . && mount -o remount,ro,bind . && cd ."
    (clone / "build" / "cache").mkdir(parents=True, exist_ok=True)
    outer = ["unshare", option, *([] if is_root() else ["--map-root-user"])]
    return [*outer, "sh", "-c", f'{line} && cd "$PWD" && exec "$@"', "sh", *words]


def probe(words: list[str]) -> list[str]:
    """As ``words``, but it does nothing once it is there."""
    return [*words[: words.index("sh", words.index("-c")) + 1], "true"]


@contextlib.contextmanager
def copied(name: str):
    """A copy of what belongs to the clone, deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="coursekit-") as folder:
        clone = Path(folder) / name
        leave = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, clone, ignore=leave)
        yield clone


def writable(clone: Path, is_so: bool) -> None:
    """Give or take the right to write, in the whole tree."""
    for path in [clone, *clone.rglob("*")]:
        mode = path.stat().st_mode
        path.chmod(mode | stat.S_IWUSR if is_so else mode & ~0o222)


def is_root() -> bool:
    """Whether permissions stop this user at all."""
    return getattr(os, "geteuid", lambda: 1)() == 0
