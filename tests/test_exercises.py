"""What each exercise calls right and wrong, against answers written as learners write them.

``test_checks`` asks the checks themselves; nothing here is taken from an exercise but its cases.
"""

import importlib
import math
import statistics

import numpy as np
import pytest
import torch
from answers import first, second, third

from coursekit import checks

ANSWERS = first.ANSWERS | second.ANSWERS | third.ANSWERS
MODULES = [importlib.import_module(f"coursekit.exercises.nb{k:02d}") for k in range(15)]
ALL = {tag: ex for module in MODULES for tag, ex in module.EXERCISES.items()}
FUNCTIONS = [tag for tag, exercise in ALL.items() if callable(exercise.solution)]
VALUES = [tag for tag in ALL if tag not in FUNCTIONS]
every_tag = pytest.mark.parametrize("tag", ALL)
every_function = pytest.mark.parametrize("tag", FUNCTIONS)
every_value = pytest.mark.parametrize("tag", VALUES)


def said(tag, answer):
    return checks.verdict(ALL[tag], answer)


# Right forms: at least three of one's own for a function, and three that are made


def single(x):
    """In single precision, of whatever kind."""
    if isinstance(x, list):
        return [single(entry) for entry in x]
    if isinstance(x, torch.Tensor):
        return x
    floats = isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")
    return np.float32(x) if floats else x


def made(solution):
    """The solution in single precision, as lists of Python's and of NumPy's numbers, as tensors."""

    def plain(*args):
        x = solution(*args)
        return np.array(x.detach() if isinstance(x, torch.Tensor) else x)

    return [
        lambda *args: np.float32(plain(*map(single, args))),
        lambda *args: plain(*args).tolist(),
        lambda *args: torch.tensor(plain(*args)),
        lambda *args: list(x.astype(np.float32)) if (x := plain(*args)).ndim == 1 else x,
    ]


@pytest.mark.slow
@every_function
def test_right_forms_are_correct(tag):
    own = ANSWERS[tag][0]
    assert len(own) >= 3
    makes = made(ALL[tag].solution) if tag != "12.5" else []  # whose weights are right to 1e-9
    for answer in [*own, *makes]:
        assert said(tag, answer) == "correct"


@every_value
def test_right_forms_of_a_value_are_correct(tag):
    right = ALL[tag].solution
    for form in (np.array, np.float32, torch.tensor, lambda x: torch.tensor(x).float()):
        assert said(tag, form(right)) == "correct"
    assert said(tag, tuple(right) if isinstance(right, tuple) else float(right)) == "correct"


# Wrong forms: at least six, each told what it is where the exercise knows it


@pytest.mark.slow
@every_function
def test_wrong_forms_are_told_what_they_are(tag):
    wrong = ANSWERS[tag][1]
    assert len(wrong) >= 6
    for about, answer in wrong.items():
        told = said(tag, answer)
        assert told.startswith("not yet: "), (about, told)
        assert about.startswith("~") or about in told, (about, told)


@every_value
def test_wrong_values_are_refused(tag):
    right = np.array(ALL[tag].solution, float)
    forms = [right + 1, -right, 2 * right, right * 1.001, right / 10, right + 1e-4 * abs(right)]
    for wrong in [*(wrong for _, wrong in checks.known(ALL[tag])), *forms]:
        assert said(tag, wrong).startswith("not yet: ")


@every_value
def test_a_rounded_value_is_told_that_it_is_rounded(tag):
    right = ALL[tag].solution
    rounded = 0 if isinstance(right, tuple) else float(f"{right:.3g}")
    if rounded and abs(rounded / right - 1) > 1e-5:
        known = any(rounded == wrong for wrong in ALL[tag].wrong.values())
        assert known or "right so far, but not exact" in said(tag, rounded)


def test_a_small_answer_must_be_right_in_its_own_size():
    assert said("4.3", 1.00005e-5) != "correct"


# Whatever is given, there is a sentence


class Thing:
    """Neither a number nor a function."""


def raises(*args):
    raise KeyError("nothing here")


def gives(value):
    return lambda *args: value


ABSURD = {
    "none": (None, "not attempted"),
    "ellipsis": (..., "not attempted"),
    "text": ("0.5", "0.5"),
    "a class": (Thing, "class"),
    "a thing": (Thing(), ""),
    "a generator": ((x for x in "ab"), ""),
    "raises": (raises, ""),
    "leaves": (lambda *args: exit(), ""),
    "gives text": (gives("0.5"), ""),
    "gives a class": (gives(Thing), ""),
    "gives a dict": (gives({"a": 1}), ""),
    "gives itself": (lambda *args: raises, ""),
    "gives a generator": (lambda *args: (x for x in args), ""),
    "gives nan": (gives(float("nan")), ""),
    "gives its input": (lambda *args: args, ""),
    "no arguments": (lambda: 1, ""),
    "a number": (math.pi, ""),
    "a complex number": (1j, ""),
}


