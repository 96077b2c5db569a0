"""What a run has verified, as Markdown: ``build/summary.md``, and CI's own page where it has one.

A row is a dict: ``notebook``, ``seconds``, ``cpu_seconds``, ``memory`` (MB; None: not measured),
``verified``, ``failed`` and ``notes`` (from the lines of COURSEKIT_REPORT), ``error`` (None, or a
sentence), ``cells`` (a (name, seconds, CPU-seconds) each). ``row`` makes one.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = {"torch": "PyTorch", "numpy": "NumPy", "gymnasium": "Gymnasium", "numba": "numba"}
SLOWEST = 10  # cells that the page lists
Row = dict[str, Any]


def versions() -> str:
    """The system, Python and the libraries whose numbers the notebooks show."""
    libraries = (f"{called} {version(name)}" for name, called in LIBRARIES.items())
    return ", ".join([platform.system(), f"Python {platform.python_version()}", *libraries])


def row(
    notebook: str,
    lines: list[Row],
    seconds: float,
    cpu_seconds: float,
    error: str | None,
    memory: float | None = None,
    cells: Sequence[tuple[str, float, float]] = (),
) -> Row:
    """One notebook's row, from the lines that its equations, its claims and the cache reported."""
    notes = [line["text"] for line in lines if line["kind"] == "note"]
    lines = [line for line in lines if line["kind"] != "note"]
    held = [line for line in lines if line["holds"]]
    claims = [line for line in held if line["kind"] == "claim"]
    finite = [line for line in claims if line["margin"] is not None and line["op"] != "=="]
    smallest = min(finite, key=lambda line: line["margin"], default=None)
    return {
        "notebook": notebook,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "memory": memory,
        "equations": len({line["tag"] for line in held if line["kind"] == "equation"}),
        "claims": len({line["tag"] for line in claims}),
        "smallest_margin": smallest and [smallest["tag"], smallest["margin"]],
        "error": error,
        "verified": held,
        "failed": [line for line in lines if not line["holds"]],
        "notes": notes,
        "cells": cells,
    }


def markdown(rows: list[Row], others: list[str] = ()) -> str:
    """The page: what failed first, then a line a notebook, then every claim with its margin.

    ``others``: sentences on what failed outside the notebooks.
    """
    wrong = [f"`{row['notebook']}`: {row['error']}" for row in rows if row["error"]]
    wrong += others
    equations, claims = (sum(row[kind] for row in rows) for kind in ("equations", "claims"))
    page = [
        "# Sum or mean: what this run verified",
        "",
        f"**{len(wrong)} failed.**" if wrong else "**All passed.**",
        f"{equations} equations and {claims} claims in {len(rows)} notebooks. {versions()}.",
        "",
    ]
    if wrong:
        page += ["## What failed", "", *(f"- {cell(line)}" for line in wrong), ""]
    if notes := sorted({note for row in rows for note in row["notes"]}):
        page += ["## Noted", "", *(f"- {cell(note)}" for note in notes), ""]
    if rows:
        page += ["| notebook | seconds | CPU s | MB | equations | claims | smallest margin |"]
        page += ["|---|--:|--:|--:|--:|--:|---|", *map(line_of, rows), ""]
    slow = [(row["notebook"], *cell) for row in rows for cell in row["cells"]]
    if slow := sorted(slow, key=lambda line: -line[2])[:SLOWEST]:
        page += ["<details><summary>The slowest cells</summary>", ""]
        page += ["| notebook | cell | seconds | CPU s |", "|---|---|--:|--:|"]
        page += [f"| {book} | {cell(name)} | {s:.1f} | {cpu:.1f} |" for book, name, s, cpu in slow]
        page += ["", "</details>", ""]
    listed = [line for row in rows for line in row["failed"] + row["verified"]]
    listed = [line for line in listed if line["kind"] == "claim"]
    if listed:
        page += ["<details><summary>Every claim, its value and its margin</summary>", ""]
        page += ["| claim | value | | bound | margin | |", "|---|--:|---|--:|--:|---|"]
        page += [claim_of(line) for line in listed]
        page += ["", "The margin is in units of the bound, or of the scale that the claim names."]
        page += ["</details>", ""]
    return "\n".join(page)


def cell(text: str) -> str:
    """One line that breaks no table."""
    return " ".join(text.split()).replace("|", "\\|")


def line_of(row: Row) -> str:
    """A notebook's line of the table."""
    margin = row["smallest_margin"]
    shown = f"{margin[1]:.2f} (claim {margin[0]})" if margin else ""
    memory = f"{row['memory']:.0f}" if row["memory"] else ""
    numbers = [row["seconds"], row["cpu_seconds"], memory, row["equations"], row["claims"]]
    last = "**failed**" if row["error"] else shown
    return "| " + " | ".join(map(str, [row["notebook"], *numbers, last])) + " |"


def claim_of(line: Row) -> str:
    """A claim's line of the table."""
    value, margin = (
        "not finite" if line[name] is None else f"{line[name]:.6g}" for name in ("value", "margin")
    )
    last = "" if line["holds"] else "**does not hold**"
    return f"| {line['tag']} | {value} | {line['op']} | {line['bound']:g} | {margin} | {last} |"


def write(rows: list[Row], folder: Path, others: list[str] = ()) -> None:
    """``summary.md`` in ``folder``; appended to the file that GITHUB_STEP_SUMMARY names, too."""
    page = markdown(rows, others)
    (folder / "summary.md").write_text(page, encoding="utf-8")
    if shown := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(shown).open("a", encoding="utf-8") as file:
            file.write(page)
