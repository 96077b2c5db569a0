"""The commands of the course: ``python -m coursekit lab | test | execute | bench``.

Starts on the standard library alone. Where what it needs is missing, it makes ``.venv`` (or uses
the active virtual or conda environment), installs the project there, and goes on inside it.
"""

import argparse
import contextlib
import hashlib
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST = (3, 11)


def main(argv=None):
    """Read the command line, prepare the environment, run the command; returns the exit status."""
    if sys.version_info < OLDEST:
        return stop(
            "Python %d.%d or newer is needed and this is %d.%d (%s). Install a newer one from "
            "python.org and call it by its name, for example `python3.11 -m coursekit lab`."
            % (OLDEST + sys.version_info[:2] + (sys.executable,))
        )
    args, rest = parser().parse_known_args(argv)
    if rest and args.command != "test":
        return stop("%s does not know %s; see `python -m coursekit -h`." % (args.command, rest))
    if not (ROOT / "pyproject.toml").exists():
        return stop("%s holds no pyproject.toml; run from a clone of the course." % ROOT)
    python = prepare()
    if python is None:
        return 1
    if Path(python) != Path(sys.executable):
        words = sys.argv[1:] if argv is None else argv
        return call([python, "-m", "coursekit", *words])
    try:
        commands = {"lab": lab, "test": test, "execute": execute, "bench": bench}
        return commands[args.command](args, rest)
    except (ValueError, OSError) as error:
        return stop(str(error))


def parser():
    """The command line; everything that ``test`` does not know goes to pytest."""
    top = argparse.ArgumentParser(prog="python -m coursekit", description=__doc__)
    names = "lab | test | execute | bench"
    commands = top.add_subparsers(dest="command", required=True, metavar=names)
    sub = commands.add_parser("lab", help="open the course in JupyterLab")
    sub.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    sub.add_argument("--port", type=int, default=8888, help="the port to try first (8888)")
    commands.add_parser("test", help="run all tests; takes pytest's arguments", add_help=False)
    sub = commands.add_parser("execute", help="run notebooks and refresh their outputs")
    sub.add_argument("notebooks", nargs="*", help="paths, names or numbers (02); all by default")
    sub.add_argument("--to", type=folder, metavar="DIR", help="write there instead of in place")
    sub.add_argument("--seed", type=int, metavar="N", help="master seed (0); needs --to")
    sub = commands.add_parser("bench", help="measure speeds; writes build/bench.json")
    sub.add_argument("--quick", action="store_true", help="too short to trust: does it run?")
    return top


def folder(text):
    """A path; refuses an empty one: a variable that was never set, not the folder one is in."""
    if not text:
        raise argparse.ArgumentTypeError("'' is no folder; give its path, or . for this one")
    return Path(text)


def prepare():
    """The Python that has what the course needs, installing it first where it must; None if not."""
    if complete():
        if Path(sys.prefix) == VENV:
            stamp().touch()  # made by hand, perhaps: never to be replaced by a fresh one
        return sys.executable
    if sys.prefix != sys.base_prefix or os.environ.get("CONDA_PREFIX") == sys.prefix:
        python, fresh = sys.executable, False
    else:
        inside = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        python, fresh = str(VENV / inside), True
    with alone():
        return install(python, fresh)


@contextlib.contextmanager
def alone():
    """One installation at a time: whoever comes second waits, and finds that it is done."""
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build" / "install.lock", "w") as lock:
        if not locked(lock):
            print("Another command is installing here; waiting for it …", flush=True)
            while not locked(lock):
                time.sleep(1)
        yield  # the end of the process, however it ends, gives the lock back


