"""The student edition: runs as it stands, gives nothing away, and keeps what a learner wrote."""

import ast
import contextlib
import importlib
import io
import json
import linecache
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from coursekit import checks
from coursekit.publish import execute, student

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {path.name: execute.read(path) for path in sorted(execute.NOTEBOOKS.glob("*.ipynb"))}
EDITION = student.edition()
BOOKS = {
    name: nbformat.reads(text.decode(), as_version=4)
    for name, text in EDITION.items()
    if name.endswith(".ipynb")
}
every_notebook = pytest.mark.parametrize("name", BOOKS)


def tagged(book, tag):
    return [cell for cell in book.cells if tag in cell.metadata.get("tags", [])]


# What is in it


@every_notebook
def test_a_notebook_is_the_source_without_solutions_notes_and_outputs(name):
    book, source = BOOKS[name], SOURCES[name]
    nbformat.validate(book)
    taken = {cell.id for cell in tagged(source, "solution")}
    taken |= {c.id for c in source.cells if c.metadata.slideshow.slide_type == "notes"}
    assert len(taken) >= 6
    here = {cell.id: cell.source for cell in book.cells}
    expected = {cell.id: cell.source for cell in source.cells if cell.id not in taken}
    assert here.pop("progress").endswith("coursekit.progress()  # of all notebooks")
    assert here == expected
    assert any("<details><summary>Hint 1" in text for text in here.values())
    assert not [c.id for c in book.cells if c.get("outputs") or c.get("execution_count")]


def test_every_notebook_knows_this_kernel_so_that_opening_it_changes_nothing():
    for book in BOOKS.values():
        said = book.metadata.language_info
        assert said.version == ".".join(map(str, sys.version_info[:3]))
        assert said.codemirror_mode == {"name": "ipython", "version": 3}
        assert set(book.metadata) == {"kernelspec", "language_info"}


def test_solutions_stand_at_the_end_where_they_are_asked_for():
    ended = student.edition("end")
    for name, source in SOURCES.items():
        book = nbformat.reads(ended[name].decode(), as_version=4)
        solved = [cell.id for cell in tagged(source, "solution")]
        assert [cell.id for cell in book.cells][-len(solved) - 2 :] == [
            "solutions",
            *solved,
            "progress",
        ]
        assert len(BOOKS[name].cells) == len(book.cells) - len(solved) - 1


def test_another_place_for_solutions_is_refused():
    with pytest.raises(ValueError, match="'middle' is unknown; choose from: end, none"):
        student.edition("middle")


@pytest.mark.parametrize("name", EDITION)
def test_every_link_leads_to_a_file_of_the_edition(name):
    cells = BOOKS[name].cells if name in BOOKS else []
    texts = [c.source for c in cells if c.cell_type == "markdown"] or [EDITION[name].decode()]
    for target in re.findall(r"\]\(([^)\s]+)\)", "\n".join(texts)):
        if not re.match(r"[a-z]+:|#", target):
            assert target.split("#")[0] in EDITION, target


def run(cells, space):
    """Execute cells as a notebook does, their source at hand; what they printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in cells:
            lines = cell.source.splitlines(keepends=True)
            linecache.cache[cell.id] = (len(cell.source), None, lines, cell.id)
            exec(compile(cell.source, cell.id, "exec"), space)
    return printed.getvalue()


@every_notebook
def test_every_stub_runs_and_its_check_says_that_it_is_open(name):
    book, space = BOOKS[name], {}
    run([next(cell for cell in book.cells if cell.id == "setup")], space)
    said = run(tagged(book, "exercise"), space).splitlines()
    asked = sum(cell.source.count("checks.check(") for cell in tagged(book, "exercise"))
    assert len(said) >= max(3, asked)
    assert [line for line in said if not re.search(r"\bnot attempted", line)] == []


# Nothing gives a solution away


def statements(source):
    """The statements of a solution that say something, one line each, written in one way.

    Heads of functions, the call of the check and what is shorter than a dozen characters left out.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            text = re.sub(r"^\w+_solution = |^return ", "", ast.unparse(node))
            if "checks.check" not in text and len(text) >= 12:
                found.add(text)
    return found


