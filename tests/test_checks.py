"""A check says "not attempted", "correct" or what is wrong, and never raises."""

import importlib
import inspect
import pkgutil
import re
import sys
import threading
import time
import traceback
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch

from coursekit import checks, exercises
from coursekit.checks import Exercise, verdict


def normalise(weights, power):
    return weights**power / (weights**power).sum()


FUNCTION = Exercise(
    solution=normalise,
    edges=lambda: [(np.array([1.0, 3.0]), 1), (np.array([1.0, 2.0, 5.0]), 2)],
    wrong={
        "divide by the sum": lambda weights, power: weights**power,
        "the power is missing": lambda weights, power: weights / weights.sum(),
        "they must add to 1": lambda weights, power: weights / weights.max(),
    },
)
VALUE = Exercise(solution=0.375, wrong={"upside down": 8 / 3, "the rest": 0.625, "half": 0.75})


def stops(weights, power):
    raise NotImplementedError


def stops_in_words(weights, power):
    """The weights to a power, normalised."""
    raise NotImplementedError("your code here")


def gets_so_far(weights, power):
    weights.sum()
    raise NotImplementedError


class CannotAsk(NotImplementedError):
    """What ``input()`` raises in a kernel that nobody sits at."""


def asks(weights, power):
    raise CannotAsk("input is not supported")


def second_case_only(weights, power):
    return None if len(weights) == 3 else normalise(weights, power)


def in_place(weights, power):
    weights **= power
    weights /= weights.sum()
    return weights


def in_place_of_a_copy(weights, power):
    return in_place(weights.copy(), power)


def spoils_its_input(weights, power):
    weights[:] = 0.0
    return weights + 0.5


class Rude:
    def __repr__(self):
        raise RuntimeError("no")

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no")


# Not attempted, correct, known to be wrong


def documented(weights, power):
    """The weights to a power, normalised."""
    ...


def left_as_pass(weights, power):
    # your code here
    pass


def returns_nothing(weights, power):
    return None


@pytest.mark.parametrize(
    "stub",
    [
        *(None, ..., lambda w, p: ..., stops, stops_in_words, gets_so_far),
        *(documented, left_as_pass, returns_nothing),
    ],
)
def test_an_untouched_stub_is_not_attempted(stub):
    assert verdict(FUNCTION, stub) == "not attempted"


@pytest.mark.parametrize("stub", [None, ...])
def test_an_untouched_value_is_not_attempted(stub):
    assert verdict(VALUE, stub) == "not attempted"


@pytest.mark.parametrize(
    "right",
    [
        normalise,
        in_place_of_a_copy,
        lambda w, p: list(normalise(np.float32(w), p)),
        lambda w, p: list(torch.tensor(normalise(w, p))),
        lambda w, p: tuple(torch.tensor(normalise(w, p)).float()),
        lambda w, p: normalise(w, p).tolist(),
        lambda w, p: [Decimal(float(x)) for x in normalise(w, p)],
        lambda w, p: dict(enumerate(normalise(w, p))).values(),
        lambda w, p: torch.tensor(normalise(w, p), requires_grad=True),
        lambda w, p: normalise(w, p) + 1e-12,
    ],
)
def test_a_right_function_is_correct(right):
    assert verdict(FUNCTION, right) == "correct"


def one_is_left(weights, power):
    if power > 1:
        raise NotImplementedError
    return normalise(weights, power)


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (lambda w, p: torch.softmax(torch.tensor(w.astype(int)), 0), "NotImplementedError: "),
        (one_is_left, "it stops with NotImplementedError, for weights = [1. 2. 5.], power = 2"),
        (lambda w, p: ... if p > 1 else normalise(w, p), "it gives Ellipsis, expected"),
    ],
)
def test_an_answer_that_is_not_implemented_somewhere_is_no_stub(answer, part):
    assert verdict(FUNCTION, answer).startswith("not yet: it ")
    assert part in verdict(FUNCTION, answer)


