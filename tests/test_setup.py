"""The set-up: two commands, one list of dependencies, one sentence for whatever is missing."""

import argparse
import ast
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from flit_core import buildapi

from coursekit import __main__ as entry
from coursekit import __version__, install
from coursekit.publish import matrix

ROOT = Path(__file__).resolve().parent.parent
OLDEST = "{}.{}".format(*entry.OLDEST)
NAMED = {"jupyterlab", "torch", "gymnasium", "matplotlib", "nbval"}
TOP = {"notebooks", "coursekit", "tests", "environment.yml", "README.md", "pyproject.toml"}
TOP |= {"LICENSE", "CONTRIBUTING.md", ".ci", ".gitignore", ".github", ".gitattributes"}
TOP |= {".pre-commit-config.yaml"}


# The files at the top agree with each other


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def conda():
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]


def bounds(requirements):
    pairs = (re.fullmatch(r"([\w-]+)(.*)", line).groups() for line in requirements)
    return {{"pytorch": "torch"}.get(name, name): bound for name, bound in pairs}


def test_environment_yml_names_the_five_packages_with_the_bounds_of_pyproject():
    named = bounds(line for line in conda()[:-1] if not re.match(r"python=|pip$", line))
    declared = bounds(project()["optional-dependencies"]["course"])
    assert named == {name: declared[name] for name in NAMED}


def test_environment_yml_writes_python_with_one_equals_sign_for_repo2docker():
    assert f"python={OLDEST}" in conda()


def test_environment_yml_installs_the_rest_from_pyproject():
    assert "pip" in conda()
    assert conda()[-1] == {"pip": ["-e .[course,test]"]}


def test_the_oldest_python_is_the_same_in_pyproject_and_in_the_start_up():
    assert project()["requires-python"] == f">={OLDEST}"


def test_the_readme_names_both_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "python -m coursekit lab" in readme
    assert "python -m coursekit test" in readme


def test_ci_installs_a_browser_and_runs_the_test_command_of_the_readme():
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    browser = re.search(r"^if ! command -v chromium.*?^fi\n", text, flags=re.M | re.S)[0]
    lines = text.replace(browser, "").splitlines()
    commands = [line for line in lines if line and not re.match(r"#|set -|cd ", line)]
    assert [re.sub(r"^python3 ", "python ", line) for line in commands] == [
        "python -m coursekit test"
    ]


def test_the_wheel_holds_the_package_and_nothing_of_the_notebooks(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / buildapi.build_wheel(str(tmp_path))) as wheel:
        held = set(wheel.namelist())
        said = {Path(name).name: wheel.read(name).decode() for name in held if "dist-info" in name}
    files = [path for path in (ROOT / "coursekit").rglob("*") if path.is_file()]
    package = {str(path.relative_to(ROOT)) for path in files if path.parent.name != "__pycache__"}
    assert {name for name in held if ".dist-info/" not in name} == package
    assert set(said) == {"METADATA", "RECORD", "WHEEL", "LICENSE", "entry_points.txt"}
    head = said["METADATA"].split("\n\n")[0]
    assert f"Version: {__version__}\n" in head
    assert "License-Expression: BSD-3-Clause AND CC-BY-4.0\n" in head
    needed = re.findall(r"^Requires-Dist: ([\w-]+)(?!.*extra ==)", head, flags=re.MULTILINE)
    assert sorted(needed) == ["numpy", "torch"]


def test_nothing_else_lies_at_the_top_of_the_repository():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone, so what belongs to the repository is unknown")
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    assert {line.split("/")[0] for line in listed} <= TOP


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["notebooks/01_policies_and_returns.ipynb"],
        ["--nbval", "--nbval-current-env", "notebooks/01_policies_and_returns.ipynb"],
        [".", "--ignore=tests", "-k", "01_policies"],  # notebooks/conftest.py is met late
        ["-o", "addopts=", "--nbval-lax", "notebooks/01_policies_and_returns.ipynb"],
    ],
)
def test_pytest_collects_a_notebook_however_it_is_called(words):
    book = json.loads((ROOT / "notebooks/01_policies_and_returns.ipynb").read_text("utf-8"))
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *words]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    cells = [line for line in said.splitlines() if "01_policies_and_returns.ipynb::Cell" in line]
    assert len(cells) == sum(cell["cell_type"] == "code" for cell in book["cells"])


