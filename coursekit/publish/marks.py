"""Anchors, boxes and links for what the notebooks number: an extension of Sphinx.

Equations, claims, exercises and sections get an anchor where they stand, and every "(5.12)",
"claim 6.2", "exercise 5.4", "notebook 05, section 4" in prose becomes a link to it. The search
knows the first three by their numbers. Words of the glossary link to it where a page uses them
first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

GLOSSARY = "GLOSSARY"
# Words that mean something else as often as not: a link there would mislead.
EVERYDAY = {"action", "answer", "area", "arm", "environment", "episode", "expectation", "field"}
EVERYDAY |= {"group", "lane", "law", "length", "loss", "pool", "potential", "ratio", "return"}
EVERYDAY |= {"reward", "score", "seed", "state", "value", "weight", "policy", "batch", "token"}
NUMBER = r"(\d{1,2}\.\d{1,2})"
TAG = re.compile(r"\\tag\{([^}]*)\}")
CLAIM = re.compile(rf"Claim {NUMBER}\.")
EXERCISE = re.compile(rf"Exercise {NUMBER}\b")
REFERENCE = re.compile(
    rf"\({NUMBER}\)|(?<=[Cc]laim ){NUMBER}|(?<=[Cc]laims ){NUMBER}|(?<=[Ee]xercise ){NUMBER}"
    rf"|(?<=[Ee]xercises ){NUMBER}|(?:[Nn]otebook )(\d\d)\b(?:,? section (\d+))?"
    r"|(?<!\w)[Ss]ection (\d+)"
)
MARKUP = re.compile(r"[\\*|`]|(?<=\w)_(?!\w)")  # of reStructuredText
OF_ANOTHER = re.compile(r"^,? section (\d+)")


def known(texts: Mapping[str, str]) -> dict[str, dict]:
    """Where everything numbered stands. ``texts``: the prose of each page by its name."""
    found: dict[str, dict] = {
        "equation": {},
        "claim": {},
        "exercise": {},
        "page": {},
        "section": {},
    }
    for name, text in texts.items():
        found["page"][name[:2]] = name
        found["section"][name] = re.findall(r"^## (\d+)\.", text, flags=re.MULTILINE)
        found["equation"] |= dict.fromkeys(TAG.findall(text), name)
        found["claim"] |= dict.fromkeys(re.findall(rf"^\*\*Claim {NUMBER}\.", text, re.M), name)
        found["exercise"] |= dict.fromkeys(re.findall(rf"^### Exercise {NUMBER}", text, re.M), name)
    return found


def terms(glossary: str) -> dict[str, str]:
    """The words of the glossary's table, each with its anchor."""
    row = r'^\| ([^|]+?) \| (?:<a id="([^"]+)"></a>)?'
    found = {}
    for head, own in re.findall(row, glossary, flags=re.MULTILINE):
        for word in re.sub(r"\$[^$]*\$|\([^)]*\)", "", head).split(","):
            if word.strip() and head != "word" and not head.startswith("-"):
                found[word.strip()] = own or anchor("term", heads(head))
    return found


def heads(head: str) -> str:
    """The first word of a glossary's row: "reward-to-go, $G_t$" is reward-to-go."""
    return re.sub(r"\(.*?\)", "", head.split(",")[0]).strip()


def anchor(kind: str, number: str) -> str:
    """equation 5.12 -> equation-5-12."""
    return f"{kind}-" + re.sub(r"[^a-z0-9]+", "-", number.lower()).strip("-")


def measured(line: Mapping[str, Any]) -> str:
    """What was found for a claim, in words. ``line``: one of the stored report."""
    found = "no finite number" if line["value"] is None else f"{line['value']:.4g}"
    margin = (
        "" if line["margin"] is None or line["op"] == "==" else f", margin {line['margin']:.2g}"
    )
    return f"bound: {line['op']} {line['bound']:g}; measured: {found}{margin}"


