"""The site and JupyterLab in a real browser, driven by Playwright.

Skipped with a word where there is none; in CI that is an error (conftest.py).
"""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from coursekit.publish import student

ROOT = Path(__file__).resolve().parent.parent
# One page of each kind; COURSEKIT_EVERY_PAGE=1 looks at all of them.
KINDS = ("index", "05_what_the_mean_optimises", "14_answers", "GLOSSARY", "detective", "api_losses")
PROSE = """() => { // what a page says, but for its code
  const text = document.querySelector("article")?.cloneNode(true);
  text?.querySelectorAll("code, pre").forEach(code => code.remove());
  return text?.textContent ?? "";
}"""
FEWER = """() => {
  const kinds = {};
  for (const word of document.querySelectorAll("pre span:not(:has(*)), mjx-container")) {
    const kind = word.tagName + word.className;
    kinds[kind] = (kinds[kind] ?? 0) + 1;
    if (kinds[kind] > 5) word.replaceWith(word.textContent);
  }
}"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def axe():
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")


class Watched:
    """A page without a network that remembers what went wrong in it."""

    def __init__(self, browser, **options):
        self.context = browser.new_context(offline=True, **options)
        self.page, self.wrong = self.context.new_page(), []
        self.page.on("console", lambda m: m.type == "error" and self.wrong.append(m.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("requestfailed", lambda request: self.wrong.append(request.url))
        self.page.on("request", self.request)

    def request(self, request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.wrong.append(f"from outside: {request.url}")

    def open(self, path):
        self.page.goto(path.as_uri(), wait_until="load")
        self.page.wait_for_function(
            "!document.querySelector('.math') || window.MathJax?.startup?.promise"
        )
        self.page.evaluate("window.MathJax?.startup?.promise.then(() => true)")
        return self.page

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()


def serious(page, axe, **only):
    """What axe-core calls serious or critical, each with the first place where it stands.

    Of each kind of coloured word in code, and of formulas, the page keeps five: they are all alike,
    and axe-core takes six times as long over 20,000 of them.
    """
    page.evaluate(FEWER)
    page.evaluate(axe)
    how = json.dumps({"preload": False, "resultTypes": ["violations"], **only})
    found = page.evaluate(
        f"axe.run(document, {how}).then(r => r.violations"
        ".filter(v => ['serious', 'critical'].includes(v.impact))"
        ".map(v => `${v.id} (${v.nodes.length}): ${v.nodes[0].html.slice(0, 150)}`))"
    )
    return found


def too_wide(page, width):
    """Whether the page has to be scrolled sideways in a window of this width."""
    page.set_viewport_size({"width": width, "height": 800})
    return page.evaluate(  # two frames later everything has its new place
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done("
        "document.documentElement.scrollWidth > document.documentElement.clientWidth))))"
    )


def test_what_is_wrong_with_a_page_is_seen(browser, axe, tmp_path):
    body = "<p style='color:#aaa'>pale</p><img src='no.png'><div style='width:900px'>wide</div>"
    script = "<script>console.error('said'); fetch('https://example.org/')</script>"
    (tmp_path / "a.html").write_text(f"<html><body>{body}{script}</body></html>")
    with Watched(browser) as watched:
        page = watched.page
        with page.expect_event("requestfailed", lambda request: "example.org" in request.url):
            watched.open(tmp_path / "a.html")
        said = " ".join(serious(page, axe))
        for name in ("color-contrast", "image-alt", "html-has-lang"):
            assert name in said
        (pale,) = serious(page, axe, runOnly=["color-contrast"])
        assert pale.startswith("color-contrast (1)")
        assert too_wide(page, 390)
        assert "said" in watched.wrong
        assert "from outside: https://example.org/" in watched.wrong
        assert any(address.endswith("no.png") for address in watched.wrong)


def test_pages_are_readable_by_everybody_at_every_width_and_ask_nobody_outside(browser, axe, built):
    names = [path.stem for path in sorted(built.glob("*.html"))]
    names = names if os.environ.get("COURSEKIT_EVERY_PAGE") else KINDS
    faults = {}
    for name in names:
        with Watched(browser, viewport={"width": 1280, "height": 720}) as watched:
            page = watched.open(built / f"{name}.html")
            raw = page.evaluate(PROSE)
            bad = re.findall(r"\\(?:frac|mathbb|nabla|tag)\b.{20}", raw)
            bad += ["a formula that MathJax could not read"] * page.locator("mjx-merror").count()
            # 640 is 1280 at 200 %, 390 a phone
            bad += [f"wider than {w}" for w in (640, 390) if too_wide(page, w)]
            page.set_viewport_size({"width": 1280, "height": 720})
            bad += serious(page, axe)
            if found := bad + watched.wrong:
                faults[name] = found
    assert faults == {}


def test_contrast_holds_in_the_dark(browser, axe, built):
    for name in ("index", "05_what_the_mean_optimises"):
        with Watched(browser, color_scheme="dark") as watched:
            page = watched.open(built / f"{name}.html")
            assert serious(page, axe, runOnly=["color-contrast"]) == []
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert max(map(int, re.findall(r"\d+", background)[:3])) < 60


def hits(page, words):
    """The pages that the search finds for these words."""
    page.locator("input[name=q]").first.fill(words)
    page.locator("input[name=q]").first.press("Enter")
    page.wait_for_url(f"**/search.html?q={quote_plus(words)}*")
    # hits are put in one by one: only when it says that it has finished, none is missing
    page.wait_for_selector(".search-summary:text-matches('finished|did not match')")
    return page.locator("#search-results li a").all_inner_texts()


def test_search_finds_reward_to_go_and_leads_to_a_notebook(browser, built):
    with Watched(browser) as watched:
        page = watched.open(built / "index.html")
        assert hits(page, "xylophone") == []
        assert any(hit.startswith("07") for hit in hits(page, "Jacobian"))
        assert hits(page, "(5.12)")[0].startswith("05")
        assert hits(page, "claim 6.2")[0].startswith("06")
        found = hits(page, "reward-to-go")
        assert any(hit.startswith("02") for hit in found), found
        page.locator("#search-results li a", has_text="02").first.click()
        page.wait_for_url("**/02_deriving_the_update.html*")
        assert watched.wrong == []


def test_a_keyboard_alone_skips_to_the_text_opens_a_solution_and_follows_an_equation(
    browser, built
):
    with Watched(browser) as watched:
        page = watched.open(built / "05_what_the_mean_optimises.html")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.innerText").lower().startswith("skip")
        reached = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.tagName"))
            ring = "getComputedStyle(document.activeElement)"
            style = page.evaluate(f"{ring}.outlineStyle + {ring}.boxShadow")
            assert style != "nonenone", page.evaluate("document.activeElement.outerHTML")
        assert {"A", "INPUT", "BUTTON"} <= reached
        summary = page.locator("details.hide summary").first
        summary.focus()
        page.keyboard.press("Enter")
        assert page.locator("details.hide[open]").count() == 1
        link = page.locator('a.reference[href*="#equation-5-"]').first
        number = re.search(r"#(equation-5-\d+)", link.get_attribute("href"))[1]
        link.focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"**#{number}")
        assert page.locator(f"#{number}:target mjx-container").count() == 1


# Safari does not keep what is seen in its place; Chromium does at times
UNANCHORED = """addEventListener("DOMContentLoaded", () => {
  document.documentElement.style.overflowAnchor = "none";
});"""


@pytest.mark.parametrize(
    ("start", "place"),
    [
        ("06", "05_what_the_mean_optimises.html#equation-5-19"),
        ("", "05_what_the_mean_optimises.html#equation-5-12"),
    ],
)
def test_a_link_leads_to_its_place_after_the_mathematics_is_typeset(browser, built, start, place):
    with Watched(browser, viewport={"width": 1280, "height": 720}) as watched:
        page = watched.page
        page.add_init_script(UNANCHORED)
        if start:  # by a click on another page, else by the address
            (first,) = built.glob(f"{start}_*.html")
            watched.open(first).locator(f"article a[href='{place}']").first.click()
            page.wait_for_url(f"**/{place}")
        else:
            page.goto(f"{built.as_uri()}/{place}")
        page.wait_for_function("window.MathJax?.startup?.promise")
        page.evaluate("MathJax.startup.promise.then(() => new Promise(requestAnimationFrame))")
        at = "document.querySelector(':target').getBoundingClientRect().top"
        assert 0 <= page.evaluate(at) < 720


@pytest.mark.parametrize("scrolled", [False, True])
def test_who_has_scrolled_meanwhile_is_left_where_he_is(browser, built, scrolled):
    script = "Element.prototype.scrollIntoView = () => (window.went = true);"
    if scrolled:
        script += "addEventListener('DOMContentLoaded', () => dispatchEvent(new Event('wheel')));"
    with Watched(browser) as watched:
        watched.page.add_init_script(script)
        watched.page.goto(f"{built.as_uri()}/GLOSSARY.html#term-advantage")
        watched.page.evaluate("MathJax.startup.promise.then(() => new Promise(setTimeout))")
        assert watched.page.evaluate("Boolean(window.went)") is not scrolled


def test_a_printed_page_has_the_text_and_not_the_navigation(browser, built):
    with Watched(browser) as watched:
        page = watched.open(built / "05_what_the_mean_optimises.html")
        page.emulate_media(media="print")
        assert page.locator("h1").first.is_visible()
        assert not page.locator(".sidebar-drawer").is_visible()
        assert not page.locator(".launch").first.is_visible()


def test_the_site_works_behind_a_sub_path(browser, built):
    handler = functools.partial(Quiet, directory=str(built.parent))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with Watched(browser) as watched:
            watched.context.set_offline(False)
            address = f"http://127.0.0.1:{server.server_port}/{built.name}"
            missed = []
            watched.page.on("response", lambda r: r.status >= 400 and missed.append(r.url))
            watched.page.goto(f"{address}/05_what_the_mean_optimises.html")
            watched.page.wait_for_selector("mjx-container")
            outside = [text for text in watched.wrong if text.startswith("from outside")]
            assert [text for text in outside if address not in text] == []
            assert [url for url in missed if not url.endswith("/favicon.ico")] == []
    finally:
        server.shutdown()
        server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing about what it serves."""

    def log_message(self, *words):
        pass


