"""The rules of the house that a reader would otherwise have to check by eye."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "pages").glob("*.py"))
SCREENS = [ROOT / "app.py", *PAGES, *sorted((ROOT / "widgets").glob("*.py"))]
STEPS = sorted((ROOT / "red_core" / "steps").glob("*.py"))
RENDERS_MARKUP = {"unsafe_allow_html", "unsafe_allow_javascript"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield every module that is imported, anywhere in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def test_there_are_five_pages() -> None:
    assert [path.stem for path in PAGES] == ["data", "label_map", "results", "review", "rounds"]


@pytest.mark.parametrize("path", SCREENS, ids=named)
def test_screens_speak_no_sql(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(parsed(path))}
    assert not roots & {"sqlite3", "sqlite_utils"}


@pytest.mark.parametrize("path", SCREENS, ids=named)
def test_screens_render_no_markup_of_their_own(path: Path) -> None:
    tree = parsed(path)
    arguments = {keyword.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords}
    assert not arguments & RENDERS_MARKUP
    called = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "st"
    }
    assert not called & {"html", "write", "latex"}  # each would render a text from outside
    assert "unsafe_allow_html" not in path.read_text("utf-8")


@pytest.mark.parametrize("path", SCREENS, ids=named)
def test_arrows_point_down(path: Path) -> None:
    modules = set(imported(parsed(path)))
    above = {"widgets": {"pages", "app"}, "pages": {"pages", "app"}}.get(path.parent.name, {"pages"})
    assert not {module.split(".")[0] for module in modules} & above


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_a_page_begins_inside_the_shell(path: Path) -> None:
    body = parsed(path).body
    after_imports = next(
        node
        for node in body
        if not isinstance(node, ast.Import | ast.ImportFrom)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    )
    assert ast.unparse(after_imports) == "inside_the_shell()"


@pytest.mark.parametrize("path", STEPS, ids=named)
def test_every_step_says_what_it_does(path: Path) -> None:
    tree = parsed(path)
    assert ast.get_docstring(tree)
    inside = [node for outer in tree.body if isinstance(outer, ast.ClassDef) for node in outer.body]
    silent = [
        node.name
        for node in [*tree.body, *inside]
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")  # a private one may say it in its name
        and not ast.get_docstring(node)
    ]
    assert silent == []


@pytest.mark.parametrize("path", [*STEPS, *SCREENS], ids=named)
def test_files_are_short_enough_to_read(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400
