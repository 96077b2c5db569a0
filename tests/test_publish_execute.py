"""Notebooks are run in fresh kernels, written clean, and what they verified is summed up."""

import contextlib
import io
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from coursekit import verify
from coursekit.publish import execute as publish
from coursekit.publish import summary

GOOD = {
    "import": "from coursekit import verify\nverify.master_seed()",
    "equations": "verify.equation('1.1', 1.0, 1.0)\nverify.equation('1.2', [2.0], [2.0])",
    "claims": "verify.claim('1.3', 3, '<', 5)\nverify.claim('1.4', 1, '<', 4)",
    "limits": "verify.claim('1.5', float('inf'), '>', 4)\nverify.claim('1.6', 2, '==', 2)",
    "timing": "import time\ntime.sleep(0.6)\nwhile time.process_time() < 0.5:\n    pass\n"
    "time.perf_counter_ns()",
}
FAILING = {
    "import": "from coursekit import verify",
    "right": "verify.equation('2.1', 1.0, 1.0)",
    "culprit": "verify.claim('2.2', verify.master_seed(), '<', 5)",
    "never": "print('not reached')",
}


def write(path, sources):
    """A notebook that was never run, with metadata that some editor left behind."""
    cells = [new_markdown_cell("# A title", id="title")]
    cells += [new_code_cell(source, id=name) for name, source in sources.items()]
    notebook = new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "x", "display_name": "X"}}
    )
    for cell in cells[1:]:
        cell.metadata["execution"] = {"iopub.execute_input": "2020-01-01T00:00:00Z"}
        if cell.id == "timing":
            cell.metadata["tags"] = ["timing"]
    nbformat.write(notebook, path)


