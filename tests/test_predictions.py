"""A prediction is compared, never judged; and the stored notebooks have all of them unfilled."""

import ast
import re

import nbformat
import numpy as np
import pytest
import reading
from test_documents import declared, shown

from coursekit import predictions

ASKED = r"\*(?:Predict|Before you run)"  # how a prediction is asked for
BOOKS = {path.stem: reading.book(path) for path in reading.PATHS}


@pytest.mark.parametrize(
    ("guess", "came_out", "within"),
    [
        ("walks", "walks", None),
        (" Walks ", "walks", None),
        ("same", "the same", None),
        ("The tilt", "tilt", None),
        (["sum", "MEAN"], ["sum", "mean"], None),
        (("sum", "mean"), ["sum", "mean"], None),
        (["others", "sum"], {"sum", "others"}, None),
        ("sum", {"sum"}, None),
        (20, 19.2, None),
        (np.float32(19.2), 19.2, None),
        ([2, 6, 12], [2.0, 6.0, 12.0], None),
        (0.02, 0.001, 0.05),
        (-0.5, -0.51, None),
        (0, 0.0, None),
        ([1, 2], np.array([1.0, 2.1]), None),
    ],
)
def test_what_fits_is_said_to_fit(guess, came_out, within):
    said = predictions.verdict(guess, came_out, within)
    assert said.startswith("as predicted, or near it: you predicted ")


@pytest.mark.parametrize(
    ("guess", "came_out", "within"),
    [
        ("stops", "walks", None),
        (["mean", "sum"], ["sum", "mean"], None),
        (["sum"], {"sum", "others"}, None),
        (["sum", "others", "root"], {"sum", "others"}, None),
        (24, 19.2, None),
        (-19.2, 19.2, None),
        ([2, 4, 6], [2.0, 6.0, 12.0], None),
        (0.1, 0.001, 0.05),
        (1e-9, 0.0, None),
        ("10", "walks", None),
    ],
)
def test_what_does_not_fit_is_said_with_what_came_out(guess, came_out, within):
    said = predictions.verdict(guess, came_out, within)
    assert said.startswith("not as predicted: you predicted ")
    assert "; it came out: " in said


def test_the_whole_line():
    assert predictions.verdict("Stops", "walks") == (
        "not as predicted: you predicted Stops; it came out: walks"
    )
    assert predictions.verdict(20, 19.2345) == (
        "as predicted, or near it: you predicted 20; it came out: 19.2"
    )
    assert predictions.verdict([1, 9], [1.0, 2.0], 0.5).endswith("[1, 9]; it came out: [1, 2]")


class Hostile:
    def __array__(self, *args, **kwargs):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "guess",
    ["ten", [], [1, 2, 3], {}, object(), Hostile(), print, (x for x in "ab"), float("nan"), [None]],
    ids=range(10),
)
@pytest.mark.parametrize("came_out", [19.2, [1.0, 2.0]], ids=["number", "list"])
def test_what_cannot_be_compared_is_said_and_never_raised(guess, came_out):
    said = predictions.verdict(guess, came_out)
    assert "cannot be compared with what came out; write " in said
    assert len(said) < 160


@pytest.mark.parametrize("guess", [3, [1], None, object(), Hostile()], ids=range(5))
def test_a_word_is_compared_with_anything(guess, capsys):
    predictions.compare(guess, "walks")
    assert capsys.readouterr().out.count("\n") == 1


def test_nothing_written_down_is_one_line_that_depends_on_nothing(capsys):
    for came_out in ("walks", 3.7, [1, 2], {"a"}):
        predictions.compare(None, came_out)
        predictions.compare(..., came_out)
    assert set(capsys.readouterr().out.splitlines()) == {predictions.NOTHING}


# --- In the notebooks.


def tagged(book):
    return [c for c in book.cells if "prediction" in c.metadata.get("tags", [])]


def written(book):
    """Names of guesses -> the number of the cell in which each is assigned."""
    found = {}
    for i, cell in enumerate(book.cells):
        if cell.cell_type == "code" and cell.id.startswith("guess-"):
            for node in ast.parse(cell.source).body:
                found[node.targets[0].id] = i
    return found


