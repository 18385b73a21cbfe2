"""What a round changed: who decided what since the round before, and which other texts changed their label."""

from __future__ import annotations

from pathlib import Path

import pytest

from red_core.data.importing import import_files
from red_core.records import Project
from red_core.review.decisions import decide, undo
from red_core.rounds.changes import Changes, what_changed
from red_core.store.database import open_project
from red_core.store.rounds import close_round, open_round
from tests.helpers.small_projects import (
    EMBEDDING,
    FAST,
    label_ids,
    pool_rows,
    reviewed_round,
    seed_rows,
    small_project,
    text_ids,
    write_csv,
)

TRUE = dict(pool_rows())
TEXTS = sorted(TRUE)
OTHER = {"refund": "delivery", "delivery": "warranty", "warranty": "repair", "repair": "refund"}


@pytest.fixture
def trial(workspace: Path) -> Project:
    return small_project(workspace)


def untold(workspace: Path) -> Project:
    """Return a project whose true labels nobody knows."""
    seeds = write_csv(workspace.parent / "files" / "seeds.csv", ["text", "label"], seed_rows())
    pool = write_csv(workspace.parent / "files" / "pool.csv", ["text"], [[text] for text in TEXTS])
    import_files(workspace, "untold", seeds, pool, embedding=EMBEDDING, who="tester")
    return open_project(workspace, "untold")


def labelled(project: Project, *wrong: str) -> None:
    """Finish a round that gives these texts a wrong label, and all others the right one."""
    names, ids = label_ids(project), text_ids(project)
    given = {text: OTHER[TRUE[text]] if text in wrong else TRUE[text] for text in TEXTS}
    reviewed_round(project, {ids[text]: (names[name], 0.8) for text, name in given.items()})


def decide_rightly(project: Project, text: str, who: str = "ada") -> None:
    decide(project, text_ids(project)[text], "relabel", label=label_ids(project)[TRUE[text]], who=who)


def test_there_are_no_changes_before_the_second_round(trial):
    assert what_changed(trial) is None
    labelled(trial)
    assert what_changed(trial) is None
    close_round(trial)
    open_round(trial, FAST.model_dump_json(), "evidence", "tester")
    assert what_changed(trial) is None


def test_the_decided_texts_and_the_others_are_counted_apart(trial):
    labelled(trial, *TEXTS[:5])
    for text in TEXTS[:2]:
        decide_rightly(trial, text)
    close_round(trial)
    labelled(trial, TEXTS[4], TEXTS[30])
    assert what_changed(trial) == Changes(1, 2, frozenset({"ada"}), 3, 2, 1)


def test_a_change_from_one_wrong_label_to_another_is_neither_right_nor_away_from_right(trial):
    labelled(trial, TEXTS[0])
    close_round(trial)
    names, ids = label_ids(trial), text_ids(trial)
    third = next(name for name in names if name not in {TRUE[TEXTS[0]], OTHER[TRUE[TEXTS[0]]]})
    reviewed_round(trial, {ids[text]: (names[TRUE[text] if text != TEXTS[0] else third], 0.8) for text in TEXTS})
    assert what_changed(trial) == Changes(1, 0, frozenset(), 1, 0, 0)


def test_a_text_without_a_label_can_turn_right_or_wrong_too(workspace):
    project = small_project(workspace, pool=[*TRUE.items(), ("a poem about the sea", "poetry")])
    names, ids = label_ids(project), text_ids(project)
    sea = ids["a poem about the sea"]
    reviewed_round(project, {sea: (names["refund"], 0.5), ids[TEXTS[0]]: (names[TRUE[TEXTS[0]]], 0.5)})
    close_round(project)
    reviewed_round(project, {sea: (-1, 0.5), ids[TEXTS[0]]: (-1, 0.5)})
    found = what_changed(project)
    assert found is not None
    assert (found.turned_right, found.turned_wrong) == (1, 1)


def test_only_decisions_between_the_two_rounds_count_and_earlier_ones_are_not_others(trial):
    decide_rightly(trial, TEXTS[0])
    labelled(trial, *TEXTS[:4])
    decide_rightly(trial, TEXTS[1], who="ben")
    decide_rightly(trial, TEXTS[2])
    undo(trial, who="ada")
    close_round(trial)
    labelled(trial)
    decide_rightly(trial, TEXTS[3])  # after the round: the change of its label was the round's
    assert what_changed(trial) == Changes(1, 1, frozenset({"ben"}), 2, 2, 0)


def test_a_skip_or_a_rejection_decides_no_text(trial):
    labelled(trial, TEXTS[0], TEXTS[1])
    ids, names = text_ids(trial), label_ids(trial)
    decide(trial, ids[TEXTS[0]], "skip", who="ada")
    decide(trial, ids[TEXTS[1]], "reject", label=names[OTHER[TRUE[TEXTS[1]]]], who="ada")
    close_round(trial)
    labelled(trial)
    assert what_changed(trial) == Changes(1, 0, frozenset(), 2, 2, 0)


def test_a_round_is_compared_with_the_round_before_it_and_not_with_the_first(trial):
    for wrong in (TEXTS[:9], TEXTS[:1], []):
        labelled(trial, *wrong)
        close_round(trial)
    found = what_changed(trial)
    assert found is not None
    assert (found.since, found.changed) == (2, 1)


def test_without_the_truth_only_the_changes_are_counted(workspace):
    project = untold(workspace)
    labelled(project, *TEXTS[:3])
    decide_rightly(project, TEXTS[0])
    close_round(project)
    labelled(project)
    found = what_changed(project)
    assert found == Changes(1, 1, frozenset({"ada"}), 2)
    assert found.sentence("ada") == "You decided 1 text; 2 others changed their label."


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (Changes(1, 24, frozenset({"ada"}), 70, 61, 0), "You decided 24 texts; 61 others changed to the right label."),
        (
            Changes(1, 24, frozenset({"ada"}), 1_300, 1_200, 7),
            "You decided 24 texts; 1,200 others changed to the right label, and 7 away from it.",
        ),
        (Changes(1, 1, frozenset({"ada"}), 1, 1, 0), "You decided 1 text; 1 other changed to the right label."),
        (Changes(1, 24, frozenset({"ada", "ben"}), 61), "24 texts were decided; 61 others changed their label."),
        (Changes(1, 1, frozenset({"ben"}), 1), "1 text was decided; 1 other changed its label."),
        (Changes(3, 0, frozenset(), 61), "Since round 3, 61 texts changed their label."),
        (Changes(1, 24, frozenset({"ada"}), 0, 0, 0), "You decided 24 texts; no other changed its label."),
        (
            Changes(1, 1, frozenset({"ada"}), 3, 0, 2),
            "You decided 1 text; 3 others changed their label, none of them to the right one.",
        ),
        (Changes(3, 0, frozenset(), 0), "Since round 3, no text changed its label."),
        (Changes(3, 0, frozenset(), 9, 1, 0), "Since round 3, 1 text changed to the right label."),
    ],
)
def test_the_changes_are_one_sentence(changes, sentence):
    assert changes.sentence("ada") == sentence
