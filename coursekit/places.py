"""Where programs write what nobody asked them to: a home and a cache that can be written.

On the standard library alone.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = "USERPROFILE" if os.name == "nt" else "HOME"


def mend() -> list[str]:
    """Replace a home and a cache that cannot be written, for this process and those it starts.

    matplotlib, IPython, Jupyter and numba keep files in the home, and complain or stop where there
    is none. The folder in their place is this user's alone, and gone at the end. Gives a sentence
    for each of the two.
    """
    said, cache = [], os.environ.get("COURSEKIT_CACHE")
    if not (home := os.environ.get(HOME)) or not is_writable(Path(home)):
        os.environ[HOME] = temporary()
        why = f"{home} cannot be written" if home else f"{HOME} is not set"
        said.append(f"{why}: {os.environ[HOME]} is used in its place, and deleted at the end")
    kept = Path(cache or ROOT / "build" / "cache")
    if not is_writable(kept, make=True):
        os.environ["COURSEKIT_CACHE"] = temporary()
        said.append(f"{kept} cannot be written: the results of experiments are not kept")
    return said


def is_writable(folder: Path, make: bool = False) -> bool:
    """Whether a file can be written there; ``make`` the folder first, where it is missing."""
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))  # a full disk has room for a name
            file.flush()
    except OSError:
        return False
    return True


def temporary() -> str:
    """A folder that only this user can read and write, deleted when this process ends."""
    folder = tempfile.mkdtemp(prefix="coursekit-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
