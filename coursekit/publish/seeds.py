"""Every claim under many master seeds: how often it held, and how near it came to its bound.

What has run is kept in ``build/seeds``, a file a notebook and seed; a file counts only for the code
that made it: the notebook's cells and the package, but for ``publish``, which computes nothing. So
a run that was interrupted goes on, and one after an edit starts afresh.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed

from coursekit.fast import cache
from coursekit.publish import execute, summary

FIRST = 1000  # 0 is what is committed; what was tuned, was tuned on small ones


def seeds(names: list[str], count: int, drawn: int | None = None) -> int:
    """Run notebooks under ``count`` master seeds, print the table; 1 where anything failed, else 0.

    The seeds are 1000, 1001, …; or drawn, from the number ``drawn``, or from one that is drawn as
    well (-1) and printed. ValueError for an unknown notebook and a count below 1.
    """
    if count < 1:
        raise ValueError(f"--seeds {count} is no number of seeds; 20 is usual")
    paths, chosen = execute.find(names), list(range(FIRST, FIRST + count))
    if drawn is not None:
        drawn = int(np.random.SeedSequence().entropy % 10**6) if drawn == -1 else drawn
        print(f"Seeds drawn from {drawn}; `--drawn {drawn}` draws them again.")
        chosen = sorted(map(int, np.random.default_rng(drawn).choice(10**6, count, replace=False)))
    print(f"{len(paths)} notebooks under the master seeds {', '.join(map(str, chosen))}")
    folder = execute.ROOT / "build" / "seeds"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # notebooks side by side, not threads
    origin = made_by_package(execute.ROOT / "coursekit")
    pairs = [(path, seed) for seed in chosen for path in paths]
    workers = Parallel(n_jobs=cpu_count(), return_as="generator_unordered")
    rows = []
    try:
        for row in workers(delayed(one)(path, seed, folder, origin) for path, seed in pairs):
            rows.append(row)
            said = row["error"] or f"{len(row['failed'])} failed"
            print(f"{len(rows)}/{len(pairs)} {row['notebook']} {row['seed']}: {said}", flush=True)
    except KeyboardInterrupt:
        print(f"{len(rows)} of {len(pairs)} are kept; the same command goes on", file=sys.stderr)
        raise
    print(table(rows))
    return int(any(row["error"] or row["failed"] for row in rows))


def made_by_package(package: Path) -> str:
    """A hash of the libraries, the processor and all of the package that a notebook can call."""
    called = [path for path in sorted(package.rglob("*.py")) if path.parent.name != "publish"]
    return cache.fingerprint([cache.origin(), *(path.read_bytes() for path in called)])


def one(path: Path, seed: int, folder: Path, origin: str) -> dict[str, Any]:
    """One notebook under one seed: read where it has run, and run where it has not.

    Claims and equations that fail are in the row; the run goes on. A notebook that ends with an
    error is run again next time.
    """
    code = [cell.source for cell in execute.read(path).cells if cell.cell_type == "code"]
    made_by = cache.fingerprint([origin, summary.versions(), *code])
    kept = folder / f"{seed}-{path.stem}.json"
    try:
        stored = json.loads(kept.read_text(encoding="utf-8"))
        if stored["made_by"] == made_by and not stored["error"]:
            return stored
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, damaged, of another time
    row = execute.run(path, None, seed, keep=False, more={"COURSEKIT_GO_ON": "1"})
    row["made_by"] = made_by
    aside = kept.with_suffix(f".{os.getpid()}")
    aside.write_text(json.dumps(row), encoding="utf-8")
    os.replace(aside, kept)
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """A line a claim, the worst first: how often it held, the least margin, the room that it has.

    The margin is negative where the claim fails, in units of the bound or of the claim's own scale.
    Room: the distance of the mean from the bound, in standard deviations over the seeds.
    """
    found: dict[tuple[str, str], list[dict]] = {}  # equation 1.1 and claim 1.1 are two
    for row in rows:
        seen: dict[tuple[str, str], dict] = {}  # what is tested in a loop counts at its worst
        for line in row["verified"] + row["failed"]:
            line = line | {"seed": row["seed"], "signed": signed(line)}
            name = line["kind"], line["tag"]
            if name not in seen or line["signed"] < seen[name]["signed"]:
                seen[name] = line
        for name, line in seen.items():
            found.setdefault(name, []).append(line)
    judged = [(tag, lines) for (_, tag), lines in found.items() if is_listed(lines)]
    judged.sort(key=lambda pair: (share(pair[1]), room(pair[1])))
    text = [f"{'claim':<8}{'held':>8}{'least margin':>14}{'room':>8}  at seed"]
    for tag, lines in judged:
        worst = min(lines, key=lambda line: line["signed"])
        held = f"{sum(line['holds'] for line in lines)}/{len(lines)}"
        left = room(lines)
        shown = "exact" if math.isinf(left) else f"{left:.1f}"
        text.append(f"{tag:<8}{held:>8}{worst['signed']:>14.3f}{shown:>8}  {worst['seed']}")
    errors = [f"{row['notebook']}, seed {row['seed']}: {row['error']}" for row in rows]
    text += [line for line, row in zip(errors, rows, strict=True) if row["error"]]
    failed = sum(share(lines) < 1 for lines in found.values())
    text.append(f"{len(found)} equations and claims, {failed} of them failed at least once.")
    return "\n".join(text)


def signed(line: dict[str, Any]) -> float:
    """The margin with its sign; that of an equation is 1 or −1."""
    size = line.get("margin", 1.0)
    return (math.inf if size is None else size) * (1 if line["holds"] else -1)


def share(lines: list[dict[str, Any]]) -> float:
    """Of the seeds, those under which it held."""
    return sum(line["holds"] for line in lines) / len(lines)


def is_listed(lines: list[dict[str, Any]]) -> bool:
    """Claims, and equations that failed."""
    return lines[0]["kind"] == "claim" or share(lines) < 1


def room(lines: list[dict[str, Any]]) -> float:
    """How far the mean is inside its bound, in standard deviations over the seeds.

    inf where they all say the same, and where the claim is an equality.
    """
    values = [line["value"] for line in lines if line["value"] is not None]
    spread = statistics.pstdev(values) if len(values) > 1 else 0.0
    if not spread or lines[0].get("op", "==") == "==":
        return math.inf
    inside = statistics.fmean(values) - lines[0]["bound"]
    return (-inside if lines[0]["op"] in ("<", "<=") else inside) / spread
