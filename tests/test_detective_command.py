"""``audit FILE.py:FUNCTION``: the report, the exit status, and a sentence for whatever is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from coursekit import __main__ as entry
from coursekit import detective, install
from coursekit.detective import command

ROOT = Path(__file__).resolve().parent.parent
LOSSES = """
import torch
with open("ran", "a") as file:
    file.write("once\\n")

def returns(rewards, gamma):
    left, out = 0.0, []
    for r in rewards.flip(-1).unbind(-1):
        left = r + gamma * left
        out.insert(0, left)
    return torch.stack(out, -1)

def right(logp, rewards, mask, gamma):
    return -(logp * returns(rewards, gamma) * mask).sum(-1).mean()

def mean(logp, rewards, mask, gamma):
    return -(logp * returns(rewards, gamma))[mask].mean()

def renamed(a, b, c, d):
    return right(a, b, c, d)

def logits(logits, action, weight):
    p = (logits - logits.max())
    p = 2.718281828459045**p
    p = p / p.sum()
    p[action] -= 1
    return p * weight

def tokens(logprobs, old_logprobs, advantages, response_mask, clip=0.2):
    return logprobs

def of_another_library(log_prob, old_log_prob, advantages, mask):
    return log_prob

def nothing(params, batch, lr):
    pass

def two(a, b):
    return a

class Loss:
    def __call__(self, logp, rewards, mask, gamma):
        return right(logp, rewards, mask, gamma)

