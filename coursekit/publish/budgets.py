"""What a notebook may take of processor and memory: ``notebooks/budgets.json``.

A budget is in units of a calibration loop that runs beside the notebook, so that it holds on a slow
machine too. Half as much again is too much. ``test --record-budgets`` writes the file anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[2] / "notebooks" / "budgets.json"
SLACK = 1.5
MEMORY = 1536  # MB
Books = dict[str, dict[str, Any]]


def calibration() -> float:
    """CPU-seconds of a fixed loop of plain Python, about a twentieth of a second."""
    start, total = time.process_time(), 0
    for i in range(600_000):
        total += i * i % 7
    return time.process_time() - start


def measured(provisioner: Any) -> dict[str, float]:
    """``cpu_seconds`` and ``memory`` (MB, the peak where the system tells it) of a kernel.

    Empty where it has ended.
    """
    import psutil

    pid = getattr(getattr(provisioner, "process", None), "pid", None)
    if pid is None:
        return {}
    try:
        kernel = psutil.Process(pid)
        times, memory = kernel.cpu_times(), kernel.memory_info()
    except psutil.Error:
        return {}
    peak = getattr(memory, "peak_wset", memory.rss)
    with contextlib.suppress(OSError, StopIteration, ValueError):
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        peak = 1024 * int(line.split()[1])
    return {"cpu_seconds": times.user + times.system, "memory": peak / 2**20}


def allowed() -> dict[str, int]:
    """The budget of each notebook, in calibration loops."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def record(books: Books) -> None:
    """Write what these notebooks took, in calibration loops; the others keep theirs."""
    kept = allowed()
    kept |= {name: round(book["cpu_seconds"] / book["calibration"]) for name, book in books.items()}
    FILE.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n", encoding="utf-8")


def exceeded(books: Books) -> list[str]:
    """Empty, or a table: which notebooks took more than half as much again, or too much memory.

    One that has no budget is in it, too, where time is judged.

    Time is judged where COURSEKIT_BUDGETS is set, as ``python -m coursekit test`` does for whole
    folders, once the learners are compiled: else the first notebook pays for that. So a slow build
    of torch that is given a few notebooks is judged by their numbers alone.
    """
    budget_of, judged = allowed(), os.environ.get("COURSEKIT_BUDGETS")
    rows, wrong = [], False
    for name, book in sorted(books.items()):
        took = book["cpu_seconds"] / book["calibration"]
        over = judged and took > SLACK * budget_of.get(name, float("inf"))
        large, missing = book["memory"] > MEMORY, bool(judged) and name not in budget_of
        wrong |= bool(over or large or missing)
        mark = "  too slow" * bool(over) + "  too large" * large
        mark += "  use test --record-budgets" * missing
        budget = f"{budget_of[name]:>8}" if name in budget_of else f"{'none':>8}"
        rows.append(f"{name:<32}{took:>8.0f}{budget}{book['memory']:>8.0f}{mark}")
    head = f"{'notebook (in calibration loops)':<32}{'took':>8}{'budget':>8}{'MB':>8}"
    said = f"a budget is exceeded (by half, or {MEMORY} MB) or not there:"
    return [said, head, *rows] if wrong else []
