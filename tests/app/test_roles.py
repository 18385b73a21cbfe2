"""A viewer reads everything and changes nothing: every function that the screens use to write."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from red_core.access.who import Person, acting_as, current_user
from red_core.data.backup import back_up, restore
from red_core.data.decisions_import import restore_decisions
from red_core.data.demo import make_demo
from red_core.data.importing import import_files, store_prepared
from red_core.data.preparing import sort_rows
from red_core.data.tables import read_table
from red_core.encoders import EncoderSpec
from red_core.errors import AccessError
from red_core.judges.explanations import explain
from red_core.judges.names import named_by_judge
from red_core.judges.project import cancel_batches, try_connection
from red_core.judges.server_settings import judge_server, keep
from red_core.labels import edits as label_edits
from red_core.labels import subsets as label_set
from red_core.labels.edit_kinds import Add, Edit, Merge, Move, Rename, Retire, Split
from red_core.labels.file import Apply, read_label_set, with_new_labels
from red_core.labels.file_rows import LabelRow
from red_core.labels.group_sources import FromNames
from red_core.labels.groups import Group, MoveGroup
from red_core.labels.kept_drift import keep_drift
from red_core.labels.many import MergePairs, RetireList
from red_core.labels.meaning import Mean, Show, edit_meaning, this_is_why, undo_examples, undo_meaning
from red_core.labels.new_labels import propose_clusters
from red_core.labels.pool_map import draw_pool_map
from red_core.records import Cluster, Project
from red_core.results.edited import Difference, Edited, apply_edited
from red_core.results.exports import export
from red_core.review import audits as auditing
from red_core.review import batches
from red_core.review.decisions import Provenance, decide, feed_back, plan_feed_back, undo
from red_core.review.desk import apply_key_press
from red_core.review.presses import read_key_press
from red_core.rounds.encoder_change import begin_encoder_change, keep_encoder
from red_core.rounds.jobs import mark_interrupted, start_job
from red_core.rounds.run import run_round
from red_core.settings import RECOMMENDED
from red_core.store.arrays import save_arrays
from red_core.store.batches import BatchCounts, drop_batch
from red_core.store.database import connection, create_project, open_project, transaction
from red_core.store.decisions import roll_back
from red_core.store.guidelines import GuidelineExample, guideline_examples
from red_core.store.jobs import add_job, ask_to_cancel, claim_job, newest_job
from red_core.store.labels import current_layout, list_labels, set_meanings
from red_core.store.rounds import close_round
from red_core.store.texts import contents, remember
from red_core.text import text_id
from tests.helpers.app_projects import NAME, queued
from tests.helpers.call_graph import ROOT, that_write, used_by_screens
from tests.helpers.oracle import no_judge, nobody, use
from tests.helpers.project_facts import all_bytes
from tests.helpers.small_projects import FAST, embed

VIEWER, ANALYST = Person("vera@viewers.org", "viewer"), Person("ana@example.org", "analyst")
InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]
Act = Callable[[Project], object]


@pytest.fixture(autouse=True)
def connections_kept() -> None:
    """Open a connection for every operation: the files are compared, without a write-ahead log."""


def decided(project: Project) -> object:
    card = queued(project)[0]
    return decide(
        project,
        card.text,
        "accept",
        label=card.label.id,
        who=current_user().name,
        provenance=Provenance(proposal=card.proposal),
    )


def pressed(project: Project) -> object:
    """Apply a message of the review desk."""
    card = queued(project)[0]
    raw = {"id": "0" * 32, "kind": "accept", "text": card.text, "label": card.label.id, "proposal": card.proposal}
    outcome = apply_key_press(project, read_key_press(raw), who=current_user().name)
    assert not outcome.refused
    return outcome


def taught(project: Project) -> object:
    pressed(project)
    return this_is_why(project, "0" * 32, current_user().name)


def shown_example(project: Project) -> Show:
    return Show(tuple(chain.from_iterable(guideline_examples(project).values())))


def listed(project: Project) -> object:
    return batches.begin_batch(project, "accept", [(c.text, c.proposal) for c in queued(project)], "to decide")


def counts(batch: int = 1, **more: Any) -> BatchCounts:
    known = {"kind": "accept", "filters": "", "members": 40, "sampled": 20, "decided": 20, "agreed": 20}
    return BatchCounts(id=batch, **(known | {"applied": 0, "was_applied": 0, "dropped": 0} | more))  # type: ignore[arg-type]


def file_of(project: Project) -> Path:
    file = project.workspace.parent / "more.csv"
    file.write_text("text\nsomething new\n", "utf-8")
    return file


def imported(project: Project) -> object:
    rows = sort_rows(read_table(file_of(project)), role="pool")
    return store_prepared(project.workspace, NAME, [("pool", rows)], who="v")


def second_import(project: Project) -> None:
    """Import more texts and run a round, so that there is something to compare."""
    close_round(project)
    import_files(project.workspace, NAME, None, file_of(project))
    run_round(embed(project), FAST)


def exported(project: Project) -> object:
    decided(project)
    export(project, project.workspace.parent / "exported.jsonl")
    return undo(project, who=ANALYST.name)


def subsets(project: Project) -> object:
    return label_set.adopt_subsets(project, current_layout(project)[1][::-1].copy(), "v")


def cluster(project: Project) -> Cluster:
    return Cluster((1, 2), 0.5, list_labels(project)[0], 0.1, ("word",), "name")


def label_file(project: Project) -> Path:
    """Return an edited label set, outside the folder that is compared."""
    path = project.workspace.parent.with_name(f"{project.workspace.parent.name}-labels.csv")
    path.write_text("id,name\n1,money back\n", "utf-8")
    return path


def edited(project: Project) -> Edited:
    identity = text_id(contents(project, np.array([1]))[0])
    return Edited("out.csv", "0" * 64, 1, (Difference(1, identity, "a text", "refund", "none of these", "none"),))


def first(project: Project) -> int:
    return list_labels(project)[0].id


AS_IT_STANDS: dict[str, Act] = {
    "review.audits.deal": lambda p: auditing.deal(p, who="v", count=3),
    "review.audits.set_target": lambda p: auditing.set_target(p, 0.91),
    "review.audits.begin_sample": lambda p: auditing.begin_sample(p, "vera"),
    "review.decisions.decide": decided,
    "review.decisions.feed_back": lambda p: feed_back(p, plan_feed_back(p, accept_evidence_check=True), who="v"),
    "data.importing.store_prepared": imported,
    "judges.server_settings.keep": lambda _: keep(judge_server(model="m")),
    "labels.edits.apply_edit": lambda p: label_edits.apply_edit(p, Rename(first(p), "another"), "v"),
    "labels.subsets.adopt_subsets": subsets,
    "results.edited.apply_edited": lambda p: apply_edited(p, edited(p), "v"),
    "review.desk.apply_key_press": pressed,
    "store.labels.set_meanings": lambda p: set_meanings(p, {first(p): "what it means"}, "v"),
    "labels.meaning.edit_meaning": lambda p: edit_meaning(p, Mean(first(p), "what it means"), "v"),
    "store.texts.remember": lambda p: remember(p, "card columns", "[]", anew=True),
    "store.rounds.close_round": close_round,
    "rounds.encoder_change.begin_encoder_change": lambda p: begin_encoder_change(p, EncoderSpec("another"), "v"),
    "rounds.encoder_change.keep_encoder": keep_encoder,
    "rounds.jobs.start_job": lambda p: start_job(p, "prepare", RECOMMENDED, "v"),
}
"""Functions that work in the state *to review*, without anything before them."""
AFTER: dict[str, tuple[Act, Act]] = {
    "review.audits.answer": (
        lambda p: auditing.deal(p, who="v", count=1), lambda p: auditing.answer(p, 1, "none", who="v"),
    ),
    "review.batches.begin_batch": (lambda _: None, listed),
    "review.batches.apply_batch": (listed, lambda p: batches.apply_batch(p, counts())),
    "store.batches.drop_batch": (listed, lambda p: drop_batch(p, 1, "v")),
    "review.batches.take_back": (lambda _: None, lambda p: batches.take_back(p, 1)),
    "review.decisions.undo": (decided, lambda p: undo(p, who=current_user().name)),
    "data.decisions_import.restore_decisions": (
        exported, lambda p: restore_decisions(p, p.workspace.parent / "exported.jsonl", "v"),
    ),
    "labels.edits.preview": (lambda _: None, lambda p: label_edits.preview(p, Rename(first(p), "another"))),
    "labels.file.Apply": (
        lambda _: None, lambda p: label_edits.apply_edit(p, read_label_set(p, label_file(p)), "v"),
    ),
    "labels.edits.undo_edit": (AS_IT_STANDS["labels.edits.apply_edit"], lambda p: label_edits.undo_edit(p, "v")),
    "labels.meaning.Mean": (lambda _: None, AS_IT_STANDS["labels.meaning.edit_meaning"]),
    "labels.meaning.undo_meaning": (
        AS_IT_STANDS["labels.meaning.edit_meaning"], lambda p: undo_meaning(p, Mean(first(p), "what it means"), "v"),
    ),
    "labels.subsets.undo_subsets": (subsets, lambda p: label_set.undo_subsets(p, "v")),
    "store.decisions.roll_back": (AS_IT_STANDS["review.decisions.feed_back"], lambda p: roll_back(p, 1, "v")),
    "store.jobs.ask_to_cancel": (lambda p: add_job(p, "prepare", "{}", "v"), lambda p: ask_to_cancel(p, 1)),
    "data.demo.make_demo": (lambda _: None, lambda p: make_demo(p.workspace)),
    "judges.project.try_connection": (lambda _: None, lambda p: try_connection(p, judge_server())),
    "judges.project.cancel_batches": (lambda _: None, cancel_batches),
    "judges.names.named_by_judge": (lambda _: None, lambda p: named_by_judge(p, [cluster(p)])),
    "judges.explanations.explain": (lambda _: None, lambda p: explain(p, queued(p)[0])),
    "data.backup.restore": (
        lambda p: back_up(p, p.workspace.parent / "b.zip"),
        lambda p: restore(p.workspace, p.workspace.parent / "b.zip", "b"),
    ),
    "data.importing.import_files": (lambda _: None, lambda p: import_files(p.workspace, NAME, None, file_of(p))),
    "store.database.create_project": (lambda _: None, lambda p: create_project(p.workspace, "new")),
    "store.arrays.save_arrays": (lambda _: None, lambda p: save_arrays(p.folder / "x.npz", a=np.zeros(1))),
}  # fmt: skip
"""Functions that need a first step or a judge, or that are offered outside the screens; each with its first step."""
EDITS: dict[str, Edit] = {
    "edit_kinds.Edit": Retire(1), "edit_kinds.Rename": Rename(1, "another"), "edit_kinds.Merge": Merge((1,), 2),
    "edit_kinds.Retire": Retire(1), "edit_kinds.Move": Move(1, 0),
    "edit_kinds.Add": Add("another", examples=("one text", "another text")),
    "edit_kinds.Split": Split(1, {"another": (1, 2)}), "groups.Group": Group({1: ("A",)}),
    "groups.MoveGroup": MoveGroup(("A",), ("B",)), "group_sources.FromNames": FromNames(">"),
    "group_sources.from_columns": Group({1: ("A",)}), "group_sources.from_text": Group({1: ("A",)}),
    "file.with_new_labels": with_new_labels(Group({1: ("A",)}), {"another": ()}),
    "file.from_pasted": Apply("the pasted text", (LabelRow(1, None, "another"),)),
    "many.RetireList": RetireList((1,)), "many.MergePairs": MergePairs({1: 2}),
    "meaning.Show": Show((GuidelineExample(1, 1, "good"),)),
}  # fmt: skip
"""One edit of each kind, and of each function that makes one; all of them write through ``apply_edit``."""
AFTER |= {
    f"labels.{name}": (lambda _: None, lambda p, edit=edit: label_edits.apply_edit(p, edit, "v"))
    for name, edit in EDITS.items()
}
AFTER |= {
    "labels.kept_drift.keep_drift": (second_import, keep_drift),
    "labels.meaning.this_is_why": (pressed, lambda p: this_is_why(p, "0" * 32, "v")),
    "labels.meaning.undo_examples": (taught, lambda p: undo_examples(p, shown_example(p), "v")),
}
READ: dict[str, Act] = {
    "labels.edits.propose_split": lambda p: label_edits.propose_split(p, first(p), 2),
    "labels.file.read_label_set": lambda p: read_label_set(p, label_file(p)),
    "labels.pool_map.draw_pool_map": lambda p: draw_pool_map(p, "fake"),
    "labels.new_labels.propose_clusters": propose_clusters,
    "store.database.open_project": lambda p: open_project(p.workspace, p.name),
    "rounds.jobs.mark_interrupted": mark_interrupted,
}
"""Reads that store something for an analyst, and nothing for a viewer."""


@pytest.fixture(autouse=True)
def no_worker_and_no_judge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No worker is started, and the only judge cannot be reached."""
    no_judge(monkeypatch, tmp_path / "secrets.toml")
    use(monkeypatch, nobody())
    started = lambda *_command, **_how: SimpleNamespace(poll=lambda: None, pid=os.getpid())  # noqa: E731
    monkeypatch.setattr("red_core.rounds.jobs.subprocess", SimpleNamespace(Popen=started, DEVNULL=None))
    monkeypatch.setattr("red_core.rounds.jobs._started", {})
    monkeypatch.setattr(batches, "SAMPLE", 5)