def locked(lock):
    """Take the lock, where nobody else holds it; False where somebody does."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def install(python, fresh):
    """Make the environment of ``python`` where it is ``fresh``, and install there; None if not."""
    if fresh and stamp().exists() and Path(python).exists():
        return python
    if fresh and not make_venv():
        return None
    print("Installing the course into %s (once; a few minutes) …" % Path(python).parents[1])
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if call([*install, "--editable", "%s[test]" % ROOT]):
        stop(
            "The installation failed; pip's message stands above. Is there a network, and room on "
            "the disk? Then run the same command again: it starts clean."
        )
        return None
    if fresh or Path(sys.prefix) == VENV:
        stamp().touch()
    importlib.invalidate_caches()
    return python


def complete():
    """True where the running Python has this very clone installed and all that it depends on.

    Reads pyproject.toml, since an editable install keeps the list of the day it was made.
    """
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        for line in requirements():
            distribution(re.match(r"[\w.-]+", line).group())
        origin = json.loads(distribution("coursekit").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return False
    here = Path(url2pathname(urlparse(origin.get("url", "")).path)).resolve() == ROOT
    return here and origin.get("dir_info", {}).get("editable", False)


def requirements():
    """What pyproject.toml declares, extras included."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["dependencies"] + project["optional-dependencies"]["test"]


def stamp():
    """The file that says "all of these requirements are installed"."""
    text = "\n".join(requirements())
    return VENV / ("installed-" + hashlib.sha256(text.encode("utf-8")).hexdigest()[:12])


def make_venv():
    """An empty .venv, whatever was there before; False, and a sentence, where it can not be."""
    try:
        import ensurepip  # noqa: F401  (Debian splits it from venv, which then fails halfway)
        import venv
    except ImportError:
        stop(
            "This Python has no complete venv module. On Debian or Ubuntu: "
            "`sudo apt install python3-venv`; then run the same command again."
        )
        return False
    try:
        if VENV.exists():
            shutil.rmtree(VENV)
        venv.EnvBuilder(with_pip=True).create(VENV)
    except (OSError, subprocess.CalledProcessError) as error:
        stop("%s can not be made: %s" % (VENV, error))
        return False
    return True


def lab(args, rest):
    """JupyterLab on the first notebook; ValueError for a port that can not be."""
    first = min((ROOT / "notebooks").glob("*.ipynb"))
    if not 1 <= args.port <= 65535:
        raise ValueError("port %d is outside 1 to 65535; 8888 is usual." % args.port)
    words = ["--port", str(args.port), "--ServerApp.root_dir=%s" % ROOT]
    words += ["--LabApp.default_url=/lab/tree/notebooks/%s" % first.name]
    words += ["--no-browser"] if args.no_browser else []
    # root is who one is in a container; JupyterLab would refuse to start, and listens locally only
    words += ["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    return call([sys.executable, "-m", "jupyterlab", *words])


def test(args, rest):
    """pytest over package and notebooks on two workers, a notebook staying on one worker.

    ValueError for a file that does not exist.
    """
    for i, word in enumerate(rest):  # pytest on workers does not say what it misses
        path, near = word.split("::")[0], rest[max(0, i - 1) : i + 1]
        named = not any(w.startswith("-") for w in near)  # no option, and no option's value
        if (named or path.endswith((".py", ".ipynb"))) and not (ROOT / path).exists():
            raise ValueError("%s does not exist in %s; see `ls notebooks tests`." % (path, ROOT))
    return call([sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", *rest])


def execute(args, rest):
    """Run notebooks; see coursekit.publish.execute."""
    from coursekit.publish import execute

    return execute.execute(args.notebooks, args.to, args.seed)


def bench(args, rest):
    """Measure speeds; see coursekit.publish.bench."""
    from coursekit.publish import bench

    return bench.bench(bench.QUICK if args.quick else bench.FULL)


def call(words):
    """Run a program from the top of the project and return its exit status.

    Ctrl-C reaches the program as well: it ends in its own way (subprocess.call would kill it).
    A request to terminate is handed on, so that no server is left behind.
    """
    process = subprocess.Popen([str(word) for word in words], cwd=str(ROOT))
    signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            pass


def stop(message):
    """Say one sentence on stderr and return the exit status 1."""
    print("coursekit: " + message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
