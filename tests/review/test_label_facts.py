"""Figures of each label: audited accuracy, and how often the judge was right about it."""

from __future__ import annotations

import numpy as np
import pytest

from red_core.records import PROMPT_VERSION, Answer
from red_core.review import audit_sample
from red_core.review.audit_report import audited_accuracy, judge_record, summary
from red_core.review.audits import answer, deal
from red_core.store.rounds import close_round, open_round
from red_core.store.self_tests import add_tested
from red_core.store.texts import seeds
from red_core.store.verdicts import add_proposals, add_verdicts
from tests.helpers.small_projects import label_ids, pool_rows, question, reviewed_round, text_ids

SURE = 0.97


@pytest.fixture
def labelled(project, monkeypatch):
    """A project whose machine labels are all true, and whose audits have no planted texts."""
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.0)
    ids, texts = label_ids(project), text_ids(project)
    reviewed_round(project, {texts[text]: (ids[label], SURE) for text, label in pool_rows()})
    return project


def audit(project, count, right, **purpose):
    """Answer audits, with the machine's label where ``right(position)`` is true; return the machine's labels."""
    texts = {number: text for text, number in text_ids(project).items()}
    ids, machine = label_ids(project), []
    for place, card in enumerate(deal(project, who="ann", count=count, rng=np.random.default_rng(1), **purpose)):
        true_label = ids[texts[card.text].split()[0]]
        machine.append(true_label)
        answer(project, card.audit, "label", label=true_label if right(place) else ids["repair"], who="ann")
    return machine


def test_before_any_audit_nothing_is_known(labelled):
    assert audited_accuracy(labelled) == {}
    assert judge_record(labelled, "evidence") == {}


def test_accuracy_is_counted_label_by_label_over_sample_and_extras(labelled):
    ids = label_ids(labelled)
    sampled = audit(labelled, 12, lambda _: True)
    extras = audit(labelled, 3, lambda place: place == 0, purpose="label", label=ids["refund"])
    assert extras == [ids["refund"]] * 3
    accuracy = audited_accuracy(labelled)
    assert sum(share.of for share in accuracy.values()) == 15
    assert (accuracy[ids["refund"]].right, accuracy[ids["refund"]].of) == (
        sampled.count(ids["refund"]) + 1,
        sampled.count(ids["refund"]) + 3,
    )
    assert summary(labelled).accuracy.of == 12  # extras do not enter the certificate's sample


def test_the_judges_record_is_of_self_test_and_audits_alone(labelled):
    ids, texts = label_ids(labelled), text_ids(labelled)
    refund, delivery = ids["refund"], ids["delivery"]
    seed = int(seeds(labelled)[0][0])

    def said(outcome):
        return Answer(outcome, None, 0.0, "", "tiny", PROMPT_VERSION)

    add_tested(
        labelled, "tiny",
        [(seed, refund, "right", said("valid")), (seed, delivery, "wrong", said("valid")),
         (seed, delivery, "canary", said("valid")), (seed + 1, refund, "right", said("unsure"))],
    )  # fmt: skip
    close_round(labelled)
    number = open_round(labelled, "{}", "llm", "tester").id
    asked = [texts["refund is what I ask for, message 0"], texts["refund is what I ask for, message 1"]]
    proposals = add_proposals(labelled, number, [question(text, refund, delivery) for text in asked])
    add_verdicts(labelled, "tiny", [(proposals[0], said("invalid")), (proposals[1], said("valid"))])
    record = judge_record(labelled, "tiny")
    assert {label: (s.right, s.of) for label, s in record.items()} == {refund: (1, 1), delivery: (0, 1)}

    audited = {card.text: card for card in deal(labelled, who="ann", count=40, rng=np.random.default_rng(0))}
    for text in asked:
        answer(labelled, audited[text].audit, "label", label=refund, who="ann")
    assert (judge_record(labelled, "tiny")[refund].right, judge_record(labelled, "tiny")[refund].of) == (2, 3)
    assert judge_record(labelled, "another") == {}