def written(text):
    """A text in which what ``statements`` gives can be searched, whatever its line breaks."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    with contextlib.suppress(SyntaxError):
        return ast.unparse(ast.parse(lines))
    return text


def exercise_cells(book, hints):
    """The cells of the exercises; with their hints, which may come near to the solution, or not."""
    cells = [cell for cell in book.cells if cell.id.startswith("ex-")]
    return [cell for cell in cells if hints or not cell.id.endswith("-hints")]


def leaking(book, solutions):
    """Statements of solutions that stand in the exercises of a notebook, folded hints apart."""
    found = []
    for cell in exercise_cells(book, hints=False):
        text = written(cell.source) + json.dumps(cell.get("outputs", []), ensure_ascii=False)
        found += [s for s in solutions if s in text]
    return found


@every_notebook
def test_no_statement_of_a_solution_stands_in_an_exercise(name):
    solutions = [s for c in tagged(SOURCES[name], "solution") for s in statements(c.source)]
    assert len(solutions) >= 2
    assert leaking(BOOKS[name], solutions) == []
    whole = EDITION[name].decode()
    assert not re.search(r"_solution\b|Solution \d|\"solution", whole)


def bodies(source):
    """The bodies of the functions in a program, three lines or more, written in one way."""
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)]
    found = {"\n".join(map(ast.unparse, function.body)) for function in functions}
    return {body for body in found if body.count("\n") >= 2}


def elsewhere(book, solutions):
    """Cells, no hints, in which the whole body of one of the solutions stands as well."""
    programs = [cell for cell in book.cells if cell.cell_type == "code"]
    return [cell.id for cell in programs if bodies(unmagic(cell.source)) & solutions]


def unmagic(source):
    return "\n".join(line for line in source.splitlines() if not re.match(r" *[%!]", line))


@every_notebook
def test_no_whole_solution_stands_anywhere_in_a_notebook(name):
    solutions = [bodies(cell.source) for cell in tagged(SOURCES[name], "solution")]
    assert elsewhere(BOOKS[name], set().union(*solutions)) == []


def test_a_whole_solution_in_a_lesson_is_seen():
    name = "05_what_the_mean_optimises.ipynb"
    (cell,) = (c for c in SOURCES[name].cells if c.id == "ex-5-3-solution")
    book = nbformat.reads(EDITION[name].decode(), as_version=4)
    lesson = next(c for c in book.cells if c.cell_type == "code")
    lesson.source = cell.source.split("checks")[0].replace("my_rest_law_solution", "law_of_rest")
    assert elsewhere(book, bodies(cell.source)) == [lesson.id]


def test_a_solution_left_in_a_cell_or_in_an_output_is_seen():
    name = "00_start_here.ipynb"
    (cell,) = (c for c in SOURCES[name].cells if c.id == "ex-0-3-solution")
    assert "np.cumsum(rewards[::-1])[::-1]" in statements(cell.source)
    book = nbformat.reads(EDITION[name].decode(), as_version=4)
    stub = next(c for c in book.cells if c.id == "ex-0-3-stub")
    stub.source = "def my_sums(rewards):\n    return np.cumsum(\n        rewards[::-1])[::-1]"
    assert leaking(book, statements(cell.source))
    stub.source = "pass"
    stub.outputs = [{"text": "np.cumsum(rewards[::-1])[::-1]"}]
    assert leaking(book, statements(cell.source))


EXERCISES = {
    tag: exercise
    for number in range(15)
    for tag, exercise in importlib.import_module(
        f"coursekit.exercises.nb{number:02d}"
    ).EXERCISES.items()
}


def solution_of(tag):
    """The solution cell's statements."""
    number, k = tag.split(".")
    book = next(book for name, book in SOURCES.items() if name.startswith(f"{int(number):02d}"))
    wanted = f"ex-{number}-{k}-solution"
    return [s for cell in book.cells if cell.id == wanted for s in statements(cell.source)]


@pytest.mark.parametrize("tag", EXERCISES)
def test_nothing_that_a_check_says_is_a_statement_of_the_solution(tag):
    exercise = EXERCISES[tag]
    said = " ".join([*exercise.wrong, *exercise.errors, *exercise.errors.values()])
    assert [s for s in solution_of(tag) if s in said] == []


class Interrupted:
    """Ctrl-C in the first line that runs in a file of the exercises, the answer's own left out."""

    def __enter__(self):
        def trace(frame, event, arg):
            if "exercises" in frame.f_code.co_filename and event == "line":
                sys.settrace(None)
                raise KeyboardInterrupt
            return trace

        self.before = sys.gettrace()
        sys.settrace(trace)

    def __exit__(self, *error):
        sys.settrace(self.before)


