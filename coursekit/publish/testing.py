"""A pytest plugin: what every run of tests and notebooks has in common.

It finds a place to write for what needs one, explains a red in plain words, keeps what notebooks
verified and what they cost, and writes ``build/summary.md``. pyproject.toml names it.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from coursekit import places
from coursekit.publish import explain

ROOT = Path(__file__).resolve().parents[2]
LONG = {  # files whose tests take longer than 0.05 s of the processor: seconds, roughly
    **{"test_browser.py": 120.0, "test_detective.py": 70.0, "test_detective_tokens.py": 70.0},
    **{"test_detective_kinds.py": 50.0, "test_fast_reinforce.py": 40.0, "test_kills.py": 20.0},
    **{"test_detective_functions.py": 20.0, "test_detective_fuzz.py": 20.0, "test_setup.py": 20.0},
    **{"test_actor_critic.py": 20.0, "test_documents.py": 15.0, "test_exercise_mutants.py": 15.0},
    **{"test_publish_execute.py": 12.0, "test_explorables.py": 12.0, "test_site.py": 30.0},
    **{"test_publish_slides.py": 90.0, "test_publish_handout.py": 25.0},
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--record-budgets``: what this run takes of the processor is what later ones may take."""
    said = "write what each notebook took into notebooks/budgets.json"
    parser.addoption("--record-budgets", action="store_true", help=said)


def pytest_configure(config: pytest.Config) -> None:
    """Places to write, then the plugin itself, once."""
    config.stash[SAID] = places.mend()
    config.pluginmanager.register(Run(config), "coursekit-run")


def pytest_sessionstart(session: pytest.Session) -> None:
    """A log is wide, so that no line of pytest's summary is cut."""
    if session.config.pluginmanager.has_plugin("terminalreporter"):
        writer = session.config.get_terminal_writer()
        if not writer._file.isatty():
            writer.fullwidth = max(writer.fullwidth, explain.WIDTH)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """What had no place to write."""
    return [f"note: {line}" for line in config.stash[SAID]]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On workers the longest file comes first, so that none of them is left alone with it."""
    if hasattr(config, "workerinput"):
        long = costs_of_files(item.path for item in items)
        items.sort(key=lambda item: -long[item.path])


def costs_of_files(paths: Iterable[Path]) -> dict[Path, float]:
    """CPU-seconds of each file, roughly: a notebook's are its budget, a test counts as 0.05."""
    from coursekit.publish import budgets

    counted = Counter(paths)
    known = {f"{name}.ipynb": 0.04 * units for name, units in budgets.allowed().items()} | LONG
    return {path: known.get(path.name, 0.05 * counted[path]) for path in counted}


SAID = pytest.StashKey[list]()


