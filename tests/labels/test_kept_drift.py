"""The comparison of imports that a round keeps: what is stored is what was measured, and decisions do not end it."""

from __future__ import annotations

from dataclasses import replace

from red_core.data.importing import import_files
from red_core.labels.drift import measure_drift
from red_core.labels.edit_kinds import Rename, Retire
from red_core.labels.edits import apply_edit
from red_core.labels.kept_drift import kept_drift
from red_core.review.decisions import decide
from red_core.rounds.run import run_round
from red_core.store.contents import content_faults
from red_core.store.growth import pool_imports, scored_texts
from red_core.store.rounds import close_round
from tests.helpers.small_projects import FAST, embed, label_ids, write_csv


def more(project, name="later"):
    later = [[f"{'refund' if n < 30 else 'repair'} is what I ask for, {name} {n}"] for n in range(40)]
    import_files(
        project.workspace, project.name, pool=write_csv(project.workspace.parent / f"{name}.csv", ["text"], later)
    )
    embed(project)


def test_a_round_keeps_the_comparison_until_the_next_one(project):
    run_round(project, FAST)
    assert kept_drift(project) is None  # there is one import
    close_round(project)
    more(project)
    run_round(project, FAST)
    kept = kept_drift(project)
    assert list(content_faults(project)) == []  # a backup of it can be restored
    assert (kept.file, kept.labels) == ("later.csv", measure_drift(project))
    more(project, "another")
    assert kept_drift(project) == kept  # the round has not seen it
    close_round(project)
    run_round(project, FAST)
    assert (kept_drift(project).file, kept_drift(project).labels) == ("another.csv", measure_drift(project))


def test_a_decision_and_an_edit_keep_it(project):
    run_round(project, FAST)
    close_round(project)
    more(project)
    run_round(project, FAST)
    kept, ids, scored = kept_drift(project), label_ids(project), scored_texts(project, 2)
    newest = [text for text in scored.texts.tolist() if text in set(pool_imports(project)[1].texts.tolist())]
    labels = dict(zip(scored.texts.tolist(), scored.labels.tolist(), strict=True))
    assert sum(kept.waiting.values()) == len(newest)
    decide(project, newest[0], "accept", label=labels[newest[0]])
    after = kept_drift(project)
    assert after.labels == kept.labels
    assert after.waiting[labels[newest[0]]] == kept.waiting[labels[newest[0]]] - 1
    apply_edit(project, Retire(ids["warranty"]), "Ana")
    apply_edit(project, Rename(ids["refund"], "money back"), "Ana")
    named = {each.label.id: each for each in kept_drift(project).labels}
    assert set(named) == set(ids.values()) - {ids["warranty"]}
    before = next(each for each in kept.labels if each.label.id == ids["refund"])
    assert named[ids["refund"]] == replace(before, label=named[ids["refund"]].label)
    assert named[ids["refund"]].label.name == "money back"