# --- JupyterLab by the README's first command.

START = """
import sys
from pathlib import Path
from coursekit import __main__ as entry
entry.ROOT = Path(sys.argv[1])
args = entry.parser().parse_args(["lab", "--no-browser", "--port", "8899", *sys.argv[2:]])
sys.exit(entry.lab(args, []))
"""  # what `python -m coursekit lab` does once everything is installed, on a copy of the notebooks
BOOK = "window.jupyterapp.shell.currentWidget"
DONE = f"""() => {{
  const codes = [...{BOOK}.content.model.cells].filter(
    cell => cell.type === 'code' && cell.sharedModel.source.trim());
  return {BOOK}.sessionContext.session.kernel.status === 'idle'
    && codes.every(cell => cell.executionCount > 0);
}}"""


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab on a copy of notebook 00, and of the student edition; ended."""
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "00_start_here.ipynb", tmp_path / "notebooks")
    student.make(tmp_path / "student")
    (tmp_path / "config").mkdir()
    exposed = "c.LabApp.expose_app_in_browser = True\n"
    (tmp_path / "config" / "jupyter_lab_config.py").write_text(exposed)
    places = {f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA")}
    more = {"JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"), "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(
        [sys.executable, "-c", START, str(tmp_path), "--authors"],
        env=os.environ | places | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    address = None
    for line in server.stdout:
        if found := re.search(r"http://127\.0\.0\.1:\d+/lab/tree/\S+token=\w+", line):
            address = found[0]
            break
    reader = threading.Thread(target=server.stdout.read, daemon=True)
    reader.start()
    yield address
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=60)
    reader.join(timeout=10)
    server.stdout.close()


def cell_text(page, identity):
    """What stands below one cell of the open notebook."""
    return page.evaluate(
        f"""id => [...{BOOK}.content.model.cells].find(cell => cell.id === id)
        .outputs.toJSON().map(output => output.text || '').join('')""",
        identity,
    )


def opened(page, address):
    """Open a notebook and wait until its kernel has said who it is."""
    page.goto(address)
    page.wait_for_function(f"window.jupyterapp && {BOOK}?.context?.isReady", timeout=120_000)
    kernel = f"{BOOK}.sessionContext.session?.kernel"
    page.wait_for_function(f"{kernel}?.status === 'idle'", timeout=120_000)
    page.evaluate(f"{kernel}.info.then(() => new Promise(done => setTimeout(done, 300)))")


def run_to_the_end(page):
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(DONE, timeout=240_000, polling=500)


def test_jupyterlab_runs_the_first_notebook_to_its_end_and_a_check_says_its_verdict(browser, lab):
    assert lab, "JupyterLab printed no address"
    context = browser.new_context()
    page, outside = context.new_page(), []
    page.on("request", lambda r: "127.0.0.1" in r.url or outside.append(r.url))
    opened(page, lab)
    page.evaluate("window.jupyterapp.commands.execute('editmenu:clear-all')")
    assert cell_text(page, "ex-0-1-check") == ""
    run_to_the_end(page)
    failed = page.evaluate(
        f"""() => [...{BOOK}.content.model.cells].filter(cell => cell.type === 'code'
        && cell.outputs.toJSON().some(o => o.output_type === 'error')).map(cell => cell.id)"""
    )
    assert failed == []
    assert cell_text(page, "ex-0-1-check") == "exercise 0.1: not attempted\n"
    page.evaluate(  # the learner types what the solution says, under the stub's name
        f"""() => {{
          const cells = [...{BOOK}.content.model.cells];
          const solution = cells.find(cell => cell.id === 'ex-0-1-solution').sharedModel.source;
          const lines = solution.split('\\n').filter(line => !line.startsWith('checks'));
          const stub = cells.findIndex(cell => cell.id === 'ex-0-1-stub');
          cells[stub].sharedModel.source = lines.join('\\n').replaceAll('_solution', '');
          {BOOK}.content.activeCellIndex = stub;
        }}"""
    )
    for _ in range(2):  # the stub, then its check
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-cell-and-select-next')")
        page.wait_for_function(DONE, timeout=60_000)
    said = f"id => [...{BOOK}.content.model.cells].find(cell => cell.id === id).outputs.toJSON()"
    page.wait_for_function(f"{said}.length > 0", arg="ex-0-1-check", timeout=60_000)
    assert cell_text(page, "ex-0-1-check") == "exercise 0.1: correct\n"
    page.close()
    page = context.new_page()  # in another workspace, where no other notebook is open
    opened(page, re.sub(r"/lab/tree/\w+/", "/lab/workspaces/own/tree/student/", lab))
    assert page.evaluate(f"{BOOK}.context.path").startswith("student/")
    assert not page.evaluate(f"{BOOK}.context.model.dirty"), "opening a notebook modifies it"
    assert [url for url in outside if not url.startswith(("data:", "blob:"))] == []
    context.close()
