"""Run sheets and plans name what exists, and fit into the time that they are for."""

import re

import pytest

from coursekit.publish import minutes, runsheet
from coursekit.publish.plans import KEPT, PLANS, Session
from coursekit.publish.slides import Slide

BOOKS = runsheet.course()
SESSIONS = [(name, session) for name, sessions in PLANS.items() for session in sessions]


def test_there_is_a_plan_for_each_length():
    assert list(PLANS) == ["20 minutes", "45 minutes", "90 minutes", "A day", "Six weeks"]
    assert len(PLANS["Six weeks"]) == 6


@pytest.mark.parametrize(("name", "session"), SESSIONS, ids=lambda x: getattr(x, "title", x))
def test_a_plan_names_slides_and_exercises_that_exist_and_fills_its_time(name, session):
    for tag in session.home:
        runsheet.exercise(tag, BOOKS)
    assert 0.8 * session.minutes <= runsheet.taken(session, BOOKS) <= session.minutes


def test_the_talk_has_the_verdict_of_the_experiment():
    (talk,) = PLANS["20 minutes"]
    assert "06/q-verdict" in talk.parts
    assert "00" not in talk.parts


@pytest.mark.parametrize("number", BOOKS)
def test_what_is_kept_with_half_of_the_time_exists_and_takes_about_half_of_it(number):
    kept = Session("", 0, tuple(f"{number}/{name}" for name in ("title", *KEPT[number], "summary")))
    assert 0.4 < runsheet.taken(kept, BOOKS) / minutes.lecture(BOOKS[number]) < 0.66


@pytest.mark.parametrize("number", BOOKS)
def test_a_slide_is_called_by_what_stands_on_it_and_not_by_a_cell(number):
    cells = {cell.id for cell in BOOKS[number].cells}
    for group in runsheet.sections(BOOKS[number]):
        for slide in group:
            assert slide.title not in cells


def test_a_name_that_does_not_exist_is_seen():
    with pytest.raises(KeyError, match="04/q-none"):
        runsheet.taken(Session("", 9, ("04/q-none",)), BOOKS)
    with pytest.raises(KeyError, match=r"exercise 4\.77"):
        runsheet.exercise("4.77", BOOKS)


def test_a_part_is_a_notebook_a_section_or_a_slide():
    whole, section, one = (runsheet.chosen(p, BOOKS) for p in ("04", "04/q-random", "04/q-field"))
    assert len(whole) > len(section) > len(one) == 1
    assert not [
        slide.name for slide in whole if slide.name.startswith(("ex-", "exercises", "quiz"))
    ]
    assert section[0].name == "q-random"
    assert one[0] in section


def test_minutes_and_misunderstandings_are_read_from_notes():
    note = "Speaker's notes · 1½ min\n\nSay it. Misunderstanding: that x; it is y.\n\n</details>"
    assert runsheet.minutes(Slide("a", True, notes=[note, "notes · 2 min"])) == 3.5
    assert runsheet.sentence(note, "isunderstanding:") == "that x; it is y."
    assert runsheet.sentence("Say it.", "isunderstanding:") == ""
    assert [runsheet.number(x) for x in (0, 0.5, 2, 2.5)] == ["0", "½", "2", "2½"]


def test_a_run_sheet_has_sections_live_cells_and_what_to_skip():
    stored = {"live": {"rate-run": 7, "common-last": 9}}  # the second stands on no slide
    text = runsheet.sheet(BOOKS["04"], "04_x", stored)
    assert "rate-run" not in text
    assert re.search(r'#/q-rate">[^<]*</a>: 7 s', text)
    assert re.search(r'#/q-common">[^<]*</a>: 9 s', text)
    assert "about 16 in all on the machine" in text
    assert '<a href="../slides/04_x.html#/q-random">4. But n is random</a>' in text
    assert text.count("<li>") > 10
    assert "40½ minutes" in text
    assert "With half of the time, keep" in text
    assert re.search(r"This saves up to \d+½? minutes", text)
    assert "One sentence for most rooms" not in text  # of its note, what to skip alone
    assert re.search(r"\(\d½? min\): .*Skip", text)


def test_a_section_that_may_be_skipped_is_skipped_whole_and_no_remark_stands_twice():
    text = runsheet.sheet(BOOKS["06"], "06_x", {})
    late = text.partition("When you are late")[2].partition("</ul>")[0]
    assert re.search(r"9\. Learning curves, and collapses</a>, the whole section \(3 min\)", late)
    assert "large-size" not in late  # it stands in a section that is skipped whole
    assert "q-practice" in late
    assert text.count("that a wider search would help") == 1
