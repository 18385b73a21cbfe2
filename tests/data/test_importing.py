from __future__ import annotations

import gzip
import json
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_core.data.importing import ImportSummary, import_files, write_left_out
from red_core.data.preparing import read_source
from red_core.data.tables import normalise_text, read_table, write_table
from red_core.data.tables.label_cells import read_label
from red_core.data.tables.rows import UNSEEN_ONLY
from red_core.errors import InputError, ProjectError, RedError, SettingsError, StateError, StoreError
from red_core.labels.edit_kinds import Rename
from red_core.labels.edits import apply_edit
from red_core.records import Project
from red_core.store.database import connection, open_project, project_names
from red_core.store.decisions import rejected
from red_core.store.jobs import add_job, end_job
from red_core.store.labels import list_labels
from red_core.store.texts import (
    ENCODER_CHOSEN,
    contents,
    facts,
    left_out_rows,
    name_key,
    pool,
    remembered,
    seeds,
    truths,
)
from tests.helpers.project_facts import export_rows
from tests.helpers.small_projects import (
    EMBEDDING,
    LABELS,
    count,
    label_ids,
    pool_rows,
    seed_rows,
    small_project,
    write_csv,
)

GOOD = [
    ("pay me back", "refund"),
    ("where is my money", "refund"),
    ("is it on its way", "delivery"),
    ("when", "delivery"),
]


def dump(project: Project) -> list[str]:
    with closing(sqlite3.connect(project.database)) as db:
        return list(db.iterdump())


def table(folder: Path, rows: Iterable[tuple[str, ...]], name: str = "seeds.csv", columns: str = "text,label") -> Path:
    return write_csv(folder / name, columns.split(","), rows)


def bring(workspace: Path, *files: Path, name: str = "p", **more: Any) -> list[ImportSummary]:
    """Import labelled texts, and a pool if there is a second file."""
    return import_files(workspace, name, *files, **{"embedding": EMBEDDING, "who": "tester"} | more)


def seeds_of(project: Project) -> dict[str, str]:
    texts, ids = seeds(project)
    names = {label.id: label.name for label in list_labels(project)}
    return dict(zip(contents(project, texts), (names[i] for i in ids.tolist()), strict=True))


@pytest.fixture
def small(make_project) -> Project:
    return make_project(name="p")


# What is stored


def test_rows_with_a_label_are_seeds_and_rows_without_are_pool(workspace, tmp_path):
    bring(workspace, table(tmp_path, [*GOOD, ("no label yet", "")]))
    project = Project(workspace, "p")
    assert seeds_of(project) == dict(GOOD)
    assert contents(project, pool(project)) == ["no label yet"]


def test_every_row_of_a_pool_file_is_pool_whatever_its_columns(workspace, tmp_path):
    bring(workspace, table(tmp_path, GOOD), table(tmp_path, [("new", "refund")], "pool.csv"))
    project = Project(workspace, "p")
    assert contents(project, pool(project)) == ["new"]
    assert truths(project) == {}


def test_a_text_in_both_files_is_a_seed(workspace, tmp_path):
    pool_file = table(tmp_path, [("pay me back",), ("another",)], "pool.csv", "text")
    bring(workspace, table(tmp_path, GOOD), pool_file)
    project = Project(workspace, "p")
    assert contents(project, pool(project)) == ["another"]


def test_the_summary_counts_rows_seeds_pool_labels_folded_and_left_out(workspace, tmp_path):
    rows = [*GOOD, ("when ", "delivery"), ("", "refund"), ("no label", "")]
    (summary,) = bring(workspace, table(tmp_path, rows))
    assert (summary.rows, summary.used, summary.folded, summary.left_out) == (7, 5, 1, 1)
    assert (summary.seeds, summary.pool, summary.labels) == (4, 1, 2)
    assert not summary.already_imported


def test_the_summary_says_what_was_guessed(workspace, tmp_path):
    (summary,) = bring(workspace, table(tmp_path, GOOD, columns="question,intent"))
    assert summary.notes == (
        "text column: 'question' (guessed from its name)", "label column: 'intent' (guessed from its name)",
    )  # fmt: skip


def test_columns_can_be_named(workspace, tmp_path):
    file = table(tmp_path, [(b, a) for a, b in GOOD], columns="text,label")
    bring(workspace, file, text_column="label", label_column="text")
    assert seeds_of(Project(workspace, "p")) == dict(GOOD)


