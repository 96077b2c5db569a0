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
    """What the installed coursekit declares, without its extras; itself where it is not there."""
    try:
        lines = [line for line in requires("coursekit") or [] if "extra ==" not in line]
    except PackageNotFoundError:
        return ["an installed coursekit"]  # no module has that name: it is missing
    return [re.match(r"[\w.-]+", line).group() for line in lines]
