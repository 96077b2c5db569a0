"""The notebooks as documents: what a reader, a lecturer and nbval rely on, for every notebook."""

import ast
import contextlib
import copy
import functools
import inspect
import io
import itertools
import re
import statistics
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import reading
import torch

from coursekit import checks
from coursekit.publish import execute as publish
from coursekit.publish import minutes as minutes_module
from coursekit.publish.slides import show

ROOT = Path(__file__).resolve().parent.parent
PATHS = reading.PATHS
SLIDES = {"slide", "subslide", "fragment", "skip", "notes", "-"}
SOURCE = "\n".join(p.read_text("utf-8") for p in (ROOT / "coursekit").rglob("*.py"))
DEFINED = set(re.findall(r"^(?:def|class) (\w+)", SOURCE, flags=re.MULTILINE))
PLANNED = {f"{number:02d}" for number in range(15)}  # the notebooks of the finished course


@pytest.fixture(scope="module", params=PATHS, ids=lambda path: path.stem)
def notebook(request):
    book = copy.copy(reading.book(request.param))
    book.path = request.param
    return book


def code(book, tag=None):
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    return [cell for cell in cells if tag is None or tag in cell.metadata.get("tags", [])]


def prose(book):
    return "\n\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")


def calls(book, name):
    """The first arguments of all calls verify.<name>("…") in the notebook, in order."""
    found = []
    for cell in code(book):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"verify.{name}":
                found.append(ast.literal_eval(node.args[0]))
    return found


def tags(text):
    return re.findall(r"\\tag\{([^}]*)\}", text)


def declared(text):
    return re.findall(r"^\*\*Claim (\d+\.\d+)\.\*\*", text, flags=re.MULTILINE)


def pictures(book):
    for cell in code(book):
        for output in cell.outputs:
            for source in output.get("data", {}).get("text/html", ""), output.get("text", ""):
                yield from re.findall(r"<img [^>]*>", source)


def code_lines(source):
    return [line for line in source.splitlines() if line.strip() and line.strip()[0] != "#"]


def uncompared_without_claim(book):
    """Cells that nbval ignores and that no claim follows before the section ends."""
    bad = []
    for i, cell in enumerate(book.cells):
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            section = itertools.takewhile(
                lambda c: c.cell_type == "code" or not c.source.startswith("#"),
                book.cells[i + 1 :],
            )
            if not any("verify.claim(" in c.source for c in section):
                bad.append(cell.id)
    return bad


def names(source):
    """(defined, used): the names that a piece of code binds at top level, and those it reads."""
    tree = ast.parse(source)
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    used = {node.id for node in nodes if isinstance(node.ctx, ast.Load)}
    bound = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        bound |= {t.id for target in targets for t in ast.walk(target) if isinstance(t, ast.Name)}
    return bound, used


def purposes(source):
    """The words for which a piece of code draws seeds or a stream; {…} of an f-string is "*"."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    drawn = [c for c in calls if ast.unparse(c.func) in ("experiments.seeds", "experiments.stream")]
    parts = [getattr(call.args[1], "values", [call.args[1]]) for call in drawn]
    return [
        "".join(x.value if isinstance(x, ast.Constant) else "*" for x in words) for words in parts
    ]


def badly_drawn(book):
    """Purposes of another notebook's number, and draws by number beside draws by purpose."""
    number, cells = book.path.stem[:2], code(book)
    found = [words for cell in cells for words in purposes(cell.source)]
    by_number = [cell.id for cell in cells if "[SEED," in cell.source]
    return [words for words in found if words[:3] != f"{number} "] + (by_number if found else [])


def leaks(book):
    """Names that exercise or solution cells define and that any cell outside of them reads."""
    exercise, solution = code(book, "exercise"), code(book, "solution")
    inside = [names(cell.source)[0] for cell in exercise + solution]
    defined = set().union(*inside) if inside else set()
    outside = [cell for cell in code(book) if cell not in exercise and cell not in solution]
    used = [names(cell.source)[1] for cell in outside]
    used += [names(cell.source)[1] & names(s.source)[0] for cell in exercise for s in solution]
    return defined & set().union(*used)


