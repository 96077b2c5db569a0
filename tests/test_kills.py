"""Killed at random moments: nothing finished is lost, nothing is damaged, no number is wrong.

Repeatable: moments are drawn from a seed. COURSEKIT_KILLS=50 kills each program so many times.
"""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from coursekit.publish import execute, student

ROOT = Path(__file__).resolve().parent.parent
KILLS = int(os.environ.get("COURSEKIT_KILLS", "1"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no such kill"),
]
EXPERIMENT = """
import sys
import numpy as np
from coursekit import experiments, train

base = train.Config(episodes=2, updates=3, hidden=(4,))
grid = experiments.grid(base, lr=[0.01 * k for k in range(1, 13)])
print("ready", flush=True)
found = experiments.run(grid, range(20), jobs=1, cache=sys.argv[1], progress=False)
np.save(sys.argv[2], found.table[["area", "last", "steps"]].to_numpy(float))
"""
EXECUTE = """
import sys
from pathlib import Path
from coursekit.publish import execute

execute.NOTEBOOKS = execute.ROOT = Path(sys.argv[1])
print("ready", flush=True)
sys.exit(execute.execute(["01"]))
"""

SITE = """
import sys, warnings
from pathlib import Path
from coursekit.publish import execute, site
import myst_nb, sphinx.application, sphinx.builders.html

warnings.simplefilter("ignore")  # MyST-NB calls what Sphinx 11 will not have, as in conftest.py
execute.NOTEBOOKS, site.PAGES = (Path(sys.argv[1], name) for name in ("notebooks", "pages"))
site.api = dict
site.CONFIG["suppress_warnings"].append("myst.xref_missing")
print("ready", flush=True)
site.build(Path(sys.argv[2]))
"""

INSTALL = """
import sys
from pathlib import Path
from coursekit import install

root = install.ROOT = Path(sys.argv[1])
install.VENV = root / ".venv"
install.complete = lambda: False  # this Python has the course: ask whether .venv does
sys.prefix = sys.base_prefix
sys.executable = sys._base_executable  # as somebody's first command, in no environment
install.targets = lambda versions: ["--no-index", *sorted(map(str, root.glob("*.whl")))]
print("ready", flush=True)
install.prepare()
"""


LAB = """
import sys
from pathlib import Path
from coursekit import __main__ as entry
from coursekit.publish import execute, student

entry.ROOT = execute.ROOT = student.ROOT = Path(sys.argv[1])
execute.NOTEBOOKS, student.FOLDER = entry.ROOT / "notebooks", entry.ROOT / "build" / "student"
print("ready", flush=True)
sys.exit(entry.main(["lab", "--no-browser", "--port", sys.argv[2]]))
"""


def start(program, *words):
    """The program, running, once it is ready."""
    command = [sys.executable, "-c", program, *map(str, words)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert process.stdout.readline() == b"ready\n"
    return process


def killed(program, words, seconds):
    """Kill it and all that it started after so many seconds; True where it had ended before."""
    with start(program, *words) as process:
        time.sleep(seconds)
        ended = process.poll() is not None
        if not ended:
            os.killpg(process.pid, 9)
        process.stdout.read()
    return ended


def test_an_experiment_loses_no_finished_piece_and_gives_no_wrong_number(tmp_path):
    undisturbed, result = tmp_path / "a.npy", tmp_path / "b.npy"
    began = time.perf_counter()
    with start(EXPERIMENT, tmp_path / "whole", undisturbed) as process:
        assert process.wait() == 0
    took = time.perf_counter() - began
    chance, kept = random.Random(0), 0
    for _ in range(KILLS):
        killed(EXPERIMENT, (tmp_path / "kept", result), chance.uniform(0, took / 3))
        now = len(list((tmp_path / "kept").glob("*.npz")))
        assert now >= kept
        kept = now
    with start(EXPERIMENT, tmp_path / "kept", result) as process:
        assert process.wait() == 0
    np.testing.assert_array_equal(np.load(result), np.load(undisturbed))
    assert len(list((tmp_path / "kept").glob("*.npz"))) == 12 * 2


def test_a_notebook_is_the_old_one_or_the_new_one_and_the_next_run_is_green(tmp_path):
    path = tmp_path / "01_a.ipynb"
    cells = [new_code_cell(f"print({'x' * 5000!r})", id=f"cell-{k}") for k in range(20)]
    nbformat.write(new_notebook(cells=cells), path)
    old, began = path.read_bytes(), time.perf_counter()
    with start(EXECUTE, tmp_path) as process:
        assert process.wait() == 0
    took, new = time.perf_counter() - began, path.read_bytes()
    chance = random.Random(0)
    for _ in range(KILLS):
        path.write_bytes(old)
        killed(EXECUTE, (tmp_path,), chance.uniform(0, took))
        assert path.read_bytes() in (old, new)
    with start(EXECUTE, tmp_path) as process:
        assert process.wait() == 0
    assert path.read_bytes() == new


def test_a_site_that_was_stopped_is_whole_after_the_next_build(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pages").mkdir()
    for name in ("01_policies_and_returns.ipynb", "stop_or_walk.png", "typical_length.png"):
        shutil.copy(ROOT / "notebooks" / name, tmp_path / "notebooks")
    (tmp_path / "notebooks" / "GLOSSARY.md").write_text("# Words\n")
    first = tmp_path / "pages" / "index.md"

    def written(number):
        first.write_text(
            f"# Course {number}\n\n```{{toctree}}\n01_policies_and_returns\nGLOSSARY\n```\n"
        )

    def built(folder):
        with start(SITE, tmp_path, folder) as process:
            assert process.wait() == 0
        return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    began, chance = time.perf_counter(), random.Random(0)
    written(KILLS - 1)
    whole, took = built(tmp_path / "a" / "site"), time.perf_counter() - began
    written(KILLS)
    assert built(tmp_path / "b" / "site") != whole
    for number in range(KILLS):
        written(number)
        killed(SITE, (tmp_path, tmp_path / "b" / "site"), chance.uniform(0, took / 2))
    assert built(tmp_path / "b" / "site") == whole


@pytest.mark.skipif(KILLS == 1, reason="test_setup has one; the weekly run has COURSEKIT_KILLS=50")
def test_an_installation_that_was_killed_is_never_taken_for_whole(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    parts = [f"part{k}" for k in range(5)]
    for name in parts:
        about = f"{name}-1.dist-info"
        with zipfile.ZipFile(tmp_path / f"{name}-1-py3-none-any.whl", "w") as wheel:
            for k in range(200):
                wheel.writestr(f"{name}/m{k}.py", "" if k else f"value = {name!r}\n")
            wheel.writestr(
                f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n"
            )
            wheel.writestr(
                f"{about}/WHEEL",
                "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            wheel.writestr(f"{about}/RECORD", "")
    python = tmp_path / ".venv" / "bin" / "python"
    asked = "; ".join(f"import {name}.m0, {name}.m199" for name in parts)

    def is_whole():
        return subprocess.run([python, "-c", asked], stderr=subprocess.DEVNULL).returncode == 0

    def is_said_whole():
        return any(tmp_path.glob(".venv/installed-*"))

    def undisturbed():
        with start(INSTALL, tmp_path) as process:
            process.stdout.read()  # until whoever was left behind has let go, too
            assert process.wait() == 0
        assert is_said_whole()
        assert is_whole()

    began, chance = time.perf_counter(), random.Random(0)
    undisturbed()
    took = time.perf_counter() - began
    for number in range(KILLS):
        if is_said_whole():
            shutil.rmtree(tmp_path / ".venv")
        with start(INSTALL, tmp_path) as process:
            time.sleep(chance.uniform(0, 1.2 * took))
            if process.poll() is None:
                # all of it at once; or only what was started, and pip, which has the lock, goes on
                (os.killpg if number % 2 else os.kill)(process.pid, 9)
            process.wait()
        assert is_whole() or not is_said_whole()
    undisturbed()


@pytest.mark.skipif(
    KILLS == 1, reason="test_browser has one; the weekly run has COURSEKIT_KILLS=50"
)
def test_a_first_start_of_jupyterlab_that_was_killed_costs_nothing(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in ("00_start_here.ipynb", "01_policies_and_returns.ipynb"):
        shutil.copy(ROOT / "notebooks" / name, tmp_path / "notebooks")
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("JUPYTER_TOKEN", "known")
    monkeypatch.setattr(execute, "NOTEBOOKS", tmp_path / "notebooks")
    edition, made = student.edition(), tmp_path / "build" / "student"
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]

    def answer(path):
        """What the server says of a path; None while it does not listen."""
        address = f"http://127.0.0.1:{port}/{path}?token=known"
        try:
            with urllib.request.urlopen(address, timeout=30) as said:
                return said.read()
        except urllib.error.HTTPError:
            raise
        except OSError:
            return None

    def undisturbed():
        with start(LAB, tmp_path, port) as process:
            try:
                while answer("api/status") is None:
                    assert process.poll() is None, "JupyterLab ended"
                    time.sleep(0.1)
                took = time.perf_counter() - began
                for name in edition:
                    said = json.loads(answer(f"api/contents/build/student/{name}"))
                    assert said["content"]["cells"]
                assert answer("lab/tree/build/student/00_start_here.ipynb")
            finally:  # a server that was left running would be waited for, for ever
                if process.poll() is None:
                    os.killpg(process.pid, 15)
                process.stdout.read()
        return took

    began, chance = time.perf_counter(), random.Random(0)
    took = undisturbed()
    for number in range(KILLS):
        first = number % 2  # as a first start, which writes at once; or as one that refreshes
        for folder in ("build", "config", "data", "runtime") if first else ():
            shutil.rmtree(tmp_path / folder, ignore_errors=True)
        killed(LAB, (tmp_path, port), chance.uniform(0, took / 4 if first else 1.2 * took))
        for name in edition:
            whole = made / name
            assert not whole.exists() or whole.read_bytes() == edition[name]
    began = time.perf_counter()
    undisturbed()
    assert {name: (made / name).read_bytes() for name in edition} == edition