def test_a_softmax_that_torch_has_for_floats_only_is_told_so():
    told = verdict(checks.find("1.1"), lambda x: torch.softmax(torch.tensor(x), 0))
    assert told.startswith("not yet: it stops with NotImplementedError: ")


@pytest.mark.parametrize(
    "right", [0.375, Fraction(3, 8), Decimal("0.375"), np.float64(0.375), torch.tensor(0.375)]
)
def test_a_right_value_is_correct(right):
    assert verdict(VALUE, right) == "correct"


@pytest.mark.parametrize("exercise", [FUNCTION, VALUE])
def test_a_known_wrong_answer_gets_its_own_message(exercise):
    for message, wrong in exercise.wrong.items():
        assert verdict(exercise, wrong) == f"not yet: {message}"


# Wrong in a way of its own


def test_an_unknown_wrong_function_is_shown_with_expectation_and_input():
    assert verdict(FUNCTION, lambda w, p: -normalise(w, p)) == (
        "not yet: it gives [-0.25 -0.75], expected [0.25 0.75], for weights = [1. 3.], power = 1"
    )


def test_an_unknown_wrong_value_is_shown_without_the_right_one():
    assert verdict(VALUE, 0.25) == "not yet: 0.25 is not it; the hints help"


@pytest.mark.parametrize(
    "text", ["3/8", "0.375", " .375 ", "(1 + 2) / 8", "3*2**-3", "3 / 2^3", b"3/8", "+3/8"]
)
def test_a_text_that_means_the_right_value_is_told_that_only_the_quotes_are_wrong(text):
    said = f"not yet: {text!r} is right, but it is text: remove the quotes"
    assert verdict(VALUE, text) == said


PAIR = Exercise(solution=(0.5, 2.0), wrong={"exchanged": (2.0, 0.5)})


@pytest.mark.parametrize("text", ["(1/2, 2)", "0.5, 2", "[.5, 2.0]", ("1/2", "2"), ["0.5", 2]])
def test_so_is_a_text_that_means_two(text):
    assert verdict(PAIR, text).endswith("is right, but it is text: remove the quotes")


@pytest.mark.parametrize(
    "text", ["1/4", "", "three eighths", "sqrt(2)", "3/", "1/0", "9**9**9", "exit()", "x" * 999]
)
def test_any_other_text_is_text_and_wrong(text):
    assert "(that is text: no quotes) is not it" in verdict(VALUE, text)
    assert "(that is text: no quotes), expected 0.375" in verdict(
        Exercise(solution=lambda: 0.375, wrong={}), lambda: text
    )


def test_a_pencil_exercise_says_where_an_answer_is_wrong_and_not_what_is_right():
    hidden = FUNCTION._replace(tells=False)
    assert verdict(hidden, lambda w, p: -normalise(w, p)) == (
        "not yet: it gives [-0.25 -0.75], which is not it, for weights = [1. 3.], power = 1; "
        "the hints help"
    )
    assert "0.25" not in verdict(hidden, lambda w, p: "?")
    assert verdict(hidden, lambda w, p: w**p) == "not yet: divide by the sum"


def test_one_sentence_may_be_said_to_several_wrong_answers():
    both = FUNCTION._replace(wrong={"it must add to 1": list(FUNCTION.wrong.values())[::2]})
    assert len(list(checks.known(both))) == 2
    for _, wrong in checks.known(both):
        assert verdict(both, wrong) == "not yet: it must add to 1"


def test_a_mask_is_shown_as_a_mask():
    real = Exercise(
        solution=lambda mask: mask.sum(), wrong={}, edges=lambda: [(np.array([True, False]),)]
    )
    assert verdict(real, lambda mask: 2).endswith("for mask = [ True False]")
    flag = Exercise(solution=lambda: True, wrong={})
    assert verdict(flag, lambda: False) == "not yet: it gives False, expected True"


