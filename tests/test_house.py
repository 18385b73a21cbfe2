"""The rules of CONTRIBUTING.md and docs/architecture.md that a program can check."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

PAGES = sorted((ROOT / "pages").glob("*.py"))
SCREENS = [ROOT / "app.py", *PAGES, *sorted((ROOT / "widgets").rglob("*.py"))]
CORE = sorted((ROOT / "red_core").rglob("*.py"))
STEPS = sorted((ROOT / "red_core" / "steps").glob("*.py"))
SCRIPTS = sorted((ROOT / "widgets").rglob("*.js"))
LONGEST = {".py": 400, ".js": 250}
"""Lines of a file."""
MOST_PARAMETERS = 6
"""A function with more has a comment that says why."""
RENDERS_MARKUP = {"unsafe_allow_html", "unsafe_allow_javascript"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the name of every module that a file imports, at the top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def test_there_are_six_pages() -> None:
    assert [path.stem for path in PAGES] == ["data", "label_map", "overview", "results", "review", "rounds"]


def test_streamlit_keeps_the_settings_that_protect() -> None:
    settings = tomllib.loads((ROOT / ".streamlit/config.toml").read_text("utf-8"))
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["server"]["allowedHosts"] == ["localhost", "127.0.0.1"]
    assert settings["browser"]["gatherUsageStats"] is False
    assert (settings["client"]["showErrorDetails"], settings["client"]["showErrorLinks"]) == ("type", False)
    assert settings["client"]["disableDataExport"] is True
    for off in ("enableCORS", "enableXsrfProtection", "enableAgentApi", "enableStaticServing"):
        assert off not in settings["server"]  # their defaults protect


@pytest.mark.parametrize("path", SCREENS, ids=named)
def test_screens_speak_no_sql(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(parsed(path))}
    assert not roots & {"sqlite3", "sqlite_utils"}


@pytest.mark.parametrize("path", SCREENS, ids=named)
def test_screens_render_no_markup(path: Path) -> None:
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
    assert not called & {"html", "write", "latex"}  # each of them renders markup, also from a text of a user
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
def test_every_step_has_a_docstring(path: Path) -> None:
    tree = parsed(path)
    assert ast.get_docstring(tree)
    inside = [node for outer in tree.body if isinstance(outer, ast.ClassDef) for node in outer.body]
    without = [
        node.name
        for node in [*tree.body, *inside]
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")  # the name of a private one is enough
        and not ast.get_docstring(node)
    ]
    assert without == []


@pytest.mark.parametrize("path", [*CORE, *SCREENS, *SCRIPTS], ids=named)
def test_files_are_short_enough_to_read(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST[path.suffix]


def test_the_length_is_checked_in_every_folder_with_code() -> None:
    checked = {path.parent for path in (*CORE, *SCREENS, *SCRIPTS)}
    folders = {path.parent for place in ("pages", "widgets", "red_core") for path in (ROOT / place).rglob("*.[pj][ys]")}
    assert folders <= checked
    assert {path.suffix for path in SCRIPTS} == {".js"}


def parameters_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the names of the parameters, without ``self`` and ``cls``."""
    given = function.args
    named_ones = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return [each.arg for each in named_ones if each is not None and each.arg not in {"self", "cls"}]


def has_reason(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> bool:
    """Return whether a comment in words stands above the function, or beside its parameters."""
    above = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)]) - 2
    signature = lines[function.lineno - 1 : function.body[0].lineno - 1]
    comments = [line.split("  # ", 1)[1] for line in signature if "  # " in line]
    if above >= 0 and lines[above].strip().startswith("# "):
        comments.append(lines[above].strip()[2:])
    return any(not comment.startswith(("noqa", "type:", "fmt:")) for comment in comments)


@pytest.mark.parametrize("path", [*CORE, *SCREENS], ids=named)
def test_a_function_of_many_parameters_says_why(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    functions = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [each for each in functions if len(parameters_of(each)) > MOST_PARAMETERS]
    assert [each.name for each in long if not has_reason(each, lines)] == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def f(a, b): ...", False),
        ("def f(a, b):  # noqa: PLR0913\n    ...", False),
        ("def f(\n    a,  # each is a column\n    b,\n):\n    ...", True),
        ("# each is a column\ndef f(a, b): ...", True),
        ("# each is a column\n@cache\ndef f(a, b): ...", True),
        ("# about x\nx = 1\n\n\ndef f(a, b): ...", False),
    ],
)
def test_a_reason_is_a_comment_above_or_beside_the_parameters(source: str, reason: bool) -> None:
    (function,) = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    assert has_reason(function, source.splitlines()) == reason
    assert parameters_of(function) == ["a", "b"]


FACES = {
    "access": "Person acting_as current_user login refuse_open_address refuse_viewers sign_in_is_on",
    "data": "back_up import_files make_demo restore restore_decisions write_left_out",
    "encoders": "CATALOGUE EncoderSpec encode known_encoder language_names languages_of parse_spec pinned",
    "judges": "Judge SelfTest judge_check judge_server make_evidence_check make_llm_judge stored_self_test "
    "write_meanings",
    "labels": "apply_edit draw_pool_map export_label_set form_subsets measure_drift preview read_label_set",
    "results": "FolderReport export is_folder predict predict_folder",
    "review": "FeedBackPlan Provenance decide feed_back plan_feed_back summary undo",
    "rounds": "follow_job mark_interrupted prepare project_status recommendation run_round start_job",
    "takeaway": "RedClassifier",
    "training": "Model ValidSamples embed_missing load_model model_file train valid_samples",
}
"""The names that the ``__init__.py`` of each room exports; the other rooms export nothing."""


@pytest.mark.parametrize("room", [path.parent.name for path in (ROOT / "red_core").glob("*/__init__.py")])
def test_a_room_exports_these_names(room: str) -> None:
    face = import_module(f"red_core.{room}")
    assert sorted(getattr(face, "__all__", [])) == sorted(FACES.get(room, "").split())


@pytest.mark.parametrize("path", [*SCREENS, *CORE], ids=named)
def test_what_a_room_exports_is_imported_from_the_room(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.count(".") == 2:
            _, room, _ = node.module.split(".")
            inside = path.is_relative_to(ROOT / "red_core" / room)
            assert inside or not {alias.name for alias in node.names} & set(FACES.get(room, "").split()), node.module


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=named)
def test_no_test_imports_another(path: Path) -> None:
    assert not [name for name in imported(parsed(path)) if name.split(".")[-1].startswith("test_")]


@pytest.mark.parametrize("path", SCREENS, ids=named)
def test_what_a_person_unfolds_stays_open(path: Path) -> None:
    """An expander or popover without a key is found by its place: something new above it would fold it again."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            names = {keyword.arg for keyword in node.keywords}
            folds = node.func.attr in {"expander", "popover"} and not names & {"key", "expanded"}
            assert not folds or path.name == "untrusted.py", f"line {node.lineno} needs a key"


@pytest.mark.parametrize("path", [path for path in SCREENS if path.name != "reasons.py"], ids=named)
def test_a_screen_says_why_something_failed_without_a_path_of_the_server(path: Path) -> None:
    """``widgets/shell/reasons.py`` has the only code that turns an error, or that of a job, into words."""
    for node in ast.walk(parsed(path)):
        of_a_job = isinstance(node, ast.Attribute) and node.attr == "error" and ast.unparse(node.value) == "job"
        assert not of_a_job, f"line {node.lineno}: use why_ended"
        of_an_error = isinstance(node, ast.Call) and ast.unparse(node) == "str(error)"
        assert not of_an_error, f"line {node.lineno}: use reason_of"
