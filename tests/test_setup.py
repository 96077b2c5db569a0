"""The set-up: two commands, one list of dependencies, one sentence for whatever is missing."""

import argparse
import ast
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tomllib
import venv
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from coursekit import __main__ as entry
from coursekit.publish import bench
from coursekit.publish import execute as publish

ROOT = Path(__file__).resolve().parent.parent
OLDEST = "{}.{}".format(*entry.OLDEST)
NAMED = {"jupyterlab", "torch", "gymnasium", "matplotlib", "nbval"}
TOP = {"notebooks", "coursekit", "tests", "environment.yml", "README.md", "pyproject.toml"}
TOP |= {"LICENSE", "CONTRIBUTING.md", ".ci", ".gitignore", ".github", ".gitattributes"}


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
    declared = bounds(project()["dependencies"])
    assert named == {name: declared[name] for name in NAMED}


def test_environment_yml_writes_python_with_one_equals_sign_for_repo2docker():
    assert f"python={OLDEST}" in conda()


def test_environment_yml_installs_the_rest_from_pyproject():
    assert "pip" in conda()
    assert conda()[-1] == {"pip": ["-e .[test]"]}


def test_the_oldest_python_is_the_same_in_pyproject_and_in_the_start_up():
    assert project()["requires-python"] == f">={OLDEST}"


def test_the_readme_names_both_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "python -m coursekit lab" in readme
    assert "python -m coursekit test" in readme


def test_ci_runs_the_test_command_of_the_readme_and_nothing_else():
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not re.match(r"#|set -|cd ", line)]
    assert [re.sub(r"^python3 ", "python ", line) for line in commands] == [
        "python -m coursekit test"
    ]


def test_nothing_else_lies_at_the_top_of_the_repository():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone, so what belongs to the repository is unknown")
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    assert {line.split("/")[0] for line in listed} <= TOP


# Before anything is installed


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py"])
def test_an_old_python_can_read_the_file_that_tells_it_so(name):
    ast.parse((ROOT / "coursekit" / name).read_text(encoding="utf-8"), feature_version=(3, 6))


def test_importing_the_package_takes_at_most_a_tenth_of_a_second_and_brings_nothing():
    code = (
        "import sys, time; start = time.perf_counter(); import coursekit;"
        "print(time.perf_counter() - start, 'numpy' in sys.modules)"
    )
    words = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).split()
    assert float(words[0]) <= 0.1
    assert words[1] == "False"


