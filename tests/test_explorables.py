"""The pages with sliders: their numbers are Python's, and they need a keyboard and nothing else.

In Chromium by Playwright, where both are; without them what needs no browser is tested.
"""

import html
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import reading
import torch
from scipy.optimize import brentq

from coursekit import answers, explorables, gradients, losses, mdp

ROOT = Path(__file__).resolve().parent.parent
HOME = {"stop_or_walk": "00", "learning_rate": "04", "pool": "12"}  # name -> its notebook
every_page = pytest.mark.parametrize("name", explorables.TITLES)


# Without a browser


@every_page
def test_a_page_is_complete_and_fetches_nothing(name):
    page = explorables.page(name)
    assert "{{" not in page
    assert page.count("<script>") == page.count("</script>") == 1
    assert not re.search(r"https?:|src=|<link|@import|import\(|fetch\(|url\(", page)
    assert f"<title>{explorables.TITLES[name]}</title>" in page
    assert '<html lang="en">' in page
    assert page.count("<h1>") == 1


@every_page
def test_every_control_has_a_label_and_changes_are_said(name):
    page = explorables.page(name)
    controls = re.findall(r'<input type="range" id="(\w+)"', page)
    assert controls
    assert re.findall(r'<label for="(\w+)">[^<]+<output>', page) == controls
    assert '<p id="said" aria-live="polite">' in page
    assert ":focus-visible" in page
    assert "<caption>" in page
    assert len(re.findall(r'<th scope="', page)) >= 4
    assert "Predict, then move" in page
    assert len(re.findall(r"<li>[^<]*(?:<i>[^<]*</i>[^<]*)*\?", page)) >= 3


@every_page
def test_a_notebook_shows_it_by_one_call_and_its_output_is_this_very_page(name):
    (path,) = (ROOT / "notebooks").glob(f"{HOME[name]}_*.ipynb")
    cells = reading.book(path).cells
    (k,) = (i for i, cell in enumerate(cells) if f'explorables.show("{name}")' in cell.source)
    shown = cells[k].outputs[0].data
    assert html.escape(explorables.page(name)) in shown["text/html"]
    assert 'sandbox="allow-scripts"' in shown["text/html"]
    assert explorables.TITLES[name] in shown["text/plain"]
    assert any("*Predict* before you move" in cell.source for cell in cells[k - 2 : k])
    near = [c for c in cells[k - 20 : k + 5] if "alt=" in str(c.get("outputs", ""))]
    assert near, "a stored figure says the same"


def test_an_unknown_page_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match=r"'dial' is unknown; choose from: .*stop_or_walk"):
        explorables.page("dial")


# In the browser


@pytest.fixture
def opened(browser):
    """Opens a page from its text; every error in it and every request is a failure."""
    pages, wrong = [], []

    def go(text):
        page = browser.new_page(viewport={"width": 900, "height": 820})
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("request", lambda request: wrong.append(request.url))
        page.set_content(text)
        pages.append(page)
        return page

    yield go
    for page in pages:
        page.close()
    assert wrong == []


MOVE = """places => {
  for (const [id, place] of Object.entries(places)) document.getElementById(id).value = place;
  document.querySelector("form").dispatchEvent(new Event("input"));
  return window.result;
}"""


def move(page, **places):
    """Put sliders somewhere; what the page then computed."""
    return page.evaluate(MOVE, places)


def cells(page, *names):
    return [page.locator(f"#{name}").inner_text().replace("−", "-") for name in names]


def walk(pay, steps):
    """Stop or walk with another pay and length: a row for each step of the walk."""
    P, R = np.zeros((steps, 2, steps + 1)), np.zeros((steps, 2))
    for s in range(steps):
        P[s, :, min(s + 1, steps)] = 1
    R[-1] = pay
    P[0, 0], P[0, 0, steps], R[0, 0] = 0, 1, 1
    return mdp.FiniteMDP(P=P, R=R, rho=np.eye(steps)[0], horizon=steps)


def expected_push(pay, steps, B, p, reduction):
    def loss(logp, rewards, mask, gamma):
        return losses.reinforce(logp, rewards, mask, gamma, reduction)

    theta = np.zeros((steps, 2))
    theta[0, 1] = math.log(p / (1 - p))
    return -gradients.expected_gradient(loss, walk(pay, steps), theta, 1.0, B)[0, 1]


def together(p, pay, steps, B):
    """Equation (0.3) for any pay and length, divided by p (1 − p)."""
    k = np.arange(B + 1)
    chance = np.array([math.comb(B, j) * p**j * (1 - p) ** (B - j) for j in k])
    pushes = (pay * k * (1 - p) - (B - k) * p) / (B + (steps - 1) * k)
    return chance @ pushes / (p * (1 - p))


SETTINGS = [(1.5, 3, 1, 0.5), (1.5, 3, 3, 0.2), (2.5, 2, 2, 0.7), (4.2, 4, 3, 0.35)]


