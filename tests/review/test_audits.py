"""The blind audit: its sample, its cards, the answers, the certificate, and that audited texts never train."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare

from red_core.data.importing import import_files
from red_core.errors import StateError
from red_core.records import PROMPT_VERSION, Answer, Project
from red_core.review import audit_sample
from red_core.review import audits as auditing
from red_core.review.audit_report import summary
from red_core.review.audit_sample import BEST_SHOWN, OPTIONS, PLANTED_SHARE, draw
from red_core.review.audits import answer, begin_sample, deal, undo_answer
from red_core.review.decisions import Provenance, decide, feed_back, plan_feed_back, undo
from red_core.rounds.status import project_status
from red_core.store.audits import AuditCard, answers_given
from red_core.store.database import connection, transaction
from red_core.store.labels import list_labels
from red_core.store.rounds import close_round, current_training_rows, finish_round, open_round
from red_core.store.self_tests import add_tested
from red_core.store.texts import contents, pool, seeds
from red_core.store.verdicts import add_proposals, add_verdicts
from red_core.training.samples import seed_label_vectors, valid_samples
from tests.helpers.audits import ANN, BOB, again, labelled, purposes, rows, tell, truth
from tests.helpers.small_projects import (
    EMBEDDING,
    FAST,
    METRICS,
    count,
    fake_encode,
    label_ids,
    pool_rows,
    question,
    reviewed_round,
    seed_rows,
    small_project,
    text_ids,
    write_csv,
)

SURE = 0.97
TOPICS = ("refund", "delivery", "warranty", "repair", "invoice", "account", "password", "colour", "size", "weather",
          "holiday", "voucher", "postcode", "receipt")  # fmt: skip


@pytest.fixture
def ready(project) -> Project:
    """A project of 4 labels and 40 pool texts whose machine labels are all true."""
    return labelled(project)


@pytest.fixture
def plain(ready, monkeypatch) -> Project:
    """The same without planted texts."""
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.0)
    return ready


@pytest.fixture
def many_labels(workspace) -> Project:
    """A project of 14 labels in which all texts have the same best five labels, every second one *none* before them."""
    project = small_project(workspace, seeds=seed_rows(TOPICS, 3), pool=pool_rows(TOPICS, 4))
    top = [[3, 0.5], [7, 0.2], [1, 0.1], [12, 0.05], [9, 0.04]]
    with_none = [[3, 0.5], [-1, 0.3], [7, 0.1], [1, 0.05], [12, 0.01]]
    number = open_round(project, FAST.model_dump_json(), "evidence", "tester").id
    rows = [
        (text, 3, 0.5, 7, 0.2, 0.0, 0.5, json.dumps(with_none if place % 2 else top))
        for place, text in enumerate(pool(project).tolist())
    ]
    finish_round(project, number, rows, METRICS)
    return project


# Dealing


def test_the_answer_to_a_planted_text_that_comes_first_is_counted(ready):
    planted_first = next(n for n in range(100) if np.random.default_rng(n).random(1) < PLANTED_SHARE)
    card = deal(ready, who=ANN, count=1, rng=np.random.default_rng(planted_first))[0]
    assert set(purposes(ready).values()) == {"planted"}
    answer(ready, card.audit, "cannot tell", who=ANN)
    assert answers_given(ready) == 1

    drawn = deal(ready, who=ANN, count=1, rng=np.random.default_rng(planted_first + 1))[0]
    answer(ready, drawn.audit, "cannot tell", who=ANN)
    assert (set(purposes(ready).values()), answers_given(ready)) == ({"planted", "certificate"}, 2)

    begin_sample(ready, ANN)
    assert answers_given(ready) == 0


def test_before_the_first_round_there_is_nothing_to_audit(project):
    with pytest.raises(StateError, match=r"has no finished round\. Run one"):
        deal(project, who=ANN)


def test_a_round_closed_unfinished_does_not_count(project):
    open_round(project, FAST.model_dump_json(), "evidence", "tester")
    close_round(project)
    with pytest.raises(StateError, match="has no finished round"):
        deal(project, who=ANN)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"purpose": "planted"}, "there is no audit for 'planted'"),
        ({"purpose": "label"}, "an audit for the label takes a label"),
        ({"label": 1}, "an audit for the certificate takes no label"),
        ({"purpose": "label", "label": 99}, "there is no label 99"),
        ({"purpose": "label", "label": -1}, "there is no label -1"),
    ],
)
def test_what_cannot_be_dealt_is_refused(asked, told, ready):
    with pytest.raises(StateError, match=told):
        deal(ready, who=ANN, **asked)
    assert rows(ready, "audit") == 0


@pytest.mark.parametrize("wanted", [1, 3, 10])
def test_as_many_are_dealt_as_wanted_whatever_is_planted(wanted, ready):
    for seed in range(3):
        cards = deal(ready, who=f"person {seed}", count=wanted, rng=np.random.default_rng(seed))
        assert len(cards) == wanted


def test_cards_dealt_one_by_one_are_planted_as_well(planting):
    for number in range(12):
        assert len(deal(planting, who=f"person {number}", count=1, rng=np.random.default_rng(number))) == 1
    assert set(purposes(planting).values()) == {"certificate", "planted"}


def test_a_card_tells_the_text_and_its_options_and_nothing_else(ready):
    cards = deal(ready, who=ANN, count=40)
    assert {field.name for field in fields(AuditCard)} == {"audit", "text", "content", "options"}
    assert [card.content for card in cards] == contents(ready, np.array([card.text for card in cards]))


def test_unanswered_audits_come_first_in_the_same_order(ready):
    cards = deal(ready, who=ANN, count=6)
    assert deal(ready, who=ANN, count=4) == cards[:4]
    assert deal(ready, who=ANN, count=8)[:6] == cards
    assert rows(ready, "audit") == 8


def test_an_answered_audit_is_not_dealt_again(plain):
    first, *others = deal(plain, who=ANN, count=5)
    answer(plain, first.audit, "cannot tell", who=ANN)
    assert deal(plain, who=ANN, count=4) == others


def test_two_people_are_not_dealt_the_same_text(ready):
    ann, bob = deal(ready, who=ANN, count=12), deal(ready, who=BOB, count=12)
    assert not {card.text for card in ann} & {card.text for card in bob}
    assert deal(ready, who=ANN, count=12) == ann


def test_an_audit_left_for_a_day_goes_to_somebody_else(plain):
    cards = deal(plain, who=ANN, count=3)
    with transaction(plain) as db:
        db.execute("UPDATE audit SET at = '2020-01-01T00:00:00.000+00:00' WHERE id = ?", [cards[1].audit])
    assert deal(plain, who=BOB, count=1) == [cards[1]]
    answer(plain, cards[1].audit, "none", who=BOB)
    assert deal(plain, who=ANN, count=2) == [cards[0], cards[2]]


def test_the_whole_population_can_be_dealt_and_then_no_more_not_even_planted_texts(ready, monkeypatch):
    cards = deal(ready, who=ANN, count=1000)
    dealt = purposes(ready)
    assert {text for text, purpose in dealt.items() if purpose == "certificate"} == set(pool(ready).tolist())
    assert len(cards) == len(dealt) < 40 + 16
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.9)
    assert deal(ready, who=BOB, count=5) == []


def test_decided_texts_are_not_dealt(plain):
    left, *others = pool(plain).tolist()
    for text in others:
        decide(plain, text, "accept" if text % 2 else "none", label=1 if text % 2 else None)
    assert [card.text for card in deal(plain, who=ANN)] == [left]


@pytest.mark.parametrize("kind", ["reject", "skip"])
def test_a_decision_that_fixes_nothing_leaves_a_text_to_be_dealt(kind, plain):
    text = int(pool(plain)[0])
    decide(plain, text, kind, label=1 if kind == "reject" else None)
    assert text in {card.text for card in deal(plain, who=ANN, count=40)}


def test_a_text_that_got_its_label_from_a_file_is_not_dealt_and_keeps_its_answer(workspace, plain):
    rows = pool_rows()[:12]
    tell(plain, deal(plain, who=ANN, count=20))
    dealt = {text for text in purposes(plain) if text in {text_ids(plain)[content] for content, _ in rows}}
    assert 0 < len(dealt) < len(rows)
    file = write_csv(workspace.parent / "more.csv", ["text", "label"], rows)
    import_files(workspace, "small", file, text_column="text", label_column="label", embedding=EMBEDDING)
    assert summary(plain).accuracy.of == 20
    tell(plain, deal(plain, who=ANN, count=40))
    assert summary(plain).accuracy.of == 20 + 20 - (len(rows) - len(dealt))
    assert summary(plain).accuracy.low == pytest.approx(1.0, abs=1e-6)  # what the file said is known


def test_texts_without_vectors_are_an_error(ready):
    with transaction(ready) as db:
        db.execute("DELETE FROM vector")
    with pytest.raises(StateError, match=r"are not prepared yet\. Run a round first"):
        deal(ready, who=ANN)


def test_the_audit_goes_on_after_an_import_that_is_not_prepared_yet(workspace, ready):
    rows = [("a new one", "refund"), ("praise for you", "praise"), ("praise for all of you", "praise")]
    file = write_csv(workspace.parent / "more.csv", ["text", "label"], rows)
    import_files(workspace, "small", file, text_column="text", label_column="label", embedding=EMBEDDING)
    cards = deal(ready, who=ANN, count=40)
    assert len(cards) >= 36
    new = next(label.id for label in list_labels(ready) if label.name == "praise")
    assert not any(new in card.options for card in cards)  # its examples have no vectors before the next round


def test_extras_of_a_label_are_texts_the_machine_gives_it_and_nothing_planted(planting):
    cards = deal(planting, who=ANN, purpose="label", label=2, count=40)
    assert {truth(planting)[card.text] for card in cards} == {2}
    assert len(cards) == 10
    assert set(purposes(planting).values()) == {"label"}


def test_extras_and_the_sample_wait_apart(plain):
    extras = deal(plain, who=ANN, purpose="label", label=2, count=2)
    sample = deal(plain, who=ANN, count=3)
    assert deal(plain, who=ANN, purpose="label", label=2, count=2) == extras
    assert deal(plain, who=ANN, count=3) == sample
    assert not {card.text for card in deal(plain, who=ANN, purpose="label", label=3, count=2)} & {
        card.text for card in extras
    }


# A random sample


def test_every_text_is_as_likely_to_be_drawn_as_any_other(ready):
    rng = np.random.default_rng(1)
    drawn, at_first = Counter[int](), Counter[int]()
    sample = begin_sample(ready, ANN)
    for _ in range(80):
        texts = [new.text for new in draw(ready, sample, 15, rng) if new.purpose == "certificate"]
        assert len(set(texts)) == len(texts)
        drawn.update(texts)
        at_first[texts[0]] += 1
    for found in (drawn, at_first):
        counts = [found[text] for text in pool(ready).tolist()]
        assert sum(counts) == found.total()
        assert chisquare(counts).pvalue > 1e-3


def test_planted_texts_are_about_one_in_ten_at_any_place(ready):
    rng = np.random.default_rng(2)
    places, sample = Counter[int](), begin_sample(ready, ANN)
    for _ in range(75):
        places.update(place for place, new in enumerate(draw(ready, sample, 8, rng)) if new.purpose == "planted")
    assert binomtest(places.total(), 600, PLANTED_SHARE).pvalue > 1e-3
    assert chisquare([places[place] for place in range(8)]).pvalue > 1e-3


def test_planted_texts_are_seeds_with_their_own_label_each_dealt_once(ready):
    rng = np.random.default_rng(3)
    deal(ready, who=ANN, count=60, rng=rng)
    with connection(ready) as db:
        planted = db.execute("SELECT text, label FROM audit WHERE purpose = 'planted'").fetchall()
    known = dict(zip(*(column.tolist() for column in seeds(ready)), strict=True))
    assert len(planted) > 0
    assert all(known[text] == label for text, label in planted)


def test_without_a_generator_two_projects_are_not_dealt_alike(make_project):
    orders = [[c.content for c in deal(labelled(make_project(name=n)), who=ANN, count=20)] for n in ("one", "two")]
    assert orders[0] != orders[1]


# Options do not reveal the machine's label


def test_options_are_the_best_five_and_near_decoys_ten_in_all(many_labels):
    vectors = seed_label_vectors(many_labels, EMBEDDING)
    near = (np.argsort(-(vectors @ vectors[3 - 1])) + 1).tolist()
    for new in draw(many_labels, begin_sample(many_labels, ANN), 40, np.random.default_rng(0)):
        if new.purpose == "certificate":
            best = [3, 7, 1, 12, 9] if (new.text - int(pool(many_labels)[0])) % 2 == 0 else [3, 7, 1, 12]
            decoys = [label for label in near if label not in best][: OPTIONS - len(best)]
            assert sorted(new.options) == sorted(best + decoys)


def test_every_card_has_as_many_options_as_the_next_and_none_twice(many_labels):
    drawn = draw(many_labels, begin_sample(many_labels, ANN), 60, np.random.default_rng(0))
    assert {new.purpose for new in drawn} == {"certificate", "planted"}
    assert {(len(new.options), len(set(new.options))) for new in drawn} == {(OPTIONS, OPTIONS)}


def test_a_small_project_shows_all_its_labels(ready):
    assert {tuple(sorted(card.options)) for card in deal(ready, who=ANN, count=5)} == {(1, 2, 3, 4)}


def test_a_planted_text_shows_its_known_label_among_the_nearest(many_labels, monkeypatch):
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.9)
    vectors, known = seed_label_vectors(many_labels, EMBEDDING), 0
    for new in draw(many_labels, begin_sample(many_labels, ANN), 50, np.random.default_rng(0)):
        if new.purpose == "planted":
            known += 1
            vector = fake_encode(EMBEDDING, contents(many_labels, np.array([new.text])))[0]
            nearest = (np.argsort(-(vectors @ vector)) + 1).tolist()
            assert {new.label, *nearest[: BEST_SHOWN - 1]} <= set(new.options)
    assert known > 20


def test_the_known_label_of_a_planted_text_is_shown_even_where_it_is_far(workspace, monkeypatch):
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.9)
    stray = "postcode is what this seed is about, whatever it is called"
    vector = fake_encode(EMBEDDING, [stray])[0]
    without = small_project(workspace, name="without", seeds=seed_rows(TOPICS, 9))
    vectors = seed_label_vectors(without, EMBEDDING)
    nearest = int(np.argmax(vectors @ vector))
    farthest = TOPICS[int(np.argmin(vectors @ vectors[nearest] + vectors @ vector))]
    project = small_project(workspace, seeds=[*seed_rows(TOPICS, 9), (stray, farthest)], pool=pool_rows(TOPICS, 8))
    reviewed_round(project, {int(text): (3, 0.9) for text in pool(project)})
    drawn = {new.text: new for new in draw(project, begin_sample(project, ANN), 1000, np.random.default_rng(0))}
    options = drawn[text_ids(project)[stray]].options
    assert {label_ids(project)[farthest], label_ids(project)[TOPICS[nearest]]} <= set(options)


def test_the_order_of_options_does_not_reveal_their_rank(many_labels):
    rng = np.random.default_rng(4)
    best, rank = Counter[int](), Counter[int]()
    ranked = [3, 7, 1, 12]
    sample = begin_sample(many_labels, ANN)
    for _ in range(25):
        for new in draw(many_labels, sample, 56, rng):
            if new.purpose == "certificate":
                best[new.options.index(3)] += 1
                rank[tuple(sorted(ranked, key=new.options.index))] += 1
    assert best.total() > 1000
    assert chisquare([best[place] for place in range(OPTIONS)]).pvalue > 1e-3
    assert chisquare([rank[order] for order in permutations(ranked)]).pvalue > 1e-3


def test_options_are_stored_in_the_order_shown(many_labels):
    cards = {card.text: list(card.options) for card in deal(many_labels, who=ANN, count=9)}
    with connection(many_labels) as db:
        assert {text: json.loads(options) for text, options in db.execute("SELECT text, options FROM audit")} == cards


# Two people at once


def together(*acts: Callable[[], object]) -> list[object]:
    """Call all functions at once; return each one's result, or the exception that it raised."""
    with ThreadPoolExecutor(len(acts)) as threads:
        futures = [threads.submit(act) for act in acts]
        return [each.exception() or each.result() for each in futures]