def test_a_column_of_the_pool_that_is_named_like_a_label_is_kept(workspace, tmp_path):
    bring(workspace, table(tmp_path, GOOD), table(tmp_path, [("new", "web")], "pool.csv", "text,topic"))
    assert list(export_rows(Project(workspace, "p"), 0))[-1].get("topic") == "web"


def test_rows_whose_text_the_project_already_had_are_counted_as_folded(workspace, tmp_path):
    bring(workspace, table(tmp_path, GOOD))
    (summary,) = import_files(
        workspace, "p", pool=table(tmp_path, [("when",), ("new",)], "pool.csv", "text"), embedding=EMBEDDING
    )
    assert summary.folded == 1


LIKE_PYTHON = ("(1)", "{1}", "[1]", "list()", "(None)", "set(default)", "Index(es)", "tuple(a)", "[1, 2]", "array(1)")


def labels_in(path: Path) -> list[str | None]:
    return [row.label for row in read_source(path, role="labelled").rows]


def test_a_label_that_looks_like_python_keeps_its_name(tmp_path):
    rows = [(f"text {n}", label) for n, label in enumerate(("1", *LIKE_PYTHON))]
    assert labels_in(table(tmp_path, rows)) == ["1", *LIKE_PYTHON]


def test_a_list_of_quoted_names_is_read_and_the_notes_say_so(tmp_path):
    cells = ("['a']", "set(['b'])", '["c"]', "('d',)", "{'e'}", "set()", "[]", "plain")
    path = table(tmp_path, [(f"text {n}", label) for n, label in enumerate(cells)])
    assert labels_in(path) == ["a", "b", "c", "d", "e", None, None, "plain"]
    notes = read_source(path, role="labelled").notes
    assert "5 labels are lists or objects, such as ['a']: the names in them are the labels" in notes


