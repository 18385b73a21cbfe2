"""Which labels are taken for each other, against sums made by hand and against a plain recount."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from red_core.labels.meaning import Mean, edit_meaning
from red_core.records import Answer
from red_core.review.decisions import decide, undo
from red_core.store.rounds import finish_round, open_round
from red_core.store.texts import pool
from red_core.store.verdicts import add_proposals, add_verdicts
from red_core.store.views import confusions, overturned_verdicts
from tests.helpers.small_projects import FAST, METRICS, label_ids, question


def a_round(project, believed, asked=()):
    """Put a round to review: text -> (label, runner-up, its belief); asked: (text, label, rival, outcome)."""
    number = open_round(project, FAST.model_dump_json(), "evidence", "tester").id
    ids = add_proposals(project, number, [question(text, label, rival) for text, label, rival, _ in asked])
    answers = [(i, Answer(outcome, None, 0.0, "", "", "1")) for i, (*_, outcome) in zip(ids, asked, strict=True)]
    add_verdicts(project, "evidence", answers)
    rows = [
        (text, label, 1 - share, rival, share, 0.0, 1 - share, "[]") for text, (label, rival, share) in believed.items()
    ]
    finish_round(project, number, rows, METRICS)
    return number


def found(project, number):
    return {one.labels: (one.expected, one.overturned) for one in confusions(project, number)}


def test_without_a_round_nothing_is_confused(project):
    assert confusions(project, 0) == []


def test_the_belief_in_the_runner_up_adds_up_in_both_directions(project):
    ids, texts = label_ids(project), pool(project).tolist()
    refund, delivery, repair = ids["refund"], ids["delivery"], ids["repair"]
    number = a_round(
        project,
        {texts[0]: (refund, delivery, 0.25), texts[1]: (delivery, refund, 0.5), texts[2]: (refund, repair, 0.125),
         texts[3]: (-1, refund, 0.25), texts[4]: (refund, -1, 0.25)},
    )  # fmt: skip
    pairs = confusions(project, number)
    assert [one.labels for one in pairs] == [(refund, delivery), (refund, repair)]  # most texts first, ids ascending
    assert [one.expected for one in pairs] == pytest.approx([0.75, 0.125])
    assert (pairs[0].other(refund), pairs[0].other(delivery)) == (delivery, refund)


def test_a_decided_text_is_torn_between_nothing_any_more(project):
    ids, text = label_ids(project), int(pool(project)[0])
    number = a_round(project, {text: (ids["refund"], ids["delivery"], 0.4)})
    decide(project, text, "accept", label=ids["refund"], who="ann")
    assert confusions(project, number) == []
    undo(project, who="ann")
    assert found(project, number) == {(ids["refund"], ids["delivery"]): (pytest.approx(0.4), 0)}


@pytest.mark.parametrize(
    ("outcome", "kind", "label", "counts"),
    [
        ("valid", "relabel", "delivery", True),
        ("valid", "accept", "refund", False),
        ("valid", "none", None, False),
        ("invalid", "accept", "refund", True),
        ("invalid", "relabel", "delivery", False),
        ("unsure", "relabel", "delivery", False),
    ],
)
def test_only_an_overturned_verdict_counts(project, outcome, kind, label, counts):
    ids, text = label_ids(project), int(pool(project)[0])
    refund, delivery = ids["refund"], ids["delivery"]
    number = a_round(project, {text: (refund, delivery, 0.3)}, [(text, refund, delivery, outcome)])
    decide(project, text, kind, label=ids.get(label), who="ann")
    assert found(project, number) == ({(refund, delivery): (0.0, 1)} if counts else {})


def test_sums_are_those_of_a_plain_recount(project):
    rng = np.random.default_rng(0)
    ids = sorted(label_ids(project).values())
    believed = {}
    for text in pool(project).tolist():
        best, other = rng.choice(ids, 2, replace=False).tolist()
        believed[text] = (best, other, float(rng.uniform(0.01, 0.5)))
    number = a_round(project, believed)
    for one, other in itertools.combinations(ids, 2):
        wanted = sum(share for best, rival, share in believed.values() if {best, rival} == {one, other})
        assert found(project, number)[one, other][0] == pytest.approx(wanted)


def test_overturned_verdicts_count_since_the_guideline_was_edited(project):
    ids, texts = label_ids(project), pool(project)[:4].tolist()
    refund, delivery = ids["refund"], ids["delivery"]
    asked = [(texts[0], refund, delivery, "valid"), (texts[1], refund, delivery, "invalid")]
    asked += [(texts[2], refund, delivery, "valid"), (texts[3], refund, delivery, "unsure")]
    a_round(project, dict.fromkeys(texts, (refund, delivery, 0.3)), asked)
    decide(project, texts[0], "none", who="ann")
    decide(project, texts[1], "accept", label=refund, who="ann")
    decide(project, texts[3], "accept", label=refund, who="ann")
    assert overturned_verdicts(project) == {refund: (2, 2)}
    decide(project, texts[2], "accept", label=refund, who="ann")
    assert overturned_verdicts(project) == {refund: (2, 3)}
    edit_meaning(project, Mean(refund, "Money that comes back."), "ann")
    assert overturned_verdicts(project) == {}
