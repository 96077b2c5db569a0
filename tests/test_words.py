"""The words of the course: each is explained where it is used first, and the English is English."""

import itertools
import re

import pytest
import reading
from test_documents import PATHS, ROOT, shown

TERMS = {  # anchor in the glossary -> how the word looks in prose, and in code where it is code
    "term-" + anchor: pattern
    for anchor, pattern in {
        "activation": r"\bactivations?\b",
        "actor-critic": r"\b[Aa]ctor-critic\b",
        "adam": r"\bAdam\b",
        "advantage": r"\b[Aa]dvantages?\b",
        "area": r"\*area\*",
        "arm": r"\barms?\b",
        "autograd": r"\b[Aa]utograd\b",
        "bandit": r"\bbandits?\b",
        "baseline": r"\bbaselines?\b",
        "bias": r"\b[Bb]ias\b",
        "bootstrap-interval": r"bootstrap interval",
        "bootstrapping": r"\b[Bb]ootstrapping\b",
        "central-differences": r"central differences",
        "clipping": r"\b[Cc]lipping\b",
        "collapse": r"\*collapse\*",
        "convolution": r"\bconvol(?:ution|ved)\b",
        "cosine": r"\b[Cc]osine\b",
        "critic": r"\b[Cc]ritic\b",
        "cross-entropy": r"[Cc]ross-entropy",
        "curl": r"\bcurl\b",
        "dapo": r"\bDAPO\b",
        "data-parallel-training": r"data-parallel training",
        "dynamic-programming": r"[Dd]ynamic programming",
        "efficiency": r"\*\*efficiency\*\*",
        "einsum": r"`einsum`",
        "entropy-bonus": r"entropy bonus",
        "expectation": r"\b[Ee]xpectations?\b",
        "field": r"\bfield\b(?! \d)",
        "fisher-information": r"Fisher information",
        "gae": r"\bGAE\b",
        "gradient-check": r"gradient check",
        "grpo": r"\bGRPO\b",
        "interquartile-mean": r"[Ii]nterquartile mean|\bIQM\b",
        "inverse-cdf": r"inverse CDF",
        "jacobian": r"\bJacobian\b",
        "kl-divergence": r"\bKL\b",
        "lane": r"\blanes?\b",
        "law": r"\blaw of \$n\$",
        "leave-one-out": r"[Ll]eave one out|[Ll]eave-one-out",
        "logit": r"\blogits?\b",
        "loss": r"\bloss(?:es)?\b",
        "mask": r"\bmask\b",
        "micro-batch": r"micro-batch(?:es)?",
        "natural-gradient": r"[Nn]atural gradient",
        "negative-control": r"negative control",
        "noise-scale": r"noise scale",
        "one-hot": r"\bone-hot\b",
        "padding": r"\bpadd(?:ing|ed)\b",
        "paired-difference": r"paired difference",
        "policy": r"\bpolicy\b(?!-)",
        "pool": r"\bpool\b",
        "potential": r"\bpotential\b",
        "ratio-estimator": r"ratio estimator",
        "reduction": r"\breductions?\b",
        "reinforce": r"\bREINFORCE\b",
        "reward-to-go": r"[Rr]ewards?-to-go",
        "rloo": r"\bRLOO\b",
        "schedule-and-tilt": r"\btilt\b",
        "score": r"\bscores?\b(?! \d)",
        "sgd": r"\bSGD\b",
        "shaping": r"\b[Ss]haping\b",
        "smoke-test": r"\*\*smoke\*\*|[Ss]moke test",
        "softmax": r"\bsoftmax\b",
        "standard-error": r"standard errors?",
        "standardise": r"\b[Ss]tandardis(?:e|ed|es|ing)\b",
        "terminated": r"\bterminated\b",
        "token": r"\btokens?\b",
        "trajectory": r"\b[Tt]rajector(?:y|ies)\b",
        "truncated": r"\btruncated\b",
        "typical-length": r"typical length",
        "variance": r"\b[Vv]ariance\b",
        "wald-s-identity": r"Wald's identity",
        "weight-decay": r"weight decay",
    }.items()
}


