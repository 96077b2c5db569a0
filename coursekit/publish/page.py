"""Cells as HTML, for slides and handouts: prose, code, outputs, and what a cell verified."""

from __future__ import annotations

import ast
import base64
import html
import io
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nbconvert.filters import Highlight2HTML, ansi2html, markdown2html
from nbformat import NotebookNode
from PIL import Image

from coursekit.publish import build

STATIC = Path(__file__).parent / "static"
ASSETS = {  # what pages need beside them: folder -> package that carries it, folder in there
    "reveal": ("sphinx_revealjs", "_static/revealjs/dist"),
    "plugin": ("sphinx_revealjs", "_static/revealjs/plugin"),
    "mathjax": ("sphinx-mathjax-offline", "static/mathjax"),
}
WANTED = {  # of these folders, what a page loads
    "reveal": ["reveal.css", "reveal.js", "theme/fonts/source-sans-pro/*"],
    "plugin": ["notes/*"],
    "mathjax": ["tex-svg.js"],
}
PICTURE = re.compile(r'<img (?=[^>]*src="data:image/png;base64,([\w+/=]+)")')
COMPARED = {"equation": "both sides", "claim": "measured"}


def assets(out: Path) -> None:
    """Copy reveal.js, MathJax, fonts and our own style into ``out``, where they are not yet."""
    for folder, (package, inside) in ASSETS.items():
        source = Path(find_spec(package).submodule_search_locations[0]) / inside
        for path in (path for pattern in WANTED[folder] for path in source.glob(pattern)):
            copy(path, out / folder / path.relative_to(source))
    for path in STATIC.iterdir():
        copy(path, out / path.name)


def copy(source: Path, target: Path) -> None:
    """Copy a file unless one of the same size and content is there."""
    if not target.exists() or target.read_bytes() != source.read_bytes():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def report() -> dict[str, Any]:
    """What the last full run verified; see execute.remember."""
    return json.loads((build.NOTEBOOKS / "report.json").read_text(encoding="utf-8"))


@cache
def prose(source: str) -> str:
    """Markdown as HTML; links to notebooks lead to pages beside this one, the glossary's are text.

    Mathematics stays as it is, for MathJax.
    """
    page = markdown2html(source)
    page = re.sub(r'<a class="anchor-link".*?</a>', "", page)
    page = re.sub(r'<(h\d) id="[^"]*">', r"<\1>", page)
    page = re.sub(r'<a href="GLOSSARY\.md[^"]*">(.*?)</a>', r"\1", page)
    return re.sub(r'<a href="(\d\d_\w+)\.ipynb(#[^"]*)?">', r'<a href="\1.html">', page)


@cache
def highlighter() -> Highlight2HTML:
    """One for all cells: it looks its lexer up once."""
    return Highlight2HTML()


@cache
def code(source: str) -> str:
    """Python as HTML."""
    return f'<div class="code">{highlighter()(source).strip()}</div>'


def output(cell: NotebookNode, hide: Iterable[str] = ()) -> str:
    """What a cell shows; lines of text that open with one of ``hide`` are left out."""
    parts = []
    for shown in cell.get("outputs", []):
        data = shown.get("data", {})
        if "text/html" in data:
            table = "<table" in data["text/html"]
            body = re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.DOTALL)
            body = PICTURE.sub(sized, body)
            parts.append(f'<div class="{"table" if table else "figure"}">{body}</div>')
        elif text := shown.get("text") or data.get("text/plain", ""):
            lines = [line for line in text.splitlines() if not line.startswith(tuple(hide))]
            if any(lines):
                parts.append(f'<pre class="output">{ansi2html(chr(10).join(lines))}</pre>')
    return "\n".join(parts)


def sized(found: re.Match) -> str:
    """A picture that says how much of its height its smallest text takes, for static/deck.js."""
    said = Image.open(io.BytesIO(base64.b64decode(found[1]))).info.get("Smallest text", "")
    return f'<img data-smallest="{html.escape(said)}" '


def is_figure(cell: NotebookNode) -> bool:
    """Whether a cell draws."""
    return any("base64," in str(shown.get("data", {})) for shown in cell.get("outputs", []))


