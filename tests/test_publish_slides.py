"""Decks: from the stored outputs, whole without a network, and no slide runs over its edge."""

import contextlib
import html
import itertools
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from coursekit import explorables
from coursekit.publish import build, page, slides

NUMBERS = itertools.count()
PIXEL = '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" alt="one of 3">'
ROW = {"kind": "claim", "tag": "1.1", "holds": True, "value": 3.456, "op": ">", "bound": 2.0}
ROWS = [
    ROW | {"margin": 0.728},
    {"kind": "equation", "tag": "1.2", "holds": True, "value": 2e-16, "bound": 1e-12},
]
MEASURE = r"""step => {
  const over = [];
  let number = 0;
  for (const section of document.querySelectorAll(".slides > section > section")) {
    if (number++ % step) continue;
    const at = Reveal.getIndices(section);
    Reveal.slide(at.h, at.v, 99);
    const frame = document.querySelector(".slides").getBoundingClientRect();
    const scale = frame.width / 1280;
    let low = 0, right = 0;
    for (const element of section.querySelectorAll(".body *")) {
      if (element.closest("svg, mjx-assistive-mml")) continue;
      const box = element.getBoundingClientRect();
      low = Math.max(low, (box.bottom - frame.top) / scale);
      right = Math.max(right, (box.right - frame.left) / scale);
    }
    const size = parseFloat(getComputedStyle(section.querySelector(".body")).fontSize);
    const notes = section.querySelector(".notes");
    for (const image of section.querySelectorAll(".figure img[data-smallest]")) {
      if (!image.dataset.smallest) continue;
      const box = image.getBoundingClientRect(), { naturalWidth: w, naturalHeight: h } = image;
      const text = (Math.min(box.width / w, box.height / h) * h * image.dataset.smallest) / scale;
      if (text < 17.5) over.push([section.id, "text of a figure", text]);
    }
    const texts = document.createTreeWalker(section.querySelector(".body"), NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) { // mathematics and exponents may be smaller
      const { data, parentElement: in_ } = texts.currentNode;
      if (!data.trim() || in_.closest("svg, mjx-container, sup, sub")) continue;
      const px = parseFloat(getComputedStyle(in_).fontSize);
      if (px < 18) over.push([section.id, "small text", px, data]);
    }
    const said = section.querySelector(".body").cloneNode(true);
    said.querySelectorAll("h6, mjx-assistive-mml").forEach(e => e.remove());
    const words = (said.textContent.match(/\S+/g) ?? []).length;
    if (words < 8 && !said.querySelector("img, iframe, mjx-container"))
      over.push([section.id, "says nothing", said.textContent]);
    if (!low || low > 700 || right > 1280 || size < 18 || notes?.offsetHeight)
      over.push([section.id, Math.round(low), Math.round(right), size]);
  }
  return over;
}"""


def cell(kind, source, outputs=(), tags=(), name=None):
    name = name or f"cell-{next(NUMBERS)}"
    new = new_code_cell(source, outputs=list(outputs)) if outputs or tags else None
    new = new or new_markdown_cell(source)
    new.id, new.metadata = name, nbformat.from_dict({"slideshow": {"slide_type": kind}})
    new.metadata["tags"] = list(tags)
    return new


def text(words):
    return new_output("stream", text=words)


FIGURE = new_output(
    "display_data",
    {"text/html": PIXEL.replace("one of 3", "Area against rate, 200 learners: 38 and 28.")},
)


def shown(*cells, stored=None):
    """The deck's body, of a notebook with these cells."""
    made = slides.deck(new_notebook(cells=list(cells)), stored or {"verified": ROWS, "live": {}})
    return made.split('<div class="slides">')[1]


def test_a_figure_stands_without_its_code_and_long_code_is_left_out():
    figure = new_output("display_data", {"text/html": PIXEL})
    body = shown(
        cell("slide", "# A title"),
        cell("-", "run(1)", [text("a number")]),
        cell("-", "draw(2)", [figure]),
        cell("-", "\n".join(f"x{k} = {k}" for k in range(13)), [text("thirteen")]),
        cell("-", 'print(f"{rows}")', [text("a row")]),
        cell("skip", "plumbing", [text("hidden")]),
    )
    words = re.sub(r"<[^>]*>", "", body)
    assert "run(1)" in words
    assert "draw(2)" not in words
    assert PIXEL in body
    assert "x12" not in words
    assert "13 lines of code" in words
    assert "thirteen" in words
    assert "print(" not in words
    assert "a row" in words
    assert "plumbing" not in words
    assert "hidden" not in words