def test_people_dealing_at_once_never_get_the_same_text(ready):
    hands = together(*(lambda who=who: deal(ready, who=who, count=16) for who in (ANN, BOB, "cleo", "dan")))
    texts = [card.text for hand in hands for card in hand]
    assert len(texts) == len(set(texts))
    assert {text for text, purpose in purposes(ready).items() if purpose == "certificate"} == set(pool(ready).tolist())


def test_what_another_person_was_dealt_between_drawing_and_storing_is_drawn_anew(plain, monkeypatch):
    real, bobs = auditing.draw, []

    def slow_draw(project, sample, wanted, rng, focus):
        drawn = real(project, sample, wanted, rng, focus)
        if not bobs:
            auditing.stored.add_audits(project, drawn[:4], BOB, sample)
            bobs.extend(new.text for new in drawn[:4])
        return drawn

    monkeypatch.setattr(auditing, "draw", slow_draw)
    cards = deal(plain, who=ANN, count=6)
    assert len(cards) == 6
    assert len(bobs) == 4
    assert not {card.text for card in cards} & set(bobs)


def test_of_two_answers_at_once_one_is_stored_and_one_is_refused(plain):
    (card,) = deal(plain, who=ANN, count=1)
    outcomes = together(*(lambda who=who: answer(plain, card.audit, "none", who=who) for who in (ANN, BOB)))
    assert sorted(type(each).__name__ for each in outcomes) == ["StateError", "int"]
    assert rows(plain) == 1


