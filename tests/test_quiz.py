"""The quizzes: one right line each, something said to every line, and numbers that are computed."""

import importlib
import math
import re
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
import reading
import torch

from coursekit import actor_critic, answers, bugs, losses, mdp, mlp, quiz, stats, tokens
from coursekit.quiz import Question, verdict

ROOT = Path(__file__).resolve().parent.parent
BOOKS = {int(path.name[:2]): reading.book(path) for path in reading.PATHS}
QUIZZES = {
    number: importlib.import_module(f"coursekit.exercises.quiz{number:02d}").QUIZ
    for number in range(15)
}
QUESTIONS = {tag: question for known in QUIZZES.values() for tag, question in known.items()}
every_question = pytest.mark.parametrize("tag", QUESTIONS)


def asked(number):
    """The questions as the notebook prints them: tag -> (text, lines)."""
    cells = [c for c in BOOKS[number].cells if re.fullmatch(r"quiz-\d+", c.id)]
    found = {}
    for part in re.split(r"^(?=\*\*\d+\.\*\*)", "\n".join(c.source for c in cells), flags=re.M):
        if part.startswith("**"):
            k = re.match(r"\*\*(\d+)\.", part)[1]
            lines = re.findall(r"^\d+\. (.*)$", part, flags=re.M)
            found[f"{number}.q{k}"] = (part, lines)
    return found


PRINTED = {tag: value for number in QUIZZES for tag, value in asked(number).items()}


# What is asked, and what is said


def test_five_questions_a_notebook_and_sixteen_in_the_closing_one():
    assert set(PRINTED) == set(QUESTIONS)
    assert {n: len(known) for n, known in QUIZZES.items()} == dict.fromkeys(range(15), 5) | {13: 16}


@every_question
def test_each_line_has_an_explanation_of_its_own_and_one_line_is_right(tag):
    question, (_, lines) = QUESTIONS[tag], PRINTED[tag]
    assert len(question.said) == len(lines) == 4
    assert 1 <= question.right <= 4
    assert len(set(question.said)) == len(set(lines)) == 4
    assert all(len(said.split()) >= 3 and said.endswith(".") for said in question.said)


def test_where_a_line_of_a_program_is_asked_for_the_numbers_are_those_of_its_lines():
    programs = [(text, lines) for text, lines in PRINTED.values() if "```" in text]
    assert len(programs) >= 3
    for text, lines in programs:
        assert re.findall(r"^(\d)  ", text, flags=re.M) == list("1234")
        assert lines == ["line 1", "line 2", "line 3", "line 4"]


@pytest.mark.parametrize("number", QUIZZES)
def test_the_answers_are_not_in_the_notebook(number):
    text = "\n".join(cell.source + str(cell.get("outputs", "")) for cell in BOOKS[number].cells)
    for question in QUIZZES[number].values():
        assert [said for said in question.said if len(said) > 25 and said in text] == []


@pytest.mark.parametrize("number", QUIZZES)
def test_the_cells_ask_for_every_question_and_say_that_they_are_open(number):
    cells = [c for c in BOOKS[number].cells if c.cell_type == "code" and c.id.startswith("quiz")]
    source = "\n".join(cell.source for cell in cells)
    assert re.findall(r'"(\d+\.q\d+)": None', source) == list(QUIZZES[number])
    said = "".join(output.text for cell in cells for output in cell.outputs)
    names = [tag.split(".q")[1] for tag in QUIZZES[number]]
    assert said == "".join(f"question {k}: not attempted\n" for k in names)


def lopsided(rights):
    """Whether a place is right in less than an eighth, or more than three eighths, of all."""
    share = [rights.count(k) / len(rights) for k in (1, 2, 3, 4)]
    return min(share) < 1 / 8 or max(share) > 3 / 8


def test_the_place_of_the_right_line_gives_nothing_away():
    rights = [question.right for question in QUESTIONS.values()]
    assert not lopsided(rights)
    for known in QUIZZES.values():
        assert len({question.right for question in known.values()}) >= 3
    assert lopsided([2] * 40 + [1, 3, 4] * 13)