def test_long_code_stands_alone_on_a_slide_and_is_left_out_where_it_shows_nothing():
    program = "\n".join(f"x{k} = {k}" for k in range(16))
    alone, beside = shown(
        cell("slide", program, tags=["a"]),
        cell("slide", "# A title"),
        cell("-", program, tags=["a"]),
    ).split('<section id="')[1:]
    assert "x15" in re.sub(r"<[^>]*>", "", alone)
    assert "lines of code" not in alone
    assert "x15" not in re.sub(r"<[^>]*>", "", beside)
    assert "lines of code" not in beside


def test_a_claim_says_bound_measured_value_and_margin_and_an_equation_what_was_compared():
    check = 'verify.claim("1.1", value, ">", 2)'
    body = shown(
        cell("slide", "**Claim 1.1.** It is more than twice as long."),
        cell("-", check, [text("✓ claim 1.1: the measured value is > 2\n")]),
        cell("subslide", 'verify.equation("1.2", mine, yours)', [text("✓ equation 1.2: …")]),
        cell("subslide", check, [text("✓ claim 1.1: …")], name="again"),
    )
    claim, equation, again = body.split("<section id=")[1:]
    assert "measured <b>3.46</b> &gt; 2" in claim
    assert "margin 73% of the bound" in claim
    assert claim.count("more than twice") == 1
    assert again.count("more than twice") == 1  # repeated where it does not stand on the slide
    assert "the measured value is" not in body
    assert "<code>mine</code> = <code>yours</code>" in equation
    assert "2 · 10<sup>−16</sup>, allowed 1 · 10<sup>−12</sup>" in equation


@pytest.mark.parametrize(
    ("row", "scale", "words"),
    [
        (ROW | {"op": "==", "margin": 0}, "", "exactly"),
        (ROW | {"margin": None}, "", "without limit"),
        (ROW | {"margin": 32.87}, "", "margin 32.9 × the bound"),
        (ROW | {"margin": 3.21}, "error", "margin 3.2 × <code>error</code>"),
        (ROW | {"bound": 0.0, "margin": 0.5}, "", "margin 0.5"),
    ],
)
def test_margins_in_words(row, scale, words):
    assert page.margin(row, scale) == words


def test_a_live_cell_says_how_long_it_runs():
    run = cell("slide", "train()", [text("done")], ["nbval-ignore-output"], "training")
    assert "runs about 7 s" in shown(run, stored={"verified": [], "live": {"training": 7}})
    assert "live" in shown(run)
    assert "live" not in shown(cell("slide", "1 + 1", [text("2")]))


@pytest.mark.parametrize(
    ("cells", "title"),
    [
        ([("Some *words*.", ())], "Some words. …"),
        ([("draw()", [FIGURE])], "Area against rate, 200 learners"),
        (
            [("draw()", [FIGURE]), ("*Bars: 95 % of 64 seeds.*", ())],
            "Area against rate, 200 learners",
        ),
        (
            [('verify.claim("1.1", 3, ">", 2)\nverify.claim("1.2", 3, ">", 2)', ["✓"])],
            "Claim 1.1, 1.2",
        ),
        ([("train()", ["done"])], "2. The run (code)"),
    ],
    ids=["words", "figure", "caption", "claims", "code"],
)
def test_a_slide_without_a_heading_is_called_by_what_stands_on_it(cells, title):
    made = [cell("slide", "## 2. The run")]
    made += [
        cell("-" if k else "subslide", source, [x if x is FIGURE else text(x) for x in shown])
        for k, (source, shown) in enumerate(cells)
    ]
    assert slides.show(new_notebook(cells=made))[1].title == title


def test_notes_are_notes_and_belong_to_their_slide():
    note = "<details><summary>Speaker's notes · 1½ min</summary>\n\nAsk *them*.\n\n</details>"
    first, second = shown(
        cell("slide", "# A", name="first"), cell("notes", note), cell("subslide", "B", name="b")
    ).split("</section>", 1)
    assert '<aside class="notes">' in first
    assert "<strong>Speaker's notes · 1½ min.</strong>" in first
    assert "<em>them</em>" in first
    assert "aside" not in second
    assert slides.plain("> **Speaker's notes · 3 min.** Ask.\n> Wait.") == (
        "**Speaker's notes · 3 min.** Ask.\nWait."
    )