def fails(*args):
    raise ValueError("mine")


@pytest.mark.parametrize("tag", [t for t, e in EXERCISES.items() if callable(e.solution)])
def test_no_traceback_reaches_the_exercises(tag, capsys):
    for answer in (
        fails,
        lambda: 0,
        lambda *args: 1 / 0,
        lambda *args: "x",
        object(),
        None,
    ):
        checks.check(tag, answer)
    with Interrupted():
        checks.check(tag, lambda *args: 0.5)
    said = capsys.readouterr().out
    assert "stopped before it was decided" in said
    assert [s for s in solution_of(tag) if s in said] == []


# Work is kept


@pytest.fixture
def two(tmp_path, monkeypatch):
    """A course of two small notebooks whose edition is written to a folder; what it says."""
    course, folder = tmp_path / "course", tmp_path / "student"
    course.mkdir()
    monkeypatch.setattr(execute, "NOTEBOOKS", course)

    def put(name, text):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text, id="a-cell")])
        nbformat.write(book, course / name)

    put("00_a.ipynb", "x = 1")
    put("01_b.ipynb", "y = 1")
    assert student.make(folder) == (2, {})
    return SimpleNamespace(course=course, folder=folder, put=put)


def snapshot(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_a_second_time_nothing_is_written(two):
    before = snapshot(two.folder)
    assert student.make(two.folder) == (0, {})
    assert snapshot(two.folder) == before


def test_an_untouched_notebook_follows_the_course(two):
    two.put("00_a.ipynb", "x = 2")
    assert student.make(two.folder) == (1, {})
    assert "x = 2" in (two.folder / "00_a.ipynb").read_text()


def test_a_notebook_of_the_learner_is_kept_and_the_newer_one_lies_beside_it(two, capsys):
    mine = two.folder / "00_a.ipynb"
    mine.write_text("mine")
    assert student.make(two.folder) == (0, {"00_a.ipynb": ""})  # the course is the same
    two.put("00_a.ipynb", "x = 2")
    assert student.make(two.folder) == (1, {"00_a.ipynb": "00_a.new.ipynb"})
    assert mine.read_text() == "mine"
    assert "x = 2" in (two.folder / "00_a.new.ipynb").read_text()
    assert student.make(two.folder) == (0, {"00_a.ipynb": "00_a.new.ipynb"})
    two.put("00_a.ipynb", "x = 3")  # nobody touched the one beside
    assert student.make(two.folder) == (1, {"00_a.ipynb": "00_a.new.ipynb"})
    (two.folder / "00_a.new.ipynb").write_text("mine, too")
    two.put("00_a.ipynb", "x = 4")
    student.student(two.folder)
    assert "00_a.ipynb is yours and was kept" in (said := capsys.readouterr().out)
    assert "newer version is beside it, 00_a.new2.ipynb" in said
    assert mine.read_text() == "mine"
    assert (two.folder / "00_a.new.ipynb").read_text() == "mine, too"
    (two.folder / "00_a.new2.ipynb").unlink()  # thrown away: not given a second time
    assert student.make(two.folder) == (0, {"00_a.ipynb": ""})


def test_a_notebook_that_was_deleted_comes_back_and_one_the_course_dropped_goes(two):
    (two.folder / "00_a.ipynb").unlink()
    (two.course / "01_b.ipynb").unlink()
    assert student.make(two.folder) == (1, {})
    assert {path.name for path in two.folder.glob("*.ipynb")} == {"00_a.ipynb"}
    two.put("02_c.ipynb", "z = 1")
    student.make(two.folder)
    (two.folder / "02_c.ipynb").write_text("mine")
    (two.course / "02_c.ipynb").unlink()
    student.make(two.folder)
    assert (two.folder / "02_c.ipynb").read_text() == "mine"


@pytest.mark.parametrize("damage", ["", "[1]", "{", None])
def test_without_its_record_every_notebook_is_the_learners(two, damage):
    (two.folder / "01_b.ipynb").write_text("mine")
    record = two.folder / student.RECORD
    record.unlink() if damage is None else record.write_text(damage)
    two.put("00_a.ipynb", "x = 2")
    kept = student.make(two.folder)[1]
    assert kept == {"00_a.ipynb": "00_a.new.ipynb", "01_b.ipynb": "01_b.new.ipynb"}
    assert (two.folder / "01_b.ipynb").read_text() == "mine"


def test_solutions_asked_for_later_do_not_touch_the_learners_notebook(two):
    (two.folder / "00_a.ipynb").write_text("mine")
    written, kept = student.make(two.folder, "end")
    assert (written, kept) == (2, {"00_a.ipynb": "00_a.new.ipynb"})


@pytest.mark.parametrize("at", range(1, 9))
def test_a_kill_at_any_moment_damages_nothing(two, at, monkeypatch):
    """Stopped before the n-th file operation: files are whole, and a second start makes it good."""
    (two.folder / "01_b.ipynb").write_text("mine")
    two.put("00_a.ipynb", "x = 2")
    two.put("01_b.ipynb", "y = 2")
    calls = []

    def stopping(function):
        def call(*args, **more):
            calls.append(function)
            if len(calls) == at:
                raise KeyboardInterrupt
            return function(*args, **more)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stopping(os.replace))
        patch.setattr(Path, "write_bytes", stopping(Path.write_bytes))
        with contextlib.suppress(KeyboardInterrupt):
            student.make(two.folder)
    for path in two.folder.glob("00*.ipynb"):
        nbformat.read(path, as_version=4)
    student.make(two.folder)
    assert (two.folder / "01_b.ipynb").read_text() == "mine"
    assert "x = 2" in (two.folder / "00_a.ipynb").read_text()
    assert "y = 2" in (two.folder / "01_b.new.ipynb").read_text()
    assert len(list(two.folder.iterdir())) == 4  # three notebooks and the record
    assert student.make(two.folder)[0] == 0