def test_a_partly_right_answer_is_shown_the_first_case_that_is_wrong():
    said = verdict(FUNCTION, lambda w, p: normalise(w, 1) + (p - 1))
    assert said.startswith("not yet: it gives [1.125 1.25  1.625], expected [0.0333")
    assert said.endswith("for weights = [1. 2. 5.], power = 2")


def test_a_forgotten_return_in_one_branch_is_shown_as_none():
    assert verdict(FUNCTION, second_case_only).startswith("not yet: it gives None, expected")


COPY = "it changes its argument `weights`, which is the caller's: work on a copy"


def test_an_answer_that_changes_its_input_is_told_so_and_shown_it_as_it_was():
    assert verdict(FUNCTION, in_place) == f"not yet: the result is right, but {COPY}"
    told = verdict(FUNCTION, spoils_its_input)
    assert told.endswith(f"for weights = [1. 3.], power = 1; and {COPY}")
    assert verdict(FUNCTION._replace(changes=["weights"]), in_place) == "correct"


def test_a_list_and_a_tensor_that_are_changed_are_seen():
    for first in ([1.0, 3.0], torch.tensor([1.0, 3.0])):
        twice = Exercise(
            solution=lambda x: x[0] + x[1],
            wrong={},
            edges=lambda first=first: [(first.copy() if isinstance(first, list) else first + 0,)],
        )
        assert verdict(twice, lambda x: x[0] + x[1]) == "correct"
        assert "it changes its argument `x`" in verdict(twice, adds_up_in_place)


def adds_up_in_place(x):
    x[0] += x[1]
    return x[0]


def test_whole_numbers_that_are_cut_off_are_told_from_a_wrong_formula():
    def halves(x):
        out = np.zeros_like(x)
        out[:] = x / 2
        return out

    half = Exercise(
        solution=lambda x: x / 2, wrong={}, edges=lambda: [(np.array([1.0]),), (np.array([3]),)]
    )
    assert verdict(half, halves).startswith("not yet: right for floats; whole numbers are ")
    assert "whole numbers" not in verdict(half, lambda x: x / 3)


def test_so_they_are_where_another_argument_is_whole_anyway():
    ratio = Exercise(
        solution=lambda R, n: (R / n).mean(),
        wrong={},
        edges=lambda: [(np.array(R), np.array([1, 1, 4])) for R in ([1.0, 2, 4], [1.0, 1, 4])],
    )
    whole = ratio._replace(edges=lambda: [*ratio.edges(), (np.ones(3), np.array([1.0, 1, 4]))])
    told = verdict(whole, lambda R, n: np.mean(list(set(R / n))))
    assert told.startswith("not yet: it gives 1.5, expected 1.3333, for R = [1. 2. 4.]")
    assert "whole numbers" in verdict(whole, lambda R, n: np.mean(R / n, dtype=n.dtype))


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (lambda w, p: 1 / 0, "it stops with ZeroDivisionError: division by zero, for weights ="),
        (lambda w: w, "the function must take 2 arguments: weights, power"),
        (lambda w, p: (x for x in w), "it gives a generator (put list(…) around it), expected"),
        (lambda w, p: map(abs, w), "it gives a map (put list(…) around it), expected"),
        (lambda w, p: enumerate(w), "it gives an enumerate (put list(…) around it), expected"),
        (lambda w, p: normalise, "it gives a function (call it), expected"),
        (lambda w, p: Rude, "it gives the class Rude, expected"),
        (Rude, "Rude is a class; a function is expected here"),
        (asks, "it stops with CannotAsk: input is not supported"),
        (lambda w, p: w * np.nan, "it gives [nan nan]"),
        (lambda w, p: normalise(w, p)[None], "the result has shape (1, 2), expected (2,)"),
        (lambda w, p: normalise(w, p)[0], "the result has shape (), expected (2,)"),
        (lambda w, p: "0.25", "it gives '0.25' (that is text: no quotes), expected"),
        (lambda w, p: {"a": 1}, "it gives {'a': 1}"),
        (lambda w, p: [w, [1.0]], "it gives [array"),
        (lambda w, p: 10**400, "it gives 1000"),
        (lambda w, p: list(torch.tensor(w, requires_grad=True)), "it gives [1. 3.], expected"),
        (lambda w, p: Rude(), "it gives <Rude instance"),
        (0.25, "a function is expected here, not 0.25"),
    ],
)
def test_whatever_a_function_does_the_check_says_a_sentence(answer, part):
    assert part in verdict(FUNCTION, answer)


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        ("0.375", "'0.375' is right, but it is text: remove the quotes"),
        (Rude, "the class Rude is not it"),
        ((x for x in [0.375]), "a generator (put list(…) around it) is not it"),
        ([0.5], "[0.5] is not it"),
        (float("nan"), "nan is not it"),
        (1j, "1j is not it"),
        (normalise, "a function (call it) is not it"),
        (Rude(), "<Rude instance"),
    ],
)
def test_whatever_a_value_is_the_check_says_a_sentence(answer, part):
    assert part in verdict(VALUE, answer)