def strictly(text):
    """JSON as the standard has it: no NaN, no Infinity."""
    return json.loads(text, parse_constant=pytest.fail)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The good notebook twice in place, then the failing one to another folder with seed 5."""
    top = tmp_path_factory.mktemp("course")
    good, failing = top / "notebooks" / "01_good.ipynb", top / "notebooks" / "02_failing.ipynb"
    good.parent.mkdir()
    write(good, GOOD)
    write(failing, FAILING)
    before = failing.read_bytes()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
        patch.setattr(publish, "NOTEBOOKS", good.parent)
        patch.setattr(publish, "ROOT", top)
        patch.setattr(publish, "LIVE", 0.6)
        status = publish.execute(["01"])
        first, table = good.read_bytes(), said.getvalue()
        publish.execute(["01_good"])
        there = top / "there"
        failed = publish.execute([str(failing)], to=there, seed=5)
    return SimpleNamespace(
        status=status,
        first=first,
        second=good.read_bytes(),
        notebook=nbformat.reads(first.decode(), as_version=4),
        table=table,
        row=strictly((top / "build" / "summary.json").read_text())[0],
        failed=failed,
        message=said.getvalue().splitlines()[-1],
        failed_row=strictly((there / "summary.json").read_text())[0],
        written=sorted(path.name for path in there.iterdir()),
        untouched=failing.read_bytes() == before,
    )


@pytest.mark.slow
def test_a_notebook_is_executed_from_top_to_bottom(runs):
    code = runs.notebook.cells[1:]
    assert runs.status == 0
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, 5]
    assert code[0].outputs[0].data["text/plain"] == "0"
    assert code[1].outputs[0].text.count("✓ equation") == 2


@pytest.mark.slow
def test_a_second_run_changes_no_byte_not_even_in_a_timing_cell(runs):
    assert runs.first == runs.second
    assert int(runs.notebook.cells[-1].outputs[0].data["text/plain"]) > 0


@pytest.mark.slow
def test_metadata_is_written_as_committed_without_times(runs):
    assert runs.notebook.metadata == publish.METADATA
    assert all("execution" not in cell.metadata for cell in runs.notebook.cells)


@pytest.mark.slow
def test_the_summary_counts_equations_and_claims_and_names_the_smallest_margin(runs):
    assert (runs.row["equations"], runs.row["claims"], runs.row["seed"]) == (2, 4, 0)
    assert runs.row["smallest_margin"] == ["1.3", pytest.approx(0.4)]
    assert [line["tag"] for line in runs.row["verified"]] == [f"1.{n}" for n in range(1, 7)]
    assert runs.row["error"] is None


@pytest.mark.slow
def test_the_table_shows_the_same_numbers(runs):
    head, line = runs.table.splitlines()
    assert head.split()[:4] == ["notebook", "seconds", "CPU", "s"]
    assert head.split()[4:] == ["equations", "claims", "smallest", "margin"]
    name, _, _, *rest = line.split()
    assert (name, rest) == ("01_good", ["2", "4", "0.40", "(claim", "1.3)"])


@pytest.mark.slow
def test_the_seconds_of_a_slow_cell_are_noted_for_the_lecturer(runs):
    assert runs.row["live"]["timing"] >= 1


@pytest.mark.slow
def test_a_failing_claim_names_cell_and_tag_and_the_status_is_1(runs):
    assert runs.failed == 1
    assert runs.message.startswith("02_failing: cell 'culprit': VerificationError: claim 2.2 ")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows does not count the time of children")
def test_the_time_of_the_kernel_is_counted(runs):
    assert runs.row["cpu_seconds"] >= 0.5  # its last cell waits for that much


@pytest.mark.slow
def test_the_seed_reaches_the_kernel(runs):
    assert runs.failed_row["error"].endswith("5 < 5 is false; difference 0")
    assert runs.failed_row["seed"] == 5


@pytest.mark.slow
def test_a_failing_notebook_is_not_written_but_what_held_before_is_counted(runs):
    assert runs.written == ["summary.json", "summary.md"]
    assert (runs.failed_row["equations"], runs.failed_row["claims"]) == (1, 0)


@pytest.mark.slow
def test_another_folder_leaves_the_source_alone(runs):
    assert runs.untouched


# Without a kernel


@pytest.fixture
def idle(tmp_path, monkeypatch):
    """A course of two notebooks and a kernel that does nothing; the environments it was given."""
    environments = []

    class Client:
        def __init__(self, notebook, **settings):
            self.notebook = notebook

        def execute(self, env):
            environments.append(env)

    monkeypatch.setattr(publish, "NotebookClient", Client)
    monkeypatch.setattr(publish, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    write(tmp_path / "01_good.ipynb", GOOD)
    write(tmp_path / "02_failing.ipynb", FAILING)
    return environments


def test_to_writes_elsewhere_and_leaves_the_source_alone(idle, tmp_path):
    before = (tmp_path / "01_good.ipynb").read_bytes()
    publish.execute(["01"], to=tmp_path / "a" / "b", seed=3)
    assert (tmp_path / "01_good.ipynb").read_bytes() == before
    written = nbformat.read(tmp_path / "a" / "b" / "01_good.ipynb", as_version=4)
    assert written.metadata == publish.METADATA
    assert idle[0]["COURSEKIT_SEED"] == "3"


def test_all_notebooks_run_quietly_and_with_seed_0_where_nothing_is_said(idle, monkeypatch):
    monkeypatch.setenv("COURSEKIT_SEED", "9")
    pages = []
    monkeypatch.setattr(publish, "front_page", pages.append)
    publish.execute([])
    assert [row["notebook"] for row in pages[0]] == ["01_good", "02_failing"]
    assert [(env["COURSEKIT_SEED"], env["COURSEKIT_QUIET"]) for env in idle] == [("0", "1")] * 2


def test_one_failure_among_many_is_status_1_and_leaves_the_front_page(idle, monkeypatch, capsys):
    def fails_the_second_time(client, env):
        idle.append(env)
        if len(idle) == 2:
            raise RuntimeError("Kernel died")

    monkeypatch.setattr(publish.NotebookClient, "execute", fails_the_second_time)
    monkeypatch.setattr(publish, "front_page", lambda rows: pytest.fail("written"))
    assert publish.execute([]) == 1
    said = capsys.readouterr().out
    assert said.endswith("\n\n02_failing: RuntimeError: Kernel died\n")
    assert "\n01_good: " not in said
    assert [line.split()[-1] == "failed" for line in said.splitlines()[1:3]] == [False, True]


def test_the_front_page_is_that_of_the_committed_outputs_of_all_notebooks(
    idle, tmp_path, monkeypatch
):
    monkeypatch.setattr(publish, "front_page", lambda rows: pytest.fail("written"))
    assert publish.execute([], to=tmp_path / "there") == 0
    assert publish.execute(["01"]) == 0
    with pytest.raises(pytest.fail.Exception):
        publish.execute([])


def test_what_is_verified_again_and_again_counts_once(idle, tmp_path, monkeypatch):
    def verifies_in_a_loop(client, env):
        monkeypatch.setenv("COURSEKIT_REPORT", env["COURSEKIT_REPORT"])
        for value in (1.0, 2.0, 3.0):
            verify.equation("1.1", value, value)
            verify.claim("1.2", value, "<", 4)

    monkeypatch.setattr(publish.NotebookClient, "execute", verifies_in_a_loop)
    publish.execute(["01"], to=tmp_path / "there")
    (row,) = strictly((tmp_path / "there" / "summary.json").read_text())
    assert (row["equations"], row["claims"], len(row["verified"])) == (1, 1, 6)
    assert row["smallest_margin"] == ["1.2", pytest.approx(0.25)]


def test_a_seed_that_would_change_the_committed_outputs_is_refused(idle, tmp_path):
    with pytest.raises(ValueError, match=r"--seed 3 would change .* add --to DIR"):
        publish.execute(["01"], seed=3)
    with pytest.raises(ValueError, match=r"--seed 3 would change .* add --to DIR"):
        publish.execute(["01"], to=tmp_path, seed=3)
    assert idle == []


def test_a_seed_below_zero_is_refused(idle, tmp_path):
    with pytest.raises(ValueError, match="seed -1 is below 0"):
        publish.execute(["01"], to=tmp_path / "a", seed=-1)


def test_an_unknown_notebook_lists_the_known_ones(idle):
    with pytest.raises(ValueError, match=r"'03' does not exist; .*: 01_good, 02_failing$"):
        publish.execute(["01", "03"])
    assert idle == []


@pytest.mark.parametrize("name", ["", "0", "002", "2_failing", "01_goo", "_"])
def test_what_is_nearly_a_notebook_is_none(idle, tmp_path, name):
    write(tmp_path / "10_last.ipynb", GOOD)
    if name != "0":
        write(tmp_path / "00_first.ipynb", GOOD)  # an empty name, filled up with zeros, is no 00
    with pytest.raises(ValueError, match=f"notebook {name!r} does not exist; the course has"):
        publish.find([name])


def test_a_number_that_two_notebooks_have_is_refused_and_the_whole_name_is_not(idle, tmp_path):
    write(tmp_path / "02_failing-Copy1.ipynb", FAILING)
    with pytest.raises(ValueError, match=r"'2' is ambiguous: 02_failing-Copy1, 02_failing; give"):
        publish.find(["2"])
    assert publish.find(["02_failing"]) == [tmp_path / "02_failing.ipynb"]


def test_a_notebook_that_is_named_twice_runs_once(idle, tmp_path):
    assert publish.find(["02", "1", "02_failing"]) == [
        tmp_path / "02_failing.ipynb",
        tmp_path / "01_good.ipynb",
    ]


def test_one_name_alone_is_no_list(idle):
    with pytest.raises(ValueError, match=r"notebooks '02' must be a list, such as \['02'\]"):
        publish.execute("02")


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", "{}", '{"nbformat": 4, "cells": [{"cell_type": "code"}]}', b"\xff\xfe"],
)
def test_a_damaged_notebook_is_named_before_any_other_runs(idle, tmp_path, damage):
    path = tmp_path / "02_failing.ipynb"
    path.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    with pytest.raises(
        ValueError, match=r"02_failing\.ipynb is damaged \(.+\); `git checkout` bri"
    ):
        publish.execute(["01", "02"], to=tmp_path / "there")
    assert idle == []


def test_a_folder_that_can_not_be_written_to_is_said_before_anything_runs(idle, tmp_path):
    file = tmp_path / "file"
    file.write_text("in the way")
    for to, why in ((file, "it is a file, not a folder"), (file / "sub", "Not a directory")):
        with pytest.raises(ValueError, match=rf"cannot be written to \({why}\); give another"):
            publish.execute(["01"], to=to)
    assert idle == []


def test_a_folder_without_the_right_to_write_is_said_before_anything_runs(
    idle, tmp_path, monkeypatch
):
    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(publish.tempfile, "TemporaryFile", refuse)
    with pytest.raises(ValueError, match=r"there cannot be written to \(Permission denied\)"):
        publish.execute(["01"], to=tmp_path / "there")
    assert idle == []


@pytest.mark.parametrize(
    "name", ["2", "02", "02_failing", "02_failing.ipynb", "a/02_failing.ipynb"]
)
def test_a_notebook_is_found_by_number_stem_and_path(idle, tmp_path, name):
    assert publish.find([name]) == [tmp_path / "02_failing.ipynb"]


def timed(first, output):
    """Two cells, the second tagged ``timing`` with this output."""
    cells = [new_code_cell(first, id="first"), new_code_cell("clock()", id="timing")]
    cells[1].metadata["tags"] = ["timing"]
    cells[1].outputs = [new_output("stream", text=output)]
    return new_notebook(cells=cells)


@pytest.mark.parametrize(("first", "kept"), [("a = 1", "old"), ("a = 2", "new")])
def test_a_timing_cell_keeps_its_output_until_an_earlier_cell_changes(first, kept):
    old = publish.clean(timed("a = 1", "old"), {})
    new = timed(first, "new")
    new.cells[1].metadata["code"] = old.cells[1].metadata["code"]
    cleaned = publish.clean(new, {"timing": old.cells[1].outputs})
    assert cleaned.cells[1].outputs[0].text == kept


def test_a_timing_cell_is_measured_anew_in_another_folder(idle, tmp_path, monkeypatch):
    def measure(client, env):
        client.notebook.cells[-1].outputs = [new_output("stream", text=f"run {len(idle)}")]
        idle.append(env)

    monkeypatch.setattr(publish.NotebookClient, "execute", measure)
    there = tmp_path / "there"
    statuses = [publish.execute(["01"]), publish.execute(["01"]), publish.execute(["01"], to=there)]
    outputs = [
        nbformat.read(folder / "01_good.ipynb", as_version=4).cells[-1].outputs[0].text
        for folder in (tmp_path, there)
    ]
    assert (statuses, outputs) == ([0, 0, 0], ["run 0", "run 2"])


def test_a_kernel_that_dies_is_a_row_and_not_a_traceback(idle, monkeypatch, capsys):
    def dies(client, env):
        raise RuntimeError("Kernel died")

    monkeypatch.setattr(publish.NotebookClient, "execute", dies)
    assert publish.execute(["01"]) == 1
    assert capsys.readouterr().out.endswith("01_good: RuntimeError: Kernel died\n")


WAITING = """
from pathlib import Path
from coursekit.publish import execute
import sys
execute.NOTEBOOKS = execute.ROOT = Path(sys.argv[1])
sys.exit(execute.execute([]))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_request_to_end_ends_the_run_and_its_kernel_and_not_one_notebook(
    number, status, tmp_path
):
    waits = "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)"
    write(tmp_path / "01_waits.ipynb", {"waits": waits})
    write(tmp_path / "02_next.ipynb", {"next": "open('next', 'w').close()"})
    before = (tmp_path / "01_waits.ipynb").read_bytes()
    words = [sys.executable, "-c", WAITING, str(tmp_path)]
    ends = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, cwd=Path(publish.__file__).parents[2], **ends) as process:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert process.poll() is None, process.stderr.read()
        process.send_signal(number)
        said = process.communicate(timeout=60)
    assert process.returncode == status, said
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert not (tmp_path / "next").exists()
    assert "Traceback" not in said[1]
    assert (tmp_path / "01_waits.ipynb").read_bytes() == before


