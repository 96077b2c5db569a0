"""Handouts to print, a notebook each and the whole: for students, and with solutions; a card.

Pages are HTML that prints well on A4, and on Letter with ``?letter`` behind the address. ``pdf``
makes the files with a browser that is installed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from coursekit.publish import build as command
from coursekit.publish import page, slides

EDITIONS = ("student", "solutions")
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="../assets/reveal/theme/fonts/source-sans-pro/source-sans-pro.css">
<link rel="stylesheet" href="../assets/handout.css">
<script src="../assets/math.js"></script>
<script src="../assets/handout.js"></script>
<script src="../assets/mathjax/tex-svg.js" defer></script></head>
<body class="{kind}"><main>
{body}
</main></body></html>
"""


def build(out: Path) -> Path:
    """Write the handouts that changed, the reference card, and their index."""
    page.assets(out.parent / "assets")
    report = page.report()
    paths = sorted(command.NOTEBOOKS.glob("*.ipynb"))
    books = {path.stem: slides.read(path) for path in paths}
    made_from = {path.stem: [path, str(report.get(path.stem))] for path in paths}
    here = sorted(Path(__file__).parent.glob("*.py"))
    rows = []
    for edition in EDITIONS:
        bodies = {}
        for stem, book in books.items():
            bodies[stem] = (book, report.get(stem, {}))
        for name, parts in [*((stem, [stem]) for stem in books), ("whole", list(books))]:
            target = out / f"{name}_{edition}.html"
            sources = [source for stem in parts for source in made_from[stem]]
            if command.changed(target, [*here, *sources]):
                body = "\n".join(article(*bodies[stem], edition) for stem in parts)
                title = slides.title(books[name]) if name in books else "Sum or mean? The course"
                text = PAGE.format(title=title, body=body, kind=edition)
                target.write_text(text, encoding="utf-8")
    for name in [*books, "whole"]:
        title = slides.title(books[name]) if name in books else "The whole course"
        links = ", ".join(f'<a href="{name}_{e}.html">{e}</a>' for e in EDITIONS)
        rows.append(f"<li>{title}: {links}</li>")
    card(books, out / "card.html")
    index = out / "index.html"
    index.write_text(INDEX.format(rows="\n".join(rows)), encoding="utf-8")
    return index


INDEX = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Handouts</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="../assets/page.css"></head>
<body><main><h1>Handouts</h1>
<p>Print a page from the browser, on A4, or on Letter with <code>?letter</code> behind its address.
<code>python -m coursekit build pdf</code> makes the files, with page numbers, in
<code>build/pdf</code>.</p>
<ul><li><a href="card.html">The reference card</a>, one page</li>
{rows}
</ul></main></body></html>
"""


def article(book: NotebookNode, stored: dict[str, Any], edition: str) -> str:
    """A notebook as it is read: no speaker's notes; for students no solutions and no answers."""
    parts = []
    for cell in book.cells:
        tags = cell.metadata.get("tags", [])
        if cell.metadata.get("slideshow", {}).get("slide_type") == "notes":
            continue
        if edition == "student" and ("solution" in tags or cell.id.startswith("quiz-answers")):
            continue
        if cell.cell_type == "markdown":
            parts.append(page.prose(folded(cell.source, edition)))
            continue
        kinds = page.verifications(cell.source)
        parts.append(page.code(cell.source))
        parts.append(page.output(cell, ["✓ equation", "✓ claim"] if kinds else []))
        parts.append(page.verified(cell, stored.get("verified", []), {}))
    shown = "\n".join(part for part in parts if part)
    return f"<article>\n{without_frames(shown)}\n</article>"


def folded(source: str, edition: str) -> str:
    """What is folded in the notebook: open with the solutions, left out for students."""
    source = re.sub(r"</?details[^>]*>", "", source) if edition == "solutions" else source
    source = re.sub(r"<summary>(.*?)</summary>", r"**\1**", source)
    return re.sub(r"<details[^>]*>.*?</details>", "", source, flags=re.DOTALL)


def without_frames(shown: str) -> str:
    """Pages with sliders do not print: a line in their place."""
    return re.sub(
        r"<iframe.*?</iframe>", "<p>(A page with sliders: in the notebook.)</p>", shown, flags=re.S
    )


def card(books: dict[str, NotebookNode], target: Path) -> None:
    """The reference card of the notebook that has one, on one page (static/handout.js fits it)."""
    for book in books.values():
        cells = [cell for cell in book.cells if re.match(r"card(-\w+)?$", cell.id)]
        if cells:
            body = "\n".join(page.prose(cell.source) for cell in cells)
            body = re.sub(r"<h2>[\d. ]*", "<h1>", body).replace("</h2>", "</h1>")
            body = re.sub(r"<code>.*?</code>", breakable, body)
            text = PAGE.format(title="Reference card", body=body, kind="card")
            target.write_text(text, encoding="utf-8")


def breakable(code: re.Match) -> str:
    """A name in code, which a line may break behind its dots, dashes and underscores alone."""
    return re.sub(r"(?<=\w)([_.-])(?=\w)", r"\1<wbr>", code[0])
