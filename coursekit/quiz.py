"""The quizzes: each has questions with one right line, and says something about every line chosen.

Which line is right, and what is said, stands in ``coursekit/exercises/quizXX.py``; the question
itself stands in the notebook.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from coursekit import progress


class Question(NamedTuple):
    """``right``: the number of the right line, from 1. ``said``: what is said to each line."""

    right: int
    said: tuple[str, ...]

    def __repr__(self) -> str:  # a traceback or a cell that shows it gives nothing away
        return "Question(…)"


def check(lines: Mapping[str, Any]) -> None:
    """Print what is to be said about the chosen lines, tag -> number or None; never raises."""
    try:
        for tag, line in lines.items():
            said = verdict(find(tag), line)
            print(f"question {tag.partition('.q')[2]}: {said}")
            progress.record("question", tag, said)
    except Exception as error:  # None of it may stop the notebook
        print(f"the quiz cannot be checked: {type(error).__name__}: {error}")


def find(tag: str) -> Question:
    """The question "4.q1" is entry "4.q1" of ``coursekit.exercises.quiz04``; KeyError lists those.

    ValueError for a tag of another form.
    """
    number, mark, _ = str(tag).partition(".q")
    if not (mark and number.isdecimal()):
        raise ValueError(f"{tag!r} names no question; the form is '4.q1'")
    name = f"coursekit.exercises.quiz{int(number):02d}"
    known = importlib.import_module(name).QUIZ
    if tag not in known:
        raise KeyError(f"{tag} is not in {name}; known: {', '.join(known)}")
    return known[tag]


def verdict(question: Question, line: Any) -> str:
    """The sentence itself."""
    if line is None or line is ...:
        return "not attempted"
    count = len(question.said)
    if isinstance(line, str) and line.strip().isdecimal():
        return f"not attempted: {line!r} is text; give its number, from 1 to {count}, unquoted"
    if isinstance(line, bool) or line not in range(1, count + 1):
        return f"not attempted: {line!r} is no line; give its number, from 1 to {count}"
    said = question.said[int(line) - 1]
    return f"correct: {said}" if line == question.right else f"not yet: {said}"
