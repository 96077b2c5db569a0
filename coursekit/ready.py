"""Is everything here that the course needs? The first cell of the first notebook asks.

On the standard library alone, so that it can speak where nothing else can be imported.
"""

from __future__ import annotations

import importlib.util
import re
from importlib.metadata import PackageNotFoundError, requires


def check() -> None:
    """Print in words whether all that coursekit depends on can be imported; never raises."""
    missing = [name for name in needed() if importlib.util.find_spec(name) is None]
    if missing:
        print(f"✗ not ready: {', '.join(missing)} is missing here. Close this window, and start")
        print("  the course by `python3 -m coursekit lab`, which installs what is needed.")
    else:
        print("✓ ready: everything that the course needs is installed.")


def needed() -> list[str]:
    """What the installed coursekit asks for by itself and for the course, each name once.

    Itself where it is not there.
    """
    try:
        lines = requires("coursekit") or []
    except PackageNotFoundError:
        return ["an installed coursekit"]  # no module has that name: it is missing
    here = [line for line in lines if not re.search(r"extra == .(?!course\b)", line)]
    return list(dict.fromkeys(re.match(r"[\w.-]+", line).group() for line in here))