@pytest.mark.slow
@pytest.mark.parametrize(("pay", "steps", "B", "p"), SETTINGS)
def test_the_pushes_are_those_of_all_episodes_listed(pay, steps, B, p, opened):
    page = opened(explorables.page("stop_or_walk"))
    result = move(page, pay=pay, steps=steps, batch=B, begin=p)
    names = ("sum", "episode_mean", "step_mean")
    listed = [expected_push(pay, steps, B, p, name) for name in names]
    np.testing.assert_allclose(result["push"], listed, atol=1e-12)
    shown = [float(x) for x in cells(page, "push0", "push1", "push2")]
    np.testing.assert_allclose(shown, listed, atol=5.1e-4)


def learned(slope, begin):
    logit = math.log(begin / (1 - begin))
    for _ in range(100):
        p = 1 / (1 + math.exp(-logit))
        logit += 2 * p * (1 - p) * slope(p)
    return 1 / (1 + math.exp(-logit))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pay", "steps", "B"),
    [(1.5, 3, 3), (1.5, 3, 32), (3.5, 4, 2), (1.1, 10, 9), (1.8, 3, 2)],
)
def test_where_it_ends_is_where_the_exact_flow_ends(pay, steps, B, opened):
    page = opened(explorables.page("stop_or_walk"))
    grid = np.linspace(1e-6, 1 - 1e-6, 4000)  # none of them is a turning point
    values = np.array([together(p, pay, steps, B) for p in grid])
    changes = np.flatnonzero(np.sign(values[:-1]) != np.sign(values[1:]))
    turns = [brentq(together, grid[i], grid[i + 1], (pay, steps, B), xtol=1e-14) for i in changes]
    for begin in (0.05, 0.45, 0.95):
        result = move(page, pay=pay, steps=steps, batch=B, begin=begin)
        np.testing.assert_allclose(result["turns"], turns, atol=1e-9)
        slopes = (
            lambda p: pay - 1,
            lambda p: pay / steps - 1,
            lambda p: together(p, pay, steps, B),
        )
        np.testing.assert_allclose(
            result["last"], [learned(slope, begin) for slope in slopes], atol=1e-9
        )
        up = slopes[2](begin) > 0
        after = [t for t in turns if t > begin] if up else [t for t in turns if t < begin][::-1]
        ends = [float(pay > 1), float(pay > steps), after[0] if after else float(up)]
        np.testing.assert_allclose(result["ends"], ends, atol=1e-9)


@pytest.mark.slow
def test_the_sentence_says_where_it_ends_and_what_the_start_has_to_do_with_it(opened):
    page = opened(explorables.page("stop_or_walk"))
    move(page, batch=3)
    said = page.locator("#said").inner_text()
    assert said.startswith("Sum: walk. Episode mean: stop. Mean over all steps of 3 episodes: walk")
    turn = brentq(together, 0.1, 0.9, (1.5, 3, 3))
    assert f"since it turns at p = {turn:.3f}" in said
    move(page, begin=0.2)
    assert "3 episodes: stop, since it turns" in page.locator("#said").inner_text()
    move(page, pay=3, batch=1)
    assert "Episode mean: where it starts: no push." in page.locator("#said").inner_text()


def adam_step(before, now):
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([x], lr=1.0)
    for g in [before] * 100 + [now]:
        last = x.item()
        x.grad = torch.full_like(x, g)
        optimiser.step()
    return last - x.item()


PLACES = [(13, 13, -8, 0), (10, 20, -4, 0), (20, 3, -12, -20), (13, 13, -8, -36), (0, 27, 0, -48)]


def four_steps(places):
    """The steps of SGD and Adam, sum and mean, by torch; and what the sliders stand at."""
    n0, n = (round(10 ** (place / 10)) for place in places[:2])
    rate, g = (10 ** (place / 4) for place in places[2:])
    by_adam = [adam_step(k0 * g, k * g) for k0, k in ((n0, n), (1, 1))]
    return [rate * step for step in (n * g, g, *by_adam)]


def steps_on(page, places):
    before, now, rate, size = places
    return move(page, before=before, now=now, rate=rate, size=size)["moved"]


@pytest.mark.slow
@pytest.mark.parametrize("places", PLACES)
def test_the_steps_are_torchs(places, opened):
    page = opened(explorables.page("learning_rate"))
    np.testing.assert_allclose(steps_on(page, places), four_steps(places), rtol=1e-6)


@pytest.mark.slow
def test_small_numbers_are_written_as_powers_of_ten(opened):
    page = opened(explorables.page("learning_rate"))
    steps_on(page, (5, 22, -8, -34))
    assert cells(page, "unit0", "unit1") == ["5.0·10⁻⁷", "3.2·10⁻⁹"]
    ticks = page.locator("#sgd text").all_text_contents()
    assert "10⁻⁷" in ticks
    assert not [text for text in ticks if "e-" in text or len(text) > 40]


@pytest.mark.slow
def test_another_constant_of_adam_would_be_seen(opened):
    page = opened(explorables.page("learning_rate").replace("v = .999 * v", "v = .99 * v"))
    wrong = steps_on(page, PLACES[1])
    assert abs(wrong[2] / four_steps(PLACES[1])[2] - 1) > 0.01