def test_a_notebook_that_can_not_be_written_to_its_end_stays_as_it_was(idle, tmp_path, monkeypatch):
    before = (tmp_path / "01_good.ipynb").read_bytes()

    def full(notebook, file):
        Path(file).write_text("{half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish.nbformat, "write", full)
    with pytest.raises(OSError, match="No space left"):
        publish.execute(["01"])
    assert (tmp_path / "01_good.ipynb").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "01_good.ipynb",
        "02_failing.ipynb",
        "build",
    ]


def test_the_course_itself_is_found_where_nothing_is_named():
    assert publish.find([]) == sorted(Path(publish.ROOT, "notebooks").glob("*.ipynb")) != []


def test_what_was_run_is_said_by_its_names_and_versions():
    system, python, torch, *others = summary.versions().split(", ")
    assert (system, python) == (platform.system(), f"Python {platform.python_version()}")
    assert torch.startswith("PyTorch 2.")
    assert [other.split()[0] for other in others] == ["NumPy", "Gymnasium", "numba"]
    number = r"\d+(\.\d+)+\S*"
    line = (
        rf"<!-- run -->\w+, Python {number}, PyTorch {number}, NumPy {number}, Gymnasium {number}, "
    )
    readme = Path(publish.ROOT, "README.md").read_text(encoding="utf-8")
    assert re.search(rf"{line}numba {number}<!-- /run -->", readme)


