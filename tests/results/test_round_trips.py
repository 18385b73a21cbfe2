"""What goes out is read by the tools' own libraries; they come with the extra ``tools``."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from red_core.data.importing import import_files
from red_core.data.preparing import read_source
from red_core.records import Project
from red_core.results.exports import export
from red_core.results.formats.tools import labelling_configuration
from tests.helpers.small_projects import EMBEDDING, write_csv

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]
ROWS = [("pay me back", "refund"), ("money, please", "refund"), ("where is it", "delivery"), ("when", "delivery")]
LABELS = dict(ROWS)


@pytest.fixture
def project(workspace: Path, tmp_path: Path) -> Project:
    file = write_csv(tmp_path / "in.csv", ["text", "label"], [*ROWS, ("no label yet", "")])
    import_files(workspace, "p", file, embedding=EMBEDDING)
    return Project(workspace, "p")


def test_datasets_reads_the_names_of_the_labels(project, tmp_path):
    datasets = pytest.importorskip("datasets")
    export(project, tmp_path / "out.parquet", format_name="datasets")
    read = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "out.parquet"), cache_dir=str(tmp_path / "cache"), split="train"
    )
    assert isinstance(read.features["label"], datasets.ClassLabel)
    assert read.features["label"].names == ["delivery", "refund"]
    given = {row["text"]: row["label"] for row in read}
    assert {text: read.features["label"].int2str(label) for text, label in given.items() if label >= 0} == LABELS
    read.to_parquet(str(tmp_path / "back.parquet"))
    prepared = read_source(tmp_path / "back.parquet", role="labelled")
    assert {row.text: row.label for row in prepared.rows if row.label} == LABELS


def test_label_studio_accepts_the_tasks_and_its_export_comes_back(project, tmp_path):
    interface = pytest.importorskip("label_studio_sdk.label_interface")
    converter = pytest.importorskip("label_studio_sdk.converter")
    export(project, path := tmp_path / "tasks.json", format_name="label-studio")
    tasks = json.loads(path.read_text("utf-8"))
    configuration = labelling_configuration(("delivery", "refund"))
    checked = interface.LabelInterface(configuration)
    for task in tasks:
        assert checked.validate_task({"data": task["data"]})
        assert all(checked.validate_annotation(annotation) for annotation in task["annotations"])
    for number, task in enumerate(tasks):
        task["id"] = number
        for annotation in task["annotations"]:
            annotation |= {
                "id": number,
                "completed_by": 1,
                "was_cancelled": False,
                "created_at": "2024-05-01T10:00:00Z",
            }
    (tmp_path / "export.json").write_text(json.dumps(tasks), "utf-8")
    made = converter.Converter(configuration, str(tmp_path), download_resources=False)
    for name, file in (("JSON", "result.json"), ("JSON_MIN", "result.json"), ("CSV", "result.csv")):
        (out := tmp_path / name).mkdir()
        made.convert(str(tmp_path / "export.json"), str(out), name, is_dir=False)
        prepared = read_source(next(out.glob("*")) if not (out / file).exists() else out / file, role="labelled")
        assert {row.text: row.label for row in prepared.rows if row.label} == LABELS, name


def test_argilla_reads_the_records(project, tmp_path):
    argilla = pytest.importorskip("argilla")
    export(project, path := tmp_path / "records.json", format_name="argilla")
    records = [argilla.Record.from_dict(record) for record in json.loads(path.read_text("utf-8"))]
    assert {r.fields["text"]: r.responses["label"][0].value for r in records if list(r.responses)} == LABELS
    (tmp_path / "back.json").write_text(json.dumps([record.to_dict() for record in records]), "utf-8")
    prepared = read_source(tmp_path / "back.json", role="labelled")
    assert {row.text: row.label for row in prepared.rows if row.label} == LABELS


def test_spacy_trains_on_the_lines_for_prodigy_and_its_categories_come_back(project, tmp_path):
    spacy = pytest.importorskip("spacy", reason="spaCy is not installed; the extra `tools` does not bring it")
    srsly = pytest.importorskip("srsly")
    training = pytest.importorskip("spacy.training")
    export(project, path := tmp_path / "tasks.jsonl", format_name="prodigy")
    tasks = [task for task in srsly.read_jsonl(path) if task.get("answer") == "accept"]
    assert {task["text"]: task["label"] for task in tasks} == LABELS
    nlp = spacy.blank("en")
    nlp.add_pipe("textcat")
    names = sorted(set(LABELS.values()))
    examples = [
        training.Example.from_dict(
            nlp.make_doc(task["text"]), {"cats": {name: float(name == task["label"]) for name in names}}
        )
        for task in tasks
    ]
    optimizer = nlp.initialize(lambda: examples)
    assert nlp.update(examples, sgd=optimizer)["textcat"] > 0
    assert set(nlp("pay me back").cats) == set(names)
    srsly.write_jsonl(tmp_path / "back.jsonl", ({"text": e.text, "cats": e.reference.cats} for e in examples))
    prepared = read_source(tmp_path / "back.jsonl", role="labelled")
    assert {row.text: row.label for row in prepared.rows if row.label} == LABELS


def test_what_prodigy_reads_comes_back_answered(project, tmp_path):
    srsly = pytest.importorskip("srsly", reason="srsly, with which Prodigy reads and writes lines, is not installed")
    export(project, path := tmp_path / "tasks.jsonl", format_name="prodigy")
    tasks = list(srsly.read_jsonl(path))
    assert all(isinstance(task["text"], str) and isinstance(task["meta"], dict) for task in tasks)
    answers = [task | {"answer": "accept" if number else "reject", "_input_hash": number, "_task_hash": number}
               for number, task in enumerate(task for task in tasks if task.get("label"))]  # fmt: skip
    srsly.write_jsonl(tmp_path / "back.jsonl", answers)
    prepared = read_source(tmp_path / "back.jsonl", role="labelled")
    first, *others = answers
    assert {row.text: row.label for row in prepared.rows if row.label} == {a["text"]: a["label"] for a in others}
    assert {row.text: row.rejected for row in prepared.rows if row.rejected} == {first["text"]: first["label"]}


def test_openpyxl_reads_values_and_texts_and_the_edited_sheet_comes_back(project, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    export(project, path := tmp_path / "out.xlsx")
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    names = [cell.value for cell in sheet[1]]
    text, label = names.index("text") + 1, names.index("label") + 1
    assert all(cell.data_type in "snbd" for row in sheet.iter_rows(min_row=2) for cell in row)
    assert {sheet.cell(row, text).value: sheet.cell(row, label).value for row in range(2, 6)} == LABELS
    sheet.cell(2, label).value = "delivery"
    sheet.cell(2, len(names) + 1).value = dt.date(2024, 5, 1)
    book.save(tmp_path / "edited.xlsx")
    prepared = read_source(tmp_path / "edited.xlsx", role="labelled")
    changed = {sheet.cell(2, text).value: "delivery"}
    assert {row.text: row.label for row in prepared.rows if row.label} == LABELS | changed
