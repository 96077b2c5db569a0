"""Handouts: students see no solution and no folded answer; the card is one page; no code is cut."""

import contextlib
import re
import shutil

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from coursekit.publish import build, handout, page, pdf, slides


@pytest.fixture
def book():
    kinds = [
        new_markdown_cell("## 1. Title\n\n<details><summary>Hint</summary>\n\nthe hint</details>"),
        new_markdown_cell("say it aloud"),
        new_code_cell("the_solution()", metadata={"tags": ["solution"]}),
        new_code_cell("run()", outputs=[new_output("stream", text="shown\n")]),
        new_code_cell("page()", outputs=[new_output("display_data", {"text/html": "<iframe>"})]),
    ]
    kinds[4].outputs[0].data["text/html"] = '<iframe srcdoc="x"></iframe>'
    kinds[1].metadata["slideshow"] = nbformat.from_dict({"slide_type": "notes"})
    return new_notebook(cells=kinds)


def words(book, edition):
    return re.sub(r"<[^>]*>", "", handout.article(book, {}, edition))


def test_students_get_no_solution_and_no_folded_answer_and_nobody_the_speakers_notes(book):
    student, solutions = (words(book, edition) for edition in handout.EDITIONS)
    for hidden in ("the_solution", "the hint"):
        assert hidden not in student
        assert hidden in solutions
    for both in (student, solutions):
        assert "say it aloud" not in both
        assert "run()" in both
        assert "shown" in both
        assert "iframe" not in both


def test_where_no_browser_is_installed_one_sentence_says_which_to_install(monkeypatch):
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="install Chromium, Google Chrome or Edge"):
        pdf.browser()


def test_a_browser_that_makes_nothing_is_said(tmp_path):
    with pytest.raises(ValueError, match="made no x"):
        pdf.write(shutil.which("false") or "false", tmp_path / "x.html", "", tmp_path / "x.pdf")


def test_every_deck_and_handout_has_its_files(tmp_path):
    for folder, names in (("slides", ["04_x", "index"]), ("handout", ["04_x_student", "index"])):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}.html").touch()
    made = pdf.wanted(tmp_path / "pdf", tmp_path / "slides", tmp_path / "handout")
    assert [target.relative_to(tmp_path).as_posix() for *_, target in made] == [
        "pdf/slides/04_x.pdf",
        "pdf/a4/04_x_student.pdf",
        "pdf/letter/04_x_student.pdf",
    ]


@pytest.fixture(scope="module")
def built(tmp_path_factory, publishing, browser_program):
    out = tmp_path_factory.mktemp("build") / "handout"
    handout.build(out)
    return out, browser_program


@pytest.mark.slow
@pytest.mark.parametrize("query", pdf.PAPERS.values(), ids=pdf.PAPERS)
def test_the_reference_card_is_one_page(built, query):
    out, program = built
    target = out / "card.pdf"
    with contextlib.suppress(FileNotFoundError):
        target.unlink()
    pdf.write(program, out / "card.html", query, target)
    assert len(re.findall(rb"/Type\s*/Page\b", target.read_bytes())) == 1


@pytest.fixture(scope="module")
def few(tmp_path_factory, publishing):
    """The card and one handout."""
    out = tmp_path_factory.mktemp("few") / "handout"
    out.mkdir()
    page.assets(out.parent / "assets")
    books = {path.stem: slides.read(path) for path in sorted(build.NOTEBOOKS.glob("*.ipynb"))}
    handout.card(books, out / "card.html")
    (name,) = (name for name in books if name.startswith("05"))
    body = handout.article(books[name], page.report()[name], "student")
    text = handout.PAGE.format(title="05", body=body, kind="student")
    (out / "05.html").write_text(text, encoding="utf-8")
    return out


@pytest.mark.slow
@pytest.mark.parametrize("query", pdf.PAPERS.values(), ids=pdf.PAPERS)
def test_the_reference_card_fills_its_page_and_breaks_no_name(few, browser, query):
    with contextlib.closing(browser.new_page()) as tab:
        tab.goto((few / "card.html").as_uri() + query)
        tab.wait_for_selector("html.ready", state="attached", timeout=120_000)
        assert tab.evaluate("parseFloat(document.body.style.fontSize)") >= 11
        assert "mean_<wbr>leg" in tab.content()
        style = "getComputedStyle(document.querySelector('td code')).overflowWrap"
        assert tab.evaluate(style) == "normal"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["card", "05"])
def test_a_phone_need_not_scroll_a_handout_sideways(few, browser, name):
    with contextlib.closing(browser.new_page(viewport={"width": 390, "height": 800})) as tab:
        tab.goto((few / f"{name}.html").as_uri())
        tab.wait_for_selector("html.ready", state="attached", timeout=120_000)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_a_deck_is_printed_a_slide_a_page(built):
    out, program = built
    book = slides.read(min(build.NOTEBOOKS.glob("*.ipynb")))
    source, target = out.parent / "slides" / "deck.html", out / "deck.pdf"
    source.parent.mkdir(exist_ok=True)
    source.write_text(slides.deck(book, {}), encoding="utf-8")
    pdf.write(program, source, "?print-pdf", target)
    pages = len(re.findall(rb"/Type\s*/Page\b", target.read_bytes()))
    assert len(slides.show(book)) <= pages <= len(slides.show(book)) + 8


@pytest.mark.slow
def test_no_code_is_cut_and_solutions_are_in_their_edition_alone(built, browser):
    out, _ = built
    wide = "[...document.querySelectorAll('pre, table, .figure')].filter(e => "
    wide += "e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().width > 674)"
    with contextlib.closing(browser.new_page(viewport={"width": 673, "height": 1000})) as tab:
        tab.emulate_media(media="print")  # 673: A4 less its margins
        for name in ("04_mean_is_sum_over_n", "12_language_models"):
            tab.goto((out / f"{name}_student.html").as_uri())
            tab.wait_for_selector("html.ready", state="attached", timeout=120_000)
            assert tab.evaluate(f"{wide}.map(e => e.textContent.slice(0, 60))") == []
    for path in sorted(build.NOTEBOOKS.glob("*.ipynb")):
        texts = {e: (out / f"{path.stem}_{e}.html").read_text("utf-8") for e in handout.EDITIONS}
        assert len(re.findall(r"solution \d+\.\d+: correct", texts["solutions"])) >= 3
        assert not re.search(r"solution \d+\.\d+: correct", texts["student"])
