"""The tests with the oldest libraries that pyproject.toml allows, or with the newest there are.

``python -m coursekit test --versions oldest|newest [what pytest takes]``, in an environment of its
own, ``build/oldest`` or ``build/newest``. On the standard library alone.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from coursekit import install

KINDS = ("oldest", "newest")


def versions(words: Sequence[str]) -> int:
    """Make the environment, install there, run the tests there; pytest's status, or pip's.

    Raises Stopped for another kind, or where the environment cannot be made.
    """
    kind, *rest = words or [""]
    if kind not in KINDS:
        raise install.Stopped(f"--versions {kind!r} is unknown; choose from: {', '.join(KINDS)}")
    place = install.ROOT / "build" / kind
    shutil.rmtree(place, ignore_errors=True)
    if subprocess.run([sys.executable, "-m", "venv", place], check=False).returncode:
        raise install.Stopped(f"{place} cannot be made; the message of Python's venv stands above")
    python = place / install.inside().relative_to(install.VENV)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pinned = place / "constraints.txt"
    for lines in ([*oldest()], [line for line in oldest() if "torch" not in line]):
        pinned.write_text("\n".join(lines if kind == "oldest" else []), encoding="utf-8")
        status = install.call([*pip, "--constraint", pinned, *asked(kind)])
        if status == 0 or kind == "newest":
            break
        print("coursekit: once more without the oldest torch: perhaps no wheel is there for it")
    if status:
        return status
    listed = [python, "-m", "pip", "list", "--disable-pip-version-check"]
    print(f"With the {kind} libraries, in {place}:", flush=True)
    install.call(listed)
    return install.call([python, "-m", "coursekit", "test", *rest])


def oldest() -> list[str]:
    """A pin for each lower bound: a>=1.2 is a==1.2.*, the last patch of the oldest release."""
    bounds = (re.match(r"([\w.-]+)>=([\d.]+)", line) for line in install.requirements())
    found = {bound[1]: bound[2] for bound in bounds if bound}
    return [f"{name}=={version}.*" for name, version in sorted(found.items())]


def asked(kind: str) -> list[str]:
    """What pip is asked for: for the newest, the lines of ``course`` without upper bounds."""
    if kind == "oldest":
        return ["--editable", f"{install.ROOT}[{','.join(install.EXTRAS)}]"]
    course = install.declared()["optional-dependencies"]["course"]
    unbounded = [re.sub(r",?<[\d.]+", "", line) for line in course]
    return ["--upgrade", "--editable", f"{Path(install.ROOT)}[test]", *unbounded]
