"""Figures: one style, one colour-blind-safe palette, alt text that travels with the picture.

Each plotting function takes arrays and an ``ax``. Colours are Okabe & Ito's (jfly.uni-koeln.de),
and a colour never stands alone: each has a line of its own, each reduction a look of its own.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
import re
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.quiver import Quiver
from matplotlib.text import Text
from PIL import Image, PngImagePlugin

from coursekit import guards

COLOURS = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "pink": "#CC79A7",
    "amber": "#E69F00",
    "sky": "#56B4E9",
    "black": "#000000",
}
_DASHES = ("-", "--", ":", "-.", (0, (4, 2, 1, 2, 1, 2)), (0, (1, 3)), "-")
LINES = dict(zip(COLOURS.values(), _DASHES, strict=True))
LOOKS = {  # a reduction looks the same in every notebook: colour, mark, line
    "sum": ("blue", "o", "-"),
    "episode_mean": ("orange", "s", "--"),
    "step_mean": ("green", "^", ":"),
    "typical": ("pink", "D", "-."),
}
DPI = 144
SLIDE = 1168, 540  # pixels that a slide of 1280 × 720 has for a figure below its heading
SMALLEST = 720 / 40  # of these pixels: text that can be read in the last row
EYES = {  # linear RGB as others see it: grey print, and Viénot, Brettel and Mollon (1999)
    "grey": [[0.2126, 0.7152, 0.0722]] * 3,
    "protan": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
    "deutan": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
}


def style() -> None:
    """Set the course's figure style, and four digits for printed arrays, for this session."""
    np.set_printoptions(precision=4, suppress=True)
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 3.6),
            "figure.constrained_layout.use": True,
            "axes.prop_cycle": plt.cycler(color=list(COLOURS.values())),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.25,
            "font.size": 11,
            "legend.frameon": False,
            "lines.linewidth": 2,
        }
    )


def rounded(values: np.ndarray | float, digits: int = 4) -> np.ndarray | float:
    """Round for display, and turn −0 into 0, so that printed numbers are the same everywhere.

    ValueError for what is no number.
    """
    result = np.round(guards.reals("values", values), digits) + 0.0
    return result if result.ndim else float(result)


def show(fig: Figure, *, alt: str) -> None:
    """Display a figure with alt text, as an HTML image and as a bare one, and close it.

    HTML, because alt text in output metadata reaches no reader in JupyterLab or nbconvert: these,
    VS Code and nbviewer show it. GitLab prefers a bare image (its notebook/cells/output/index.vue),
    GitHub cleans HTML before it shows it (github.com/jupyter/nbdime/issues/638), others drop it:
    they have image/png. In a palette both together are smaller than one in full colour.

    The alt text is what the notebook tests compare, so build it from the numbers that are drawn.
    Names of the code in legends and titles are shown as words. ValueError for an alt text that is
    no sentence of five words, for arms that only colour tells apart, for a reduction without its
    look, for other names of the code, and for text that nobody could read on a slide.
    """
    guards.instance("fig", fig, Figure, "the first that plt.subplots() gives")
    if not isinstance(alt, str) or len(alt.split()) < 5:
        raise ValueError(f"alt text {alt!r} is too short; say what the figure shows, with numbers")
    if not alt.endswith(".") or re.search(r"[\[{] ?[-'\d\[]|_", alt):
        raise ValueError(f"alt text {alt!r} is no sentence; see plots.words")
    _name_in_words(fig)
    if faults := [*alike(fig), *out_of_look(fig), *in_code(fig), *too_small(fig)]:
        raise ValueError("; ".join(faults))
    data = base64.b64encode(_png(fig)).decode("ascii")
    plt.close(fig)
    width = int(fig.get_size_inches()[0] * 100)
    shown = (
        f'<img alt="{html.escape(alt, quote=True)}" width="{width}" '
        f'style="max-width:100%" src="data:image/png;base64,{data}">'
    )
    plain = {"image/png": {"alt": alt, "width": width}}
    display({"text/html": shown, "image/png": data}, metadata=plain, raw=True)


