"""The documents say what is so."""

import ast
import re
import tomllib

import pytest

import red_core
from red_core.cli import main
from tests.helpers.paths import ROOT

README = (ROOT / "README.md").read_text("utf-8")


def article_steps() -> list[tuple[str, str]]:
    table = README.split("## Article step, file, function")[1].split("\n## ")[0]
    return re.findall(r"^\| .+? \| (red_core/\S+) \| `(\w+)` \|$", table, re.MULTILINE)


def test_the_readme_is_at_most_150_lines():
    assert len(README.splitlines()) <= 150


def test_the_article_table_names_every_step_file():
    named = {file for file, _ in article_steps()}
    # These are ours, not the article's.
    ours = {"belief.py", "judge_reliability.py", "out_of_fold.py", "lexical_features.py", "neighbour_features.py"}
    ours |= {"audit_statistics.py", "refitting.py", "drift.py", "none_clusters.py"}
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
    assert {verb.strip() for verb in listed[1].split("|")} == set(main.commands)


def test_every_link_in_the_documents_leads_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_test_that_promises_rest_on_is_there():
    told = (ROOT / "docs/reliability.md").read_text("utf-8")
    named = re.findall(r"`([\w/]+\.py)`:\s((?:`test_\w+`(?:,\s)?)+)", told)
    tests = [(file, name) for file, names in named for name in re.findall(r"\w+", names)]
    assert {name for _, name in tests} == set(re.findall(r"`(test_\w+)`", told))
    for file, name in tests:
        assert f"def {name}(" in (ROOT / "tests" / file).read_text("utf-8"), f"{file}: {name}"


def test_every_public_name_is_there_and_documented():
    for name in red_core.__all__:
        value = getattr(red_core, name)
        if callable(value):
            assert value.__doc__, name


def test_the_tree_in_the_architecture_is_the_tree_there_is():
    tree = (ROOT / "docs/architecture.md").read_text("utf-8").split("```")[1]
    drawn, above = set(), [""] * 4
    for indent, name in re.findall(r"^( *)([\w.]+/?) ", tree, re.MULTILINE):
        depth = len(indent) // 2
        above[depth] = above[depth - 1] * (depth > 0) + name
        drawn.add(above[depth])
    there = {"server.py", "app.py", "pages/"}
    for top in ("red_core", "widgets"):
        rooms = {path.parent for path in (ROOT / top).rglob("*.py")}
        there |= {f"{room.relative_to(ROOT).as_posix()}/" for room in rooms}
    there |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "red_core").glob("*.py")} - {"red_core/__init__.py"}
    assert drawn == there


def test_the_floors_in_the_architecture_are_those_of_the_contract():
    table = (ROOT / "docs/architecture.md").read_text("utf-8").split("| floor | rooms |")[1].split("\n\n")[0]
    floors = [set(re.findall(r"`(\w+)`", line)) for line in table.splitlines() if "`" in line]
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"][0]
    assert floors == [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]


def test_the_worked_example_of_the_api_runs(tmp_path, capsys):
    example = re.search(r"```python\n(.+?)```", (ROOT / "docs/api.md").read_text("utf-8"), re.DOTALL)
    assert example is not None
    exec(compile(example[1], "docs/api.md", "exec"), {"workspace": tmp_path})  # noqa: S102  that is the test
    told = capsys.readouterr().out
    assert "54 labels, 324 seeds" in told
    assert "round 1 is to review" in told
    assert (tmp_path / "labels.jsonl").stat().st_size > 0