# Installing


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """An empty clone and a bare Python; the programs that would have been started."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    python = tmp_path / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def create(builder, folder):
        python.parent.mkdir(parents=True)
        python.touch()

    made = []
    monkeypatch.setattr(entry, "ROOT", tmp_path)
    monkeypatch.setattr(entry, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(entry, "complete", lambda: False)
    monkeypatch.setattr(entry, "call", lambda words: made.append([str(w) for w in words]) or 0)
    monkeypatch.setattr(venv.EnvBuilder, "create", create)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    return made


def err(capsys):
    """What was said on stderr, which must be one line."""
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    return text


def test_a_bare_python_makes_venv_installs_the_extras_and_goes_on_in_there(calls):
    assert entry.main(["test", "-k", "a b"]) == 0
    pip, again = calls
    assert pip[0] == again[0]
    assert Path(again[0]).is_relative_to(entry.VENV)
    assert pip[1:4] == ["-m", "pip", "install"]
    assert pip[-2:] == ["--editable", f"{entry.ROOT}[test]"]
    assert again[1:] == ["-m", "coursekit", "test", "-k", "a b"]


def test_a_stamp_means_no_second_installation(calls):
    python = entry.prepare()
    calls.clear()
    assert entry.prepare() == python
    assert calls == []


def test_a_stamp_without_its_python_is_not_trusted(calls):
    Path(entry.prepare()).unlink()
    entry.prepare()
    assert len(calls) == 2


def test_a_comment_in_pyproject_installs_nothing(calls):
    entry.prepare()
    with (entry.ROOT / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    entry.prepare()
    assert len(calls) == 1


def test_a_complete_venv_that_was_made_by_hand_is_kept(calls, monkeypatch):
    entry.VENV.mkdir()
    monkeypatch.setattr(sys, "prefix", str(entry.VENV))
    monkeypatch.setattr(entry, "complete", lambda: True)
    assert entry.prepare() == sys.executable
    assert entry.stamp().exists()


def test_what_is_installed_from_inside_the_venv_is_stamped_too(calls, monkeypatch):
    entry.VENV.mkdir()
    monkeypatch.setattr(sys, "prefix", str(entry.VENV))
    assert entry.prepare() == sys.executable
    assert len(calls) == 1
    assert entry.stamp().exists()


def test_who_comes_second_waits_and_finds_the_installation_done(calls, capsys, monkeypatch):
    (entry.ROOT / "build").mkdir()
    with open(entry.ROOT / "build" / "install.lock", "w") as first:
        assert entry.locked(first)

        def finish(seconds):  # while the second one sleeps, the first one makes .venv, and ends
            venv.EnvBuilder().create(entry.VENV)
            entry.stamp().touch()
            first.close()

        monkeypatch.setattr(entry.time, "sleep", finish)
        assert Path(entry.prepare()).exists()
    assert "Another command is installing here" in capsys.readouterr().out
    assert calls == []


def test_who_comes_alone_does_not_wait(calls, capsys, monkeypatch):
    monkeypatch.setattr(entry.time, "sleep", lambda seconds: pytest.fail("it waited"))
    entry.prepare()
    entry.prepare()  # the lock was given back
    assert "Another" not in capsys.readouterr().out


def test_other_requirements_start_clean(calls):
    entry.prepare()
    old = entry.stamp()
    (entry.VENV / "rest of the old one").touch()
    project = entry.ROOT / "pyproject.toml"
    project.write_text(project.read_text(encoding="utf-8").replace("tqdm>=", "tqdm>"), "utf-8")
    entry.prepare()
    assert len(calls) == 2
    assert entry.stamp().exists()
    assert not old.exists()
    assert not (entry.VENV / "rest of the old one").exists()


def test_a_failed_installation_names_the_network_and_leaves_no_stamp(calls, monkeypatch, capsys):
    monkeypatch.setattr(entry, "call", lambda words: calls.append(words) or 1)
    assert entry.main(["test"]) == 1
    assert "network" in err(capsys)
    assert len(calls) == 1
    assert not entry.stamp().exists()


def test_a_python_without_ensurepip_names_the_debian_package(calls, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert entry.main(["test"]) == 1
    assert "sudo apt install python3-venv" in err(capsys)
    assert calls == []


def test_a_venv_that_can_not_be_replaced_is_a_sentence(calls, capsys):
    entry.VENV.write_text("a file, where a folder should be")
    assert entry.main(["test"]) == 1
    assert ".venv can not be made: " in err(capsys)
    assert calls == []


def test_a_pip_that_can_not_be_put_into_the_venv_is_a_sentence(calls, monkeypatch, capsys):
    def fails(builder, folder):
        raise subprocess.CalledProcessError(1, "ensurepip")

    monkeypatch.setattr(venv.EnvBuilder, "create", fails)
    assert entry.main(["test"]) == 1
    assert ".venv can not be made: Command 'ensurepip' returned" in err(capsys)
    assert calls == []


@pytest.mark.parametrize("kind", ["virtual", "conda"])
def test_an_active_environment_is_used_and_no_venv_is_made(calls, monkeypatch, kind):
    if kind == "virtual":
        monkeypatch.setattr(sys, "prefix", "/somewhere/else")
    else:
        monkeypatch.setenv("CONDA_PREFIX", sys.prefix)
    assert entry.prepare() == sys.executable
    assert [words[0] for words in calls] == [sys.executable]
    assert not entry.VENV.exists()


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
        return SimpleNamespace(read_text=lambda _: origin)

    monkeypatch.setattr(metadata, "distribution", distribution)
    return there


def test_complete_where_this_clone_and_all_it_needs_are_installed(installed):
    assert entry.complete()


@pytest.mark.parametrize("name", ["coursekit", "gymnasium", "pytest-xdist"])
def test_not_complete_where_a_distribution_is_missing(installed, name):
    installed.missing.add(name)
    assert not entry.complete()


def test_not_complete_where_a_dependency_was_declared_after_the_installation(
    installed, tmp_path, monkeypatch
):
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    text = text.replace("dependencies = [", 'dependencies = ["a-new-one>=1",', 1)
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(entry, "ROOT", tmp_path)
    installed.url = tmp_path.as_uri()
    assert entry.complete()
    installed.missing.add("a-new-one")
    assert not entry.complete()


def test_not_complete_where_coursekit_comes_from_another_clone(installed):
    installed.url = ROOT.with_name("another clone").as_uri()
    assert not entry.complete()


def test_not_complete_where_coursekit_is_a_copy_that_edits_would_not_reach(installed):
    installed.editable = "false"
    assert not entry.complete()


# The command line


@pytest.fixture
def ready(monkeypatch):
    """All is installed; the programs that would have been started."""
    made = []
    monkeypatch.setattr(entry, "prepare", lambda: sys.executable)
    monkeypatch.setattr(entry, "call", lambda words: made.append([str(w) for w in words]) or 0)
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
    assert re.search("lab.*test.*execute.*bench", capsys.readouterr().err)
    assert ready == []


def test_an_option_that_lab_does_not_know_is_repeated_and_nothing_starts(ready, capsys):
    assert entry.main(["lab", "--frobnicate"]) == 1
    assert "lab does not know ['--frobnicate']" in err(capsys)
    assert ready == []


def test_test_hands_all_arguments_to_pytest_in_their_order(ready):
    words = ["-k", "a b", "tests/test_mdp.py", "-x", "-h", "--port", "3"]
    assert entry.main(["test", *words]) == 0
    assert ready[0][:3] == [sys.executable, "-m", "pytest"]
    assert ready[0][3:7] == ["-n", "2", "--dist", "loadfile"]  # a notebook's cells stay together
    assert ready[0][-len(words) :] == words


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


def test_lab_tries_port_8888_and_opens_a_browser_where_nothing_is_said(ready):
    entry.main(["lab"])
    assert ready[0][3:5] == ["--port", "8888"]
    assert "--no-browser" not in ready[0]


def test_lab_opens_the_first_notebook_with_the_given_port(ready, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    entry.main(["lab", "--no-browser", "--port", "8899"])
    first = sorted((ROOT / "notebooks").glob("*.ipynb"))[0]
    assert ready[0][1:5] == ["-m", "jupyterlab", "--port", "8899"]
    assert f"--LabApp.default_url=/lab/tree/notebooks/{first.name}" in ready[0]
    assert ready[0][-1] == "--no-browser"


def test_execute_hands_over_names_folder_and_seed(ready, monkeypatch):
    given = []
    monkeypatch.setattr(publish, "execute", lambda *args: given.append(args) or 0)
    assert entry.main(["execute", "02", "03", "--to", "there", "--seed", "7"]) == 0
    assert given == [(["02", "03"], Path("there"), 7)]


@pytest.mark.parametrize(("words", "plan"), [([], bench.FULL), (["--quick"], bench.QUICK)])
def test_bench_runs_the_full_plan_unless_a_quick_one_was_asked_for(words, plan, ready, monkeypatch):
    given = []
    monkeypatch.setattr(bench, "bench", lambda *args: given.append(args) or 0)
    assert entry.main(["bench", *words]) == 0
    assert given == [(plan,)]


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

    monkeypatch.setattr(publish, "execute", full)
    assert entry.main(["execute", "02"]) == 1
    assert "No space left on device: 'build/summary.json'" in err(capsys)


def test_an_error_of_execute_is_a_sentence(ready, capsys):
    assert entry.main(["execute", "99"]) == 1
    assert "notebook '99' does not exist" in err(capsys)


def test_the_exit_status_is_that_of_the_program():
    assert entry.call([sys.executable, "-c", "raise SystemExit(7)"]) == 7


def test_a_program_runs_at_the_top_of_the_project_wherever_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = f"import os; raise SystemExit(os.path.samefile(os.getcwd(), {str(ROOT)!r}) + 5)"
    assert entry.call([sys.executable, "-c", code]) == 6


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
        "from coursekit.__main__ import call\n"
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
        "import sys; from coursekit.__main__ import call\n"
        f"sys.exit(call([sys.executable, '-c', {program!r}]))"
    )
    words = [sys.executable, "-c", caller]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.wait(timeout=10) == 5
