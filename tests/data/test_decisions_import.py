"""What was decided comes back from a JSONL export: all of it, once, and never over a later decision."""

from __future__ import annotations

import gzip
import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_core.data.decisions_import import restore_decisions
from red_core.data.tables import limits, text_id
from red_core.errors import InputError, RedError, StateError
from red_core.records import Project
from red_core.results.exports import export
from red_core.review.decisions import Provenance, decide, undo
from red_core.store.database import connection
from red_core.store.decisions import decided, rejected
from red_core.store.jobs import add_job
from red_core.store.restoring import Restored
from red_core.store.texts import pool, remembered
from tests.helpers.small_projects import LABELS, count, reviewed_round, seed_rows, small_project

SHOWN = ("text_id", "label", "source", "belief", "decision", "rejected", "who", "decided_at", "reason", "decisions")


def text(project: Project, place: int = 0) -> int:
    return int(pool(project)[place])


def rows(project: Project) -> list[dict[str, Any]]:
    """Return what an export says of every row's label and decisions."""
    with tempfile.TemporaryDirectory() as folder:
        export(project, path := Path(folder) / "out.jsonl", verify=False)
        read = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [{name: row[name] for name in SHOWN} for row in read]


def stood(exported: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows without the decisions that were undone."""
    return [row | {"decisions": [one for one in row["decisions"] if not one["undone"]]} for row in exported]


@pytest.fixture
def exported(project: Project, tmp_path: Path) -> Callable[[str], Path]:
    def to(name: str = "out.jsonl") -> Path:
        export(project, tmp_path / name, verify=False)  # some tests change what is stored
        return tmp_path / name

    return to


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """Another project of the same source files."""
    return small_project(tmp_path / "other")


def belief_of_newest(project: Project, belief: float) -> None:
    """Let the newest decision be one of a batch."""
    with connection(project) as db:
        db.execute("INSERT INTO batch (kind, filters, who, at) VALUES ('accept', '{}', 'ann', 'then')")
        db.execute(
            "UPDATE decision SET belief = ?, queue = 'bulk', batch = 1 WHERE id = (SELECT max(id) FROM decision)",
            [belief],
        )
        db.conn.commit()


def at(project: Project, decision: int, moment: str) -> None:
    with connection(project) as db:
        db.execute("UPDATE decision SET at = ? WHERE id = ?", [moment, decision])
        db.conn.commit()


# There and back


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_a_fresh_project_gets_the_same_labels_with_who_when_and_why(name, project, exported, fresh):
    decide(
        project,
        text(project),
        "accept",
        label=1,
        who="Zoë",
        provenance=Provenance(reason='it\n"says" so', seconds=1.1, queue="stale"),
    )
    decide(project, text(project, 1), "none", who="bob")
    decide(project, text(project, 2), "reject", label=2, who="bob")
    decide(project, text(project, 2), "relabel", label=3, who="ann")
    decide(project, text(project, 3), "skip", who="ann")
    assert restore_decisions(fresh, exported(name), "eve") == Restored(restored=5)
    assert rows(fresh) == rows(project)
    assert decided(fresh) == {text(fresh): 1, text(fresh, 1): -1, text(fresh, 2): 3}


def test_what_was_undone_stays_undone(project, exported, fresh):
    decide(project, text(project), "accept", label=1)
    undo(project)
    decide(project, text(project, 1), "accept", label=1)
    assert restore_decisions(fresh, exported(), "eve").restored == 1
    assert decided(fresh) == {text(fresh, 1): 1}


def test_a_batch_comes_back_as_bulk_without_its_batch(project, exported, fresh):
    decide(project, text(project), "accept", label=1)
    belief_of_newest(project, 0.1 + 0.7)
    restore_decisions(fresh, exported(), "eve")
    assert count(fresh, "SELECT count(*) FROM decision WHERE batch IS NULL AND queue = 'bulk'") == 1
    assert rows(fresh) == rows(project)
    assert (rows(fresh)[16]["source"], rows(fresh)[16]["belief"]) == ("bulk", 0.8)


def test_the_same_file_twice_adds_nothing(project, exported, fresh):
    for place in range(3):
        decide(project, text(project, place), "accept", label=1)
    file = exported()
    restore_decisions(fresh, file, "eve")
    before = rows(fresh)
    assert restore_decisions(fresh, file, "eve") == Restored(there=3)
    assert rows(fresh) == before


def test_the_project_it_comes_from_gets_nothing(project, exported):
    decide(project, text(project), "accept", label=1)
    decide(project, text(project), "relabel", label=2)
    undo(project)
    assert restore_decisions(project, exported(), "eve") == Restored(there=1)
    assert count(project, "SELECT count(*) FROM decision") == 3


def test_what_was_restored_and_then_undone_stays_undone(project, exported, fresh):
    decide(project, text(project), "accept", label=1, who="ann")
    file = exported()
    restore_decisions(fresh, file, "eve")
    undo(fresh, who="ann")
    assert restore_decisions(fresh, file, "eve") == Restored(there=1)
    assert decided(fresh) == {}


def test_folded_rows_give_their_decisions_once(tmp_path, workspace):
    twice = [("refund now", "refund"), (" refund  now ", "refund")]
    project, fresh = small_project(workspace, pool=twice), small_project(tmp_path / "other", pool=twice)
    decide(project, text(project), "accept", label=1)
    export(project, tmp_path / "out.jsonl")
    assert restore_decisions(fresh, tmp_path / "out.jsonl", "eve") == Restored(restored=1)


def test_two_decisions_of_one_moment_both_come_back(project, exported, fresh):
    for kind in ("accept", "reject", "accept"):
        at(project, decide(project, text(project), kind, label=1), "2026-01-01T00:00:00.000+00:00")
    assert restore_decisions(fresh, exported(), "eve").restored == 3
    assert decided(fresh) == {text(fresh): 1}
    assert restore_decisions(fresh, exported(), "eve") == Restored(there=3)
    assert restore_decisions(project, exported(), "eve") == Restored(there=3)


def test_the_second_of_one_moment_comes_back_once_where_the_first_was_undone(project, exported, fresh):
    for each in (decide(project, text(project), "accept", label=1), decide(project, text(project), "accept", label=1)):
        at(project, each, "2026-01-01T00:00:00.000+00:00")
    undo(project, decision=1)
    assert restore_decisions(fresh, exported(), "eve") == Restored(restored=1)
    assert restore_decisions(fresh, exported(), "eve") == Restored(there=1)


ACT = st.tuples(
    st.sampled_from(["accept", "relabel", "reject", "none", "skip", "undo"]),
    st.integers(0, 2),
    st.integers(1, 2),
    st.sampled_from(["ann", "bob"]),
    st.text(max_size=5).filter(lambda reason: reason.isprintable()),
    st.none() | st.floats(0, 1e6),
)


@contextmanager
def two_tiny() -> Iterator[tuple[Project, Project, Path]]:
    """Two projects of the same two labels and three texts in the pool, and a folder."""
    files = [(f"{word} of the pool", "refund") for word in ("one", "two", "three")]
    with tempfile.TemporaryDirectory() as folder:
        first, second = (
            small_project(Path(folder) / name / "w", seeds=seed_rows(("refund", "delivery"), 2), pool=files)
            for name in ("a", "b")
        )
        yield first, second, Path(folder) / "out.jsonl"


@given(st.lists(ACT, max_size=12))
def test_any_sequence_of_decisions_and_undos_comes_back(acts):
    with two_tiny() as (project, fresh, path):
        for kind, place, label, who, reason, seconds in acts:
            if kind != "undo":
                needs = label if kind in {"accept", "relabel", "reject"} else None
                decide(
                    project,
                    text(project, place),
                    kind,
                    label=needs,
                    who=who,
                    provenance=Provenance(reason=reason, seconds=seconds),
                )
            elif count(project, f"SELECT count(*) FROM decision WHERE who = '{who}' AND kind <> 'undo'") > count(
                project, f"SELECT count(*) FROM decision WHERE who = '{who}' AND kind = 'undo'"
            ):
                undo(project, who=who)
        export(project, path)
        restore_decisions(fresh, path, "eve")
        assert rows(fresh) == stood(rows(project))
        assert (decided(fresh), rejected(fresh)) == (decided(project), rejected(project))
        again = [restore_decisions(each, path, "eve") for each in (fresh, project)]
        assert [(one.restored, one.overtaken) for one in again] == [(0, 0)] * 2


# Into another project


def test_texts_and_labels_that_are_not_there_are_counted(project, exported, tmp_path):
    decide(project, text(project), "accept", label=1)
    decide(project, text(project, 1), "accept", label=4)
    decide(project, text(project, 2), "reject", label=4)
    decide(project, text(project, 3), "none")
    texts = [("refund is what I ask for, message 0", "refund"), ("delivery is what I ask for, message 0", "delivery"),
             ("warranty is what I ask for, message 0", "delivery")]  # fmt: skip
    other = small_project(tmp_path / "other", seeds=seed_rows(LABELS[:3]), pool=texts)
    done = restore_decisions(other, exported(), "eve")
    assert done == Restored(restored=1, unknown_texts=1, unknown_labels=[LABELS[3]])
    assert done.sentence() == (
        "Decisions restored: 1; decided texts that are not in this project: 1; "
        f"labels that are not in this project: {LABELS[3]}."
    )


def test_many_labels_that_are_not_there_are_told_in_short():
    done = Restored(restored=1_234, there=2, overtaken=1, unknown_labels=["a", "b", "c", "d", "e"])
    assert done.sentence() == (
        "Decisions restored: 1,234; 2 already there; 1 replaced by a newer one; "
        "labels that are not in this project: a, b, c and 2 more."
    )


def test_a_label_is_known_whatever_its_case(project, exported, tmp_path):
    decide(project, text(project), "accept", label=1)
    shouted = [(content, label.upper()) for content, label in seed_rows()]
    other = small_project(tmp_path / "other", seeds=shouted)
    assert restore_decisions(other, exported(), "eve").restored == 1


def test_a_later_decision_here_stays(project, exported, fresh):
    at(project, decide(project, text(project), "accept", label=1), "2026-01-01T00:00:00.000+00:00")
    at(project, decide(project, text(project), "reject", label=2), "2026-01-03T00:00:00.000+00:00")
    at(fresh, decide(fresh, text(fresh), "relabel", label=3), "2026-01-02T00:00:00.000+00:00")
    assert restore_decisions(fresh, exported(), "eve") == Restored(restored=1, overtaken=1)
    assert (decided(fresh), rejected(fresh)) == ({text(fresh): 3}, {(text(fresh), 2)})


def test_a_later_decision_here_that_was_undone_does_not_count(project, exported, fresh):
    at(project, decide(project, text(project), "accept", label=1), "2026-01-01T00:00:00.000+00:00")
    decide(fresh, text(fresh), "relabel", label=3)
    undo(fresh)
    restore_decisions(fresh, exported(), "eve")
    assert decided(fresh) == {text(fresh): 1}


def test_what_a_decision_for_an_unknown_label_replaced_does_not_come_back(project, exported, tmp_path):
    decide(project, text(project), "reject", label=2)
    decide(project, text(project), "accept", label=1)
    decide(project, text(project), "relabel", label=4)
    other = small_project(tmp_path / "other", seeds=seed_rows(LABELS[:3]))
    assert restore_decisions(other, exported(), "eve") == Restored(
        restored=1, overtaken=1, unknown_labels=[LABELS[3]]
    )  # fmt: skip
    assert (decided(other), rejected(other)) == ({}, {(text(other), 2)})


def test_who_restored_what_is_remembered(project, exported, fresh):
    decide(project, text(project), "accept", label=1)
    restore_decisions(fresh, exported(), "eve", name="mail.jsonl")
    with connection(fresh) as db:
        (key,) = (key for (key,) in db.execute("SELECT key FROM project") if key.startswith("restored at 20"))
    assert json.loads(remembered(fresh, key)) == {"file": "mail.jsonl", "who": "eve", "decisions": 1}


def test_nothing_is_restored_while_a_job_runs(project, exported, fresh):
    decide(project, text(project), "accept", label=1)
    add_job(fresh, "round", "{}", "tester")
    with pytest.raises(StateError, match="a job is running"):
        restore_decisions(fresh, exported(), "eve")
    assert decided(fresh) == {}


def test_a_round_that_is_to_review_keeps_nothing_from_being_restored(project, exported, fresh):
    decide(project, text(project), "accept", label=1)
    reviewed_round(fresh, {})
    assert restore_decisions(fresh, exported(), "eve").restored == 1


def test_all_is_restored_or_nothing(project, exported, fresh, monkeypatch):
    for place in range(3):
        decide(project, text(project, place), "accept", label=1)
    file, told = exported(), []

    def broken(*_values: object) -> None:
        told.append(1)
        if len(told) == 3:
            raise sqlite3.OperationalError("disk I/O error")
        insert(*_values)

    from red_core.store import restoring  # noqa: PLC0415

    insert = restoring._insert
    monkeypatch.setattr(restoring, "_insert", broken)
    with pytest.raises(RedError, match="disk"):
        restore_decisions(fresh, file, "eve")
    assert decided(fresh) == {}


# Files that are no such export

ID = text_id("refund is what I ask for, message 0")
GOOD: dict[str, Any] = {
    "kind": "accept", "label": "refund", "who": "ann", "at": "2026-01-01T00:00:00.000+00:00", "reason": "",
    "queue": "", "seconds": None, "belief": None, "undone": False,
}  # fmt: skip


def line(**changes: object) -> bytes:
    """Return a row whose second decision is changed."""
    return json.dumps({"text_id": ID, "decisions": [GOOD, GOOD | changes]}).encode()


def refusal(project: Project, tmp_path: Path, content: bytes, name: str = "in.jsonl") -> str:
    """Return the one line a file is refused with, after a row that is as it should be."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        restore_decisions(project, tmp_path / name, "eve", name=name)
    assert count(project, "SELECT count(*) FROM decision") == 0
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"nonsense", "Invalid JSON"),
        (b'{"text_id": "', "Invalid JSON"),
        (b"[" * 5_000, "Invalid JSON: recursion limit"),
        (b"[1]", "Input should be an object"),
        (b"{}", "text_id: Field required"),
        (b'{"decisions": []}', "text_id: Field required"),
        (b'{"text_id": 5, "decisions": []}', "text_id: Input should be a valid string"),
        (b'{"text_id": "5", "decisions": []}', "text_id: String should match"),
        (json.dumps({"text_id": ID}).encode(), "decisions: Field required"),
        (json.dumps({"text_id": ID, "decisions": "none"}).encode(), "decisions: Input should be a valid array"),
        (json.dumps({"text_id": ID, "decisions": [5]}).encode(), "decision 1: Input should be an object"),
        (json.dumps({"text_id": None, "decisions": [GOOD]}).encode(), "it has decisions but no text"),
        (line(kind="maybe"), "decision 2: kind: Input should be 'accept', 'relabel', 'none', 'reject' or 'skip'"),
        (line(kind="undo"), "decision 2: kind"),
        (line(kind=None), "decision 2: kind"),
        (line(label=None), "decision 2: to accept takes a label"),
        (line(kind="none"), "decision 2: to none takes no label"),
        (line(label=5), "decision 2: label: Input should be a valid string"),
        (line(label="x" * 201), "decision 2: label: String should have at most 200 characters"),
        (line(label="a\0b"), "decision 2: label: it holds a NUL character"),
        (line(who=5), "decision 2: who: Input should be a valid string"),
        (line(who="x" * 1_001), "decision 2: who: String should have at most 1000"),
        (line(who="\0"), "decision 2: who: it holds a NUL"),
        (line(reason="x" * 20_001), "decision 2: reason: String should have at most 20000"),
        (line(reason="\0"), "decision 2: reason: it holds a NUL"),
        (line(queue="x" * 1_001), "decision 2: queue: String should have at most 1000"),
        (line(at=5), "decision 2: at: Input should be a valid string"),
        (line(at="yesterday"), "decision 2: at: it is not a time with a time zone"),
        (line(at="2026-01-01T00:00:00"), "decision 2: at: it is not a time with a time zone"),
        (line(at="0001-01-01T00:00:00+10:00"), "decision 2: at: it is not a time with a time zone"),
        (line(at="9998-12-31T23:59:59-10:00"), "decision 2: at: it is not a time with a time zone"),
        (line(seconds=1e200), "decision 2: seconds: Input should be less than or equal to 1000000"),
        (line(seconds="5"), "decision 2: seconds: Input should be a valid number"),
        (line(seconds=True), "decision 2: seconds: Input should be a valid number"),
        (line(seconds=-1), "decision 2: seconds: Input should be greater than or equal to 0"),
        (line(seconds=float("inf")), "decision 2: seconds: Input should be a finite number"),
        (line(seconds=float("nan")), "decision 2: seconds: Input should be a finite number"),
        (line(belief=1.1), "decision 2: belief: Input should be less than or equal to 1"),
        (
            line(kind="relabel", belief=0.5),
            "decision 2: only decisions of a batch have a belief, and a batch cannot relabel",
        ),
        (line(undone="no"), "decision 2: undone: Input should be a valid boolean"),
        (line(undone=None), "decision 2: undone"),
        (b'{"text_id": "\xff", "decisions": []}', "a character is not valid UTF-8"),
        (b'{"text_id": "\\ud800", "decisions": []}', "Invalid JSON"),
        (b'{"text_id": "a\0"}', "a NUL byte: binary data, or UTF-16"),
        ("{}".encode("utf-16"), "a NUL byte: binary data, or UTF-16"),
    ],
)
def test_a_row_that_breaks_a_rule_is_one_line_and_nothing_is_restored(content, rule, project, tmp_path):
    told = refusal(project, tmp_path, line() + b"\n\n" + content + b"\n")
    assert told.startswith(f"in.jsonl, row 3: {rule}"), told
    assert told.endswith(". Give a JSONL export as it was downloaded"), told


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("in.jsonl", b"", "in.jsonl: the file is empty. Check that this is the right file"),
        ("in.jsonl", b"\n \n", "in.jsonl: the file is empty. Check that this is the right file"),
        (
            "in.jsonl.gz",
            gzip.compress(b"", mtime=0),
            "in.jsonl.gz: the file is empty. Check that this is the right file",
        ),
        ("in.csv", b"text\n", "in.csv: it is not a JSONL file. Give a file that ends in .jsonl or .jsonl.gz"),
        ("in.jsonl", gzip.compress(line()), "in.jsonl: it is gzipped but its name does not say so. Add .gz to its"),
        ("in.jsonl.gz", line(), "in.jsonl.gz: its name ends in .gz but it is not gzipped. Take .gz off its name"),
        ("in.jsonl.gz", gzip.compress(line() * 99)[:-9], "in.jsonl.gz: its gzip is damaged ("),
        ("in.jsonl.gz", gzip.compress(line())[:-8] + b"00000000", "in.jsonl.gz: its gzip is damaged ("),
    ],
)
def test_a_file_that_breaks_a_rule_is_one_line(name, content, told, project, tmp_path):
    assert refusal(project, tmp_path, content, name).startswith(told)


