"""Run sheets for the evening before a lecture, and plans: made from notebooks, notes and report."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from coursekit.publish import build as command
from coursekit.publish import page, slides
from coursekit.publish.minutes import SKIPPED
from coursekit.publish.plans import KEPT, PLANS, Session
from coursekit.publish.slides import Slide

Course = dict[str, NotebookNode]  # "04" -> the notebook


def course() -> Course:
    """All notebooks by their number."""
    return {path.stem[:2]: slides.read(path) for path in sorted(command.NOTEBOOKS.glob("*.ipynb"))}


def names() -> dict[str, str]:
    """ "04" -> the name of its deck."""
    return {path.stem[:2]: path.stem for path in sorted(command.NOTEBOOKS.glob("*.ipynb"))}


def minutes(slide: Slide) -> float:
    """What a slide's notes say: "notes · 1½ min" is 1.5."""
    found = [re.search(r"notes · (\d*)(½?) min", note) for note in slide.notes]
    return sum(int(m[1] or 0) + bool(m[2]) / 2 for m in found if m)


def sections(book: NotebookNode) -> list[list[Slide]]:
    """The slides of a notebook by section."""
    found: list[list[Slide]] = []
    for slide in slides.show(book):
        if slide.starts_column:
            found.append([])
        found[-1].append(slide)
    return found


def chosen(part: str, books: Course) -> list[Slide]:
    """The slides of a part of a plan, exercises and quiz apart; KeyError where it names none."""
    number, _, name = part.partition("/")
    groups = sections(books[number])
    if not name:
        return [slide for group in groups if sum(map(minutes, group)) for slide in group]
    for group in groups:
        if group[0].name == name:
            return group
        if found := [slide for slide in group if slide.name == name]:
            return found
    raise KeyError(f"{part}: notebook {number} has no slide {name!r}")


def exercise(tag: str, books: Course) -> tuple[str, int]:
    """Title and minutes of an exercise, from its card; KeyError where there is none."""
    number, name = f"{int(tag.split('.')[0]):02d}", f"ex-{tag.replace('.', '-')}"
    for cell in books[number].cells:
        if cell.id == name:
            heading = cell.source.splitlines()[0].lstrip("# ")
            return heading, int(re.search(r"(\d+) minutes?", cell.source)[1])
    raise KeyError(f"there is no exercise {tag}")


def taken(session: Session, books: Course) -> float:
    """Minutes of a session: its slides' and its exercises'."""
    shown = sum(minutes(slide) for part in session.parts for slide in chosen(part, books))
    return shown + sum(exercise(tag, books)[1] for tag in session.exercises)


def sentence(note: str, opening: str) -> str:
    """What a note says after an opening such as "isunderstanding:", or nothing."""
    found = re.search(rf"{opening}(.*?)(?=\n\n|\Z|</details>)", note, flags=re.DOTALL)
    return found[1].strip() if found else ""


