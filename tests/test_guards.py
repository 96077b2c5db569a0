"""The guards: what passes, and what is refused with which sentence."""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from coursekit import guards

CASES = {
    guards.one_of: (["a"], ["c", ["a"], None, 1]),
    guards.fraction: ([0, 1, 0.5, np.float32(0.25)], [-0.1, 1.1, float("nan"), True, "1", 1j]),
    guards.above_zero: ([1, 0.01, np.int64(3)], [0, -1, float("inf"), float("nan"), True, None]),
    guards.positive: ([1, 0.01, float("inf")], [0, -1, float("nan"), True, None, "1"]),
    guards.count: ([1, 7, np.uint8(2)], [0, -1, 2.0, True, "3", [1]]),
    guards.flag: ([True, False], [1, 0, "no", None]),
    guards.number: ([0, -2.5, np.float32(1), float("nan")], ["1", None, True, [1], 1j]),
    guards.text: (["a"], ["", None, 1.1, ["a"], True]),
    guards.instance: (["a", ""], [None, 1, ["a"]]),
    guards.widths: (
        [(), (3,), [3, 4], (np.int64(5),)],
        [3, "3", None, (0,), (-1,), (2.0,), (True,)],
    ),
}
MORE = {
    guards.one_of: [{"a": 1, "b": 2}],  # a dict, as the registries are: a list has no hash
    guards.text: ["'b'"],
    guards.instance: [str, "'b'"],
}
PASS = [(guard, value) for guard, (good, _) in CASES.items() for value in good]
FAIL = [(guard, value) for guard, (_, bad) in CASES.items() for value in bad]


def call(guard, value):
    return guard("size", value, *MORE.get(guard, []))


@pytest.mark.parametrize(("guard", "value"), PASS)
def test_what_makes_sense_passes(guard, value):
    assert call(guard, value) is None


@pytest.mark.parametrize(("guard", "value"), FAIL)
def test_what_makes_none_is_refused_with_its_name_and_value(guard, value):
    with pytest.raises(ValueError, match=rf"^size {re.escape(repr(value))} (must be|is|is no) \w+"):
        call(guard, value)


@pytest.mark.parametrize("seeds", [[3, 1], (3, 1), np.array([3, 1]), iter([3, 1]), range(3, 0, -2)])
def test_seeds_become_a_list_of_plain_numbers_in_their_order(seeds):
    found = guards.own_seeds(seeds)
    assert found == [3, 1]
    assert {type(seed) for seed in found} == {int}


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        (5, "seeds 5 must be a list, such as [0, 1, 2] or range(8)"),
        ("5", "seeds '5' must be a list, such as [0, 1, 2] or range(8)"),
        (np.array(5), "seeds array(5) must be a list, such as [0, 1, 2] or range(8)"),
        ([2, -1], "seed -1 must be a whole number, 0 or above"),
        ([2, 2.0], "seed 2.0 must be a whole number, 0 or above"),
        ([True], "seed True must be a whole number, 0 or above"),
        ([], "no seeds given; give at least one"),
        ([4, 0, 4, np.int64(0), 1], "seeds repeat: [0, 4]; each learner needs a seed of its own"),
    ],
)
def test_seeds_that_are_none_are_refused(seeds, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        guards.own_seeds(seeds)


# Arrays


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (2, 2.0),
        (Fraction(1, 4), 0.25),
        ([Decimal("0.25")], [0.25]),
        ([1, 2], [1.0, 2.0]),
        ([True, False], [1.0, 0.0]),
        (np.float32([1, 3]), [1.0, 3.0]),
        (torch.tensor([1.0, 3.0], requires_grad=True), [1.0, 3.0]),
        ([torch.tensor(1.0), torch.tensor(3.0)], [1.0, 3.0]),
        ([np.nan, np.inf], [np.nan, np.inf]),
        ([], []),
    ],
)
def test_numbers_of_any_kind_become_a_new_array_of_float64(given, found):
    array = guards.reals("x", given)
    np.testing.assert_array_equal(array, found)
    assert array.dtype == np.float64
    assert not np.shares_memory(array, np.asarray(guards.reals("x", array)))


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "1",
        ["1"],
        [None],
        [torch.ones(2, requires_grad=True)],
        [[1], [1, 2]],
        1j,
        {"a": 1},
        10**400,
        np.array(["2020"], "datetime64"),
    ],
)
def test_what_is_no_number_is_refused_where_numpy_would_make_one_of_it(wrong):
    for guard in (guards.reals, guards.finite):
        message = f"x {wrong!r} must be a number or an array of numbers"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            guard("x", wrong)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_finite_refuses_what_is_not_and_passes_the_rest_on(bad):
    with pytest.raises(ValueError, match=rf"^x holds a NaN or an infinity: \[ *1\. +{bad}\]$"):
        guards.finite("x", [1, bad])
    assert guards.finite("x", [1, 2]).tolist() == [1, 2]


both_libraries = pytest.mark.parametrize("array", [np.array, torch.tensor], ids=["numpy", "torch"])


@both_libraries
def test_a_batch_is_values_and_mask_of_one_shape_without_an_empty_episode(array):
    values, mask = array([[1.0, 2.0], [3.0, 0.0]]), array([[True, True], [True, False]])
    assert guards.batch("losses", values, mask) is None
    assert guards.batch("losses", values, mask * 1) is None
    assert guards.batch("losses", array([[[1.0, 2.0], [3.0, 0.0]]]), mask) is None
    for wrong, message in (
        (mask[:1], "losses have shape (2, 2) and mask (1, 2); both must end in the same (B, T)"),
        (mask[0], "losses have shape (2, 2) and mask (2,); both must end in the same (B, T)"),
        (mask * 2, "the mask must be True or False at every step, not"),
        (
            array([[True, True], [False, False]]),
            "an episode is empty: lengths [2, 0]; leave it out",
        ),
        (mask.tolist(), "mask [[True, True], [True, False]] must be an array or a tensor"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            guards.batch("losses", values, wrong)
    for row in (values[0], values[:0]):
        with pytest.raises(ValueError, match=re.escape(f"have shape {tuple(row.shape)} and mask")):
            guards.batch("losses", row, row > 0)


def test_arrays_are_of_one_library():
    assert guards.arrays(a=np.ones(2), b=np.ones(3)) is guards.arrays(a=torch.ones(2)) is None
    message = (
        r"NumPy and torch are mixed \(a ndarray, b Tensor\); give arrays alone or tensors alone"
    )
    with pytest.raises(ValueError, match=message):
        guards.arrays(a=np.ones(2), b=torch.ones(2))


@both_libraries
@pytest.mark.parametrize("wrong", [[0, 3], [-1, 0], [0.0, 1.0], [True, False]])
def test_indices_are_whole_numbers_from_0_to_below_the_bound(array, wrong):
    assert guards.below("obs", array([[0, 2], [1, 0]]), 3) is None
    with pytest.raises(ValueError, match=r"^obs must be whole numbers from 0 to 2, not "):
        guards.below("obs", array(wrong), 3)


@dataclass(frozen=True, kw_only=True)
class Shape(guards.Settings):
    width: int
    height: int = 2


def test_settings_take_the_names_that_they_have():
    assert Shape(width=3).height == 2
    with pytest.raises(
        ValueError, match=r"^setting 'depth' is unknown; choose from: width, height$"
    ):
        Shape(width=3, depth=1)
    with pytest.raises(ValueError, match=r"^3 has no name; write width=…, or another setting's$"):
        Shape(3)
