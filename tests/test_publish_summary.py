"""The page of a run: what failed first, a line a notebook, every claim with its margin."""

from coursekit.publish import summary

CLAIM = {"kind": "claim", "tag": "1.2", "holds": True, "value": 1.5, "op": "<", "bound": 2.0}
CLAIM |= {"margin": 0.25}
EQUATION = {"kind": "equation", "tag": "1.1", "holds": True, "value": 0.0, "bound": 1e-12}
FAILED = CLAIM | {"tag": "1.3", "value": None, "holds": False, "margin": None}


def test_all_that_passed_is_counted_with_its_smallest_margin():
    row = summary.row("01_a", [EQUATION, CLAIM, CLAIM], 2.04, 1.0, None, memory=512.3)
    page = summary.markdown([row])
    assert "**All passed.**" in page
    assert f"1 equations and 1 claims in 1 notebooks. {summary.versions()}." in page
    assert "| 01_a | 2.0 | 1.0 | 512 | 1 | 1 | 0.25 (claim 1.2) |" in page
    assert "| 1.2 | 1.5 | < | 2 | 0.25 |  |" in page
    assert "What failed" not in page


def test_what_failed_stands_first_in_one_line_that_breaks_no_table():
    row = summary.row("01_a", [CLAIM, FAILED], 2.0, 1.0, "cell 'x': a | b\nc")
    page = summary.markdown([row], ["tests/test_x.py::test_y: 1 is not 2"])
    assert page.index("**2 failed.**") < page.index("- `01_a`: cell 'x': a \\| b c\n")
    assert "- tests/test_x.py::test_y: 1 is not 2\n" in page
    assert page.index("What failed") < page.index("| notebook |")
    assert "| 1.3 | not finite | < | 2 | not finite | **does not hold** |" in page


def test_what_was_noted_is_no_failure_and_is_said_once():
    note = {"kind": "note", "text": "results are not kept: a | b"}
    rows = [summary.row(name, [CLAIM, note, note], 2.0, 1.0, None) for name in ("01_a", "02_b")]
    page = summary.markdown(rows)
    assert "**All passed.**" in page
    assert page.count("- results are not kept: a \\| b\n") == 1
    assert [(row["claims"], row["failed"]) for row in rows] == [(1, [])] * 2


def test_the_slowest_cells_stand_in_one_list_with_their_seconds_of_the_processor():
    cells = [("Cell 1", 0.5, 0.4), ("Cell | 2", 30.04, 1.25)]
    more = [(f"Cell {k}", 1.0 + k, 0.0) for k in range(10)]
    rows = [summary.row("01_a", [], 2.0, 1.0, None, cells=cells)]
    rows += [summary.row("02_b", [], 2.0, 1.0, None, cells=more)]
    lines = summary.markdown(rows).splitlines()
    at = lines.index("| notebook | cell | seconds | CPU s |")
    assert lines[at + 2] == "| 01_a | Cell \\| 2 | 30.0 | 1.2 |"
    assert lines[at + 3] == "| 02_b | Cell 9 | 10.0 | 0.0 |"
    assert lines[at + 12 :][:2] == ["", "</details>"]
    assert "The slowest cells" not in summary.markdown([summary.row("01_a", [], 2.0, 1.0, None)])


def test_it_is_written_and_appended_where_ci_shows_it(tmp_path, monkeypatch):
    shown = tmp_path / "step"
    shown.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(shown))
    summary.write([], tmp_path)
    page = (tmp_path / "summary.md").read_text("utf-8")
    assert shown.read_text("utf-8") == "before\n" + page
    assert page.startswith("# Sum or mean")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    summary.write([], tmp_path)
    assert shown.read_text("utf-8") == "before\n" + page