def first_uses(books, terms=TERMS):
    """Words of the glossary that are used before any link to their meaning: (anchor, cell)."""
    closed = r"\$\$.*?\$\$|\$[^$]*\$|```.*?```|^#[^\n]*|^\|[^\n]*|<[^>]*>"
    spans, links = r"|`[^`]*`", r"\[([^\]]*)\]\([^)]*\)"
    left, bad = dict(terms), []
    for cell in itertools.chain.from_iterable(book.cells for book in books):
        apart = cell.id.startswith(("ex-", "quiz")) or cell.metadata.slideshow.slide_type == "notes"
        for anchor, pattern in list(left.items()):
            source = cell.source
            if cell.cell_type == "code" or apart:
                used = not apart and pattern[0] == "`" and f"{pattern[1:-1]}(" in source
            elif f"GLOSSARY.md#{anchor})" in source:
                used = left.pop(anchor) is None
            else:
                words = re.sub(
                    closed + ("" if pattern[0] == "`" else spans), "", source, flags=re.S | re.M
                )
                used = re.search(pattern, re.sub(links, "", words))
            if used:
                bad.append((anchor, cell.id))
                del left[anchor]
    return bad, sorted(left)


def test_a_word_links_to_the_glossary_where_the_course_uses_it_first():
    books = [reading.book(path) for path in PATHS if path.stem[:2] != "14"]
    unlinked, unused = first_uses(books)
    assert unlinked == []
    assert unused == []


def test_a_word_that_is_used_before_its_link_is_seen():
    first = shown(("slide", "The $baseline$, a `baseline`"), ("-", "Add a baseline."))
    linked = shown(("-", "A [baseline](GLOSSARY.md#term-baseline)."), ("-", "Two baselines."))
    words = {"term-baseline": r"\bbaselines?\b"}
    assert first_uses([first, linked], words) == ([("term-baseline", "c1")], [])
    assert first_uses([linked, first], words) == ([], [])
    assert first_uses([shown(("-", "Nothing."))], words) == ([], ["term-baseline"])
    sums = shown(("-", "run(np.einsum('n->', P))"))
    assert first_uses([sums], {"term-einsum": "`einsum`"}) == ([("term-einsum", "c0")], [])


def test_each_word_of_the_glossary_has_an_anchor_of_its_own_and_stands_in_its_place():
    text = (ROOT / "notebooks" / "GLOSSARY.md").read_text(encoding="utf-8")
    rows = re.findall(r'^\| ([^|]+?) \| <a id="([^"]+)"></a>\S.* \|$', text, flags=re.MULTILINE)
    assert len(rows) == len(re.findall(r"^\| ", text, flags=re.MULTILINE)) - 1  # the heading
    words = [
        re.sub(r"\(.*?\)", "", word.split(",")[0]).strip().lower().strip("`") for word, _ in rows
    ]
    assert words == sorted(words)
    anchors = [anchor for _, anchor in rows]
    assert anchors == ["term-" + re.sub(r"[^a-z0-9]+", "-", word).strip("-") for word in words]
    assert set(TERMS) <= set(anchors)


UNENGLISH = [  # what occurred: pattern -> what was meant
    r"\b[Cc]an not\b",
    r"[:;,.] [Ww]ho (?:wants|starts|descends|sums|takes|needs|says|types)\b[^?]*?[.!]",
    r"\bread (?:the last line|it) so\b",
    r"\bstill to be written\b",
]


def unenglish(book):
    """Turns of phrase that no English reader would write, with the cells in which they stand."""
    cells = [cell for cell in book.cells if cell.cell_type == "markdown"]
    return [(c.id, m[0]) for c in cells for p in UNENGLISH for m in re.finditer(p, c.source)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_no_turn_of_phrase_that_was_mended_comes_back(path):
    assert unenglish(reading.book(path)) == []


def test_the_package_and_the_tests_write_cannot_in_one_word():
    apart = {
        str(path.relative_to(ROOT)): line
        for folder in ("coursekit", "tests")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(UNENGLISH[0], line)
    }
    assert list(apart) == ["tests/test_words.py"]  # where the sentence below must be seen


def test_a_turn_of_phrase_that_is_not_english_is_seen():
    bad = ["It can not.", "So: who wants more must walk.", "Read it so:".lower()]
    assert len(unenglish(shown(*[("-", words) for words in bad]))) == len(bad)
    assert (
        unenglish(shown(("-", "The question is: who wins? It cannot say. Ask who uses it."))) == []
    )
