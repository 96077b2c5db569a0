"""One thread for torch: its tensors here are tiny, and threads that wait for work cost most."""

import os
import shutil
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported


def pytest_collection_modifyitems(items):
    """An id with an address in it is another one in each process: two workers could not agree."""
    if odd := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"{odd[0]}: give this parametrization ids that do not change")


@pytest.fixture(scope="session")
def built(publishing):
    """The site in build/site, brought up to date; two workers do not write it at once."""
    from filelock import FileLock

    from coursekit.publish import execute, site

    folder = execute.ROOT / "build" / "site"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_name(".site.lock")), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MyST-NB calls what Sphinx 11 will not have
        site.build(folder)
    return folder


def missing(why):
    """What pages are made or looked at with is not there: a reason to skip, and in CI to fail."""
    if os.environ.get("CI"):
        pytest.fail(f"{why}; in CI it has to be there, see .ci/run and the workflows")
    pytest.skip(f"{why}: the pages are not looked at")


@pytest.fixture(scope="session")
def publishing():
    """The packages that pages are made with."""
    for package in ("myst_nb", "sphinx_revealjs", "sphinx-mathjax-offline"):
        if find_spec(package) is None:
            missing(f"{package} is not installed, it comes with the extra `publish`")


@pytest.fixture(scope="session")
def browser_program():
    """Where a browser is: one that is installed, or the one that Playwright brought, if it did."""
    from coursekit.publish import pdf

    if found := next(filter(None, map(shutil.which, pdf.BROWSERS)), None):
        return found
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright is not installed")
    with sync_playwright() as driver:
        own = driver.chromium.executable_path
    return own if Path(own).exists() else missing("no Chromium, Chrome or Edge is installed")


@pytest.fixture(scope="module")
def browser(browser_program):
    """A browser that Playwright drives; it fetches nothing for itself."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright is not installed")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    flags += " --disable-background-networking --disable-component-update"
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=browser_program, args=flags.split())
        yield opened
        opened.close()
