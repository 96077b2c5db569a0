"""Figures that everybody can read: in grey print, colour-blind, on a slide, by a screen reader.

``plots.show`` draws the arms of each figure as grey print and colour-blind readers see them, and
refuses a figure in which two look alike: no notebook can be run with one. Here the refusals are
seen to work, and the stored pictures are looked at.
"""

import ast
import base64
import html
import io
import re

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import reading
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from coursekit import plots
from coursekit.publish import page, slides

IMAGE = re.compile(r'<img alt="([^"]*)" width="(\d+)".*?base64,([\w+/=]+)', flags=re.DOTALL)


@pytest.fixture
def ax():
    with plt.rc_context(), np.printoptions():
        plots.style()
        fig, ax = plt.subplots()
        yield ax
        plt.close(fig)


def figures(path):
    for cell in reading.book(path).cells:
        for output in cell.get("outputs", []):
            for alt, width, data in IMAGE.findall(output.get("data", {}).get("text/html", "")):
                yield cell.id, html.unescape(alt), int(width), data


def no_sentence(alt):
    """What a screen reader would read out as code."""
    return bool(re.search(r"[\[{] ?[-'\d\[]|_|'\w+':", alt)) or not alt.endswith(".")


@pytest.mark.parametrize("path", reading.PATHS, ids=lambda path: path.stem)
def test_each_alt_text_reads_as_a_sentence(path):
    found = list(figures(path))
    assert len(found) >= 3
    assert [(cell, alt) for cell, alt, *_ in found if no_sentence(alt)] == []


@pytest.mark.parametrize(
    "alt",
    ["Three rates at p: {'sum': [1.0, 2.0]}.", "It ends at 3", "Of the arms episode_mean is 2."],
)
def test_an_alt_text_that_is_code_is_seen_and_refused(ax, alt):
    assert no_sentence(alt)
    ax.plot([1, 2])
    with pytest.raises(ValueError, match=r"sentence|too short"):
        plots.show(ax.figure, alt=alt)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([1.0, 1.25, 2], "1, 1.25 and 2"),
        ([3], "3"),
        (np.array([-0.0, 0.5]), "0 and 0.5"),
        ({"sum": 86, "episode_mean": 22}, "sum 86, episode mean 22"),
        (
            {"no baseline": {"sum": 1, "mean": 2}, "b": [1, 2]},
            "no baseline sum 1, mean 2; b 1 and 2",
        ),
        ("per_time_step", "per time step"),
    ],
)
def test_values_become_part_of_a_sentence(value, said):
    assert plots.words(value) == said


# --- Not by colour alone.


def drawn(**style):
    """How dark an arm's entry in the legend is for each of EYES."""
    fig, ax = plt.subplots()
    (line,) = ax.plot([1, 2], **style)
    plt.close(fig)
    return plots._ink(line)


@pytest.mark.parametrize("part", [{"marker": None}, {"linestyle": "None"}], ids=["lines", "marks"])
def test_two_reductions_leave_unlike_ink_in_grey_and_for_colour_blind_eyes(part):
    arms = [drawn(**plots.look(name, **part)) for name in plots.LOOKS]
    assert min(plots.unlike(a, b) for i, a in enumerate(arms) for b in arms[:i]) > 20


def test_in_grey_the_same_lines_in_blue_and_orange_are_nearly_alike():
    blue, orange = (drawn(color=plots.COLOURS[colour]) for colour in ("blue", "orange"))
    assert plots.unlike(blue, orange) == 0
    assert plots.unlike(drawn(color="black"), drawn(color="0.6")) > 100  # by how dark they are


def test_what_others_see_of_a_colour():
    red, green = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    assert np.ptp(plots.seen_by(red, "grey")) < 1e-12  # grey has no hue
    assert plots.seen_by(green, "grey")[0] > plots.seen_by(red, "grey")[0]
    for eye in ("protan", "deutan"):  # red and green differ by how light they are, not by hue
        assert np.isclose(*plots.seen_by(red, eye)[:2])
        assert np.isclose(*plots.seen_by(green, eye)[:2])
    assert np.allclose([plots.seen_by(np.ones(3), eye) for eye in plots.EYES], 1, atol=2e-2)