def test_the_length_of_the_right_line_gives_nothing_away():
    longest = shares = 0
    for tag, (_, lines) in PRINTED.items():
        sizes = [len(line) for line in lines]
        right = sizes.pop(QUESTIONS[tag].right - 1)
        longest += right > max(sizes)
        shares += right / (sum(sizes) / 3)
    assert longest / len(PRINTED) < 0.4
    assert 0.8 < shares / len(PRINTED) < 1.25


# The check


TWO = Question(2, ("too small.", "just so.", "too large."))


@pytest.mark.parametrize("line", [None, ...])
def test_an_untouched_question_is_open(line):
    assert verdict(TWO, line) == "not attempted"


def test_every_line_is_told_something():
    assert [verdict(TWO, k) for k in (1, 2, 3)] == [
        "not yet: too small.",
        "correct: just so.",
        "not yet: too large.",
    ]
    assert verdict(TWO, 2.0) == verdict(TWO, np.int64(2)) == "correct: just so."


class Rude:
    __hash__ = None

    def __eq__(self, other):
        raise RuntimeError("no")


@pytest.mark.parametrize("line", [0, 4, -1, True, "2", "b", 1.5, [2], int, math.nan, Rude()])
def test_what_is_no_line_is_told_what_is_one(line, monkeypatch, capsys):
    monkeypatch.setattr(quiz, "find", lambda tag: TWO)
    quiz.check({"0.q1": line})
    said = capsys.readouterr().out
    assert "give its number, from 1 to 3" in said or "cannot be checked" in said
    assert "not yet" not in said
    assert "correct" not in said


@pytest.mark.parametrize("lines", [{"77.q1": 1}, {"0.q9": 1}, {"x": 1}, {0: 1}, None, [1, 2]])
def test_a_question_that_does_not_exist_stops_no_notebook(lines, capsys):
    quiz.check(lines)
    assert "the quiz cannot be checked" in capsys.readouterr().out


# The numbers, each computed by the course or by the line that is asked about


def push(pay, steps, how, p=0.5):
    """Expected push on the logit of walking; stopping pays 1 at once."""
    return p * (1 - p) * (pay / (steps if how == "mean" else 1) - 1)


def without_log(p, Q, steps=4000):
    """Where the expected update without the logarithm leads, two arms."""
    x = math.log(p / (1 - p))
    for _ in range(steps):
        p = 1 / (1 + math.exp(-x))
        x += 0.1 * p * (1 - p) * (p * Q[0] - (1 - p) * Q[1])
    return p


def grad_of(pieces, way, theta):
    theta = torch.tensor(theta, requires_grad=True)
    way([piece(theta) for piece in pieces])
    return theta.grad.item()


def loop(step_losses):
    for loss in step_losses:
        loss.backward()


def last_alone(step_losses):
    step_losses[-1].backward()


def adam_first(gradient, lr=1.0):
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([x], lr=lr)
    x.grad = torch.tensor([gradient], dtype=torch.float64)
    optimiser.step()
    return -x.item()


UNEQUAL = np.array([[4.0, 0, 0], [1, 1, 1]]), np.array([[1, 0, 0], [1, 1, 1]], dtype=bool)


def jacobian(p):
    return np.diag(p) - np.outer(p, p)


def eta(values, B=1):
    mean, square = np.mean(values), np.mean(np.square(values))
    return mean**2 / (mean**2 + (square - mean**2) / B)


def log_density(a, m, sigma):
    return -0.5 * ((a - m) / sigma) ** 2 - math.log(sigma)


def slope(f, x, h=1e-6):
    return (f(x + h) - f(x - h)) / (2 * h)