def _png(fig: Figure) -> bytes:
    """The picture in 256 colours; it says how much of its height the smallest text takes."""
    buffer, small = io.BytesIO(), io.BytesIO()
    fig.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    share = min(map(Text.get_fontsize, _texts(fig)), default=0) / (72 * fig.get_size_inches()[1])
    kept = PngImagePlugin.PngInfo()
    kept.add_text("Smallest text", f"{share:.4f}")  # a deck makes the picture large enough
    picture = Image.open(buffer).convert("RGB")
    picture = picture.quantize(256, dither=Image.Dither.NONE)
    picture.save(small, format="png", optimize=True, pnginfo=kept)
    return small.getvalue()


def words(value: Any) -> str:
    """Numbers, names, lists and dicts as a part of a sentence, for alt text.

    {"sum": [1.0, 2.5], "episode_mean": 3} is "sum 1 and 2.5; episode mean 3".
    """
    if isinstance(value, str):
        return value.replace("_", " ")
    if isinstance(value, dict):
        parts = [f"{words(key)} {words(entry)}" for key, entry in value.items()]
        return ("; " if any(isinstance(v, _MANY) for v in value.values()) else ", ").join(parts)
    if isinstance(value, _MANY):
        *first, last = [words(entry) for entry in value]
        return " and ".join([", ".join(first), last]) if first else last
    return f"{value + 0.0:g}"


_MANY = (list, tuple, np.ndarray, dict)


def look(name: str, **more: Any) -> dict[str, Any]:
    """How a reduction is drawn: keywords colour, marker, linestyle, label; ``more`` replaces some.

    ValueError for a reduction without a look.
    """
    guards.one_of("reduction", name, LOOKS)
    colour, marker, line = LOOKS[name]
    shown = {"color": COLOURS[colour], "marker": marker, "linestyle": line, "label": words(name)}
    return shown | more


def _arms(ax: Axes) -> dict[str, Artist]:
    """Label -> what draws it, for everything in axes that a legend would name."""
    handles, labels = ax.get_legend_handles_labels()
    first = [handle[0] if isinstance(handle, tuple) else handle for handle in handles]
    return dict(zip(labels, first, strict=True))


def _texts(fig: Figure) -> list[Text]:
    """All text that a figure shows."""
    fig.draw_without_rendering()  # only then ticks have labels
    return [text for text in fig.findobj(Text) if text.get_visible() and text.get_text().strip()]


def _name_in_words(fig: Figure) -> None:
    """Legends, titles and labels of axes: "episode_mean" becomes "episode mean"."""
    legends = [text for legend in fig.findobj(Legend) for text in legend.get_texts()]
    titles = [text for ax in fig.axes for text in (ax.title, ax.xaxis.label, ax.yaxis.label)]
    for text in legends + titles:
        if "$" not in text.get_text():
            text.set_text(words(text.get_text()))


def alike(fig: Figure) -> list[str]:
    """Arms on the same axes that only colour tells apart.

    Those of one shape, and those whose entries in the legend look the same to one of EYES.
    """
    faults = []
    for ax in fig.axes:
        drawn = {label: (_shape(arm), _ink(arm)) for label, arm in _arms(ax).items()}
        for (other, a), (label, b) in itertools.combinations(drawn.items(), 2):
            if a[0] == b[0] or unlike(a[1], b[1]) < 20:
                faults.append(f"only colour tells {label!r} from {other!r}; give it a line or mark")
    return faults


def _shape(artist: Artist) -> tuple:
    """What is left of an artist without its colour."""
    if isinstance(artist, Line2D):
        line = artist.get_linestyle(), artist._unscaled_dash_pattern
        return "line", str(line), str(artist.get_marker()), artist.get_linewidth()
    hatch = artist.get_hatch() if hasattr(artist, "get_hatch") else None
    width = getattr(artist, "width", None)  # of arrows
    return type(artist).__name__, hatch, width


def _ink(arm: Artist) -> np.ndarray:
    """How dark each point of an arm's entry in a legend is for each of EYES, (E, height, width).

    Arrows are drawn here as wide as they are, since a legend does not do it.
    """
    if isinstance(arm, Quiver):
        arm = Line2D([], [], color=arm.get_facecolor()[0], linewidth=1000 * arm.width)
    fig = Figure(figsize=(0.8, 0.4), dpi=DPI)
    fig.legend([arm], [""], loc="center", handlelength=5, frameon=False)
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    rgb = np.asarray(canvas.buffer_rgba())[..., :3] / 255
    return np.stack([1 - seen_by(rgb, eye).mean(-1) for eye in EYES])