@pytest.mark.slow
def test_a_program_that_is_killed_leaves_whole_files_and_the_learners_own(two):
    """COURSEKIT_KILLS times, at moments drawn from a seed, while it writes without a pause."""
    program = (
        "import sys; from pathlib import Path; from coursekit.publish import execute, student\n"
        "course, folder = map(Path, sys.argv[1:]); execute.NOTEBOOKS = course\n"
        "print('on', flush=True)\n"
        "while True:\n"
        "    for book in folder.glob('0[02]*.ipynb'): book.unlink()\n"
        "    student.make(folder)\n"
    )
    command = [sys.executable, "-c", program, str(two.course), str(two.folder)]
    (two.folder / "01_b.ipynb").write_text("mine")
    two.put("02_c.ipynb", "z = 1")
    chance = random.Random(0)
    for _ in range(int(os.environ.get("COURSEKIT_KILLS", "1"))):
        going = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert going.stdout.readline() == "on\n"
        with contextlib.suppress(subprocess.TimeoutExpired):
            going.wait(chance.uniform(0, 0.4))
        going.kill()
        going.wait()
        going.stdout.close()
        for path in two.folder.glob("0[02]*.ipynb"):
            nbformat.read(path, as_version=4)
        assert (two.folder / "01_b.ipynb").read_text() == "mine"
    student.make(two.folder)
    names = {path.name for path in two.folder.glob("[0-9]*.ipynb")}
    assert names == {"00_a.ipynb", "01_b.ipynb", "02_c.ipynb"}


def test_a_folder_that_cannot_be_written_to_is_a_sentence(two, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be written to .*--authors` opens the sources"):
        student.make(tmp_path / "file" / "student")


def test_build_makes_it_and_gives_a_page_that_says_how_to_open_it(two):
    page = student.build(two.folder)
    assert page == two.folder.with_suffix(".html")
    assert (two.folder / "00_a.ipynb").exists()
    assert f"{two.folder.parent.name}/{two.folder.name}" in page.read_text(encoding="utf-8")


def test_the_package_is_found_from_there(two):
    program = "import coursekit; print(coursekit.__version__, callable(coursekit.progress))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=two.folder, capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "True"


def test_git_knows_nothing_of_it():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone, so what git ignores is unknown")
    where = ["build/student/00_start_here.ipynb", "build/student/.made.json"]
    said = subprocess.check_output(["git", "check-ignore", *where], cwd=ROOT, text=True)
    assert said.split() == where


def test_the_page_of_the_part_says_how_to_open_the_notebooks_and_leaves_the_folder_alone(tmp_path):
    page = student.build(tmp_path / "build" / "student")
    assert page == tmp_path / "build" / "student.html"
    text = page.read_text(encoding="utf-8")
    assert "python3 -m coursekit lab" in text
    assert f"{len(list(page.parent.glob('student/*.ipynb')))} notebooks in" in text
    assert "build/student<" in text
    assert not list(page.parent.glob("student/*.html"))
