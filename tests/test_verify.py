"""An equation or a claim that does not hold raises; one that holds says nothing of the machine."""

import json
import re

import numpy as np
import pytest
import torch

from coursekit import verify
from coursekit.verify import VerificationError


@pytest.fixture
def report(tmp_path, monkeypatch):
    """Reads what was reported so far, as JSON that the standard allows (no NaN, no Infinity)."""
    path = tmp_path / "report.jsonl"
    monkeypatch.setenv("COURSEKIT_REPORT", str(path))

    def lines():
        text = path.read_text(encoding="utf-8")
        return [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]

    return lines


# Equations

A = [[1.0, -2.0, 0.5], [3.0, 0.25, -7.0]]


@pytest.mark.parametrize(
    ("lhs", "rhs"),
    [
        (0.1 + 0.2, 0.3),
        (2, np.float32(2.0)),
        (A, np.array(A) + 1e-13),
        (torch.tensor(A, requires_grad=True), np.array(A)),
        (torch.tensor(1.5, dtype=torch.float64), 1.5),
    ],
)
def test_an_equation_accepts_equal_numbers_arrays_and_tensors(lhs, rhs, capsys):
    verify.equation("2.3", lhs, rhs)
    assert capsys.readouterr() == ("✓ equation 2.3: both sides agree to 1e-12\n", "")


@pytest.mark.parametrize("wrong", [1.5 + 1e-11, -1.5, float("nan"), float("inf"), torch.tensor(1)])
def test_an_equation_rejects_another_number(wrong, capsys):
    with pytest.raises(VerificationError, match=r"equation 2\.3 does not hold"):
        verify.equation("2.3", wrong, 1.5)
    assert capsys.readouterr().out == ""


def test_a_failing_equation_names_tag_place_both_sides_and_bound():
    other = np.array(A)
    other[1, 2] += 0.5
    expected = "equation 2.3 does not hold: left -7, right -6.5 at index (1, 2); difference 0.5"
    with pytest.raises(VerificationError) as raised:
        verify.equation("2.3", A, other, atol=1e-6)
    assert str(raised.value) == expected + ", allowed 1e-06"


def test_a_nan_is_the_largest_difference_wherever_it_stands():
    with pytest.raises(VerificationError, match=r"left nan, right 3 at index \(1, 0\)"):
        verify.equation("2.3", [[9.0, 0.0], [np.nan, 0.0]], [[1.0, 0.0], [3.0, 0.0]])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_do_not_equal_themselves(value):
    with pytest.raises(VerificationError):
        verify.equation("2.3", [value, 1.0], [value, 1.0])


@pytest.mark.parametrize(("lhs", "rhs"), [([1.0, 1.0], 1.0), ([[1.0], [1.0]], [1.0, 1.0])])
def test_an_equation_does_not_broadcast(lhs, rhs):
    with pytest.raises(VerificationError, match=r"equation 2\.3: the left side has shape \(2,"):
        verify.equation("2.3", lhs, rhs)


def test_an_equation_of_nothing_does_not_hold():
    with pytest.raises(VerificationError, match="both sides are empty"):
        verify.equation("2.3", np.zeros((0, 3)), np.zeros((0, 3)))


def test_the_bound_of_an_equation_can_be_set():
    verify.equation("2.3", 1.0, 1.001, atol=0.01)
    with pytest.raises(VerificationError):
        verify.equation("2.3", 1.0, 1.001, atol=0.0001)


def test_a_difference_that_equals_the_bound_is_allowed():
    verify.equation("2.3", 1.0, 1.25, atol=0.25)


@pytest.mark.parametrize("wrong", [None, "1.5", [None], 1j, [[1.0], [1.0, 2.0]]])
def test_a_side_that_is_no_number_is_refused_by_its_name(wrong):
    for function in (verify.equation, verify.attempt):
        for side, sides in (("left", (wrong, 1.5)), ("right", (1.5, wrong))):
            message = f"the {side} side {wrong!r} must be a number or an array of numbers"
            with pytest.raises(ValueError, match=re.escape(message)):
                function("2.3", *sides)


@pytest.mark.parametrize("atol", [0, -1, float("nan"), float("inf"), "x", None])
def test_a_bound_that_allows_nothing_or_everything_is_refused(atol):
    with pytest.raises(ValueError, match=f"atol {atol!r} must be|atol {atol} must be"):
        verify.equation("2.3", 1.0, 1.0, atol=atol)