def test_exercises_and_quizzes_say_what_wrong_answers_are_told():
    exercise = cell("slide", "### Exercise 4.1\n*★☆☆ · 5 minutes*", name="ex-4-1")
    body = shown(
        cell("slide", "# 04 · The mean"), exercise, cell("slide", "**2.** …", name="quiz-2")
    )
    assert "Exercise · 5 min" in body
    assert "upside down: the mean makes the step smaller" in body
    assert "right: g/(g + ε) with g = ε." in body
    assert "that is SGD" in body
    closing = cell("slide", "**3.** …\n\n1. a\n\n**4.** …", name="quiz-2")
    body = shown(cell("slide", "# 13 · Capstone"), closing)
    assert "Quiz · 2 min" in body
    assert body.index("Question 3:") < body.index("right: ") < body.index("Question 4:")


def test_a_slide_without_heading_is_called_by_its_first_words_and_formulas_stay_whole():
    prose = "**What** [remains](04_x.ipynb) at large $B = E[n]$, so many words that none is left."
    (slide,) = slides.show(new_notebook(cells=[cell("slide", prose)]))
    assert slide.title == "What remains at large $B = E[n]$, so many words that …"


def test_links_lead_to_decks():
    assert 'href="03_x.html"' in page.prose("See [notebook 03](03_x.ipynb#there).")
    assert "href" not in page.prose("The [glossary](GLOSSARY.md#term).")


@pytest.fixture(scope="module")
def decks(tmp_path_factory, publishing):
    """All decks, built once; and a second build has nothing to do."""
    out = tmp_path_factory.mktemp("build") / "slides"
    slides.build(out)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*_*.html")}
    slides.build(out)
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("*_*.html")}
    return sorted(before)


@pytest.fixture
def offline(browser):
    """A window of 1280 × 720 without a network."""
    size = {"width": 1280, "height": 720}
    with contextlib.closing(browser.new_context(viewport=size, offline=True)) as context:
        context.set_default_timeout(120_000)
        yield context


def opened(context, path):
    """The deck in a new tab, laid out; and what it complained of or asked of a network."""
    tab, said = context.new_page(), []
    tab.on("request", lambda r: said.append(r.url) if r.url[:5] not in ("file:", "data:") else 0)
    tab.on("requestfailed", lambda request: said.append(request.url[:200]))
    tab.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(Path(path).as_uri())
    tab.wait_for_selector("html.ready", state="attached")
    return tab, said


@pytest.mark.slow
def test_no_page_names_another_machine(decks):
    for path in decks:
        source = re.sub(r'<a href="[^"]*"', "", path.read_text(encoding="utf-8"))
        assert not re.findall(r'(?:src|href)="(?:https?:)?//[^"]*', source), path.name
    assert len(decks) == len(list(build.NOTEBOOKS.glob("*.ipynb")))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(15))
def test_no_slide_runs_over_its_edge_and_nothing_is_asked_of_a_network(decks, offline, number):
    tab, said = opened(offline, decks[number])
    assert tab.evaluate(MEASURE, 1) == []
    assert cut(tab) == []
    tab.set_viewport_size({"width": 1920, "height": 1080})
    tab.wait_for_function("Reveal.getScale() == 1.5")  # a transform: the same layout, larger
    assert tab.evaluate(MEASURE, 6) == []
    assert tab.locator("mjx-merror").count() == 0
    assert said == []


@pytest.mark.slow
def test_keys_go_on_and_back_and_the_speakers_view_has_the_notes(decks, offline):
    tab, _ = opened(offline, decks[0])
    first = tab.evaluate("Reveal.getCurrentSlide().id")
    tab.keyboard.press("ArrowRight")
    second = tab.evaluate("Reveal.getCurrentSlide().id")
    assert second != first
    tab.keyboard.press("ArrowLeft")
    assert tab.evaluate("Reveal.getCurrentSlide().id") == first
    tab.goto(Path(decks[0]).as_uri() + "#/" + second)  # a jump, by the address
    tab.wait_for_function("name => Reveal.getCurrentSlide().id == name", arg=second)
    with offline.expect_page() as speaker:
        tab.keyboard.press("s")
    speaker.value.wait_for_function("document.body.innerText.includes(' min.')")


