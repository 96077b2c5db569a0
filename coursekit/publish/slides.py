"""Slide shows from the stored outputs: a page for each notebook, and no request to the network.

A slide is laid out on 1280 × 720 and scaled. The page typesets its mathematics, then fits each
slide (static/deck.js), then starts reveal.js: what is jumped to looks like what is stepped to.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from coursekit import checks, quiz
from coursekit.publish import build as command
from coursekit.publish import page

LONGEST = 12  # lines of code on a slide that shows more than this code
ALONE = 20  # … and where nothing else is on it
CAPTION = r"\*[^*]+\*"  # a cell of text below a figure: a sentence or two in italics
DECK = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="../assets/reveal/reveal.css">
<link rel="stylesheet" href="../assets/reveal/theme/fonts/source-sans-pro/source-sans-pro.css">
<link rel="stylesheet" href="../assets/deck.css">
<script src="../assets/math.js"></script>
<script src="../assets/mathjax/tex-svg.js" defer></script>
<script src="../assets/reveal/reveal.js" defer></script>
<script src="../assets/plugin/notes/notes.js" defer></script>
<script src="../assets/deck.js" defer></script>
</head>
<body>
<main class="reveal"><div class="slides">
{slides}
</div></main>
</body>
</html>
"""


@dataclass
class Slide:
    """A slide: the id of its first cell, its steps as lists of cells, and its notes.

    ``hidden``: the cells that the notebook has there and the deck leaves out; ``over``: the heading
    of its section.
    """

    name: str
    starts_column: bool
    steps: list[list[NotebookNode]] = field(default_factory=lambda: [[]])
    notes: list[str] = field(default_factory=list)
    hidden: list[NotebookNode] = field(default_factory=list)
    over: str = ""

    @property
    def cells(self) -> list[NotebookNode]:
        """All cells, in order."""
        return [cell for step in self.steps for cell in step]

    @property
    def prose(self) -> str:
        """What its cells say, as Markdown."""
        return "\n\n".join(cell.source for cell in self.cells if cell.cell_type == "markdown")

    @property
    def heading(self) -> str:
        """Its first heading, or nothing."""
        found = re.search(r"^#+ (.*)$", self.prose, flags=re.MULTILINE)
        return found[1] if found else ""

    @property
    def title(self) -> str:
        """Its heading, or the first words of its prose, or what it draws or verifies.

        A slide with none of these has the heading of its section; its name is no title, and a
        caption no prose.
        """
        if self.heading:
            return self.heading
        marks = r"(\$[^$]*\$)|\]\([^)]*\)|[*`\[\]]"  # formulas stay whole
        texts = [c.source for c in self.cells if c.cell_type == "markdown"]
        prose = "\n\n".join(text for text in texts if not re.fullmatch(CAPTION, text))
        plain = re.sub(marks, lambda found: found[1] or "", prose)
        words = re.findall(r"\$[^$]*\$\S*|\S+", plain)
        if words:
            return " ".join(words[:9]) + " …"
        shown = "".join(page.output(cell) for cell in self.cells)
        if alt := re.search(r'<img [^>]*alt="([^"]*)"', shown):
            said = html.unescape(alt[1])
            opening = re.split("[:;.] ", said)[0]  # up to its numbers
            return opening if len(opening.split()) > 2 else " ".join(said.split()[:9]) + " …"
        code = "\n".join(cell.source for cell in self.cells)
        if tags := [(kind, tag) for kind, tag, *_ in page.verifications(code)]:
            return f"{tags[0][0]} {', '.join(tag for _, tag in tags)}".capitalize()
        return f"{self.over or self.name} ({'sliders' if '<iframe' in shown else 'code'})"


def read(path: Path) -> NotebookNode:
    """A notebook."""
    return nbformat.read(path, as_version=4)


def show(book: NotebookNode) -> list[Slide]:
    """The slides of a notebook, in order, from the slide types of its cells."""
    slides: list[Slide] = []
    for cell in book.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "-")
        if kind in ("slide", "subslide"):
            slides.append(Slide(cell.id, kind == "slide"))
        elif kind == "fragment":
            slides[-1].steps.append([])
        if kind == "notes":
            slides[-1].notes.append(cell.source)
        elif kind == "skip":
            slides[-1].hidden.append(cell)
        else:
            slides[-1].steps[-1].append(cell)
    over = ""
    for slide in slides:
        slide.over = over = slide.heading if slide.starts_column else over
    return slides


def build(out: Path) -> Path:
    """Write a deck for each notebook that changed, what they need beside them, and their index."""
    page.assets(out.parent / "assets")
    report, paths = page.report(), sorted(command.NOTEBOOKS.glob("*.ipynb"))
    here = sorted(Path(__file__).parent.glob("*.py"))
    links = []
    for path in paths:
        book, target = read(path), out / f"{path.stem}.html"
        stored = report.get(path.stem, {})
        if command.changed(target, [path, *here, str(stored)]):
            print(f"  {path.stem}", flush=True)
            target.write_text(deck(book, stored), encoding="utf-8")
        count = len(show(book))
        links.append(f'<li><a href="{target.name}">{title(book)}</a>, {count} slides</li>')
    index = out / "index.html"
    index.write_text(INDEX.format(links="\n".join(links)), encoding="utf-8")
    return index


