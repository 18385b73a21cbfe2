"""The model folder of a project: the same labels as ``red predict``, a card, and no text of the project."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pyarrow as pa
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from red_core.cli import main
from red_core.errors import InputError, StateError
from red_core.labels import snapshot
from red_core.labels.edit_kinds import Merge, Rename, Retire, Split
from red_core.labels.edits import apply_edit, undo_edit
from red_core.labels.groups import Group
from red_core.labels.many import RetireList
from red_core.results.predictor import labelled, make_predictor
from red_core.rounds.run import run_round
from red_core.takeaway import RedClassifier
from red_core.takeaway.card import _plain, card_of_fit, model_card
from red_core.takeaway.export_model import export_model
from red_core.takeaway.folder import read_folder
from red_core.takeaway.server import make_app
from tests.helpers.fault_server import MODEL, FaultServer
from tests.helpers.paths import ROOT
from tests.helpers.small_projects import FAST, LABELS, label_ids, pool_rows, seed_rows, small_project, text_ids
from tests.takeaway.conftest import NEAR

TEXTS = [f"{name} or so {number}" for name in LABELS for number in range(30)]


def predicted(project):
    return labelled(make_predictor(project), pa.table({"text": TEXTS}), "text").to_pylist()


def test_the_folder_gives_the_labels_of_red_predict(rounded_project, folder):
    model = RedClassifier.from_folder(folder)
    assert model.classes_.tolist() == sorted([*LABELS, "none of these"])
    rows, (best, shares) = predicted(rounded_project), model.predict_top(TEXTS, 2)
    same = [
        row["label"] == ("" if label == "none of these" else label) for row, label in zip(rows, best[:, 0], strict=True)
    ]
    assert sum(same) >= len(TEXTS) - 1  # weights of 8 bits
    assert [row["belief"] for row in rows] == pytest.approx(shares[:, 0].tolist(), abs=0.03)
    assert model.predict_proba(TEXTS).sum(axis=1) == pytest.approx(1.0)


def test_the_folder_contains_no_text_of_the_project_unless_asked(rounded_project, folder, tmp_path):
    texts = [text for text, _ in [*seed_rows(), *pool_rows()]]
    everything = b"".join(path.read_bytes() for path in folder.iterdir())
    assert not [text for text in texts if text.encode() in everything]
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "SHA256SUMS", "config.json", "model.safetensors",
    ]  # fmt: skip
    export_model(rounded_project, tmp_path / "with", with_examples=True)
    examples = json.loads((tmp_path / "with" / "config.json").read_text())["facts"]["examples"]
    assert {text for of_label in examples.values() for text in of_label} <= {text for text, _ in seed_rows()}
    assert all(examples[name] for name in LABELS)


def test_the_checksums_are_those_of_sha256sum(folder):
    done = subprocess.run(
        [shutil.which("sha256sum"), "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_card_says_where_the_model_comes_from(folder):
    card = (folder / "README.md").read_text()
    _, metadata, body = card.split("---\n", 2)
    assert 'base_model: "sentence-transformers/fake"' in metadata
    assert '- "en"' in metadata
    for said in ("16 labelled examples, 40 unlabelled texts", "Estimated accuracy", "no blind audit was made"):
        assert said in body
    assert "Judge of the last round: similarity check \\(no LLM\\)." in body
    assert all(f"| {name} |" in body for name in LABELS)


def test_the_folder_names_the_model_that_judged_and_not_the_address_of_its_server(own_encoder, tmp_path):
    del own_encoder
    project = small_project(tmp_path / "workspace")
    with FaultServer() as judge:
        run_round(project, NEAR.model_copy(update={"judge": "llm", "self_test_seeds": 10, "canaries": 1}))
    export_model(project, tmp_path / "model")
    host = judge.address.split("/")[2]
    facts, card = ((tmp_path / "model" / name).read_text() for name in ("config.json", "README.md"))
    assert json.loads(facts)["facts"]["judge"] == f"chat/{MODEL}"
    assert host not in facts
    assert host not in card.replace("\\", "")
    assert f"Judge of the last round: chat/{MODEL}." in card


def test_a_loaded_folder_is_written_again_with_what_is_known_of_its_project(rounded_project, tmp_path):
    export_model(rounded_project, tmp_path / "with", with_examples=True)
    RedClassifier.from_folder(tmp_path / "with").to_folder(tmp_path / "again")
    card = (tmp_path / "again" / "README.md").read_text()
    for said in ("16 labelled examples, 40 unlabelled texts", "Estimated accuracy", "no blind audit was made"):
        assert said in card
    assert "Accuracy: not measured" not in card


@pytest.mark.parametrize("facts", [{}, {"examples": "x"}, {"origin": 1, "judge": [2]}, {"examples": 10**400}])
def test_the_card_of_a_folder_with_odd_facts_says_that_it_knows_nothing(facts, folder):
    _, contents = read_folder(folder)
    assert "Data and accuracy: not known." in card_of_fit(contents.model_copy(update={"facts": facts}))


def test_labels_of_the_card_are_no_markup(folder):
    hostile = "<img src=x> | [a](http://b) `c`\n---"
    _, contents = read_folder(folder)
    entry = contents.labels[0].model_copy(update={"name": hostile})
    card = model_card(contents.model_copy(update={"labels": (entry,)}), hostile, ["en"], [hostile])
    assert "<img" not in card.replace("\\<", "")
    assert "](http" not in card
    assert card.split("\n").count("---") == 2
    assert _plain("a|b_c") == r"a\|b\_c"


def test_a_language_is_a_code(rounded_project, tmp_path):
    with pytest.raises(InputError, match="Give a code such as en or pt-BR"):
        export_model(rounded_project, tmp_path / "out", languages=["en", "English, please"])


def test_labels_are_as_they_are_now(rounded_project, tmp_path):
    ids = label_ids(rounded_project)
    apply_edit(rounded_project, Merge((ids["delivery"],), ids["refund"]), "tester")
    try:
        export_model(rounded_project, tmp_path / "merged")
        model = RedClassifier.from_folder(tmp_path / "merged")
        assert model.classes_.tolist() == ["none of these", "refund", "repair", "warranty"]
        rows = predicted(rounded_project)
        assert [row["label"] or "none of these" for row in rows] == model.predict(TEXTS).tolist()
    finally:
        undo_edit(rounded_project, "tester")


TWELVE = (*LABELS, "invoice", "praise", "advice", "password", "address", "holiday", "pension", "printer")


@pytest.fixture(scope="module")
def of_twelve(own_encoder, tmp_path_factory):
    """A project with one round, more labels than a text has candidates, and no features that a folder rounds."""
    del own_encoder
    rows = {"seeds": seed_rows(TWELVE), "pool": pool_rows(TWELVE, 4)}
    project = small_project(tmp_path_factory.mktemp("twelve") / "workspace", **rows)
    run_round(project, FAST.model_copy(update={"subset_size": len(TWELVE), "neighbour_weights": (0.0,)}))
    return project


def split_retired(project, ids):
    """Split all texts off a label but one, so that the rest is retired."""
    seeds = [n for content, n in text_ids(project).items() if content.startswith("refund please")]
    return Split(ids["refund"], {"refund of a fee": seeds[:2], "refund of a fare": seeds[2:]}, retire=True)


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda _, ids: Retire(ids["refund"]), id="retire"),
        pytest.param(lambda _, ids: RetireList(tuple(ids[name] for name in TWELVE[:5])), id="retire five"),
        pytest.param(lambda _, ids: Merge(tuple(ids[name] for name in TWELVE[1:7]), ids["refund"]), id="merge"),
        pytest.param(split_retired, id="split"),
    ],
)
def test_after_an_edit_of_labels_the_folder_and_red_predict_agree(edit, of_twelve, tmp_path):
    texts = [f"{name} or so {number}" for name in (*TWELVE, "zebra") for number in range(20)]
    apply_edit(of_twelve, edit(of_twelve, label_ids(of_twelve)), "tester")
    try:
        export_model(of_twelve, tmp_path / "edited")
        rows = labelled(make_predictor(of_twelve), pa.table({"text": texts}), "text").to_pylist()
    finally:
        undo_edit(of_twelve, "tester")
    model = RedClassifier.from_folder(tmp_path / "edited")
    (best, shares), all_shares = model.predict_top(texts, 2), model.predict_proba(texts)
    assert [row["label"] or "none of these" for row in rows] == best[:, 0].tolist() == model.predict(texts).tolist()
    assert [row["belief"] for row in rows] == pytest.approx(shares[:, 0].tolist(), abs=1e-5)
    assert [row["runner_up_belief"] for row in rows] == pytest.approx(shares[:, 1].tolist(), abs=1e-5)
    assert all_shares.sum(axis=1) == pytest.approx(1.0)


def test_a_retired_label_leaves_the_confidences_of_the_others_and_adds_to_none_of_these(of_twelve, tmp_path):
    export_model(of_twelve, tmp_path / "before")
    apply_edit(of_twelve, Retire(label_ids(of_twelve)["refund"]), "tester")
    try:
        export_model(of_twelve, tmp_path / "after")
    finally:
        undo_edit(of_twelve, "tester")
    before, after = (RedClassifier.from_folder(tmp_path / name) for name in ("before", "after"))
    was, now = (dict(zip(m.classes_, m.predict_proba(TEXTS).T, strict=True)) for m in (before, after))
    assert was["refund"].max() > 0.5
    for name in TWELVE[1:]:
        assert now[name] == pytest.approx(was[name], abs=1e-9)
    assert now["none of these"] == pytest.approx(was["none of these"] + was["refund"], abs=1e-9)


def test_groups_of_labels_are_in_the_folder_the_card_and_the_answers(rounded_project, tmp_path):
    ids = label_ids(rounded_project)
    apply_edit(rounded_project, Group({ids["refund"]: ("Money", "Back"), ids["delivery"]: ("Parcels",)}), "tester")
    try:
        export_model(rounded_project, tmp_path / "grouped")
    finally:
        undo_edit(rounded_project, "tester")
    model = RedClassifier.from_folder(tmp_path / "grouped")
    paths = {label.name: label.path for label in model.contents_.labels}
    assert paths == {"refund": ("Money", "Back"), "delivery": ("Parcels",), "repair": (), "warranty": ()}
    card = (tmp_path / "grouped" / "README.md").read_text()
    assert "| label | meaning | groups |" in card
    assert "| refund |  | Money \\> Back |" in card
    with TestClient(make_app(model)) as client:
        answers = client.post("/predict", json={"texts": TEXTS}).json()
        listed = {label["name"]: tuple(label["path"]) for label in client.get("/labels").json()}
    assert listed == paths
    assert {answer["label"] for answer in answers} >= {"refund", "delivery"}
    for answer in answers:
        assert tuple(answer["path"]) == paths.get(answer["label"], ())
        assert tuple(answer["runner_up_path"]) == paths.get(answer["runner_up"], ())


def test_a_label_of_an_earlier_version_with_the_name_of_no_label_is_refused(rounded_project, tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "NONE_NAMES", ())
    apply_edit(rounded_project, Rename(label_ids(rounded_project)["refund"], "none of these"), "tester")
    try:
        with pytest.raises(InputError, match="Rename it"):
            export_model(rounded_project, tmp_path / "out")
    finally:
        undo_edit(rounded_project, "tester")


def test_before_the_first_round_there_is_no_model(project, tmp_path):
    with pytest.raises(StateError, match="no finished round"):
        export_model(project, tmp_path / "out")


def test_the_verb_says_what_it_wrote_and_overwrites_nothing(rounded_project, tmp_path):
    run = ["--workspace", str(rounded_project.workspace), "export-model", rounded_project.name, str(tmp_path / "out")]
    made = CliRunner().invoke(main, [*run, "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.output)["labels"] == 4
    again = CliRunner().invoke(main, run)
    assert (again.exit_code, again.output.count("\n")) == (1, 1)
    assert "it exists and is not an empty folder. Name another folder" in again.output


NEEDLESS = {"streamlit", "pandas", "pyarrow", "openai", "plotly", "umap", "dask", "fastapi", "fsspec", "openpyxl"}
PREDICT = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {needless}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refused())
from red_core import RedClassifier
from red_core.takeaway import folder
print(RedClassifier.__name__)
"""


def test_predicting_needs_no_library_of_the_app():
    program = PREDICT.format(needless=NEEDLESS)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "RedClassifier"), done.stderr
