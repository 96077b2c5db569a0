"""Everything public has a docstring, and one that raises says so."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "coursekit"
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent.name != "exercises"]


def public(body):
    """Functions and classes without an underscore, and what stands in those classes."""
    for node in body:
        named = isinstance(node, ast.FunctionDef | ast.ClassDef)
        if named and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def refuses(node):
    """Does it raise, or call a guard, itself?"""
    calls = (n.func for n in ast.walk(node) if isinstance(n, ast.Call))
    guarded = any(ast.unparse(call).startswith("guards.") for call in calls)
    return guarded or any(isinstance(n, ast.Raise) for n in ast.walk(node))


def faults(source):
    """What is public and has no docstring, or one that does not say that it refuses input."""
    tree, found = ast.parse(source), []
    if not ast.get_docstring(tree):
        found.append("the module has no docstring")
    for node in public(tree.body):
        text = ast.get_docstring(node) or ""
        if not text:
            found.append(f"{node.name} has no docstring")
        silent = not re.search(r"Error|[Rr]aise|[Rr]efuse", text)
        if text and silent and isinstance(node, ast.FunctionDef) and refuses(node):
            found.append(f"{node.name} raises, and its docstring does not say so")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_everything_public_has_a_docstring_that_says_its_errors(path):
    found = faults(path.read_text(encoding="utf-8"))
    if path.name == "guards.py":  # all of it raises; its first lines say so
        found = [fault for fault in found if "raises" not in fault]
    assert found == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("x = 1", "the module"),
        ("'m'\ndef f(): pass", "f has no docstring"),
        ("'m'\nclass A:\n 'c'\n def f(self): pass", "f has no docstring"),
        ("'m'\ndef f():\n 'd'\n raise E", "f raises, and"),
        ("'m'\ndef f(x):\n 'd'\n guards.count('x', x)", "f raises, and"),
    ],
)
def test_each_fault_is_seen(source, fault):
    assert [found for found in faults(source) if found.startswith(fault)]


def test_what_is_said_or_private_is_no_fault():
    assert faults("'m'\ndef f():\n 'd; ValueError for x'\n raise E\ndef _g(): raise E") == []