INDEX = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Slides</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="../assets/page.css"></head>
<body><main><h1>Slides</h1>
<p>Arrow keys go on, down is the next slide of a section, Esc shows all. <kbd>S</kbd> opens the
speaker's view with notes and a clock. Nothing is loaded from the network.</p>
<ul>
{links}
</ul></main></body></html>
"""


def title(book: NotebookNode) -> str:
    """The notebook's title, as HTML."""
    return html.escape(book.cells[0].source.splitlines()[0].removeprefix("# "))


def deck(book: NotebookNode, stored: dict[str, Any]) -> str:
    """The page of one notebook; ``stored``: its part of the report."""
    columns, said = [], page.claims(book)
    chapter = book.cells[0].source.removeprefix("# ")[:2]
    for slide in show(book):
        if slide.starts_column:
            columns.append([])
        columns[-1].append(section(slide, stored, said, slide.over, chapter))
    body = "\n".join("<section>\n" + "\n".join(column) + "\n</section>" for column in columns)
    return DECK.format(title=title(book), slides=body)


def section(
    slide: Slide, stored: dict[str, Any], said: dict[str, str], over: str, chapter: str
) -> str:
    """One slide with its notes; ``over``: the title of its column, where it has no own."""
    said = {tag: text for tag, text in said.items() if f"**Claim {tag}.**" not in slide.prose}
    head = page.prose(f"###### {over}") if over and not slide.heading else ""
    steps = [f'<div class="step">{head}</div>'] if head else []
    longest = ALONE if len(slide.cells) == 1 else LONGEST
    for k, step in enumerate(slide.steps):
        blocks = "\n".join(block(cell, stored, said, longest) for cell in step)
        # rows of one table that stand one after the other are one table
        blocks = blocks.replace('</table>\n<table class="verified">', "")
        steps.append(f'<div class="step{" fragment" if k else ""}">\n{blocks}\n</div>')
    notes = "\n".join(page.prose(plain(text)) for text in slide.notes or told(slide, chapter))
    aside = f'\n<aside class="notes">{notes}</aside>' if notes else ""
    body = "\n".join(steps)
    return f'<section id="{slide.name}"><div class="body">\n{body}\n</div>{aside}</section>'


def told(slide: Slide, chapter: str) -> list[str]:
    """The notes of an exercise or of questions of a quiz, from what is said to wrong answers."""
    if found := re.fullmatch(r"ex-(\d+)-(\d+)", slide.name):
        time = re.search(r"(\d+) minutes?", slide.prose)
        head = f"**Exercise · {time[1] if time else 5} min, if it is done in the room.** Let pairs "
        head += "work, and ask for an answer before the hints. What is said to wrong ones:"
        return [listed(head, checks.find(".".join(found.groups())).wrong)]
    asked = re.findall(r"^\*\*(\d+)\.\*\* ", slide.prose, flags=re.MULTILINE)
    if asked and re.fullmatch(r"quiz-\d+", slide.name) and chapter.isdecimal():
        head = f"**Quiz · {len(asked)} min.** A show of hands for each line; then, in their order:"
        return [head, *(answers(f"{int(chapter)}.q{number}") for number in asked)]
    return []


def answers(tag: str) -> str:
    """What is said to each line of a question."""
    right, said = quiz.find(tag)
    lines = [f"{'right: ' if k + 1 == right else ''}{line}" for k, line in enumerate(said)]
    return listed(f"Question {tag.partition('.q')[2]}:", lines)


def listed(head: str, lines: Iterable[str]) -> str:
    """A line of Markdown and a list below it."""
    return head + "\n\n" + "\n".join(f"- {line}" for line in lines)


def plain(note: str) -> str:
    """A note without the quotation marks and the folding that it has in the notebook."""
    note = re.sub(r"<summary>(.*?)</summary>", r"**\1.**", note)
    note = re.sub(r"</?details>", "", note)
    return re.sub(r"^> ?", "", note, flags=re.MULTILINE).strip()


def block(
    cell: NotebookNode, stored: dict[str, Any], said: dict[str, str], longest: int = LONGEST
) -> str:
    """A cell on a slide: prose, or code of at most ``longest`` lines with its output.

    A figure stands without the code that draws it, a claim without the code that asks for it.
    Longer code that shows nothing is left out.
    """
    if cell.cell_type == "markdown":
        return page.prose(cell.source)
    kinds = {kind for kind, *_ in page.verifications(cell.source)}
    bare = "claim" in kinds or page.is_figure(cell) or page.is_plumbing(cell)
    source = "" if bare else page.rest(cell.source)
    lines = len([line for line in source.splitlines() if line.strip()])
    parts = []
    if lines > longest and cell.get("outputs"):
        parts.append(f'<p class="long">{lines} lines of code, in the notebook</p>')
    elif 0 < lines <= longest:
        parts.append(page.code(source))
    if seconds := stored.get("live", {}).get(cell.id):
        parts.append(f'<p class="live">▶ live: runs about {seconds} s</p>')
    elif "nbval-ignore-output" in cell.metadata.get("tags", []) and not page.is_figure(cell):
        parts.append('<p class="live">▶ live: runs in a moment</p>')
    parts.append(page.output(cell, ["✓ equation", "✓ claim"] if kinds else []))
    parts.append(page.verified(cell, stored.get("verified", []), said))
    return "\n".join(part for part in parts if part)