def test_a_file_that_is_not_there_is_one_line(project, tmp_path):
    with pytest.raises(InputError, match=r"no\.jsonl: it cannot be read: No such file or directory\. Check that"):
        restore_decisions(project, tmp_path / "no.jsonl", "eve")
    with pytest.raises(InputError, match="its path holds a NUL character"):
        restore_decisions(project, "a\0b.jsonl", "eve")


def test_a_line_without_an_end_is_stopped_while_it_unpacks(project, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_FIELD", 1_000)
    told = refusal(project, tmp_path, gzip.compress(line() + b"\n" + b"a" * 5_000_000), "in.jsonl.gz")
    assert told.startswith("in.jsonl.gz, row 2: a line is longer than 1,000 bytes")


@pytest.mark.parametrize(("limit", "value"), [("MAX_BYTES", 3 * len(line()) + 50), ("MAX_ROWS", 3)])
def test_a_bomb_of_many_lines_is_stopped_while_it_unpacks(limit, value, project, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, limit, value)
    told = refusal(project, tmp_path, gzip.compress((line() + b"\n") * 10_000), "in.jsonl.gz")
    assert "row 4: more than" in told
    assert told.endswith("rows, unpacked. Split the file, and restore its parts")


def test_a_mark_before_the_first_row_and_empty_lines_do_no_harm(project, tmp_path):
    (tmp_path / "in.jsonl").write_bytes(b"\xef\xbb\xbf" + line(undone=True) + b"\r\n\r\n")
    assert restore_decisions(project, tmp_path / "in.jsonl", "eve").restored == 1


def test_a_time_of_another_zone_is_stored_as_every_other(project, tmp_path):
    (tmp_path / "in.jsonl").write_bytes(line(at="2026-01-01T02:00:00.5+02:00", undone=False))
    restore_decisions(project, tmp_path / "in.jsonl", "eve")
    with connection(project) as db:
        (moments,) = zip(*db.execute("SELECT at FROM decision ORDER BY id"), strict=True)
    assert moments == ("2026-01-01T00:00:00.000+00:00", "2026-01-01T00:00:00.500+00:00")