def compared(book):
    """Names of guesses -> the number of the cell in which each is compared."""
    found = {}
    for i, cell in enumerate(book.cells):
        if cell.cell_type == "code" and cell.id.startswith("compare-"):
            found |= dict.fromkeys(re.findall(r"\bguess_\w+", cell.source), i)
    return found


def faults(book):
    """What is wrong with the predictions of a notebook that are written down."""
    said = []
    for cell in tagged(book):
        if cell.id.startswith("guess-"):
            lines = cell.source.splitlines()
            said += [line for line in lines if not re.fullmatch(r"guess_\w+ = None  # .+", line)]
            said += [f"{cell.id} prints"] if cell.outputs else []
        elif cell.id.startswith("compare-"):
            printed = "".join(output.get("text", "?") for output in cell.outputs).splitlines()
            said += [cell.id] if set(printed) != {predictions.NOTHING} else []
        else:
            said.append(f"{cell.id} is neither")
    above, below = written(book), compared(book)
    said += [f"{name} is not compared" for name in set(above) ^ set(below)]
    for name in set(above) & set(below):
        between = book.cells[above[name] + 1 : below[name]]
        if not any(
            c.get("outputs") for c in between if "prediction" not in c.metadata.get("tags", ())
        ):
            said.append(f"{name}: no run between")
    for i in above.values():
        asked = next(c for c in reversed(book.cells[:i]) if c.cell_type == "markdown")
        asked = asked if asked.metadata.slideshow.slide_type != "notes" else book.cells[i - 2]
        if not re.search(r"\*(Predict|Before you run)", asked.source):
            said.append(f"cell {i}: nobody asked")
    return said


@pytest.mark.parametrize("stem", [stem for stem in BOOKS if stem[:2] != "14"])
def test_every_notebook_has_predictions_to_write_down_unfilled_and_compared_below(stem):
    assert written(BOOKS[stem])
    assert faults(BOOKS[stem]) == []


def test_a_filled_one_and_one_without_a_run_are_seen():
    v4 = nbformat.v4
    kinds = {"slideshow": {"slide_type": "skip"}, "tags": ["prediction"]}
    ask = v4.new_markdown_cell("*Predict* it.", metadata={"slideshow": {"slide_type": "slide"}})
    guess = v4.new_code_cell("guess_it = None  # a number", metadata=kinds, id="guess-it")
    run = v4.new_code_cell("1", outputs=[v4.new_output("stream", text="1\n")])
    line = v4.new_output("stream", text=predictions.NOTHING + "\n")
    check = v4.new_code_cell(
        "predictions.compare(guess_it, 1)", metadata=kinds, id="compare-it", outputs=[line]
    )
    assert faults(v4.new_notebook(cells=[ask, guess, run, check])) == []
    assert faults(v4.new_notebook(cells=[ask, guess, check])) == ["guess_it: no run between"]
    assert faults(v4.new_notebook(cells=[ask, guess, run])) == ["guess_it is not compared"]
    guess.source = "guess_it = 3  # a number"
    assert faults(v4.new_notebook(cells=[ask, guess, run, check])) == [guess.source]


# --- What stands around a prediction.


def verified(cell):
    """The claims that a cell verifies."""
    found = re.findall(r'verify\.claim\(\s*"([^"]*)"', cell.source)
    return set(found) if cell.cell_type == "code" else set()


