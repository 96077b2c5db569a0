"""The site: what becomes of a notebook, and, in the built pages, that nothing is broken or lost."""

import copy
import html
import json
import re
import warnings

import nbformat
import pytest

from coursekit.publish import execute, marks, site

v4 = nbformat.v4
PNG = (  # 4 × 3
    "iVBORw0KGgoAAAANSUhEUgAAAAQAAAADCAIAAAA7ljmRAAAADElEQVR4nGNgIAoAAAAnAAHKRxGqAAAAAElFTkSuQmCC"
)
PICTURE = f'<img alt="A line rises to 3." width="640" src="data:image/png;base64,{PNG}">'


def cell(kind, source, identity="c", slide="-", outputs=(), **metadata):
    new = v4.new_code_cell(source) if kind == "code" else v4.new_markdown_cell(source)
    new.id = identity
    new.metadata = nbformat.from_dict({"slideshow": {"slide_type": slide}, **metadata})
    if kind == "code":
        new.outputs = list(outputs)
    return new


@pytest.fixture
def book():
    """A notebook that has one of everything."""
    text = "## 1. A\n\n$$x=1 \\tag{5.1}$$\n\n**Claim 5.1.** It holds.\n\n### Exercise 5.1 · Do"
    drawn = v4.new_output("display_data", {"text/html": PICTURE, "image/png": PNG})
    return v4.new_notebook(
        cells=[
            cell("markdown", "# 05 · Title\n\nA question.", "title"),
            cell("markdown", "> **Speaker's notes · 3 min.** Secret.", "notes-a", "notes"),
            cell("code", "import math", "setup"),
            cell("markdown", text, "text"),
            cell("code", "show(fig)", "draws", outputs=[drawn]),
            cell("code", "x_solution = 1", "ex-5-1-solution", tags=["solution"]),
            cell("markdown", "<details><summary>Hint 1</summary>Use $x$.</details>", "hints"),
        ]
    )


def test_a_page_has_no_notes_and_its_solutions_imports_and_plotting_code_are_folded(book, tmp_path):
    page = site.page(book, "05_a", tmp_path)
    assert "Secret" not in site.prose(page)
    folded = {c.id: c.metadata.get("tags", []) for c in page.cells if c.cell_type == "code"}
    assert folded == {
        "setup": ["hide-input"],
        "draws": ["hide-input"],
        "ex-5-1-solution": ["solution", "hide-cell"],
    }
    assert 'href="notebooks/05_a.ipynb"' in page.cells[0].source
    assert page.cells[0].source.startswith("# 05 · Title\n")


def test_a_public_repository_gives_each_page_buttons_that_open_the_notebook(book, tmp_path):
    alone = site.page(copy.deepcopy(book), "05_a", tmp_path)
    assert "mybinder" not in alone.cells[0].source
    said = site.page(book, "05_a", tmp_path, "some-one/course").cells[0].source
    links = re.findall(r'href="(https:[^"]*)"', said)
    assert links == [
        "https://mybinder.org/v2/gh/some-one/course/HEAD?labpath=notebooks/05_a.ipynb",
        "https://colab.research.google.com/github/some-one/course/blob/HEAD/notebooks/05_a.ipynb",
    ]


def test_the_public_repository_is_read_from_one_setting(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "ROOT", tmp_path)
    for said in ("", "some-one/course"):
        (tmp_path / "pyproject.toml").write_text(f'[tool.coursekit]\nrepository = "{said}"\n')
        assert site.repository() == said
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\n")
    assert site.repository() == ""
    (tmp_path / "pyproject.toml").write_text('[tool.coursekit]\nrepository = "https://x.org"\n')
    with pytest.raises(ValueError, match=r"'https://x\.org' in pyproject\.toml must be like"):
        site.repository()


def test_a_figure_becomes_a_file_with_its_alt_text_and_is_shown_once(book, tmp_path):
    page = site.page(book, "05_a", tmp_path)
    (data,) = (o.data for c in page.cells if c.id == "draws" for o in c.outputs)
    assert set(data) == {"text/html"}
    name = re.search(r'src="(_static/figures/\w+\.png)"', data["text/html"])[1]
    assert 'alt="A line rises to 3."' in data["text/html"]
    assert 'height="480"' in data["text/html"]  # at a width of 640: its place is kept
    assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_hints_are_markdown_and_raw_anchors_are_targets():
    text = site.markdown(
        '<a id="my-answer"></a>\n### Why?\n\n<details><summary>H</summary>$x$</details>'
    )
    assert "(my-answer)=\n### Why?" in text
    assert "<details><summary>H</summary>\n\n$x$\n\n</details>" in text


@pytest.fixture
def known(book):
    return marks.known({"05_a": site.prose(book), "06_b": "## 2. B\n\n**Claim 6.2.** Yes."})