def test_one_request_sent_many_times_at_once_is_stored_once(plain):
    (card,) = deal(plain, who=ANN, count=1)
    ids = together(*[lambda: answer(plain, card.audit, "none", who=ANN, request_id="a")] * 4)
    assert len(set(ids)) == 1
    assert isinstance(ids[0], int)
    assert rows(plain) == 1


# Answers


def test_an_answer_is_stored_with_all_its_facts(plain):
    (card,) = deal(plain, who=ANN, count=1)
    answer(plain, card.audit, "label", label=3, who=ANN, seconds=4.5, request_id="click 1")
    with connection(plain) as db:
        stored = db.execute("SELECT audit, kind, label, seconds, act, who FROM audit_answer").fetchall()
    assert stored == [(card.audit, "label", 3, 4.5, "click 1", ANN)]


@pytest.mark.parametrize(
    ("kind", "label", "told"),
    [
        ("undo", None, "there is no answer 'undo'"),
        ("label", None, "the answer 'label' takes a label"),
        ("none", 1, "the answer 'none' takes no label"),
        ("cannot tell", 1, "the answer 'cannot tell' takes no label"),
        ("label", 99, "no such label"),
    ],
)
def test_an_invalid_answer_is_refused(kind, label, told, plain):
    (card,) = deal(plain, who=ANN, count=1)
    with pytest.raises(StateError, match=told):
        answer(plain, card.audit, kind, label=label, who=ANN)
    assert rows(plain) == 0


