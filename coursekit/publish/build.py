"""Build what a lecturer gives and a reader reads, from the stored outputs: nothing is executed.

Each part is a module with ``build(out) -> Path``: it writes into the folder ``out`` and returns the
page that the index links to. ``build/index.html`` links them all.
"""

from __future__ import annotations

import hashlib
import html
import time
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from coursekit import guards

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
PARTS = {  # name -> what the index says of it
    "slides": "A deck for each notebook: arrow keys, S for the speaker's view",
    "runsheet": "Run sheets and plans for the evening before a lecture",
    "handout": "Handouts to print: a notebook each and the whole, with solutions and without",
    "pdf": "Decks, handouts and the reference card as PDF",
    "site": "The course as a web site, with search",
    "student": "The student edition: notebooks without solutions",
}
APART = ("pdf",)  # takes minutes, and a browser: only where it is asked for by name
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Sum or mean? What was built</title>
<meta name="viewport" content="width=device-width">
<style>body {{ font: 1.1rem/1.5 sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }}
dt {{ font-weight: bold; margin-top: 1rem }}</style></head>
<body><main><h1>Sum or mean? What was built</h1>
<dl>
{entries}
</dl></main></body></html>
"""


def build(names: Iterable[str] = ("all",), out: Path = ROOT / "build") -> int:
    """Build some parts, or "all" of them but for those of APART, and the index; the status 0.

    ValueError for a part that is unknown.
    """
    asked = list(dict.fromkeys(names))
    for name in asked:
        guards.one_of("part", name, ["all", *PARTS])
    if "all" in asked:
        asked = [name for name in PARTS if name not in APART or name in asked]
    out.mkdir(parents=True, exist_ok=True)
    for name in asked:
        if find_spec(f"coursekit.publish.{name}") is None:
            continue
        start = time.perf_counter()
        print(f"{name} …", flush=True)
        page = import_module(f"coursekit.publish.{name}").build(out / name)
        (out / name / ".page").write_text(page.relative_to(out).as_posix(), encoding="utf-8")
        print(f"{name}: {page.relative_to(out.parent)} ({time.perf_counter() - start:.1f} s)")
    print(f"Open {index(out)}")
    return 0


def index(out: Path) -> Path:
    """Write the page that links to every part that is there."""
    entries = []
    for name, said in PARTS.items():
        if (out / name / ".page").exists():
            target = (out / name / ".page").read_text(encoding="utf-8")
            link = f'<a href="{html.escape(target, quote=True)}">{name}</a>'
            entries.append(f"<dt>{link}</dt><dd>{html.escape(said)}.</dd>")
    page = out / "index.html"
    page.write_text(PAGE.format(entries="\n".join(entries)), encoding="utf-8")
    return page


def changed(target: Path, sources: Iterable[Path | str]) -> bool:
    """Whether ``target`` was made from other sources than these, files or texts; notes these.

    Call it before the work, then make ``target``: a part asks whether it has anything to do.
    """
    digest = hashlib.sha256()
    for source in sources:
        data = source.encode("utf-8") if isinstance(source, str) else source.read_bytes()
        digest.update(hashlib.sha256(data).digest())
    stamp = target.with_name(f".{target.name}.made-from")
    if target.exists() and stamp.exists() and stamp.read_text() == digest.hexdigest():
        return False
    target.unlink(missing_ok=True)  # a build that is interrupted leaves no page that looks new
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest.hexdigest())
    return True
