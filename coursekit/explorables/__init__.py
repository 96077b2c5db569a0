"""Pages with something to move: *stop or walk*, *learning rate*, *pool*. Their numbers are tested.

Each is a self-contained HTML page: nothing is fetched, every control has a label and works by the
keyboard, and what changed is said in a sentence that a screen reader reads out. ``show`` puts one
into a notebook, where a figure beside it says the same for those who see no page.
"""

from __future__ import annotations

import html
from pathlib import Path

from coursekit import guards

FOLDER = Path(__file__).resolve().parent
TITLES = {  # name -> title
    "stop_or_walk": "Stop or walk: three reductions",
    "learning_rate": "How far does one update go?",
    "pool": "Over how many answers are the tokens counted?",
}


def page(name: str) -> str:
    """The page as one string of HTML; ValueError for an unknown name."""
    guards.one_of("explorable", name, TITLES)
    body, _, rest = (FOLDER / f"{name}.html").read_text(encoding="utf-8").partition("<script>")
    whole = (FOLDER / "frame.html").read_text(encoding="utf-8")
    parts = {"title": TITLES[name], "body": body.strip(), "script": rest.partition("</script>")[0]}
    for mark, text in parts.items():
        whole = whole.replace("{{" + mark + "}}", text.strip())
    return whole


def show(name: str, height: int = 820) -> None:
    """Show a page in a notebook, in a frame of its own; ValueError for an unknown name."""
    from IPython.display import display

    text = html.escape(page(name))
    frame = (
        f'<iframe title="{html.escape(TITLES[name])}" '
        f'sandbox="allow-scripts" width="100%" height="{height}" style="border: 1px solid #ccc" '
        f'srcdoc="{text}"></iframe>'
    )
    said = f"{TITLES[name]} (a page with sliders; a figure beside it says the same)"
    display({"text/html": frame, "text/plain": said}, raw=True)