# Found by its tag


@pytest.fixture
def nb77(monkeypatch):
    known, of = {"77.1": VALUE, "77.2": FUNCTION}, checks.exercises
    monkeypatch.setattr(checks, "exercises", lambda name: known if "77" in name else of(name))


def test_a_check_prints_tag_and_verdict(nb77, capsys):
    checks.check("77.1", 0.375)
    checks.check("77.2", None)
    assert capsys.readouterr().out == "exercise 77.1: correct\nexercise 77.2: not attempted\n"


@pytest.mark.parametrize("tag", ["77.3", "78.1", "x", "", None, 77.1])
def test_an_unknown_tag_is_a_sentence(nb77, tag, capsys):
    checks.check(tag, 0.375)
    assert capsys.readouterr().out.startswith(f"exercise {tag}: the check itself stopped with ")


def test_an_unknown_tag_lists_the_known_ones(nb77, capsys):
    checks.check("77.3", 0.375)
    assert "known: 77.1, 77.2" in capsys.readouterr().out


def test_an_answer_is_asked_once_for_each_case():
    asked = []
    exercise = FUNCTION._replace(draw=lambda rng: (rng.uniform(1, 2, 3), 2))
    assert verdict(exercise, lambda w, p: asked.append(0) or w).startswith("not yet")
    assert len(asked) == len(exercise.edges()) + checks.DRAWN


def test_random_cases_are_the_same_ones_at_every_call():
    exercise = FUNCTION._replace(draw=lambda rng: (rng.uniform(1, 2, 3), 2))
    first, again = ([w for w, _ in exercise.cases()] for _ in range(2))
    assert checks.DRAWN >= 30
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({w[0] for w in first[2:]}) == checks.DRAWN
    assert verdict(exercise, lambda w, p: normalise(w, p) if len(w) < 3 else w) != "correct"


# Stopped


def forever(weights, power):
    while True:
        pass


def sleeps(weights, power):
    time.sleep(2)


@pytest.mark.slow
@pytest.mark.parametrize("answer", [forever, sleeps])
def test_an_answer_that_does_not_come_back_is_stopped_with_a_sentence(answer, monkeypatch):
    monkeypatch.setattr(checks, "SECONDS", 0.2)
    told = verdict(FUNCTION, answer)
    assert told == (
        "not yet: it did not come back in 0.2 seconds; does a loop never end?, "
        "for weights = [1. 3.], power = 1"
    )


def test_a_stopped_answer_uses_the_processor_no_longer(monkeypatch):
    monkeypatch.setattr(checks, "SECONDS", 0.2)
    before = set(threading.enumerate())
    verdict(FUNCTION, forever)
    assert set(threading.enumerate()) <= before


class Long:
    """What takes long to be thrown away, as a list of millions of entries does."""

    __del__ = partial(time.sleep, 0.3)


def holds_a_long_one(weights, power):
    held = Long()
    while held:
        pass


