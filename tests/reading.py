"""The notebooks, read once in a process however many files ask; they are shared: change nothing."""

from functools import cache
from pathlib import Path

import nbformat

PATHS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))


@cache
def book(path):
    """The notebook in a file."""
    return nbformat.read(path, as_version=4)
