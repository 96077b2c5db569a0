"""The commands: ``python -m coursekit lab | student | test | execute | build | …``.

Starts on the standard library alone. Where what it needs is missing, it makes ``.venv`` (or uses
the active virtual or conda environment), installs the project there, and goes on inside it; see
``install``. ``audit`` installs nothing: it needs numpy and torch alone.
"""

import argparse
import hashlib
import itertools
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
# not in --fast: tests that read all notebooks, and those of the detective that only audit
APART = "documents exercise_mutants explorables figures minutes page_of_answers predictions"
APART += " publish_student quiz words detective_fuzz detective_kinds detective_functions"


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
    from coursekit import install, places  # not above: an old Python could not read them

    commands = {"lab": lab, "student": student, "test": test, "execute": execute}
    commands |= {"build": build, "mutate": mutate, "bench": bench, "audit": audit}
    try:
        if args.command != "audit" and "--versions" not in rest:  # which makes its own
            if not (ROOT / "pyproject.toml").exists():
                return stop("%s holds no pyproject.toml; run from a clone of the course." % ROOT)
            reads = args.command in ("build", "student")  # and starts no kernel
            kept = reads and install.serves_another()
            python = sys.executable if kept else install.prepare()
            if Path(python) != Path(sys.executable):
                words = sys.argv[1:] if argv is None else argv
                return install.call([python, "-m", "coursekit", *words])
            for line in places.mend():
                print("coursekit: " + line, file=sys.stderr)
        return commands[args.command](args, rest)
    except (install.Stopped, ValueError, OSError) as error:
        return stop(str(error))


def parser():
    """The command line; everything that ``test`` does not know goes to pytest."""
    top = argparse.ArgumentParser(prog="python -m coursekit", description=__doc__)
    names = "lab | student | test | execute | build | mutate | bench | audit"
    commands = top.add_subparsers(dest="command", required=True, metavar=names)
    sub = commands.add_parser("lab", help="open the course in JupyterLab")
    sub.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    sub.add_argument("--port", type=int, default=8888, help="the port to try first (8888)")
    sub.add_argument("--authors", action="store_true", help="open the sources, not your own copy")
    sub = commands.add_parser("student", help="the notebooks without solutions; build/student")
    said = "none (the usual), or at the end of each notebook"
    sub.add_argument("--solutions", choices=("none", "end"), default="none", help=said)
    sub.add_argument("--to", type=folder, metavar="DIR", help="write there instead")
    said = "run all tests; takes pytest's arguments, and --fast: without notebooks and slow ones"
    commands.add_parser("test", help=said, add_help=False)
    sub = commands.add_parser("execute", help="run notebooks and refresh their outputs")
    sub.add_argument("notebooks", nargs="*", help="paths, names or numbers (02); all by default")
    sub.add_argument("--to", type=folder, metavar="DIR", help="write there instead of in place")
    sub.add_argument("--seed", type=int, metavar="N", help="master seed (0); needs --to")
    said = "every claim under N master seeds (1000, 1001, …), no outputs: how often did it hold?"
    sub.add_argument("--seeds", type=int, metavar="N", help=said)
    said = "with --seeds: seeds that are drawn, from D where it is given"
    sub.add_argument("--drawn", type=int, nargs="?", const=-1, metavar="D", help=said)
    sub = commands.add_parser("build", help="make slides, handouts, site … from stored outputs")
    said = "slides, runsheet, handout, site, student; all of these by default; pdf"
    sub.add_argument("parts", nargs="*", default=["all"], metavar="PART", help=said)
    sub = commands.add_parser("mutate", help="which mistakes would tests or notebooks notice?")
    sub.add_argument("modules", nargs="*", metavar="MODULE", help="such as losses; all by default")
    sub.add_argument("--sample", type=int, metavar="N", help="so many of a module's mutants")
    sub.add_argument("--by", default="tests", metavar="WHAT", help="tests (default) or notebooks")
    sub = commands.add_parser("bench", help="measure speeds; writes build/bench.json")
    sub.add_argument("--quick", action="store_true", help="too short to trust: does it run?")
    sub = commands.add_parser("audit", help="what does your loss do? the detective's report")
    sub.add_argument("function", metavar="FILE.py:FUNCTION", help="such as train.py:loss")
    return top


def folder(text):
    """A path; refuses an empty one: a variable that was never set, not the folder one is in."""
    if not text:
        raise argparse.ArgumentTypeError("'' is no folder; give its path, or . for this one")
    return Path(text)


