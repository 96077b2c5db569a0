"""A red in a few plain lines: notebook, cell, equation or claim, both values, the difference.

Pure functions on texts; ``coursekit.publish.testing`` hands them to pytest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# what an assertion says where it has nothing to say
MUTE = re.compile(r"((AssertionError: ?)?assert (False|not True)|AssertionError:?|)")
NUMBER = re.compile(r"[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
WIDTH = 200  # characters of a line
# from the ground up: where a lower one fails, the higher ones fail because of it
STOREYS = (
    *("guards", "streams", "mlp", "stats", "mdp", "losses", "policies", "baselines"),
    *("bugs", "rollout", "gradients", "estimators", "tokens", "train", "actor_critic"),
    *("detective", "fast", "experiments", "verify", "checks"),
)
Outputs = Sequence[Mapping[str, Any]]


class Failure(NamedTuple):
    """What failed, ``where`` (pytest's node id), and the ``message``, of which line one says it."""

    where: str
    message: str


def plain(text: str) -> str:
    """The text without escape codes, and without what no XML may hold."""
    text = ESCAPES.sub("", text)
    return "".join(c for c in text if c in "\n\t" or c.isprintable())


def short(text: str, width: int = WIDTH) -> str:
    """One line of at most ``width`` characters."""
    text = " ".join(plain(text).split())
    return text if len(text) <= width else text[: width - 2] + " …"


def cell(identity: str, source: str, outputs: Outputs, stored: Outputs, other="") -> str:
    """What is wrong with a cell, the cause in the first line, then what stood on stderr.

    Its notebook is not named, since pytest has done that where the line is shown.

    ``outputs``: what it gave now; ``stored``: what it gave; images are left out of both. ``other``:
    what is known besides, where neither tells.
    """
    errors = [output for output in outputs if output["output_type"] == "error"]
    stderr = "".join(texts(outputs).get("stderr", []))
    about = tags(source)
    if errors and errors[0]["ename"] == "VerificationError":
        cause, about, errors = plain(errors[0]["evalue"]), "", []  # it says all
    elif errors:
        cause = f"{errors[0]['ename']}: {plain(errors[0]['evalue'])}"
    else:
        cause = differs(texts(stored), texts(outputs)) or other or "it failed"
    first, *rest = cause.splitlines()
    lines = [f"cell {identity!r}{about}: {short(first)}", *rest[:8]]
    if stderr:
        lines += ["stderr:", *(f"  {line}" for line in plain(stderr).splitlines()[-8:])]
    lines += ["the cell:", *(f"  {line}" for line in source.splitlines()[:12])]
    for error in errors:
        told = plain("\n".join(error.get("traceback", []))).splitlines()
        lines += ["the traceback's end:", *(f"  {line}" for line in told[-24:])]
    return "\n".join(lines)


def tags(source: str) -> str:
    """The equations and claims that a cell verifies, such as " (equation 2.3)"."""
    found = re.findall(r"verify\.(equation|claim)\(\s*[\"']([^\"']+)", source)
    return f" ({', '.join(' '.join(pair) for pair in found)})" if found else ""


def texts(outputs: Outputs) -> dict[str, list[str]]:
    """The texts of outputs by kind: stdout, stderr, text/plain, text/html; no images."""
    found: dict[str, list[str]] = {}
    for output in outputs:
        if output["output_type"] == "stream":
            named = {output["name"]: output["text"]}
        else:
            named = output.get("data", {})
        for kind, text in named.items():
            if kind.startswith(("std", "text/")):
                found.setdefault(kind, []).append("".join(text))
    return found


def differs(stored: dict[str, list[str]], now: dict[str, list[str]]) -> str:
    """The first line that is another one: what it is now, what was stored, by how much; or "".

    The values come first, since whoever shows the line may cut it.
    """
    for kind in ["stderr", *sorted({*stored, *now} - {"stderr"})]:
        old, new = (plain("\n".join(side.get(kind, []))) for side in (stored, now))
        old, new = (re.sub(r"base64,[\w+/=\s]+", "base64,…", text) for text in (old, new))
        if old == new:
            continue
        a, b = old.splitlines(), new.splitlines()
        at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
        if at is None:
            at = min(len(a), len(b))
        x, y = (side[at] if at < len(side) else "(nothing)" for side in (a, b))
        if kind == "stderr" and not stored.get(kind):
            return f"it writes to stderr: {b[-1] if b else ''}"
        place, shown = f"line {at + 1} of {kind}", (around(y, x), around(x, y))
        if numbers := distance(x, y):
            return f"{numbers}; {place} is {shown[0]}, stored {shown[1]}"
        return f"{shown[0]} instead of {shown[1]}; {place}"
    return ""


def around(line: str, other: str) -> str:
    """A line where it begins to differ from another one, not much before and after."""
    same = next((i for i, (a, b) in enumerate(zip(line, other, strict=False)) if a != b), 0)
    start = max(0, same - 15)
    cut = line[start : start + 45]
    return repr(("…" if start else "") + cut + ("…" if start + 45 < len(line) else ""))


def distance(old: str, new: str) -> str:
    """The numbers that differ most, in two lines that have as many, and by how much; else ""."""
    a, b = (NUMBER.findall(line) for line in (old, new))
    if len(a) != len(b):
        return ""
    x, y = ([float(n.replace("−", "-")) for n in side] for side in (a, b))
    apart = [abs(p - q) for p, q in zip(x, y, strict=True)]
    if not any(apart):
        return ""
    at = apart.index(max(apart))
    return f"{b[at]} instead of {a[at]}, difference {apart[at]:.3g}"


def headline(message: str, width: int = 170) -> str:
    """The head of a message in one line: its first that says something, as far as it goes.

    numpy.testing says it in many lines, of which the first is "AssertionError:"; of "assert False"
    pytest tells in the next one where that comes from.
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if lines and MUTE.fullmatch(lines[0]):
        lines = [" ".join(lines[:6])]
    return short(" ".join(lines[:1]), width)


def is_mute(failure: Failure) -> bool:
    """Whether its headline gives no value: it is empty, or says that something was False."""
    return re.match(rf"{MUTE.pattern}($| \+ +where)", headline(failure.message)) is not None


def names(failures: Sequence[Failure]) -> str:
    """Up to three of them as far as a line goes, each of another test, and how many there are."""
    shown: dict[str, str] = {}
    for failure in failures:
        name = failure.where.partition("::")[2]
        if sum(map(len, shown.values())) + len(name) < WIDTH - 40 or not shown:
            shown.setdefault(name.partition("[")[0], name)
    shown = list(shown.values())[:3]
    more = len(failures) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def screen(failures: Iterable[Failure]) -> list[str]:
    """All failures in at most 24 lines, a file or a notebook at a time, the cause first.

    First tests of the package, from its ground up, then other tests, then notebooks; of each file
    the first failure whose message gives a value.
    """
    by_file: dict[str, list[Failure]] = {}
    for failure in failures:
        by_file.setdefault(failure.where.split("::")[0], []).append(failure)
    files = sorted(by_file, key=storey)
    if not files:
        return []
    count = sum(map(len, by_file.values()))
    lines = [f"{count} failed in {len(files)} files; the lowest module first, where causes are:"]
    for file in files[:11]:
        told = sorted(by_file[file], key=is_mute)  # what gives a value first, else as they came
        lines += [f"{file}: {names(told)}", "    " + headline(told[0].message)]
    if len(files) > 11:
        lines.append(f"and {len(files) - 11} more files")
    return lines


def storey(file: str) -> tuple[int, int, str]:
    """The order of a test file or a notebook."""
    path = PurePosixPath(file)
    if path.suffix == ".ipynb":
        return 2, 0, file
    name = path.stem.removeprefix("test_")
    found = [i for i, s in enumerate(STOREYS) if name == s or name.startswith(f"{s}_")]
    return (0, max(found), file) if found else (1, 0, file)