loss = Loss()
rate = 0.1
_private = two
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to stand in, with a file of losses; what is imported there is forgotten."""
    (tmp_path / "losses_of_mine.py").write_text(LOSSES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    return tmp_path


def audited(name, file="losses_of_mine.py"):
    return entry.main(["audit", f"{file}:{name}"])


@pytest.fixture
def quick(monkeypatch):
    """The audits themselves, which take seconds, stood in for; what they were asked about."""
    asked = []

    def stand_in(audit):
        def look(function):
            asked.append((audit, function.__name__))
            return detective.Finding(names=("sum",), ok=True)

        return look

    for audit in (*command.AUDITS.values(), "audit_tokens"):
        monkeypatch.setattr(detective, audit, stand_in(audit))
    return asked


@pytest.mark.slow
@pytest.mark.parametrize(("name", "status"), [("right", 0), ("mean", 1), ("loss", 0)])
def test_the_report_is_printed_and_only_a_tick_is_status_0(name, status, folder, capsys):
    assert audited(name) == status
    said = capsys.readouterr()
    assert said.out.startswith("✗ step_mean" if status else "✓ equal to the sum")
    assert "looked at:" in said.out
    assert said.err == ""
    assert (folder / "ran").read_text() == "once\n"


@pytest.mark.parametrize(
    ("name", "audit"),
    [
        ("right", "audit"),
        ("renamed", "audit"),
        ("logits", "audit_gradient"),
        ("nothing", "audit_update"),
        ("tokens", "audit_tokens"),
        ("of_another_library", "audit_tokens"),
    ],
)
def test_the_names_of_its_parameters_say_who_looks_at_a_function(name, audit, folder, quick):
    assert audited(name) == 0
    assert quick == [(audit, name)]


def test_a_status_of_a_cross_is_1(folder, quick, monkeypatch):
    monkeypatch.setattr(detective, "audit", lambda f: detective.Finding(names=("x",), ok=False))
    assert audited("right") == 1


WRONG = [
    ("losses_of_mine.py", "must be FILE.py:FUNCTION, such as train.py:loss"),
    ("losses_of_mine.py:", "must be FILE.py:FUNCTION"),
    (":right", "must be FILE.py:FUNCTION"),
    ("", "must be FILE.py:FUNCTION"),
    ("C:\\losses_of_mine.py", "must be FILE.py:FUNCTION"),
    ("losses_of_mine.py:right()", "must be FILE.py:FUNCTION"),
    ("nowhere.py:right", "there is no file 'nowhere.py' in "),
    (".:right", "there is no file '.' in "),
    ("ran.txt:right", "'ran.txt' is no Python file; give one whose name ends in .py"),
    ("losses_of_mine.py:rihgt", "has no function 'rihgt'; it has: returns, right, mean, renamed, "),
    ("losses_of_mine.py:rate", "has no function 'rate' (it is of type float); it has: returns, "),
    ("losses_of_mine.py:Loss", "Loss in losses_of_mine.py is a class; give a function, or an obj"),
    ("losses_of_mine.py:two", "two takes (a, b); the detective calls (logp, rewards, mask, gamma)"),
    ("empty.py:loss", "empty.py has no function 'loss'; it has: none"),
    ("raises.py:f", "raises.py stops at line 3: ValueError: no good"),
    ("leaves.py:f", "leaves.py stops at line 2: SystemExit: 3"),
    ("far.py:f", "far.py stops at line 1: ValueError: no good"),
    ("syntax.py:f", "syntax.py stops: SyntaxError: "),
    ("needs.py:f", "needs.py stops at line 1: ModuleNotFoundError: No module named 'not_there'"),
]
FILES = {
    "ran.txt": "",
    "empty.py": "from losses_of_mine import right as loss_of_another\n",
    "raises.py": "with open('ran', 'a') as f:\n f.write('once\\n')\nraise ValueError('no good')\n",
    "leaves.py": "import sys\nsys.exit(3)\n",
    "far.py": "import raises\n",
    "syntax.py": "def f(:\n",
    "needs.py": "import not_there\n",
}


@pytest.mark.parametrize(("place", "sentence"), WRONG)
def test_what_is_wrong_is_one_sentence_and_nothing_runs_twice(place, sentence, folder, capsys):
    for name, source in FILES.items():
        (folder / name).write_text(source, encoding="utf-8")
    assert entry.main(["audit", place]) == 1
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert not (folder / "ran").exists() or (folder / "ran").read_text() == "once\n"


def test_a_file_finds_its_neighbours_and_one_that_is_named_like_a_module_replaces_none(
    folder, quick
):
    (folder / "neighbour.py").write_text("def g(a, b, c, d): pass\n", encoding="utf-8")
    (folder / "random.py").write_text("from neighbour import g as loss\n", encoding="utf-8")
    before = sys.modules["random"]
    assert audited("loss", "random.py") == 0
    assert sys.modules["random"] is before
    assert quick == [("audit", "g")]


def test_no_set_up_is_started(folder, quick, monkeypatch):
    for name in ("prepare", "run"):
        monkeypatch.setattr(install, name, lambda *a, **k: pytest.fail("set-up"))
    assert audited("right") == 0


def hidden(monkeypatch, *names):
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, package=None: None if name in names else object()
    )


@pytest.mark.parametrize(
    ("names", "said"), [(["torch"], "needs torch;"), (["numpy", "torch"], "needs numpy and torch;")]
)
def test_without_torch_the_sentence_says_what_to_install(
    names, said, monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr(install, "VENV", tmp_path / "not there")
    hidden(monkeypatch, *names)
    assert entry.main(["audit", "a.py:f"]) == 1
    assert said in capsys.readouterr().err


def test_without_torch_it_goes_on_in_the_venv_of_the_course_and_in_the_same_folder(
    folder, monkeypatch
):
    calls = []
    monkeypatch.setattr(install, "VENV", folder / ".venv")
    install.inside().parent.mkdir(parents=True)
    install.inside().touch()
    install.mark()
    monkeypatch.setattr(install, "call", lambda words, cwd: calls.append((words, cwd)) or 0)
    hidden(monkeypatch, "torch")
    assert entry.main(["audit", "a.py:f"]) == 0
    assert calls == [([install.inside(), "-m", "coursekit", "audit", "a.py:f"], folder)]


# On numpy and torch alone

BLOCKED = "scipy numba gymnasium pandas matplotlib IPython tqdm joblib nbval jupyterlab nbformat"
BLOCK = f"import sys\nsys.modules.update(dict.fromkeys({BLOCKED.split()!r}))\n"


@pytest.mark.slow
def test_the_command_needs_numpy_and_torch_alone_and_warns_of_nothing(folder):
    program = BLOCK + "from coursekit.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-W", "error", "-c", program, "audit", "losses_of_mine.py:right"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("✓ equal to the sum")