def test_an_audit_that_is_not_there_cannot_be_answered(plain):
    with pytest.raises(StateError, match="there is no audit 99"):
        answer(plain, 99, "none", who=ANN)


def test_an_answered_audit_is_not_answered_again(plain):
    (card,) = deal(plain, who=ANN, count=1)
    answer(plain, card.audit, "none", who=ANN)
    with pytest.raises(StateError, match="ann has already answered audit 1"):
        answer(plain, card.audit, "label", label=1, who=BOB)


def test_the_same_request_sent_twice_is_one_answer(plain):
    first, second = deal(plain, who=ANN, count=2)
    once = answer(plain, first.audit, "label", label=1, who=ANN, request_id="a")
    assert answer(plain, first.audit, "label", label=1, who=ANN, request_id="a") == once
    assert answer(plain, second.audit, "label", label=1, who=ANN, request_id="b") != once
    assert rows(plain) == 2


def test_a_request_id_of_another_answer_is_refused(plain):
    first, second = deal(plain, who=ANN, count=2)
    answer(plain, first.audit, "label", label=1, who=ANN, request_id="a")
    for audit, label in ((second.audit, 1), (first.audit, 2)):
        with pytest.raises(StateError, match="the act a was sent with another answer"):
            answer(plain, audit, "label", label=label, who=ANN, request_id="a")