def test_every_function_that_screens_write_with_is_in_a_list() -> None:
    offered = that_write() & used_by_screens()
    assert len(offered) > 25
    assert {name.removeprefix("red_core.") for name in offered} <= {*AS_IT_STANDS, *AFTER, *READ}


@pytest.mark.parametrize("name", AS_IT_STANDS)
def test_an_analyst_may(name: str, in_state: InState) -> None:
    project = in_state("to review")
    before = all_bytes(project.workspace.parent)
    with acting_as(ANALYST):
        AS_IT_STANDS[name](project)
    assert all_bytes(project.workspace.parent) != before


@pytest.mark.parametrize("name", [*AS_IT_STANDS, *AFTER])
def test_a_viewer_may_not_and_nothing_changes(name: str, in_state: InState) -> None:
    project = in_state("to review")
    before_it, act = AFTER[name] if name in AFTER else (lambda _: None, AS_IT_STANDS[name])
    with acting_as(ANALYST):
        before_it(project)
    before = all_bytes(project.workspace.parent)
    with acting_as(VIEWER), pytest.raises(AccessError, match=r"^vera@viewers\.org is a viewer") as caught:
        act(project)
    assert "\n" not in str(caught.value)
    after = all_bytes(project.workspace.parent)
    assert [path for path in before if after.get(path) != before[path]] == []
    assert set(after) - set(before) <= {"more.csv"}  # made by this test