def given_away(book):
    """What stands between a prediction and its run, or above it, and tells the answer.

    Speaker's notes, exercises, quizzes and what the reader writes down are left out. A claim
    belongs below the run that it is about: from the prediction on nothing else may be printed
    between its sentence and its verification.
    """
    cells = [
        cell
        for cell in book.cells
        if cell.metadata.slideshow.slide_type != "notes"
        and "prediction" not in cell.metadata.get("tags", [])
        and not cell.id.startswith(("ex-", "quiz"))
    ]
    checked = {tag: i for i, cell in enumerate(cells) for tag in verified(cell)}
    text = [cell.source if cell.cell_type == "markdown" else "" for cell in cells]
    stated = {tag: i for i, source in enumerate(text) for tag in declared(source)}
    printed = [i for i, cell in enumerate(cells) if cell.get("outputs")]
    asked = [i for i, source in enumerate(text) if re.search(ASKED, source)]
    bad = []
    for i in asked:
        before, after = re.split(ASKED, text[i])[0], re.split(ASKED, text[i])[-1]
        run = next((j for j in printed if j > i), len(cells) - 1)
        ends = [j for j in range(i + 1, len(cells)) if j in asked or text[j].startswith("## ")]
        for tag, j in stated.items():
            above = j < i or tag in declared(before)
            if above and i < checked.get(tag, -1):
                bad.append(f"{cells[i].id}: claim {tag} stands above")
            if (i < j < run) or tag in declared(after):
                bad.append(f"{cells[i].id}: claim {tag} stands before the run")
            if not above and run < j < min(ends, default=len(cells)):
                late = [k for k in printed if j < k < checked[tag]]
                if [k for k in late if "verify." not in cells[k].source]:
                    bad.append(f"{cells[i].id}: claim {tag} stands above what it is about")
        if verified(cells[run]):
            bad.append(f"{cells[i].id}: its run is a claim")
        between = "\n".join([after, *text[i + 1 : run]])
        if re.search(r"!\[|<img|^> \*\*|\*\*(?:Answer|Result)", between, flags=re.MULTILINE):
            bad.append(f"{cells[i].id}: a picture or an answer before the run")
    return bad


DECIMAL = r"(?<![\w.])\d*\.\d+"


def told(cell):
    """What a cell prints, alt texts included; the lines of verified equations and claims not."""
    found = []
    for output in cell.get("outputs", []):
        html = output.get("data", {}).get("text/html", "")
        found += re.findall(r'alt="([^"]*)"', html) or [re.sub("<[^>]*>", " ", html)]
        found += [output.get("text", ""), output.get("data", {}).get("text/plain", "")]
    return re.sub("^✓.*$", "", "\n".join(found), flags=re.MULTILINE)


def numbers(text):
    return {float(x) for x in re.findall(DECIMAL, text)}


def worked_out(book):
    """Derivations, conclusions and numbers of the run that a reader meets before that run.

    The run is the first cell below that prints more than that an equation holds; where the
    prediction is written down, the last such cell above the line that compares. Above the run,
    folded text apart, no equation is displayed, no conclusion stands (a cell ``c-…``), and no text
    holds a number with a decimal point that the run prints.
    """
    kept = {cell.id: k for k, cell in enumerate(book.cells)}
    judged = {  # id of the first cell below a written prediction -> place of its comparison
        book.cells[k + 1].id: kept["compare-" + name.removeprefix("guess-")]
        for name, k in kept.items()
        if name.startswith("guess-") and "compare-" + name.removeprefix("guess-") in kept
    }
    cells = [
        cell
        for cell in book.cells
        if cell.metadata.slideshow.slide_type != "notes"
        and "prediction" not in cell.metadata.get("tags", [])
        and not cell.id.startswith(("ex-", "quiz"))
    ]
    text = [
        re.sub("<details>.*?</details>", "", cell.source, flags=re.DOTALL)
        if cell.cell_type == "markdown"
        else ""
        for cell in cells
    ]
    bad = []
    for i, asked in enumerate(text):
        if not re.search(ASKED, asked):
            continue
        end = next((j for j in range(i + 1, len(cells)) if text[j].startswith("## ")), len(cells))
        run = next((j for j in range(i + 1, end) if told(cells[j]).strip()), None)
        run = run or next((j for j in range(i + 1, end) if cells[j].get("outputs")), end - 1)
        written = [judged[c.id] for c in book.cells[kept[cells[i].id] :][:4] if c.id in judged]
        if written:
            inside = [j for j in range(i + 1, end) if kept[cells[j].id] < written[0]]
            run = max((j for j in inside if told(cells[j]).strip()), default=run)
        if "$$" in re.split(ASKED, asked)[-1]:
            bad.append(f"{cells[i].id}: an equation after its question")
        for j in range(i + 1, run):
            if "$$" in text[j]:
                bad.append(f"{cells[i].id}: {cells[j].id} derives before the run")
            if cells[j].id.startswith("c-") and text[j]:
                bad.append(f"{cells[i].id}: {cells[j].id} concludes before the run")
            if numbers(text[j]) & numbers(told(cells[run])):
                bad.append(f"{cells[i].id}: {cells[j].id} has a number of the run")
    return bad