@pytest.mark.slow
def test_the_table_of_steps_shows_what_was_computed(opened):
    page = opened(explorables.page("learning_rate"))
    moved = steps_on(page, (10, 20, -4, 0))
    assert cells(page, "step0", "step1") == ["10", "0.1"]
    assert float(cells(page, "step2")[0]) == pytest.approx(moved[2], rel=5e-3)
    assert "10·10" not in page.locator("#said").inner_text()
    assert "The sum's step is 100 times the mean's under SGD" in page.locator("#said").inner_text()


@pytest.mark.slow
@pytest.mark.parametrize("stop", [0.05, 0.35, 0.7])
def test_the_dial_is_the_chapters(stop, opened):
    page = opened(explorables.page("pool"))
    model = answers.every_answer("bigram", limit=6)
    theta = answers.even(model, stop)
    P = answers.probability(model, theta)
    R = np.array([reward(model) for reward in answers.PROMPTS.values()])
    exact = answers.together(answers.gradient(model, theta, R))
    A = R - (R @ P)[:, None]
    for place in (0, 3, 7):
        result = move(page, pool=place, stop=stop)
        h = answers.pool_divisor(P, model.lengths, 2**place)
        first = [model.lengths.tolist().index(n) for n in (2, 3, 4, 5, 6)]
        np.testing.assert_allclose(result["weights"], h[first], atol=1e-12)
        off = answers.angle(answers.together(answers.gradient(model, theta, A * h)), exact)
        assert result["angles"][place] == pytest.approx(off, abs=1e-7)
        assert f"{off:.2f} degrees away" in page.locator("#said").inner_text()
        assert float(cells(page, "r2")[0]) == pytest.approx(h[first[0]] / (P @ h), abs=5.1e-3)


@pytest.mark.slow
def test_the_dial_shows_only_where_one_has_been(opened):
    page = opened(explorables.page("pool"))

    def points():
        return len(page.locator("#dial polyline").get_attribute("points").split())

    assert points() == 1
    move(page, pool=3)
    assert points() == 2


@pytest.mark.slow
def test_the_steps_are_drawn_only_where_one_has_been_and_their_rules_are_folded(opened):
    page = opened(explorables.page("learning_rate"))

    def points():
        lines = page.locator("#sgd polyline, #adam polyline").all()
        return [len(line.get_attribute("points").split()) for line in lines]

    assert points() == [1] * 4
    move(page, now=20)
    assert points() == [2] * 4
    assert "α n g" not in page.locator("body").inner_text()
    page.locator("summary").click()
    assert "α n g" in page.locator("body").inner_text()


@pytest.mark.slow
@every_page
def test_the_keyboard_is_enough(name, opened):
    page = opened(explorables.page(name))
    first = page.evaluate("window.result")
    page.keyboard.press("Tab")
    focused = "document.activeElement.id"
    start = page.evaluate(focused)
    assert page.locator("input").first.get_attribute("id") == start
    page.keyboard.press("ArrowRight")
    moved = page.evaluate("window.result")
    assert moved != first
    assert page.locator(f"#{start}").get_attribute("aria-valuetext")
    for _ in range(page.locator("input").count()):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "reset"
    page.keyboard.press("Enter")
    page.wait_for_function("first => JSON.stringify(window.result) === first", arg=dumped(first))


def dumped(value):
    """As JSON.stringify writes it."""
    return re.sub(r"(\d)\.0\b", r"\1", json.dumps(value, separators=(",", ":")))


@pytest.mark.slow
@every_page
def test_what_is_seen_is_said_and_fits_the_frame(name, opened):
    page = opened(explorables.page(name))
    tall, wide = page.evaluate("[document.body.scrollHeight, document.body.scrollWidth]")
    assert tall <= 820
    assert wide <= 900
    for chart in page.locator("svg").all():
        assert chart.get_attribute("role") == "img"
        assert re.search(r"\d|walk|stop", chart.get_attribute("aria-label"))
    tree = page.locator("main").aria_snapshot()
    assert tree.count("slider") == page.locator("input").count()
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


SMALLEST = """Math.min(...[...document.querySelectorAll("main *")]
  .filter(e => e.getBoundingClientRect().height && [...e.childNodes].some(c => c.data?.trim()))
  .map(e => [parseFloat(getComputedStyle(e).fontSize), e.ownerSVGElement?.getScreenCTM().a ?? 1])
  .map(([size, scale]) => size * scale))"""


@pytest.mark.slow
@every_page
def test_on_a_slide_the_charts_stand_beside_the_controls(name, opened):
    page = opened(explorables.page(name))
    page.set_viewport_size({"width": 1168, "height": 604})
    for place in ("min", "max"):
        places = {
            i.get_attribute("id"): i.get_attribute(place) for i in page.locator("input").all()
        }
        move(page, **places)
        tall, wide = page.evaluate("[document.body.scrollHeight, document.body.scrollWidth]")
        assert tall <= 604
        assert wide <= 1168
        assert page.evaluate(SMALLEST) >= 18
    boxes = [page.locator(where).bounding_box() for where in ("form", ".charts")]
    assert boxes[1]["x"] > boxes[0]["x"] + boxes[0]["width"]