# Undo


def test_an_undone_answer_counts_no_more_and_its_card_comes_back_in_its_place(plain):
    cards = deal(plain, who=ANN, count=3)
    tell(plain, cards[:2])
    assert undo_answer(plain, ANN) == cards[1].audit
    assert summary(plain).accuracy.of == 1
    assert deal(plain, who=ANN, count=2) == cards[1:]
    tell(plain, cards[1:])
    assert summary(plain).accuracy.of == 3
    assert rows(plain) == 5  # nothing was taken away


def test_undoing_goes_back_answer_by_answer_and_leaves_those_of_others(plain):
    cards = deal(plain, who=ANN, count=3)
    tell(plain, cards[:1], BOB)
    tell(plain, cards[1:])
    assert [undo_answer(plain, ANN), undo_answer(plain, ANN)] == [cards[2].audit, cards[1].audit]
    with pytest.raises(StateError, match="there is no answer to undo"):
        undo_answer(plain, ANN)
    assert summary(plain).accuracy.of == 1


def test_an_undo_sent_twice_undoes_once(plain):
    cards = deal(plain, who=ANN, count=2)
    tell(plain, cards)
    assert [undo_answer(plain, ANN, request_id="u"), undo_answer(plain, ANN, request_id="u")] == [cards[1].audit] * 2
    assert summary(plain).accuracy.of == 1


def test_a_request_is_an_answer_or_an_undo_never_both(plain):
    (card,) = deal(plain, who=ANN, count=1)
    answer(plain, card.audit, "none", who=ANN, request_id="a")
    with pytest.raises(StateError, match="the act a was sent as an answer"):
        undo_answer(plain, ANN, request_id="a")
    undo_answer(plain, ANN, request_id="u")
    with pytest.raises(StateError, match="the act u was sent with another answer"):
        answer(plain, card.audit, "none", who=ANN, request_id="u")


def test_an_answer_that_was_undone_is_not_stored_anew_by_the_same_act(plain):
    (card,) = deal(plain, who=ANN, count=1)
    once = answer(plain, card.audit, "none", who=ANN, request_id="a")
    undo_answer(plain, ANN)
    assert answer(plain, card.audit, "none", who=ANN, request_id="a") == once
    assert summary(plain).accuracy.of == 0


# Accuracy


def test_before_any_audit_nothing_is_claimed(plain):
    result = summary(plain)
    assert (result.accuracy.share, result.accuracy.low, result.accuracy.high) == (None, 0.0, 1.0)
    assert (result.proven, result.until_certified, result.certificate, result.selective) == (0.0, None, None, None)
    assert (result.judge, result.warning, result.labels, result.target) == (None, "", (), 0.95)


def test_before_the_first_round_the_summary_is_empty(project):
    assert (summary(project).accuracy.of, summary(project).judge_name) == (0, "")


def test_accuracy_is_how_often_the_machine_says_what_the_audit_says(plain):
    tell(plain, deal(plain, who=ANN, count=40), misses=10)
    accuracy = summary(plain).accuracy
    assert (accuracy.right, accuracy.of) == (30, 40)
    assert accuracy.low == pytest.approx(0.75, abs=1e-6)  # everything is audited, so nothing is left to guess
    assert accuracy.high == pytest.approx(0.75, abs=1e-6)


def test_none_of_these_is_right_where_the_machine_says_so(plain):
    close_round(plain)
    reviewed_round(plain, {t: (-1 if label == 1 else label, 0.9) for t, label in truth(plain).items()})
    true = truth(plain)
    for card in deal(plain, who=ANN, count=40):
        answer(plain, card.audit, "none", who=ANN)
    assert summary(plain).accuracy.right == sum(label == 1 for label in true.values()) == 10


def test_cannot_tell_is_an_answer_that_is_not_right(plain):
    first, second, third = deal(plain, who=ANN, count=3)
    tell(plain, [first, second])
    answer(plain, third.audit, "cannot tell", who=ANN)
    result = summary(plain)
    assert (result.accuracy.right, result.accuracy.of, result.cannot_tell) == (2, 3, 1)


