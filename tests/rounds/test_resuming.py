"""A round that was interrupted in the fit ends as it began, whatever was decided about its examples meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

from red_core.errors import Cancelled, StateError
from red_core.labels.edit_kinds import Add, Merge, Retire
from red_core.labels.edits import apply_edit
from red_core.records import Project
from red_core.review import feed_back, plan_feed_back
from red_core.review.decisions import decide, undo
from red_core.rounds.run import run_round
from red_core.settings import ARTICLE, RECOMMENDED, Settings
from red_core.store.rounds import close_round, current_training_rows, frozen_seeds, open_round
from red_core.store.texts import pool, seeds
from red_core.training import embeddings, model_file
from tests.helpers.project_facts import facts, figures
from tests.helpers.small_projects import (
    FAST,
    LABELS,
    embed,
    fake_encode,
    label_ids,
    pool_rows,
    reviewed_round,
    small_project,
    text_ids,
)

SEEDS = [(f"{name} please, case {n}", name) for name in LABELS for n in range(4) if name != "refund" or not n]
"""The label *refund* has one example."""
SETTINGS = {
    each.preset: each.model_copy(update={"subset_size": 2, "most_questions": 0}) for each in (RECOMMENDED, ARTICLE)
}
"""Without questions: the similarity check reads the examples as they are now."""


@pytest.fixture(autouse=True)
def own_encoder(monkeypatch):
    monkeypatch.setattr(embeddings, "encode", fake_encode)


def made(folder) -> Project:
    """Return a project with a label that an edit gave its examples: three texts of the pool."""
    project = small_project(folder / "workspace", seeds=SEEDS, pool=pool_rows(each=12), often=True)
    apply_edit(project, Add("praise", "", None, tuple(pool(project)[:3].tolist())), "ann")
    return embed(project)


def interrupted(project: Project, settings: Settings) -> None:
    def stops(stage: str, _done: int, _total: int) -> None:
        if stage == "fit":
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        run_round(project, settings, stops)


def relabel_the_only_example(project: Project) -> None:
    decide(project, text_ids(project)[SEEDS[0][0]], "relabel", label=label_ids(project)["repair"])


def reject_the_only_example(project: Project) -> None:
    decide(project, text_ids(project)[SEEDS[0][0]], "reject", label=label_ids(project)["refund"])


def decide_what_an_edit_gave(project: Project) -> None:
    texts, of_label = seeds(project)
    given = texts[of_label == label_ids(project)["praise"]].tolist()
    decide(project, given[0], "none")
    decide(project, given[1], "relabel", label=label_ids(project)["repair"])
    decide(project, given[2], "accept", label=label_ids(project)["praise"])


def decide_and_undo(project: Project) -> None:
    relabel_the_only_example(project)
    undo(project)


@pytest.mark.parametrize("preset", SETTINGS)
@pytest.mark.parametrize(
    "meanwhile", [relabel_the_only_example, reject_the_only_example, decide_what_an_edit_gave, decide_and_undo]
)
def test_a_decision_about_an_example_in_between_changes_no_bit_of_the_classifiers(preset, meanwhile, tmp_path):
    with_it, without = made(tmp_path / "with"), made(tmp_path / "without")
    for project in (with_it, without):
        interrupted(project, SETTINGS[preset])
    meanwhile(with_it)
    for project in (with_it, without):
        assert run_round(project).state == "to review"
    of_both = [np.load(model_file(project, 1)) for project in (with_it, without)]
    assert sorted(of_both[0]) == sorted(of_both[1])
    assert all(of_both[0][name].tobytes() == of_both[1][name].tobytes() for name in of_both[0])
    assert (figures(with_it) == figures(without)).all()
    assert {**facts(with_it), "decisions": []} == {**facts(without), "decisions": []}


@pytest.mark.parametrize("changes", [{}, {"noise_rows": 40}], ids=["incremental", "full"])
def test_a_label_that_lost_its_examples_is_named_and_what_is_fed_back_to_it_is_enough(changes, tmp_path):
    project, again = made(tmp_path), FAST.model_copy(update=changes)
    run_round(project, FAST)
    relabel_the_only_example(project)
    close_round(project)
    with pytest.raises(StateError, match=r"label 'refund' has no labelled example left\. Close the round"):
        run_round(project, again)
    close_round(project)
    run_round(project, FAST.model_copy(update={"label_names_as_seeds": True}))
    for text in pool(project)[:3].tolist():
        decide(project, text, "relabel", label=label_ids(project)["refund"])
    feed_back(project, plan_feed_back(project))
    assert run_round(project, again).state == "to review"


@pytest.mark.parametrize("seed", range(4))
def test_the_examples_of_a_round_are_those_of_the_moment_when_it_opened(seed, tmp_path):
    project, rng = made(tmp_path), np.random.default_rng(seed)
    texts, unlabelled = np.array(list(text_ids(project).values())), pool(project)

    def decide_some(count: int) -> None:
        labels = list(label_ids(project).values())
        for text in rng.choice(texts, count, replace=False).tolist():
            kind = str(rng.choice(["accept", "relabel", "reject", "none", "undo"]))
            if kind == "undo":
                undo(project)
            else:
                decide(project, text, kind, label=None if kind == "none" else int(rng.choice(labels)))

    for edit in (None, lambda ids: Merge((ids["delivery"],), ids["repair"]), lambda ids: Retire(ids["warranty"])):
        if edit is not None:
            apply_edit(project, edit(label_ids(project)), "ann")
        labels = list(label_ids(project).values())
        believed = {int(t): (int(rng.choice(labels)), 0.9) for t in unlabelled if t in pool(project)}
        reviewed_round(project, believed)
        decide_some(20)
        feed_back(project, plan_feed_back(project))
        decide_some(8)
        opened = open_round(project, FAST.model_dump_json(), "evidence", "ann")
        were = seeds(project)[0]
        rows = current_training_rows(project)
        assert frozen_seeds(project, opened.id).tolist() == were.tolist()
        assert len(rows) > len(were) > 0
        decide_some(20)
        assert frozen_seeds(project, opened.id).tolist() == were.tolist()
        close_round(project)