def test_a_stopped_answer_prints_nothing_beside_the_verdict(monkeypatch):
    unseen = []
    monkeypatch.setattr(threading, "excepthook", unseen.append)
    monkeypatch.setattr(sys, "unraisablehook", unseen.append)
    monkeypatch.setattr(checks, "SECONDS", 0.1)
    for _ in range(3):
        assert "did not come back" in verdict(FUNCTION, holds_a_long_one)
    assert unseen == []


def test_the_case_that_never_ends_is_the_one_that_is_shown(monkeypatch):
    monkeypatch.setattr(checks, "SECONDS", 0.2)
    told = verdict(FUNCTION, lambda w, p: normalise(w, p) if p == 1 else forever(w, p))
    assert told.endswith("for weights = [1. 2. 5.], power = 2")


def test_an_import_is_not_cut_off_in_the_middle(monkeypatch, tmp_path):
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(1)\nwhole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(checks, "SECONDS", 0.05)

    def imports(weights, power):
        import slow_to_import

        return slow_to_import.whole

    verdict(FUNCTION, imports)
    assert sys.modules.pop("slow_to_import").whole


def test_a_check_works_outside_of_the_main_thread_and_asks_for_no_signal(monkeypatch):
    monkeypatch.setattr(checks, "SECONDS", 0.2)
    said = []
    thread = threading.Thread(target=lambda: said.append(verdict(FUNCTION, forever)))
    thread.start()
    thread.join()
    assert "did not come back" in said[0]
    assert "signal" not in {name for name in vars(checks) if not name.startswith("_")}


# Nothing shows a solution


def test_a_traceback_through_an_exercise_shows_no_line_of_it():
    solution = checks.find("1.4").solution
    try:
        solution(3, None)
    except Exception as error:
        shown = "".join(traceback.format_exception(error))
    assert "<coursekit.exercises.nb01>" in shown
    assert "np.arange" not in shown
    with pytest.raises(OSError, match="source"):
        inspect.getsource(solution)
    assert repr(checks.find("1.3")) == "Exercise(…)"


def test_an_error_of_the_answer_is_a_short_sentence(capsys):
    checks.check("1.4", lambda rewards, gamma: rewards.nothing)
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.count("\n") == 1
    assert "AttributeError" in said.out


# Every exercise of the course

MODULES = [
    importlib.import_module(f"{exercises.__name__}.{found.name}")
    for found in pkgutil.iter_modules(exercises.__path__)
    if found.name.startswith("nb")
]
ALL = [
    pytest.param(exercise, id=tag)
    for module in MODULES
    for tag, exercise in module.EXERCISES.items()
]
every_exercise = pytest.mark.parametrize("exercise", ALL)


def test_every_tag_begins_with_the_number_of_its_notebook():
    for module in MODULES:
        number = str(int(module.__name__[-2:]))
        assert {tag.split(".")[0] for tag in module.EXERCISES} == {number}, module.__name__


@every_exercise
def test_the_solution_is_correct(exercise):
    assert verdict(exercise, exercise.solution) == "correct"


@pytest.mark.slow
@every_exercise
def test_three_or_more_wrong_answers_get_exactly_their_own_messages(exercise):
    said = [verdict(exercise, wrong) for _, wrong in checks.known(exercise)]
    assert said == [f"not yet: {message}" for message, _ in checks.known(exercise)]
    assert len(exercise.wrong) >= 3


@every_exercise
def test_a_stub_is_not_attempted(exercise):
    assert verdict(exercise, None) == "not attempted"
    if callable(exercise.solution):
        assert verdict(exercise, lambda *args: None) == "not attempted"
        assert verdict(exercise, lambda *args: ...) == "not attempted"


@pytest.mark.slow
@every_exercise
def test_an_answer_that_is_no_number_is_shown_with_the_expectation(exercise):
    answer = (lambda *args: "?") if callable(exercise.solution) else "?"
    end = "expected" if callable(exercise.solution) and exercise.tells else "is not it"
    said = ("it gives " * callable(exercise.solution)) + "'?' (that is text: no quotes)"
    assert end in verdict(exercise, answer)
    assert verdict(exercise, answer).startswith("not yet: " + said)


