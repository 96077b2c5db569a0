"""The course as a web site: Sphinx with MyST-NB, from the stored outputs, without a network.

Every page works from ``file://`` and behind a sub-path: all addresses are relative, MathJax and the
theme are copied beside the pages, and a figure is a file of its own.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import json
import re
import shutil
import textwrap
import tomllib
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from PIL import Image

from coursekit import explorables
from coursekit.publish import execute, marks

ROOT = execute.ROOT
PAGES = Path(__file__).with_name("pages")  # what is written for the site alone
FIGURE = re.compile(r'<img (.*?)src="data:image/png;base64,([\w+/=]+)">', flags=re.DOTALL)
CONFIG = {
    "project": "Sum or mean?",
    "html_title": "Sum or mean?",
    "extensions": ["myst_nb", "sphinx_copybutton", marks.__name__],
    "nb_execution_mode": "off",
    "nb_merge_streams": True,
    "myst_enable_extensions": ["dollarmath", "colon_fence", "attrs_block"],
    "myst_dmath_double_inline": True,
    "html_theme": "furo",
    "html_static_path": ["_static"],
    "html_extra_path": ["_extra"],
    "html_css_files": ["course.css"],
    "html_js_files": ["course.js"],
    "html_show_sourcelink": False,
    "html_copy_source": False,
    "html_show_sphinx": False,
    "html_show_search_summary": False,  # it would fetch pages, which file:// does not let it
    "html_baseurl": "",
    "pygments_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "mathjax_path": "tex-svg.js",
    "copybutton_selector": "div.cell_input pre, div.highlight-python pre, div.highlight-sh pre",
    "html_theme_options": {
        "top_of_page_buttons": [],
        "light_css_variables": {"color-brand-primary": "#0b5c94", "color-brand-content": "#0b5c94"},
        "dark_css_variables": {"color-brand-primary": "#7cc0f5", "color-brand-content": "#7cc0f5"},
    },
    "suppress_warnings": ["ref.python"],  # two classes of one name: no reader misses that link
}


def build(out: Path) -> Path:
    """Write the site to the folder ``out``; returns its first page.

    Nothing is done where no source has changed. Else what has changed is read again, and all is
    written again: Sphinx drops from the search what it does not write. All is read again after a
    build that was stopped, which may have left half a page, or one with faults, which it would not
    tell twice. ValueError where anything at all is wrong: a warning of Sphinx is an error here.
    """
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    work, unfinished = (out.with_name(f".{out.name}{end}") for end in ("", ".unfinished"))
    if unfinished.exists():
        for folder in (out, work):
            shutil.rmtree(folder, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    unfinished.touch()
    sources = work / "sources"
    known, said = write(sources), io.StringIO()
    made_of, made = fingerprint(sources, known), work / "made.json"
    if made.exists():
        before = json.loads(made.read_text(encoding="utf-8"))
        if before["of"] == made_of and all((out / name).exists() for name in before["files"]):
            unfinished.unlink()
            return out / "index.html"
        made.unlink()
    for style in out.glob("_static/mystnb.*.css"):  # MyST-NB writes it last: where an earlier one
        style.unlink()  # lies there, Sphinx gives it another address
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            srcdir=sources,
            confdir=sources,
            outdir=out,
            doctreedir=work / "doctrees",
            buildername="html",
            confoverrides=known,
            status=None,
            warning=said,
            warningiserror=True,
            exception_on_warning=False,
        )
        app.build(force_all=True)
    if app.statuscode:
        raise ValueError(f"the site has faults:\n{said.getvalue()}")
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    made.write_text(json.dumps({"of": made_of, "files": files}), encoding="utf-8")
    unfinished.unlink()
    return out / "index.html"


def fingerprint(sources: Path, known: dict) -> str:
    """A hash of all that Sphinx reads, and of what else makes the pages."""
    tools = [f"{name} {version(name)}" for name in ("sphinx", "furo", "myst-nb")]
    settings = json.dumps([tools, CONFIG, known], sort_keys=True, default=repr)
    digest = hashlib.sha256(settings.encode("utf-8"))
    for path in sorted(path for path in sources.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(sources)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    digest.update(Path(marks.__file__).read_bytes())
    return digest.hexdigest()


def write(sources: Path) -> dict:
    """Write what Sphinx reads; returns what ``marks`` needs to know of all pages together."""
    paths = sorted(execute.NOTEBOOKS.glob("*.ipynb"))
    books = {path.stem: execute.read(path) for path in paths}
    stored = execute.NOTEBOOKS / "report.json"
    report = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else {}
    known_as = repository()
    texts = {
        f"{stem}.ipynb": nbformat.writes(page(book, stem, sources, known_as))
        for stem, book in books.items()
    }
    texts |= {
        path.name: path.read_text(encoding="utf-8") for path in execute.NOTEBOOKS.glob("*.md")
    }
    texts |= {path.name: filled(path, books, report) for path in PAGES.glob("*.md")}
    texts |= api()
    texts["conf.py"] = f"from {__name__} import CONFIG\n\nglobals().update(CONFIG)\n"
    texts |= {f"_static/{path.name}": path.read_text("utf-8") for path in PAGES.glob("course.*")}
    for name, text in texts.items():
        put(sources / name, text.encode("utf-8"))
    for path in paths:
        put(sources / "_extra" / "notebooks" / path.name, path.read_bytes())
    for name in explorables.TITLES:
        page_of_its_own = explorables.page(name).encode("utf-8")
        put(sources / "_extra" / "explorables" / f"{name}.html", page_of_its_own)
    for name in execute.PICTURES:
        put(sources / "_static" / name, (execute.NOTEBOOKS / name).read_bytes())
    mathjax = files("sphinx-mathjax-offline") / "static" / "mathjax" / "tex-svg.js"
    put(sources / "_static" / "tex-svg.js", mathjax.read_bytes())
    for path in sources.glob("*.*"):  # of an earlier build
        if path.name not in texts:
            path.unlink()
    return {
        "course_marks": marks.known({stem: prose(book) for stem, book in books.items()}),
        "course_terms": marks.terms(texts["GLOSSARY.md"]),
        "course_report": {
            line["tag"]: marks.measured(line)
            for entry in report.values()
            for line in entry["verified"]
            if line["kind"] == "claim"
        },
    }


def put(path: Path, data: bytes) -> None:
    """Write a file, unless it holds the same already: its time says whether it was changed."""
    if path.exists() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def prose(book: NotebookNode) -> str:
    """All the Markdown of a notebook."""
    return "\n\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")


def page(book: NotebookNode, stem: str, sources: Path, known_as: str = "") -> NotebookNode:
    """A notebook as a page: no speaker's notes, solutions folded, figures as files.

    ``known_as``: OWNER/NAME of the public repository, where there is one.
    """
    kept = [c for c in book.cells if c.metadata.slideshow.slide_type != "notes"]
    book = nbformat.v4.new_notebook(metadata=book.metadata, cells=kept)
    for cell in book.cells:
        if cell.cell_type == "markdown":
            cell.source = markdown(cell.source)
        else:
            fold(cell)
            for output in cell.outputs:
                shown(output, sources)
    first = next(cell for cell in book.cells if cell.cell_type == "markdown")
    title, _, rest = first.source.partition("\n")
    first.source = f"{title}\n\n{launch(stem, known_as)}\n{rest}"
    return book


def markdown(source: str) -> str:
    """Markdown as MyST reads it: anchors as targets, what is folded as Markdown and not as HTML."""
    source = re.sub(r'^<a id="([\w-]+)"></a>\s*', r"(\1)=\n", source, flags=re.MULTILINE)
    link = r'<a class="term" href="GLOSSARY.html#\2">\1</a>'
    source = re.sub(r"\[([^]\[]+)\]\(GLOSSARY\.md#([\w-]+)\)", link, source)
    source = re.sub(r"(<details>)(<summary>.*?</summary>)\s*", r"\n\1\2\n\n", source)
    return re.sub(r"\s*</details>", "\n\n</details>\n", source)


def fold(cell: NotebookNode) -> None:
    """Close what a reader opens when he wants it: solutions, imports, the code of a figure."""
    tags = set(cell.metadata.get("tags", []))
    drawn = any("base64," in str(output) for output in cell.outputs)
    named = "the solution" if "solution" in tags else "the code of this figure" if drawn else None
    named = "the imports" if cell.id == "setup" else named
    cell.metadata = nbformat.from_dict({"tags": sorted(tags & {"solution", "exercise"})})
    if named:
        cell.metadata.tags.append("hide-cell" if "solution" in tags else "hide-input")
        shown = {"code_prompt_show": f"Show {named}", "code_prompt_hide": f"Hide {named}"}
        cell.metadata["mystnb"] = shown


def shown(output: NotebookNode, sources: Path) -> None:
    """Write the pictures of an output beside the page, and let it point to them."""
    data = output.get("data", {})
    data.pop("image/png", None)  # the same picture
    if "text/html" in data:
        data["text/html"] = FIGURE.sub(lambda m: figure(m, sources), data["text/html"])


def figure(found: re.Match, sources: Path) -> str:
    """One picture: its file is named by its content, so that a browser keeps it.

    It says how high it is, so that the page keeps its length when it is loaded.
    """
    data = base64.b64decode(found[2])
    wide, high = Image.open(io.BytesIO(data)).size
    said = re.search(r'width="(\d+)"', found[1])
    size = f'height="{round(int(said[1]) * high / wide)}" ' if said else ""
    name = f"{hashlib.sha256(data).hexdigest()[:12]}.png"
    put(sources / "_static" / "figures" / name, data)
    return f'<img loading="lazy" {size}{found[1]}src="_static/figures/{name}">'


def launch(stem: str, repository: str) -> str:
    """The buttons below a notebook's title; two more where the course has a public address."""
    buttons = [
        f'<a download href="notebooks/{stem}.ipynb">Download this notebook</a>',
        '<a href="run.html">Run it</a>',
    ]
    if repository:
        binder = f"https://mybinder.org/v2/gh/{repository}/HEAD?labpath=notebooks/{stem}.ipynb"
        colab = "https://colab.research.google.com/github"
        buttons += [
            f'<a href="{binder}">Binder</a>',
            f'<a href="{colab}/{repository}/blob/HEAD/notebooks/{stem}.ipynb">Colab</a>',
        ]
    return f'<p class="launch">{" ".join(buttons)}</p>\n'