def setup(app: Any) -> dict[str, Any]:
    """What Sphinx calls."""
    app.add_config_value("course_marks", {}, "env")
    app.add_config_value("course_terms", {}, "env")
    app.add_config_value("course_report", {}, "env")
    app.connect("doctree-read", mark)
    app.connect("html-page-context", levels, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def levels(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Sphinx's captions in the navigation say that they are headings, and not of which level."""
    tree = context.get("furo_navigation_tree", "")
    said = 'role="heading" aria-level="2"'
    context["furo_navigation_tree"] = tree.replace('role="heading"', said)


def mark(app: Any, doctree: Any) -> None:
    """Give one page its anchors, boxes and links."""
    anchors(doctree, app.config.course_report)
    page = app.env.docname
    if page == GLOSSARY:
        rows(doctree)
    links(doctree, page, app.config.course_marks)
    if page[:2].isdecimal():
        first_uses(doctree, app.config.course_terms)


def anchors(doctree: Any, report: Mapping[str, Any]) -> None:
    """Anchors for equations, claims, exercises, sections; boxes for claims and exercises."""
    from docutils import nodes

    for block in list(doctree.findall(nodes.math_block)):
        if found := TAG.search(block.astext()):
            name = anchor("equation", found[1])
            block["ids"].append(name)
            block["classes"].append("numbered")
            block.parent.insert(block.parent.index(block) + 1, permalink(name, f"({found[1]})"))
            block.parent.insert(
                block.parent.index(block), searched(name, f"({found[1]})", f"equation {found[1]}")
            )
    for paragraph in list(doctree.findall(nodes.paragraph)):
        if found := CLAIM.match(paragraph.astext()):
            paragraph["ids"].append(anchor("claim", found[1]))
            paragraph["classes"].append("claim")
            paragraph.insert(0, searched(paragraph["ids"][-1], f"claim {found[1]}"))
            if said := report.get(found[1]):
                paragraph += nodes.inline(
                    "", f"Verified. {said[0].upper()}{said[1:]}.", classes=["measured"]
                )
    for section in list(doctree.findall(nodes.section)):
        title = section.next_node(nodes.title).astext()
        if found := EXERCISE.match(title):
            section["classes"].append("exercise")
            section["ids"].append(anchor("exercise", found[1]))
            section.insert(1, searched(section["ids"][-1], f"exercise {found[1]}"))
        if found := re.match(r"(\d+)\. ", title):
            section["ids"].append(anchor("section", found[1]))


def searched(name: str, *words: str) -> Any:
    """What the search finds an anchor by: of numbers it would keep nothing."""
    from sphinx import addnodes

    return addnodes.index(entries=[("single", word, name, "main", None) for word in words])


def permalink(name: str, shown: str) -> Any:
    """A small link beside an equation, to copy."""
    from docutils import nodes

    said = f'class="headerlink equation-link" aria-label="Link to equation {shown}"'
    return nodes.raw("", f'<a {said} href="#{name}">¶</a>', format="html")


def rows(doctree: Any) -> None:
    """An anchor for each row of the glossary that has none."""
    from docutils import nodes

    for row in doctree.findall(nodes.row):
        if any("<a id=" in raw.astext() for raw in row.findall(nodes.raw)):
            continue
        row["ids"].append(anchor("term", heads(row.next_node(nodes.entry).astext())))


def prose(doctree: Any) -> Iterator[Any]:
    """The texts in which a link may stand."""
    from docutils import nodes
    from sphinx import addnodes

    closed = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw)
    closed += (nodes.reference, nodes.title, nodes.comment, addnodes.pending_xref)
    closed += (addnodes.desc_signature, addnodes.toctree)
    for text in list(doctree.findall(nodes.Text)):
        node = text
        while node is not None and not isinstance(node, closed) and not after_tag(node):
            node = node.parent
        if node is None:
            yield text


def after_tag(node: Any) -> bool:
    """Whether a node stands in a link that was written in HTML."""
    from docutils import nodes

    place = node.parent.index(node) if node.parent is not None else 0
    before = node.parent[place - 1] if place else None
    opened = before.astext() if isinstance(before, nodes.raw) else ""
    return opened.startswith("<a ") and "</a>" not in opened  # the ¶ of an equation is closed


def links(doctree: Any, page: str, marks: Mapping[str, Any]) -> None:
    """Turn the numbers in prose into links; what leads nowhere stays text."""
    for text in prose(doctree):
        before = text.parent[: text.parent.index(text)]
        named = re.search(r"(?:[Nn]otebook )?(\d\d)$", before[-1].astext()) if before else None
        other = marks["page"].get(named[1]) if named else None
        replace(text, lambda found, other=other: target(found, page, other, marks))


def target(found: re.Match, page: str, other: str | None, marks: Mapping[str, Any]) -> str | None:
    """The address for one reference in prose; None where there is none."""
    equation, claim, claims, exercise, exercises, number, of_it, section = found.groups()
    if number:
        to = marks["page"].get(number)
        if to is None:
            return None
        return address(to, "section", of_it) if of_it in marks["section"][to] else f"{to}.html"
    if section:
        there = other if other and OF_ANOTHER.match(found.string) and found.start() < 3 else page
        ok = section in marks["section"].get(there, ())
        return address(there, "section", section) if ok else None
    for kind, tag in (
        ("equation", equation),
        ("claim", claim or claims or equation),
        ("exercise", exercise or exercises),
    ):
        if tag in marks[kind]:
            return address(marks[kind][tag], kind, tag)
    return None


def address(page: str, kind: str, number: str) -> str:
    """A page's file with an anchor; all pages stand in one folder."""
    return f"{page}.html#{anchor(kind, number)}"


def replace(text: Any, where: Any, pattern: re.Pattern = REFERENCE, **more: Any) -> None:
    """Put links into one text: ``where`` gives a match's address, or None."""
    from docutils import nodes

    source, done, new = text.astext(), 0, []
    for found in pattern.finditer(source):
        if uri := where(found):
            new += [nodes.Text(source[done : found.start()])]
            new += [nodes.reference("", found[0], refuri=uri, internal=True, **more)]
            done = found.end()
    if new:
        text.parent.replace(text, [*new, nodes.Text(source[done:])])


def first_uses(doctree: Any, words: Mapping[str, str]) -> None:
    """Link each word of the glossary where the page uses it first."""
    left = {word.lower(): value for word, value in words.items()}
    left = {word: value for word, value in left.items() if word not in EVERYDAY}
    if not left:
        return
    longest = sorted(map(re.escape, left), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w-])({'|'.join(longest)})s?(?![\w-])", re.IGNORECASE)

    def first(found):
        place = left.pop(found[1].lower(), None)
        return place and f"{GLOSSARY}.html#{place}"

    for text in prose(doctree):
        replace(text, first, pattern, classes=["term"])


def plain(docstring: str) -> str:
    """A docstring as reStructuredText: ``code`` and indented programs, nothing else is markup."""
    made, literal = [], False
    for line in docstring.splitlines():
        literal = literal and (not line.strip() or line.startswith(" "))
        if line.startswith("    ") and not literal and not (made and made[-1].strip()):
            made += ["::", ""]
            literal = True
        if not literal:
            parts = re.split(r"(``.+?``)", line)
            parts[::2] = [MARKUP.sub(r"\\\g<0>", part) for part in parts[::2]]
            line = "".join(parts)
        literal = literal or line.rstrip().endswith("::")
        made.append(line)
    return "\n".join(made)
