"""CI's files: they run commands that exist, on the systems and libraries that are promised."""

import re
import shlex
import warnings
from pathlib import Path

import pytest
import yaml

from coursekit import __main__ as entry
from coursekit import install
from coursekit.publish import execute, matrix, testing, versions

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
COMPILES = 20  # seconds, of a learner of ``coursekit.fast``
HOOKS = ROOT / ".pre-commit-config.yaml"


def jobs(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]


def commands(path):
    """Every command of the course that a file runs, GitHub's expressions filled in."""
    text = re.sub(r"\${{ matrix\.libraries }}", "oldest", path.read_text(encoding="utf-8"))
    found = re.findall(r"(?:run:|entry:|run: \||^) *(?:\S*/)?python -m coursekit (.*)$", text, re.M)
    return [shlex.split(line, comments=True) for line in found]


@pytest.mark.parametrize("path", [*FILES, HOOKS], ids=lambda path: path.name)
def test_every_command_is_one_that_the_course_knows(path, monkeypatch):
    known = commands(path)
    assert known
    monkeypatch.setattr(install, "prepare", lambda: pytest.fail("it would run"))
    for words in known:
        args, rest = entry.parser().parse_known_args(words)
        assert not rest or args.command == "test", words
        if "--matrix" in rest:
            assert set(rest[rest.index("--matrix") + 1 :]) <= set(matrix.ROWS)
        if "--versions" in rest:
            assert rest[rest.index("--versions") + 1] in versions.KINDS


def test_three_systems_meet_the_oldest_and_the_newest_and_no_job_may_write():
    text = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    course = jobs(ROOT / ".github" / "workflows" / "test.yml")["course"]["strategy"]["matrix"]
    assert [name.split("-")[0] for name in course["system"]] == ["ubuntu", "macos", "windows"]
    assert course["libraries"] == list(versions.KINDS)
    oldest = {row["libraries"]: row["python"] for row in course["include"]}
    assert oldest["oldest"] == "{}.{}".format(*entry.OLDEST)
    assert re.search(r'schedule:\n +- cron: "', text)
    for path in FILES:
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {
            "contents": "read"
        }


def test_every_monday_all_hard_conditions_are_met():
    steps = jobs(ROOT / ".github" / "workflows" / "test.yml")["drawn-seeds"]["steps"]
    assert "python -m coursekit test --matrix" in [step.get("run") for step in steps]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_job_ends_and_caches_nothing_but_downloads(path):
    for job in jobs(path).values():
        assert "timeout-minutes" in job or "environment" in job
        used = [step.get("uses", "").partition("@")[0] for step in job["steps"]]
        assert "actions/cache" not in used
        for step in job["steps"]:
            assert step.get("with", {}).get("cache", "pip") == "pip"


def test_the_files_obey_githubs_schema_and_one_that_does_not_is_seen(tmp_path, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its older releases use what Click 9 will not have
        import check_jsonschema  # here, since it takes long to load

    def status(*paths):
        words = ["--builtin-schema", "vendor.github-workflows", *map(str, paths)]
        with pytest.raises(SystemExit) as end:
            check_jsonschema.main(words)
        return end.value.code

    assert status(*FILES) == 0
    bad = tmp_path / "bad.yml"
    bad.write_text(FILES[0].read_text(encoding="utf-8").replace("steps:", "stops:"), "utf-8")
    assert status(bad) == 1
    assert "stops" in capsys.readouterr().out


def test_the_lines_for_somebody_else_s_project_name_notebooks_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    assert len(block.splitlines()) <= 12
    steps = yaml.safe_load(block)["course"]["steps"]
    (words,) = [s["run"] for s in steps if "coursekit test" in s.get("run", "")]
    named = [word for word in words.split() if word.endswith(".ipynb")]
    assert len(named) > 2
    assert {ROOT / name for name in named} <= set(execute.find([]))
    # two workers that start their kernels took as many seconds as all cells take of one processor
    seconds = sum(testing.costs_of_files(ROOT / name for name in named).values())
    assert "about a minute and a half on two cores" in text
    assert seconds + COMPILES < 90
