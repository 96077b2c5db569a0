"""Lectures of 20, 45 and 90 minutes, a day, and six weeks: which slides, which exercises.

A part is a notebook ("00"; its exercises and quiz apart), a section by its first slide
("04/q-random"), or one slide of it. What they take is not written here: it is added up from the
speaker's notes and the exercises' cards. ``KEPT`` has the sections that carry a notebook, for a
lecture that has half of its time.
"""

from __future__ import annotations

from typing import NamedTuple


class Session(NamedTuple):
    """``minutes`` that there are; ``exercises`` in the room, ``home``: those for afterwards."""

    title: str
    minutes: int
    parts: tuple[str, ...]
    exercises: tuple[str, ...] = ()
    home: tuple[str, ...] = ()


PLANS = {
    "20 minutes": (
        Session(
            "The talk",
            20,
            ("00/title", "00/q-walk", "00/q-flow", "00/q-cartpole", "06/q-verdict"),
            home=("0.1", "0.2"),
        ),
    ),
    "45 minutes": (
        Session(
            "The dispute, and its answer",
            45,
            (
                "00/q-walk",
                "00/q-flow",
                "04/q-random",
                "05/q-zero",
                "06/q-sweep",
                "06/q-two",
                "06/q-why",
                "06/q-verdict",
            ),
            home=("0.1", "4.2", "6.1"),
        ),
    ),
    "90 minutes": (
        Session(
            "From the derivation to the verdict",
            90,
            (
                "00/q-walk",
                "00/q-flow",
                "02/q-log",
                "02/q-reinforce",
                "02/q-loss",
                "03/q-three",
                "03/q-linear",
                "04/q-adam",
                "04/q-random",
                "05/q-zero",
                "05/q-baseline",
                "06/q-sweep",
                "06/q-two",
                "06/q-why",
                "06/q-verdict",
            ),
            exercises=("0.1",),
            home=("2.1", "3.1", "4.1", "5.1"),
        ),
    ),
    "A day": (
        Session(
            "Morning 1: what is climbed",
            90,
            ("00", "01/q-process", "01/q-return", "01/q-length", "02"),
            exercises=("1.1",),
        ),
        Session("Morning 2: loop, sum, mean", 90, ("03", "04"), exercises=("4.1",)),
        Session(
            "Afternoon 1: what the mean climbs, and the experiment",
            90,
            (
                "05/q-climb",
                "05/q-zero",
                "05/q-fields",
                "05/q-baseline",
                "05/q-typical",
                "05/q-family",
                "06/q-fair",
                "06/q-sweep",
                "06/q-arms",
                "06/q-two",
                "06/q-nothing",
                "06/q-why",
                "06/q-acrobot",
                "06/q-curves",
                "06/q-verdict",
            ),
            exercises=("6.1",),
        ),
        Session(
            "Afternoon 2: the clinic, and language models",
            90,
            (
                "07/q-head",
                "08",
                "12/q-bridge",
                "12/q-own",
                "12/q-pool",
                "12/q-lucky",
                "12/q-libraries",
            ),
            exercises=("12.1",),
            home=("8.1", "12.2"),
        ),
    ),
    "Six weeks": (
        Session("Week 1: the words", 60, ("00", "01"), home=("0.1", "0.2", "0.3", "1.1", "1.2")),
        Session("Week 2: the update, and its loop", 90, ("02", "03"), home=("2.1", "2.2", "3.1")),
        Session(
            "Week 3: the mean",
            90,
            (
                "04",
                "05/title",
                "05/q-climb",
                "05/q-zero",
                "05/q-rtg",
                "05/q-baseline",
                "05/q-typical",
                "05/q-live",
                "05/summary",
            ),
            home=("4.1", "4.2", "4.3", "5.1", "5.2"),
        ),
        Session("Week 4: the experiment; by hand", 90, ("06", "07"), home=("6.1", "6.2", "7.1")),
        Session(
            "Week 5: the clinic; variance",
            90,
            ("08", "09"),
            exercises=("8.1",),
            home=("8.2", "9.1", "9.2"),
        ),
        Session(
            "Week 6: other tasks; language models; a reduction of one's own",
            90,
            (
                "11/q-control",
                "11/q-critic",
                "11/q-car",
                "12/title",
                "12/q-bridge",
                "12/q-model",
                "12/q-own",
                "12/q-pool",
                "12/q-lucky",
                "12/q-libraries",
                "13",
            ),
            home=("11.1", "12.1", "12.2", "13.1"),
        ),
    ),
}

KEPT = {
    "00": ("q-walk", "q-flow"),
    "01": ("q-process", "q-policy", "q-return", "q-length"),
    "02": ("q-log", "q-reinforce", "q-zero", "q-loss"),
    "03": ("q-three", "q-linear", "q-inside", "q-micro"),
    "04": ("q-one", "q-adam", "q-random"),
    "05": ("q-climb", "q-zero", "q-baseline", "q-typical"),
    "06": ("q-sweep", "q-two", "q-why", "q-verdict"),
    "07": ("q-neuron", "q-layer", "q-head", "q-check"),
    "08": ("q-program", "card-index", "q-detective"),
    "09": ("q-worth", "q-baselines"),
    "10": ("q-rope", "q-how-many"),
    "11": ("q-gauss", "q-control", "q-critic"),
    "12": ("q-bridge", "q-own", "q-pool", "q-lucky", "q-libraries"),
    "13": ("q-form", "q-designs", "q-detective", "q-yours"),
    "14": ("s-mean", "s-learn", "s-loss-type"),
}