@pytest.mark.slow
@every_tag
def test_whatever_is_given_there_is_a_sentence(tag):
    for name, (answer, words) in ABSURD.items():
        told = said(tag, answer)
        assert told == "not attempted" or told.startswith("not yet: "), (name, told)
        assert words in told, (name, told)
    if tag in FUNCTIONS:
        assert "KeyError: 'nothing here'" in said(tag, raises)
        assert "must take" in said(tag, lambda: 1)


@pytest.mark.parametrize("tag", [*FUNCTIONS[::7], "3.4"])
def test_a_loop_without_an_end_is_stopped(tag, monkeypatch):
    def forever(*args):
        while True:
            pass

    monkeypatch.setattr(checks, "SECONDS", 0.1)
    assert "did not come back in 0.1 seconds" in said(tag, forever)


# What an exercise declares


@every_tag
def test_an_exercise_says_what_it_takes_and_draws_thirty_cases(tag):
    exercise = ALL[tag]
    names = checks._names(exercise) if tag in FUNCTIONS else []
    for name in names:
        assert name in exercise.takes.replace(",", ":").replace(":", " ").split()
    assert bool(names) == bool(exercise.takes) == bool(exercise.draw)
    if names:
        assert len(list(exercise.cases())) - len(exercise.edges()) >= 30
        assert len(exercise.edges()) >= 3


@every_function
def test_no_solution_changes_its_input(tag):
    assert not [one for one in checks.outcomes(ALL[tag], ALL[tag].solution) if one.changed]


def test_cases_of_every_kind_are_among_those_of_an_exercise():
    cases = list(ALL["1.2"].cases())
    assert {0.0, 1.0} <= {gamma for _, gamma in cases}
    assert {"i", "f"} == {rewards.dtype.kind for rewards, _ in cases}
    assert 1 in {len(rewards) for rewards, _ in cases}
    for tag in ("4.2", "9.5", "13.1", "13.2"):
        assert any((case[0] * ~case[1]).any() for case in ALL[tag].cases()), tag
    for tag in ("3.1", "3.4"):
        left = [case[1].grad for case in ALL[tag].cases()]
        assert None in left
        assert any(x is not None and x.any() for x in left)
    assert any(len(set(R)) < len(R) for (R,) in ALL["10.1"].cases())
    assert {1, 2, 3, 7} <= {len(values) for (values,) in ALL["6.1"].cases()}
    assert max(B for _, B in ALL["5.3"].cases()) >= 5


def test_whole_numbers_are_not_cut_off_by_a_solution():
    case = np.array([1, 2, 3]), np.array([1, 0, 2]), 4, False, 1, 0.5
    floats = [x * 1.0 for x in case]
    for function in (ALL["11.2"].solution, *(wrong for _, wrong in checks.known(ALL["11.2"]))):
        np.testing.assert_array_equal(function(*case), function(*floats))
    np.testing.assert_array_equal(ALL["11.2"].solution(*case), [3.25, 6.5, 5.0])


@pytest.mark.parametrize("tag", ["4.2", "9.5", "13.1", "13.2"])
def test_what_stands_in_the_padding_may_be_infinite(tag):
    values, mask, *rest = next(ALL[tag].cases())
    right = ALL[tag].solution(values, mask, *rest)
    far = ALL[tag].solution(np.where(mask, values, np.inf), mask, *rest)
    np.testing.assert_array_equal(right, far)


def test_the_two_errors_that_everybody_meets_are_explained():
    def not_kept(steps, theta, lr):
        theta.grad = None
        for loss in steps:
            loss.backward()
        return theta.detach() - lr * theta.grad

    def stepping_inside(steps, theta, lr):
        theta.grad = None
        for loss in steps:
            loss.backward(retain_graph=True)
            with torch.no_grad():
                theta -= lr * theta.grad
        return theta

    def by_data(steps, theta, lr):  # which autograd does not see
        for loss in steps:
            theta.grad = None
            loss.backward(retain_graph=True)
            theta.data -= lr * theta.grad
        return theta

    assert "retain_graph=True (section 4)" in said("3.4", not_kept)
    assert "θ moves inside the loop" in said("3.4", by_data)
    assert "step once, after the loop (section 6)" in said("3.4", stepping_inside)
    assert "knows Python's whole numbers" in said("6.5", lambda x: statistics.stdev(x))
    assert "ZeroDivisionError" in said("3.4", lambda steps, theta, lr: 1 / 0)