def is_plumbing(cell: NotebookNode) -> bool:
    """Whether the code of a cell only lays out what it shows: a page with sliders, printed rows."""
    framed = any("<iframe" in str(shown.get("data", {})) for shown in cell.get("outputs", []))
    return framed or 'print(f"' in cell.source


def verifications(source: str) -> list[tuple[str, str, list[str], str]]:
    """(kind, tag, what is compared as code, the unit's code) of each verify.… call, in order."""
    found = []
    for node in ast.walk(ast.parse(source)):
        kind = ast.unparse(node.func).removeprefix("verify.") if isinstance(node, ast.Call) else ""
        if kind in COMPARED:
            (tag, *given), named = node.args, {k.arg: ast.unparse(k.value) for k in node.keywords}
            sides = [ast.unparse(part) for part in given[: 2 if kind == "equation" else 1]]
            found.append((kind, ast.literal_eval(tag), sides, named.get("scale", "")))
    return found


def rest(source: str) -> str:
    """The code of a cell without its verify.equation and verify.claim statements."""
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        name = (
            ast.unparse(node.value.func) if isinstance(getattr(node, "value", 0), ast.Call) else ""
        )
        if name in ("verify.equation", "verify.claim"):
            del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines).strip()


def verified(cell: NotebookNode, rows: list[Mapping[str, Any]], said: Mapping[str, str]) -> str:
    """A table of what a cell verifies: bound, measured value and margin from the stored report.

    ``rows`` of the notebook's report; ``said``: the sentence of a claim that is to be repeated.
    """
    lines = []
    for kind, tag, sides, scale in verifications(cell.source):
        found = [row for row in rows if row["kind"] == kind and row["tag"] == tag]
        if not found:
            lines.append(f"<tr><th>{kind} {tag}</th><td>not in the stored report</td></tr>")
        elif kind == "equation":
            largest = max(row["value"] or 0 for row in found)
            compared = " = ".join(f"<code>{html.escape(side)}</code>" for side in sides)
            lines.append(
                f"<tr><th>✓ ({tag})</th><td>{compared}</td><td>largest difference "
                f"{number(largest)}, allowed {number(found[0]['bound'])}</td></tr>"
            )
        else:
            row = min(found, key=lambda row: math_margin(row))
            sentence = prose(said[tag]) if tag in said else ""
            lines.append(
                f"<tr><th>✓ Claim {tag}</th><td>{sentence}measured <b>{number(row['value'])}</b> "
                f"{html.escape(SIGNS[row['op']])} {number(row['bound'])}</td>"
                f"<td>{margin(row, scale)}</td></tr>"
            )
    return f'<table class="verified">{"".join(lines)}</table>' if lines else ""


SIGNS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "="}


def math_margin(row: Mapping[str, Any]) -> float:
    """The margin of a row, infinite where the report has none."""
    return float("inf") if row["margin"] is None else row["margin"]


def margin(row: Mapping[str, Any], scale: str) -> str:
    """How far the measured value is from its bound, in words."""
    if row["op"] == "==":
        return "exactly"
    if row["margin"] is None:
        return "without limit"
    if scale:
        return f"margin {row['margin']:.2g} × <code>{html.escape(scale)}</code>"
    if not row["bound"]:
        return f"margin {row['margin']:.2g}"
    if row["margin"] >= 2:
        return f"margin {row['margin']:.3g} × the bound"
    return f"margin {row['margin']:.0%} of the bound"


def number(value: float | None) -> str:
    """Three digits; null of the report is what is not finite."""
    if value is None:
        return "∞"
    shown = f"{value:.3g}"
    if "e" in shown:
        digits, power = shown.split("e")
        return f"{digits} · 10<sup>{int(power)}</sup>".replace("-", "−")
    return shown.replace("-", "−")


def claims(book: NotebookNode) -> dict[str, str]:
    """{tag: sentence} of the claims that a notebook declares."""
    text = "\n\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    return dict(re.findall(r"^\*\*Claim (\d+\.\d+)\.\*\* (.*)$", text, flags=re.MULTILINE))
