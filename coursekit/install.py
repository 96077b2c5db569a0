"""The set-up: an environment that has what the course needs, made by the first command.

On the standard library alone. It makes ``.venv``, or uses the active virtual or conda environment.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
EXTRAS = ("course", "test")


class Stopped(Exception):
    """The set-up cannot go on: one sentence, what is wrong and what to do."""


def prepare() -> str:
    """The Python that has what the course needs, installing it first where it must.

    Raises Stopped where that cannot be.
    """
    if complete():
        if Path(sys.prefix) == VENV:
            mark()  # made by hand, perhaps: never to be replaced by a fresh one
        return sys.executable
    if sys.prefix != sys.base_prefix or os.environ.get("CONDA_PREFIX") == sys.prefix:
        python, fresh = sys.executable, False
    else:
        python, fresh = str(inside()), True
        if stamp().exists() and Path(python).exists():  # nothing to write: no lock is needed
            return python
    with alone() as lock:
        install(python, fresh, lock)
    return python


def inside() -> Path:
    """The Python of ``.venv``, whether it is there or not."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@contextlib.contextmanager
def alone() -> Iterator[int]:
    """One installation at a time: whoever comes second waits, and finds that it is done.

    Gives the lock's number, which a program that is started inside inherits: where this process is
    killed and pip goes on, pip keeps the lock. Raises Stopped where no file can be written.
    """
    try:
        (ROOT / "build").mkdir(exist_ok=True)
        lock = (ROOT / "build" / "install.lock").open("w")
    except OSError as error:
        raise Stopped(f"nothing can be installed, for {ROOT} is not writable: {error}") from None
    with lock:
        if not locked(lock):
            print("Another command is installing here; waiting for it …", flush=True)
            while not locked(lock):
                time.sleep(1)
        yield lock.fileno()  # the end of all who hold it, however they end, gives it back


def locked(lock) -> bool:
    """Take the lock, where nobody else holds it; False where somebody does."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def install(python: str, fresh: bool, lock: int) -> None:
    """Make the environment of ``python`` where it is ``fresh``, and install there.

    Raises Stopped where one of the two fails.
    """
    if fresh and stamp().exists() and Path(python).exists():
        return
    if fresh:
        make_venv(lock)
    print(f"Installing the course into {Path(python).parents[1]} (once; a few minutes) …")
    with contextlib.suppress(PackageNotFoundError):
        if not fresh and source()[0] != ROOT:
            print(f"It takes the place of the one of {source()[0]}, which was installed there.")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if uninterrupted([*pip, *targets({} if fresh else None)], lock):
        raise Stopped(
            "The installation failed; pip's message stands above. Is there a network, and room on "
            "the disk? Then run the same command again: it starts clean."
        )
    if fresh or Path(sys.prefix) == VENV:
        mark()
    importlib.invalidate_caches()


def add(extra: str) -> None:
    """Install into the running Python what an extra of pyproject.toml names and it does not have.

    Raises Stopped where that fails.
    """
    missing = []
    for line in declared()["optional-dependencies"][extra]:
        try:
            distribution(distribution_name(line))
        except PackageNotFoundError:
            missing.append(line)
    if not missing:
        return
    names = ", ".join(distribution_name(line) for line in missing)
    print(f"Installing {names} (once) …", flush=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    with alone() as lock:
        failed = uninterrupted([*pip, *missing], lock)
    if failed:
        raise Stopped(
            f"{names} could not be installed; pip's message stands above. Is there a network?"
        )
    importlib.invalidate_caches()


def targets(versions: dict[str, str] | None = None) -> list[str]:
    """What pip is asked for: this clone with its extras.

    A package that is newer than an upper bound of ``course`` is taken as it is, not downgraded:
    then the lines of that extra are named one by one, without it. ``versions``: what is there, by
    name; None: the running Python's.
    """
    lines = declared()["optional-dependencies"]["course"]
    left = [line for line in lines if not is_newer(line, versions)]
    if left == lines:
        return ["--editable", f"{ROOT}[{','.join(EXTRAS)}]"]
    rest = ",".join(extra for extra in EXTRAS if extra != "course")
    return ["--editable", f"{ROOT}[{rest}]", *left]


def is_newer(line: str, versions: dict[str, str] | None = None) -> bool:
    """Whether what is installed has reached the upper bound of a requirement such as "a>=1,<2"."""
    name, bound = distribution_name(line), re.search(r"<([\d.]+)", line)
    if not bound:
        return False
    try:
        there = distribution(name).version if versions is None else versions.get(name, "")
    except PackageNotFoundError:
        return False
    return numbers(there) >= numbers(bound[1])


def numbers(version: str) -> list[int]:
    """2.15.0+cu130 is [2, 15, 0]."""
    return [int(part) for part in re.findall(r"\d+", re.match(r"[\d.]*", version).group())]


def distribution_name(line: str) -> str:
    """The name at the head of a requirement."""
    return re.match(r"[\w.-]+", line).group()


def complete() -> bool:
    """True where the running Python has this very clone installed and all that it depends on.

    Reads pyproject.toml, since an editable install keeps the list of the day it was made.
    """
    try:
        for line in requirements():
            distribution(distribution_name(line))
        return source() == (ROOT, True)
    except PackageNotFoundError:
        return False


def serves_another() -> bool:
    """True where the running Python has all of it, but with another clone of the course.

    What only reads this clone goes on there: an installation would take it from the other one.
    """
    try:
        for line in requirements():
            distribution(distribution_name(line))
        return source()[0] != ROOT
    except PackageNotFoundError:
        return False


def source() -> tuple[Path, bool]:
    """The folder that the running Python's coursekit was installed from, and whether it is used.

    A copy of the folder is not: edits do not reach it. PackageNotFoundError where there is none.
    """
    origin = json.loads(distribution("coursekit").read_text("direct_url.json") or "{}")
    folder = Path(url2pathname(urlparse(origin.get("url", "")).path)).resolve()
    return folder, origin.get("dir_info", {}).get("editable", False)


def declared() -> dict:
    """The table "project" of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements() -> list[str]:
    """What the two commands need, as pyproject.toml declares it."""
    project = declared()
    extras = (project["optional-dependencies"][extra] for extra in EXTRAS)
    return sum(extras, project["dependencies"])


