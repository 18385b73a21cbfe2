"""Labels of a single example each: nothing can be held out, and a round works all the same and says so."""

from __future__ import annotations

import math

import pytest

from red_core.review import feed_back, plan_feed_back
from red_core.review.decisions import decide
from red_core.rounds.run import run_round
from red_core.rounds.status import NOT_CALIBRATED, doubts, project_status
from red_core.store.rounds import predicted_labels
from tests.helpers.small_projects import FAST, LABELS, label_ids, pool_rows, seed_rows, small_project, text_ids


@pytest.mark.parametrize("count", [2, 12])
def test_a_round_is_not_calibrated_says_so_and_the_next_one_is(workspace, count):
    names = [*LABELS, *(f"other{letter}" for letter in "abcdefgh")][:count]
    project = small_project(workspace, seeds=seed_rows(names, 1), pool=pool_rows(names, 6))

    first = run_round(project, FAST)
    texts, labels = predicted_labels(project, first.id)
    true, names_of = dict(pool_rows(names, 6)), {id_: name for name, id_ in label_ids(project).items()}
    content = {id_: text for text, id_ in text_ids(project).items()}
    right = [names_of.get(label) == true[content[text]] for text, label in zip(texts.tolist(), labels, strict=True)]
    assert sum(right) / len(right) > 1.2 / count
    estimate = first.metrics["expected_agreement"]
    assert 1 / (count + 1) < estimate < 0.95
    assert first.metrics["calibrated_on"] == 0
    assert NOT_CALIBRATED in doubts(count, first.metrics)

    for text in texts[: 3 * count].tolist():
        decide(project, text, "relabel", label=label_ids(project)[true[content[text]]], who="ada")
    feed_back(project, plan_feed_back(project))
    second = run_round(project, FAST)
    assert second.metrics["calibrated_on"] > 0
    assert NOT_CALIBRATED not in doubts(count, second.metrics)
    assert math.isfinite(project_status(project)["expected_agreement"])
