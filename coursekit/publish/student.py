"""The student edition: the notebooks without solutions, speaker's notes and outputs.

A learner works in ``build/student``. What was changed there is never written over: where the course
has a newer version, it is put beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import json
import os
from pathlib import Path
from typing import Any

from coursekit.publish import execute

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "student"
RECORD = ".made.json"  # file name -> digest of what was written under it
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>The student edition</title>
<meta name="viewport" content="width=device-width">
<style>body {{ font: 1.1rem/1.5 sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }}
</style></head>
<body><main><h1>The student edition</h1>
<p>{count} notebooks in <code>{folder}</code>. A browser alone shows a notebook as raw text. To work
in them, open a terminal in the folder of the course and type</p>
<pre>python3 -m coursekit lab</pre>
<p>JupyterLab opens, in that folder. To give them away, copy the folder; who gets it needs the
course installed, too.</p>
</main></body></html>
"""


def student(folder: Path | None = None, solutions: str = "none") -> int:
    """Make or refresh the student edition and say what was done; 0.

    ``solutions``: "none", or "end" for a section at the end of each notebook. ValueError where the
    folder cannot be written to or a notebook is damaged.
    """
    folder = folder or FOLDER
    written, kept = make(folder, solutions)
    where = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    print(f"{where}: {written} files written, without {solutions_said(solutions)}")
    for name, newer in kept.items():
        and_new = f"; the course's newer version is beside it, {newer}" if newer else ""
        print(f"  {name} is yours and was kept{and_new}")
    return 0


def build(out: Path) -> Path:
    """The part "student" of ``python -m coursekit build``: a page that says how to open it.

    It stands beside the folder, which is the learner's.
    """
    student(out)
    count, page = sum(name.endswith(".ipynb") for name in edition()), out.with_suffix(".html")
    said = PAGE.format(count=count, folder=html.escape(f"{out.parent.name}/{out.name}"))
    page.write_text(said, encoding="utf-8")
    return page


def solutions_said(solutions: str) -> str:
    """What the files are without."""
    return "outputs" if solutions == "end" else "solutions and outputs"


def make(folder: Path | None = None, solutions: str = "none") -> tuple[int, dict[str, str]]:
    """How many files were written, and those kept for the learner -> the new one beside, or "".

    A file is the learner's as soon as it differs from what was written here. An untouched one that
    the course no longer has is removed. ValueError where the folder cannot be written to.
    """
    folder, files = folder or FOLDER, edition(solutions)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made, written, kept = recorded(folder), 0, {}
        for name, text in files.items():
            target = place(folder, name, digest(text), made)
            if target is not None and digest_of(folder / target) != digest(text):
                write(folder / target, text)
                written += 1
            if target is not None and made.get(target) != digest(text):
                made[target] = digest(text)  # after the file: a kill between the two costs nothing
                write(folder / RECORD, json.dumps(made, indent=1, sort_keys=True).encode())
            if target != name:
                kept[name] = target or ""
        for name in set(made) - set(files):
            if ".new" not in name and digest_of(folder / name) == made[name]:
                (folder / name).unlink()
    except OSError as error:
        raise ValueError(
            f"the student edition cannot be written to {folder} ({error.strerror}); "
            "`python -m coursekit lab --authors` opens the sources"
        ) from error
    return written, kept


def place(folder: Path, name: str, new: str, made: dict[str, str]) -> str | None:
    """The name under which a version with digest ``new`` belongs; None where it is not needed.

    That is ``name``, unless the file there is the learner's: then the first free name beside it.
    """
    there = digest_of(folder / name)
    if there in (None, new, made.get(name)):
        return name
    if made.get(name) == new:  # the learner has this version, and works in it
        return None
    stem, dot, kind = name.rpartition(".")
    number = ""
    while True:  # 02_x.new.ipynb, 02_x.new2.ipynb, …
        beside = f"{stem}.new{number}{dot}{kind}"
        there = digest_of(folder / beside)
        if there is None and made.get(beside) == new:  # given once, and thrown away
            return None
        if there in (None, new, made.get(beside)):
            return beside
        number = int(number or 1) + 1


def edition(solutions: str = "none") -> dict[str, bytes]:
    """The files of the student edition, name -> content; ValueError for unknown ``solutions``."""
    if solutions not in ("none", "end"):
        raise ValueError(f"solutions {solutions!r} is unknown; choose from: end, none")
    paths = sorted(execute.NOTEBOOKS.glob("*.ipynb"))
    books = {path.name: stripped(execute.read(path), solutions) for path in paths}
    texts = {path.name: path.read_bytes() for path in sorted(execute.NOTEBOOKS.glob("*.md"))}
    return {name: as_bytes(book) for name, book in books.items()} | texts


def stripped(book: Any, solutions: str = "none") -> dict[str, Any]:
    """A notebook without solutions, notes and outputs, and with a last cell that shows progress."""
    taken = [cell for cell in book.cells if "solution" in cell.metadata.get("tags", [])]
    notes = [c for c in book.cells if c.metadata.get("slideshow", {}).get("slide_type") == "notes"]
    cells = [cell for cell in book.cells if cell not in taken and cell not in notes]
    if solutions == "end":
        cells += [markdown("solutions", "## Solutions"), *taken]
    cells.append(code("progress", "import coursekit\n\ncoursekit.progress()  # of all notebooks"))
    for cell in cells:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    known = book.metadata | {"language_info": language()}
    return {"cells": cells, "metadata": known, "nbformat": 4, "nbformat_minor": 5}


def language() -> dict[str, Any]:
    """What this Python's kernel says of itself.

    JupyterLab writes it into a notebook as soon as the kernel runs, and calls one that said
    anything else modified: the learner would have changed a file by opening it.
    """
    from ipykernel.ipkernel import IPythonKernel

    return dict(IPythonKernel.language_info)


def markdown(name: str, source: str) -> dict[str, Any]:
    """A new cell of text."""
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}


def code(name: str, source: str) -> dict[str, Any]:
    """A new cell of code."""
    return markdown(name, source) | {"cell_type": "code"}


def as_bytes(book: dict[str, Any]) -> bytes:
    """The file of a notebook, the same for the same cells."""
    for cell in book["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
    text = json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True)
    return (text + "\n").encode("utf-8")


def recorded(folder: Path) -> dict[str, str]:
    """What was written here, by name -> digest; where that is lost, every file is the learner's."""
    try:
        made = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return made if isinstance(made, dict) else {}


def digest(text: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(text).hexdigest()


def digest_of(path: Path) -> str | None:
    """That of a file; None where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return digest(path.read_bytes())
    return None


def write(path: Path, text: bytes) -> None:
    """Write aside and rename, so that no half of a file is ever there."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(text)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
