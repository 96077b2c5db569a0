"""Claims under many master seeds: all are listed, what ran is kept, nothing stale is believed."""

import json
import re

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from coursekit import verify
from coursekit.publish import execute, seeds, summary


def line(tag, value, op="<", bound=2.0, margin=None):
    holds = verify.OPERATORS[op](value, bound)
    margin = abs(bound - value) / bound if margin is None else margin
    said = {"kind": "claim", "tag": tag, "holds": holds, "value": value}
    return said | {"op": op, "bound": bound, "margin": margin}


def row(seed, *lines, error=None):
    return summary.row("01_good", list(lines), 1.0, 1.0, error) | {"seed": seed}


def test_the_table_lists_what_failed_first_then_what_is_thin():
    rows = [
        row(1000, line("1.1", 1.0), line("1.2", 1.0), line("1.3", 5.0, ">", 2.0)),
        row(1001, line("1.1", 1.2), line("1.2", 2.5), line("1.3", 5.0, ">", 2.0)),
    ]
    head, *body, last = seeds.table(rows).splitlines()
    assert head.split() == ["claim", "held", "least", "margin", "room", "at", "seed"]
    assert [text.split() for text in body] == [
        ["1.2", "1/2", "-0.250", "0.3", "1001"],  # mean 1.75 of 2, deviation 0.75
        ["1.1", "2/2", "0.400", "9.0", "1001"],  # mean 1.1, deviation 0.1
        ["1.3", "2/2", "1.500", "exact", "1000"],
    ]
    assert last == "3 equations and claims, 1 of them failed at least once."


def test_room_is_negative_where_the_mean_itself_is_outside():
    below = [line("1.1", value) for value in (1.0, 4.0)]
    above = [line("1.1", value, ">") for value in (3.0, 4.0)]
    assert (seeds.room(below), seeds.room(above)) == (pytest.approx(-1 / 3), pytest.approx(3.0))


def test_a_claim_in_a_loop_counts_once_and_at_its_worst():
    (only,) = seeds.table([row(7, line("1.1", 1.0), line("1.1", 3.0))]).splitlines()[1:-1]
    assert only.split()[:3] == ["1.1", "0/1", "-0.500"]


def test_equations_are_listed_where_they_fail_and_notebooks_where_they_end():
    good = {"kind": "equation", "tag": "1.5", "holds": True, "value": 0.0, "bound": 1e-12}
    bad = good | {"tag": "1.6", "holds": False, "value": None}
    said = seeds.table([row(3, good, bad, error="cell 'x': KeyError: 2")])
    assert "1.5" not in said
    assert re.search(r"^1\.6 +0/1", said, flags=re.MULTILINE)
    assert "\n01_good, seed 3: cell 'x': KeyError: 2\n" in said


def test_an_equation_and_a_claim_of_one_number_are_two():
    equation = {"kind": "equation", "tag": "1.1", "holds": True, "value": 0.0, "bound": 1e-12}
    wide = line("1.1", 9.0, ">", 2.0)  # its margin, 3.5, is more than the equation's 1
    _, claim, last = seeds.table([row(7, equation, wide)]).splitlines()
    assert claim.split()[:3] == ["1.1", "1/1", "3.500"]
    assert last.startswith("2 equations and claims")


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A notebook and a kernel that reports; the runs that were made."""
    monkeypatch.setattr(execute, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(execute, "ROOT", tmp_path)
    source = new_notebook(cells=[new_code_cell("1", id="one")])
    (tmp_path / "01_good.ipynb").write_text(json.dumps(source))
    made = []

    def run(path, target, seed, keep, more):
        made.append((target, seed, more))
        return row(seed, line("1.1", seed / 1000))

    monkeypatch.setattr(execute, "run", run)
    monkeypatch.setattr(seeds, "cpu_count", lambda: 1)
    return made


def test_every_seed_runs_once_writes_no_notebook_and_goes_on_after_a_failed_claim(course, tmp_path):
    assert seeds.seeds(["01"], 3) == 0
    assert course == [(None, seed, {"COURSEKIT_GO_ON": "1"}) for seed in (1000, 1001, 1002)]
    assert seeds.seeds(["01"], 4) == 0
    assert len(course) == 4  # three were kept
    (tmp_path / "01_good.ipynb").write_text(
        json.dumps(new_notebook(cells=[new_code_cell("2", id="one")]))
    )
    assert seeds.seeds(["01"], 1) == 0
    assert len(course) == 5  # another source, so none was


def test_what_a_notebook_cannot_call_is_no_reason_to_start_afresh(tmp_path):
    for book in execute.NOTEBOOKS.glob("*.ipynb"):
        assert "coursekit.publish" not in book.read_text(encoding="utf-8"), book.name
    for name in ("losses", "fast/envs", "publish/slides"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text("before")
    made_by = [seeds.made_by_package(tmp_path)]
    for name in ("publish/slides", "fast/envs", "losses"):
        (tmp_path / f"{name}.py").write_text("after")
        made_by.append(seeds.made_by_package(tmp_path))
    assert made_by[0] == made_by[1] != made_by[2] != made_by[3]


def test_a_kept_file_that_is_damaged_or_ended_with_an_error_runs_again(course, tmp_path):
    seeds.seeds(["01"], 1)
    (kept,) = (tmp_path / "build" / "seeds").iterdir()
    sound = kept.read_text()
    for damage in ("", "{", "[]", sound.replace('"error": null', '"error": "died"'), "{}"):
        kept.write_text(damage)
        before = len(course)
        assert seeds.seeds(["01"], 1) == 0
        assert len(course) == before + 1


def test_drawn_seeds_are_printed_and_can_be_drawn_again(course, capsys):
    status = seeds.seeds(["01"], 3, drawn=-1)
    said = capsys.readouterr().out
    first = [seed for _, seed, _ in course]
    number = re.search(r"--drawn (\d+)", said)[1]
    assert "1000" not in map(str, first)
    assert len(set(first)) == 3
    assert status == int(any(seed >= 2000 for seed in first))
    seeds.seeds(["01"], 3, drawn=int(number))
    assert len(course) == 3


def test_no_seeds_are_refused(course):
    with pytest.raises(ValueError, match="--seeds 0 is no number of seeds"):
        seeds.seeds(["01"], 0)
    assert course == []
