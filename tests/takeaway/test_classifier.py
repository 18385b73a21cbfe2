"""``RedClassifier`` keeps the conventions of scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from red_core.errors import InputError, SettingsError
from red_core.settings import make_settings
from red_core.takeaway import RedClassifier
from red_core.takeaway.card import card_of_fit
from red_core.takeaway.server import make_app
from red_core.training.fit_rows import fit_rows
from tests.helpers.small_projects import EMBEDDING, FAST, LABELS, pool_rows, seed_rows

pytestmark = pytest.mark.usefixtures("own_encoder")
SMALL = {
    name: value
    for name, value in FAST.model_dump().items()
    if name != "preset" and value != make_settings().model_dump()[name]
} | {"lexical_dimensions": 8, "neighbour_weights": (1.0,), "regularisation": (10.0,)}  # fmt: skip
SEEDS, POOL = seed_rows(each=6), pool_rows(each=12)
TEXTS, Y = [text for text, _ in SEEDS], [label for _, label in SEEDS]
NEW = [text for text, _ in POOL]


@pytest.fixture(scope="module")
def fitted(own_encoder):
    del own_encoder  # it is replaced from here on
    return RedClassifier(EMBEDDING, SMALL).fit(TEXTS, Y, unlabeled=NEW)


def test_it_learns(fitted):
    assert fitted.score(NEW, [label for _, label in POOL]) > 0.6
    assert fitted.classes_.tolist() == sorted([*LABELS, "none of these"])


def test_probabilities_are_those_of_the_classes(fitted):
    shares = fitted.predict_proba(NEW)
    assert shares.shape == (len(NEW), 5)
    assert shares.sum(axis=1) == pytest.approx(1.0)
    assert fitted.classes_[shares.argmax(axis=1)].tolist() == fitted.predict(NEW).tolist()
    labels, top = fitted.predict_top(NEW, 2)
    assert (labels[:, 0].tolist(), top[:, 0].tolist()) == (fitted.predict(NEW).tolist(), shares.max(axis=1).tolist())
    assert (top[:, 0] >= top[:, 1]).all()
    assert fitted.predict_proba([]).shape == (0, 5)


def test_a_text_gets_the_same_answer_alone_and_in_a_batch(fitted):
    alone = np.concatenate([fitted.predict_proba([text]) for text in NEW[:8]])
    assert alone == pytest.approx(fitted.predict_proba(NEW[:8]), abs=1e-5)


def test_the_folder_of_a_fit_predicts_the_same(fitted, tmp_path):
    fitted.to_folder(tmp_path / "model")
    loaded = RedClassifier.from_folder(tmp_path / "model")
    assert loaded.predict(NEW).tolist() == fitted.predict(NEW).tolist()
    assert loaded.predict_proba(NEW) == pytest.approx(fitted.predict_proba(NEW), abs=0.03)
    assert "24 labelled examples and 48 unlabelled texts" in (tmp_path / "model" / "README.md").read_text()
    assert clone(loaded).get_params() == loaded.get_params()


def test_numbers_as_labels_give_numbers(tmp_path):
    numbers = np.array([LABELS.index(label) for label in Y])
    model = RedClassifier(EMBEDDING, SMALL).fit(TEXTS, numbers, unlabeled=NEW)
    assert model.classes_.tolist() == [-1, 0, 1, 2, 3]
    assert model.predict(NEW).dtype.kind == "i"
    model.to_folder(tmp_path / "model")
    assert RedClassifier.from_folder(tmp_path / "model").predict(NEW).tolist() == model.predict(NEW).tolist()


def test_without_none_of_these_every_text_gets_a_label():
    model = RedClassifier(EMBEDDING, SMALL, none_of_these=False).fit(pd.Series(TEXTS), pd.Series(Y))
    assert model.classes_.tolist() == sorted(LABELS)
    assert model.predict_proba(["something else entirely"]).sum() == pytest.approx(1.0)


def test_without_none_of_these_its_name_is_a_label_like_any_other(tmp_path):
    signs = [1 if label == "refund" else -1 for label in Y]
    model = RedClassifier(EMBEDDING, SMALL, none_of_these=False).fit(TEXTS, signs, unlabeled=NEW)
    assert model.classes_.tolist() == [-1, 1]
    model.to_folder(tmp_path / "model")
    loaded = RedClassifier.from_folder(tmp_path / "model")
    assert loaded.predict(NEW).tolist() == model.predict(NEW).tolist()
    with TestClient(make_app(loaded)) as client:
        answers = client.post("/predict", json={"texts": NEW}).json()
    assert {answer["label"] for answer in answers} == {-1, 1}
    assert {answer["none_of_these"] for answer in answers} == {0.0}


def test_the_same_random_state_gives_the_same_model(fitted):
    again = clone(fitted).fit(TEXTS, Y, unlabeled=NEW)
    assert np.array_equal(again.predict_proba(NEW), fitted.predict_proba(NEW))


def test_it_works_in_a_pipeline_and_in_cross_validation():
    steps = [("trim", FunctionTransformer(lambda texts: [text.strip() for text in texts])), ("red", RedClassifier())]
    pipeline = Pipeline(steps).set_params(red__encoder=EMBEDDING, red__settings=SMALL)
    assert pipeline.fit(TEXTS, Y, red__unlabeled=NEW).predict(["refund please "]).tolist() == ["refund"]
    scores = cross_val_score(RedClassifier(EMBEDDING, SMALL), np.array(TEXTS), np.array(Y), cv=2)
    assert scores.mean() > 0.5


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (["refund it please", "repair it please"], ["1", "2"]),
        (["refund it please", "refund  it please", "repair it please"], [1, 1, 2]),
        (["refund it please", "refund it please"], ["1", "2"]),
    ],
    ids=["one text each", "one text twice", "one text under two labels"],
)
def test_a_single_example_of_each_label_is_enough_without_a_calibration(texts, labels):
    model = RedClassifier(EMBEDDING, SMALL).fit(texts, labels)
    shares = model.predict_proba(NEW)
    assert np.isfinite(shares).all()
    assert "not calibrated" in card_of_fit(model.contents_)
    assert 1 / 3 < shares.max(axis=1).mean() < 0.9


def test_scikit_learns_own_checks_pass():
    with pytest.warns(match=r"requires input\s+of type"):  # numbers: its other checks are made
        check_estimator(RedClassifier())


def test_a_round_and_a_fit_share_one_path(monkeypatch):
    fits = []
    for module in ("fit", "from_texts"):
        note = lambda *given, module=module: fits.append(module) or fit_rows(*given)  # noqa: E731
        monkeypatch.setattr(f"red_core.training.{module}.fit_rows", note)
    RedClassifier(EMBEDDING, SMALL).fit(TEXTS, Y)
    assert fits == ["from_texts"]


REFUSED = {
    "one text": (lambda m: m.fit("text", Y), "they are one text"),
    "a table": (lambda m: m.fit(np.array([["a"], ["b"]]), ["x", "y"]), "a table"),
    "a number": (lambda m: m.fit(["a", 7], ["x", "y"]), "row 2: it is int and no text"),
    "nothing in a text": (lambda m: m.fit(["a", " \n"], ["x", "y"]), "row 2: an empty text"),
    "a long text": (lambda m: m.fit(["a", "b" * 20_001], ["x", "y"]), "more than 20,000 characters"),
    "one label": (lambda m: m.fit(["a", "b"], ["x", "x"]), "one label"),
    "no texts": (lambda m: m.fit([], []), "labels"),
    "fewer labels": (lambda m: m.fit(["a", "b"], ["x"]), "2 texts and 1 labels"),
    "a table of labels": (lambda m: m.fit(["a", "b"], np.array([["x"], ["y"]])), "a table"),
    "fractions": (lambda m: m.fit(["a", "b"], [0.5, 1.5]), r"labels, row 1: it is 0\.5\. Give text or whole numbers"),
    "no label": (lambda m: m.fit(["a", "b"], ["x", None]), "labels, row 2: it is None"),
    "no label in a series": (
        lambda m: m.fit(["a", "b", "c"], pd.Series(["x", "y", np.nan])),
        "labels, row 3: it is nan",
    ),
    "no category": (lambda m: m.fit(["a", "b"], pd.Series(["x", None]).astype("category")), "labels, row 2: it is nan"),
    "a label of pandas' own nothing": (
        lambda m: m.fit(["a", "b"], pd.Series([1, None], dtype="Int64")),
        "labels, row 2: it is <NA>",
    ),
    "a number and a word": (lambda m: m.fit(["a", "b"], [1, "a"]), "labels, row 2: some are text and others numbers"),
    "a truth value and a word": (lambda m: m.fit(["a", "b"], [True, "a"]), "labels, row 1: it is True"),
    "an empty label": (lambda m: m.fit(["a", "b"], ["x", ""]), "labels, row 2: '' cannot be a label"),
    "a long label": (lambda m: m.fit(["a", "b"], ["x", "y" * 201]), "labels, row 2: .*1 to 200 characters"),
    "half a character": (lambda m: m.fit(["a", "b"], ["x", "\ud800"]), "labels, row 2: .* cannot be a label"),
    "a null character": (lambda m: m.fit(["a", "b"], ["x", "x\0"]), "labels, row 2: .* cannot be a label"),
    "a number of 65 bits": (
        lambda m: m.fit(["a", "b"], np.array([1, 2**63], dtype=np.uint64)),
        "labels, row 2: .*64 bits",
    ),
    "no texts at all": (lambda m: m.fit(None, ["x"]), "texts"),
    "no labels at all": (lambda m: m.fit(["a"], None), "labels"),
    "none_of_these": (
        lambda m: m.set_params(none_of_these=0).fit(TEXTS, Y),
        "none_of_these: it is 0. Give True or False",
    ),
    "none of these": (lambda m: m.fit(["a", "b"], ["none of these", "x"]), "means that a text has no label"),
    "minus one": (lambda m: m.fit(["a", "b"], [-1, 1]), "Leave such texts out, or set none_of_these=False"),
    "settings in a list": (lambda m: m.set_params(settings=["x"]).fit(["a", "b"], ["x", "y"]), "settings: it is"),
    "settings by numbers": (lambda m: m.set_params(settings={1: 2}).fit(["a", "b"], ["x", "y"]), "settings: it is"),
}


@pytest.mark.parametrize(("call", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line(call, says):
    with pytest.raises(InputError, match=says):
        call(RedClassifier(EMBEDDING, SMALL))


@pytest.mark.parametrize("k", [0, -1, 2.0, "2", None])
def test_fewer_than_one_class_is_refused(k, fitted):
    with pytest.raises(InputError, match="Give 1 or more"):
        fitted.predict_top(NEW, k)


def test_what_numpy_pandas_and_paths_give_is_taken():
    model = RedClassifier(Path(EMBEDDING), SMALL, none_of_these=np.bool_(False))
    model.fit(pd.Series(TEXTS), pd.Series(Y, dtype="category"), unlabeled=None)
    assert model.classes_.tolist() == sorted(LABELS)
    numbers = np.array([-(2**63), 2**63 - 1, 0, 7])[[LABELS.index(label) for label in Y]]
    assert RedClassifier(EMBEDDING, SMALL).fit(TEXTS, numbers).classes_.tolist() == [-(2**63), -1, 0, 7, 2**63 - 1]


def test_an_unknown_setting_is_refused():
    with pytest.raises(SettingsError, match="no setting 'size'"):
        RedClassifier(EMBEDDING, {"size": 3}).fit(TEXTS, Y)


def test_before_the_fit_there_is_nothing_to_predict(tmp_path):
    with pytest.raises(NotFittedError):
        RedClassifier().predict(["a"])
    with pytest.raises(NotFittedError):
        RedClassifier().to_folder(tmp_path / "out")