def test_later_rounds_are_scored_by_the_same_answers(plain):
    cards = deal(plain, who=ANN, count=10)
    tell(plain, cards)
    assert summary(plain).accuracy.right == 10
    again(plain, wrong=[card.text for card in cards[:3]])
    assert (summary(plain).accuracy.right, summary(plain).accuracy.of) == (7, 10)
    again(plain)
    assert summary(plain).accuracy.right == 10


def test_a_round_that_is_open_leaves_the_figures_of_the_one_before(plain):
    tell(plain, deal(plain, who=ANN, count=5))
    before = summary(plain)
    close_round(plain)
    open_round(plain, FAST.model_dump_json(), "evidence", "tester")
    assert summary(plain) == before


def test_misses_cannot_be_decided_away_after_their_audit(plain):
    cards = deal(plain, who=ANN, count=6)
    tell(plain, cards[:5], misses=1)
    before = summary(plain).accuracy
    for card in cards[:5]:
        decide(plain, card.text, "accept", label=1, who=ANN)
    assert summary(plain).accuracy == before
    assert (before.right, before.of) == (4, 5)


def test_a_text_decided_before_its_answer_leaves_the_sample_until_that_is_undone(plain):
    cards = deal(plain, who=ANN, count=6)
    tell(plain, cards[:5], misses=1)
    decide(plain, cards[5].text, "none", who=ANN)
    assert (summary(plain).accuracy.right, summary(plain).accuracy.of) == (4, 5)
    assert cards[5] not in deal(plain, who=ANN, count=3)
    undo(plain, who=ANN)
    assert deal(plain, who=ANN, count=1) == [cards[5]]


# Planted texts


@pytest.fixture
def planting(ready, monkeypatch) -> Project:
    """A project in which about every second card is planted."""
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.5)
    return ready


def split(project: Project, cards: Sequence[AuditCard]) -> tuple[list[AuditCard], list[AuditCard]]:
    """Return the cards of the sample and the planted ones."""
    of = purposes(project)
    return [c for c in cards if of[c.text] == "certificate"], [c for c in cards if of[c.text] == "planted"]


def test_planted_texts_enter_neither_accuracy_nor_a_certificate(planting):
    sample, planted = split(planting, deal(planting, who=ANN, count=20, rng=np.random.default_rng(0)))
    tell(planting, planted, misses=len(planted))
    result = summary(planting)
    assert (result.accuracy.of, result.proven) == (0, 0.0)
    tell(planting, sample[:4])
    assert (summary(planting).accuracy.right, summary(planting).accuracy.of) == (4, 4)


def test_planted_texts_tell_how_well_a_person_answers(planting):
    _, planted = split(planting, deal(planting, who=ANN, count=24, rng=np.random.default_rng(0)))
    tell(planting, planted[:8], misses=2)
    found = summary(planting).planted
    assert (found.right, found.of) == (6, 8)


@pytest.mark.parametrize(("misses", "warned"), [(0, False), (1, False), (4, True), (8, True)])
def test_a_person_who_misses_known_labels_is_warned(misses, warned, planting):
    _, planted = split(planting, deal(planting, who=ANN, count=24, rng=np.random.default_rng(0)))
    tell(planting, planted[:8], misses=misses)
    warning = summary(planting).warning
    assert bool(warning) == warned
    assert not warned or f"Only {8 - misses} of 8 texts with a known label were answered with it." in warning


def test_a_person_who_takes_the_first_option_unread_is_warned(many_labels, monkeypatch):
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.5)
    for card in deal(many_labels, who=ANN, count=20, rng=np.random.default_rng(0)):
        answer(many_labels, card.audit, "label", label=card.options[0], who=ANN)
    assert summary(many_labels).warning


def test_a_few_misses_give_no_warning(planting):
    _, planted = split(planting, deal(planting, who=ANN, count=24, rng=np.random.default_rng(0)))
    tell(planting, planted[:4], misses=4)
    assert summary(planting).warning == ""


@pytest.mark.parametrize("kind", ["none", "cannot tell"])
def test_any_other_answer_to_a_planted_text_is_not_the_known_one(kind, planting):
    _, planted = split(planting, deal(planting, who=ANN, count=24, rng=np.random.default_rng(0)))
    answer(planting, planted[0].audit, kind, who=ANN)
    assert (summary(planting).planted.right, summary(planting).planted.of) == (0, 1)


def test_a_planted_text_whose_seed_a_decision_contradicts_says_nothing(planting):
    _, planted = split(planting, deal(planting, who=ANN, count=24, rng=np.random.default_rng(0)))
    tell(planting, planted[:1])
    label_of = dict(zip(*(column.tolist() for column in seeds(planting)), strict=True))[planted[0].text]
    decide(planting, planted[0].text, "relabel", label=label_of % 4 + 1)
    assert summary(planting).planted.of == 0


# Extras of a label


