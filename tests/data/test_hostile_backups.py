"""Archives nobody should trust: refused in one line, with nothing left behind."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import stat
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from red_core.data.backup import restore
from red_core.errors import InputError, RedError
from red_core.records import Project
from red_core.results.exports import export
from red_core.store.checksums import seal
from red_core.store.database import open_project

Members = dict[str, bytes]


@pytest.fixture
def packed(backed_up: Path) -> Path:
    return backed_up / "small.zip"


def refusal(caught: pytest.ExceptionInfo[Exception]) -> str:
    line = str(caught.value)
    assert "\n" not in line
    assert line.isprintable()
    return line


def members_of(packed: Path) -> Members:
    with zipfile.ZipFile(packed) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def with_manifest(members: Members, change: Callable[[dict[str, Any]], None]) -> Members:
    told = json.loads(members["manifest.json"])
    change(told)
    return members | {"manifest.json": json.dumps(told).encode()}


def written(path: Path, members: Members, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return path


def named_as_well(name: str) -> Callable[[Path, Members], Path]:
    """Return what adds a member and names it, with its true length and checksum, in the manifest."""

    def make(path: Path, members: Members) -> Path:
        told = json.loads(members["manifest.json"])
        told["files"][name] = told["files"]["label-names.npz"]
        changed = with_manifest(members, lambda manifest: manifest.update(told))
        return written(path, changed | {name: members["label-names.npz"]})

    return make


def a_stranger(path: Path, members: Members) -> Path:
    return written(path, members | {"rounds/9.npz": b"not named in the manifest"})


def a_missing_member(path: Path, members: Members) -> Path:
    return written(path, {name: content for name, content in members.items() if name != "rounds/1.npz"})


def the_same_name_twice(path: Path, members: Members) -> Path:
    written(path, members)
    with zipfile.ZipFile(path, "a") as zipped, pytest.warns(UserWarning, match="Duplicate name"):
        zipped.writestr("project.db", b"another")
    return path


def names_that_differ_in_case(path: Path, members: Members) -> Path:
    return named_as_well("rounds/A.npz")(path, members | {"rounds/a.npz": b""})


def other_content(path: Path, members: Members) -> Path:
    return written(path, members | {"rounds/1.npz": members["rounds/1.npz"][::-1]})


def a_link(path: Path, members: Members) -> Path:
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = ((stat.S_IFLNK if name == "rounds/1.npz" else stat.S_IFREG) | 0o777) << 16
            zipped.writestr(entry, content)
    return path


def a_bomb(path: Path, members: Members) -> Path:
    return written(path, members | {"rounds/1.npz": bytes(10**7)}, zipfile.ZIP_DEFLATED)


def a_bomb_of_overlapping_members(path: Path, members: Members) -> Path:
    """Let the directory name the same bytes a thousand times."""
    written(path, members)
    with zipfile.ZipFile(path, "a") as zipped:
        entry = zipped.getinfo("project.db")
        for number in range(1000):
            again = zipfile.ZipInfo(f"rounds/{number + 100}.npz")
            for part in ("header_offset", "CRC", "compress_size", "file_size"):
                setattr(again, part, getattr(entry, part))
            zipped.filelist.append(again)
        zipped._didModify = True  # type: ignore[attr-defined]
    return path


def a_huge_manifest(path: Path, members: Members) -> Path:
    return written(path, members | {"manifest.json": b" " * (9 * 2**20) + members["manifest.json"]})


def no_manifest(path: Path, members: Members) -> Path:
    return written(path, {name: content for name, content in members.items() if name != "manifest.json"})


def a_deep_manifest(path: Path, members: Members) -> Path:
    return written(path, members | {"manifest.json": b"[" * 10**6})


def a_later_format(path: Path, members: Members) -> Path:
    return written(path, with_manifest(members, lambda told: told.update(format=2)))


def a_hostile_project_name(path: Path, members: Members) -> Path:
    return written(path, with_manifest(members, lambda told: told.update(project="../../up")))


def text_instead(path: Path, _: Members) -> Path:
    path.write_text("not a zip at all " * 1000)
    return path


def nothing(path: Path, _: Members) -> Path:
    path.touch()
    return path


def the_first_half(path: Path, members: Members) -> Path:
    written(path, members)
    os.truncate(path, path.stat().st_size // 2)
    return path


def sealed(path: Path, members: Members, database_content: bytes) -> Path:
    """Write a backup around another database, with its true length and checksum."""
    told = {"bytes": len(database_content), "sha256": hashlib.sha256(database_content).hexdigest()}
    changed = with_manifest(members, lambda manifest: manifest["files"].update({"project.db": told}))
    return written(path, changed | {"project.db": database_content})


def another_database(change: str) -> Callable[[Path, Members], Path]:
    def make(path: Path, members: Members) -> Path:
        file = path.with_suffix(".db")
        file.write_bytes(members["project.db"])
        with closing(sqlite3.connect(file)) as db, db:
            db.execute(change)
        return sealed(path, members, file.read_bytes())

    return make


def no_database(path: Path, members: Members) -> Path:
    return sealed(path, members, b"this is no database " * 500)


NEWER = "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('red_core', 'm999_later', 'now')"
TRIGGER = "CREATE TRIGGER _sqlite_t AFTER INSERT ON decision BEGIN UPDATE decision SET who = 'mallory'; END"
HOSTILE = {
    "a path that leads out": (named_as_well("../../out.npz"), "not a file of a project"),
    "an absolute path": (named_as_well("/tmp/out.npz"), "not a file of a project"),  # noqa: S108
    "a path of Windows": (named_as_well("rounds\\..\\out.npz"), "not a file of a project"),
    "a path through its own folder": (named_as_well("rounds/../../out.npz"), "not a file of a project"),
    "a folder nobody asked for": (named_as_well("jobs/1.npz"), "not a file of a project"),
    "a hidden file": (named_as_well(".hidden.npz"), "not a file of a project"),
    "a write-ahead log": (named_as_well("project.db-wal"), "not a file of a project"),
    "a program": (named_as_well("sitecustomize.py"), "not a file of a project"),
    "a member that is not named": (a_stranger, "not those its manifest names"),
    "a member that is missing": (a_missing_member, "not those its manifest names"),
    "a name twice": (the_same_name_twice, "have the same name"),
    "names that differ in case alone": (names_that_differ_in_case, "have the same name"),
    "a member with other content": (other_content, "is damaged"),
    "a symbolic link": (a_link, "not a plain file"),
    "a bomb": (a_bomb, "is compressed"),
    "a bomb of overlapping members": (a_bomb_of_overlapping_members, "longer than the file"),
    "a huge manifest": (a_huge_manifest, "no usable manifest.json"),
    "no manifest": (no_manifest, "no usable manifest.json"),
    "a deep manifest": (a_deep_manifest, "not a complete backup"),
    "a later format": (a_later_format, "not a complete backup"),
    "a project name that leads out": (a_hostile_project_name, "is not allowed"),
    "a text": (text_instead, "not a complete backup"),
    "an empty file": (nothing, "not a complete backup"),
    "half a backup": (the_first_half, "not a complete backup"),
    "no database inside": (no_database, "is not a readable database"),
    "a database of a newer version": (another_database(NEWER), "newer version of this program"),
    "a trigger in the database": (another_database(TRIGGER), "trigger _sqlite_t is none of this program"),
    "a table too many": (another_database("CREATE TABLE more (x)"), "table more is none of this program"),
    "a table too few": (another_database("DROP TABLE explanation"), "table explanation differs from"),
    "more vectors in the index than in the file": (
        another_database("UPDATE vector SET row = row + 1000"), "is missing or too short"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "says"), HOSTILE.values(), ids=HOSTILE)
def test_an_archive_that_is_no_backup_of_ours_is_refused_and_leaves_nothing(make, says, packed, workspace, tmp_path):
    archive = make(tmp_path / "hostile.zip", members_of(packed))
    before = set(tmp_path.iterdir())
    with pytest.raises(RedError, match=says) as caught:
        restore(workspace, archive)
    refusal(caught)
    assert set(tmp_path.iterdir()) - before <= {workspace}
    assert not workspace.exists() or list(workspace.iterdir()) == []


def test_a_file_that_is_not_there_is_refused(workspace, tmp_path):
    for missing in (tmp_path / "gone.zip", tmp_path, Path("/dev/null")):
        with pytest.raises(InputError, match="there is no such file"):
            restore(workspace, missing)
    assert not workspace.exists()


def flipped(content: bytes, places: list[int], bit: int) -> bytes:
    changed = bytearray(content)
    for place in places:
        changed[place % len(changed)] ^= 1 << bit
    return bytes(changed)


def check_refused_or_whole(content: bytes, backed_up: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "flipped.zip").write_bytes(content)
    refused = None
    try:
        again = restore(folder / "workspace", folder / "flipped.zip", "again")
    except RedError as error:
        refused = str(error)
    if refused is not None:
        assert "\n" not in refused
        assert list((folder / "workspace").glob("*")) == []
    else:  # it hit a date, an attribute or the like
        assert export(again, folder / "a.jsonl") == export(
            Project(backed_up / "workspace", "small"), folder / "b.jsonl"
        )
        assert (folder / "a.jsonl").read_bytes() == (folder / "b.jsonl").read_bytes()


@given(places=st.lists(st.integers(0, 2**30), min_size=1, max_size=3), bit=st.integers(0, 7))
def test_flipped_bits_are_found_or_do_not_matter(backed_up, tmp_path_factory, places, bit):
    content = flipped((backed_up / "small.zip").read_bytes(), places, bit)
    check_refused_or_whole(content, backed_up, tmp_path_factory.getbasetemp() / "flips")


def test_flipped_bits_in_the_directory_of_the_zip_are_found_or_do_not_matter(backed_up, packed, tmp_path):
    content = packed.read_bytes()
    begins = content.rindex(b"PK\x01\x02", 0, content.index(b"PK\x05\x06"))
    chance = random.Random(0)  # noqa: S311  no secret
    for _ in range(60):
        place, bit = chance.randrange(begins, len(content)), chance.randrange(8)
        check_refused_or_whole(flipped(content, [place], bit), backed_up, tmp_path / "flips")


# Whole archives with a content that would crash, hang or fill the machine later: the check in its own process refuses

WELL = "INSERT INTO round (state, label_set_version, settings, judge, last_decision, metrics, who, at) "
WELL += "VALUES ('closed', 1, '{}', 'evidence', 0, %s, 'ann', '2026-01-01T00:00:00+00:00')"
PREDICTED = "INSERT INTO prediction VALUES (1, 20, 1, %s, 2, 0.1, 0.0, 0.5, %s)"
METRICS = (
    '{"pool": 1, "uncertain": 0, "expected_agreement": 0.9, "true_agreement": null, '
    '"judge_rates": {"right": {}, "wrong": {}, "pairs": 0}}'
)
ENDLESS = (
    "DROP VIEW seed; CREATE VIEW seed AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
    "SELECT x AS text, x AS label FROM n"
)
ENDLESS_LIST = (
    "DROP TABLE _sqlite_migrations; CREATE VIEW _sqlite_migrations AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL "
    "SELECT x + 1 FROM n) SELECT x AS id, 'red_core' AS migration_set, x AS name, '' AS applied_at FROM n"
)
DEEP = (WELL % "'{}'").replace("1, '{}', 'evidence'", f"1, '{'[' * 5000}', 'evidence'")
NOT_FINITE = "prediction.belief has a number that is not finite"
TOO_LARGE = "prediction.belief has a number that is not from 0 to 1"
CONTENTS = {
    "an endless view": (ENDLESS, "view seed is none of this program"),
    "a list of versions that is an endless view": (ENDLESS_LIST, "it has no list of the versions that wrote it"),
    "a virtual table": ("CREATE VIRTUAL TABLE words USING fts5(a)", "words.* is none of this program"),
    "an index of its own": ("CREATE INDEX more ON text (upper(content))", "index more is none of this program"),
    "metrics that are no JSON": (WELL % "'junk'", "round.metrics does not hold"),
    "metrics without a figure": (WELL % "'{\"pool\": 1}'", "round.metrics does not hold"),
    "settings of another program": (
        (WELL % "'{}'").replace("1, '{}', 'evidence'", "1, '{\"subset_size\": -1}', 'evidence'"),
        "round.settings does not hold"),
    "settings that are deep": (DEEP, "round.settings does not hold"),
    "a label of a prediction that does not exist": (
        f"{WELL % repr(METRICS)}; {PREDICTED % (0.5, repr('[[1, 0.5], [2, 0.1]]'))}; UPDATE prediction SET label = 99",
        "a label of a prediction does not exist"),
    "five best that are no list": (
        f"{WELL % repr(METRICS)}; {PREDICTED % (0.5, repr('{}'))}", "prediction.top does not hold"),
    "an infinity": (
        f"{WELL % repr(METRICS)}; {PREDICTED % ('9e999', repr('[]'))}", NOT_FINITE),
    "a probability of two": (
        f"{WELL % repr(METRICS)}; {PREDICTED % (2.0, repr('[]'))}", TOO_LARGE),
    "notes that are a number": ("UPDATE source SET notes = '7'", "source.notes does not hold"),
    "other columns that are a list": ("UPDATE source_row SET extra = '[1]'", "source_row.extra does not hold"),
    "an edit without what an undo needs": (
        "INSERT INTO label_edit (kind, detail, who, at) VALUES ('rename', '{}', 'a', '2026-01-01T00:00:00+00:00')",
        "label_edit.detail does not hold"),
    "a time that is none": ("UPDATE source SET at = 'yesterday'", "source.at has a time that cannot be read"),
    "a subset far away": (
        "INSERT INTO label_place VALUES (1, 1, 1000000000000, 0.0, 0.0)", "the number of a subset is out of its range"),
    "a model of vectors with no dimensions": (
        "UPDATE vector_model SET dimensions = 0", "is missing or too short|no usable dimensions|damaged"),
    "a target that is no number": (
        "INSERT INTO project VALUES ('audit target', 'junk')", "project.audit target has no usable value"),
    "an encoder that cannot be read": (
        "UPDATE project SET value = 'x?precision=junk' WHERE key = 'embedding'",
        "project.embedding has no usable value"),
    "languages that are no shares": (
        "INSERT OR REPLACE INTO project VALUES ('languages', '{\"de\": \"much\"}')",
        "project.languages has no usable value"),
    "a comparison of encoders with other fields": (
        "INSERT OR REPLACE INTO project VALUES ('encoder comparison', '[{\"encoder\": 1}]')",
        "project.encoder comparison has no usable value"),
    "a drift that is no comparison": (
        "INSERT OR REPLACE INTO project VALUES ('drift', '{\"of\": \"1 1\", \"file\": \"a\", \"labels\": [{}]}')",
        "project.drift has no usable value"),
    "a drift of something else": (
        "INSERT OR REPLACE INTO project VALUES ('drift of', '1 x')", "project.drift of has no usable value"),
    "a chain of merged labels": (
        "UPDATE label SET becomes = 2 WHERE id = 1; UPDATE label SET becomes = 3 WHERE id = 2",
        "a merged label is not merged into the last one"),
}  # fmt: skip


def with_content(script: str) -> Callable[[Path, Members], Path]:
    """Return what puts another database into a backup, with checksums that fit it."""

    def make(path: Path, members: Members) -> Path:
        file = path.with_suffix(".db")
        file.write_bytes(members["project.db"])
        with closing(sqlite3.connect(file)) as db:
            db.executescript(script)
            if db.execute("SELECT type FROM sqlite_schema WHERE name = '_sqlite_migrations'").fetchone() == ("table",):
                db.execute("DELETE FROM checksum")
                seal(Database(db, execute_plugins=False), predictions=True)
                db.commit()
        return sealed(path, members, file.read_bytes())

    return make


@pytest.mark.parametrize("name", CONTENTS)
def test_a_content_that_would_crash_later_is_refused_in_one_line(name, packed, workspace, tmp_path):
    script, says = CONTENTS[name]
    archive = with_content(script)(tmp_path / "hostile.zip", members_of(packed))
    with pytest.raises(InputError, match=says) as caught:
        restore(workspace, archive)
    refusal(caught)
    assert list(workspace.iterdir()) == []


def array_file(make: Callable[[Path], None], folder: Path) -> bytes:
    path = folder / "made.npz"
    make(path)
    return path.read_bytes()


def deflated(path: Path) -> None:
    """A few kilobytes that become megabytes: numpy would unpack them, and gigabytes too."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped,
        zipped.open("numbers.npy", "w", force_zip64=True) as out,
    ):
        np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": (2**22,)})
        for _ in range(2**5):
            out.write(bytes(2**20))