def stamp() -> Path:
    """The file that says "all of these requirements are installed"."""
    text = "\n".join(requirements())
    return VENV / ("installed-" + hashlib.sha256(text.encode("utf-8")).hexdigest()[:12])


def mark() -> None:
    """Leave the stamp; a folder that cannot be written to goes without."""
    with contextlib.suppress(OSError):
        stamp().touch()


def make_venv(lock: int) -> None:
    """An empty .venv, whatever was there before; raises Stopped where it cannot be."""
    try:
        import ensurepip  # noqa: F401  (Debian splits it from venv, which then fails halfway)
        import venv  # noqa: F401
    except ImportError:
        raise Stopped(
            "This Python has no complete venv module. On Debian or Ubuntu: "
            "`sudo apt install python3-venv`; then run the same command again."
        ) from None
    try:
        if VENV.exists():
            shutil.rmtree(VENV)
    except OSError as error:
        raise Stopped(f"{VENV} cannot be made: {error}") from None
    if uninterrupted([sys.executable, "-m", "venv", VENV], lock):
        raise Stopped(f"{VENV} cannot be made; the message of Python's venv stands above.")


def uninterrupted(words: Sequence, lock: int) -> int:
    """The exit status of a program that holds the lock; Ctrl-C and SIGTERM end this one, too.

    Raises KeyboardInterrupt or SystemExit(143) for them, after the program's end.
    """
    status, arrived = run(words, inherit=lock)
    if arrived == signal.SIGINT:
        raise KeyboardInterrupt
    if arrived:
        raise SystemExit(128 + arrived)
    return status


def call(words: Sequence, cwd: Path | None = None) -> int:
    """The exit status of a program, which is run at the top of the project or in ``cwd``."""
    return run(words, cwd)[0]


def run(words: Sequence, cwd: Path | None = None, inherit: int | None = None) -> tuple[int, int]:
    """Run a program to its end: its exit status, and the signal that came meanwhile, or 0.

    Ctrl-C reaches the program as well: it ends in its own way (subprocess.call would kill it).
    A request to terminate is handed on, so that no server is left behind.
    """
    arrived, process = [], None

    def hand_on(number, frame):
        arrived.append(number)
        if process:
            process.terminate()

    keep = () if inherit is None or os.name == "nt" else (inherit,)
    before = signal.signal(signal.SIGTERM, hand_on)
    try:
        words = [str(word) for word in words]
        process = subprocess.Popen(words, cwd=str(cwd or ROOT), pass_fds=keep)
        if arrived:
            process.terminate()
        while True:
            try:
                return process.wait(), arrived[0] if arrived else 0
            except KeyboardInterrupt:
                arrived.append(signal.SIGINT)
    finally:
        signal.signal(signal.SIGTERM, before)
