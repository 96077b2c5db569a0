"""Figures that everybody can read: in grey print, colour-blind, on a slide, by a screen reader.

What breaks these rules is found in the figure itself, before it is a picture.
"""

import base64
import html
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import reading

from coursekit import plots

IMAGE = re.compile(r'<img alt="([^"]*)" width="(\d+)".*?base64,([\w+/=]+)', flags=re.DOTALL)
# Linear RGB as somebody without red, green or blue cones sees it (Viénot, Brettel and Mollon 1999).
BLIND = {
    "protan": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
    "deutan": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    "grey": [[0.2126, 0.7152, 0.0722]] * 3,
}


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def figures(path):
    for cell in reading.book(path).cells:
        for output in cell.get("outputs", []):
            for alt, width, data in IMAGE.findall(output.get("data", {}).get("text/html", "")):
                yield cell.id, html.unescape(alt), int(width), data


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


def seen_by(rgb, matrix):
    """sRGB colours in 0 … 1, (…, 3), as another eye or a grey printer gives them."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(matrix), 0, 1)
    return np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


def ink(style, eye):
    """How dark each point of a picture with one arm is through other eyes, (height, width)."""
    fig, ax = plt.subplots(figsize=(4, 1))
    ax.plot(np.zeros(6), **style)
    ax.axis("off")
    fig.canvas.draw()
    rgb = np.asarray(fig.canvas.buffer_rgba())[..., :3] / 255
    plt.close(fig)
    return 1 - seen_by(rgb, BLIND[eye]).mean(-1)


def unlike(a, b):
    """From 0, the same picture, to 1, no ink in common."""
    return np.abs(a - b).sum() / (a + b).sum()


@pytest.mark.parametrize("part", [{"marker": None}, {"linestyle": "None"}], ids=["lines", "marks"])
@pytest.mark.parametrize("eye", BLIND)
def test_two_reductions_leave_unlike_ink_in_grey_and_for_colour_blind_eyes(eye, part):
    drawn = [ink(plots.look(name, markersize=9, **part), eye) for name in plots.LOOKS]
    pairs = [unlike(a, b) for i, a in enumerate(drawn) for b in drawn[:i]]
    assert min(pairs) > 0.15


def test_in_grey_the_same_lines_in_blue_and_orange_are_nearly_alike():
    blue, orange = ({"color": plots.COLOURS[colour]} for colour in ("blue", "orange"))
    assert unlike(ink(blue, "grey"), ink(orange, "grey")) < 0.1


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
    (fault,) = plots.alike(ax.figure)
    assert "only colour tells 'b' from 'a'" in fault


def test_learning_curves_have_each_a_line_of_their_own(ax):
    for name, colour in (("sum", "blue"), ("mean", "orange")):
        plots.learning_curve(ax, np.ones((4, 9)), name, plots.COLOURS[colour])
    assert plots.alike(ax.figure) == []


def test_a_reduction_in_a_foreign_look_is_refused(ax):
    ax.plot([1, 2], "^:", color=plots.COLOURS["orange"], label="episode_mean")
    (fault,) = plots.out_of_look(ax.figure)
    assert "'episode_mean' is drawn in another look" in fault


def test_look_is_a_line_that_show_takes_and_an_unknown_reduction_is_repeated(ax):
    for k, name in enumerate(plots.LOOKS):
        ax.plot([k, k + 1], **plots.look(name))
    assert plots.out_of_look(ax.figure) == plots.alike(ax.figure) == []
    with pytest.raises(ValueError, match="reduction 'avg' is unknown"):
        plots.look("avg")


# --- Words, and large enough.


@pytest.mark.parametrize(
    ("size", "points", "fine"),
    [
        ((6.4, 3.6), 6.4, False),
        ((6.4, 3.6), 6.6, True),
        ((9.6, 3), 9.6, False),
        ((9.6, 3), 9.8, True),
    ],
)
def test_text_that_nobody_could_read_on_a_slide_is_refused(size, points, fine):
    fig, ax = plt.subplots(figsize=size)
    ax.text(0.5, 0.5, "small print", fontsize=points)
    faults = plots.too_small(fig)
    plt.close(fig)
    assert (faults == []) == fine
    assert fine or "'small print'" in faults[0]


@pytest.mark.parametrize("path", reading.PATHS, ids=lambda path: path.stem)
def test_a_picture_has_the_dots_of_a_slide(path):
    for cell, _, width, data in figures(path):
        head = base64.b64decode(data[:64])
        assert int.from_bytes(head[16:20], "big") >= 1.4 * width, cell
        assert io.BytesIO(head).read(4) == b"\x89PNG"