def seen_by(rgb: np.ndarray, eye: str) -> np.ndarray:
    """Colours from 0 to 1, (…, 3), as one of EYES sees them; the curves are those of sRGB."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(EYES[eye]), 0, 1)
    return np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


def unlike(a: np.ndarray, b: np.ndarray) -> int:
    """At how many points two inks are clearly unlike, for the eye that sees the fewest of them."""
    return int((np.abs(a - b) > 0.3).sum((1, 2)).min())


def out_of_look(fig: Figure) -> list[str]:
    """Lines that are labelled as a reduction and do not have its colour, line or mark."""
    faults = []
    for label, artist in ((label, arm) for ax in fig.axes for label, arm in _arms(ax).items()):
        name = label.partition(":")[0].replace(" ", "_")
        if name in LOOKS and isinstance(artist, Line2D):
            wanted = look(name)
            same = to_rgb(artist.get_color()) == to_rgb(wanted["color"])
            line, mark = artist.get_linestyle(), artist.get_marker()
            same &= line in ("None", wanted["linestyle"])
            same &= mark in ("None", None, "", ".", wanted["marker"])
            if not same:
                faults.append(f"{label!r} is drawn in another look; use plots.look({name!r})")
    return faults


def in_code(fig: Figure) -> list[str]:
    """Text that shows a name of the code, apart from formulas."""
    named = {t.get_text() for t in _texts(fig) if re.search(r"\w_\w", t.get_text())}
    return [f"{text!r} is code; plots.words says it" for text in sorted(named) if "$" not in text]


def too_small(fig: Figure) -> list[str]:
    """Text below SMALLEST where the figure is as large as a slide can show it."""
    width, height = fig.get_size_inches()
    least = 72 * SMALLEST / min(SLIDE[0] / width, SLIDE[1] / height)
    small = {text.get_text().strip(): text.get_fontsize() for text in _texts(fig)}
    return [
        f"{text!r} has {size:g} points; on a slide {least:.1f} can be read"
        for text, size in small.items()
        if size < least - 1e-9
    ]


def learning_curve(ax: Axes, returns: np.ndarray, label: str, colour: str, window: int = 1) -> None:
    """Median over learners with the band from quartile to quartile, single learners behind.

    The legend says so, with their number; the line is the colour's own. ``returns``, ``window``
    and errors as in ``band``.
    """
    x, smooth, (low, middle, high) = band(returns, window)
    ax.plot(x, smooth.T, color=colour, linewidth=0.5, alpha=0.35)
    ax.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    line = {"color": colour, "linestyle": LINES.get(colour, "-")}
    ax.plot(x, middle, label=f"{label}: median, quartiles of {len(smooth)}", **line)


def band(returns: np.ndarray, window: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What ``learning_curve`` draws: updates, smoothed rows, and their quartiles with the median.

    ``returns`` (L, U): one row a learner, one column an update; each row is first averaged over a
    sliding window of ``window`` updates. -> (V,), (L, V), (3, V) with V = U − window + 1.
    ValueError where the window does not fit into U.
    """
    returns = np.atleast_2d(guards.finite("returns", returns))
    if returns.ndim != 2 or not len(returns):
        raise ValueError(f"returns have shape {returns.shape}; they must be (L, U), L above 0")
    if not guards.is_whole(window) or not 1 <= window <= returns.shape[1]:
        raise ValueError(f"window {window} does not fit {returns.shape[1]} updates")
    sums = np.cumsum(np.pad(returns, ((0, 0), (1, 0))), axis=1)
    smooth = (sums[:, window:] - sums[:, :-window]) / window
    x = np.arange(window, returns.shape[1] + 1)
    return x, smooth, np.percentile(smooth, [25, 50, 75], axis=0)


def cartpole_strip(axes: np.ndarray, obs: np.ndarray, times: list[int]) -> None:
    """Draw the cart and its pole at some times of an episode, one on each of ``axes``, centred.

    ``obs`` (T, 4): position, velocity, angle (radians, to the right), angular velocity.
    """
    for ax, t in _frames(axes, obs, times, 4):
        x, angle = float(obs[t, 0]), float(obs[t, 2])
        ax.add_patch(plt.Rectangle((x - 0.4, -0.25), 0.8, 0.25, color=COLOURS["black"]))
        ax.plot([x, x + np.sin(angle)], [0, np.cos(angle)], color=COLOURS["amber"], linewidth=5)
        ax.set(xlim=(x - 0.8, x + 0.8), ylim=(-0.35, 1.1), aspect="equal", xticks=[], yticks=[])
        ax.spines["left"].set_visible(False)
        ax.set_title(f"t = {t}", fontsize=10)


