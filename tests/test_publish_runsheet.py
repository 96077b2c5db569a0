"""Run sheets and plans name what exists, and fit into the time that they are for."""

import re

import pytest

from coursekit.publish import runsheet
from coursekit.publish.plans import PLANS, Session
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


def test_a_name_that_does_not_exist_is_seen():
    with pytest.raises(KeyError, match="04/q-none"):
        runsheet.taken(Session("", 9, ("04/q-none",)), BOOKS)
    with pytest.raises(KeyError, match=r"exercise 4\.77"):
        runsheet.exercise("4.77", BOOKS)


def test_a_part_is_a_notebook_a_section_or_a_slide():
    whole, section, one = (runsheet.chosen(p, BOOKS) for p in ("04", "04/q-random", "04/q-field"))
    assert len(whole) > len(section) > len(one) == 1
    assert section[0].name == "q-random"
    assert one[0] in section


def test_minutes_and_misunderstandings_are_read_from_notes():
    note = "Speaker's notes · 1½ min\n\nSay it. Misunderstanding: that x; it is y.\n\n</details>"
    assert runsheet.minutes(Slide("a", True, notes=[note, "notes · 2 min"])) == 3.5
    assert runsheet.sentence(note, "isunderstanding:") == "that x; it is y."
    assert runsheet.sentence("Say it.", "isunderstanding:") == ""
    assert [runsheet.number(x) for x in (0, 0.5, 2, 2.5)] == ["0", "½", "2", "2½"]


def test_a_run_sheet_has_sections_live_cells_and_what_to_skip():
    stored = {"live": {"rate-run": 7}}
    text = runsheet.sheet(BOOKS["04"], "04_x", stored)
    assert "rate-run: 7 s" in text
    assert '<a href="../slides/04_x.html#/q-random">4. But n is random</a>' in text
    assert text.count("<li>") > 10
    assert "40 minutes" in text
    assert re.search(r"This saves up to \d+½? minutes", text)
    assert "One sentence for most rooms" not in text  # of its note, what to skip alone
    assert re.search(r"\(\d½? min\): .*Skip", text)