@pytest.mark.slow
def test_a_slide_that_runs_over_is_seen(decks, offline):
    tab, _ = opened(offline, decks[0])
    tab.evaluate("document.querySelectorAll('.body')[1].innerHTML += '<p>more</p>'.repeat(40)")
    tab.evaluate("document.querySelectorAll('.body')[2].style.fontSize = '12px'")
    small = "document.querySelector('img[data-smallest]')"
    tab.evaluate(f"{small}.style.height = '90px'; {small}.dataset.smallest = '0.034'")
    tab.evaluate("document.querySelectorAll('.body')[3].innerHTML = '<h6>Over it</h6><p>True</p>'")
    found = tab.evaluate(MEASURE, 1)
    assert len({place for place, *_ in found}) == 4
    assert {"small text", "says nothing", "text of a figure"} <= {what for _, what, *_ in found}


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory, publishing):
    """Opens a deck with these cells; see ``opened``."""
    out = tmp_path_factory.mktemp("small") / "slides"
    out.mkdir()
    page.assets(out.parent / "assets")

    def open_(context, *cells):
        path = out / f"{next(NUMBERS)}.html"
        made = slides.deck(new_notebook(cells=list(cells)), {"verified": ROWS, "live": {}})
        path.write_text(made, encoding="utf-8")
        return opened(context, path)[0]

    return open_


def contents(tab):
    """What each slide says."""
    return tab.evaluate("[...document.querySelectorAll('.body')].map(body => body.textContent)")


LINE = "A sentence of a dozen words that fills a line, or half of it.\n\n"


@pytest.mark.slow
def test_no_output_is_parted_from_its_code_and_no_line_that_leads_on_from_what_follows(
    offline, laid_out
):
    program, made = "\n".join(f"line_{k} = {k}" for k in range(6)), []
    for lines in range(6, 16):  # of some of these slides, all but the output fits on the first
        made.append(cell("slide", f"# A\n\n{LINE * lines}In our own words:"))
        made.append(cell("-", program, [text("True\n")]))
    slides_ = contents(laid_out(offline, *made))
    assert len(slides_) > 12
    assert ["line_5" in said for said in slides_] == ["True" in said for said in slides_]
    assert ["own words" in said for said in slides_] == ["True" in said for said in slides_]


@pytest.mark.slow
def test_a_claim_is_not_parted_from_its_sentence(offline, laid_out):
    sentence, made = "**Claim 1.1.** It is more than twice as long.", []
    for lines in (3, 14, 15, 16, 17):
        made.append(cell("slide", f"# A\n\n{sentence}\n\n{LINE * lines}"))
        made.append(cell("-", 'verify.claim("1.1", value, ">", 2)', [text("✓ claim 1.1: …")]))
    said = [slide for slide in contents(laid_out(offline, *made)) if "measured" in slide]
    assert len(said) == 5
    assert all(slide.count("more than twice as long") == 1 for slide in said)


@pytest.mark.slow
@pytest.mark.parametrize("name", explorables.TITLES)
def test_a_page_with_sliders_is_not_cut_on_its_slide(name, offline, laid_out):
    shown = explorables_output(name)
    words = "## Here are more than eight words, for it says something"
    tab = laid_out(offline, cell("slide", words), cell("subslide", "show()", [shown]))
    assert tab.evaluate(MEASURE, 1) == []
    assert cut(tab) == []


def explorables_output(name):
    """What ``explorables.show`` puts into a notebook."""
    source = html.escape(explorables.page(name))
    frame = f'<iframe title="{name}" sandbox="allow-scripts" srcdoc="{source}"></iframe>'
    return new_output("display_data", {"text/html": frame})


def cut(tab):
    """(height of what a frame holds, its own height) of each frame on the slides that is cut."""
    found = []
    for frame in tab.query_selector_all(".slides iframe"):
        at = "element => Reveal.getIndices(element.closest('section'))"
        tab.evaluate(
            f"element => {{ const at = ({at})(element); Reveal.slide(at.h, at.v); }}", frame
        )
        inside = frame.content_frame()
        inside.wait_for_function("innerHeight > 100 && window.result")
        sizes = inside.evaluate("[document.documentElement.scrollHeight, innerHeight]")
        if sizes[0] > sizes[1]:
            found.append(sizes)
    return found