def slides(book):
    """The show as lists: a slide of steps, a step of cells that appear together, notes left out."""
    show = []
    for cell in book.cells:
        kind = cell.metadata.slideshow.slide_type
        if kind in ("slide", "subslide"):
            show.append([[]])
        elif kind == "fragment":
            show[-1].append([])
        if kind not in ("skip", "notes"):
            show[-1][-1].append(cell)
    return show


def speakers_notes(book):
    return [cell for cell in book.cells if cell.metadata.slideshow.slide_type == "notes"]


def minutes(book):
    """Those of each note: "notes · 2 min", "· ½ min", "· 1½ min"."""
    found = [re.search(r"notes · (\d*)(½?) min", note.source) for note in speakers_notes(book)]
    return [int(m[1] or 0) + bool(m[2]) / 2 for m in found if m]


def without_notes(book):
    """Slides on which the lecturer is told nothing.

    Exercises and quizzes apart: what a deck says of them comes from their wrong answers.
    """
    bare = [slide.name for slide in show(book) if not slide.notes]
    return [name for name in bare if not re.match("ex-|exercises$|quiz", name)]


def sections_without_notes(book):
    """Numbered sections in which the lecturer is not told how long they take and what to ask."""
    starts = [i for i, cell in enumerate(book.cells) if re.match(r"## \d+\.", cell.source)]
    ends = [i for i, cell in enumerate(book.cells) if cell.source.startswith("## ")]
    sections = [book.cells[i : min(e for e in ends if e > i)] for i in starts]
    return [
        cells[0].id for cells in sections if not speakers_notes(nbformat.NotebookNode(cells=cells))
    ]


def answered_at_once(book):
    """Predictions that appear on the screen together with an output or a claim that follows."""
    bad = []
    for step in itertools.chain.from_iterable(slides(book)):
        for i, cell in enumerate(step):
            asked = re.split(r"\*(?:Predict|Before you run)", cell.source)
            if cell.cell_type == "markdown" and len(asked) > 1:
                after = [c.source for c in step[i + 1 :] if c.cell_type == "markdown"]
                shown = any(c.get("outputs") for c in step[i + 1 :])
                if shown or declared("\n\n".join([asked[-1], *after])):
                    bad.append(cell.id)
    return bad


def test_there_are_notebooks():
    assert len(PATHS) >= 3


def test_every_cell_was_run_in_order_and_none_failed(notebook):
    cells = [cell for cell in code(notebook) if cell.source.strip()]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [o for cell in cells for o in cell.outputs if o.output_type in ("error", "stderr")]
    assert not [o for cell in cells for o in cell.outputs if o.get("name") == "stderr"]


def test_outputs_are_stored(notebook):
    shown = [cell for cell in code(notebook) if cell.outputs]
    assert len(shown) >= len(code(notebook)) / 2


def test_each_equation_has_one_verification_and_the_other_way_round(notebook):
    written, verified = tags(prose(notebook)), calls(notebook, "equation")
    assert len(set(written)) == len(written)
    assert sorted(written) == sorted(verified)
    number = int(notebook.path.stem[:2])
    expected = [f"{number}.{k + 1}" for k in range(len(written))]
    assert sorted(written, key=lambda t: int(t.split(".")[1])) == expected


def test_each_claim_is_declared_once_and_verified_once(notebook):
    announced = declared(prose(notebook))
    assert len(set(announced)) == len(announced)
    assert sorted(announced) == sorted(calls(notebook, "claim"))


def test_a_claim_is_declared_before_its_verification(notebook):
    seen = set()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            seen |= set(declared(cell.source))
        for tag in re.findall(r'verify\.claim\(\s*"([^"]*)"', cell.source):
            assert tag in seen, f"claim {tag} is verified before it is declared"


def test_one_tag_for_each_display_and_no_line_break_inside(notebook):
    for display in re.findall(r"\$\$(.*?)\$\$", prose(notebook), flags=re.DOTALL):
        assert len(tags(display)) <= 1
        assert "\\\\" not in display


def test_pictures_have_alt_text_with_numbers(notebook):
    found = list(pictures(notebook))
    assert len(found) >= 3
    for image in found:
        alt = re.search(r'alt="([^"]*)"', image).group(1)
        assert len(alt.split()) >= 5
        assert re.search(r"\d", alt), f"no number in the alt text {alt!r}"