def mean_loss_weights(rewards):
    logp = torch.full((1, len(rewards)), -0.7, requires_grad=True)
    mask = torch.ones_like(logp, dtype=torch.bool)
    bugs.BUGS["episode_mean"](logp, torch.tensor([rewards]), mask, 1.0).backward()
    return (-logp.grad[0]).tolist()


G4 = np.array([4.0, 3, 2, 1])
FOUR_ANSWERS = np.arange(8) < np.array([2, 8])[:, None]
per_answer = tokens.token_weights(tokens.REDUCTIONS["episode_mean"], FOUR_ANSWERS)
per_step = tokens.token_weights(tokens.REDUCTIONS["step_mean"], FOUR_ANSWERS)
MICRO_BATCHES = np.arange(30) < np.array([10, 30])[:, None]  # each counted as one long answer
BY_LINE = {  # tag -> what the right line says, and what the course or the line's program gives
    "0.q1": (0, max(0, push(2, 4, "mean"))),  # no push to walk
    "0.q2": (0.25, push(2, 4, "sum")),
    "0.q4": (4, 3 + 1),
    "1.q1": (5 / 8, mdp.softmax(np.log([2.0, 1, 5]))[2]),
    "1.q2": (3, losses.reward_to_go(np.array([2.0, 0, 4]), 0.5)[0]),
    "1.q4": (1.5, np.mean([1 / 1, 6 / 3])),
    "1.q5": (-1, mdp.J(mdp.toll_bridge(), [[-40.0, 40], [40, -40]])),
    "2.q1": ([0.7, -0.7], np.eye(2)[0] - [0.3, 0.7]),
    "2.q2": (0.25, mdp.grad_J(mdp.bandit(2.0, 1.0), np.zeros((1, 2)))[0, 0]),
    "2.q5": (0, round(without_log(0.3, (1, 0.5)), 1)),
    "3.q1": (7, grad_of([lambda x: 3 * x, lambda x: x**2], loop, 2.0)),
    "3.q3": (4, np.mean([2, 2, 2, 10])),
    "4.q1": (0.05, 0.001 * 50),
    "4.q2": (0.5, lambda: adam_first(1e-8)),
    "4.q3": (1.75, losses.step_mean(*UNEQUAL)),
    "4.q4": (1, (min(1, 1 / 40) * 40) / (min(1, 1 / 2) * 2)),
    "5.q2": (5 / 16, np.mean([1 / 2, 1 / 8])),
    "5.q3": (0, push(3, 3, "mean")),  # turns round at 3
    "6.q1": (4, lambda: stats.interquartile_mean([1, 1, 2, 2, 4, 8, 9, 90])),
    "6.q4": ([1 / 50, 1 / 4], [1 / 50, 50 / 200]),
    "7.q1": ([-0.4, 1, -0.6], 2 * jacobian(np.array([0.2, 0.5, 0.3])) @ [0, 1 / 0.5, 0]),
    "7.q2": (1.5, slope(lambda w: math.log(1 / (1 + math.exp(-3 * w))), 0)),
    "7.q3": ([0, 0, 0], jacobian(np.array([0.2, 0.5, 0.3])) @ [0.7, 0.7, 0.7]),
    "8.q2": ([0, 0], jacobian(np.full(2, 0.5)) @ [0.5, 0.5]),
    "8.q3": ([2, 5 / 3, 1], mean_loss_weights([1.0, 2.0, 3.0])),
    "8.q4": (0.015, 100 * 1e-6 * 150),
    "9.q1": (0.1, eta([4, -2])),
    "9.q2": (9, next(B for B in range(1, 99) if eta([4, -2], B) >= 0.5)),
    "9.q3": (2, (8**3 / 8**2) / (4**3 / 4**2)),
    "9.q4": (1 / 6, ((G4 - G4.mean()) ** 2).sum() / (G4**2).sum()),
    "10.q1": (0.75, 30 / (30 + 10)),
    "10.q2": (0.25, math.cos(math.pi / 3) ** 2),
    "10.q3": (5, (600 / (1 + 5)) / (600 / (25 + 5))),
    "10.q4": (0, (200 - np.mean([200.0] * 4)) / (np.std([200.0] * 4) + 1e-8)),
    "11.q1": (0.75, slope(lambda m: log_density(3, m, 2), 0)),
    "11.q2": (-0.75, slope(lambda s: log_density(1, 0, math.exp(s)), math.log(2))),
    "11.q3": (-1, 2 + 0.5 * 0 - 3),
    "11.q4": (
        2,
        actor_critic.gae(
            np.array([1.0, 2]), np.zeros(2), 0.0, np.ones(2, dtype=bool), gamma=1.0, lam=0.5
        )[0],
    ),
    "12.q1": (4, per_answer[0] / per_answer[1]),
    "12.q2": ([0.1, 0.1], per_step),
    "14.q1": (4, grad_of([lambda x: 2 * x, lambda x: 3 * x, lambda x: 4 * x], last_alone, 1.0)),
    "14.q2": (4.25, reduce(lambda G, r: r + 0.5 * G, [1, 0, 4], 0.0)),
    "14.q3": (1, tokens.leave_one_out(np.array([1.0, 0, 0, 0]), 4)[0]),
    "14.q4": (0.12, round(0.9**20, 2)),
    "14.q5": (3, np.divide(*tokens.token_weights(losses.episode_mean, MICRO_BATCHES))),
}


