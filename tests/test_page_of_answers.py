"""The page of answers: an entry is found, stands alone, and says where its reason stands."""

import functools
import json
import re
from pathlib import Path

import pytest
import reading

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "notebooks" / "14_answers.ipynb"
BOOK = reading.book(PAGE)
CELLS = {cell.id: cell for cell in BOOK.cells}
ANCHORS = [cell.id[2:] for cell in BOOK.cells if cell.id.startswith("q-")]
PUBLISHED = [
    "mean-over-all-steps",
    "equal-lengths",
    "length-fixed-beforehand",
    "absorbed-by-adam",
    "absorbed-by-the-rate",
    "divided-twice",
    "sum-or-mean-in-a3c",
    "what-goes-backwards",
    "tanh-derivative",
    "returns-from-the-start",
    "one-hot-on-cartpole",
    "only-the-last-backward",
    "loss-or-gradient",
    "step-in-the-loop",
    "product-of-sums",
    "mean-times-sum",
    "exp-minus-detach",
    "critic-not-detached",
    "nan-from-equal-returns",
    "nan-from-log-zero",
    "stays-at-minus-200",
    "gaussian-mean-gets-nothing",
    "baseline-from-the-same-episode",
    "mean-of-the-others",
    "discounted-forwards",
    "loss-is-negative",
    "loss-is-not-zero",
    "kl-is-always-zero",
    "sampling-changes-the-run",
    "token-mean-or-sequence-mean",
    "which-loss-type",
    "same-as-dapo",
    "paper-or-code",
    "fix-the-length-bias",
    "no-significant-difference",
    "normalise-by-sequence",
    "equal-weight",
    "switch-without-effect",
    "accumulation-hurts",
    "weigh-the-micro-batches",
    "divided-once-more",
    "gamma-to-the-t",
    "action-components",
    "reward-one-step-late",
]
REPOSITORY = r"([\w.-]+/[\w.-]+)"
PLACE = re.compile(rf"\[{REPOSITORY} (\d+)\]\(https://github\.com/{REPOSITORY}/issues/(\d+)\)")
each = pytest.mark.parametrize("anchor", ANCHORS)


def code_lines(source):
    return [line for line in source.splitlines() if line.strip() and line.strip()[0] != "#"]


def sentences(text):
    return len(re.findall(r"[.?!](?=\W*(?:\s|$))", re.sub(r"\bDr\.", "Dr", text)))


def reasons(text):
    return re.findall(r"\[notebook (\d\d), \*(.+?)\*\]\((\d\d)_\w+\.ipynb\)", text)


@functools.cache  # a notebook with its pictures is a megabyte
def section_titles(number):
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    lines = "".join("".join(cell["source"]) + "\n" for cell in cells).splitlines()
    return [line[3:] for line in lines if line.startswith("## ")]


def test_no_anchor_that_was_published_is_gone_and_none_is_there_twice():
    assert set(PUBLISHED) <= set(ANCHORS)
    found = re.findall(r'<a id="([\w-]+)"></a>', "\n".join(cell.source for cell in BOOK.cells))
    assert found == ANCHORS
    assert len(set(found)) == len(found)


def test_the_index_names_every_question_once_in_the_order_of_the_page():
    links = re.findall(r"^- \[(.+)\]\(#([\w-]+)\)$", CELLS["index"].source, flags=re.MULTILINE)
    assert [anchor for _, anchor in links] == ANCHORS
    for question, anchor in links:
        assert f"### {question}\n" in CELLS[f"q-{anchor}"].source


@each
def test_an_entry_is_a_question_with_its_place_a_cell_and_an_answer(anchor):
    question, answer = CELLS[f"q-{anchor}"].source, CELLS[f"a-{anchor}"].source
    places = PLACE.findall(question)
    assert places or "ai.stackexchange.com" in question
    assert all(place[:2] == place[2:] for place in places)  # the words say where the link goes
    assert question.startswith(f'<a id="{anchor}"></a>\n\n### ')
    assert CELLS[f"c-{anchor}"].outputs
    assert answer.startswith("**Answer.** ")
    assert "**In the thread.** " in answer


@each
def test_an_entry_is_read_in_two_minutes(anchor):
    question, answer = CELLS[f"q-{anchor}"].source, CELLS[f"a-{anchor}"].source
    assert len(code_lines(CELLS[f"c-{anchor}"].source)) <= 10
    assert sentences(answer.split("**In the thread.**")[0]) <= 4  # the bold word has a stop, too
    prose = re.sub(r"\]\([^)]*\)", "]", f"{question} {answer}")
    assert len(prose.split()) <= 190  # two minutes at 95 words, and the cell


@each
def test_the_reason_stands_in_a_section_that_exists(anchor):
    found = reasons(CELLS[f"a-{anchor}"].source)
    assert len(found) >= 1
    for number, title, file in found:
        assert number == file
        assert title in section_titles(number)


def test_the_readme_sends_whoever_came_from_a_thread_to_the_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^\*\*You came from a thread\?\*\*.*$", readme, flags=re.MULTILINE)
    assert "(notebooks/14_answers.ipynb)" in line


def test_a_fourth_sentence_a_missing_reason_and_a_wrong_number_are_seen():
    assert sentences("One. Two: *three*. “Four?”") == 3
    assert sentences("Dr. GRPO, 3.33 and `.grad` are one.") == 1
    assert reasons("[notebook 04, *4. But n is random*](04_x.ipynb)") == [
        ("04", "4. But n is random", "04")
    ]
    assert not PLACE.findall("[a/b 1](https://example.org/a/b/issues/1)")
    assert "4. But n is random" in section_titles("04")
    assert "4. But n is fixed" not in section_titles("04")