def test_no_picture_is_shown_without_alt_text(notebook):
    for cell in code(notebook):
        bare = [o for o in cell.outputs if "image/png" in o.get("data", {})]
        assert all("alt=" in o.data.get("text/html", "") for o in bare), cell.id


def test_what_nbval_does_not_compare_is_followed_by_a_claim(notebook):
    assert uncompared_without_claim(notebook) == []
    assert len(code(notebook, "nbval-ignore-output")) <= len(code(notebook)) / 4
    assert not code(notebook, "nbval-skip")
    marks = ("NBVAL_", "raises-exception")
    assert not [cell.id for cell in code(notebook) if any(m in cell.source for m in marks)]


def test_timing_cells_are_not_compared(notebook):
    for cell in code(notebook, "timing"):
        assert "nbval-ignore-output" in cell.metadata.tags


def test_no_two_purposes_draw_from_one_stream(notebook):
    assert badly_drawn(notebook) == []


def test_exercises_are_islands(notebook):
    assert leaks(notebook) == set()


KINDS = {"pencil and paper", "code", "predict, then run", "find the bug"}
CARD = r"### Exercise (\d+\.\d+) · .+\n\*[★☆]{3} · \d+ minutes? · ([a-z, ]+)\*\n\n"


def said_of_the_arguments(stub):
    """The comments of a stub, lines put together that are one."""
    comments = re.findall(r"^    # (.*)$", stub, flags=re.MULTILINE)[:-1]  # "your code here"
    return re.sub(r"\n  +", " ", "\n".join(comments))


def test_there_are_four_exercises_each_with_stub_check_hints_and_solution(notebook):
    number = int(notebook.path.stem[:2])
    cells = {cell.id: cell for cell in notebook.cells}
    found = [tag for tag in (f"{number}.{k}" for k in range(1, 9)) if f"ex-{tag}" in dotted(cells)]
    assert len(found) >= (4 if number else 3)
    kinds = []
    for tag in found:
        exercise = checks.find(tag)
        card, stub, check, hints, solution = (
            cells[f"ex-{tag.replace('.', '-')}{part}"]
            for part in ("", "-stub", "-check", "-hints", "-solution")
        )
        shown = re.match(CARD, card.source)
        assert shown, f"{tag}: title, then difficulty, minutes and kind: {card.source[:120]}"
        assert shown[1] == tag
        kinds.append(shown[2])
        assert re.findall(r"<summary>(.*?)</summary>", hints.source) == [
            f"Hint {k}" for k in (1, 2, 3)
        ]
        if callable(exercise.solution):
            assert said_of_the_arguments(stub.source) == exercise.takes
            assert exercise.tells == (shown[2] != "pencil and paper")
        assert f'checks.check("{tag}", ' in check.source
        assert check.outputs[0].text == f"exercise {tag}: not attempted\n"
        assert f'checks.check("{tag}", ' in solution.source
        assert solution.outputs[0].text == f"solution {tag}: correct\n"
        assert solution.metadata.tags == ["solution"]
        assert solution.metadata.jupyter.source_hidden
        assert stub.metadata.tags == check.metadata.tags == ["exercise"]
    assert set(kinds) <= KINDS
    assert len(set(kinds)) >= (3 if number else 2)


def unmarked(book):
    """What is asked outside of a section that may be skipped, needs it, and does not say so.

    Exercises, quizzes and predictions that name such a section, or an equation or claim of it.
    """
    skipped, home, section = set(), {}, ""
    placed = []
    for cell in book.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            section = (re.match(r"## (\d+)\.", cell.source) or [""] * 2)[1]
            if minutes_module.SKIPPED in cell.source:
                skipped.add(section)
        if cell.cell_type == "markdown":
            home |= {("(", tag): section for tag in tags(cell.source)}
            home |= {("claim ", tag): section for tag in declared(cell.source)}
        placed.append((section, cell))
    bad = []
    for section, cell in placed:
        asks = re.match(r"ex-\d+-\d+$|ex-\d+-\d+-hints$|quiz-\d+$", cell.id)
        asks = asks or (re.search(r"\*Predict", cell.source) and cell.cell_type == "markdown")
        if cell.metadata.slideshow.slide_type == "notes" or not asks:
            continue
        elsewhere = re.sub(r"otebook \d\d(\]\([^)]*\))?,? sections? \d+", "", cell.source)
        needs = set(re.findall(r"[Ss]ections? (\d+)", elsewhere))
        found = re.findall(r"(\(|[Cc]laim )(\d+\.\d+)", elsewhere)
        needs |= {home.get((kind.lower(), tag), "") for kind, tag in found}
        card = placed[[c.id for _, c in placed].index(cell.id.removesuffix("-hints"))][1]
        if needs & skipped - {section} and "may be skipped" not in card.source:
            bad.append(cell.id)
    return bad


