"""Eight processes act on one project at once, four of them 20 times a second: nothing acknowledged is lost."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import ExitStack

import pytest

from red_core.cli.doctor import examine
from red_core.records import Project
from red_core.results.exports import export
from red_core.rounds import run_round
from red_core.store.database import connection
from red_core.store.label_undo import edits
from red_core.store.rounds import list_rounds
from tests.helpers.prepared_process import prepared_red
from tests.helpers.project_facts import is_sound
from tests.helpers.small_projects import FAST, small_project

__all__ = ["prepared_red"]

CROWD = {
    "ann": "press", "bob": "press", "eve": "press", "joe": "press", "kim": "audit", "lee": "edit", "mia": "work",
    "sam": "read",
}  # fmt: skip


@pytest.mark.parametrize(
    "seconds", [5, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(600)])], ids=["", "five minutes"]
)
def test_eight_processes_at_once_lose_nothing(seconds, workspace, tmp_path, prepared_red, capsys):
    project = small_project(workspace)
    run_round(project, FAST)
    with ExitStack() as files:
        running = {}
        for who, role in CROWD.items():
            told, errors = (files.enter_context((tmp_path / f"{who}.{kind}").open("wb")) for kind in ("told", "errors"))
            command = [sys.executable, "-m", "tests.helpers.crowd", role, str(workspace), project.name, who]
            running[who] = prepared_red.start([*command, str(seconds)], stdout=told, stderr=errors)
        codes = {who: process.wait(seconds + 120) for who, process in running.items()}
    assert codes == dict.fromkeys(CROWD, 0), [(tmp_path / f"{who}.errors").read_text("utf-8") for who in CROWD]
    done, refused = dict[str, list[str]](), Counter[str]()
    for who in CROWD:
        lines = [json.loads(line) for line in (tmp_path / f"{who}.told").read_text("utf-8").splitlines()]
        done[who] = [line["done"] for line in lines if "done" in line]
        refused.update(line["refused"] for line in lines if "refused" in line)
    counts = {f"{who} ({role})": len(done[who]) for who, role in CROWD.items()}
    with capsys.disabled():
        sys.stdout.write(f"\n{seconds} s: {counts}, refused: {refused.total()}, most often: {refused.most_common(3)}\n")
    assert all(len(words.splitlines()) == 1 and "Traceback" not in words for words in refused)
    assert all(done[who] for who, role in CROWD.items() if role != "edit"), refused

    for who, role in CROWD.items():
        if role == "press":
            assert acts(project, "decision", who) == done[who]
    assert acts(project, "audit_answer", "kim") == done["kim"]
    assert len([made for made in edits(project) if made.who == "lee"]) == len(done["lee"])
    last = {number: state for number, _, state in (told.partition(" ") for told in done["mia"])}
    assert {str(one.id): one.state for one in list_rounds(project) if str(one.id) in last} == last
    assert is_sound(project)
    broken = [finding for finding in examine(workspace, project.name) if finding.state == "broken"]
    assert broken == []
    export(project, tmp_path / "labels.csv")


def acts(project: Project, table: str, who: str) -> list[str]:
    """Return the request ids of a person's stored acts, oldest first."""
    with connection(project) as db:
        return [act for (act,) in db.execute(f"SELECT act FROM {table} WHERE who = ? ORDER BY id", [who])]
