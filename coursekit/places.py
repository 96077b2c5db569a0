"""Where programs write what nobody asked them to: a home and a cache that can be written.

On the standard library alone.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = "USERPROFILE" if os.name == "nt" else "HOME"


def mend() -> list[str]:
    """Replace what cannot be written of the home, matplotlib's folders in it, and the cache.

    For this process and those it starts. matplotlib, IPython, Jupyter and numba keep files in the
    home, and complain or stop where there is none; matplotlib does so for its own folders, too. The
    folder in their place is this user's alone, and gone at the end. Gives a sentence for each.
    """
    said, cache = [], os.environ.get("COURSEKIT_CACHE")
    if not (home := os.environ.get(HOME)) or not is_writable(Path(home)):
        os.environ[HOME] = temporary()
        why = f"{home} cannot be written" if home else f"{HOME} is not set"
        said.append(f"{why}: {os.environ[HOME]} is used in its place, and deleted at the end")
    if locked := [folder for folder in of_matplotlib() if not is_writable(existing(folder))]:
        os.environ["MPLCONFIGDIR"] = temporary()
        place = f"matplotlib uses {os.environ['MPLCONFIGDIR']}, deleted at the end"
        said.append(f"{locked[0]} cannot be written: {place}")
    kept = Path(cache or ROOT / "build" / "cache")
    if not is_writable(kept, make=True):
        os.environ["COURSEKIT_CACHE"] = temporary()
        said.append(f"{kept} cannot be written: the results of experiments are not kept")
    return said


def of_matplotlib() -> list[Path]:
    """Where it keeps its settings and the list of fonts: the places that it chooses itself."""
    if own := os.environ.get("MPLCONFIGDIR"):
        return [Path(own)]
    home = Path(os.environ[HOME])
    if sys.platform.startswith(("linux", "freebsd")):
        usual = {"XDG_CONFIG_HOME": ".config", "XDG_CACHE_HOME": ".cache"}
        return [Path(os.environ.get(k) or home / name, "matplotlib") for k, name in usual.items()]
    own = home / ".matplotlib"
    local = os.environ.get("LOCALAPPDATA") if os.name == "nt" else None
    return [Path(local, "matplotlib") if local and not own.is_dir() else own]


def existing(folder: Path) -> Path:
    """The folder, or what there is of the way to it."""
    return next((path for path in (folder, *folder.parents) if os.path.exists(path)), folder)


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
