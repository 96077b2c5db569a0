"""The minutes that a notebook states are counted by a rule."""

import re
from pathlib import Path

import nbformat
import pytest
import reading

from coursekit.publish import minutes

ROOT = Path(__file__).resolve().parent.parent
BOOKS = {path.stem: reading.book(path) for path in reading.PATHS}
AGAIN = "run `python -m coursekit.publish.minutes`, which counts again and writes the numbers"


def cell(source, kind="-", code=False, name="c-1", outputs=()):
    make = nbformat.v4.new_code_cell if code else nbformat.v4.new_markdown_cell
    more = {"outputs": [nbformat.v4.new_output("stream", text=x) for x in outputs]} if code else {}
    return make(source, metadata={"slideshow": {"slide_type": kind}}, id=name, **more)


def small(*cells):
    book = nbformat.v4.new_notebook()
    for i, given in enumerate(cells):
        name = f"c-{i}" if given.id == "c-1" else given.id
        book.cells.append(nbformat.from_dict(given | {"id": name}))
    return book


@pytest.mark.parametrize(
    ("given", "takes"),
    [
        (cell("word " * 300), 2),
        (cell("word " * 150 + "$$x \\tag{1.1}$$ $$y$$"), 2),
        (cell("word " * 149 + "*Predict:*"), 1.5),
        (cell("[a word](an_address_that_nobody_reads.ipynb) " * 75), 1),
        (cell("x = 1\n\n# said\n" * 12, code=True), 1),
        (cell("x = 1\n" * 20, "skip", code=True), 0.5),
        (cell("x = 1\n" * 20, code=True, outputs=["<img src='data:;base64,AA'>"]), 1),
    ],
)
def test_what_one_cell_takes_by_hand(given, takes):
    assert minutes.minutes_of(given) == pytest.approx(takes)


def test_setup_notes_exercises_quizzes_and_references_are_left_out():
    page = cell("word " * 750)
    apart = [
        cell("x = 1\n" * 900, code=True, name="setup"),
        cell("word " * 900, "notes"),
        cell("word " * 900, name="ex-1-1"),
        cell("word " * 900, name="quiz-1"),
        cell("## References\n" + "word " * 900),
        cell("word " * 900),
    ]
    assert minutes.reading(small(page)) == 5
    assert minutes.reading(small(page, *apart)) == 5
    assert minutes.reading(small(page, page)) == 10


def test_the_short_way_leaves_marked_sections_out_and_no_other():
    mark = "## 2. More\n\n" + minutes.SKIPPED
    book = small(cell("word " * 750), cell(mark), cell("word " * 1500), cell("## 3. End"))
    assert (minutes.reading(book), minutes.reading(book, short=True)) == (15, 5)
    assert minutes.in_the_map(book) == "15, or 5"
    assert minutes.statement(book).startswith(
        "**Time**: about 15 minutes to read, 5 without what may be skipped; exercises 0; "
    )


def test_cards_and_notes_are_added_up():
    book = small(
        cell("### Exercise 1.1 · A\n*★☆☆ · 5 minutes · code*\n\n9 minutes", name="ex-1-1"),
        cell("### Exercise 1.2 · B\n*★★★ · 1 minute*", name="ex-1-2"),
        cell("> **Speaker's notes · 2½ min.** Ask.", "notes"),
        cell("> **Speaker's notes · ½ min.** Ask.", "notes"),
    )
    assert minutes.exercises(book) == 6
    questions = "**1.** Which?\n\n1. a\n2. b\n\n**2.** And now?\n\n1. a"
    assert minutes.quiz(small(cell(questions, name="quiz-1"), cell("**3.** No."))) == 2
    assert minutes.lecture(book) == 3


def test_half_minutes_are_stated_and_stated_again():
    book = small(cell("> **Speaker's notes · 2½ min.** Ask.", "notes"))
    said = minutes.statement(book)
    assert said.endswith("; as a lecture 2.5.")
    assert re.sub(minutes.STATED, "new.", f"{said} Then.") == "new. Then."


@pytest.mark.parametrize("stem", BOOKS)
def test_a_notebook_states_what_the_rule_counts(stem):
    book = BOOKS[stem]
    text = "\n".join(c.source for c in book.cells if c.cell_type == "markdown")
    stated = re.search(minutes.STATED, text)[0]
    read = int(re.search(r"about (\d+) minutes to read", stated)[1])
    assert abs(read - minutes.reading(book)) <= 5, AGAIN
    for words in ("exercises", "quiz", "as a lecture"):
        count = getattr(minutes, words.rpartition(" ")[2])
        assert f"; {words} {count(book):g}" in stated, AGAIN
    short = re.search(r", (\d+) without what may be skipped", stated)
    assert bool(short) == (minutes.SKIPPED in text), AGAIN
    assert not short or abs(int(short[1]) - minutes.reading(book, short=True)) <= 5, AGAIN


def test_what_does_not_fit_an_hour_can_be_shortened():
    for stem, book in BOOKS.items():
        if stem[:2] != "14" and minutes.reading(book) > 60:  # 14 is looked up, not read through
            assert minutes.reading(book, short=True) < minutes.reading(book), stem


@pytest.mark.parametrize("table", ["README.md", "notebooks/00_start_here.ipynb"])
def test_the_maps_state_what_the_notebooks_state(table):
    text = (ROOT / table).read_text(encoding="utf-8")
    row = r"\| \[\d\d\]\((?:notebooks/)?(\w+)\.ipynb\) \|.*\| (\d+)(?:, or (\d+))? \|"
    rows = {stem: numbers for stem, *numbers in re.findall(row, text)}
    assert len(rows) >= len(BOOKS) - 1  # 00 need not list itself
    for stem, (whole, short) in rows.items():
        less = f", {short} without what may be skipped" if short else ""
        said = f"**Time**: about {whole} minutes to read{less};"
        assert any(said in c.source for c in BOOKS[stem].cells), (stem, AGAIN)