def test_extras_of_a_label_stand_apart_from_the_sample(plain):
    tell(plain, deal(plain, who=ANN, purpose="label", label=2, count=6), misses=2)
    tell(plain, deal(plain, who=ANN, purpose="label", label=3, count=2))
    deal(plain, who=ANN, purpose="label", label=4, count=1)
    result = summary(plain)
    assert [(e.label, e.accuracy.right, e.accuracy.of) for e in result.labels] == [(2, 4, 6), (3, 2, 2), (4, 0, 0)]
    assert (result.accuracy.of, result.proven) == (0, 0.0)


def test_extras_are_of_texts_that_still_have_the_label(plain):
    cards = deal(plain, who=ANN, purpose="label", label=2, count=6)
    tell(plain, cards)
    again(plain, wrong=[cards[0].text])
    (found,) = summary(plain).labels
    assert (found.accuracy.right, found.accuracy.of) == (5, 5)


# The judge


def judged(project: Project, *verdicts: tuple[int, int, str], judge: str = "chat") -> None:
    number = count(project, "SELECT max(id) FROM round")
    ids = add_proposals(project, number, [question(text, label, 4) for text, label, _ in verdicts])
    replies = [Answer(outcome, None, 1.0, "", "", "", meaning_id=0) for _, _, outcome in verdicts]
    add_verdicts(project, judge, list(zip(ids, replies, strict=True)))


@pytest.fixture
def asked(plain) -> Project:
    """The plain project after a round of the judge *chat*."""
    close_round(plain)
    return labelled(plain, judge="chat")


def test_the_judge_is_measured_on_audited_texts_it_was_asked_about(asked):
    cards = deal(asked, who=ANN, count=6)
    true = [truth(asked)[card.text] for card in cards]
    tell(asked, cards[:4])
    answer(asked, cards[4].audit, "none", who=ANN)
    judged(
        asked,
        (cards[0].text, true[0], "valid"),
        (cards[1].text, true[1], "invalid"),
        (cards[2].text, true[2] % 4 + 1, "invalid"),
        (cards[2].text, true[2], "unsure"),
        (cards[4].text, 1, "valid"),
        (cards[5].text, true[5], "valid"),  # not answered
    )
    result = summary(asked)
    assert result.judge_name == "chat"
    assert (result.judge.tpr.right, result.judge.tpr.of, result.judge.tnr.right, result.judge.tnr.of) == (1, 3, 1, 2)
    assert (result.judge.pairs, result.judge.coverage, result.judge.kappa) == (5, 4 / 5, 0.0)


def test_decisions_made_beside_the_verdict_say_nothing_of_the_judge(asked):
    text, label = next(iter(truth(asked).items()))
    judged(asked, (text, label, "valid"))
    decide(asked, text, "accept", label=label, provenance=Provenance(proposal=1))
    assert summary(asked).judge is None


def test_planted_texts_those_nobody_could_tell_and_other_judges_say_nothing_of_the_judge(asked, monkeypatch):
    first, second = deal(asked, who=ANN, count=2)
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.9)
    _, (planted, *_) = split(asked, deal(asked, who=BOB, count=8, rng=np.random.default_rng(0)))
    answer(asked, first.audit, "cannot tell", who=ANN)
    tell(asked, [second, planted])
    judged(asked, (first.text, 1, "valid"), (planted.text, 1, "valid"))
    judged(asked, (second.text, 2, "valid"), judge="another")
    assert summary(asked).judge is None


def test_the_newest_verdict_of_a_pair_counts_and_none_that_is_stale(asked):
    first, second = deal(asked, who=ANN, count=2)
    tell(asked, [first, second])
    true = truth(asked)
    judged(asked, (first.text, true[first.text], "invalid"))
    again(asked)
    close_round(asked)
    labelled(asked, judge="chat")
    judged(asked, (first.text, true[first.text], "valid"))
    assert (summary(asked).judge.tpr.right, summary(asked).judge.tpr.of) == (1, 1)
    with transaction(asked) as db:
        db.execute("INSERT INTO label_meaning (label, meaning, who, at) VALUES (?, 'x', '', '')", [true[first.text]])
    assert summary(asked).judge is None


def test_the_self_test_counts_beside_the_audits_as_at_most_twenty_pairs(asked):
    (card,) = deal(asked, who=ANN, count=1)
    tell(asked, [card])
    judged(asked, (card.text, truth(asked)[card.text], "valid"))
    reply = Answer("valid", None, 1.0, "", "", PROMPT_VERSION)
    known = list(zip(*(column.tolist() for column in seeds(asked)), strict=True))
    kinds = ("right", "wrong", "canary")
    add_tested(asked, "chat", [(text, label, kind, reply) for text, label in known for kind in kinds])
    judge = summary(asked).judge
    assert (judge.tpr.right, judge.tpr.of, judge.tpr.share) == (1, 1, 1.0)
    assert judge.tpr.low == pytest.approx(binomtest(17, 17).proportion_ci(0.95, "wilson").low)
    assert (judge.tnr.of, judge.tnr.share) == (0, 0.0)


