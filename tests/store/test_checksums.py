"""One flipped bit in the facts, the vectors or the arrays is found when it is read, exported, backed up or checked."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from red_core.cli.doctor import _project as examined
from red_core.data.backup import back_up
from red_core.errors import StoreError
from red_core.labels import edits as label_edits
from red_core.labels.edit_kinds import Merge, Rename
from red_core.records import Answer, Project
from red_core.results.exports import export
from red_core.review.decisions import decide, feed_back, plan_feed_back, undo
from red_core.rounds.status import project_status
from red_core.store.arrays import load_arrays, save_arrays, vector_file
from red_core.store.checksums import ADDED, IN_WORDS, REWRITTEN
from red_core.store.database import connection, open_project
from red_core.store.decisions import roll_back
from red_core.store.first_schema import EDIT_TABLES
from red_core.store.health import database_faults, fact_faults, vector_faults
from red_core.store.labels import set_meanings
from red_core.store.texts import pool
from red_core.store.vectors import load_vectors, with_vector
from red_core.store.verdicts import add_proposals, add_verdicts
from tests.helpers.small_projects import EMBEDDING, question, reviewed_round, small_project


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which everything was done once that stores a fact."""
    project = small_project(tmp_path_factory.mktemp("course") / "workspace")
    texts = pool(project).tolist()
    last = reviewed_round(project, {text: (1 + number % 4, 0.9) for number, text in enumerate(texts)})
    (proposal, *_) = add_proposals(project, last, [question(texts[2], 1, 2), question(texts[3], 2, 3)])
    add_verdicts(project, "llm", [(proposal, Answer("valid", 0.9, 1.0, "raw", "m", "v"))])
    decide(project, texts[0], "accept", label=1, who="ann")
    decide(project, texts[1], "reject", label=2, who="ann")
    undo(project, who="ann")
    set_meanings(project, {1: "what it is"}, "ann")
    feed_back(project, plan_feed_back(project), who="ann")
    roll_back(project, last, "ann")
    label_edits.apply_edit(project, Rename(1, "money back"), "ann")
    label_edits.apply_edit(project, Merge((3,), 4), "ann")
    label_edits.undo_edit(project, "ann")
    label_edits.apply_edit(project, Merge((3,), 4), "ann")
    return project


@pytest.fixture
def project(course: Project, tmp_path: Path) -> Project:
    shutil.copytree(course.folder, tmp_path / "workspace" / course.name)
    return open_project(tmp_path / "workspace", course.name)


def change(project: Project, statement: str) -> None:
    """Change the database as a bad disk would: past this program."""
    with closing(sqlite3.connect(project.database)) as db, db:
        assert db.execute(statement).rowcount == 1, statement


AUDIT_TABLES = ("certificate", "audit_check", "audit_again", "audit_chance", "audit_draw", "audit_sample")
NOT_IN_THE_COURSE = {
    "audit", "audit_answer", "audit_draw", "audit_chance", "audit_again", "certificate", "comparison", "feed_back_item",
    "flag", "meaning_limit", "guideline_example", "label_path",
}  # fmt: skip


def test_after_a_whole_course_everything_is_as_it_was_stored(project, tmp_path):
    with connection(project) as db:
        sealed = {facts for (facts,) in db.execute("SELECT facts FROM checksum")}
    assert sealed >= {*ADDED, *REWRITTEN} - NOT_IN_THE_COURSE
    assert database_faults(project) + vector_faults(project) == []
    assert export(project, tmp_path / "out.csv") == 56


CHANGES = {
    "decision": "UPDATE decision SET who = 'anm' WHERE id = 1",
    "verdict": "UPDATE verdict SET outcome = 'invalid' WHERE id = 1",
    "label_edit": "UPDATE label_edit SET who = 'anm' WHERE version = 2",
    "label_meaning": "UPDATE label_meaning SET meaning = 'what iu is' WHERE id = 1",
    "label": "UPDATE label SET name = 'moneg back' WHERE id = 1",
    "text": "UPDATE text SET content = 'sefund' || substr(content, 7) WHERE id = 1",
    "source_row": "UPDATE source_row SET label = label % 4 + 1 WHERE source = 1 AND row = 2",
    "source": "UPDATE source SET file = 'anothes.csv' WHERE id = 1",
    "prediction": "UPDATE prediction SET belief = belief / 2 WHERE text = (SELECT min(text) FROM prediction)",
    "proposal": "UPDATE proposal SET runner_up = 4 WHERE id = 1",
    "feed_back": "UPDATE feed_back SET who = 'anm' WHERE id = 1",
}