def test_nothing_needs_a_section_that_may_be_skipped_and_does_not_say_so(notebook):
    assert unmarked(notebook) == []


def test_a_need_that_is_not_marked_is_seen():
    mark = f"\n\n{minutes_module.SKIPPED}\n\n"
    skipped = ("-", f"## 2. Aside{mark}$$x \\tag{{1.1}}$$\n\n**Claim 1.2.** So.")
    end = ("-", "## 3. End")
    for words in ("section 2 says", "by (1.1)", "see claim 1.2"):
        asks = ("-", f"*Predict*, as {words}, the end.")
        assert unmarked(shown(skipped, end, asks)) == ["c2"]
        assert unmarked(shown(skipped, asks, end)) == []
        assert unmarked(shown(skipped, end, ("-", asks[1] + " (It may be skipped.)"))) == []
    fine = ("-", "*Predict*, as notebook 02, section 2, says, the end. By (1.2).")
    assert unmarked(shown(skipped, end, fine)) == []


def told_in_the_lesson(book, package=True):
    """Functions that the text shows before an exercise and that are its answer.

    Definitions are run with NumPy, torch and the package. Then they are called on the cases, up to
    the first that comes out wrong.
    """
    space, bad, defined = {"np": np, "torch": torch}, [], {}
    for cell in code(book):
        if cell.id == "setup" and package:
            lines = [n for n in ast.parse(cell.source).body if isinstance(n, ast.ImportFrom)]
            exec("\n".join(ast.unparse(n) for n in lines if "coursekit" in n.module), space)
        elif not {"exercise", "solution"} & set(cell.metadata.get("tags", [])):
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.FunctionDef):
                    with contextlib.suppress(NameError, AttributeError):  # of a default value
                        exec(ast.unparse(node), space)
                        defined[node.name] = space[node.name]
        elif cell.id.endswith("-stub"):
            tag = ".".join(re.findall(r"\d+", cell.id))
            exercise = checks.find(tag)
            for name, function in defined.items() if callable(exercise.solution) else ():
                if answers(exercise, function):
                    bad.append(f"{tag}: {name}")
    return bad


def answers(exercise, function):
    """Whether a function gives what the solution gives, on every case."""
    if len(inspect.signature(function).parameters) != len(exercise.edges()[0]):
        return False
    for mine, theirs in zip(exercise.cases(), exercise.cases(), strict=True):
        given, right = checks._outcome(function, mine), checks._outcome(exercise.solution, theirs)
        if given.error or not checks._same(given.value, right.value):
            return False
    return True


TOLD = {  # functions of the text that only call the package, which tells nobody how
    "08": ["8.1: to_go", "8.3: right_way"],
    "12": ["12.4: left_out_twice"],
}


def test_no_function_of_the_text_is_the_answer_to_an_exercise(notebook):
    assert told_in_the_lesson(notebook) == TOLD.get(notebook.path.stem[:2], [])
    assert told_in_the_lesson(notebook, package=False) == []


def test_an_answer_in_the_text_is_seen():
    v4 = nbformat.v4
    text = v4.new_code_cell("def total(r):\n    return np.cumsum(r[::-1])[::-1]")
    stub = v4.new_code_cell("...", id="ex-0-3-stub", metadata={"tags": ["exercise"]})
    assert told_in_the_lesson(v4.new_notebook(cells=[text, stub])) == ["0.3: total"]
    assert told_in_the_lesson(v4.new_notebook(cells=[stub, text])) == []


def dotted(cells):
    return {re.sub(r"^ex-(\d+)-(\d+)$", r"ex-\1.\2", identity) for identity in cells}


