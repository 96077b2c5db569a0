"""Run the notebooks in fresh kernels, write their outputs, say what was verified."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import html
import json
import os
import re
import signal
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from tqdm import tqdm

from coursekit import guards
from coursekit.publish import summary
from coursekit.publish.summary import versions

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
PICTURES = {  # what the README shows: file -> notebook, cell
    "stop_or_walk.png": ("00_start_here.ipynb", "flow-figure"),
    "typical_length.png": ("06_the_experiment.ipynb", "typical-figure"),
}
LIVE = 1.5  # seconds that a cell takes where a lecturer has to know it
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"},
}


def find(names: list[str]) -> list[Path]:
    """Notebooks by path, stem or number (02 or 2), or all of them; ValueError if unknown."""
    every = sorted(NOTEBOOKS.glob("*.ipynb"))
    found = []
    for name in guards.listed("notebooks", names, "['02']"):
        stem = Path(name).name.removesuffix(".ipynb")
        number = stem.zfill(2) if stem.isdecimal() else None
        hits = [path for path in every if path.stem == stem] or [
            path for path in every if path.stem[:2] == number
        ]
        if not hits:
            known = ", ".join(path.stem for path in every) or "none"
            raise ValueError(f"notebook {name!r} does not exist; the course has: {known}")
        if len(hits) > 1:
            several = ", ".join(path.stem for path in hits)
            raise ValueError(f"notebook {name!r} is ambiguous: {several}; give the whole name")
        found += hits
    return list(dict.fromkeys(found)) or every


def execute(names: list[str], to: Path | None = None, seed: int | None = None) -> int:
    """Run notebooks, refresh them in place or write them to a folder; 1 where one fails, else 0.

    ValueError for an unknown or damaged notebook, a seed below 0, a seed other than 0 in place, and
    a folder that cannot be written to.
    """
    if seed is not None and seed < 0:
        raise ValueError(f"seed {seed} is below 0")
    if seed and (to is None or to.resolve() == NOTEBOOKS):
        raise ValueError(f"--seed {seed} would change the committed outputs; add --to DIR")
    paths, folder = find(names), to or ROOT / "build"
    for path in paths:
        read(path)  # damage is said before the first one runs
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        wrong = "it is a file, not a folder" if folder.is_file() else error.strerror
        why = f"{folder} cannot be written to ({wrong})"
        raise ValueError(f"{why}; give another folder by --to DIR") from error
    rows = [run(path, (to or NOTEBOOKS) / path.name, seed or 0, keep=to is None) for path in paths]
    (folder / "summary.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    summary.write(rows, folder)
    print(table(rows))
    if to is None:
        remember(rows)
    if to is None and not names and not any(row["error"] for row in rows):
        front_page(rows)
    for row in rows:
        if row["error"]:
            print(f"\n{row['notebook']}: {row['error']}")
    return int(any(row["error"] for row in rows))


def read(path: Path) -> NotebookNode:
    """The notebook in a file; ValueError where it holds none."""
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:  # each kind of damage has a class of its own
        why = str(error).partition("\n")[0]
        raise ValueError(f"{path} is damaged ({why}); `git checkout` brings it back") from error


def run(
    path: Path,
    target: Path | None,
    seed: int,
    keep: bool,
    more: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run one notebook and write it, unless it fails or ``target`` is None; a row of the summary.

    ``keep`` the stored output of timing cells; ``more`` for the kernel's environment. Raises
    SystemExit, with the status that is usual for it, where a signal ends it.
    """
    notebook, failed, signals, seconds = read(path), [], [], {}
    start, before = time.perf_counter(), cpu_seconds()
    stored = {cell.id: cell.get("outputs") for cell in notebook.cells}
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report.jsonl"
        env = os.environ | {"COURSEKIT_QUIET": "1", "COURSEKIT_SEED": str(seed)}
        env |= {"COURSEKIT_REPORT": str(report)} | dict(more or {})
        code = sum(cell.cell_type == "code" for cell in notebook.cells)
        with tqdm(total=code, desc=path.stem, leave=False, unit="cell") as bar:
            client = NotebookClient(
                notebook,
                timeout=900,
                kernel_name="python3",
                extra_arguments=["--log-level=ERROR"],
                resources={"metadata": {"path": str(NOTEBOOKS)}},
                record_timing=False,
                coalesce_streams=True,
                on_notebook_start=lambda notebook: ends_at(signals, client),
                on_cell_start=lambda cell, cell_index: seconds.update({cell.id: -time.monotonic()}),
                # not on_cell_complete: nbclient calls that as soon as it has asked
                on_cell_executed=lambda cell, cell_index, execute_reply: (
                    took(seconds, cell.id),
                    bar.update(),
                ),
                on_cell_error=lambda cell, cell_index, execute_reply: failed.append(cell),
            )
            try:
                client.execute(env=env)
                error = None
            except CellExecutionError as problem:
                error = f"cell {failed[-1].id!r}: {problem.ename}: {problem.evalue}"
            except Exception as problem:  # a kernel that died, a cell that took too long
                error = f"{type(problem).__name__}: {problem}"
        if signals:
            raise SystemExit(128 + signals[0])
        lines = report.read_text(encoding="utf-8").splitlines() if report.exists() else []
    if error is None and target:
        write(clean(notebook, stored if keep else {}), target)
    verified = [json.loads(line) for line in lines]
    spent, cpu = time.perf_counter() - start, cpu_seconds() - before
    row = summary.row(path.stem, verified, spent, cpu, error)
    live = {name: max(1, round(wall)) for name, wall in seconds.items() if wall >= LIVE}
    return row | {"seed": seed, "live": live}