def build(out: Path) -> Path:
    """A run sheet a notebook, the plans, and their index."""
    page.assets(out.parent / "assets")
    books, report, stems = course(), page.report(), names()
    here, links = sorted(Path(__file__).parent.glob("*.py")), []
    for number, book in books.items():
        target = out / f"{stems[number]}.html"
        stored = report.get(stems[number], {})
        sources = [str(book), str(stored), *here, page.STATIC / "page.css"]
        if command.changed(target, sources):
            text = sheet(book, stems[number], stored)
            target.write_text(PAGE.format(title=slides.title(book), body=text), encoding="utf-8")
        links.append(f'<li><a href="{target.name}">{slides.title(book)}</a></li>')
    target = out / "plans.html"
    text = "<p>Minutes are without live cells; the run sheets have their seconds.</p>"
    text += "\n".join(plan(name, PLANS[name], books, stems) for name in PLANS)
    target.write_text(PAGE.format(title="Plans", body=text), encoding="utf-8")
    index = out / "index.html"
    body = '<p><a href="plans.html">Plans</a> for 20, 45 and 90 minutes, a day, six weeks.</p>'
    body += f"<ul>{''.join(links)}</ul>"
    index.write_text(PAGE.format(title="Run sheets", body=body), encoding="utf-8")
    return index


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="../assets/page.css">
<script src="../assets/math.js"></script>
<script src="../assets/mathjax/tex-svg.js" defer></script></head>
<body><main><h1>{title}</h1>
{body}
</main></body></html>
"""


def inline(text: str) -> str:
    """A line of Markdown as HTML without its paragraph; "4. But" is no list."""
    line = re.sub(r"^(\d+)\.", r"\1\\.", text)
    return re.sub(r"^<p>|</p>$", "", page.prose(line).strip())


def link(stem: str, slide: Slide) -> str:
    """A link to a slide of a deck."""
    address = f"../slides/{stem}.html#/{slide.name}"
    return f'<a href="{html.escape(address)}">{inline(slide.title)}</a>'


def seconds(slide: Slide, live: dict[str, int]) -> int:
    """What the slow cells of a slide take, those included that only the notebook shows."""
    return sum(live.get(cell.id, 0) for cell in slide.cells + slide.hidden)


def number(value: float) -> str:
    """1.5 is "1½"."""
    whole = f"{int(value)}" if int(value) or not value % 1 else ""
    return whole + ("½" if value % 1 else "")


def sheet(book: NotebookNode, stem: str, stored: dict[str, Any]) -> str:
    """The run sheet of one notebook: minutes, live cells, what to skip, misunderstandings."""
    rows, skips, wrong, clock, saved, live = [], [], {}, 0.0, 0.0, stored.get("live", {})
    kept, short = [], 0.0
    for group in sections(book):
        spent = sum(map(minutes, group))
        if not spent:
            continue
        runs = [f"{link(stem, slide)}: {s} s" for slide in group if (s := seconds(slide, live))]
        rows.append(
            f"<tr><td>{number(clock)}</td><th>{link(stem, group[0])}</th><td>{number(spent)}</td>"
            f"<td>{len(group)}</td><td>{'<br>'.join(runs)}</td></tr>"
        )
        clock += spent
        if group[0].name in KEPT[stem[:2]]:
            kept.append(f"<li>{link(stem, group[0])} ({number(spent)} min)</li>")
        if group[0].name in (*KEPT[stem[:2]], "title", "summary"):
            short += spent
        if aside := SKIPPED in group[0].prose:
            saved += spent
            skips.append(
                f"<li>{link(stem, group[0])}, the whole section ({number(spent)} min)</li>"
            )
        for slide in group:
            for note in slide.notes:
                remark = re.search(r"[^.?!)\n]*\b[Ss]kip\b[^.]*\.", note)
                if remark and not aside:
                    saved += minutes(slide)
                    skips.append(
                        f"<li>{link(stem, slide)} ({number(minutes(slide))} min): "
                        f"{inline(remark[0].strip())}</li>"
                    )
                if said := sentence(note, "isunderstanding:"):
                    wrong.setdefault(said, f"<li>{inline(said)} ({link(stem, slide)})</li>")
    waiting = sum(live.values())
    late = f"<h2>When you are late, skip</h2>\n<ul>{''.join(skips)}</ul>\n<p>This saves up to "
    late = f"{late}{number(saved)} minutes.</p>" if skips else ""
    return f"""<p>{number(clock)} minutes, exercises and waiting apart: the deck shows what its
cells gave, without a kernel. Whoever runs the slow ones in front of the room adds their seconds,
about {waiting} in all on the machine that made the stored outputs.</p>
<table><thead><tr><th>starts at</th><th>section</th><th>minutes</th><th>slides</th>
<th>live cells</th></tr></thead><tbody>
{"".join(rows)}
</tbody></table>
<h2>With half of the time, keep</h2>
<ul>{"".join(kept)}</ul>
<p>With title and summary {number(short)} minutes. There are <a href="plans.html">plans</a> for
shorter lectures, too.</p>
{late}
<h2>Usual misunderstandings</h2>
<p>Each with what to say to it; in brackets the slide on which it comes up.</p>
<ul>{"".join(wrong.values())}</ul>
<h2>Exercises and quiz</h2>
<p>What is said to each wrong answer stands in the speaker's notes of their slides.</p>"""


def plan(name: str, sessions: tuple[Session, ...], books: Course, stems: dict[str, str]) -> str:
    """One plan: a table a session, with links to the slides."""
    parts = [f"<h2>{name}</h2>"]
    for session in sessions:
        rows, clock = [], 0.0
        for part in session.parts:
            group = chosen(part, books)
            spent = sum(map(minutes, group))
            deck = stems[part[:2]]
            rows.append(
                f"<tr><td>{number(clock)}</td><th>{part[:2]} · {link(deck, group[0])}</th>"
                f"<td>{len(group)} slides</td><td>{number(spent)}</td></tr>"
            )
            clock += spent
        for tag in session.exercises:
            heading, spent = exercise(tag, books)
            rows.append(
                f"<tr><td>{number(clock)}</td><th>{inline(heading)}</th><td>in the room</td>"
                f"<td>{spent}</td></tr>"
            )
            clock += spent
        home = ", ".join(session.home)
        parts.append(
            f"<h3>{session.title} ({number(clock)} of {session.minutes} minutes)</h3>"
            "<table><thead><tr><th>starts at</th><th>what</th><th>how</th><th>minutes</th></tr>"
            "</thead>"
            f"<tbody>{''.join(rows)}</tbody></table>"
            + (f"<p>For afterwards: exercises {home}.</p>" if home else "")
        )
    return "\n".join(parts)