@pytest.mark.parametrize("stem", BOOKS)
def test_no_derivation_stands_between_a_prediction_and_its_run(stem):
    assert worked_out(BOOKS[stem]) == []


def test_a_derivation_a_conclusion_and_a_number_before_the_run_are_seen():
    ask, run = ("slide", "*Predict* it."), ("-", "run(0.25)")
    equation, sentence = ("-", "$$x=1$$"), ("-", "A quarter, .25 of it.")

    def says(*cells, conclusion=None):
        book = shown(*cells)
        for cell in book.cells:
            for output in cell.get("outputs", []):
                output.text = cell.source.partition("run(")[2].rstrip(")")
        if conclusion is not None:
            book.cells[conclusion].id = "c-walk"
        return [line.split(": ")[1] for line in worked_out(book)]

    assert says(ask, run, equation, sentence) == []
    assert says(ask, equation, run) == ["c1 derives before the run"]
    assert says(("slide", ask[1] + "\n\n$$x$$"), run) == ["an equation after its question"]
    assert says(("slide", "$$x$$\n\n" + ask[1]), run) == []
    assert says(ask, ("-", "<details>$$x$$</details>"), run) == []
    assert says(ask, sentence, run) == ["c1 has a number of the run"]
    assert says(ask, ("-", "Half of it, 0.5."), run) == []
    assert says(ask, ("-", "It walks."), run, conclusion=1) == ["c-walk concludes before the run"]
    late = shown(ask, ("skip", "guess = None"), ("-", "run(1)"), equation, run, ("skip", "compare"))
    late.cells[1].id, late.cells[5].id = "guess-it", "compare-it"
    for cell in (late.cells[1], late.cells[5]):
        cell.metadata["tags"] = ["prediction"]
    assert worked_out(late) == ["c0: c3 derives before the run"]
    late.cells.append(late.cells.pop(3))
    assert worked_out(late) == []
    holds = ("-", "run(✓ equation 1.1: both sides agree to 1e-12)")
    assert says(ask, holds, equation, run) == ["c2 derives before the run"]
    assert says(ask, holds, ("slide", "## 2. Next"), equation) == []


@pytest.mark.parametrize("stem", BOOKS)
def test_nothing_gives_a_prediction_away(stem):
    assert given_away(BOOKS[stem]) == []


def test_what_gives_a_prediction_away_is_seen():
    ask, run = ("slide", "*Predict* it."), ("-", "run(1)")
    claim, check = ("-", "**Claim 1.1.** It walks."), ("-", 'run(verify.claim("1.1", 2, ">", 1))')
    other = ("-", "run(2)")

    def says(*cells):
        return [line.split(": ")[1] for line in given_away(shown(*cells))]

    assert says(ask, run, claim, check) == []
    assert says(claim, check, ask, run) == []
    assert says(claim, ask, run, check) == ["claim 1.1 stands above"]
    assert says(("slide", claim[1] + "\n\n" + ask[1]), run, check) == ["claim 1.1 stands above"]
    assert says(ask, claim, run, check) == ["claim 1.1 stands before the run"]
    assert says(("slide", ask[1] + "\n\n" + claim[1]), run, check)[0].endswith("before the run")
    assert says(ask, run, claim, other, check) == ["claim 1.1 stands above what it is about"]
    assert says(ask, check, claim) == ["its run is a claim"]
    assert says(ask, ("-", "![The curves](a.png)"), run) == [
        "a picture or an answer before the run"
    ]
    assert says(ask, run, ("-", "## 2. Next"), claim, other, check) == []