def test_where_all_labels_are_lists_numbers_are_labels_too(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": f"t {n}", "label": [n % 2]}) + "\n" for n in range(4)), "utf-8")
    assert labels_in(path) == ["0", "1", "0", "1"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_label_with_nul_and_what_nobody_sees_are_left_out(name, tmp_path):
    rows = [("one", "a"), ("two", "b\0"), ("\u200b\u2060", "a"), ("four", "\u200b"), ("five\u200b", "b")]
    write_table(tmp_path / name, [{"text": text, "label": label} for text, label in rows], ["text", "label"])
    prepared = read_source(tmp_path / name, role="labelled")
    assert [(row.text, row.label) for row in prepared.rows] == [("one", "a"), ("four", None), ("five\u200b", "b")]
    assert [row.reason for row in prepared.left_out] == ["the label holds a NUL character", "empty text"]


def test_a_file_without_a_name_is_refused(workspace):
    with pytest.raises(InputError, match=r"the file: its name is empty\. Name a file"):
        import_files(workspace, "p", "", embedding=EMBEDDING)


ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
USABLE = ANY.map(normalise_text).filter(lambda text: text and not UNSEEN_ONLY.fullmatch(text))
NAMES = USABLE.filter(lambda name: read_label(name, lists=True) == ((name,), "") and "\0" not in name)
"""Names of labels; *null* and *[]* are none, nor is what holds NUL."""


@given(st.lists(st.tuples(USABLE, ANY), min_size=1, max_size=5, unique_by=lambda each: each[0]), NAMES, NAMES)
def test_any_text_label_and_other_column_survive_file_import_and_export(rows, one, other):
    known = {text for text, _ in rows}
    more = [text for text in ("a", "b", "c", "d", "e", "f", "g", "h", "i") if text not in known][:4]
    lines = [{"text": text, "label": one, "more": extra} for text, extra in rows]
    lines += [{"text": text, "label": name} for text, name in zip(more, (one, one, other, other), strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "seeds.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        if name_key(one) == name_key(other):
            with pytest.raises(InputError, match="at least 2 are needed"):
                bring(Path(folder) / "w", file, text_column="text", label_column="label")
            return
        bring(Path(folder) / "w", file, text_column="text", label_column="label")
        exported = list(export_rows(Project(Path(folder) / "w", "p"), 0))
    assert [(each["text"], each["label"]) for each in exported] == [(line["text"], line["label"]) for line in lines]
    assert [each.get("more") for each in exported] == [line.get("more") for line in lines]


# Again


def test_importing_the_same_files_again_changes_nothing(small):
    before = dump(small)
    small_project(small.workspace, name="p")
    assert dump(small) == before


def test_a_second_import_of_a_file_says_so(workspace, tmp_path):
    file = table(tmp_path, GOOD)
    first, second = bring(workspace, file)[0], bring(workspace, file)[0]
    assert (first.already_imported, second.already_imported) == (False, True)
    assert first.source_id == second.source_id


def test_the_same_bytes_under_another_name_are_the_same_file(workspace, tmp_path):
    bring(workspace, table(tmp_path, GOOD))
    before = dump(Project(workspace, "p"))
    assert bring(workspace, table(tmp_path, GOOD, "copy.csv"))[0].already_imported
    assert dump(Project(workspace, "p")) == before


def test_of_two_files_only_the_new_one_is_imported(workspace, tmp_path):
    file = table(tmp_path, GOOD)
    bring(workspace, file)
    summaries = bring(workspace, file, table(tmp_path, [("new",)], "pool.csv", "text"))
    assert [summary.already_imported for summary in summaries] == [True, False]
    assert facts(Project(workspace, "p"))["rows"] == 5


def test_a_project_grows_by_a_pool_of_its_own(small, tmp_path):
    before = facts(small)
    import_files(small.workspace, "p", pool=table(tmp_path, [("new",)], "more.csv", "text"), embedding=EMBEDDING)
    assert facts(small)["pool"] == before["pool"] + 1


def test_one_seed_is_enough_for_a_label_the_project_knows(small, tmp_path):
    bring(small.workspace, table(tmp_path, [("one more", LABELS[0])], "more.csv"))
    assert seeds_of(small)["one more"] == LABELS[0]


def test_a_label_spelled_otherwise_is_the_one_the_project_knows(small, tmp_path):
    bring(small.workspace, table(tmp_path, [("one more", f" {LABELS[0].upper()} ")], "more.csv"))
    assert (len(list_labels(small)), seeds_of(small)["one more"]) == (len(LABELS), LABELS[0])


# Contradictions


def test_a_text_under_two_labels_in_one_file_is_left_out_and_listed(workspace, tmp_path):
    (summary,) = bring(workspace, table(tmp_path, [*GOOD, ("torn", "refund"), ("torn", "delivery")]))
    project = Project(workspace, "p")
    assert summary.left_out == 2
    assert [(each["row"], each["reason"]) for each in left_out_rows(project)] == [
        (6, "under two labels: delivery, refund"), (7, "under two labels: delivery, refund"),
    ]  # fmt: skip
    assert "torn" not in seeds_of(project)


def test_a_text_under_two_labels_in_two_imports_is_left_out_and_listed(small, tmp_path):
    torn = seed_rows()[0][0]
    bring(small.workspace, table(tmp_path, [(torn, LABELS[1])], "more.csv"))
    assert torn not in seeds_of(small)
    assert {Path(str(each["file"])).name for each in left_out_rows(small)} == {"p-seeds.csv", "more.csv"}


def test_two_spellings_of_one_label_are_no_contradiction(workspace, tmp_path):
    bring(workspace, table(tmp_path, [*GOOD, ("when", "Delivery")]))
    assert left_out_rows(Project(workspace, "p")) == []


def test_an_import_that_takes_all_seeds_from_a_label_is_refused(small, tmp_path):
    before = dump(small)
    taken = [(text, LABELS[1]) for text, label in seed_rows() if label == LABELS[0]]
    with pytest.raises(InputError, match=LABELS[0]):
        bring(small.workspace, table(tmp_path, taken, "more.csv"))
    assert dump(small) == before


def test_a_text_under_two_labels_already_is_no_seed_of_a_new_label(small, tmp_path):
    torn = seed_rows()[0][0]
    bring(small.workspace, table(tmp_path, [(torn, LABELS[1])], "more.csv"))
    with pytest.raises(InputError, match="'fresh' would have no text of its own"):
        bring(small.workspace, table(tmp_path, [(torn, "fresh")], "again.csv"))


def test_rows_left_out_are_written_with_their_reason(workspace, tmp_path):
    bring(workspace, table(tmp_path, [*GOOD, ("", "refund"), ("torn", "refund"), ("torn", "delivery")]))
    out = tmp_path / "left-out.csv"
    assert write_left_out(Project(workspace, "p"), out) == 3
    assert read_table(out).frame["reason"].tolist() == ["empty text", *["under two labels: delivery, refund"] * 2]


# Trial projects


def many(each: int = 8) -> list[tuple[str, str]]:
    return [(f"{label} number {number}", label) for label in LABELS for number in range(each)]


@pytest.mark.parametrize("wanted", [2, 3, 8])
def test_a_trial_project_draws_as_many_seeds_a_label(wanted, workspace, tmp_path):
    bring(workspace, table(tmp_path, many()), seeds_per_label=wanted)
    assert Counter(seeds_of(Project(workspace, "p")).values()) == dict.fromkeys(LABELS, wanted)


def test_a_trial_project_hides_the_other_labels_as_truth(workspace, tmp_path):
    bring(workspace, table(tmp_path, many()), seeds_per_label=3)
    project = Project(workspace, "p")
    ids = list(truths(project))
    hidden = dict(zip(contents(project, ids), truths(project).values(), strict=True))
    assert hidden | seeds_of(project) == dict(many())
    assert len(hidden) == len(pool(project)) == 5 * len(LABELS)


def test_nothing_but_scoring_can_see_the_truth(workspace, tmp_path):
    bring(workspace, table(tmp_path, many()), seeds_per_label=2)
    with connection(Project(workspace, "p")) as db:
        seen = db.execute("SELECT count(*) FROM source_row WHERE truth IS NOT NULL AND label IS NOT NULL").fetchone()
    assert seen == (0,)
    assert {each["label"] for each in export_rows(Project(workspace, "p"), 0) if each["truth"]} == {None}


def test_a_trial_project_draws_the_same_seeds_every_time(workspace, tmp_path):
    bring(workspace, table(tmp_path, many()), seeds_per_label=3)
    bring(workspace, table(tmp_path, many()[::-1], "backwards.csv"), seeds_per_label=3, name="q")
    assert seeds_of(Project(workspace, "p")) == seeds_of(Project(workspace, "q"))


def test_a_label_with_fewer_texts_gives_all_it_has_to_a_trial_project(workspace, tmp_path):
    bring(workspace, table(tmp_path, [*many(), ("rare one", "rare"), ("rare two", "rare")]), seeds_per_label=5)
    assert Counter(seeds_of(Project(workspace, "p")).values())["rare"] == 2


def test_duplicates_are_one_seed_of_a_trial_project(workspace, tmp_path):
    bring(workspace, table(tmp_path, many(4) * 3), seeds_per_label=2)
    assert Counter(seeds_of(Project(workspace, "p")).values()) == dict.fromkeys(LABELS, 2)


def test_a_text_under_two_labels_is_never_a_seed_of_a_trial_project(workspace, tmp_path):
    torn = [(text, LABELS[0]) for text, label in many() if label == LABELS[1]][:4]
    bring(workspace, table(tmp_path, [*many(), *torn]), seeds_per_label=4)
    project = Project(workspace, "p")
    assert not {text for text, _ in torn} & set(seeds_of(project))
    assert left_out_rows(project) == []


def test_two_spellings_of_one_label_share_the_seeds_of_a_trial_project(workspace, tmp_path):
    rows = [(text, label.upper() if number % 2 else label) for number, (text, label) in enumerate(many())]
    bring(workspace, table(tmp_path, rows), seeds_per_label=2)
    assert set(Counter(seeds_of(Project(workspace, "p")).values()).values()) == {2}


def test_the_truth_of_a_pool_file_comes_beside_it(small):
    ids = list(truths(small))
    assert dict(zip(contents(small, ids), truths(small).values(), strict=True)) == dict(pool_rows())


# Refusals: one line, and nothing is half imported

Case = Callable[[Path], dict[str, Any]]
"""Makes files in a folder and returns the arguments of an import of them into a new project."""


def labelled(content: str | bytes, name: str = "a.csv", **more: Any) -> Case:
    def make(folder: Path) -> dict[str, Any]:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return {"labelled": folder / name} | more

    return make


def with_pool(content: str | bytes, name: str = "pool.csv") -> Case:
    def make(folder: Path) -> dict[str, Any]:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return {"labelled": table(folder, GOOD), "pool": folder / name}

    return make


def good(**more: Any) -> Case:
    return lambda folder: {"labelled": table(folder, GOOD)} | more


def workspace_is_a_file(folder: Path) -> dict[str, Any]:
    (folder / "workspace").write_text("a file")
    return {"labelled": table(folder, GOOD)}


CSV = "text,label\n"
TWO = CSV + "a,A\nb,A\nc,B\nd,B\n"
REFUSED: dict[str, tuple[Case, type[RedError], str]] = {
    "nothing to import": (lambda _: {}, SettingsError, "nothing to import. Give a file with --labelled or --pool"),
    "no seed a label": (good(seeds_per_label=0), SettingsError, "must be at least 2; got 0"),
    "one seed a label": (good(seeds_per_label=1), SettingsError, "must be at least 2; got 1"),
    "fewer than no seeds": (good(seeds_per_label=-3), SettingsError, "must be at least 2; got -3"),
    "a name that is not allowed": (good(name="../p"), ProjectError, "is not allowed"),
    "a workspace that is a file": (workspace_is_a_file, StoreError, "Check the folder"),
    "a file that is not there": (lambda f: {"labelled": f / "gone.csv"}, InputError, "No such file"),
    "a folder": (lambda f: {"labelled": f}, InputError, "Name one file in that folder"),
    "an empty file": (labelled(""), InputError, "the file is empty"),
    "a header without rows": (labelled(CSV), InputError, "no rows of data"),
    "one column": (
        labelled("text\na b c\nd e f\n"),
        InputError,
        "only column 'text' is filled",
    ),
    "two columns of one name": (labelled("text,text\na,b\n"), InputError, "two columns are named 'text'"),
    "a text column that is not there": (good(text_column="body"), InputError, "no column 'body'"),
    "a label column that is not there": (good(label_column="labl"), InputError, "Did you mean 'label'"),
    "one column as both": (good(text_column="text", label_column="TEXT"), InputError, "cannot be both"),
    "one label": (labelled(CSV + "a,A\nb,A\n"), InputError, "column 'label' has 1 label, but at least 2 are needed"),
    "one label in two spellings": (labelled(CSV + "a,A\nb,a\nc,A \n"), InputError, "'label' has 1 label"),
    "no label in the label column": (labelled(CSV + "a,\nb,\n"), InputError, "only column 'text' is filled"),
    "no text in the text column": (labelled(CSV + ",A\n,B\n"), InputError, "only column 'label' is filled"),
    "a label with contradictions only": (labelled(TWO + "a,C\nb,C\n"), InputError, "would have no text of its own"),
    "a text column of objects": (
        labelled('{"text": [{"a": 1}], "label": "A"}\n', "a.jsonl"),
        InputError,
        "hold objects",
    ),
    "a pool without seeds": (lambda f: {"pool": table(f, GOOD)}, InputError, "a new project needs labelled texts"),
    "a quote that is never closed": (labelled(TWO + '"e,C\n'), InputError, "row 6: a quote opens here"),
    "a row too short": (labelled(TWO + "e\n"), InputError, "row 6: 1 field where the header has 2"),
    "a broken byte": (labelled((TWO + "é,A\nü,A\n").encode() + b"\xff,A\n"), InputError, "not valid UTF-8"),
    "a NUL byte": (labelled(TWO + "e\0,A\n"), InputError, "a NUL byte"),
    "a zip archive": (labelled(b"PK\x03\x04" + bytes(40), "a.zip"), InputError, "is damaged"),
    "a damaged gzip": (labelled(gzip.compress(TWO.encode())[:-9], "a.csv.gz"), InputError, "its gzip is damaged"),
    "broken JSON": (labelled('{"text": "a", "label": }\n', "a.jsonl"), InputError, "row 1: invalid JSON"),
    "good seeds with an empty pool": (with_pool(""), InputError, "pool.csv: the file is empty"),
    "good seeds with a broken pool": (with_pool('text\n"never closed\n'), InputError, "a quote opens here"),
    "good seeds with a web page": (with_pool("<!DOCTYPE html><html>"), InputError, "this is a web page"),
}


def one_line(caught: pytest.ExceptionInfo[RedError]) -> str:
    line = str(caught.value)
    assert "\n" not in line
    assert line.isprintable()
    return line


@pytest.mark.parametrize(("case", "kind", "says"), REFUSED.values(), ids=REFUSED)
def test_a_hostile_import_is_refused_in_one_line_and_leaves_no_project(case, kind, says, tmp_path):
    workspace = tmp_path / "workspace"
    arguments = {"name": "p", "embedding": EMBEDDING, **case(tmp_path)}
    with pytest.raises(kind) as caught:
        import_files(workspace, **arguments)
    assert says in one_line(caught)
    assert project_names(workspace) == []


def test_there_are_enough_hostile_imports():
    assert len(REFUSED) >= 20


WELCOME = {"a workspace that is a file", "one label", "one label in two spellings", "a pool without seeds"}
"""Cases that are fine, or mean nothing, where there is a project with seeds."""


@pytest.mark.parametrize("name", [name for name in REFUSED if name not in WELCOME])
def test_a_hostile_import_leaves_a_project_that_is_there_as_it_was(name, small, tmp_path):
    before = dump(small)
    case, kind, says = REFUSED[name]
    arguments = {"name": "p", "embedding": EMBEDDING, **case(tmp_path)}
    with pytest.raises(kind) as caught:
        import_files(small.workspace, **arguments)
    assert says in one_line(caught)
    assert dump(small) == before


def test_another_embedding_than_the_projects_is_refused(small, tmp_path):
    before = dump(small)
    with pytest.raises(StateError, match="uses the encoder 'fake'") as caught:
        bring(small.workspace, table(tmp_path, GOOD), embedding="another")
    one_line(caught)
    assert dump(small) == before


def test_a_refused_encoder_is_not_the_one_that_a_person_chose(workspace, tmp_path):
    import_files(workspace, "p", table(tmp_path, GOOD))
    with pytest.raises(StateError, match="uses the encoder 'all-MiniLM-L6-v2'"):
        import_files(workspace, "p", table(tmp_path, GOOD), embedding="another")
    assert remembered(Project(workspace, "p"), ENCODER_CHOSEN) == ""


def test_nothing_is_imported_while_a_job_runs(small, tmp_path):
    job = add_job(small, "round", "{}", "tester")
    before = dump(small)
    with pytest.raises(StateError, match=r"a job is running in project p\. Wait for it, or cancel it") as caught:
        bring(small.workspace, table(tmp_path, GOOD))
    one_line(caught)
    assert dump(small) == before
    end_job(small, job, "done")
    assert not bring(small.workspace, table(tmp_path, GOOD))[0].already_imported


def test_a_corrupt_project_refuses_an_import_and_stays_as_it_was(small, tmp_path):
    small.database.write_bytes(b"not a database at all, " * 300)
    before = small.database.read_bytes()
    with pytest.raises(StoreError, match="is not a readable database") as caught:
        bring(small.workspace, table(tmp_path, GOOD))
    one_line(caught)
    assert small.database.read_bytes() == before


WRITTEN = [(f"about {label}, {n}", label) for label in ("refund", "repair") for n in range(4)]


def test_labels_that_nobody_confirmed_are_no_examples(workspace, tmp_path):
    rows = [(text, label, "" if text.endswith(("0", "1")) else "yes") for text, label in WRITTEN]
    path = write_csv(tmp_path / "a.csv", ["text", "label", "verified"], rows)
    (done,) = import_files(workspace, "p", path)
    project = open_project(workspace, "p")
    assert (len(seeds(project)[0]), len(pool(project))) == (4, 4)
    assert any("verified" in note for note in done.notes)


def test_an_answer_that_means_nothing_known_is_left_out_and_named(workspace, tmp_path):
    words = {"0": "right", "1": "accept", "2": "accepted", "3": "not right"}
    rows = [(text, label, words[text[-1]]) for text, label in WRITTEN]
    path = write_csv(tmp_path / "a.csv", ["text", "label", "ok"], rows)
    import_files(workspace, "p", path, answer_column="ok")
    project = open_project(workspace, "p")
    assert len(seeds(project)[0]) == 4
    reason = "ok has none of the words accepted, rejected, skipped, pending, yes or no"
    assert count(project, f"SELECT count(*) FROM source_row WHERE left_out = '{reason}'") == 4


def test_a_rejection_under_a_former_name_does_not_take_an_example_away(workspace, tmp_path):
    import_files(workspace, "p", write_csv(tmp_path / "a.csv", ["text", "label"], WRITTEN))
    project = open_project(workspace, "p")
    ids = label_ids(project)
    apply_edit(project, Rename(ids["refund"], "money back"), "ann")
    rows = [(WRITTEN[0][0], "refund", "rejected"), ("another text", "refund", "accepted")]
    import_files(workspace, "p", write_csv(tmp_path / "b.csv", ["text", "label", "answer"], rows))
    assert len(seeds(project)[0]) == 9
    assert rejected(project) == set()
    assert count(project, "SELECT count(*) FROM source_row WHERE left_out LIKE 'accepted and rejected as %'") == 1