def claiming_terabytes(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as zipped, zipped.open("numbers.npy", "w") as out:
        np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})


def with_infinity(path: Path) -> None:
    np.savez(path, numbers=np.array([1.0, np.inf]))


def of_other_labels(path: Path) -> None:
    np.savez(path, label_ids=np.array([1, 99]))


def of_wrong_shapes(path: Path) -> None:
    shapes = {"subset_of": (1, 2), "weights": (1, 3, 5), "bias": (1, 2), "correction": (1, 2)}
    arrays = {f"partitions_{name}": np.zeros(shape) for name, shape in shapes.items()}
    np.savez(path, label_ids=np.array([1, 2]), partitions_samples=np.zeros(2), **arrays)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (deflated, "damaged"), (claiming_terabytes, "damaged"), (with_infinity, "a number that is not finite"),
        (of_other_labels, "does not fit the labels"), (of_wrong_shapes, "does not fit the labels"),
    ],
)  # fmt: skip
def test_hostile_arrays_are_refused_in_one_line(make, says, packed, workspace, tmp_path):
    members = members_of(packed)
    content = array_file(make, tmp_path)
    told = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    changed = with_manifest(members, lambda manifest: manifest["files"].update({"rounds/1.npz": told}))
    archive = written(tmp_path / "hostile.zip", changed | {"rounds/1.npz": content})
    with pytest.raises(InputError, match=says) as caught:
        restore(workspace, archive)
    refusal(caught)
    assert list(workspace.iterdir()) == []


def test_a_check_that_takes_too_long_is_stopped(packed, workspace, monkeypatch):
    monkeypatch.setattr("red_core.data.backup.CHECK_SECONDS", 0.05)
    with pytest.raises(InputError, match="takes longer than") as caught:
        restore(workspace, packed)
    refusal(caught)
    assert list(workspace.iterdir()) == []


def test_a_restored_project_has_an_id_of_its_own(backed_up, packed, workspace):
    original = open_project(backed_up / "workspace", "small")
    one, other = restore(workspace, packed, "one"), restore(workspace, packed, "other")
    assert len({original.id, one.id, other.id, ""}) == 4