@pytest.mark.parametrize(
    ("text", "page", "to"),
    [
        ("by (5.1)", "06_b", "05_a.html#equation-5-1"),
        ("see (6.2)", "05_a", "06_b.html#claim-6-2"),
        ("Claim 6.2", "05_a", "06_b.html#claim-6-2"),
        ("exercise 5.1", "06_b", "05_a.html#exercise-5-1"),
        ("notebook 06", "05_a", "06_b.html"),
        ("notebook 06, section 2", "05_a", "06_b.html#section-2"),
        ("notebook 06, section 9", "05_a", "06_b.html"),
        ("Section 1", "05_a", "05_a.html#section-1"),
        ("(5.9)", "05_a", None),
        ("section 7", "05_a", None),
    ],
)
def test_a_number_in_prose_leads_to_its_place(known, text, page, to):
    found = marks.REFERENCE.search(text)
    assert marks.target(found, page, None, known) == to


def test_a_number_below_an_equation_is_a_link_in_a_link_is_none_and_is_found_by_the_search(known):
    from docutils import nodes
    from docutils.utils import new_document
    from sphinx.addnodes import index

    page, written = new_document("05_a"), nodes.paragraph("", "(5.1) says so, and ")
    written += [nodes.raw("", '<a href="x">', format="html"), nodes.Text("by (5.1)")]
    page += [nodes.math_block("", "x=1 \\tag{5.1}"), written]
    page += nodes.paragraph("", "Claim 5.1. It holds.")
    marks.anchors(page, {})
    entries = [entry[1:3] for node in page.findall(index) for entry in node["entries"]]
    assert entries == [
        ("(5.1)", "equation-5-1"),
        ("equation 5.1", "equation-5-1"),
        ("claim 5.1", "claim-5-1"),
    ]
    marks.links(page, "05_a", known)
    assert [link.astext() for link in written.findall(nodes.reference)] == ["(5.1)"]
    assert written.astext() == '(5.1) says so, and <a href="x">by (5.1)'


def test_a_section_of_the_notebook_that_was_named_before_is_that_notebooks(known):
    found = marks.REFERENCE.search(", section 2: x")
    assert marks.target(found, "05_a", "06_b", known) == "06_b.html#section-2"
    assert marks.target(found, "06_b", None, known) == "06_b.html#section-2"


def test_the_glossary_gives_each_of_its_words_an_anchor():
    rows = '| REINFORCE, VPG | <a id="term-vpg"></a>$x$ of *b*. |\n| loop (of calls) | Y. |\n'
    text = f"| word | meaning |\n|---|---|\n{rows}"
    assert marks.terms(text) == {"REINFORCE": "term-vpg", "VPG": "term-vpg", "loop": "term-loop"}
    linked = site.markdown("a [*bias*](GLOSSARY.md#term-bias).")
    assert linked == 'a <a class="term" href="GLOSSARY.html#term-bias">*bias*</a>.'


def test_what_was_verified_is_said_with_bound_value_and_margin(book):
    lines = [
        {"kind": "equation", "tag": "5.1", "value": 2e-16, "bound": 1e-12},
        {"kind": "claim", "tag": "5.1", "value": 3.0, "op": ">", "bound": 2.0, "margin": 0.5},
    ]
    said = site.verified("05_a", book, {"seed": 7, "verified": lines})
    assert "| (5.1) | 2.0e-16 | 1e-12 |" in said
    assert "| claim 5.1 | It holds. | bound: > 2; measured: 3, margin 0.5 |" in said
    assert "master seed 7" in said
    assert "No run" in site.verified("05_a", book, None)


def test_a_docstring_is_text_apart_from_code_and_blocks():
    text = "Σ_t z_t and x_ of *args, ``a_*b``::\n\n    kept_ *as* it is\nBack x_."
    assert marks.plain(text).splitlines() == [
        r"Σ_t z_t and x\_ of \*args, ``a_*b``::",
        "",
        "    kept_ *as* it is",
        r"Back x\_.",
    ]
    assert marks.plain("Call it:\n\n    f(*x)\n\nThen *go*.").splitlines() == [
        *("Call it:", "", "::", "", "    f(*x)", "", r"Then \*go\*.")
    ]


def test_a_module_becomes_a_page_without_being_imported(tmp_path, monkeypatch):
    (tmp_path / "coursekit" / "exercises").mkdir(parents=True)
    source = (
        '"""What it is for.\n\nMore."""\n\ndef f(x: int = 3, *more) -> int:\n    """Say it."""\n'
    )
    source += "def _g(): pass\nraise SystemExit\nclass C:\n    def m(self):\n        'It *does*.'\n"
    (tmp_path / "coursekit" / "one.py").write_text(source)
    (tmp_path / "coursekit" / "exercises" / "two.py").write_text(source)
    monkeypatch.setattr(site, "ROOT", tmp_path)
    assert list(site.modules()) == ["one"]
    (page,) = site.api().values()
    assert page.startswith(
        ":orphan:\n\ncoursekit.one\n=============\n\n.. py:module:: coursekit.one"
    )
    assert ".. py:function:: f(x: int=3, *more) -> int\n\n   Say it." in page
    assert "   .. py:method:: m(self)\n\n      It \\*does\\*." in page
    assert "_g" not in page
    assert site.first_sentence(tmp_path / "coursekit" / "one.py") == "What it is for."