@pytest.mark.parametrize("facts", CHANGES)
def test_a_changed_fact_is_named_and_nothing_is_exported_or_backed_up_as_if_it_were_right(facts, project, tmp_path):
    change(project, CHANGES[facts])
    assert fact_faults(project) == [f"the {IN_WORDS[facts]} are not as they were stored"]
    with pytest.raises(StoreError, match=f"the {IN_WORDS[facts]} are not as they were stored") as caught:
        export(project, tmp_path / "out.csv")
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match="are not as they were stored"):
        back_up(project, tmp_path / "out.zip")
    assert export(project, tmp_path / "out.csv", verify=False) == 56
    assert {path.name for path in tmp_path.iterdir()} == {"workspace", "out.csv"}


UNREADABLE = {
    "figures that are no JSON": "UPDATE round SET metrics = '[' || substr(metrics, 2) WHERE id = 1",
    "figures of another name": "UPDATE round SET metrics = replace(metrics, 'pool', 'pood') WHERE id = 1",
    "settings of another name": "UPDATE round SET settings = replace(settings, 'preset', 'prezet') WHERE id = 1",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_a_restore_would_refuse_is_found_before_and_never_backed_up(name, project, tmp_path):
    """The figures and settings of a round have no checksum."""
    change(project, UNREADABLE[name])
    (finding, *_) = [each for each in examined(project) if each.state == "broken"]
    assert "does not hold what this program stores there" in finding.told
    with pytest.raises(StoreError, match="does not hold what this program stores there"):
        back_up(project, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_figures_that_are_no_json_are_said_in_one_line(project, tmp_path):
    change(project, UNREADABLE["figures that are no JSON"])
    for read in (project_status, lambda project: export(project, tmp_path / "out.csv")):
        with pytest.raises(
            StoreError, match=r"holds a value that cannot be read .* Check it with `red doctor`"
        ) as caught:
            read(project)
        assert "\n" not in str(caught.value)


def test_a_removed_and_an_invented_fact_are_found(project):
    change(project, "DELETE FROM feed_back_item WHERE text = (SELECT max(text) FROM feed_back_item)")
    assert fact_faults(project) == ["the fed-back texts are not as they were stored"]
    change(project, "INSERT INTO decision (text, kind, reason, who, at) VALUES (1, 'none', '', 'mallory', '2026')")
    assert fact_faults(project)[0] == "the decisions are not as they were stored"


def test_every_flipped_bit_of_a_vector_file_is_found_when_read_and_when_checked(project):
    path, chance = vector_file(project, EMBEDDING), random.Random(0)  # noqa: S311  no secret
    whole, ids = path.read_bytes(), with_vector(project, EMBEDDING)
    for _ in range(40):
        place, bit = chance.randrange(len(whole)), chance.randrange(8)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        with pytest.raises(StoreError, match="has changed on the disk") as caught:
            load_vectors(project, EMBEDDING, ids)
        assert "\n" not in str(caught.value)
        assert vector_faults(project) == [f"1 vectors of {path.name} are damaged"]
        others = np.delete(ids, place // (len(whole) // len(ids)))
        assert len(load_vectors(project, EMBEDDING, others)) == len(ids) - 1  # the others can still be read
    path.write_bytes(whole)
    assert vector_faults(project) == []


def test_every_flipped_bit_of_an_array_file_is_found_or_does_not_matter(tmp_path):
    path, chance = tmp_path / "a.npz", random.Random(1)  # noqa: S311  no secret
    save_arrays(path, numbers=np.arange(60.0).reshape(3, 20), words=np.array(["one", "two"]), nothing=np.zeros((0, 4)))
    whole, before = path.read_bytes(), load_arrays(path)
    found = 0
    for _ in range(1500):
        place, bit = chance.randrange(len(whole)), chance.randrange(8)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        try:
            now = load_arrays(path)
        except StoreError:
            found += 1
        else:
            assert now.keys() == before.keys()
            assert all(np.array_equal(now[name], before[name]) for name in before)
    assert found > 900


@pytest.mark.parametrize("name", ["plain", "columns"])
def test_arrays_of_every_shape_are_read_as_they_were_written(name, tmp_path):
    arrays = {
        "plain": {"a": np.float32(3.5), "b": np.arange(6), "c": np.array("word"), "d": np.zeros((0, 3))},
        "columns": {"a": np.asfortranarray(np.arange(12.0).reshape(3, 4)), "b": np.array([True, False])},
    }[name]
    save_arrays(tmp_path / "a.npz", **arrays)
    read = load_arrays(tmp_path / "a.npz")
    for each, array in arrays.items():
        assert np.array_equal(read[each], array)
        assert read[each].dtype == np.asarray(array).dtype
        assert read[each].flags.writeable


def compressed(path: Path) -> None:
    np.savez_compressed(path, numbers=np.zeros(10**7))


def pickled(path: Path) -> None:
    np.savez(path, numbers=np.array([{"a": 1}], dtype=object))


@pytest.mark.parametrize("write", [compressed, pickled])
def test_an_array_file_that_this_program_does_not_write_is_refused(write: Callable[[Path], None], tmp_path):
    write(tmp_path / "a.npz")
    with pytest.raises(StoreError, match="missing or damaged"):
        load_arrays(tmp_path / "a.npz")


def as_version_4_stored_it(project: Project) -> None:
    with closing(sqlite3.connect(project.database)) as db, db:
        for statement in (
            "ALTER TABLE vector DROP COLUMN crc",
            "DROP TABLE checksum",
            "DELETE FROM project WHERE key = 'id'",
            "ALTER TABLE attempt DROP COLUMN tokens_cached",
            "ALTER TABLE attempt DROP COLUMN price_cached",
            "DROP INDEX prediction_belief",
            "DROP VIEW standing_example",
            "DROP VIEW standing_path",
            "DROP TABLE guideline_example",
            "DROP TABLE meaning_limit",
            "DROP TABLE label_path",
            "DROP VIEW standing_flag",
            "DROP TABLE flag",
            "DROP TABLE judge_batch",
            "DROP VIEW compared",
            "ALTER TABLE attempt DROP COLUMN comparison",
            "ALTER TABLE self_test DROP COLUMN rival",
            "ALTER TABLE self_test DROP COLUMN tokens",
            "DROP TABLE comparison",
            *(f"DROP TABLE {name}" for name in AUDIT_TABLES),
            "DROP VIEW without_label",
            "DROP VIEW disputed",
            next(each for each in EDIT_TABLES.split(";") if "CREATE VIEW without_label" in each),
            "DELETE FROM _sqlite_migrations WHERE name >= 'm005'",
        ):
            db.execute(statement)


def test_a_project_of_an_earlier_version_opens_and_is_checked_from_then_on(project):
    ids = with_vector(project, EMBEDDING)
    before = load_vectors(project, EMBEDDING, ids)
    as_version_4_stored_it(project)
    earlier = Project(project.workspace, project.name)
    assert database_faults(earlier) + vector_faults(earlier) == []
    opened = open_project(project.workspace, project.name)
    assert opened.id not in {"", project.id}
    assert database_faults(opened) + vector_faults(opened) == []
    assert np.array_equal(load_vectors(opened, EMBEDDING, ids), before)
    change(opened, CHANGES["decision"])
    assert fact_faults(opened) == ["the decisions are not as they were stored"]


def test_a_project_of_an_earlier_version_with_a_short_vector_file_opens_and_says_so(project):
    as_version_4_stored_it(project)
    path = vector_file(project, EMBEDDING)
    path.write_bytes(path.read_bytes()[:-5])
    opened = open_project(project.workspace, project.name)
    assert vector_faults(opened) == [f"{path.name} is missing or too short"]