def written_over(book):
    """Modules that a cell binds to something else and a later cell calls a function of."""
    imported, taken, bad = set(), set(), set()
    for cell in code(book):
        nodes = list(ast.walk(ast.parse(cell.source)))
        used = {
            ast.unparse(node.value)
            for node in nodes
            if isinstance(node, ast.Attribute) and node.attr in DEFINED
        }
        here = {
            (alias.asname or alias.name).split(".")[0]
            for node in nodes
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        imported, taken = imported | here, taken - here
        bad |= taken & used
        taken |= imported & names(cell.source)[0]
    return bad


def test_no_cell_takes_the_name_of_a_module(notebook):
    assert written_over(notebook) == set()


def test_a_name_that_is_taken_from_a_module_is_seen():
    book = nbformat.v4.new_notebook()
    for source in ("from coursekit import fast, train", "fast = train = 3", "fast.train_many(4)"):
        book.cells.append(nbformat.v4.new_code_cell(source))
    assert written_over(book) == {"fast"}


def test_code_cells_are_short(notebook):
    cells = [cell for cell in code(notebook) if cell.id != "setup"]  # imports, a name a line
    lengths = [len(code_lines(cell.source)) for cell in cells]
    if notebook.path.stem != "14_answers":  # whose cells are read alone
        assert statistics.median(lengths) <= 4
    assert max(lengths) <= 20


def test_every_cell_says_what_slide_it_is_and_has_a_readable_id(notebook):
    for cell in notebook.cells:
        assert cell.metadata.slideshow.slide_type in SLIDES
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]{2,40}", cell.id), cell.id
    notes = [c for c in notebook.cells if c.metadata.slideshow.slide_type == "notes"]
    assert len(notes) >= 3
    assert len(minutes(notebook)) == len(notes)


def test_the_minutes_of_the_notes_add_up_to_the_titles(notebook):
    time = re.search(r"\*\*Time\*\*: .*; as a lecture ([\d.]+)\.", prose(notebook))
    assert sum(minutes(notebook)) == float(time[1])
    assert len(minutes(notebook)) == len(speakers_notes(notebook))
    assert sections_without_notes(notebook) == []
    assert without_notes(notebook) == []


def test_a_prediction_is_asked_before_its_answer_is_on_the_screen(notebook):
    assert answered_at_once(notebook) == []


def test_the_anatomy_is_complete(notebook):
    text = prose(notebook)
    first = text.split("## ")[0]  # the title, before the first section
    for part in ("You will be able to", "You need", "Time", "minutes"):
        assert part in first
    for heading in ("## Exercises", "## Summary", "## Roads not taken", "## References"):
        assert heading in text
    summary = text.split("## Summary")[1].split("## ")[0]
    assert 1 <= len(re.findall(r"^- ", summary, flags=re.MULTILINE)) <= 5
    assert "| symbol |" in text
    assert re.search(r"\bpredict", text, flags=re.IGNORECASE)
    setup = next(cell for cell in code(notebook) if cell.id != "ready")  # where 00 asks for more
    assert setup.id == "setup"
    assert "verify.master_seed()" in setup.source
    assert "plots.style()" in setup.source


def documents():
    texts = [(path, path.read_text(encoding="utf-8")) for path in ROOT.glob("*.md")]
    texts += [(p, p.read_text(encoding="utf-8")) for p in (ROOT / "notebooks").glob("*.md")]
    return texts + [(path, prose(reading.book(path))) for path in PATHS]


@pytest.mark.parametrize("document", documents(), ids=lambda document: document[0].name)
def test_relative_links_resolve(document):
    path, text = document
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:|#", target):
            assert (path.parent / target.split("#")[0]).exists(), target


def numbered(book):
    """What the notebook defines and one may refer to: equations, claims, exercises, sections."""
    text = prose(book)
    return {
        "equation": set(tags(text)),
        "claim": set(declared(text)),
        "exercise": set(re.findall(r"^### Exercise (\d+\.\d+)", text, flags=re.MULTILINE)),
        "section": set(re.findall(r"^## (\d+)\.", text, flags=re.MULTILINE)),
    }


