"""How long a notebook takes, by a rule: the minutes that it states are counted, not hoped for.

Read at 150 words a minute; half a minute for each displayed equation, each figure and each
prediction; twelve lines a minute of the code that stands in the text, forty of the code that
slides leave out or that draws. Exercises take the minutes on their cards, a question of the quiz
takes one; both are counted apart. What the machine computes meanwhile is not counted.
``python -m coursekit.publish.minutes`` writes the numbers where they are stated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nbformat import NotebookNode

from coursekit.publish import execute

WORDS, LINES, PLUMBING, PAUSE = 150, 12, 40, 0.5  # a minute; minutes
SKIPPED = "*May be skipped at first reading; run its cells all the same.*"  # below its heading
STATED = r"\*\*Time\*\*: about (\d+) minutes(?:[^.]|\.\d)*\."  # 20.5 ends no sentence


def counted(book: NotebookNode) -> Iterator[tuple[NotebookNode, bool]]:
    """The cells that are read, each with whether its section may be skipped."""
    skipped = False
    for cell in book.cells:
        heading = cell.cell_type == "markdown" and re.match(r"## (.*)", cell.source)
        if heading:
            skipped = SKIPPED in cell.source
        if heading and heading[1] == "References":
            return
        apart = cell.id == "setup" or cell.id.startswith(("ex-", "quiz"))
        if not apart and cell.metadata.slideshow.slide_type != "notes":
            yield cell, skipped


def minutes_of(cell: NotebookNode) -> float:
    """What one cell takes."""
    if cell.cell_type == "code":
        lines = [x for x in cell.source.splitlines() if x.strip() and x.strip()[0] != "#"]
        drawn = any("base64," in str(output) for output in cell.outputs)
        aside = drawn or cell.metadata.slideshow.slide_type == "skip"
        return len(lines) / (PLUMBING if aside else LINES) + PAUSE * drawn
    equations = re.findall(r"\$\$.*?\$\$", cell.source, flags=re.DOTALL)
    prose = re.sub(r"\$\$.*?\$\$|\]\([^)]*\)", " ", cell.source, flags=re.DOTALL)
    pauses = len(equations) + len(re.findall(r"\*(?:Predict|Before you run)", prose))
    return len(prose.split()) / WORDS + PAUSE * pauses


def reading(book: NotebookNode, short: bool = False) -> int:
    """Minutes to read it, to the next five; ``short``: without what may be skipped."""
    every = [minutes_of(cell) for cell, skipped in counted(book) if not (short and skipped)]
    return 5 * round(sum(every) / 5)


def exercises(book: NotebookNode) -> int:
    """Minutes on the cards of its exercises, added up."""
    cards = [cell.source for cell in book.cells if re.fullmatch(r"ex-\d+-\d+", cell.id)]
    found = [re.search(r"^\*[★☆]+ · (\d+) minute", card, flags=re.MULTILINE) for card in cards]
    return sum(int(card[1]) for card in found if card)


def quiz(book: NotebookNode) -> int:
    """Minutes for its quiz, one a question."""
    cells = [c.source for c in book.cells if c.id.startswith("quiz") and c.cell_type == "markdown"]
    return sum(len(re.findall(r"^\*\*\d+\.\*\*", text, flags=re.MULTILINE)) for text in cells)


def lecture(book: NotebookNode) -> float:
    """Minutes in its speaker's notes, added up."""
    notes = [c.source for c in book.cells if c.metadata.slideshow.slide_type == "notes"]
    found = [re.search(r"notes · (\d*)(½?) min", note) for note in notes]
    return sum(int(m[1] or 0) + bool(m[2]) / 2 for m in found if m)


def in_the_map(book: NotebookNode) -> str:
    """As in the tables of README and notebook 00: "65, or 35" where a part may be skipped."""
    whole, short = reading(book), reading(book, short=True)
    return str(whole) if whole == short else f"{whole}, or {short}"


def statement(book: NotebookNode) -> str:
    """The sentence of its first cell."""
    whole, short = reading(book), reading(book, short=True)
    less = "" if whole == short else f", {short} without what may be skipped"
    rest = f"exercises {exercises(book)}; quiz {quiz(book)}; as a lecture {lecture(book):g}."
    return f"**Time**: about {whole} minutes to read{less}; {rest}"


def write() -> int:
    """State the minutes in every notebook, in notebook 00's map and in the README's; 0."""
    paths = sorted(execute.NOTEBOOKS.glob("*.ipynb"))
    books = {path: execute.read(path) for path in paths}
    readme = execute.ROOT / "README.md"
    for path in [*paths, readme]:
        text = path.read_text(encoding="utf-8")
        if path in books:
            said = statement(books[path])
            text = re.sub(STATED, said, text, count=1)
        for other, book in books.items():
            row = rf"(\| \[{other.stem[:2]}\]\((?:notebooks/)?{other.name}\) \|.*\| )[\d, or]+( \|)"
            text = re.sub(row, rf"\g<1>{in_the_map(book)}\g<2>", text)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(write())