def _frames(axes: np.ndarray, obs: np.ndarray, times: list[int], width: int) -> list[tuple]:
    """Each of the axes with its time; ValueError where there is no such picture to draw."""
    axes, shape = np.ravel(axes), np.shape(obs)
    if len(shape) != 2 or shape[1] != width or not len(axes) == len(times):
        raise ValueError(
            f"{len(axes)} axes, times {times}, obs of shape {shape}: give one time for each of the "
            f"axes, and obs (T, {width})"
        )
    guards.below("times", np.asarray(times), shape[0])
    return list(zip(axes, times, strict=True))


def vector_field(ax: Axes, x: np.ndarray, y: np.ndarray, field: np.ndarray, colour: str) -> None:
    """Arrows of one length, centred on the points: the direction of a field, not its size.

    ``x`` (X,), ``y`` (Y,): the grid; ``field`` (Y, X, 2): the vector at (x[i], y[j]) is
    ``field[j, i]``. A point where it is zero gets no arrow. ValueError where shapes disagree.
    """
    x, y = (np.atleast_1d(guards.finite(name, v)) for name, v in (("x", x), ("y", y)))
    field = guards.finite("field", field)
    if field.shape != (len(y), len(x), 2):
        raise ValueError(f"field has shape {field.shape}; x and y say {(len(y), len(x), 2)}")
    size = np.linalg.norm(field, axis=-1)
    X, Y = np.meshgrid(x, y)
    keep = size > 0
    U, V = (field[keep] / size[keep][:, None]).T
    ax.quiver(X[keep], Y[keep], U, V, color=colour, pivot="mid", scale=1.6 * len(x), alpha=0.6)


def pendulum_strip(axes: np.ndarray, obs: np.ndarray, times: list[int]) -> None:
    """Draw the pendulum at some times of an episode, one on each of ``axes``; up is up.

    ``obs`` (T, 3): cosine and sine of the angle from the top (to the left), angular velocity.
    """
    for ax, t in _frames(axes, obs, times, 3):
        cos, sin = float(obs[t, 0]), float(obs[t, 1])
        ax.plot([0, -sin], [0, cos], color=COLOURS["amber"], linewidth=6, solid_capstyle="round")
        ax.plot(0, 0, "o", color=COLOURS["black"], markersize=4)
        ax.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal", xticks=[], yticks=[])
        ax.spines[["left", "bottom"]].set_visible(False)
        ax.set_title(f"t = {t}", fontsize=10)


def car_strip(axes: np.ndarray, obs: np.ndarray, times: list[int]) -> None:
    """Draw MountainCar's hill, flag and car at some times, one on each of ``axes``.

    ``obs`` (T, 2): position and velocity; the arrow points along the velocity.
    """
    x = np.linspace(-1.2, 0.6, 100)
    for ax, t in _frames(axes, obs, times, 2):
        position, velocity = float(obs[t, 0]), float(obs[t, 1])
        ax.plot(x, np.sin(3 * x), color=COLOURS["black"], linewidth=1)
        ax.plot([0.5, 0.5], [np.sin(1.5), np.sin(1.5) + 0.5], color=COLOURS["green"], linewidth=2)
        height = np.sin(3 * position) + 0.12
        ax.plot(position, height, "o", color=COLOURS["orange"], markersize=7)
        end = (position + 6 * velocity, height)
        ax.annotate("", end, (position, height), arrowprops={"arrowstyle": "->", "linewidth": 1.5})
        ax.set(xlim=(-1.3, 0.75), ylim=(-1.2, 1.7), xticks=[], yticks=[])
        ax.spines[["left", "bottom"]].set_visible(False)
        ax.set_title(f"t = {t}", fontsize=10)


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """The slope of the least-squares line through (log x, log y): the exponent of a power law.

    (N,), (N,) -> number. ValueError for fewer than two different x, and for values not above 0.
    """
    x, y = guards.reals("x", x), guards.reals("y", y)
    good = x.ndim == 1 and x.shape == y.shape and len(set(x)) > 1
    if not good or not all(np.all((v > 0) & (v < np.inf)) for v in (x, y)):
        raise ValueError(f"a slope on log-log axes needs two or more positive pairs; got {x}, {y}")
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])