@pytest.mark.parametrize("tag", [2.3, None, ""])
def test_a_tag_without_quotes_is_refused(tag):
    with pytest.raises(ValueError, match=rf"tag {tag!r} must be a name, such as '2\.3'"):
        verify.equation(tag, 1.0, 1.0)
    with pytest.raises(ValueError, match=rf"tag {tag!r} must be a name, such as '6\.2'"):
        verify.claim(tag, 1.0, "<", 2)


# Claims

HOLDS = [
    (1, "<", 2),
    (2, "<=", 2),
    (3, ">", 2),
    (2, ">=", 2),
    (2, "==", 2),
]
FAILS = [
    (2, "<", 2),
    (3, "<=", 2),
    (2, ">", 2),
    (1, ">=", 2),
    (1, "==", 2),
]


@pytest.mark.parametrize(("value", "op", "bound"), HOLDS)
def test_a_claim_that_holds_prints_tag_and_bound(value, op, bound, capsys):
    verify.claim("6.2", value, op, bound)
    assert capsys.readouterr() == (f"✓ claim 6.2: the measured value is {op} 2\n", "")


@pytest.mark.parametrize(("value", "op", "bound"), FAILS)
def test_a_claim_that_fails_names_tag_value_and_bound(value, op, bound, capsys):
    with pytest.raises(VerificationError, match=rf"^claim 6\.2 does not hold: {value} {op} 2 is"):
        verify.claim("6.2", value, op, bound)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("op", verify.OPERATORS)
def test_no_claim_holds_of_nan(op):
    with pytest.raises(VerificationError, match="nan"):
        verify.claim("6.2", float("nan"), op, 2)


@pytest.mark.parametrize("op", ["=<", None, ["<"], 2])
def test_an_unknown_operator_lists_the_known_ones(op):
    message = f"operator {op!r} is unknown; choose from: <, <=, >, >=, =="
    with pytest.raises(ValueError, match=re.escape(message)):
        verify.claim("6.2", 1, op, 2)


@pytest.mark.parametrize("wrong", [None, "1", 1j, [None]])
def test_a_value_or_a_bound_that_is_no_number_is_refused(wrong):
    message = re.escape(f"{wrong!r} must be a number or an array of numbers")
    with pytest.raises(ValueError, match="value " + message):
        verify.claim("6.2", wrong, "<", 2)
    with pytest.raises(ValueError, match="bound " + message):
        verify.claim("6.2", 1, "<", wrong)


def test_a_claim_is_about_one_number():
    with pytest.raises(ValueError, match=r"value has shape \(3,\); a claim is about one number"):
        verify.claim("6.2", np.ones(3), "<", 2)


@pytest.mark.parametrize("bound", [float("nan"), float("inf")])
def test_a_bound_that_says_nothing_is_refused(bound):
    with pytest.raises(ValueError, match=f"bound holds a NaN or an infinity: {bound}"):
        verify.claim("6.2", 1, "<", bound)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_that_measures_nothing_is_refused(scale):
    with pytest.raises(ValueError, match=rf"scale {float(scale)} must be above 0 and finite"):
        verify.claim("6.2", 1, "<", 2, scale=scale)