class Run:
    """One run: on a worker it measures and explains, where the results arrive it sums up."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.failures: list[explain.Failure] = []
        self.books: dict[str, dict[str, Any]] = {}
        self.ran = 0
        self.last = self.first = False

    # where a test runs

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        """A notebook's kernel is told, before it starts, where to report; see ``costs``."""
        if not is_cell(item):
            return (yield)
        from coursekit.publish import budgets

        self.last = nextitem is None or nextitem.parent is not item.parent
        if item.parent.__dict__.setdefault("coursekit", None) is None:
            file, name = tempfile.mkstemp(suffix=".jsonl")
            os.close(file)
            item.parent.coursekit = Path(name), budgets.calibration()
            os.environ["COURSEKIT_REPORT"] = name
        try:
            return (yield)
        finally:
            if self.last:
                os.environ.pop("COURSEKIT_REPORT", None)
                item.parent.coursekit[0].unlink(missing_ok=True)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        """A failure in plain words; a notebook's costs with its last cell."""
        report = yield
        if not is_cell(item):
            if crash := getattr(report.longrepr, "reprcrash", None):
                crash.message = summed_up(crash.message)
            return report
        if report.failed:
            report.longrepr = representation(item, call)
        if call.when == "setup":  # the kernel has started
            item.coursekit_cpu = taken(item).get("cpu_seconds", 0.0)
        if call.when == "call":
            after = taken(item).get("cpu_seconds", item.coursekit_cpu)
            report.coursekit_cpu = after - item.coursekit_cpu
        if call.when == "call" and self.last:
            report.coursekit = costs(item)
        return report

    # where results arrive

    def pytest_runtest_logreport(self, report) -> None:
        """Count, keep what failed and what a notebook took."""
        self.ran += report.when == "call"
        if report.failed:
            self.failures.append(explain.Failure(report.nodeid, message(report)))
        file = report.nodeid.split("::")[0]
        if not file.endswith(".ipynb"):
            return
        book = self.books.setdefault(
            Path(file).stem, {"seconds": 0.0, "cells": [], "error": None, "lines": []}
        )
        book["seconds"] += report.duration
        if report.when == "call":
            spent = getattr(report, "coursekit_cpu", 0.0)
            book["cells"].append((report.nodeid.split("::")[1], report.duration, spent))
        if report.failed and not book["error"]:
            book["error"] = explain.headline(message(report))
        book |= getattr(report, "coursekit", {})
        self.books[Path(file).stem] = book

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session):
        """After pytest's own summary: budgets, the page, and all failures in one screen."""
        worker = hasattr(self.config, "workerinput")
        over = [] if worker or not self.books else self.judged()
        if over and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        result = yield
        if worker or not self.ran:
            return result
        said = self.config.pluginmanager.get_plugin("terminalreporter")
        lines = [*over, *explain.screen(self.failures)]
        if said and (over or len(self.failures) > 1):
            said.section("what broke", sep="=")
            for line in lines:
                said.write_line(line)
        with contextlib.suppress(OSError):  # a clone that cannot be written
            (ROOT / "build").mkdir(exist_ok=True)
            self.write(over)
        return result

    def judged(self) -> list[str]:
        """The budgets that this run exceeds; see ``coursekit.publish.budgets``."""
        from coursekit.publish import budgets

        whole = {name: book for name, book in self.books.items() if "cpu_seconds" in book}
        if self.config.getoption("--record-budgets"):
            budgets.record(whole)
            return []
        return budgets.exceeded(whole)

    def write(self, over: list[str]) -> None:
        """``build/summary.md``."""
        from coursekit.publish import summary

        rows = []
        for name, book in sorted(self.books.items()):
            numbers = book["seconds"], book.get("cpu_seconds", 0.0), book["error"]
            more = book.get("memory"), book["cells"]
            rows.append(summary.row(name, book["lines"], *numbers, *more))
        others = [f for f in self.failures if ".ipynb" not in f.where]
        said = [f"{f.where}: {explain.headline(f.message)}" for f in others]
        summary.write(rows, ROOT / "build", over + said)


def is_cell(item) -> bool:
    """A cell of a notebook, under nbval."""
    return type(item).__name__ == "IPyNbCell"


def taken(item) -> dict[str, float]:
    """What a cell's kernel has taken until now; see ``budgets.measured``."""
    from coursekit.publish import budgets

    manager = getattr(getattr(item.parent, "kernel", None), "km", None)
    return budgets.measured(getattr(manager, "provisioner", None))


def costs(item) -> dict[str, Any]:
    """Of a notebook whose last cell has run: what it verified, CPU-seconds, memory in MB.

    ``calibration``: the loop of ``budgets``, before and after it, the mean of both.
    """
    from coursekit.publish import budgets

    file, before = item.parent.coursekit
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    calibration = (before + budgets.calibration()) / 2
    return {"lines": lines, "calibration": calibration, **taken(item)}


def summed_up(text: str) -> str:
    """A message whose first line, all that pytest's summary and JUnit's readers show, says it."""
    text = text.lstrip()
    mute = explain.MUTE.fullmatch(text.partition("\n")[0].strip())
    return f"{explain.headline(text)}\n{text}" if mute else text


def message(report) -> str:
    """What a failed report says first."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return explain.plain(crash.message if crash else str(report.longrepr).strip())


def representation(item, call):
    """A cell's failure as pytest shows one: the cause is what its summary and JUnit say."""
    from _pytest._code.code import (
        ExceptionChainRepr,
        ReprEntry,
        ReprFileLocation,
        ReprTraceback,
    )

    identity = item.cell.get("id", item.name)
    problem = "" if type(call.excinfo.value).__name__ == "NbCellError" else repr(call.excinfo.value)
    text = explain.cell(
        identity,
        item.cell.source,
        cleaned(item, item.test_outputs or []),
        cleaned(item, item.cell.outputs),
        problem or str(call.excinfo.value).partition("\n")[0],
    )
    where = ReprFileLocation(item.nodeid.split("::")[0], 0, text.partition("\n")[0])
    entry = ReprEntry(text.splitlines(), None, None, None, "value")  # without colours
    traceback = ReprTraceback([entry], None, "value")
    return ExceptionChainRepr([(traceback, where, None)])


def cleaned(item, outputs) -> list[dict[str, Any]]:
    """Outputs as nbval compares them."""
    return [dict(output) for output in item.sanitize_outputs(outputs)]
