"""What a figure shows is what its arrays say, and it carries its alt text."""

import base64
import re

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from coursekit import plots

matplotlib.use("agg")


@pytest.fixture
def ax():
    with plt.rc_context(), np.printoptions():
        plots.style()
        figure, axes = plt.subplots()
        yield axes
        plt.close(figure)


@pytest.fixture
def shown(monkeypatch):
    """What would have been displayed."""
    made = []
    monkeypatch.setattr(plots, "display", lambda data, **more: made.append(data["text/html"]))
    return made


# show


def test_show_emits_a_picture_with_escaped_alt_text(ax, shown):
    plots.show(ax.figure, alt='the "sum" is < 3 & the mean > 4.')
    (tag,) = shown
    assert 'alt="the &quot;sum&quot; is &lt; 3 &amp; the mean &gt; 4."' in tag
    data = re.fullmatch(r'<img .* src="data:image/png;base64,([A-Za-z0-9+/=]+)">', tag).group(1)
    assert base64.b64decode(data).startswith(b"\x89PNG")


def test_show_closes_the_figure_so_that_it_is_not_displayed_twice(ax, shown):
    plots.show(ax.figure, alt="a straight line from 0 to 1.")
    assert not plt.fignum_exists(ax.figure.number)


def test_show_rejects_an_alt_text_that_says_nothing_and_repeats_it(ax, shown):
    with pytest.raises(ValueError, match="alt text 'a learning curve' is too short"):
        plots.show(ax.figure, alt="a learning curve")
    assert shown == []


def test_show_takes_an_alt_text_of_five_words(ax, shown):
    plots.show(ax.figure, alt="One two three four five.")
    assert len(shown) == 1


@pytest.mark.parametrize("alt", [None, 3, ""])
def test_show_refuses_an_alt_text_that_is_none(ax, shown, alt):
    with pytest.raises(ValueError, match=f"alt text {alt!r} is too short"):
        plots.show(ax.figure, alt=alt)


@pytest.mark.parametrize("fig", [None, "figure"])
def test_show_refuses_what_is_no_figure(fig):
    with pytest.raises(ValueError, match=f"fig {fig!r} is no Figure; give one, such as the first"):
        plots.show(fig, alt="One two three four five.")


# learning_curve: three learners, four updates, skewed so that the median is not the mean

RETURNS = np.array([[0.0, 2.0, 4.0, 6.0], [1.0, 1.0, 1.0, 1.0], [10.0, 0.0, 2.0, 4.0]])


def test_a_learning_curve_is_the_median_of_the_smoothed_learners(ax):
    plots.learning_curve(ax, RETURNS, "sum", "black", window=2)
    *single, middle = ax.lines
    np.testing.assert_allclose(
        [line.get_ydata() for line in single], [[1, 3, 5], [1] * 3, [5, 1, 3]]
    )
    np.testing.assert_array_equal(middle.get_xdata(), [2, 3, 4])
    np.testing.assert_allclose(middle.get_ydata(), [1, 1, 3])
    assert middle.get_label() == "sum: median, quartiles of 3"


def test_the_band_goes_from_quartile_to_quartile(ax):
    plots.learning_curve(ax, RETURNS, "sum", "black", window=2)
    corners = ax.collections[0].get_paths()[0].vertices
    edges = [
        (corners[corners[:, 0] == x, 1].min(), corners[corners[:, 0] == x, 1].max())
        for x in (2, 3, 4)
    ]
    np.testing.assert_allclose(edges, [(1, 3), (1, 2), (2, 4)])


def test_a_window_of_one_changes_nothing_and_one_learner_is_its_own_median(ax):
    plots.learning_curve(ax, RETURNS[2], "sum", "black")
    np.testing.assert_array_equal(ax.lines[-1].get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), RETURNS[2])


@pytest.mark.parametrize("window", [0, -1, 5, 1.5, "2"])
def test_a_window_that_does_not_fit_is_repeated(ax, window):
    with pytest.raises(ValueError, match=f"window {window} does not fit 4 updates"):
        plots.learning_curve(ax, RETURNS, "sum", "black", window=window)


def test_a_window_of_all_updates_leaves_one_point(ax):
    plots.learning_curve(ax, RETURNS, "sum", "black", window=4)
    assert ax.lines[-1].get_xdata().tolist() == [4]


@pytest.mark.parametrize(
    ("returns", "message"),
    [
        (np.zeros((0, 3)), r"returns have shape \(0, 3\); they must be \(L, U\), L above 0"),
        (np.zeros((2, 3, 4)), r"returns have shape \(2, 3, 4\); they must be \(L, U\)"),
        (np.zeros((3, 0)), "window 1 does not fit 0 updates"),
        ([[1.0, np.nan]], "returns holds a NaN or an infinity"),
        ([[1.0, 2.0], [1.0]], "returns .* must be a number or an array of numbers"),
        ("abc", "returns 'abc' must be a number or an array of numbers"),
    ],
)
def test_returns_that_make_no_curve_are_refused(ax, returns, message):
    with pytest.raises(ValueError, match=message):
        plots.learning_curve(ax, returns, "sum", "black")


# slope