@every_exercise
def test_the_cases_are_fresh_at_every_call(exercise):
    for mine, theirs in zip(exercise.cases(), exercise.cases(), strict=True):
        for a, b in zip(mine, theirs, strict=True):
            if isinstance(a, torch.Tensor):
                a, b = a.detach().numpy(), b.detach().numpy()
            assert not isinstance(a, np.ndarray) or not np.shares_memory(a, b)


FORGOTTEN = "not yet: it returns None; is there a `return`?"
EITHER = "not attempted, or without a `return`: it returns None"


def test_a_forgotten_return_is_told_from_an_untouched_stub():
    def forgotten(weights, power):
        np.asarray(weights) / np.sum(weights)

    def in_a_helper(weights, power):
        def helper(x):
            return x / x.sum()

        helper(weights**power)

    assert verdict(FUNCTION, forgotten) == FORGOTTEN
    assert verdict(FUNCTION, in_a_helper) == FORGOTTEN
    assert verdict(FUNCTION, lambda weights, power: None) == "not attempted"


def constant_elsewhere(weights, power):
    if power > 1:
        return 4.0  # on some Pythons one instruction without a value before it


def test_a_constant_that_is_returned_elsewhere_is_a_return():
    assert verdict(FUNCTION, constant_elsewhere).startswith("not yet: it gives None, expected")


def without_source(source, name="answer"):
    """As where a function comes from ``exec``: there is no file to read."""
    space = {}
    exec(source, space)
    return space[name]


@pytest.mark.parametrize(
    "answer",
    [
        [].extend,
        partial(lambda weights, power: None),
        without_source("def answer(weights, power): ..."),
        without_source("def answer(weights, power):\n    weights.sum()"),
        without_source("def answer(weights, power):\n    if power > 1: return 4.0"),
        without_source("answer = lambda weights, power: None"),
    ],
)
def test_without_a_source_only_what_was_returned_is_judged(answer):
    takes_one = Exercise(solution=sum, wrong={}, edges=lambda: [([1.0, 2.0],)])
    exercise = takes_one if inspect.isbuiltin(answer) else FUNCTION
    assert verdict(exercise, answer) == EITHER


def test_without_a_source_what_is_returned_is_judged_as_ever():
    right = without_source("def answer(w, p): return w**p / (w**p).sum()")
    four = without_source("def answer(weights, power): return 4.0")
    assert verdict(FUNCTION, right) == "correct"
    assert verdict(FUNCTION, four).endswith(
        "has shape (), expected (2,), for weights = [1. 3.], power = 1"
    )


def test_no_check_depends_on_bytecode():
    source = inspect.getsource(checks)
    assert not re.search(r"\bdis\b|co_code|__code__", source)


def test_an_answer_that_leaves_python_is_a_sentence_and_the_notebook_goes_on(nb77, capsys):
    checks.check("77.2", lambda weights, power: sys.exit(3))
    assert "not yet: it stops with SystemExit: 3, for weights =" in capsys.readouterr().out


def test_a_right_answer_is_right_to_single_precision():
    assert verdict(FUNCTION, lambda w, p: normalise(w, p) * (1 + 1e-5)) != "correct"
    assert verdict(FUNCTION, lambda w, p: normalise(w, p) * (1 + 1e-6)) == "correct"
    assert verdict(FUNCTION, lambda w, p: np.float32(normalise(w, p))) == "correct"
    assert verdict(FUNCTION, lambda w, p: np.float32(normalise(w, p) * 1.001)) != "correct"


def test_what_is_small_beside_the_usual_result_need_not_be_right_in_its_own_size():
    cases = [(np.array([x, 0.0]),) for x in (1.0, 2.0, 3.0, 0.0)]
    minus = Exercise(solution=lambda x: x - 1, wrong={}, edges=lambda: [*cases])
    assert verdict(minus, lambda x: np.float32(x) - np.float32(1) + np.float32(1e-7)) == "correct"
    tiny = Exercise(solution=lambda x: 1e-6 * x, wrong={}, edges=lambda: [*cases])
    assert verdict(tiny, lambda x: 0 * x) != "correct"


