"""The guards: what passes, and what is refused with which sentence."""

import re

import numpy as np
import pytest

from coursekit import guards

CASES = {
    guards.one_of: (["a"], ["c", ["a"], None, 1]),
    guards.fraction: ([0, 1, 0.5, np.float32(0.25)], [-0.1, 1.1, float("nan"), True, "1", 1j]),
    guards.above_zero: ([1, 0.01, np.int64(3)], [0, -1, float("inf"), float("nan"), True, None]),
    guards.count: ([1, 7, np.uint8(2)], [0, -1, 2.0, True, "3", [1]]),
    guards.flag: ([True, False], [1, 0, "no", None]),
}
PASS = [(guard, value) for guard, (good, _) in CASES.items() for value in good]
FAIL = [(guard, value) for guard, (_, bad) in CASES.items() for value in bad]


def call(guard, value):
    return guard("size", value, *([("a", "b")] if guard is guards.one_of else []))


@pytest.mark.parametrize(("guard", "value"), PASS)
def test_what_makes_sense_passes(guard, value):
    assert call(guard, value) is None


@pytest.mark.parametrize(("guard", "value"), FAIL)
def test_what_makes_none_is_refused_with_its_name_and_value(guard, value):
    with pytest.raises(ValueError, match=rf"^size {re.escape(repr(value))} (must be|is) \w+"):
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