def took(seconds: dict[str, float], name: str) -> None:
    """A cell is done: from minus its start to its duration; a cell of prose has neither."""
    if seconds.get(name, 0) < 0:
        seconds[name] += time.monotonic()


def cpu_seconds() -> float:
    """What this process and the kernels that have ended took of the processor; 0 on Windows."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def ends_at(signals: list[int], client: NotebookClient) -> None:
    """Note in ``signals`` that Ctrl-C or a request to terminate came, and end the kernel, at once.

    By itself nbclient ends the kernel, too, and the next notebook would begin.
    """
    loop, ending = asyncio.get_running_loop(), []

    def end(number):
        signals.append(number)
        ending.append(loop.create_task(client.km.shutdown_kernel(now=True)))

    with contextlib.suppress(NotImplementedError):  # Windows
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end, number)


def write(notebook: NotebookNode, target: Path) -> None:
    """Write a notebook aside and rename it, so that no half of one is ever there."""
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        nbformat.write(notebook, aside)
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def clean(notebook: NotebookNode, stored: dict[str, Any]) -> NotebookNode:
    """Metadata as committed. A ``timing`` cell keeps its stored output while the code is unchanged.

    "The code" is that of all cells up to this one, so that an earlier edit refreshes it too.
    """
    notebook.metadata = nbformat.from_dict(METADATA)
    code = hashlib.sha256()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        code.update(cell.source.encode("utf-8"))
        if "timing" in cell.metadata.get("tags", []):
            digest = code.hexdigest()[:12]
            if cell.metadata.get("code") == digest and stored.get(cell.id):
                cell.outputs = stored[cell.id]
            cell.metadata["code"] = digest
    return notebook


def remember(rows: list[dict[str, Any]]) -> None:
    """Keep what was verified beside the notebooks, in report.json, for slides and site.

    {notebook: {"seed", "versions", "live": {cell: seconds}, "verified": [{"kind", "tag", "value",
    "bound", …}]}}, six digits of each number. A notebook that failed keeps what it had.
    """
    path = NOTEBOOKS / "report.json"
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for row in rows:
        if not row["error"]:
            verified = [
                {key: shortened(value) for key, value in line.items()} for line in row["verified"]
            ]
            report[row["notebook"]] = {
                "seed": row["seed"],
                "versions": versions(),
                "live": row["live"],
                "verified": verified,
            }
    there = {file.stem for file in NOTEBOOKS.glob("*.ipynb")}
    report = {name: report[name] for name in sorted(report) if name in there}
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def shortened(value: Any) -> Any:
    """Six digits of a float; anything else as it is."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def front_page(rows: list[dict[str, Any]]) -> None:
    """Write the numbers of this run, and the pictures with their alt text, for the README."""
    equations, claims = (sum(row[kind] for row in rows) for kind in ("equations", "claims"))
    lines = {
        "verified": f"{equations} equations and {claims} claims in {len(rows)} notebooks, "
        f"on {time.strftime('%Y-%m-%d')}",
        "run": versions(),
    }
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    for mark, line in lines.items():
        marks = rf"(<!-- {mark} -->).*?(<!-- /{mark} -->)"
        text = re.sub(marks, rf"\g<1>{line}\g<2>", text)
    for name, (notebook, cell) in PICTURES.items():
        alt, data = picture(NOTEBOOKS / notebook, cell)
        (NOTEBOOKS / name).write_bytes(data)
        shown = f"![{alt}](notebooks/{name})"
        text = re.sub(rf"!\[[^\]]*\]\(notebooks/{name}\)", lambda _, shown=shown: shown, text)
    path.write_text(text, encoding="utf-8")


def picture(path: Path, identity: str) -> tuple[str, bytes]:
    """Alt text and PNG of the figure that a cell of a notebook shows."""
    cells = {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}
    shown = cells[identity].outputs[0].data["text/html"]
    alt, data = re.search(r'alt="([^"]*)".*base64,([\w+/=]+)', shown, flags=re.DOTALL).groups()
    return html.unescape(alt), base64.b64decode(data)


def table(rows: list[dict[str, Any]]) -> str:
    """The summary as text, one line a notebook."""
    heads = f"{'seconds':>8}{'CPU s':>7}{'equations':>11}{'claims':>8}"
    lines = [f"{'notebook':<34}{heads}  smallest margin"]
    for row in rows:
        margin = row["smallest_margin"]
        shown = f"{margin[1]:.2f} (claim {margin[0]})" if margin else ""
        shown = "failed" if row["error"] else shown
        lines.append(
            f"{row['notebook']:<34}{row['seconds']:>8.1f}{row['cpu_seconds']:>7.1f}"
            f"{row['equations']:>11}{row['claims']:>8}  {shown}"
        )
    return "\n".join(lines)