def test_true_is_not_one():
    one = VALUE._replace(solution=1)
    assert verdict(one, True) != "correct"
    assert verdict(VALUE._replace(solution=True), np.bool_(True)) == "correct"


def test_a_short_array_is_shown_whole():
    twelve = Exercise(solution=lambda n: np.arange(n), wrong={}, edges=lambda: [(12,)])
    shown = "[11. 10.  9.  8.  7.  6.  5.  4.  3.  2.  1.  0.]"
    assert shown in verdict(twelve, lambda n: np.arange(n)[::-1])


def test_a_solution_cell_is_announced_as_such(capsys):
    checks.check("1.3", 1.4375, "solution")
    assert capsys.readouterr().out == "solution 1.3: correct\n"


def test_none_is_not_blamed_on_a_return_that_is_there():
    assert verdict(FUNCTION, second_case_none).startswith("not yet: it gives None, expected")


def second_case_none(weights, power):
    return {}.get("nothing")


@pytest.mark.parametrize("right", [VALUE.solution, -0.108123456])
def test_a_value_that_looks_right_is_told_what_it_lacks(right):
    exercise = VALUE._replace(solution=right)
    assert verdict(exercise, right) == "correct"
    assert verdict(exercise, np.float32(right)) == "correct"
    rounded = float(f"{right:.2g}")
    told = f"{rounded} is right so far, but not exact: give the formula"
    assert told in verdict(exercise, rounded)
    assert verdict(exercise, right * 1.01).endswith("is not it; the hints help")
    tensor = torch.tensor([right], dtype=torch.float64)
    for wrapped in ([right], (right, right), np.array([[right]]), tensor):
        assert "the number is right; give it alone" in verdict(exercise, wrapped)
    assert "is not it" in verdict(exercise, [2 * right])
    assert "is not it" in verdict(exercise, [right, right + 1])
    two = exercise._replace(solution=(1.0, right))
    for wrapped in ([[1, right]], [(1, right), (1, right)]):
        assert "the numbers are right; give them as (a, b)" in verdict(two, wrapped)
    assert "is not it" in verdict(two, [1, right, 1, right + 1])
    # within one of its last place, and neither cut nor rounded
    assert "is not it" in verdict(exercise._replace(solution=1.4375), 1.5)
    assert "is not it" in verdict(exercise._replace(solution=1e-5), 1.1e-5)
    assert "right so far" in verdict(exercise._replace(solution=1.4375), 1.43)


@pytest.mark.parametrize(
    ("right", "given", "so_far"),
    [
        (-198.7, -198, False),
        (-198.75, -198.7, True),
        ((0.0625, -0.25), (0.06, -0.25), True),
        ((0.0625, -0.25), (0.07, -0.25), False),
        (0.0625, 0.1, False),
    ],
)
def test_a_rounded_value_keeps_a_place_after_the_point(right, given, so_far):
    told = verdict(VALUE._replace(solution=right), given)
    assert ("right so far" in told, "is not it" in told) == (so_far, not so_far)


@pytest.mark.parametrize("half", [np.float16, lambda x: torch.tensor(x, dtype=torch.float16)])
def test_half_precision_is_told_to_be_the_reason(half):
    exercise = VALUE._replace(solution=0.64)
    assert "float16 holds three digits: use float64" in verdict(exercise, half(0.64))
    assert "is not it" in verdict(exercise, half(0.65))


def test_numbers_that_look_alike_are_shown_with_more_digits():
    told = verdict(FUNCTION, lambda w, p: normalise(w, p) + 1e-5)
    assert "it gives [0.25001 0.75001], expected [0.25 0.75]" in told
    assert "0.375004 is not it" in verdict(VALUE, 0.375004)