@pytest.mark.parametrize("name", READ)
def test_a_viewer_may_look_and_nothing_changes(name: str, in_state: InState) -> None:
    project = in_state("to review")
    claim_job(project, add_job(project, "round", "{}", "v"), 2**22 - 1, 1.0)  # by a process that no longer exists
    shutil.rmtree(project.folder / "map")
    before = all_bytes(project.workspace)
    with acting_as(VIEWER):
        READ[name](project)
    after = all_bytes(project.workspace)
    assert [path for path in {*before, *after} if after.get(path) != before.get(path)] == []


def test_a_viewer_sees_that_the_process_of_a_job_is_gone(in_state: InState) -> None:
    project = in_state("to review")
    claim_job(project, add_job(project, "round", "{}", "v"), 2**22 - 1, 1.0)
    with acting_as(VIEWER):
        job, stored = mark_interrupted(project), newest_job(project)
    assert job is not None
    assert (job.state, job.error) == ("interrupted", "its process was stopped from outside")
    assert stored is not None
    assert stored.state == "running"
    seen = mark_interrupted(project)
    assert seen is not None
    assert seen == replace(job, heartbeat=seen.heartbeat)


def test_sqlite_refuses_a_viewer_even_without_a_check_in_the_code(in_state: InState) -> None:
    project = in_state("to review")
    with acting_as(VIEWER):
        for statement in (
            "UPDATE job SET error = ''",
            "DELETE FROM decision",
            "DROP TABLE job",
            "PRAGMA user_version = 1",
        ):
            with pytest.raises(AccessError, match="is a viewer"), connection(project) as db:
                db.execute(statement)
        with connection(project) as db:
            assert db.execute("SELECT count(*) FROM text").fetchone()[0] > 0
    with transaction(project) as db:
        db.execute("UPDATE job SET error = ''")


def test_a_viewer_does_not_bring_an_older_database_up_to_date(in_state: InState) -> None:
    project = in_state("to review")
    with transaction(project) as db:
        (newest,) = db.execute("SELECT name FROM _sqlite_migrations ORDER BY id DESC LIMIT 1").fetchone()
        db.execute("DELETE FROM _sqlite_migrations WHERE name = ?", [newest])
    before = all_bytes(project.workspace)
    with acting_as(VIEWER), pytest.raises(AccessError, match="when an analyst opens it"):
        open_project(project.workspace, project.name)
    assert all_bytes(project.workspace) == before


def test_only_one_place_opens_databases_and_asks_who_acts() -> None:
    """But for copies, which are read, and what a backup holds before it becomes a project."""
    opened = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "red_core").rglob("*.py"))
        if re.search(r"sqlite3\.connect\(|Database\((?!raw|memory)", path.read_text("utf-8"))
    ]
    assert opened == ["red_core/store/database.py"]
