"""What a learner has solved, from a small file on this machine: ``coursekit.progress()``.

The file is ``progress.jsonl`` in the user's data folder (on Linux ``~/.local/share/coursekit``), or
what COURSEKIT_PROGRESS names. A line is added when an exercise is first tried and when it is first
right, a damaged line is passed over, and nothing is written where tests or ``execute`` run.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

STATES = ("attempted", "correct")  # what is open stands in no file
_told: list[str] = []  # one sentence a process


def path() -> Path | None:
    """The file; None where nothing is to be recorded: tests, ``execute``, no data folder."""
    named = os.environ.get("COURSEKIT_PROGRESS")
    if named:
        return Path(named)
    if "COURSEKIT_QUIET" in os.environ or "PYTEST_CURRENT_TEST" in os.environ:
        return None
    try:
        import platformdirs
    except ImportError:  # only the detective was installed
        return None
    return platformdirs.user_data_path("coursekit", appauthor=False) / "progress.jsonl"


def record(kind: str, tag: str, said: str) -> None:
    """Note what a check said about an exercise or a question; a solution's is nobody's progress.

    Never raises: where the file cannot be written, that is said once.
    """
    if kind == "solution" or said.startswith("not attempted"):
        return
    state = "correct" if said.startswith("correct") else "attempted"
    file = path()
    try:
        if file is None or states(file).get(tag) in (state, "correct"):
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"tag": tag, "state": state}) + "\n"
        # one write at the end of the file, on a line of its own: two notebooks may do it at once,
        # and a line that was cut off spoils no other
        with file.open("ab", buffering=0) as out:
            out.write(b"\n" * torn(file) + line.encode())
    except OSError as error:
        if not _told:
            _told.append(f"(Progress is not kept: {file}: {error.strerror}.)")
            print(_told[0])


def torn(file: Path) -> bool:
    """Whether the last line of a file was cut off."""
    return not file.read_bytes().endswith(b"\n") if file.stat().st_size else False


def states(file: Path | None) -> dict[str, str]:
    """Tag -> "attempted" or "correct", the better of all lines; whatever is damaged is left out."""
    try:
        lines = file.read_bytes().splitlines() if file else []
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        try:
            tag, state = (json.loads(line)[key] for key in ("tag", "state"))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(tag, str) and state in STATES and found.get(tag) != "correct":
            found[tag] = state
    return found


def asked() -> dict[str, list[str]]:
    """Everything there is to solve: the number of a notebook -> its tags, exercises first."""
    exercises = importlib.import_module("coursekit.exercises")  # a higher floor, as in checks
    found: dict[str, list[str]] = {}
    for kind, key in (("nb", "EXERCISES"), ("quiz", "QUIZ")):
        for entry in pkgutil.iter_modules(exercises.__path__):
            if entry.name.startswith(kind):
                module = importlib.import_module(f"{exercises.__name__}.{entry.name}")
                found.setdefault(entry.name[-2:], []).extend(getattr(module, key))
    return dict(sorted(found.items()))


def show() -> None:
    """Print for each notebook how many are correct, attempted and open, and what to do next."""
    known, done = asked(), states(path())
    print("notebook   correct  attempted  open")
    for number, tags in known.items():
        state = [done.get(tag, "open") for tag in tags]
        counts = [state.count(word) for word in ("correct", "attempted", "open")]
        print(f"{number}         {counts[0]:9}{counts[1]:11}{counts[2]:6}")
    print(f"Next: {following(known, done)}")


def following(known: dict[str, list[str]], done: dict[str, str]) -> str:
    """What to do next: in the last notebook that was begun, then in the first that has more."""
    begun = [number for number, tags in known.items() if any(tag in done for tag in tags)]
    for number in [*begun[-1:], *known]:
        left = [tag for tag in known[number] if done.get(tag) != "correct"]
        tried = [tag for tag in left if tag in done]
        if left:
            tag = (tried or left)[0]
            hints = "" if ".q" in tag else " (its hints are folded below it)"
            return f"notebook {number}, {named(tag)}, " + (
                f"once more{hints}." if tried else "not tried yet."
            )
    return "all is solved. Notebook 14 has questions that people really asked."


def named(tag: str) -> str:
    """ "exercise 4.2", or "question 3 of the quiz" for the tag 4.q3."""
    question = tag.partition(".q")[2]
    return f"question {question} of the quiz" if question else f"exercise {tag}"


def reset() -> None:
    """Forget everything: the file is deleted. Says so, also where it cannot be."""
    file = path()
    try:
        if file is not None:
            file.unlink(missing_ok=True)
        print("Progress: nothing is recorded now.")
    except OSError as error:
        print(f"Progress could not be deleted: {file}: {error.strerror}.")


class _Called(ModuleType):
    """A module that can be called, so that one may write ``coursekit.progress()``."""

    def __call__(self) -> None:
        show()


sys.modules[__name__].__class__ = _Called