def by_line(tag):
    """What is computed; what imports much is so when it is asked for."""
    computed = BY_LINE[tag][1]
    return computed() if callable(computed) else computed


@pytest.mark.parametrize("tag", BY_LINE)
def test_the_number_of_the_right_line_is_what_the_course_computes(tag):
    said, computed = BY_LINE[tag][0], by_line(tag)
    np.testing.assert_allclose(computed, said, atol=1e-6)


def value(line):
    """The number that a line of a question is, or None."""
    text = line.replace("$", "").replace("\\tfrac12", "1/2").strip()
    found = re.fullmatch(r"(-?[\d.]+)(?:/(\d+))?", text)
    return float(found[1]) / float(found[2] or 1) if found else None


ALL_NUMBERS = [
    tag
    for tag in BY_LINE
    if None not in [value(line) for line in PRINTED[tag][1]] and np.ndim(BY_LINE[tag][0]) == 0
]


@pytest.mark.parametrize("tag", ALL_NUMBERS)
def test_only_the_right_line_prints_that_number(tag):
    numbers = [value(line) for line in PRINTED[tag][1]]
    right = [abs(x - by_line(tag)) < 1e-6 for x in numbers]
    assert [k for k, is_it in enumerate(right, start=1) if is_it] == [QUESTIONS[tag].right]


def test_a_good_part_of_the_questions_has_numbers_in_all_lines():
    assert len(ALL_NUMBERS) >= 15


@pytest.mark.parametrize(
    ("tag", "wrong"),
    [
        ("1.q1", {1: 5 / 7, 2: 1 / 3}),
        ("1.q2", {2: 6, 3: 4 + 0 + 2 / 4, 4: 1 + 4 / 8}),
        ("1.q4", {1: 3.5, 2: 3.5 / 2, 4: 6 / 3}),
        ("3.q1", {1: 4, 2: 7 / 2, 4: 6 + 4}),
        ("3.q3", {2: (2 + 10) / 2, 3: (2 + 10) / 4, 4: 3 * 2 + 10}),
        ("4.q3", {1: (4 + 3) / 2, 2: (4 + 1) / 2, 3: 7}),
        ("6.q1", {1: np.mean([1, 1, 2, 2, 4, 8, 9, 90]), 2: 3, 3: (1 + 2 + 2 + 4 + 8 + 9) / 6}),
        ("7.q2", {1: 0.25 * 3, 2: 3, 3: 0.5}),
        ("10.q1", {1: 10 / 40, 2: 10 / 30, 4: 1}),
    ],
)
def test_the_wrong_lines_are_the_mistakes_that_are_named(tag, wrong):
    for line, number in wrong.items():
        assert value(PRINTED[tag][1][line - 1]) == pytest.approx(number, abs=0.05)


