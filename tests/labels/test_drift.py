"""A second import, its round and the drift, on small projects and once on real data."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from red_core.data.importing import import_files
from red_core.errors import StateError
from red_core.labels.drift import measure_drift
from red_core.records import NONE_OF_THESE
from red_core.rounds.run import run_round
from red_core.store.database import open_project
from red_core.store.growth import pool_imports, scored_texts
from red_core.store.labels import list_labels
from red_core.store.rounds import close_round, require_finished_round
from red_core.store.texts import pool
from tests.helpers import small_projects
from tests.helpers.small_projects import FAST, LABELS, count, embed, pool_rows, small_project, write_csv

EACH = 60
NEWER = 40


NOISE = 0.8


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project after its first round."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_projects, "NOISE", NOISE)
        project = small_project(tmp_path_factory.mktemp("made") / "workspace", pool=pool_rows(each=EACH))
        run_round(project, FAST)
    return project


@pytest.fixture
def running(made, workspace, monkeypatch):
    """A copy of that project."""
    monkeypatch.setattr(small_projects, "NOISE", NOISE)
    shutil.copytree(made.workspace, workspace)
    return open_project(workspace, made.name)


def more(project, contents, name="more"):
    """Import more texts and run the next round."""
    file = write_csv(project.workspace.parent / f"{name}.csv", ["text"], [[content] for content in contents])
    (summary,) = import_files(project.workspace, project.name, pool=file, who="tester")
    embed(project)
    close_round(project)
    run_round(project, FAST)
    return summary


def new_texts(name, count=NEWER, start=1_000):
    return [f"{name} is what I ask for, message {number}" for number in range(start, start + count)]


def as_before():
    return [text for name in LABELS for text in new_texts(name)]


def by_name(found):
    return {each.label.name: each for each in found}


# The second import


def test_after_a_second_import_a_round_has_beliefs_about_both(running):
    first = pool(running)
    summary = more(running, as_before())
    assert summary.pool == len(first) + len(LABELS) * NEWER
    last = require_finished_round(running)
    scored = scored_texts(running, last.id)
    assert last.id == 2
    assert scored.texts.tolist() == pool(running).tolist()
    assert [len(each.texts) for each in pool_imports(running)] == [len(first), len(LABELS) * NEWER]
    assert set(scored.labels.tolist()) <= {label.id for label in list_labels(running)}
    assert NONE_OF_THESE not in scored.labels


def test_a_text_that_comes_again_counts_in_both_imports(running):
    again = [text for text, _ in pool_rows(each=5)]
    more(running, [*again, *new_texts("refund")])
    first, second = pool_imports(running)
    assert len(second.texts) == len(again) + NEWER
    assert len(np.intersect1d(first.texts, second.texts)) == len(again)
    assert sum(sum(each.texts) for each in measure_drift(running)) <= len(first.texts) + len(second.texts)


# Drift


def test_without_a_change_nothing_drifts(running):
    more(running, as_before())
    drifts = measure_drift(running)
    assert {each.label.name for each in drifts} == set(LABELS)
    assert not any(each.drifted for each in drifts)
    for each in drifts:
        assert (each.advice, each.reasons) == ("leave", ())
        assert 0 <= each.p <= each.q <= 1
        assert each.distance >= 0


def test_a_label_whose_texts_are_replaced_by_anothers_is_at_the_top(running):
    others = [name for name in LABELS if name != "refund"]
    more(running, [t for name in others for t in new_texts(name)] + new_texts("repair", start=5_000))
    first, *rest = measure_drift(running)
    assert first.label.name == "refund"
    assert (first.drifted, first.advice) == (True, "audit")
    assert first.texts[1] < first.texts[0] / 4
    assert "new texts have this label" in first.reasons[0]
    assert not any(each.drifted for each in rest if each.label.name == "repair")


def test_a_label_whose_texts_changed_is_to_be_retrained(running, monkeypatch):
    aside = np.random.default_rng(3).normal(size=small_projects.DIMENSIONS)
    plain = small_projects.fake_encode

    def moved(model, texts):
        vectors = plain(model, texts)
        vectors[[text.startswith("warranty") for text in texts]] += 0.12 * aside.astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    monkeypatch.setattr(small_projects, "fake_encode", moved)
    more(running, as_before())
    drifts = measure_drift(running)
    worst = drifts[0]
    assert worst.label.name == "warranty"
    assert (worst.drifted, worst.advice) == (True, "retrain")
    assert any("times their spread" in reason for reason in worst.reasons)


def test_the_shares_are_those_of_the_stored_beliefs(running):
    more(running, as_before())
    scored = scored_texts(running, 2)
    first, second = pool_imports(running)
    for each in measure_drift(running):
        mine = ~scored.none & (scored.labels == each.label.id)
        sides = [np.isin(scored.texts, part.texts) for part in (first, second)]
        assert each.texts == tuple(int((mine & side).sum()) for side in sides)
        assert each.share == pytest.approx([(mine & side).sum() / side.sum() for side in sides])
        uncertain = scored.classifier_belief < FAST.certain_belief
        assert each.uncertain == pytest.approx(
            [(uncertain & mine & side).sum() / (mine & side).sum() for side in sides]
        )


def test_labels_with_too_few_texts_are_marked_and_come_last(running):
    more(running, [text for name in LABELS for text in new_texts(name, 2)])
    assert all(each.distance is None or min(each.texts) >= 5 for each in measure_drift(running))
    rare = small_project(running.workspace, name="rare", pool=[*pool_rows(LABELS[:3], each=30)])
    run_round(rare, FAST)
    more(rare, [text for name in LABELS[:3] for text in new_texts(name, 10)], "rare-more")
    last = measure_drift(rare)[-1]
    assert last.label.name == LABELS[3]
    assert (last.p, last.q, last.advice) == (None, None, "too few texts")
    assert not last.drifted


def test_a_chosen_import_is_compared_with_those_before_it(running):
    more(running, as_before())
    more(running, new_texts("refund", 50, start=9_000), "third")
    first, second, third = pool_imports(running)
    imports = {each.source: sum(map(len, [each.texts])) for each in (first, second, third)}
    assert imports[third.source] == 50
    assert sum(each.texts[1] for each in measure_drift(running, second.source)) <= imports[second.source]
    assert sum(each.texts[1] for each in measure_drift(running)) <= 50
    assert sum(each.texts[0] for each in measure_drift(running)) > sum(
        each.texts[0] for each in measure_drift(running, second.source)
    )


def test_measuring_drift_stores_nothing_and_is_repeatable(running):
    more(running, as_before())
    before = [count(running, f"SELECT count(*) FROM {table}") for table in ("prediction", "label_edit", "round", "job")]
    assert measure_drift(running) == measure_drift(running)
    tables = ("prediction", "label_edit", "round", "job")
    assert [count(running, f"SELECT count(*) FROM {table}") for table in tables] == before


def test_drift_needs_a_finished_round_and_an_earlier_import(project, workspace):
    with pytest.raises(StateError, match="no finished round"):
        measure_drift(project)
    run_round(project, FAST)
    with pytest.raises(StateError, match="no earlier import"):
        measure_drift(project)
    with pytest.raises(StateError, match="no earlier import"):
        measure_drift(project, 999)
    close_round(project)
    file = write_csv(workspace.parent / "later.csv", ["text"], [[text] for text in new_texts("refund")])
    import_files(workspace, project.name, pool=file, who="tester")
    with pytest.raises(StateError, match=r"has not seen all texts of .*later\.csv"):
        measure_drift(project)


# Real data


@pytest.mark.data
@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_on_real_data_the_replaced_label_is_at_the_top_and_no_change_raises_few(shared_data, tmp_path):
    from benchmarks.growth import data_set, drift_reports, options_of  # noqa: PLC0415  reads vectors of a whole set

    path = shared_data / "clinc150.csv.gz"
    options = options_of([str(path), "--replaced", "1"])
    unchanged, replaced = drift_reports(data_set(path, options.cache), 0, options, tmp_path)
    assert unchanged.raised <= 0.05 * unchanged.labels
    assert replaced.rank == 1
