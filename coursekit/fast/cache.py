"""Results on disk: keyed by everything that can change them, checked when read, bounded in size.

They lie in ``build/cache`` of the project, or in the folder that ``COURSEKIT_CACHE`` names; at most
``LIMIT`` bytes. Any edit of the package starts afresh. To clear it, delete the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import threading
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from llvmlite import binding

PACKAGE = Path(__file__).resolve().parent.parent
LIMIT = 2**30  # bytes; beyond it the entries that were not read for longest are deleted
LIBRARIES = ("numpy", "numba", "llvmlite")
SWITCHES = ("NUMBA_", "NPY_DISABLE_", "OPENBLAS_CORETYPE")  # what chooses other machine code
Arrays = tuple[np.ndarray, ...]


def folder() -> Path:
    """Where results are kept when nobody says otherwise."""
    return Path(os.environ.get("COURSEKIT_CACHE") or PACKAGE.parent / "build" / "cache")


def origin() -> str:
    """A hash of what every result depends on: the package's sources and ``machine_code``.

    All sources count, also those that train nothing: simpler than to be wrong about one.
    """
    files = sorted([*PACKAGE.glob("*.py"), *PACKAGE.glob("fast/*.py")])
    sources = (file.name.encode() + file.read_bytes() for file in files)
    return fingerprint([*machine_code(), *sources])


def machine_code() -> list[str]:
    """What last bits depend on: libraries, system, the processor and its features, switches.

    A cache that is restored on another machine finds nothing there, and computes.
    """
    switches = (f"{name}={os.environ[name]}" for name in sorted(os.environ))
    return [
        *(f"{name} {version(name)}" for name in LIBRARIES),
        platform.platform(),
        binding.get_host_cpu_name(),
        binding.get_host_cpu_features().flatten(),
        *(text for text in switches if text.startswith(SWITCHES) and "CACHE_DIR" not in text),
    ]


def fingerprint(parts) -> str:
    """SHA-256 of texts, bytes and arrays; an array counts with its type and shape."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype.str}{part.shape}".encode())
            part = np.ascontiguousarray(part).data
        part = part.encode() if isinstance(part, str) else part
        found.update(hashlib.sha256(part).digest())
    return found.hexdigest()


def tell(message: str, stacklevel: int = 4) -> None:
    """A RuntimeWarning; in a run of notebooks a note in its report, COURSEKIT_REPORT.

    What a disk is like is no part of a notebook's output, which is compared.
    """
    if path := os.environ.get("COURSEKIT_REPORT"):
        with open(path, "a", encoding="utf-8") as report:
            report.write(json.dumps({"kind": "note", "text": message}) + "\n")
    else:
        warnings.warn(message, RuntimeWarning, stacklevel=stacklevel)


class Cache:
    """Tuples of arrays by a text: ``load(key)`` and ``save(key, arrays)``; a file an entry.

    It never stops a computation. Where ``place`` cannot be written (no permission, a full disk)
    it says so once, see ``tell``, and keeps nothing from then on. ``place=False`` keeps
    nothing from the beginning. Entries are written whole or not at all, also under ``kill``; they
    hold numbers alone, nothing that is executed when it is read.
    """

    def __init__(self, place: Path | str | bool | None = None) -> None:
        self.place = None if place is False else Path(folder() if place is None else place)
        self.open = self.place is not None  # False: nothing is kept, or nothing any more
        if not self.open:
            return
        self._origin = origin()
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            if not os.access(self.place, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError("Permission denied")
        except OSError as error:
            self._give_up(error)

    def load(self, key: str) -> Arrays | None:
        """The arrays kept under ``key``; None where there are none, or damaged ones (it warns)."""
        if not self.open:
            return None
        path = self._path(key)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = tuple(stored[f"arr_{i}"] for i in range(len(stored.files) - 1))
                seal = str(stored["seal"])
            if seal == fingerprint([key, self._origin, *arrays]):
                os.utime(path)  # read just now: the last one to be trimmed
                return arrays
            reason = "its checksum differs"
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever a damaged archive may raise
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
        tell(
            f"the cache entry of {key} in {self.place} is damaged ({reason}); it is not used, "
            "and computed again"
        )
        return None

    def save(self, key: str, arrays: Arrays) -> None:
        """Keep ``arrays`` under ``key``, in place of what was there."""
        if not self.open:
            return
        path, arrays = self._path(key), tuple(map(np.asarray, arrays))
        aside = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        try:
            with aside.open("wb") as file:
                seal = fingerprint([key, self._origin, *arrays])
                np.savez_compressed(file, *arrays, seal=np.array(seal))
            os.replace(aside, path)
        except OSError as error:
            self._give_up(error)
        finally:
            if self.place.is_dir():
                aside.unlink(missing_ok=True)

    def trim(self, limit: int = LIMIT) -> None:
        """Delete the entries that were not read for longest until ``limit`` bytes are left."""
        if not self.open:
            return
        for left, stat in self._files("*.*-*"):  # by a writer that was killed
            if stat.st_mtime < time.time() - 3600:
                left.unlink(missing_ok=True)
        found = self._files("*.npz")
        size = sum(stat.st_size for _, stat in found)
        for path, stat in sorted(found, key=lambda pair: pair[1].st_mtime_ns):
            if size > limit:
                path.unlink(missing_ok=True)
                size -= stat.st_size

    def _files(self, pattern: str) -> list[tuple[Path, os.stat_result]]:
        """Those that are still there: another process may rename or delete one meanwhile."""
        found = []
        for path in self.place.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                found.append((path, path.stat()))
        return found

    def _path(self, key: str) -> Path:
        return self.place / f"{fingerprint([key, self._origin])}.npz"

    def _give_up(self, error: OSError) -> None:
        self.open = False
        tell(
            f"results are not kept: {self.place} cannot be written ({error.strerror or error})."
            " They are right all the same, and computed again next time. Free some space, or name "
            "another folder in COURSEKIT_CACHE",
            stacklevel=5,
        )