def test_the_front_page_gets_the_numbers_and_the_picture_of_a_full_run(tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    before = "a <!-- verified -->old<!-- /verified --> b ![old](notebooks/stop_or_walk.png) c"
    before += " <!-- run -->old<!-- /run -->"
    readme.write_text(before, "utf-8")
    shown = nbformat.v4.new_output(
        "display_data", {"text/html": '<img alt="p &lt; 3" src="x;base64,UE5H">'}
    )
    for name, identity in publish.PICTURES.values():
        cell = nbformat.v4.new_code_cell("", id=identity, outputs=[shown])
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / name)
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    monkeypatch.setattr(publish, "NOTEBOOKS", tmp_path)
    publish.front_page([{"equations": 3, "claims": 2}, {"equations": 4, "claims": 0}])
    line = f"7 equations and 2 claims in 2 notebooks, on {time.strftime('%Y-%m-%d')}"
    after = f"a <!-- verified -->{line}<!-- /verified --> b ![p < 3](notebooks/stop_or_walk.png) c"
    after += f" <!-- run -->{summary.versions()}<!-- /run -->"
    assert readme.read_text("utf-8") == after
    assert (tmp_path / "stop_or_walk.png").read_bytes() == b"PNG"


def test_reading_notebooks_compiles_no_grammar_of_addresses():
    code = "import sys; from coursekit.publish import execute; print('nbformat' in sys.modules)"
    code += "; print('lark' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], cwd=publish.ROOT, capture_output=True)
    assert said.stdout.split() == [b"True", b"False"]
