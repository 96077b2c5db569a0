"""One command builds what is asked for, again only where something changed, and an index of it."""

import json
import sys
from types import ModuleType

import nbformat
import pytest
from test_documents import calls

from coursekit.publish import build


@pytest.fixture
def parts(monkeypatch):
    """Two parts that leave a page and note that they were called."""
    called = []

    def part(name):
        module = ModuleType(f"coursekit.publish.{name}")
        module.__spec__ = object()

        def make(out):
            out.mkdir(exist_ok=True)
            called.append(name)
            (out / "page.html").write_text(name)
            return out / "page.html"

        module.build = make
        return module

    monkeypatch.setattr(build, "PARTS", {"one": "the first", "two": "the <second>"})
    for name in build.PARTS:
        monkeypatch.setitem(sys.modules, f"coursekit.publish.{name}", part(name))
    return called


def test_what_is_asked_for_is_built_and_the_index_links_what_is_there(parts, tmp_path, capsys):
    assert build.build(["two"], tmp_path) == 0
    page = (tmp_path / "index.html").read_text()
    assert parts == ["two"]
    assert 'href="two/page.html"' in page
    assert "the &lt;second&gt;" in page
    assert "one/" not in page
    build.build(["all", "two"], tmp_path)
    assert parts == ["two", "one", "two"]
    assert 'href="one/page.html"' in (tmp_path / "index.html").read_text()
    assert "index.html" in capsys.readouterr().out


def test_an_unknown_part_is_refused_with_those_that_are_known(parts, tmp_path):
    with pytest.raises(ValueError, match="part 'three' is unknown; choose from: all, one, two"):
        build.build(["one", "three"], tmp_path)
    assert parts == []


def test_only_what_changed_is_made_again(tmp_path):
    target, source = tmp_path / "to" / "page.html", tmp_path / "source.txt"
    source.write_text("a")
    assert build.changed(target, [source, "x"])
    assert build.changed(target, [source, "x"])  # it was not made
    target.write_text("made")
    assert not build.changed(target, [source, "x"])
    assert build.changed(target, [source, "y"])
    assert not target.exists()
    target.write_text("made")
    source.write_text("b")
    assert build.changed(target, [source, "y"])


@pytest.mark.slow
def test_the_report_has_what_the_notebooks_verify():
    report = json.loads((build.NOTEBOOKS / "report.json").read_text(encoding="utf-8"))
    for path in sorted(build.NOTEBOOKS.glob("*.ipynb")):
        book = nbformat.read(path, as_version=4)
        for kind in ("equation", "claim"):
            rows = [row for row in report[path.stem]["verified"] if row["kind"] == kind]
            assert {row["tag"] for row in rows} == set(calls(book, kind)), path.stem
            assert all(row["holds"] for row in rows)