REFERENCES = {  # what stands in prose for a number that must exist somewhere in the course
    "equation": r"\((\d{1,2}\.\d{1,2})\)",  # or a claim: (6.5)
    "claim": r"[Cc]laims? (\d{1,2}\.\d{1,2})",
    "exercise": r"[Ee]xercises? (\d{1,2}\.\d{1,2})",
}
CHAPTER = r"[Nn]otebooks? (?:(\d\d)(?:, (\d\d))*(?:,? (?:and|or|to) (\d\d))?)"
SECTION_OF = r"[Nn]otebook (\d\d)(?:\]\([^)]*\))?,? section (\d+)|\b(\d\d) sections? (\d+)"


def dangling(text, defined, planned=PLANNED):
    """References in a text that lead nowhere: (kind, number). ``defined``: kind -> numbers."""
    bad = set()
    for kind, pattern in REFERENCES.items():
        known = defined[kind] | (defined["claim"] if kind == "equation" else set())
        bad |= {(kind, tag) for tag in re.findall(pattern, text) if tag not in known}
    for found in re.findall(CHAPTER, text):
        bad |= {("notebook", number) for number in found if number and number not in planned}
    for number, target in re.findall(r"(\d\d)\]\((\d\d)_\w+\.ipynb", text):
        bad |= {("link", number)} if number != target else set()
    for a, b, c, d in re.findall(SECTION_OF, text):
        where, section = a or c, b or d
        sections = defined["sections"].get(where)
        if sections is not None and section not in sections:
            bad.add(("section", f"{where} §{section}"))
    return bad


@functools.cache
def course_numbers():
    """Everything that may be referred to, in all notebooks together."""
    books = {path.stem[:2]: numbered(reading.book(path)) for path in PATHS}
    every = {kind: set().union(*(b[kind] for b in books.values())) for kind in REFERENCES}
    return every | {"sections": {number: b["section"] for number, b in books.items()}}


@pytest.mark.parametrize("document", documents(), ids=lambda document: document[0].name)
def test_every_reference_leads_to_something_that_exists(document):
    assert dangling(document[1], course_numbers()) == set()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_numbers_belong_to_their_own_notebook(path):
    own = numbered(reading.book(path))
    for kind in ("equation", "claim", "exercise"):
        assert {tag.split(".")[0] for tag in own[kind]} <= {str(int(path.stem[:2]))}, kind


def test_a_reference_to_nothing_is_seen():
    known = {"equation": {"2.1"}, "claim": {"2.1"}, "exercise": {"2.1"}, "sections": {"02": {"1"}}}
    good = (
        "By (2.1) and claim 2.1, exercise 2.1, notebook 02, section 1; [notebook 02](02_a.ipynb)."
    )
    assert dangling(good, known) == set()
    bad = "(2.2), Claim 2.3, exercises 3.1, notebooks 02 and 77, [notebook 09](10_a.ipynb)"
    assert {kind for kind, _ in dangling(bad + ", 02 section 4", known)} == {
        "equation", "claim", "exercise", "notebook", "link", "section"
    }  # fmt: skip


def test_what_a_summary_calls_next_is_a_planned_notebook(notebook):
    following = prose(notebook).split("**Next:**")[1][:120]
    assert re.search(r"notebook (\d\d)", following).group(1) in PLANNED


def test_the_readme_quotes_the_numbers_and_the_picture_of_the_notebooks():
    books = [reading.book(path) for path in PATHS]
    equations, claims = (sum(len(calls(b, kind)) for b in books) for kind in ("equation", "claim"))
    line = f"{equations} equations and {claims} claims in {len(books)} notebooks"
    shown = rf"<!-- verified -->{line}, on \d{{4}}-\d\d-\d\d<!-- /verified -->"
    assert re.search(shown, (ROOT / "README.md").read_text("utf-8"))
    for name, (notebook, cell) in publish.PICTURES.items():
        alt, data = publish.picture(ROOT / "notebooks" / notebook, cell)
        assert (ROOT / "notebooks" / name).read_bytes() == data
        assert f"![{alt}](notebooks/{name})" in (ROOT / "README.md").read_text("utf-8")


def test_ruff_finds_nothing_in_package_tests_and_notebooks():
    for words in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *words, "--no-cache", str(ROOT)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


# --- Each test above is seen to fail: the helpers on a notebook that is wrong in every way.