def test_what_is_said_of_a_line_of_code_is_so():
    h, dz = np.ones((5, 4)), np.ones((5, 3))  # 7.q5, by shape and by mlp
    shapes = [(h.T @ dz).shape, (dz.T @ h).shape, (h @ h.T).shape]
    assert shapes == [(4, 3), (3, 4), (5, 5)]
    params = {"w0": np.ones((3, 4)), "b0": np.zeros(3)}
    cache = mlp.forward(params, h, ("linear",))
    np.testing.assert_array_equal(mlp.backward(params, cache, dz, ("linear",))["dw0"], dz.T @ h)
    z = 0.7  # 8.q5
    h = math.tanh(z)
    lines = [1 - math.tanh(h) ** 2, h * (1 - h), 1 - z**2, 1 - h**2]
    near = [abs(x - slope(math.tanh, z)) < 1e-8 for x in lines]
    assert near.index(True) + 1 == QUESTIONS["8.q5"].right
    assert sum(near) == 1


def test_the_rewards_that_find_the_wrong_returns_are_the_ones_of_the_line():
    for line, r in enumerate([[1, 1, 1], [5], [0, 0, 0], [1, 2, 4]], start=1):
        n = len(r)
        from_start = [sum(r[: n - t]) for t in range(n)]
        found = from_start != losses.reward_to_go(np.array(r, dtype=float), 1.0).tolist()
        assert found == (line == QUESTIONS["8.q1"].right)


def test_a_constant_on_every_reward_moves_the_sum_and_not_the_mean():
    bridge, theta = mdp.toll_bridge(), np.array([[0.2, -0.1], [0.4, 0.3]])
    tau = mdp.enumerate_trajectories(bridge)
    P, R, n = mdp.probability(tau, theta), tau.rewards.sum(-1), tau.lengths
    z = mdp.scores(tau, theta).sum(-1)

    def field(weight):
        return np.einsum("n,san->sa", P * weight, z)

    np.testing.assert_allclose(field((R + 10 * n) / n), field(R / n), atol=1e-12)
    assert not np.allclose(field(R + 10 * n), field(R))


def test_stepping_inside_at_half_the_rate_is_half_as_far_off():
    def inside(lr, c=(1.0, 2.0, 3.0), theta=1.0):
        once = theta - lr * sum(2 * k * theta for k in c)
        for k in c:
            theta -= lr * 2 * k * theta
        return abs(theta - once) / abs(once - 1.0)

    assert inside(1e-4) / inside(5e-5) == pytest.approx(2, rel=0.01)


def test_a_group_mean_that_holds_the_own_reward_costs_a_quarter_and_no_direction():
    rewards = np.array([1.0, 0, 0, 0, 0.3, -2, 5, 1])
    own, others = (tokens.ADVANTAGES[name](rewards, 4) for name in ("own_mean", "leave_one_out"))
    np.testing.assert_allclose(own, 0.75 * others)


def test_the_pool_takes_the_angle_down_as_one_over_m():
    model = answers.every_answer("bigram", limit=6)
    theta = answers.even(model, stop=1 / 3)
    P = answers.probability(model, theta)
    rewards = [reward(model) for reward in answers.PROMPTS.values()]
    exact = answers.together(answers.gradient(model, theta, np.array(rewards)))

    def degrees(m):
        h = answers.pool_divisor(P, model.lengths, m)
        fields = [answers.gradient(model, theta, (R - P @ R) * h) for R in rewards]
        return answers.angle(answers.together(np.array(fields)), exact)

    assert degrees(4) == pytest.approx(3, abs=0.5)
    assert degrees(32) == pytest.approx(0.4, abs=0.05)


def test_a_question_that_is_shown_does_not_show_its_right_line():
    assert repr(quiz.find("2.q1")) == "Question(…)"