@pytest.mark.parametrize("dashes", [(0, (20, 0.2)), (0, (30, 0.1))])
def test_dashes_that_nobody_can_see_are_refused(ax, dashes):
    ax.plot([1, 2], label="a")
    ax.plot([1, 2], color="r", ls=dashes, label="b")
    assert len(plots.alike(ax.figure)) == 1


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax, k: ax.plot([1, 2], color=("b", "r")[k], label="ab"[k]),
        lambda ax, k: ax.plot([1, 2], "o-", color=("b", "r")[k], label="ab"[k]),
        lambda ax, k: ax.errorbar([1, 2], [1, 2], 1, color=("b", "r")[k], label="ab"[k]),
        lambda ax, k: ax.bar([k], [1], color=("b", "r")[k], label="ab"[k]),
    ],
    ids=["lines", "marks", "error bars", "bars"],
)
def test_arms_that_only_colour_tells_apart_are_refused(ax, draw):
    for k in (0, 1):
        draw(ax, k)
    with pytest.raises(ValueError, match="only colour tells 'b' from 'a'"):
        plots.show(ax.figure, alt="Two arms, both go up by 1.")


def test_learning_curves_have_each_a_line_of_their_own(ax):
    for name, colour in (("sum", "blue"), ("mean", "orange")):
        plots.learning_curve(ax, np.ones((4, 9)), name, plots.COLOURS[colour])
    assert plots.alike(ax.figure) == []


def test_a_reduction_in_a_foreign_look_is_refused(ax):
    ax.plot([1, 2], "^:", color=plots.COLOURS["orange"], label="episode_mean")
    with pytest.raises(ValueError, match="'episode_mean' is drawn in another look"):
        plots.show(ax.figure, alt="One arm, it goes up by 1.")


def test_look_is_a_line_that_show_takes_and_an_unknown_reduction_is_repeated(ax):
    for k, name in enumerate(plots.LOOKS):
        ax.plot([k, k + 1], **plots.look(name))
    assert plots.out_of_look(ax.figure) == plots.alike(ax.figure) == []
    with pytest.raises(ValueError, match="reduction 'avg' is unknown"):
        plots.look("avg")


# --- Words, and large enough.


def test_names_of_the_code_are_shown_as_words(ax, monkeypatch):
    monkeypatch.setattr(plots, "display", lambda *shown, **more: None)
    ax.plot([1, 2], **plots.look("episode_mean", label="episode_mean"))
    ax.set(title="baseline: per_time_step", xlabel="$z_t$")
    ax.legend()
    plots.show(ax.figure, alt="One arm, it goes up by 1.")
    assert ax.get_legend().get_texts()[0].get_text() == "episode mean"
    assert ax.get_title() == "baseline: per time step"
    assert ax.get_xlabel() == "$z_t$"


def test_other_text_that_is_code_is_refused(ax):
    ax.set_yticks([0, 1], ["wrong_sign", "no log"])
    with pytest.raises(ValueError, match="'wrong_sign' is code"):
        plots.show(ax.figure, alt="One arm, it goes up by 1.")


@pytest.mark.parametrize(
    ("size", "points", "fine"),
    [
        ((6.4, 3.6), 8.6, False),  # as high as there is room: 150 px an inch
        ((6.4, 3.6), 8.7, True),
        ((9.6, 3), 10.6, False),  # as wide: 121.7 px an inch
        ((9.6, 3), 10.7, True),
    ],
)
def test_text_that_nobody_could_read_on_a_slide_is_refused(size, points, fine):
    fig, ax = plt.subplots(figsize=size)
    ax.tick_params(labelsize=12)
    ax.text(0.5, 0.5, "small print", fontsize=points)
    faults = plots.too_small(fig)
    plt.close(fig)
    assert (faults == []) == fine
    assert fine or "'small print'" in faults[0]


@pytest.mark.parametrize("path", reading.PATHS, ids=lambda path: path.stem)
def test_a_picture_has_the_dots_of_a_slide_and_its_smallest_text_can_be_read(path):
    for cell, _, width, data in figures(path):
        picture = Image.open(io.BytesIO(base64.b64decode(data)))
        assert picture.format == "PNG"
        assert picture.width >= 1.4 * width, cell
        scale = min(plots.SLIDE[0] / picture.width, plots.SLIDE[1] / picture.height)
        assert scale * picture.height * float(picture.text["Smallest text"]) >= 17.9, cell