@pytest.mark.parametrize("end", [KeyboardInterrupt, ValueError])
def test_after_a_build_that_was_stopped_or_has_faults_all_is_made_again(
    publishing, tmp_path, monkeypatch, end
):
    from sphinx import application

    left = [tmp_path / "site" / "half.html", tmp_path / ".site" / "doctrees" / "half.pickle"]
    there = []

    class Sphinx:
        statuscode = 1

        def __init__(self, **settings):
            pass

        def build(self, force_all):
            there.append([path.exists() for path in left])
            for path in left:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            if end is KeyboardInterrupt:
                raise end

    monkeypatch.setattr(application, "Sphinx", Sphinx)
    monkeypatch.setattr(site, "write", lambda sources: {})
    for _ in range(2):
        with pytest.raises(end):
            site.build(tmp_path / "site")
    Sphinx.statuscode, end = 0, ValueError
    site.build(tmp_path / "site")
    site.build(tmp_path / "site")
    assert there == [[False, False]] * 3  # the fourth follows a whole one, and nothing has changed
    left[0].unlink()
    site.build(tmp_path / "site")
    assert there[3:] == [[False, True]]  # a page was gone
    source = tmp_path / ".site" / "sources" / "page.md"
    source.parent.mkdir()
    for text in ("old", "new", "new"):
        source.write_text(text)
        site.build(tmp_path / "site")
    assert there[4:] == [[True, True]] * 2


# --- The whole site, built from the stored outputs.

ADDRESS = re.compile(r'\s(?:href|src)="([^"]*)"')


def written(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pages(folder):
    return {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.html"))}


def anchors(text):
    return set(re.findall(r'\sid="([^"]*)"', text))


def broken(folder):
    """Addresses that lead to no file or to no anchor, and what a page would fetch from outside."""
    texts, bad = pages(folder), []
    there = {name: anchors(text) for name, text in texts.items()}
    for name, text in texts.items():
        for address in map(html.unescape, ADDRESS.findall(text)):
            if re.match(r"https?:|mailto:", address):
                continue
            path, _, fragment = address.partition("#")
            path = path.partition("?")[0]
            target = (folder / path).resolve() if path else folder / name
            if (
                not target.exists()
                or path.startswith("/")
                or (fragment and fragment not in there.get(target.name, {fragment}))
            ):
                bad.append((name, address))
        fetched = re.findall(
            r'<(?:script|img|iframe|link)\b[^>]*(?:src|href)="(https?:[^"]*)"', text
        )
        bad += [(name, address) for address in fetched]
    return bad


def test_a_broken_address_and_one_from_outside_are_seen(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="x"><a href="#x"></a><a href="b.html#y"></a><a href="#no"></a><a href="c.html">'
        '<a href="b.html#no"><a href="/b.html"><a href="https://x.org/"><img src="https://x.org/i">'
    )
    (tmp_path / "b.html").write_text('<h1 id="y">')
    found = [address for _, address in broken(tmp_path)]
    assert found == ["#no", "c.html", "b.html#no", "/b.html", "https://x.org/i"]


@pytest.mark.slow
def test_every_internal_link_and_anchor_resolves_and_nothing_is_fetched_from_outside(built):
    assert len(pages(built)) > 40
    assert broken(built) == []


@pytest.mark.slow
def test_each_equation_claim_exercise_and_answer_has_its_anchor_and_no_note_is_shown(built):
    texts = pages(built)
    for path in execute.NOTEBOOKS.glob("*.ipynb"):
        book = execute.read(path)
        own = marks.known({path.stem: site.prose(book)})
        there = anchors(texts[f"{path.stem}.html"])
        for kind in ("equation", "claim", "exercise"):
            assert {marks.anchor(kind, tag) for tag in own[kind]} <= there, path.stem
        assert set(re.findall(r'<a id="([^"]*)"', site.prose(book))) <= there
        assert "Speaker’s notes" not in texts[f"{path.stem}.html"]
        assert "Speaker's notes" not in texts[f"{path.stem}.html"]
    addresses = [a for text in texts.values() for a in ADDRESS.findall(text) if ".ipynb" in a]
    assert {a.partition("/")[0] for a in addresses} == {"notebooks"}  # to download; pages else


@pytest.mark.slow
def test_what_was_verified_lists_every_equation_and_claim_of_the_report(built):
    text = pages(built)["verified.html"]
    report = json.loads((execute.NOTEBOOKS / "report.json").read_text(encoding="utf-8"))
    for name, entry in report.items():
        for line in entry["verified"]:
            address = f"{name}.html#{marks.anchor(line['kind'], line['tag'])}"
            assert f'href="{address}"' in text, address


@pytest.mark.slow
def test_only_what_changed_is_built_again(built):
    page = built / "05_what_the_mean_optimises.html"
    before, pages_before = page.stat().st_mtime_ns, written(built)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in conftest.py
        assert site.build(built) == built / "index.html"
    assert page.stat().st_mtime_ns == before
    changed = [path.name for path, data in written(built).items() if data != pages_before[path]]
    assert changed == []  # not those either that Sphinx always writes
