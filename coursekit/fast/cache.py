"""Results on disk: keyed by everything that can change them, checked when read, bounded in size.

They lie in ``build/cache`` of the project, or in the folder that ``COURSEKIT_CACHE`` names; at most
``LIMIT`` bytes. Any edit of the package starts afresh. To clear it, delete the folder.
"""

from __future__ import annotations

import hashlib
import os
import platform
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from joblib import Memory

PACKAGE = Path(__file__).resolve().parent.parent
LIMIT = 2**30  # bytes; beyond it the entries that were not read for longest are deleted
Arrays = tuple[np.ndarray, ...]


def folder() -> Path:
    """Where results are kept when nobody says otherwise."""
    return Path(os.environ.get("COURSEKIT_CACHE") or PACKAGE.parent / "build" / "cache")


def origin() -> str:
    """A hash of what every result depends on: the package's sources, NumPy, numba, the machine.

    All of them count, also those that train nothing: simpler than to be wrong about one.
    """
    text = [version("numpy"), version("numba"), platform.platform(), platform.machine()]
    files = sorted([*PACKAGE.glob("*.py"), *PACKAGE.glob("fast/*.py")])
    return fingerprint([*text, *(file.name.encode() + file.read_bytes() for file in files)])


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


def entry(key: str, origin: str, arrays: Arrays) -> tuple[Arrays, str]:
    """What ``joblib.Memory`` stores for (key, origin): the arrays and their fingerprint."""
    return arrays, fingerprint(arrays)


class Cache:
    """Tuples of arrays by a text: ``load(key)`` and ``save(key, arrays)``, by ``joblib.Memory``.

    It never stops a computation. Where ``place`` can not be written (no permission, a full disk)
    it says so once, as a RuntimeWarning, and keeps nothing from then on. ``place=False`` keeps
    nothing from the beginning. Entries are written whole or not at all, also under ``kill``.
    """

    def __init__(self, place: Path | str | bool | None = None) -> None:
        self.place = None if place is False else Path(folder() if place is None else place)
        self._entry = None
        if self.place is None:
            return
        self._origin = origin()
        try:
            with joblib_silent():
                self._memory = Memory(str(self.place), compress=3, verbose=0)
                self._entry = self._memory.cache(entry, ignore=["arrays"])
                self._entry.check_call_in_cache("", self._origin, ())
        except (OSError, Warning) as error:
            self._give_up(error)

    @property
    def open(self) -> bool:
        """False where nothing is kept, or nothing any more."""
        return self._entry is not None

    def load(self, key: str) -> Arrays | None:
        """The arrays kept under ``key``; None where there are none, or damaged ones (it warns)."""
        if not self.open:
            return None
        try:
            with joblib_silent():
                if not self._entry.check_call_in_cache(key, self._origin, ()):
                    return None
                arrays, stored = self._entry.call_and_shelve(key, self._origin, ()).get()
            if fingerprint(arrays) == stored:
                return arrays
            reason = "its checksum differs"
        except Exception as error:  # whatever a damaged pickle may raise
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
        warnings.warn(
            f"the cache entry of {key} in {self.place} is damaged ({reason}); it is not used, "
            "and computed again",
            RuntimeWarning,
            stacklevel=3,
        )
        return None

    def save(self, key: str, arrays: Arrays) -> None:
        """Keep ``arrays`` under ``key``, in place of what was there."""
        if not self.open:
            return
        try:
            with joblib_silent():
                self._entry.call(key, self._origin, arrays)
        except (OSError, Warning) as error:
            self._give_up(error)

    def trim(self, limit: int = LIMIT) -> None:
        """Delete the entries that were not read for longest until ``limit`` bytes are left."""
        if self.open:
            self._memory.reduce_size(bytes_limit=limit)

    def _give_up(self, error: Exception) -> None:
        self._entry = None
        warnings.warn(
            f"results are not kept: {self.place} can not be written ({error.__context__ or error})."
            " They are right all the same, and computed again next time. Free some space, or name "
            "another folder in COURSEKIT_CACHE",
            RuntimeWarning,
            stacklevel=4,
        )


class joblib_silent(warnings.catch_warnings):
    """joblib's warning of a failed write names the wrong cause: here it is raised instead."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="Unable to")