def test_what_is_printed_does_not_depend_on_what_was_measured(capsys):
    for value in (0.25, 1.75):
        verify.claim("6.2", value, "<", 2, scale=value)
        verify.equation("2.3", value, 1.0, atol=1.0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == lines[2:]


def test_values_bounds_and_scales_may_be_tensors_and_numpy_scalars(report):
    value = torch.tensor(1.0, requires_grad=True)
    verify.claim("6.2", value, "<", np.float32(2), scale=torch.tensor(4.0))
    verify.claim("6.3", np.float32(1), "<", 2, scale=np.float32(4))
    verify.equation("2.3", value, 1.0, atol=np.float32(0.5))
    assert [line.get("margin") for line in report()] == [0.25, 0.25, None]


# The report


margins = pytest.mark.parametrize(
    ("value", "bound", "scale", "margin"),
    [
        (3, 5, None, 0.4),
        (-7, -5, None, 0.4),
        (-3, 5, None, 1.6),
        (3, 5, 0.5, 4.0),
        (-3, 0, None, 3.0),
    ],
)


@margins
def test_the_margin_is_above_zero_for_a_claim_from_above_too(report, value, bound, scale, margin):
    verify.claim("6.2", -value, ">", -bound, scale=scale)
    assert report()[0]["margin"] == pytest.approx(margin)


@margins
def test_the_margin_is_reported_in_units_of_the_scale_or_of_the_bound(
    report, value, bound, scale, margin
):
    verify.claim("6.2", value, "<", bound, scale=scale)
    (line,) = report()
    assert line == {
        "kind": "claim",
        "tag": "6.2",
        "holds": True,
        "value": value,
        "op": "<",
        "bound": bound,
        "margin": pytest.approx(margin),
    }


def test_an_equation_is_reported_with_its_difference_and_bound(report):
    verify.equation("2.3", 1.0, 1.25, atol=0.5)
    assert report() == [
        {"kind": "equation", "tag": "2.3", "holds": True, "value": 0.25, "bound": 0.5}
    ]


def test_what_does_not_hold_is_reported_too(report):
    with pytest.raises(VerificationError):
        verify.equation("2.3", 1.0, 2.0)
    with pytest.raises(VerificationError):
        verify.equation("2.4", [1.0], 1.0)
    with pytest.raises(VerificationError):
        verify.claim("6.2", 1, ">", 2)
    assert [(line["tag"], line["holds"]) for line in report()] == [
        ("2.3", False),
        ("2.4", False),
        ("6.2", False),
    ]


def test_nan_and_infinity_are_null_in_the_report(report):
    verify.claim("6.2", float("inf"), ">", 2)
    with pytest.raises(VerificationError):
        verify.equation("2.3", float("nan"), 1.0)
    assert [line["value"] for line in report()] == [None, None]


def test_without_a_report_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv("COURSEKIT_REPORT", raising=False)
    monkeypatch.chdir(tmp_path)
    verify.claim("6.2", 1, "<", 2)
    assert list(tmp_path.iterdir()) == []


# The master seed


def test_the_master_seed_is_0_by_default(monkeypatch):
    monkeypatch.delenv("COURSEKIT_SEED", raising=False)
    assert verify.master_seed() == 0


def test_the_master_seed_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("COURSEKIT_SEED", "17")
    assert verify.master_seed() == 17


@pytest.mark.parametrize("text", ["-1", "1.5", "", "seven", "²", " 1"])
def test_a_master_seed_that_is_no_whole_number_is_repeated(monkeypatch, text):
    monkeypatch.setenv("COURSEKIT_SEED", text)
    with pytest.raises(ValueError, match=f"is {text!r}; it must be a whole number"):
        verify.master_seed()


def test_an_attempt_prints_and_neither_raises_nor_reports(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSEKIT_REPORT", str(tmp_path / "report"))
    verify.attempt("1.1", [1.0, 2.0], [1.0, 2.5])
    verify.attempt("1.2", 1.0, 1.0)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("✗ equation 1.1 does not hold: left 2, right 2.5 at index (1,)")
    assert said[1] == "✓ equation 1.2: still holds"
    assert not (tmp_path / "report").exists()


def test_the_place_named_does_not_depend_on_the_last_bits(capsys):
    verify.attempt("1.1", [0.0, 1.0, -1.0 - 1e-15], np.zeros(3))
    assert "at index (1,)" in capsys.readouterr().out


def test_rounding_noise_beside_a_real_difference_is_shown_as_zero(capsys):
    verify.attempt("1.1", [1e-17], [0.5])
    assert "left 0, right 0.5" in capsys.readouterr().out


# Many seeds: go on and list all


@pytest.mark.parametrize("value", [3.0, float("nan")])
def test_where_it_is_told_to_go_on_a_failure_is_printed_and_reported(
    value, report, monkeypatch, capsys
):
    monkeypatch.setenv("COURSEKIT_GO_ON", "1")
    verify.claim("6.2", value, "<", 2)
    verify.equation("2.3", value, 1.0)
    verify.claim("6.3", 1, "<", 2)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("✗ claim 6.2 does not hold: ")
    assert said[1].startswith("✗ equation 2.3 does not hold: ")
    assert said[2].startswith("✓ claim 6.3")
    assert [line["holds"] for line in report()] == [False, False, True]


def test_a_failing_claim_says_value_bound_and_difference():
    with pytest.raises(VerificationError) as raised:
        verify.claim("6.2", 2.25, "<", 2)
    assert str(raised.value) == "claim 6.2 does not hold: 2.25 < 2 is false; difference 0.25"