def test_pytest_without_a_notebook_loads_no_plugin_that_nobody_named():
    code = (
        "import sys, pytest; pytest.main(['--collect-only', '-q', 'tests/test_docstrings.py']);"
        "print(*{'nbval', 'nbformat', 'hypothesis', 'torch', 'xdist'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert said.stdout.splitlines()[-1] == "xdist"


# Before anything is installed


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py"])
def test_an_old_python_can_read_the_file_that_tells_it_so(name):
    ast.parse((ROOT / "coursekit" / name).read_text(encoding="utf-8"), feature_version=(3, 6))


# Installing


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """An empty clone and a bare Python; the programs that would have been started."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    made = []

    def run(words, cwd=None, inherit=None):
        made.append([str(word) for word in words])
        if made[-1][1:3] == ["-m", "venv"]:
            install.inside().parent.mkdir(parents=True)
            install.inside().touch()
        return 0, 0

    for module in (entry, install):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(install, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(install, "complete", lambda: False)
    monkeypatch.setattr(install, "run", run)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    return made


def fails(program, status, arrived=0):
    """As ``calls.run`` for a program that ends so; the words of ``python -m`` name it."""
    real = install.run

    def run(words, cwd=None, inherit=None):
        done = real(words, cwd, inherit)
        return (status, arrived) if words[2] == program else done

    return run


def err(capsys):
    """What was said on stderr, which must be one line."""
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    return text


def test_a_bare_python_makes_venv_installs_the_extras_and_goes_on_in_there(calls):
    assert entry.main(["test", "-k", "a b"]) == 0
    made, pip, again = calls
    assert made == [sys.executable, "-m", "venv", str(install.VENV)]
    assert pip[0] == again[0]
    assert Path(again[0]).is_relative_to(install.VENV)
    assert pip[1:4] == ["-m", "pip", "install"]
    assert pip[-2:] == ["--editable", f"{install.ROOT}[course,test]"]
    assert again[1:] == ["-m", "coursekit", "test", "-k", "a b"]


def test_a_stamp_means_no_second_installation(calls):
    python = install.prepare()
    calls.clear()
    assert install.prepare() == python
    assert calls == []


def test_a_stamp_without_its_python_is_not_trusted(calls):
    Path(install.prepare()).unlink()
    install.prepare()
    assert [words[2] for words in calls] == ["venv", "pip"] * 2


@pytest.mark.parametrize(("command", "kept"), [("student", True), ("build", True), ("lab", False)])
def test_what_starts_no_kernel_leaves_an_environment_to_the_clone_that_it_serves(
    calls, monkeypatch, command, kept
):
    monkeypatch.setattr(install, "source", lambda: (Path("/another/clone"), True))
    monkeypatch.setattr(install, "requirements", lambda: ["pytest"])
    monkeypatch.setattr(install, "prepare", lambda: calls.append("prepare") or sys.executable)
    monkeypatch.setattr(entry, command, lambda args, rest: 0)
    assert entry.main([command]) == 0
    assert ("prepare" in calls) is not kept


def test_a_comment_in_pyproject_installs_nothing(calls):
    install.prepare()
    with (entry.ROOT / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    install.prepare()
    assert len(calls) == 2


def test_a_complete_venv_that_was_made_by_hand_is_kept(calls, monkeypatch):
    install.VENV.mkdir()
    monkeypatch.setattr(sys, "prefix", str(install.VENV))
    monkeypatch.setattr(install, "complete", lambda: True)
    assert install.prepare() == sys.executable
    assert install.stamp().exists()


def test_what_is_installed_from_inside_the_venv_is_stamped_too(calls, monkeypatch):
    install.VENV.mkdir()
    monkeypatch.setattr(sys, "prefix", str(install.VENV))
    assert install.prepare() == sys.executable
    assert len(calls) == 1
    assert install.stamp().exists()


def test_who_comes_second_waits_and_finds_the_installation_done(calls, capsys, monkeypatch):
    (install.ROOT / "build").mkdir()
    with open(install.ROOT / "build" / "install.lock", "w") as first:
        assert install.locked(first)

        def finish(seconds):  # while the second one sleeps, the first one makes .venv, and ends
            install.inside().parent.mkdir(parents=True)
            install.inside().touch()
            install.mark()
            first.close()

        monkeypatch.setattr(install.time, "sleep", finish)
        assert Path(install.prepare()).exists()
    assert "Another command is installing here" in capsys.readouterr().out
    assert calls == []


def test_who_comes_alone_does_not_wait(calls, capsys, monkeypatch):
    monkeypatch.setattr(install.time, "sleep", lambda seconds: pytest.fail("it waited"))
    install.prepare()
    install.prepare()  # the lock was given back
    assert "Another" not in capsys.readouterr().out


def test_other_requirements_start_clean(calls):
    install.prepare()
    old = install.stamp()
    (install.VENV / "rest of the old one").touch()
    project = entry.ROOT / "pyproject.toml"
    project.write_text(project.read_text(encoding="utf-8").replace("tqdm>=", "tqdm>"), "utf-8")
    install.prepare()
    assert len(calls) == 4
    assert install.stamp().exists()
    assert not old.exists()
    assert not (install.VENV / "rest of the old one").exists()


def test_a_failed_installation_names_the_network_and_leaves_no_stamp(calls, monkeypatch, capsys):
    monkeypatch.setattr(install, "run", fails("pip", 1))
    assert entry.main(["test"]) == 1
    assert "network" in err(capsys)
    assert not install.stamp().exists()


@pytest.mark.parametrize("program", ["venv", "pip"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_installation_that_is_stopped_asks_for_no_network(
    calls, monkeypatch, capsys, program, number, status
):
    monkeypatch.setattr(install, "run", fails(program, 1, number))
    kind = KeyboardInterrupt if status == 130 else SystemExit  # 130: by __main__, as anywhere
    with pytest.raises(kind, match=r"^$|^143$"):
        entry.main(["test"])
    assert capsys.readouterr().err == ""
    assert calls[-1][2] == program
    assert not install.stamp().exists()


def test_a_clone_that_can_not_be_written_to_is_a_sentence(calls, capsys):
    (install.ROOT / "build").write_text("in the way")
    assert entry.main(["test"]) == 1
    assert "nothing can be installed, for " in err(capsys)
    assert calls == []


def test_a_clone_that_can_not_be_written_to_and_has_its_venv_goes_on_in_there(calls, monkeypatch):
    python = install.prepare()
    calls.clear()
    monkeypatch.setattr(install, "alone", lambda: pytest.fail("it takes the lock"))
    assert install.prepare() == python
    assert calls == []


def test_a_clone_that_can_not_be_written_to_and_has_all_needs_no_stamp(calls, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(install.VENV))  # which is not even a folder
    monkeypatch.setattr(install, "complete", lambda: True)
    assert install.prepare() == sys.executable


@pytest.mark.skipif(os.name == "nt", reason="no file is handed on to a program on Windows")
def test_pip_keeps_the_lock_where_its_parent_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "ROOT", tmp_path)
    pip = "import sys; print('pip', flush=True); sys.stdin.read()"
    parent = (
        "import sys; from pathlib import Path; from coursekit import install\n"
        f"install.ROOT = Path({str(tmp_path)!r})\n"
        "with install.alone() as lock:\n"
        f"    install.uninterrupted([sys.executable, '-c', {pip!r}], lock)"
    )
    ends = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT, **ends) as process:
        assert process.stdout.readline() == b"pip\n"
        process.kill()
        process.wait()
        with open(tmp_path / "build" / "install.lock", "w") as lock:
            assert not install.locked(lock)
            process.stdin.close()  # pip ends
            assert process.stdout.read() == b""
            while not install.locked(lock):  # what is left of a process that ends
                pass


def test_a_python_without_ensurepip_names_the_debian_package(calls, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert entry.main(["test"]) == 1
    assert "sudo apt install python3-venv" in err(capsys)
    assert calls == []


def test_a_venv_that_can_not_be_replaced_is_a_sentence(calls, capsys):
    install.VENV.write_text("a file, where a folder should be")
    assert entry.main(["test"]) == 1
    assert ".venv cannot be made: " in err(capsys)
    assert calls == []


def test_a_venv_that_fails_is_a_sentence(calls, monkeypatch, capsys):
    monkeypatch.setattr(install, "run", fails("venv", 1))
    assert entry.main(["test"]) == 1
    assert "the message of Python's venv stands above" in err(capsys)
    assert [words[2] for words in calls] == ["venv"]


def test_a_torch_that_is_newer_than_the_bound_of_set_up_is_never_downgraded(calls, monkeypatch):
    monkeypatch.setattr(sys, "prefix", "/somewhere/else")  # an active environment
    there = {"torch": "2.15.0+cu130", "numpy": "2.4.6"}
    monkeypatch.setattr(
        install,
        "distribution",
        lambda name: SimpleNamespace(version=there.get(name, "1.0"), read_text=lambda _: "{}"),
    )
    install.prepare()
    (pip,) = calls
    asked = pip[pip.index("--editable") + 1 :]
    assert asked[0] == f"{install.ROOT}[test]"
    course = project()["optional-dependencies"]["course"]
    assert asked[1:] == [line for line in course if not line.startswith("torch")]
    assert len(asked) == len(course)


@pytest.mark.parametrize(
    ("version", "newer"),
    [
        *((version, True) for version in ("2.15.0", "2.14.0", "2.14", "3.0", "2.15.0.dev1+cpu")),
        *((version, False) for version in ("2.13.0+cpu", "2.6.0", "2.9.1", "1.14.9", "")),
    ],
)
def test_newer_is_what_has_reached_the_upper_bound(version, newer):
    assert install.is_newer("torch>=2.6,<2.14", {"torch": version}) == newer
    assert not install.is_newer("torch>=2.6", {"torch": version})
    assert not install.is_newer("torch>=2.6,<2.14", {})


def test_in_a_fresh_environment_there_is_nothing_to_keep(calls, monkeypatch):
    monkeypatch.setattr(install, "distribution", lambda name: SimpleNamespace(version="9.0"))
    install.prepare()  # the running Python has a newer torch; .venv will not
    assert calls[1][-1] == f"{install.ROOT}[course,test]"


def test_only_the_course_bounds_torch_from_above():
    assert bounds(project()["dependencies"]) == {"numpy": ">=2.0", "torch": ">=2.6"}
    assert bounds(project()["optional-dependencies"]["course"])["torch"].startswith(">=2.6,<")


@pytest.mark.parametrize("kind", ["virtual", "conda"])
def test_an_active_environment_is_used_and_no_venv_is_made(calls, monkeypatch, kind):
    if kind == "virtual":
        monkeypatch.setattr(sys, "prefix", "/somewhere/else")
    else:
        monkeypatch.setenv("CONDA_PREFIX", sys.prefix)
    assert install.prepare() == sys.executable
    assert [words[0] for words in calls] == [sys.executable]
    assert not install.VENV.exists()


def test_a_folder_without_pyproject_is_a_sentence(calls, capsys):
    (entry.ROOT / "pyproject.toml").unlink()
    assert entry.main(["test"]) == 1
    assert "run from a clone" in err(capsys)


# Is everything there?


@pytest.fixture
def installed(monkeypatch):
    """What importlib.metadata would say: a set of names, and where coursekit came from."""
    there = SimpleNamespace(missing=set(), editable="true", url=ROOT.as_uri())

    def distribution(name):
        if name in there.missing:
            raise metadata.PackageNotFoundError(name)
        origin = f'{{"url": "{there.url}", "dir_info": {{"editable": {there.editable}}}}}'
        return SimpleNamespace(read_text=lambda _: origin, version="1.0")

    monkeypatch.setattr(install, "distribution", distribution)
    return there


def test_complete_where_this_clone_and_all_it_needs_are_installed(installed):
    assert install.complete()


@pytest.mark.parametrize("name", ["coursekit", "gymnasium", "pytest-xdist"])
def test_not_complete_where_a_distribution_is_missing(installed, name):
    installed.missing.add(name)
    assert not install.complete()


def test_not_complete_where_a_dependency_was_declared_after_the_installation(
    installed, tmp_path, monkeypatch
):
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    text = text.replace("dependencies = [", 'dependencies = ["a-new-one>=1", ', 1)
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(install, "ROOT", tmp_path)
    installed.url = tmp_path.as_uri()
    assert install.complete()
    installed.missing.add("a-new-one")
    assert not install.complete()


def test_not_complete_where_coursekit_comes_from_another_clone(installed):
    installed.url = ROOT.with_name("another clone").as_uri()
    assert not install.complete()


def test_not_complete_where_coursekit_is_a_copy_that_edits_would_not_reach(installed):
    installed.editable = "false"
    assert not install.complete()


def test_who_takes_the_place_of_another_clone_is_told_so(calls, installed, monkeypatch, capsys):
    monkeypatch.setattr(sys, "prefix", "/somewhere/else")
    installed.url = ROOT.with_name("another clone").as_uri()
    install.prepare()
    assert f"takes the place of the one of {ROOT.with_name('another clone')}" in (
        capsys.readouterr().out
    )
    installed.url = entry.ROOT.as_uri()  # the same one, once more
    install.prepare()
    installed.missing.add("coursekit")
    install.prepare()
    assert "takes the place" not in capsys.readouterr().out


# The command line


@pytest.fixture
def ready(monkeypatch):
    """All is installed; the programs that would have been started."""
    made = []
    monkeypatch.setattr("coursekit.publish.student.student", lambda *args: 0)
    monkeypatch.setattr(install, "prepare", lambda: sys.executable)
    monkeypatch.setattr(entry, "compile_once", lambda: None)
    monkeypatch.setattr(install, "call", lambda words: made.append([str(w) for w in words]) or 0)
    return made


def test_a_python_that_is_too_old_is_told_both_versions(ready, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version_info", (3, 8, 18))
        status = entry.main(["test"])
    assert (status, ready) == (1, [])
    assert err(capsys).startswith(f"coursekit: Python {OLDEST} or newer is needed and this is 3.8 ")


@pytest.mark.parametrize("words", [[], ["frobnicate"]])
def test_no_command_or_an_unknown_one_lists_the_commands(words, ready, capsys):
    with pytest.raises(SystemExit, match="2"):
        entry.main(words)
    assert re.search("lab.*student.*test.*execute.*bench", capsys.readouterr().err)
    assert ready == []


def test_an_option_that_lab_does_not_know_is_repeated_and_nothing_starts(ready, capsys):
    assert entry.main(["lab", "--frobnicate"]) == 1
    assert "lab does not know ['--frobnicate']" in err(capsys)
    assert ready == []


def test_test_hands_all_arguments_to_pytest_in_their_order(ready):
    words = ["-k", "not a", "tests/test_mdp.py", "tests", "-x", "-h", "--port", "3"]
    assert entry.main(["test", *words]) == 0
    assert ready[0][:3] == [sys.executable, "-m", "pytest"]
    assert ready[0][3:7] == ["-n", "2", "--dist", "loadfile"]  # a notebook's cells stay together
    assert ready[0][7] == "--no-loadscope-reorder"  # the longest file first, by our own order
    assert ready[0][-len(words) :] == words
    assert "not slow" not in ready[0]


APART = [f"--ignore=tests/test_{name}.py" for name in entry.APART.split()]


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["--fast"], ["tests", *APART]),
        (["-x", "--fast"], ["tests", *APART, "-x"]),
        (["--fast", "tests/test_mdp.py", "-x"], ["tests/test_mdp.py", "-x"]),
    ],
)
def test_fast_leaves_out_the_notebooks_and_what_is_slow(words, given, ready):
    assert entry.main(["test", *words]) == 0
    (found,) = ready
    assert found[8:] == ["-m", "not slow", *given]
    assert all((ROOT / word.split("=")[1]).exists() for word in APART)


@pytest.mark.parametrize(
    ("words", "workers"),
    [
        (["tests/test_mdp.py"], "0"),
        (["tests/test_mdp.py::test_x", "-x"], "0"),
        (["tests"], "2"),
        ([], "2"),
        (["-k", "some"], "0"),
        (["-x", "-k", "not some"], "2"),
    ],
)
def test_one_file_alone_or_what_k_picks_starts_no_workers(words, workers, ready):
    assert entry.main(["test", *words]) == 0
    assert ready[0][3:5] == ["-n", workers]


TWO_BOOKS = [f"notebooks/{name}.ipynb" for name in ("01_policies_and_returns", "09_variance")]


@pytest.mark.parametrize(
    ("words", "added", "judged"),
    [
        ([], True, True),
        (["tests"], True, True),
        (["tests/test_mdp.py", *TWO_BOOKS], True, False),
        (["notebooks"], False, True),
        (["-x", *TWO_BOOKS], False, False),
        (TWO_BOOKS[:1], False, False),
        (["--fast"], False, True),
    ],
)
def test_a_few_notebooks_wait_for_nothing_that_they_do_not_need(
    words, added, judged, ready, monkeypatch
):
    """Not for what pages are made with, nor for learners; and what they take is not judged."""
    done = []
    monkeypatch.setattr(install, "add", done.append)
    monkeypatch.setattr(entry, "compile_once", lambda: done.append("learners"))
    monkeypatch.setenv("COURSEKIT_BUDGETS", "")
    assert entry.main(["test", *words]) == 0
    assert done == ["publish"] * added + ["learners"] * judged
    assert os.environ["COURSEKIT_BUDGETS"] == "1" * judged


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["test", "notebooks/99.ipynb"], "notebooks/99.ipynb does not exist"),
        (["test", "tests/test_nothing.py::test_x"], "tests/test_nothing.py does not exist"),
        (["test", "nosuch"], "nosuch does not exist"),
        (["test", "tests", "nosuch"], "nosuch does not exist"),
        (["lab", "--port", "65536"], "port 65536 is outside 1 to 65535"),
        (["lab", "--port", "0"], "port 0 is outside 1 to 65535"),
    ],
)
def test_a_path_or_a_port_that_can_not_be_is_named_and_nothing_starts(words, said, ready, capsys):
    assert entry.main(words) == 1
    assert said in err(capsys)
    assert ready == []


@pytest.mark.parametrize(("user", "allowed"), [(0, True), (1000, False)])
def test_lab_lets_root_in_and_says_so_for_nobody_else(user, allowed, ready, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    entry.main(["lab"])
    assert ("--allow-root" in ready[0]) == allowed


@pytest.mark.slow
def test_two_workers_find_the_machine_code_compiled_and_nobody_compiles_twice(
    ready, tmp_path, monkeypatch
):
    monkeypatch.undo()
    made, status = [], [1]
    monkeypatch.setattr(install, "prepare", lambda: sys.executable)
    monkeypatch.setattr(install, "call", lambda words: made.append(words[1:3]) or status[0])
    monkeypatch.setattr(entry, "ROOT", tmp_path)
    for name in (
        "pyproject.toml",
        "coursekit/actor_critic.py",
        "coursekit/fast/envs.py",
        "tests/a",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one")
    compiles, tests = ["-m", "coursekit.fast"], ["-m", "pytest"]
    entry.main(["test"])
    assert made == [compiles, tests]  # and it failed, so that the next one tries again
    status[0] = 0
    entry.main(["test"])
    entry.main(["test", "tests"])
    assert made[2:] == [compiles, tests, tests]
    (tmp_path / "coursekit/fast/envs.py").write_text("two")
    entry.main(["test", "tests/a"])  # one worker
    entry.main(["test"])
    assert made[5:] == [tests, compiles, tests]


@pytest.mark.slow
def test_both_learners_are_compiled_by_one_call(tmp_path):
    words = [sys.executable, "-m", "coursekit.fast"]
    subprocess.run(words, cwd=ROOT, check=True)
    # a second one compiles nothing: it writes no file
    kept = ROOT / "coursekit" / "fast" / "__pycache__"
    before = {path.name: path.stat().st_mtime_ns for path in kept.glob("*.nb*")}
    assert {name.split(".")[0] for name in before} >= {"actor_critic_kernel", "reinforce_kernel"}
    subprocess.run(words, cwd=ROOT, check=True)
    assert {path.name: path.stat().st_mtime_ns for path in kept.glob("*.nb*")} == before


@pytest.mark.slow
def test_lab_fetches_no_news_and_looks_for_no_newer_version(ready):
    from jupyterlab.handlers.announcements import NeverCheckForUpdate
    from jupyterlab.labapp import LabApp

    entry.main(["lab"])
    app = LabApp()
    app.parse_command_line([word for word in ready[0] if word.startswith("--LabApp")])
    assert (app.news_url, app.check_for_updates_class) == (None, NeverCheckForUpdate)


CUT = """
import json, os, signal, socket, subprocess, sys, time, urllib.error, urllib.request
from pathlib import Path

try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
    sys.exit("the network is there")
except OSError as error:
    assert "unreachable" in str(error), error
START = '''
import sys
from pathlib import Path
from coursekit import __main__ as entry
entry.ROOT = Path(sys.argv[1])
args = entry.parser().parse_args(["lab", "--no-browser", "--authors"])
sys.exit(entry.lab(args, []))
'''
server = subprocess.Popen([sys.executable, "-c", START, sys.argv[1]], stdout=2)

def answer(path, data=None):
    address = "http://127.0.0.1:8888/" + path + "?token=known"
    with urllib.request.urlopen(urllib.request.Request(address, data=data), timeout=30) as said:
        return said.read()

try:
    for _ in range(1200):
        assert server.poll() is None, "JupyterLab ended"
        try:
            answer("api/status")
            break
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(0.1)
    assert b"jupyter-config-data" in answer("lab/tree/notebooks/00_start_here.ipynb")
    assert json.loads(answer("api/contents/notebooks/00_start_here.ipynb"))["content"]["cells"]
    assert json.loads(answer("api/kernels", b"{}"))["id"]
    print("it answered")
finally:
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
"""  # in a network of its own, which ends at this machine


@pytest.mark.slow
def test_lab_opens_the_first_notebook_and_starts_a_kernel_with_the_network_cut(tmp_path):
    alone = ["unshare", "--net", *([] if matrix.is_root() else ["--map-root-user"])]
    alone += ["sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False).returncode:
        # some containers forbid it, and without it this would look at the real network
        pytest.skip("this user or system makes no network of its own")
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "00_start_here.ipynb", tmp_path / "notebooks")
    env = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    env = os.environ | env | {"JUPYTER_TOKEN": "known"}
    done = subprocess.run(
        [*alone, sys.executable, "-c", CUT, str(tmp_path)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout == "it answered\n", done.stderr[-2000:]
    assert done.returncode == 0
    assert not re.search("Failed to fetch|Name or service|unreachable", done.stderr), done.stderr


def test_lab_tries_port_8888_and_opens_a_browser_where_nothing_is_said(ready):
    entry.main(["lab"])
    assert ready[0][3:5] == ["--port", "8888"]
    assert "--no-browser" not in ready[0]


@pytest.mark.parametrize(("words", "where"), [([], "build/student"), (["--authors"], "notebooks")])
def test_lab_opens_the_first_notebook_with_the_given_port(words, where, ready, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    made = []
    monkeypatch.setattr("coursekit.publish.student.student", lambda *args: made.append(args))
    entry.main(["lab", "--no-browser", "--port", "8899", *words])
    first = sorted((ROOT / "notebooks").glob("*.ipynb"))[0]
    assert ready[0][1:5] == ["-m", "jupyterlab", "--port", "8899"]
    assert f"--LabApp.default_url=/lab/tree/{where}/{first.name}" in ready[0]
    assert ready[0][-1] == "--no-browser"
    assert made == ([] if words else [()])  # the sources are opened and nothing is written


def test_lab_says_where_no_copy_can_be_made_and_what_to_do(ready, monkeypatch, capsys):
    def refuses(*args):
        raise ValueError("the student edition cannot be written to x; use lab --authors")

    monkeypatch.setattr("coursekit.publish.student.student", refuses)
    assert entry.main(["lab"]) == 1
    assert "lab --authors" in err(capsys)
    assert ready == []


def test_student_hands_over_the_folder_and_where_the_solutions_go(ready, monkeypatch):
    given = []
    monkeypatch.setattr("coursekit.publish.student.student", lambda *args: given.append(args) or 0)
    assert entry.main(["student"]) == 0
    assert entry.main(["student", "--solutions", "end", "--to", "there"]) == 0
    assert given == [(None, "none"), (Path("there"), "end")]


def test_execute_hands_over_names_folder_and_seed(ready, monkeypatch):
    given = []
    monkeypatch.setattr("coursekit.publish.execute.execute", lambda *args: given.append(args) or 0)
    assert entry.main(["execute", "02", "03", "--to", "there", "--seed", "7"]) == 0
    assert given == [(["02", "03"], Path("there"), 7)]


def test_execute_hands_over_many_seeds(ready, monkeypatch, capsys):
    given = []
    monkeypatch.setattr("coursekit.publish.seeds.seeds", lambda *args: given.append(args) or 0)
    assert entry.main(["execute", "--seeds", "20", "--drawn"]) == 0
    assert entry.main(["execute", "02", "--seeds", "2", "--drawn", "5"]) == 0
    assert given == [([], 20, -1), (["02"], 2, 5)]
    assert entry.main(["execute", "--drawn"]) == 1
    assert "--drawn needs --seeds N" in err(capsys)


@pytest.mark.parametrize(("words", "plan"), [([], "FULL"), (["--quick"], "QUICK")])
def test_bench_runs_the_full_plan_unless_a_quick_one_was_asked_for(words, plan, ready, monkeypatch):
    from coursekit.publish import bench

    given = []
    monkeypatch.setattr(bench, "bench", lambda *args: given.append(args) or 0)
    assert entry.main(["bench", *words]) == 0
    assert given == [(getattr(bench, plan),)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["execute", "02", "--to", ""], "argument --to: '' is no folder; give its path, or . for"),
        (["execute", "--seed", "x"], "argument --seed: invalid int value: 'x'"),
        (["execute", "--seed", "1.5"], "argument --seed: invalid int value: '1.5'"),
        (["lab", "--port", "x"], "argument --port: invalid int value: 'x'"),
    ],
)
def test_an_option_that_can_not_be_is_repeated(words, said, ready, capsys):
    with pytest.raises(SystemExit, match="2"):
        entry.main(words)
    assert said in capsys.readouterr().err
    assert ready == []


def test_an_error_of_the_system_is_a_sentence_too(ready, monkeypatch, capsys):
    def full(*args):
        raise OSError(28, "No space left on device", "build/summary.json")

    monkeypatch.setattr("coursekit.publish.execute.execute", full)
    assert entry.main(["execute", "02"]) == 1
    assert "No space left on device: 'build/summary.json'" in err(capsys)


def test_an_error_of_execute_is_a_sentence(ready, capsys):
    assert entry.main(["execute", "99"]) == 1
    assert "notebook '99' does not exist" in err(capsys)


def test_the_exit_status_is_that_of_the_program():
    assert install.call([sys.executable, "-c", "raise SystemExit(7)"]) == 7


def test_a_program_runs_at_the_top_of_the_project_wherever_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = f"import os; raise SystemExit(os.path.samefile(os.getcwd(), {str(ROOT)!r}) + 5)"
    assert install.call([sys.executable, "-c", code]) == 6


def test_the_exit_status_of_the_module_is_that_of_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["coursekit", "lab", "--frobnicate"])  # refused at once
    with pytest.raises(SystemExit, match=r"^1$"):
        runpy.run_path(entry.__file__, run_name="__main__")


def test_the_exit_status_after_ctrl_c_is_130_and_there_is_no_traceback(monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", interrupted)
    with pytest.raises(SystemExit, match=r"^130$"):
        runpy.run_path(entry.__file__, run_name="__main__")


@pytest.mark.skipif(os.name == "nt", reason="a process group gets SIGINT on POSIX only")
def test_ctrl_c_lets_the_program_end_in_its_own_way():
    program = (
        "import signal, time; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try: print('ready', flush=True); time.sleep(20)\n"
        "except KeyboardInterrupt: time.sleep(0.5); raise SystemExit(5)"
    )
    caller = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from coursekit.install import call\n"
        f"sys.exit(call([sys.executable, '-c', {program!r}]))"
    )
    words = [sys.executable, "-c", caller]
    with subprocess.Popen(
        words, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=10) == 5


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to hand on")
def test_a_request_to_terminate_reaches_the_program():
    program = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True); time.sleep(20)"
    )
    caller = (
        "import sys; from coursekit.install import call\n"
        f"sys.exit(call([sys.executable, '-c', {program!r}]))"
    )
    words = [sys.executable, "-c", caller]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.wait(timeout=10) == 5
