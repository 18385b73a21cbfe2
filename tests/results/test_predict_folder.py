"""A folder of Parquet files, labelled in this process."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from red_core.cli import main
from red_core.errors import Cancelled, EmbeddingError, InputError, StateError
from red_core.labels.edit_kinds import Rename
from red_core.labels.edits import apply_edit
from red_core.records import Project
from red_core.results.predict_folder import is_folder, predict_folder
from red_core.results.predict_shard import MARK, Shard, label_shard
from red_core.results.predictor import PREDICTED, fingerprint, labelled, make_predictor, predict
from red_core.review.decisions import decide
from red_core.rounds.run import run_round
from red_core.steps.pool_scoring import label_log_odds
from red_core.store.texts import pool
from red_core.training import features
from red_core.training.model import load_model, model_file, save_model
from tests.helpers import small_parts
from tests.helpers.small_parts import COUNT, ROWS, first_text, outputs, seen, write_parts
from tests.helpers.small_projects import FAST, LABELS, fake_encode, label_ids, small_project, write_csv

NEAR = FAST.model_copy(update={"lexical_dimensions": 8, "neighbour_weights": (1.0,)})


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one round; every test gets a copy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "encode", fake_encode)
        project = small_project(tmp_path_factory.mktemp("once") / "workspace")
        run_round(project, NEAR)
    return project


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(small_parts.LOG, str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.fixture
def fitted(once: Project, workspace: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    assert not log.exists()
    monkeypatch.setattr(features, "encode", small_parts.encode)
    shutil.copytree(once.folder, workspace / once.name)
    return Project(workspace, once.name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_parts(tmp_path / "in")
    return tmp_path / "in"


def test_every_file_gets_an_output_of_the_same_name_with_all_its_rows(fitted, folder, tmp_path):
    result = predict_folder(fitted, str(folder), str(tmp_path / "out"))
    assert (result.parts, result.done_before, result.rows, result.failed) == (COUNT, 0, COUNT * ROWS, ())
    tables = outputs(tmp_path / "out")
    assert list(tables) == list(outputs(folder))
    right = 0
    for name, table in tables.items():
        source = pq.ParquetFile(folder / name).read()
        assert table.column_names == [*PREDICTED.names, "source.label", "number", "tags"]
        assert table["row"].to_pylist() == list(range(1, ROWS + 1))
        assert table["text"].to_pylist() == [text or None for text in source["body"].to_pylist()]
        assert (table["number"], table["tags"]) == (source["number"], source["tags"])
        assert table["left_out"].to_pylist() == [None] * (ROWS - 1) + ["empty text"]
        assert table["label"].to_pylist()[-1] is None
        right += sum(row["label"] == row["text"].split()[0] for row in table.to_pylist()[:-1])
    assert right > 0.6 * COUNT * (ROWS - 1)


def test_a_folder_and_a_file_of_the_same_texts_get_the_same_labels(fitted, folder, tmp_path):
    predict_folder(fitted, str(folder), str(tmp_path / "out"))
    whole = pa.concat_tables([pq.ParquetFile(path).read() for path in sorted(folder.rglob("*.parquet"))])
    write_csv(tmp_path / "in.csv", ["body"], [[text or ""] for text in whole["body"].to_pylist()])
    predict(fitted, tmp_path / "in.csv", tmp_path / "out.parquet", text_column="body")
    one, many = pq.read_table(tmp_path / "out.parquet"), pa.concat_tables(list(outputs(tmp_path / "out").values()))
    for name in ("text", "label", "runner_up", "left_out"):
        assert one[name].to_pylist() == many[name].to_pylist(), name
    assert np.array(one["belief"].drop_null()) == pytest.approx(np.array(many["belief"].drop_null()), abs=2e-5)


def test_the_neighbour_texts_belong_to_the_predictor_and_the_predictor_needs_no_project(fitted):
    predictor = make_predictor(fitted)
    assert predictor.model.texts.reference is not None
    assert len(predictor.model.texts.reference) == 56
    wanted = labelled(predictor, pa.table({"text": ["refund my money", "repair it"]}), "text")
    shutil.rmtree(fitted.folder)
    sent = pickle.loads(pickle.dumps(predictor, protocol=5))  # noqa: S301  as Dask does
    assert labelled(sent, pa.table({"text": ["refund my money", "repair it"]}), "text").equals(wanted)


def test_without_neighbour_weight_the_predictor_has_no_neighbour_texts(fitted):
    model = load_model(model_file(fitted, 1))
    model = replace(model, features=replace(model.features, neighbour_weight=0.0))
    save_model(model_file(fitted, 1), model)
    predictor = make_predictor(fitted)
    assert predictor.model.texts.reference is None
    texts = [f"{name} or so {number}" for name in LABELS for number in range(20)]
    seen_whole = model.features.of_new(fitted).features(texts)
    assert not seen_whole[:, seen_whole.shape[1] // 2 :].any()
    log_odds = label_log_odds(seen_whole, model.partitions)
    assert label_log_odds(predictor.model.texts.features(texts), (predictor.model.classifiers,)) == pytest.approx(
        log_odds, abs=1e-4
    )


def test_a_second_run_labels_nothing_again(fitted, folder, tmp_path, log):
    predict_folder(fitted, str(folder), str(tmp_path / "out"))
    assert sorted(seen(log)) == sorted(first_text(part) for part in range(COUNT))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet")}
    log.unlink()
    result = predict_folder(fitted, str(folder), str(tmp_path / "out"))
    assert (result.done_before, result.rows, seen(log)) == (COUNT, COUNT * ROWS, [])
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_run_continues_with_unfinished_files(fitted, folder, tmp_path, log):
    predict_folder(fitted, str(folder), str(tmp_path / "out"))
    (tmp_path / "out" / "part-004.parquet").unlink()
    whole = pq.ParquetFile(folder / "below/part-003.parquet").read()
    pq.write_table(whole.slice(0, 2), folder / "below/part-003.parquet")  # its size changed: it is labelled again
    log.unlink()
    result = predict_folder(fitted, str(folder), str(tmp_path / "out"))
    assert (result.done_before, result.rows) == (COUNT - 2, COUNT * ROWS - ROWS + 2)
    assert sorted(seen(log)) == [first_text(3), first_text(4)]


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_a_file_that_is_written_again_with_the_same_size_is_labelled_again(where, fitted, tmp_path):
    files = fsspec.filesystem("file" if where == "disk" else "memory")
    source, target = (
        (f"{tmp_path}/in", f"{tmp_path}/out") if where == "disk" else ("memory://rewritten", "memory://out")
    )
    files.makedirs(source, exist_ok=True)
    try:
        for number, texts in enumerate((["repair it", "refund me"], ["refund me", "repair it"])):
            with files.open(f"{source}/a.parquet", "wb") as file:
                pq.write_table(pa.table({"body": texts}), file)
            if where == "disk":  # a clock may be coarse
                os.utime(f"{source}/a.parquet", (number + 1, number + 1))
            result = predict_folder(fitted, source, target)
            assert (result.done_before, result.rows) == (0, 2)
            with files.open(f"{target}/a.parquet", "rb") as file:
                assert pq.read_table(file)["text"].to_pylist() == texts
        assert predict_folder(fitted, source, target).done_before == 1
    finally:
        for folder in (source, target):
            files.rm(folder, recursive=True)


def test_an_output_of_version_0_1_counts_by_the_size_of_its_source(fitted, folder, tmp_path):
    predict_folder(fitted, str(folder), str(tmp_path / "out"))
    for path in (tmp_path / "out").rglob("*.parquet"):
        table = pq.ParquetFile(path).read()
        mark = json.loads(table.schema.metadata[MARK])
        del mark["version"]
        pq.write_table(table.replace_schema_metadata({MARK: json.dumps(mark).encode()}), path)
    assert predict_folder(fitted, str(folder), str(tmp_path / "out")).done_before == COUNT


def test_a_file_whose_output_exists_is_not_labelled_again_by_a_task_that_runs_twice(fitted, folder, tmp_path, log):
    predictor = make_predictor(fitted)
    source = folder / "part-000.parquet"
    shard = Shard(f"file://{source}", f"file://{tmp_path}/out/part-000.parquet", "body", source.stat().st_size)
    assert label_shard(predictor, shard) == label_shard(predictor, shard) == ROWS
    assert seen(log) == [first_text(0)]


def test_a_file_that_fails_three_times_is_reported_and_the_others_are_done(fitted, folder, tmp_path, log):
    (folder / "part-002.parquet").write_bytes(b"PAR1 no parquet PAR1")
    pq.write_table(pa.table({"other": ["x"]}), folder / "part-004.parquet")
    pq.write_table(pa.table({"body": [f"{small_parts.EXPLODES} now"]}), folder / "part-006.parquet")
    result = predict_folder(fitted, str(folder), str(tmp_path / "out"))
    reasons = {Path(file).name: reason for file, reason in result.failed}
    assert list(reasons) == ["part-002.parquet", "part-004.parquet", "part-006.parquet"]
    assert "cannot be read as Parquet" in reasons["part-002.parquet"]
    assert "it has no column 'body'" in reasons["part-004.parquet"]
    assert reasons["part-006.parquet"] == "the encoder exploded"
    assert seen(log).count(f"{small_parts.EXPLODES} now") == 3
    assert len(outputs(tmp_path / "out")) == COUNT - 3
    assert result.rows == (COUNT - 3) * ROWS


def test_ctrl_c_keeps_whole_files_and_no_half_one(fitted, folder, tmp_path, log, monkeypatch):
    def interrupted(model, texts):
        if len(seen(log)) == 3:
            raise KeyboardInterrupt
        return small_parts.encode(model, texts)

    monkeypatch.setattr(features, "encode", interrupted)
    with pytest.raises(Cancelled, match="3 of 12 files are labelled and kept"):
        predict_folder(fitted, str(folder), str(tmp_path / "out"))
    assert len(outputs(tmp_path / "out")) == 3
    monkeypatch.setattr(features, "encode", small_parts.encode)
    assert predict_folder(fitted, str(folder), str(tmp_path / "out")).done_before == 3
    assert len(seen(log)) == COUNT


def test_unfinished_outputs_of_lost_workers_are_removed(fitted, folder, tmp_path):
    left = tmp_path / "out" / "below" / f".red-{'0' * 32}.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    theirs = tmp_path / "out" / ".keep"
    theirs.touch()
    predict_folder(fitted, str(folder), str(tmp_path / "out"))
    assert (left.exists(), theirs.exists()) == (False, True)


def test_a_folder_that_another_model_labelled_is_refused(fitted, folder, tmp_path, log):
    predict_folder(fitted, str(folder), str(tmp_path / "out"))
    decide(fitted, int(pool(fitted)[0]), "accept", label=1, who="tester")
    assert predict_folder(fitted, str(folder), str(tmp_path / "out")).done_before == COUNT  # the labels are the same
    apply_edit(fitted, Rename(label_ids(fitted)["refund"], "money back"), "tester")
    log.unlink()
    with pytest.raises(InputError, match=r"round 1, label set version \d+; now it would be .* version \d+\. Name an"):
        predict_folder(fitted, str(folder), str(tmp_path / "out"))
    assert seen(log) == []


def test_a_folder_labelled_from_another_column_is_refused(fitted, folder, tmp_path):
    predict_folder(fitted, str(folder), str(tmp_path / "out"))
    with pytest.raises(InputError, match=r"made from column 'body' .* now it would be column 'label'"):
        predict_folder(fitted, str(folder), str(tmp_path / "out"), text_column="label")


def test_parquet_files_of_other_programs_are_not_overwritten(fitted, folder, tmp_path):
    (tmp_path / "out").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "out" / "theirs.parquet")
    with pytest.raises(InputError, match=r"theirs\.parquet: this file exists, and `red predict` did not make it"):
        predict_folder(fitted, str(folder), str(tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["theirs.parquet"]


def test_a_damaged_output_is_not_trusted(fitted, folder, tmp_path):
    predict_folder(fitted, str(folder), str(tmp_path / "out"))
    (tmp_path / "out" / "part-000.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"part-000\.parquet: it is damaged .* Delete it"):
        predict_folder(fitted, str(folder), str(tmp_path / "out"))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("source", "target"), [("in", "in"), ("in", "in/out"), ("in/below", "in")])
def test_folders_inside_each_other_are_refused(source, target, fitted, tmp_path):
    with pytest.raises(InputError, match="one of the two folders contains the other"):
        predict_folder(fitted, str(tmp_path / source), str(tmp_path / target))


def test_folders_whose_names_begin_alike_are_not_inside_each_other(fitted, folder, tmp_path):
    assert predict_folder(fitted, str(folder), str(tmp_path / "in2")).rows == COUNT * ROWS


def test_a_folder_without_files_is_refused(fitted, tmp_path):
    (tmp_path / "in" / "_temporary").mkdir(parents=True)
    write_parts(tmp_path / "in" / "_temporary", 2)
    write_csv(tmp_path / "in" / "texts.csv", ["text"], [["a"]])
    with pytest.raises(InputError, match="no Parquet files in this folder"):
        predict_folder(fitted, str(tmp_path / "in"), str(tmp_path / "out"))


def test_an_unknown_protocol_is_refused_in_one_line(fitted, tmp_path):
    with pytest.raises(InputError, match="nowhere://in: Protocol not known"):
        predict_folder(fitted, "nowhere://in", str(tmp_path / "out"))


def test_before_the_first_round_it_is_refused(project, folder, tmp_path):
    with pytest.raises(StateError, match="has no finished round"):
        predict_folder(project, str(folder), str(tmp_path / "out"))


def test_a_model_that_cannot_be_loaded_ends_the_run(fitted, folder, tmp_path, monkeypatch):
    def missing(_model, _texts):
        raise EmbeddingError("no such model")

    monkeypatch.setattr(features, "encode", missing)
    with pytest.raises(EmbeddingError, match="no such model"):
        predict_folder(fitted, str(folder), str(tmp_path / "out"))


def test_a_file_without_rows_has_an_output_without_rows(fitted, folder, tmp_path):
    pq.write_table(pq.ParquetFile(folder / "part-000.parquet").read().slice(0, 0), folder / "part-000.parquet")
    predict_folder(fitted, str(folder), str(tmp_path / "out"))
    tables = outputs(tmp_path / "out")
    assert tables["part-000.parquet"].num_rows == 0
    assert tables["part-000.parquet"].schema.equals(tables["part-002.parquet"].schema)


def test_the_text_column_is_guessed_from_the_first_file_that_can_be_read_and_has_rows(fitted, folder, tmp_path):
    (folder / "below" / "part-001.parquet").write_bytes(b"no parquet")
    pq.write_table(pq.ParquetFile(folder / "part-000.parquet").read().slice(0, 0), folder / "below/part-003.parquet")
    result = predict_folder(fitted, str(folder), str(tmp_path / "out"))
    assert [Path(file).name for file, _ in result.failed] == ["part-001.parquet"]
    assert result.rows == (COUNT - 2) * ROWS
    for path in folder.rglob("*.parquet"):
        path.write_bytes(b"no parquet")
    with pytest.raises(InputError, match="no file of this folder can be read and has rows"):
        predict_folder(fitted, str(folder), str(tmp_path / "out"))


def test_a_large_file_is_done_in_blocks_that_keep_the_order(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr("red_core.results.predict_shard.TEXTS_AT_ONCE", 100)
    monkeypatch.setattr("red_core.results.predictor.TEXTS_AT_ONCE", 30)
    texts = [f"{LABELS[number % 4]} {number}" for number in range(1_050)]
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": texts}), tmp_path / "in" / "large.parquet")
    predict_folder(fitted, str(tmp_path / "in"), str(tmp_path / "out"))
    table = outputs(tmp_path / "out")["large.parquet"]
    assert table["text"].to_pylist() == texts
    assert table["row"].to_pylist() == list(range(1, 1_051))
    at_once = labelled(make_predictor(fitted), pa.table({"text": texts}), "text")
    assert table["label"].to_pylist() == at_once["label"].to_pylist()


@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_folders_may_be_urls(protocol, fitted, folder, tmp_path):
    if protocol == "memory":
        memory = fsspec.filesystem("memory")
        memory.put(f"{folder}/", "/in/", recursive=True)
        source, target = "memory://in", "memory://out"
    else:
        source, target = folder.as_uri(), (tmp_path / "out").as_uri()
    assert predict_folder(fitted, source, target).rows == COUNT * ROWS
    assert predict_folder(fitted, source, target).done_before == COUNT
    if protocol == "memory":
        memory.get("/out/", str(tmp_path / "out"), recursive=True)
        memory.rm("/in", recursive=True)
        memory.rm("/out", recursive=True)
    predict_folder(fitted, str(folder), str(tmp_path / "here"))
    here, there = outputs(tmp_path / "here"), outputs(tmp_path / "out")
    assert list(here) == list(there)
    assert all(here[name].equals(there[name]) for name in here)


def test_an_output_says_what_made_it(fitted, folder, tmp_path):
    predict_folder(fitted, str(folder), str(tmp_path / "out"))
    printed = json.loads(pq.read_metadata(tmp_path / "out" / "part-000.parquet").metadata[MARK])
    assert printed["fingerprint"] == make_predictor(fitted).fingerprint
    assert printed["origin"].startswith("project small, round 1, label set version ")
    assert (printed["text"], printed["bytes"]) == ("body", str((folder / "part-000.parquet").stat().st_size))


def with_model(predictor, **changes):
    return replace(predictor, model=replace(predictor.model, **changes))


CHANGES = {
    "a weight": lambda p: with_model(
        p, classifiers=replace(p.model.classifiers, weights=p.model.classifiers.weights + 1e-6)
    ),
    "the calibration": lambda p: with_model(
        p, calibration=replace(p.model.calibration, beta=p.model.calibration.beta + 1e-9)
    ),
    "the share of none": lambda p: with_model(p, none_shares=(0.05, 0.06)),
    "the embedding": lambda p: with_model(p, texts=replace(p.model.texts, embedding="another")),
    "the words": lambda p: with_model(
        p, texts=replace(p.model.texts, lexical=replace(p.model.texts.lexical, idf=np.ones(3)))
    ),
    "a text of the pool": lambda p: with_model(
        p, texts=replace(p.model.texts, reference=p.model.texts.reference[1:])
    ),
    "a label merged": lambda p: replace(p, is_now={**p.is_now, 1: 2}),
    "a label's name": lambda p: replace(p, names={**p.names, 1: "another"}),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_fingerprint_depends_on_everything_that_affects_a_label(change, fitted):
    predictor = make_predictor(fitted)
    assert make_predictor(fitted).fingerprint == predictor.fingerprint == fingerprint(predictor)
    assert fingerprint(change(predictor)) != predictor.fingerprint


def test_the_fingerprint_does_not_depend_on_project_names(fitted):
    predictor = make_predictor(fitted)
    assert fingerprint(replace(predictor, origin="a copy")) == predictor.fingerprint


def test_which_paths_are_folders(tmp_path):
    write_csv(tmp_path / "a.csv", ["text"], [["a"]])
    assert is_folder(str(tmp_path))
    assert is_folder("s3://bucket/texts.2026/")
    assert not is_folder(str(tmp_path / "a.csv"))
    assert not is_folder(str(tmp_path / "gone"))
    assert not is_folder("hf://datasets/who/what/train.csv.gz")


def test_nothing_of_dask_is_imported_without_being_asked_for():
    code = "import red_core, red_core.cli, sys; print(sorted({n.split('.')[0] for n in sys.modules}))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    loaded = set(json.loads(process.stdout.replace("'", '"')))
    assert "red_core" in loaded
    assert not loaded & {"dask", "distributed"}


def test_an_error_about_a_file_can_be_sent_from_another_process():
    sent = pickle.loads(pickle.dumps(InputError("a.parquet", "rule", "remedy", 3)))  # noqa: S301  as Dask does
    assert (str(sent), sent.file, sent.row) == ("a.parquet, row 3: rule. remedy", "a.parquet", 3)


def test_only_the_owner_of_a_folder_that_is_read_only_can_write_there(fitted, folder, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (tmp_path / "out").mkdir(mode=0o500)
    result = predict_folder(fitted, str(folder), str(tmp_path / "out"))
    assert len(result.failed) == COUNT
    assert "Permission denied" in result.failed[0][1]


def test_the_command_labels_a_folder_and_says_what_failed(fitted, folder, tmp_path):
    words = ["--workspace", str(fitted.workspace), "predict", "small", str(folder), str(tmp_path / "out")]
    shown = CliRunner().invoke(main, words)
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout == f"{COUNT * ROWS} rows in {COUNT} of {COUNT} files: {tmp_path / 'out'}\n"
    (folder / "new.parquet").write_bytes(b"no parquet")
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 1
    assert shown.stdout == f"{COUNT * ROWS} rows in 12 of 13 files, 12 of them finished earlier: {tmp_path / 'out'}\n"
    first, last = shown.stderr.splitlines()
    assert first.startswith(f"file://{folder}/new.parquet: failed 3 times; last error: ")
    assert last == "Error: 1 of 13 files failed. Run the command again to retry them."