@pytest.mark.parametrize("path", reading.PATHS, ids=lambda path: path.stem)
def test_a_figure_is_stored_as_html_and_as_the_same_picture_alone_with_its_alt_text(path):
    for cell in reading.book(path).cells:
        for output in cell.get("outputs", []):
            if found := IMAGE.search(output.get("data", {}).get("text/html", "")):
                alt, _, data = found.groups()
                assert output.data["image/png"].replace("\n", "") == data, cell.id
                assert output.metadata["image/png"]["alt"] == html.unescape(alt)


# --- How many, and how sure.

SAMPLED = r"(?:\d+|two|three|five) (?:\w+ )?(?:seeds|learners|runs)\b"
DRAWN = r"\b(?:errorbar|fill_between)\("  # what plots.learning_curve draws, its legend explains
HOW_MANY = rf"{SAMPLED}|\bof \d+\b"
HOW_SURE = r"quartiles|95 %|\brange of|largest|single|\brun \{"


def legends(source):
    """The strings of a piece of code, those of the alt text apart."""
    nodes = list(ast.walk(ast.parse(source)))
    shows = [n for n in nodes if isinstance(n, ast.Call) and ast.unparse(n.func) == "plots.show"]
    alts = {n.id for show in shows for n in ast.walk(show) if isinstance(n, ast.Name)} - {"fig"}
    apart = [n for n in nodes if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) in alts]
    hidden = {inner for part in shows + apart for inner in ast.walk(part)}
    strings = [n for n in nodes if isinstance(n, ast.Constant | ast.JoinedStr) and n not in hidden]
    return " ".join(map(ast.unparse, strings))


def without_n_or_interval(book):
    """Figures with error bars or bands, or of several runs, whose slide lacks n or the interval.

    Looked at are the prose on the slide and the strings of the code, those of the notebook's
    functions that draw included.
    """
    functions, bad = {}, []
    for cell in book.cells:
        for node in ast.parse(cell.source).body if cell.cell_type == "code" else ():
            if isinstance(node, ast.FunctionDef):
                functions[node.name] = ast.unparse(node)
    for slide in slides.show(book):
        for cell in filter(page.is_figure, slide.cells):
            parts = [cell.source]
            for part in parts:  # grows by what it calls
                called = [functions.get(name) for name in re.findall(r"\w+(?=\()", part)]
                parts += [c for c in dict.fromkeys(called) if c and c not in parts]
            code, said = "\n".join(parts), slide.prose + " ".join(map(legends, parts))
            several = re.search(SAMPLED, re.search('alt="([^"]*)"', str(cell.outputs))[1])
            drawn = re.search(DRAWN, code) or (several and "learning_curve(" not in code)
            if drawn and not (re.search(HOW_MANY, said) and re.search(HOW_SURE, said)):
                bad.append(cell.id)
    return bad


@pytest.mark.parametrize("path", reading.PATHS, ids=lambda path: path.stem)
def test_bars_and_bands_are_explained_on_their_slide(path):
    assert without_n_or_interval(reading.book(path)) == []


def test_bars_that_nobody_explains_are_seen():
    def says(code, caption="", helper="", alt="It is 3."):
        figure = new_output("display_data", {"text/html": f'<img alt="{alt}" src="base64,AA">'})
        cells = [new_code_cell(helper), new_code_cell(code, outputs=[figure])]
        cells += [new_markdown_cell(caption)]
        for cell, kind in zip(cells, ("slide", "subslide", "-"), strict=True):
            cell.metadata["slideshow"] = {"slide_type": kind}
        found = without_n_or_interval(nbformat.from_dict(new_notebook(cells=cells)))
        return len(found) == 0

    bars = "ax.errorbar(x, y, e)"
    assert not says(bars)
    assert says(bars, "*Bars: 95 % of 64 seeds.*")
    assert not says(bars, "*Bars: 95 %.*")
    assert not says(bars, "*64 seeds.*")
    assert not says(f'{bars}\ntext = "95 % of 64 seeds"\nplots.show(fig, alt=text)')
    assert says(f'{bars}\nax.legend(title="mean of 64, 95 %")\nplots.show(fig, alt="A")')
    assert not says("draw(ax)", helper=f"def draw(ax):\n    {bars}")
    assert not says("ax.plot(x)", alt="Mean of 3 seeds.")
    assert says("ax.plot(x)")