# Audited texts never train and are never evidence


def fed_back(project: Project) -> set[int]:
    return {text for text, _, _ in current_training_rows(project)} - set(seeds(project)[0].tolist())


def believed(project: Project) -> None:
    close_round(project)
    reviewed_round(project, {text: (label, SURE) for text, label in truth(project).items()}, judge="chat")


def test_a_text_found_valid_is_not_fed_back_while_it_is_audited(plain):
    believed(plain)
    texts = pool(plain).tolist()[:2]
    judged(plain, *((text, truth(plain)[text], "valid") for text in texts))
    assert {item.text for item in plan_feed_back(plain).items} == set(texts)
    deal(plain, who=ANN, count=40)
    plan = plan_feed_back(plain)
    assert (plan.items, plan.withheld) == ((), {"in the blind audit": 2})


def test_a_decided_text_is_not_fed_back_when_it_was_dealt_before(plain):
    (card,) = deal(plain, who=ANN, count=1)
    decide(plain, card.text, "accept", label=1)
    other = next(text for text in pool(plain).tolist() if text != card.text)
    decide(plain, other, "accept", label=1)
    plan = plan_feed_back(plain)
    assert ([item.text for item in plan.items], plan.withheld) == ([other], {"in the blind audit": 1})


def test_a_decided_and_judged_text_is_withheld_and_counted_once_for_each(plain):
    believed(plain)
    (card,) = deal(plain, who=ANN, count=1)
    judged(plain, (card.text, 1, "valid"))
    decide(plain, card.text, "accept", label=1)
    plan = plan_feed_back(plain)
    assert plan.items == ()
    assert plan.withheld == {"in the blind audit": 1, "a decision counts instead": 1}


@pytest.mark.parametrize("source", ["verdict", "decision"])
def test_a_text_fed_back_before_it_was_dealt_leaves_the_training_set(source, plain):
    believed(plain)
    text = pool(plain).tolist()[0]
    if source == "verdict":
        judged(plain, (text, truth(plain)[text], "valid"))
    else:
        decide(plain, text, "accept", label=1)
    feed_back(plain, plan_feed_back(plain))
    assert fed_back(plain) == {text}
    if source == "decision":
        undo(plain)
    deal(plain, who=ANN, count=40)
    if source == "decision":
        decide(plain, text, "accept", label=1)
    assert fed_back(plain) == set()
    opened = open_round(plain, FAST.model_dump_json(), "evidence", "tester").id
    assert count(plain, f"SELECT count(*) FROM training_row WHERE round = {opened} AND text = {text}") == 0


def test_a_decided_text_is_no_evidence_when_it_was_dealt(plain):
    ids = np.array(sorted(label_ids(plain).values()))
    (card,) = deal(plain, who=ANN, purpose="label", label=1, count=1)
    other = next(text for text in pool(plain).tolist() if text != card.text)
    for text in (card.text, other):
        decide(plain, text, "accept", label=1)
    samples_ = valid_samples(plain, EMBEDDING, ids)
    assert set(samples_.texts.tolist()) == {*seeds(plain)[0].tolist(), other}
    assert len(samples_.vectors) == len(samples_.labels) == len(samples_.contents) == 17


def test_planted_seeds_go_on_training_and_being_evidence(planting):
    ids = np.array(sorted(label_ids(planting).values()))
    before = valid_samples(planting, EMBEDDING, ids).texts.tolist(), current_training_rows(planting)
    _, planted = split(planting, deal(planting, who=ANN, count=24, rng=np.random.default_rng(0)))
    tell(planting, planted)
    assert planted
    assert (valid_samples(planting, EMBEDDING, ids).texts.tolist(), current_training_rows(planting)) == before


def test_a_planted_seed_that_a_decision_relabels_trains_and_is_evidence_under_its_new_label(planting):
    ids = np.array(sorted(label_ids(planting).values()))
    _, (planted, *_) = split(planting, deal(planting, who=ANN, count=24, rng=np.random.default_rng(0)))
    label_of = dict(zip(*(column.tolist() for column in seeds(planting)), strict=True))[planted.text]
    decide(planting, planted.text, "relabel", label=label_of % 4 + 1)
    assert [(item.text, item.label) for item in plan_feed_back(planting).items] == [(planted.text, label_of % 4 + 1)]
    assert planted.text in valid_samples(planting, EMBEDDING, ids).texts.tolist()


# Status


def test_the_status_tells_what_the_audits_say_and_can_be_written_as_json(asked):
    cards = deal(asked, who=ANN, count=4)
    tell(asked, cards)
    judged(asked, (cards[0].text, 1, "valid"))
    printed = json.loads(json.dumps(project_status(asked)))["audit"]
    assert (printed["accuracy"]["right"], printed["accuracy"]["of"], printed["judge_name"]) == (4, 4, "chat")
    assert (printed["certificate"], printed["looks"]) == (None, [])


def test_before_the_first_round_the_status_has_no_audit(project):
    assert project_status(project)["audit"] is None
