from __future__ import annotations

from red_core.review.needs import needs
from red_core.store.views import Confusion


def row(label, labelled=100, belief=0.8, seeds=10, fed_back=0):
    return {"id": label, "labelled": labelled, "belief": belief, "seeds": seeds, "fed_back": fed_back}


def test_the_label_with_the_most_wrong_texts_comes_first():
    found = needs([row(1, belief=0.9), row(2, belief=0.7), row(3, 10, 0.5), row(4, belief=0.999)], [], {})
    assert [(need.label, round(need.wrong)) for need in found] == [(2, 30), (1, 10), (3, 5)]


def test_labels_without_texts_need_nobody():
    assert needs([row(1, labelled=0, belief=None)], [], {}) == []


def test_each_label_has_one_action_and_the_first_cause_counts():
    pairs = [Confusion((1, 5), 12.0, 0), Confusion((1, 2), 8.0, 3), Confusion((2, 3), 3.0, 0)]
    table = [row(1), row(2), row(3), row(4), row(5, seeds=2, fed_back=1)]
    found = {need.label: need for need in needs(table, pairs, {2: 7, 5: 1})}
    assert (found[5].action, found[5].count) == ("examples", 3)
    assert (found[2].action, found[2].count) == ("outdated", 7)
    assert (found[1].action, found[1].count, found[1].rival) == ("pair", 12, 5)
    assert (found[3].action, found[3].count) == ("decide", 20)  # 3 of 20 texts are no reason to look at the pair
    assert found[4].action == "decide"


def test_fed_back_texts_are_examples_too():
    (need,) = needs([row(1, seeds=2, fed_back=3)], [], {})
    assert need.action == "decide"


def test_a_label_whose_new_texts_differ_is_named_for_it() -> None:
    found = needs([row(1, belief=0.5)], [], {}, {1: 7})
    assert [(need.action, need.count) for need in found] == [("drift", 7)]
    assert needs([row(1, belief=0.5)], [], {1: 2}, {1: 7})[0].action == "outdated"


def test_a_label_whose_verdicts_are_overturned_often_needs_a_better_guideline() -> None:
    often, seldom, few = {1: (3, 12)}, {1: (3, 13)}, {1: (2, 2)}
    found = [needs([row(1)], [], {}, {1: 7}, overturned)[0] for overturned in (often, seldom, few)]
    assert [(need.action, need.count) for need in found] == [("guideline", 3), ("drift", 7), ("drift", 7)]
    assert needs([row(1)], [], {1: 2}, {}, often)[0].action == "outdated"
