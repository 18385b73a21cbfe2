"""The rules of the house that a reader would otherwise have to check by eye."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

PAGES = sorted((ROOT / "pages").glob("*.py"))
SCREENS = [ROOT / "app.py", *PAGES, *sorted((ROOT / "widgets").rglob("*.py"))]
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
    above = {"pages"} if path.name == "app.py" else {"pages", "app"}
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


FACES = {
    "access": "Person acting_as current_user login refuse_open_address refuse_viewers sign_in_is_on",
    "data": "back_up import_files make_demo restore restore_decisions write_left_out",
    "judges": "Judge SelfTest evidence_check judge_check judge_server llm_judge stored_self_test write_meanings",
    "labels": "apply_edit draw_pool_map export_label_set form_subsets measure_drift preview read_label_set",
    "results": "FolderReport export is_folder predict predict_folder",
    "review": "FeedBackPlan Provenance decide feed_back plan_feed_back summary undo",
    "rounds": "follow_job mark_interrupted prepare project_status recommendation run_round start_job",
    "training": "Model ValidSamples embed_missing encode load_model model_file train valid_samples",
}
"""What each room hands on; rooms that are not here hand on nothing."""


@pytest.mark.parametrize("room", [path.parent.name for path in (ROOT / "red_core").glob("*/__init__.py")])
def test_a_room_hands_on_what_it_says(room: str) -> None:
    face = import_module(f"red_core.{room}")
    assert sorted(getattr(face, "__all__", [])) == sorted(FACES.get(room, "").split())


@pytest.mark.parametrize("path", [*SCREENS, *sorted((ROOT / "red_core").rglob("*.py"))], ids=named)
def test_what_a_room_hands_on_is_taken_from_the_room(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.count(".") == 2:
            _, room, _ = node.module.split(".")
            inside = path.is_relative_to(ROOT / "red_core" / room)
            assert inside or not {alias.name for alias in node.names} & set(FACES.get(room, "").split()), node.module


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=named)
def test_no_test_imports_another(path: Path) -> None:
    assert not [name for name in imported(parsed(path)) if name.split(".")[-1].startswith("test_")]