def repository() -> str:
    """OWNER/NAME on GitHub, as pyproject.toml says it, or nothing; ValueError for what is neither.

    It is ``repository`` of [tool.coursekit].
    """
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    said = known.get("coursekit", {}).get("repository", "")
    if said and not re.fullmatch(r"[\w.-]+/[\w.-]+", said):
        raise ValueError(f"repository = {said!r} in pyproject.toml must be like 'OWNER/NAME'")
    return said


def filled(path: Path, books: dict[str, NotebookNode], report: dict) -> str:
    """A page of the site with its {{marks}} filled in."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    values = {
        "contents": "\n".join(books),
        "notebooks": section(readme, "The notebooks").replace(
            "#the-detective-alone", "detective.md"
        ),
        "detective": section(readme, "The detective alone"),
        "start": section(readme, "Start"),
        "run": section(readme, "What was tried, and what was not"),
        "api": "\n".join(
            f"- [`coursekit.{name}`](api_{name}.rst): {first_sentence(path)}"
            for name, path in modules().items()
        ),
        "explorables": "\n".join(
            f'- <a href="explorables/{name}.html">{title}</a>'
            for name, title in explorables.TITLES.items()
        ),
        "versions": "; ".join(sorted({entry["versions"] for entry in report.values()})),
        "verified": "\n\n".join(
            verified(name, book, report.get(name)) for name, book in books.items()
        ),
    }
    for name, (book, cell) in execute.PICTURES.items():
        if book[:-6] in books:
            values[Path(name).stem] = execute.picture(execute.NOTEBOOKS / book, cell)[0]
    return re.sub(
        r"\{\{(\w+)\}\}", lambda found: values[found[1]], path.read_text(encoding="utf-8")
    )


def verified(name: str, book: NotebookNode, entry: dict | None) -> str:
    """The table of one notebook: each equation and claim, what was allowed and what was found."""
    title = book.cells[0].source.partition("\n")[0].removeprefix("# ")
    if entry is None:
        return f"## {title}\n\nNo run of this notebook is stored."
    sentences = dict(
        re.findall(r"^\*\*Claim (\d+\.\d+)\.\*\* (.+)", prose(book), flags=re.MULTILINE)
    )
    equations, claims = [], []
    for line in entry["verified"]:
        tag, value = line["tag"], line["value"]
        if line["kind"] == "equation":
            equations.append(f"| ({tag}) | {value:.1e} | {line['bound']:g} |")
        else:
            said = sentences[tag].replace("|", "\\|")
            claims.append(f"| claim {tag} | {said} | {marks.measured(line)} |")
    parts = [f"## {title}", f"[The notebook]({name}.ipynb); master seed {entry['seed']}."]
    if equations:
        parts += ["\n".join(["| equation | difference | allowed |", "|---|---|---|", *equations])]
    if claims:
        parts += ["\n".join(["| claim | sentence | found |", "|---|---|---|", *claims])]
    return "\n\n".join(parts)


def section(text: str, heading: str) -> str:
    """What stands under a heading of a Markdown text, without it."""
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\]\(notebooks/", "](", found[1])
    return re.sub(r"\[([^]]*)\]\((?:LICENSE|CONTRIBUTING\.md)\)", r"\1", text)


def modules() -> dict[str, Path]:
    """The modules that a reader may call: dotted name below coursekit -> file."""
    package, found = ROOT / "coursekit", {}
    for path in sorted(package.rglob("*.py")):
        name = ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
        if name.partition(".")[0] not in (
            "__init__",
            "__main__",
            "install",
            "exercises",
            "publish",
        ):
            found[name] = path
    return found


def docstring(node: ast.AST) -> str:
    """The docstring of a piece of a program as reStructuredText."""
    return marks.plain(ast.get_docstring(node) or "")


def first_sentence(path: Path) -> str:
    """What a module is for."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return doc.partition("\n\n")[0].replace("\n", " ").replace("``", "`")


def api() -> dict[str, str]:
    """A page for each module, from its docstrings; read, not imported. ``api.md`` links them."""
    pages = {}
    for name, path in modules().items():
        tree, title = ast.parse(path.read_text(encoding="utf-8")), f"coursekit.{name}"
        parts = [
            ":orphan:",
            f"{title}\n{'=' * len(title)}",
            f".. py:module:: {title}",
            docstring(tree),
        ]
        parts += [described(node) for node in tree.body]
        pages[f"api_{name}.rst"] = "\n\n".join(filter(None, parts)) + "\n"
    return pages


def described(node: ast.AST) -> str:
    """A public function, or a class with its methods, with signature and docstring; else ""."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
        return ""
    if isinstance(node, ast.FunctionDef):
        result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        head = f".. py:function:: {node.name}({ast.unparse(node.args)}){result}"
        inside = []
    else:
        head = f".. py:class:: {node.name}"
        inside = [described(part).replace("py:function", "py:method", 1) for part in node.body]
    body = "\n\n".join(filter(None, [docstring(node), *inside]))
    return f"{head}\n\n{textwrap.indent(body, '   ')}"