@pytest.fixture
def bad():
    v4 = nbformat.v4
    elsewhere = [v4.new_markdown_cell("## 2"), v4.new_code_cell("verify.claim('9.3', 1, '<', 2)")]
    ignored = {"tags": ["nbval-ignore-output"]}
    cells = [
        v4.new_markdown_cell(r"$$x \tag{9.1}$$ $$y \tag{9.1}$$ **Claim 9.1.** not at line start"),
        v4.new_code_cell("my_answer = 1", metadata={"tags": ["exercise"]}),
        v4.new_code_cell("print(my_answer)"),
        v4.new_code_cell("x_solution = 1", metadata={"tags": ["solution"]}),
        v4.new_code_cell("x_solution + 1", metadata={"tags": ["exercise"]}),
        v4.new_code_cell("verify.claim('9.2', 1, '<', 2)"),
        v4.new_code_cell("training()", metadata=ignored, id="training"),
    ]
    return v4.new_notebook(cells=cells + elsewhere)


def test_a_repeated_tag_and_a_claim_inside_a_line_are_seen(bad):
    assert tags(prose(bad)) == ["9.1", "9.1"]
    assert declared(prose(bad)) == []
    assert declared("**Claim 9.1.** It holds.") == ["9.1"]
    assert calls(bad, "claim") == ["9.2", "9.3"]


def test_an_ignored_cell_without_a_claim_after_it_is_seen(bad):
    assert uncompared_without_claim(bad) == ["training"]


def test_a_stream_of_another_notebook_and_one_by_number_are_seen(bad):
    bad.path = Path("09_x.ipynb")
    draw = 'experiments.seeds(SEED, "09 tuning", 8), experiments.stream(SEED, f"04 {k}")'
    assert purposes(draw) == ["09 tuning", "04 *"]
    bad.cells[1].source, bad.cells[6].source = draw, "rng([SEED, 7])"
    assert badly_drawn(bad) == ["04 *", "training"]
    bad.cells[1].source = ""
    assert badly_drawn(bad) == []  # a notebook that has no purposes


def test_a_leaking_exercise_is_seen(bad):
    assert leaks(bad) == {"my_answer", "x_solution"}


def shown(*kinds_and_sources):
    v4, cells = nbformat.v4, []
    for k, (kind, source) in enumerate(kinds_and_sources):
        outputs = [v4.new_output("stream", text="1\n")] if source.startswith("run") else []
        new = v4.new_code_cell(source, outputs=outputs) if outputs else v4.new_markdown_cell(source)
        new.id, new.metadata = f"c{k}", nbformat.from_dict({"slideshow": {"slide_type": kind}})
        cells.append(new)
    return v4.new_notebook(cells=cells)


def test_an_answer_beside_its_question_and_a_section_without_notes_are_seen():
    question = ("slide", "## 1. Walk\n\n*Predict* it.")
    note = ("notes", "> **Speaker's notes · 3 min.** Ask.")
    end = ("slide", "## Summary")
    assert answered_at_once(shown(question, ("-", "run()"), note, end)) == ["c0"]
    assert answered_at_once(shown(question, ("-", "**Claim 1.1.** It walks."))) == ["c0"]
    assert answered_at_once(shown(("slide", "*Predict* it.\n\n**Claim 1.1.** It walks."))) == ["c0"]
    assert answered_at_once(shown(question, ("fragment", "run()"), end)) == []
    assert answered_at_once(shown(question, ("skip", "run()"), end)) == []
    assert sections_without_notes(shown(question, end)) == ["c0"]
    assert sections_without_notes(shown(question, note, end)) == []
    assert minutes(shown(question, note, end)) == [3]
    half, none = ("notes", "notes · ½ min"), ("notes", "notes, a while")
    assert minutes(shown(question, half, ("notes", "notes · 1½ min"), none)) == [0.5, 1.5]
    bare = without_notes(shown(question, ("slide", "## 2"), note, ("subslide", "run()")))
    assert bare == ["c0", "c3"]


@pytest.mark.slow
def test_the_program_in_the_readme_runs_as_it_stands_and_says_what_its_comment_says():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    said = re.search(r"# (✗ \w+)", program).group(1)
    assert printed(program).splitlines()[0] == said
    assert printed(program.replace(".mean()", ".sum()")).startswith("✓")


def printed(program):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(program, {"__name__": "__main__"})
    return out.getvalue()