@pytest.mark.parametrize("exponent", [-1.5, 0.0, 2.0])
def test_slope_is_the_exponent_of_a_power_law_whatever_the_factor(exponent):
    x = np.array([1.0, 3.0, 7.0, 50.0])
    assert plots.slope(x, 0.3 * x**exponent) == pytest.approx(exponent, abs=1e-12)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([1.0], [1.0]),
        ([0.0, 1.0], [1.0, 2.0]),
        ([1.0, 2.0], [1.0, -2.0]),
        ([1.0, 2.0], [1.0, np.nan]),
        ([1.0, 2.0], [1.0, np.inf]),
        ([1.0, 2.0, 3.0], [1.0, 2.0]),
        ([2.0, 2.0], [1.0, 3.0]),
    ],
)
def test_slope_needs_two_positive_pairs_and_repeats_what_it_got(x, y):
    with pytest.raises(ValueError, match=r"two or more positive pairs; got \[" + f"{x[0]:g}"):
        plots.slope(x, y)


# style and rounding


def test_style_sets_palette_and_printed_digits():
    with plt.rc_context(), np.printoptions():
        plots.style()
        assert plt.rcParams["axes.prop_cycle"].by_key()["color"] == list(plots.COLOURS.values())
        assert str(np.array([1 / 3, 1e-9])) == "[0.3333 0.    ]"


def test_rounded_turns_minus_zero_into_zero():
    assert str(plots.rounded(np.array([-1e-9, -0.123456]))) == "[ 0.     -0.1235]"


def test_the_strip_draws_cart_and_pole_where_the_observation_says():
    _, axes = plt.subplots(1, 2)
    obs = np.array([[0.0, 0, 0, 0], [1.5, 0, np.pi / 6, 0]])
    plots.cartpole_strip(axes, obs, [0, 1])
    x, y = axes[1].lines[0].get_data()
    np.testing.assert_allclose([x[0], x[1], y[1]], [1.5, 2.0, np.cos(np.pi / 6)])
    assert axes[1].patches[0].get_x() == pytest.approx(1.1)
    plt.close("all")


@pytest.mark.parametrize("draw", [plots.cartpole_strip, plots.pendulum_strip, plots.car_strip])
@pytest.mark.parametrize("times", [[0], [0, 1, 2], [0, 3], [0, -1], [0, 0.5]])
def test_a_strip_refuses_times_that_do_not_fit_its_axes_or_the_episode(draw, times):
    width = {plots.cartpole_strip: 4, plots.pendulum_strip: 3, plots.car_strip: 2}[draw]
    _, axes = plt.subplots(1, 2)
    with pytest.raises(ValueError, match=r"times .*(give one time for each|from 0 to 2)"):
        draw(axes, np.zeros((3, width)), times)
    with pytest.raises(ValueError, match=rf"and obs \(T, {width}\)"):
        draw(axes, np.zeros((3, 5)), [0, 1])
    assert not any(ax.lines or ax.patches for ax in axes)
    plt.close("all")


def test_rounding_leaves_no_minus_zero_and_gives_numbers_for_numbers():
    assert str(plots.rounded([-1e-9, 0.12345])) == "[0.     0.1234]"
    assert plots.rounded(0.126, 2) == 0.13
    assert type(plots.rounded(1.0)) is float


# vector_field: two rows, three columns, one vector zero, lengths that differ

FIELD = np.array([[[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]], [[-1.0, 0.0], [5.0, 0.0], [1.0, 1.0]]])


def test_a_vector_field_shows_directions_at_their_points_and_leaves_out_zeros(ax):
    plots.vector_field(ax, [10.0, 20.0, 30.0], [1.0, 2.0], FIELD, "black")
    (arrows,) = ax.collections
    drawn = {(x, y): (u, v) for (x, y), u, v in zip(arrows.XY, arrows.U, arrows.V, strict=True)}
    half = 0.5**0.5
    assert drawn.keys() == {(10, 1), (30, 1), (10, 2), (20, 2), (30, 2)}
    np.testing.assert_allclose(drawn[10, 1], (0.6, 0.8))
    np.testing.assert_allclose(drawn[30, 1], (0, -1))
    assert arrows.pivot == "middle"  # centred on the points
    assert arrows.scale == pytest.approx(1.6 * 3)  # 1.6 of them would fill a column
    np.testing.assert_allclose(drawn[10, 2], (-1, 0))
    np.testing.assert_allclose(drawn[30, 2], (half, half))


def test_a_vector_field_of_another_shape_is_rejected_with_both_shapes(ax):
    with pytest.raises(ValueError, match=r"field has shape \(2, 3, 2\); .* \(3, 2, 2\)"):
        plots.vector_field(ax, [1.0, 2.0], [1.0, 2.0, 3.0], FIELD, "black")


def test_a_vector_field_that_is_not_finite_is_refused(ax):
    with pytest.raises(ValueError, match="field holds a NaN or an infinity"):
        plots.vector_field(
            ax, [1.0, 2.0, 3.0], [1.0, 2.0], np.where(FIELD == 5, np.nan, FIELD), "b"
        )


def test_the_strips_draw_rod_and_car_where_the_observation_says():
    _, axes = plt.subplots(2, 2)
    angle = np.pi / 6  # to the left of the top
    plots.pendulum_strip(axes[0], np.array([[-1, 0, 0], [np.cos(angle), 0.5, 1]]), [0, 1])
    x, y = axes[0, 1].lines[0].get_data()
    np.testing.assert_allclose([x[1], y[1]], [-0.5, np.cos(angle)])
    plots.car_strip(axes[1], np.array([[-0.5, 0.0], [0.3, 0.05]]), [1, 0])
    x, y = axes[1, 0].lines[-1].get_data()
    np.testing.assert_allclose([x[0], y[0]], [0.3, np.sin(0.9) + 0.12])
    arrow = axes[1, 0].texts[0]
    assert arrow.xy[0] > arrow.xyann[0]  # along a positive velocity
    assert axes[1, 0].get_title() == "t = 1"
    plt.close("all")
