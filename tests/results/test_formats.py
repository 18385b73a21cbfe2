"""The formats of an export, the filters, and what comes back edited."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_core.data.importing import import_files
from red_core.data.preparing import read_source
from red_core.data.tables import read_table
from red_core.errors import InputError, SettingsError
from red_core.labels import snapshot
from red_core.labels.edit_kinds import Rename
from red_core.labels.edits import apply_edit
from red_core.labels.groups import Group
from red_core.records import Project
from red_core.results.edited import apply_edited, read_edited
from red_core.results.exports import count_rows, export
from red_core.results.formats import FORMATS
from red_core.results.formats.format import Export
from red_core.results.formats.workbook import write_workbook
from red_core.review.decisions import decide, undo
from red_core.store.exports import ExportFilter
from red_core.store.labels import list_labels
from red_core.store.texts import original_texts, texts_by_identity
from red_core.text import text_id
from tests.helpers.small_projects import EMBEDDING, write_csv

ROWS = [
    ("1", "2024-02-29", "007", "=1+1 is a formula", "refund"),
    ("2", "2024-03-01", "008", "where is it", "delivery"),
    ("3", "2024-03-02", "009", "pay me back", "refund"),
    ("4", "2024-03-03", "010", "when does it come", "delivery"),
    ("5", "2024-03-04", "011", "<p>something <b>else</b></p>", ""),
    ("6", "2024-03-05", "012", "", "refund"),
]
COLUMNS = ["id", "date", "code", "Beschreibung", "Kategorie"]


@pytest.fixture
def project(workspace: Path, tmp_path: Path) -> Project:
    import_files(workspace, "p", write_csv(tmp_path / "in" / "tickets.csv", COLUMNS, ROWS), embedding=EMBEDDING)
    return Project(workspace, "p")


def row_of(project: Project, text: str) -> int:
    return texts_by_identity(project, [text_id(text)])[text_id(text)]


def label_of(project: Project, name: str) -> int:
    return next(label.id for label in list_labels(project) if label.name == name)


def decided(project: Project) -> None:
    decide(project, row_of(project, "something else"), "relabel", label=label_of(project, "refund"), who="ann")


def test_a_workbook_has_numbers_and_dates_and_no_formula(project, tmp_path):
    decided(project)
    assert export(project, tmp_path / "out.xlsx") == 6
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    cells = [dict(zip([c.value for c in sheet[1]], row, strict=True)) for row in sheet.iter_rows(min_row=2)]
    first = cells[0]
    assert (first["text"].value, first["text"].data_type) == ("=1+1 is a formula", "s")
    assert (first["Beschreibung"].value, first["Beschreibung"].data_type) == ("=1+1 is a formula", "s")
    assert first["date"].value == datetime(2024, 2, 29)  # noqa: DTZ001  Excel knows no time zones
    assert first["id"].value == 1
    assert first["code"].value == "007"
    assert isinstance(cells[4]["decided_at"].value, datetime)
    assert sheet.freeze_panes == "A2"


TEXTS = ("1.10", "1.1", "2024-01-01", "12", "5.50", "2024-01-01T10:00:00+02:00", "=1")


@pytest.fixture
def texts_like_numbers(workspace: Path, tmp_path: Path) -> Project:
    rows = [(f"{text} {n}" if n else text, text, text) for text in TEXTS for n in range(2)]
    file = write_csv(tmp_path / "n.csv", ["question", "kind", "note"], rows)
    import_files(workspace, "n", file, label_column="kind", embedding=EMBEDDING)
    return Project(workspace, "n")


def test_a_workbook_keeps_texts_and_labels_that_look_like_numbers_and_days(texts_like_numbers, tmp_path):
    export(texts_like_numbers, path := tmp_path / "out.xlsx")
    rows = list(openpyxl.load_workbook(path).active.iter_rows(values_only=True))
    cells = [dict(zip(rows[0], row, strict=True)) for row in rows[1::2]]
    for name in ("text", "question", "label", "exported_label"):
        assert tuple(cell[name] for cell in cells) == TEXTS
    moment = datetime(2024, 1, 1, 8)  # noqa: DTZ001  Excel knows no time zones: it is UTC
    day = datetime(2024, 1, 1)  # noqa: DTZ001
    assert [cell["note"] for cell in cells] == ["1.10", 1.1, day, 12, "5.50", moment, "=1"]


@pytest.mark.parametrize("text", ["a_x000D_b", "_x0041_", "_x005F_x0041_", "_x_ _x12_", "_x0041", "x005F_"])
def test_a_text_that_excel_would_read_as_a_character_stays_as_it_is(text, tmp_path):
    write_workbook(tmp_path / "a.xlsx", Export(["n", "text"], iter([{"n": "x", "text": text}]), (), texts={"text"}))
    assert read_table(tmp_path / "a.xlsx").frame["text"].tolist() == [text]


@pytest.mark.parametrize("text", ["x" * 40_000, "\U0001f600" * 20_000, "x" + "\U0001f600" * 20_000])
def test_no_cell_of_a_workbook_is_longer_than_excel_counts(text, tmp_path):
    write_workbook(tmp_path / "a.xlsx", Export(["text"], iter([{"text": text}]), ()))
    (cell,) = read_table(tmp_path / "a.xlsx").frame["text"]
    assert cell.endswith("…")
    assert text.startswith(cell[:-1])
    assert 32_760 < len(cell.encode("utf-16-le")) // 2 <= 32_767


VALUE = st.one_of(
    st.from_regex(r"-?\d{1,18}(\.\d{1,18})?", fullmatch=True),
    st.from_regex(r"[012]\d{3}-[01]\d-[0-3]\d([T ][012]\d:[0-5]\d(:[0-5]\d(\.\d{1,6})?)?)?", fullmatch=True),
)


@given(values=st.lists(VALUE, min_size=1, max_size=5))
def test_no_value_of_a_file_is_lost_in_a_workbook(values, tmp_path_factory):
    path = tmp_path_factory.mktemp("book") / "out.xlsx"
    write_workbook(path, Export(["n", "value"], iter([{"n": "x", "value": value} for value in values]), ()))
    found = read_table(path).frame["value"]
    assert [each.replace("T", " ") for each in found] == [each.replace("T", " ") for each in values]


def test_csv_for_excel_has_the_mark_and_the_delimiter(project, tmp_path):
    export(project, tmp_path / "out.csv", format_name="csv-excel", delimiter=";")
    content = (tmp_path / "out.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbffile;row;text_id;text;label;")
    assert read_table(tmp_path / "out.csv").frame["text"].tolist()[0] == "'=1+1 is a formula"


def test_class_labels_are_read_with_their_names(project, tmp_path):
    export(project, tmp_path / "out.parquet", format_name="datasets")
    features = json.loads(pq.read_schema(tmp_path / "out.parquet").metadata[b"huggingface"])["info"]["features"]
    assert features["label"] == {"names": ["delivery", "refund"], "_type": "ClassLabel"}
    assert pq.read_table(tmp_path / "out.parquet")["label"].to_pylist() == [1, 0, 1, 0, -1, -1]
    assert read_table(tmp_path / "out.parquet").frame["label"].tolist() == [
        "refund", "delivery", "refund", "delivery", None, None,
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["label-studio", "prodigy", "argilla", "doccano", "excel", "csv-excel", "datasets"])
def test_what_goes_out_comes_in_with_the_same_labels(name, project, tmp_path):
    decided(project)
    path = tmp_path / f"out.{FORMATS[name].endings[0]}"
    export(project, path, format_name=name, wanted=ExportFilter())
    prepared = read_source(path, role="labelled")
    labels = {row.text.removeprefix("'"): row.label for row in prepared.rows if row.text}
    expected = {"=1+1 is a formula": "refund", "where is it": "delivery", "pay me back": "refund"}
    assert labels == expected | {"when does it come": "delivery", "something else": "refund"}


def test_no_path_of_this_machine_is_in_an_export(project, tmp_path):
    for name in FORMATS.values():
        export(project, path := tmp_path / f"{name.name}.{name.endings[0]}", format_name=name.name)
        assert str(tmp_path).encode() not in path.read_bytes()
    assert set(read_table(tmp_path / "table.csv").frame["file"]) == {"tickets.csv"}


def test_the_text_comes_back_under_its_own_name_as_it_came(project, tmp_path):
    export(project, tmp_path / "out.csv")
    frame = read_table(tmp_path / "out.csv").frame
    assert frame["Beschreibung"].tolist()[4] == "<p>something <b>else</b></p>"
    assert frame["text"].tolist()[4] == "something else"
    assert frame["original text"].tolist()[4] == "<p>something <b>else</b></p>"


def test_a_text_as_it_came_is_found_by_its_row(project):
    found = original_texts(project, [("tickets.csv", 6), ("tickets.csv", 2), ("other.csv", 6)])
    assert found == {("tickets.csv", 6): "<p>something <b>else</b></p>"}


@pytest.mark.parametrize(
    ("wanted", "texts"),
    [
        (ExportFilter(label="REFUND"), ["=1+1 is a formula", "pay me back", "something else"]),
        (ExportFilter(source="decision"), ["something else"]),
        (ExportFilter(source="left out"), [None]),
        (ExportFilter(label="none of these"), []),
        (ExportFilter(decided_since="2020-01-01"), ["something else"]),
        (ExportFilter(decided_since="2999-01-01"), []),
        (ExportFilter(least_belief=0.5), []),
        (ExportFilter(group=("Money",)), ["=1+1 is a formula", "pay me back", "something else"]),
        (ExportFilter(group=("Money", "Back")), ["=1+1 is a formula", "pay me back", "something else"]),
        (ExportFilter(group=("money", "BACK")), ["=1+1 is a formula", "pay me back", "something else"]),
        (ExportFilter(source="left out: empty text"), [None]),
        (ExportFilter(decided_since="2020-01-01T12:00:00+02:00"), ["something else"]),
    ],
)
def test_an_export_can_be_filtered(wanted, texts, project, tmp_path):
    decided(project)
    apply_edit(project, Group({label_of(project, "refund"): ("Money", "Back")}), "ann")
    assert export(project, tmp_path / "out.jsonl", wanted=wanted) == count_rows(project, wanted) == len(texts)
    lines = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    found = [json.loads(line)["text"] for line in lines]
    assert [text and text.removeprefix("'") for text in found] == texts


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"label": "refnd"}, "there is no label 'refnd'. Did you mean 'refund'?"),
        ({"label": ""}, "there is no label ''. `red groups p` lists the labels."),
        ({"group": ("Mony",)}, "there is no group 'Mony'. Did you mean 'Money'"),
        ({"group": ()}, "there is no group ''. `red groups p` lists the groups."),
        ({"source": "classifier"}, "there is no source 'classifier'. Did you mean 'classifiers'"),
        ({"source": "left out: because"}, "there is no source 'left out: because'."),
        ({"least_belief": 0.9, "most_belief": 0.1}, "no confidence is at least 0.9 and at most 0.1. Exchange the two."),
        ({"least_belief": float("nan")}, "a confidence is from 0 to 1, not nan."),
        ({"most_belief": 1.5}, "a confidence is from 0 to 1, not 1.5."),
        *(
            ({"decided_since": text}, f"{text!r} is not a day such as 2026-01-31")
            for text in ("12/31/2099", "1.12.2026", "0", "", "yesterday", "2026-13-45", "9999-12-31T23:59-14:00")
        ),
    ],
)
def test_a_filter_that_matches_nothing_is_refused(wanted, says, project, tmp_path):
    apply_edit(project, Group({label_of(project, "refund"): ("Money", "Back")}), "ann")
    with pytest.raises(SettingsError) as refused:
        export(project, tmp_path / "out.jsonl", wanted=ExportFilter(**wanted))
    assert str(refused.value).startswith(says)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_filter_finds_a_label_by_its_former_name(project, tmp_path):
    apply_edit(project, Rename(label_of(project, "refund"), "money back"), "ann")
    assert export(project, tmp_path / "out.jsonl", wanted=ExportFilter(label="Refund")) == 2


@pytest.mark.parametrize("delimiter", ['"', "\n", "a", "ab", "", "\\t", " "])
def test_a_delimiter_that_breaks_the_file_is_refused(delimiter, project, tmp_path):
    with pytest.raises(InputError, match=r"is no delimiter\. Choose one of these signs: comma, semi"):
        export(project, tmp_path / "out.csv", format_name="csv-excel", delimiter=delimiter)
    with pytest.raises(SettingsError, match="the format table has no other delimiter"):
        export(project, tmp_path / "out.csv", delimiter=delimiter)
    assert list(tmp_path.glob("out*")) == []


@pytest.mark.parametrize(("file", "name"), [("a.csv", "excel"), ("a.jsonl", "label-studio"), ("a.csv", "no such")])
def test_a_format_that_does_not_fit_the_name_is_refused(file, name, project, tmp_path):
    with pytest.raises(InputError):
        export(project, tmp_path / file, format_name=name)
    assert not (tmp_path / file).exists()


# What comes back edited


def edited(path: Path, changes: dict[str, str]) -> Path:
    """Edit labels in a workbook, by text."""
    book = openpyxl.load_workbook(path)
    names = [cell.value for cell in book.active[1]]
    for row in book.active.iter_rows(min_row=2):
        text = row[names.index("text")].value
        if text in changes:
            row[names.index("label")].value = changes[text]
    book.save(path)
    return path


def test_edited_labels_are_shown_and_applied_once(project, tmp_path):
    export(project, path := tmp_path / "out.xlsx")
    changes = {"where is it": "refund", "something else": "none of these", "pay me back": "new one"}
    found = read_edited(project, edited(path, changes))
    assert [(each.before, each.after, each.change) for each in found.differences] == [
        ("delivery", "refund", "label"), ("refund", "new one", "unknown label"), ("", "none of these", "none"),
    ]  # fmt: skip
    assert found.sentence() == "6 rows, 2 changed labels; not applied: 1 unknown label"
    assert apply_edited(project, found, "ann") == 2
    assert apply_edited(project, found, "ann") == 0
    export(project, tmp_path / "again.jsonl")
    rows = {row["text"]: row for row in map(json.loads, (tmp_path / "again.jsonl").read_text("utf-8").splitlines())}
    assert (rows["where is it"]["label"], rows["where is it"]["source"]) == ("refund", "decision")
    assert rows["something else"]["source"] == "decision: none of these"
    assert rows["where is it"]["decisions"][0]["reason"] == "edited in out.xlsx"


def test_edited_labels_that_were_undone_can_be_applied_again(project, tmp_path):
    export(project, path := tmp_path / "out.csv")
    changed = write_csv(
        tmp_path / "edited.csv", *relabelled(path, {"where is it": "refund", "pay me back": "delivery"})
    )
    assert apply_edited(project, read_edited(project, changed), "ann") == 2
    for _ in range(2):
        undo(project, who="ann")
        found = read_edited(project, changed)
        assert found.sentence() == "6 rows, 1 changed labels"
        assert [apply_edited(project, found, "ann") for _ in range(2)] == [1, 0]
        assert read_edited(project, changed).differences == ()


def relabelled(path: Path, changes: dict[str, str]) -> tuple[list[str], list[list[str]]]:
    """Return the columns and the rows of an export with other labels, by text."""
    frame = read_table(path).frame
    frame["label"] = [changes.get(text, label) for text, label in zip(frame["text"], frame["label"], strict=True)]
    return list(frame.columns), frame.values.tolist()


def test_a_label_of_an_earlier_version_called_none_of_these_is_meant(project, tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "NONE_NAMES", ())
    apply_edit(project, Rename(label_of(project, "delivery"), "None of these"), "ann")
    export(project, path := tmp_path / "out.xlsx")
    (found,) = read_edited(project, edited(path, {"pay me back": "none of these"})).differences
    assert (found.before, found.after, found.change) == ("refund", "None of these", "label")


def test_a_label_that_looks_like_a_number_can_be_edited(texts_like_numbers, tmp_path):
    export(texts_like_numbers, path := tmp_path / "out.xlsx")
    assert read_edited(texts_like_numbers, path).differences == ()
    (found,) = read_edited(texts_like_numbers, edited(path, {"1.10 1": "5.50"})).differences
    assert (found.before, found.after, found.change) == ("1.10", "5.50", "label")


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_an_edit_in_csv_finds_a_label_that_has_apostrophes_there(delimiter, project, tmp_path):
    apply_edit(project, Rename(label_of(project, "refund"), "a,=1;@b"), "ann")
    export(project, path := tmp_path / "out.csv", format_name="csv-excel", delimiter=delimiter)
    content = path.read_text("utf-8-sig")
    cell = '"a,=1;\'@b"' if delimiter == "," else "\"a,'=1;'@b\""
    assert content.count(cell) == 4  # label and exported_label of two rows
    path.write_text(content.replace(f"{delimiter}delivery{delimiter}", f"{delimiter}{cell}{delimiter}"), "utf-8-sig")
    assert {(each.before, each.after, each.change) for each in read_edited(project, path).differences} == {
        ("delivery", "a,=1;@b", "label")
    }


SIGNS = ("=1+1", "'=1", "''=1", "@home", "-5 days", "+a", "a;=b", "a,=b", "it's", "'quoted'")


@pytest.mark.parametrize(
    ("file", "name", "delimiter"),
    [("a.csv", None, ","), ("a.tsv", None, ","), *(("a.csv", "csv-excel", each) for each in (",", ";", "\t"))],
)
def test_an_export_for_spreadsheets_comes_in_with_its_texts_and_labels(file, name, delimiter, workspace, tmp_path):
    rows = [(f"{sign} {number}" if number else sign, sign, sign) for sign in SIGNS for number in range(2)]
    given = write_csv(tmp_path / "in.csv", ["text", "label", "=note"], rows)
    import_files(workspace, "p", given, embedding=EMBEDDING)
    project = Project(workspace, "p")
    export(project, tmp_path / file, format_name=name, delimiter=delimiter)
    prepared = read_source(tmp_path / file, role="labelled")
    assert [(row.text, row.label, row.extra["=note"]) for row in prepared.rows] == rows
    assert all(row.extra["text_id"] == text_id(row.text) for row in prepared.rows)
    assert read_edited(project, tmp_path / file).differences == ()


def test_an_export_that_nobody_edited_changes_nothing(project, tmp_path):
    for name in ("out.xlsx", "out.csv", "out.jsonl", "out.parquet"):
        export(project, tmp_path / name)
        assert read_edited(project, tmp_path / name).differences == ()


def test_a_label_that_changed_here_since_the_export_is_listed_and_stays(project, tmp_path):
    export(project, path := tmp_path / "out.xlsx")
    decided(project)
    found = read_edited(project, edited(path, {"something else": "delivery"}))
    assert [(each.before, each.after, each.change) for each in found.differences] == [
        ("refund", "delivery", "changed here")
    ]
    assert apply_edited(project, found, "ann") == 0


@pytest.mark.parametrize(("name", "at"), [("label-studio", "data"), ("argilla", "metadata")])
def test_what_another_tool_returns_finds_its_texts(name, at, project, tmp_path):
    export(project, path := tmp_path / "out.json", format_name=name)
    records = json.loads(path.read_text("utf-8"))
    assert all(record[at]["text_id"] for record in records)
    path.write_text(path.read_text("utf-8").replace('"delivery"', '"refund"'), "utf-8")
    found = read_edited(project, path)
    assert {(each.text, each.after) for each in found.differences} == {
        ("where is it", "refund"), ("when does it come", "refund"),
    }  # fmt: skip


@pytest.mark.parametrize("content", [b"text,label\na,b\n", b"text_id,text\nx,b\n", b""])
def test_a_file_that_is_no_export_is_refused(content, project, tmp_path):
    (path := tmp_path / "other.csv").write_bytes(content)
    with pytest.raises(InputError):
        read_edited(project, path)
