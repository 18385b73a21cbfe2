"""Compare the documents with the code."""

import ast
import json
import re
import tomllib

import pytest

import red_core
from red_core.cli import VERBS
from red_core.data import demo
from red_core.settings import PRESETS, Settings
from tests.helpers.paths import ROOT

README = (ROOT / "README.md").read_text("utf-8")


def article_steps() -> list[tuple[str, str]]:
    """Return (file, function) of each row of the article table."""
    table = README.split("## Article step, file, function")[1].split("\n## ")[0]
    return re.findall(r"^\| .+? \| (red_core/\S+) \| `(\w+)` \|$", table, re.MULTILINE)


def test_the_readme_is_at_most_150_lines():
    assert len(README.splitlines()) <= 150


def test_the_article_table_names_every_step_file():
    named = {file for file, _ in article_steps()}
    # These files are our own additions, not steps of the article.
    ours = {"belief.py", "judge_reliability.py", "out_of_fold.py", "lexical_features.py", "neighbour_features.py"}
    ours |= {
        "audit_statistics.py",
        "cell_search.py",
        "certificate.py",
        "certificate_forecast.py",
        "refitting.py",
        "drift.py",
        "none_clusters.py",
    }
    ours.add("unit_rows.py")
    ours.add("__init__.py")
    steps = {f"red_core/steps/{p.name}" for p in (ROOT / "red_core/steps").glob("*.py") if p.name not in ours}
    assert steps <= named


@pytest.mark.parametrize(("file", "function"), article_steps())
def test_each_function_of_the_article_table_is_in_its_file(file, function):
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def test_the_readme_names_every_verb():
    listed = re.search(r"`red (demo \|[^`]+)`", README)
    assert listed is not None
    assert {verb.strip() for verb in listed[1].split("|")} == set(VERBS)


def test_every_link_in_the_documents_has_a_target():
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"]
    for document in documents:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.mark.parametrize("name", ["reliability.md", "security.md"])
def test_every_test_that_a_document_names_exists(name):
    document = (ROOT / "docs" / name).read_text("utf-8")
    named = re.findall(r"`([\w/]+\.py)`:\s((?:`test_\w+`(?:,\s)?)+)", document)
    tests = [(file, test) for file, tests in named for test in re.findall(r"\w+", tests)]
    assert {test for _, test in tests} == set(re.findall(r"`(test_\w+)`", document))
    for file, test in tests:
        assert f"def {test}(" in (ROOT / "tests" / file).read_text("utf-8"), f"{file}: {test}"


def test_every_protection_that_the_security_document_promises_has_a_test():
    rows = [line for line in (ROOT / "docs/security.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    assert len(rows) > 25
    assert [row for row in rows[1:] if "`test_" not in row.split(" | ")[-1]] == []


def test_every_public_name_exists_and_has_a_docstring():
    for name in red_core.__all__:
        value = getattr(red_core, name)
        if callable(value):
            assert value.__doc__, name


def test_the_tree_in_the_architecture_document_is_the_tree_of_the_code():
    tree = (ROOT / "docs/architecture.md").read_text("utf-8").split("```")[1]
    drawn, parents = set(), [""] * 4
    for indent, name in re.findall(r"^( *)([\w.]+/?) ", tree, re.MULTILINE):
        depth = len(indent) // 2
        parents[depth] = parents[depth - 1] * (depth > 0) + name
        drawn.add(parents[depth])
    actual = {"server.py", "app.py", "pages/"}
    for top in ("red_core", "widgets"):
        rooms = {path.parent for path in (ROOT / top).rglob("*.py")}
        actual |= {f"{room.relative_to(ROOT).as_posix()}/" for room in rooms}
    actual |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "red_core").glob("*.py")} - {
        "red_core/__init__.py"
    }
    assert drawn == actual


def test_the_floors_in_the_architecture_document_are_the_layers_of_the_import_contract():
    table = (ROOT / "docs/architecture.md").read_text("utf-8").split("| floor | rooms |")[1].split("\n\n")[0]
    floors = [set(re.findall(r"`(\w+)`", line)) for line in table.splitlines() if "`" in line]
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"][0]
    assert floors == [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]


def test_the_settings_document_lists_every_setting_with_both_defaults():
    document = (ROOT / "docs/settings.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \| `(.*?)` \| .+ \|$", document, re.MULTILINE)
    defaults = [PRESETS[preset].model_dump(mode="json") for preset in ("recommended", "article")]
    wanted = [(name, *(json.dumps(preset[name]) for preset in defaults)) for name in Settings.model_fields]
    assert sorted(rows) == sorted(wanted)


@pytest.mark.timeout(600)  # it loads the real embedding model
def test_the_worked_example_of_the_api_runs(tmp_path, monkeypatch, capsys):
    """With the first labels and texts of the demo; the whole demo has its round in tests/cli."""
    for name, rows in (("SEEDS", 6 * 11), ("POOL", 80)):
        lines = getattr(demo, name).read_text("utf-8").splitlines(keepends=True)
        (tmp_path / f"{name}.csv").write_text("".join(lines[: 1 + rows]), "utf-8")
        monkeypatch.setattr(demo, name, tmp_path / f"{name}.csv")
    example = re.search(r"```python\n(.+?)```", (ROOT / "docs/api.md").read_text("utf-8"), re.DOTALL)
    assert example is not None
    exec(compile(example[1], "docs/api.md", "exec"), {"workspace": tmp_path})  # noqa: S102  running the example is the test
    output = capsys.readouterr().out
    assert "6 labels, 66 labelled examples" in output
    assert "round 1 is to review" in output
    assert (tmp_path / "labels.jsonl").stat().st_size > 0