def lab(args, rest):
    """JupyterLab on the first notebook of the student edition, without its news.

    That edition is made at the first start and refreshed at every other, what the learner changed
    left alone. ``--authors`` opens the sources. ValueError for an impossible port, and where no
    edition can be written.
    """
    from coursekit import install

    first = min((ROOT / "notebooks").glob("*.ipynb"))
    if not 1 <= args.port <= 65535:
        raise ValueError("port %d is outside 1 to 65535; 8888 is usual." % args.port)
    where = "notebooks"
    if not args.authors:
        from coursekit.publish import student as edition

        where = "build/student"
        edition.student()
    words = ["--port", str(args.port), "--ServerApp.root_dir=%s" % ROOT]
    words += ["--LabApp.default_url=/lab/tree/%s/%s" % (where, first.name)]
    # nothing is fetched after the installation: no news, no look for a newer JupyterLab
    words += ["--LabApp.news_url=None"]
    words += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    words += ["--no-browser"] if args.no_browser else []
    # root is who one is in a container; JupyterLab would refuse to start, and listens locally only
    words += ["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    return install.call([sys.executable, "-m", "jupyterlab", *words])


def student(args, rest):
    """Write the student edition; see coursekit.publish.student."""
    from coursekit.publish import student as edition

    return edition.student(args.to, args.solutions)


def test(args, rest):
    """pytest over package and notebooks on two workers, a notebook staying on one worker.

    One file alone, or what ``-k`` picks out, needs no workers; of files that are named, what they
    take is not judged. Notebooks alone need nothing of ``publish``. ``--fast``: the package's tests
    without the slow ones. ``--matrix [ROW …]``: a small part under hard conditions. ``--versions
    oldest|newest``: in a fresh environment with these libraries. ValueError for a file that does
    not exist.
    """
    from coursekit import install

    for option, module in (("--matrix", "matrix"), ("--versions", "versions")):
        if option in rest:
            at = rest.index(option)
            return publish(module)(rest[at + 1 :])
    fast, rest = "--fast" in rest, [word for word in rest if word != "--fast"]
    paths = []
    for i, word in enumerate(rest):  # pytest on workers does not say what it misses
        path, near = word.split("::")[0], rest[max(0, i - 1) : i + 1]
        named = not any(w.startswith("-") for w in near)  # no option, and no option's value
        if named or path.endswith((".py", ".ipynb")):
            if not (ROOT / path).exists():
                raise ValueError(
                    "%s does not exist in %s; see `ls notebooks tests`." % (path, ROOT)
                )
            paths.append(ROOT / path)
    books = ROOT / "notebooks"
    if not fast and not (paths and all(books in (path, *path.parents) for path in paths)):
        install.add("publish")  # for the tests of what is built
    # each worker reads all files, which takes longer than a few tests
    few = any(word == "-k" and "not " not in after for word, after in itertools.pairwise(rest))
    workers = 1 if few or (len(paths) == 1 and paths[0].is_file()) else 2
    if workers == 2 and not (paths and all(path.is_file() for path in paths)):
        compile_once()  # not for a few files: whoever needs a learner compiles that one
        os.environ["COURSEKIT_BUDGETS"] = "1"
    words = ["-n", "2" if workers == 2 else "0", "--dist", "loadfile", "--no-loadscope-reorder"]
    words += ["-m", "not slow"] if fast else []
    if fast and not paths:
        words += ["tests", *("--ignore=tests/test_%s.py" % name for name in APART.split())]
    return install.call([sys.executable, "-m", "pytest", *words, *rest])


def publish(module):
    """The function of a module of ``publish`` that has its name."""
    from importlib import import_module

    return getattr(import_module("coursekit.publish." + module), module)


def mutate(args, rest):
    """Which mistakes would be noticed? See coursekit.publish.mutate."""
    return publish("mutate")(args.modules, args.sample, args.by)


def compile_once():
    """Compile the learners before two workers would each do it; nothing where that was done."""
    from coursekit import install

    package = ROOT / "coursekit"
    files = [*sorted(package.glob("fast/*.py")), package / "actor_critic.py"]
    sources = b"".join(path.read_bytes() for path in files)
    done = ROOT / "build" / ("compiled-%s" % hashlib.sha256(sources).hexdigest()[:12])
    if done.exists():
        return
    print("Compiling the learners (once, and after an edit of them) …", flush=True)
    if install.call([sys.executable, "-m", "coursekit.fast"]) == 0:
        done.parent.mkdir(exist_ok=True)
        done.touch()


def execute(args, rest):
    """Run notebooks; see coursekit.publish.execute, and coursekit.publish.seeds for many seeds.

    ValueError for --drawn without --seeds.
    """
    from coursekit.publish import execute, seeds

    if args.seeds is not None:
        return seeds.seeds(args.notebooks, args.seeds, args.drawn)
    if args.drawn is not None:
        raise ValueError("--drawn needs --seeds N: how many?")
    return execute.execute(args.notebooks, args.to, args.seed)


def build(args, rest):
    """Make slides, handouts, site and more from the stored outputs; see coursekit.publish.build."""
    from coursekit import install

    install.add("publish")
    from coursekit.publish import build

    return build.build(args.parts)


def bench(args, rest):
    """Measure speeds; see coursekit.publish.bench."""
    from coursekit.publish import bench

    return bench.bench(bench.QUICK if args.quick else bench.FULL)


def audit(args, rest):
    """The detective's report on a function in a file; see coursekit.detective.command.

    Goes on in ``.venv`` where numpy or torch is missing here; ValueError where there is none.
    """
    from importlib.util import find_spec

    from coursekit import install

    missing = [name for name in ("numpy", "torch") if find_spec(name) is None]
    if not missing:
        from coursekit.detective import command

        return command.audit(args.function)
    python = install.inside()
    if python.exists() and install.stamp().exists() and Path(sys.executable) != python:
        return install.call([python, "-m", "coursekit", "audit", args.function], Path.cwd())
    raise ValueError("audit needs %s; install it: pip install numpy torch" % " and ".join(missing))


def stop(message):
    """Say one sentence on stderr and return the exit status 1."""
    print("coursekit: " + message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
