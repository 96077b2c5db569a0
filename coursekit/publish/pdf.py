"""Decks, handouts and the card as PDF, by a browser that is installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from coursekit.publish import build as command
from coursekit.publish import handout, slides

BROWSERS = (  # names on the path, then where macOS and Windows keep them
    *("chromium", "chromium-browser", "google-chrome", "chrome", "msedge"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
PAPERS = {"a4": "", "letter": "?letter"}


def browser() -> str:
    """The first of BROWSERS that is there; ValueError where none is."""
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    raise ValueError("PDF needs a browser: install Chromium, Google Chrome or Edge, then try again")


def build(out: Path) -> Path:
    """Write the PDF files whose pages changed, and their index."""
    program = browser()
    made = [slides.build(out.parent / "slides"), handout.build(out.parent / "handout")]
    files = list(wanted(out, made[0].parent, made[1].parent))
    for k, (source, query, target) in enumerate(files, 1):
        if command.changed(target, [source]):
            print(f"  {k} of {len(files)}: {target.name}", flush=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            write(program, source, query, target)
    links = [f'<li><a href="{t.relative_to(out).as_posix()}">{t.name}</a></li>' for *_, t in files]
    index = out / "index.html"
    text = handout.PAGE.format(title="PDF", kind="", body=f"<h1>PDF</h1><ul>{''.join(links)}</ul>")
    index.write_text(text, encoding="utf-8")
    return index


def wanted(out: Path, decks: Path, handouts: Path) -> Iterator[tuple[Path, str, Path]]:
    """(page, what is added to its address, file) of every PDF."""
    for deck in sorted(decks.glob("[0-9]*.html")):
        yield deck, "?print-pdf", out / "slides" / f"{deck.stem}.pdf"
    for paper, query in PAPERS.items():
        for source in sorted(handouts.glob("*.html")):
            if source.stem != "index":
                yield source, query, out / paper / f"{source.stem}.pdf"


def write(program: str, source: Path, query: str, target: Path) -> None:
    """Print one page to a file; raises ValueError where the browser leaves none."""
    words = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    words += ["--virtual-time-budget=600000", f"--print-to-pdf={target}"]
    done = subprocess.run([*words, source.resolve().as_uri() + query], capture_output=True)
    if not target.exists():
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise ValueError(f"{program} made no {target.name}: {''.join(said) or 'it said nothing'}")
