"""Certificates: when they are given, what they cover, and how they survive rounds, decisions and imports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from red_core.cli.terminal import print_status
from red_core.data.importing import import_files
from red_core.errors import StateError
from red_core.labels.edit_kinds import Merge, Retire
from red_core.labels.edits import apply_edit, undo_edit
from red_core.records import Project
from red_core.results import export
from red_core.review import audit_sample
from red_core.review.audit_report import in_words, summary
from red_core.review.audit_sample import draw
from red_core.review.audits import answer, begin_sample, deal, newest_check, set_target, target, undo_answer
from red_core.review.decisions import decide
from red_core.rounds import project_status
from red_core.steps.certificate import error_of
from red_core.store.certificates import answered_draws, certificates, checks, current_sample
from red_core.store.database import connection, transaction
from red_core.store.desk import queue
from red_core.store.rounds import close_round
from red_core.store.texts import pool
from tests.helpers.audits import ANN, BOB, again, labelled, purposes, tell, truth
from tests.helpers.small_projects import (
    EMBEDDING,
    count,
    label_ids,
    pool_rows,
    reviewed_round,
    small_project,
    text_ids,
    write_csv,
)


@pytest.fixture
def plain(make_project, monkeypatch) -> Project:
    """A project with 40 pool texts whose machine labels are all true, and without planted texts."""
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.0)
    return labelled(make_project())


@pytest.fixture
def mixed(plain) -> Project:
    """The same after a round that is sure of 30 texts and right, and unsure of 10 and wrong."""
    close_round(plain)
    rows = list(truth(plain).items())
    believed = {text: (label, 0.99) for text, label in rows[:30]}
    believed |= {text: (label % 4 + 1, 0.4) for text, label in rows[30:]}
    reviewed_round(plain, believed)
    return plain


def draws(project: Project):
    check = newest_check(project)
    assert check is not None
    return answered_draws(project, check)


def test_a_certificate_is_given_at_the_answer_that_completes_its_proof(plain):
    set_target(plain, 0.6)
    cards = deal(plain, who=ANN, count=40)
    answered = 0
    while not certificates(plain):
        tell(plain, [cards[answered]], BOB)
        answered += 1
    (given,) = certificates(plain)
    assert 3 < answered < 24  # 60% of 40 texts are known after 24 answers
    assert (given.audits, given.right, given.texts, given.of) == (answered, answered, 40, 40)
    assert (given.round, given.threshold, given.target, given.who) == (1, 0.0, 0.6, BOB)
    assert given.lower >= 0.6
    assert given.error == pytest.approx(error_of(0))
    assert summary(plain).certificate == given
    assert in_words(given).startswith("At least 60.0% of the 40 machine labels of round 1 are right (proven: ")


def test_before_it_the_summary_says_what_is_proven(plain):
    tell(plain, deal(plain, who=ANN, count=8))
    found = summary(plain)
    assert found.certificate is None
    assert 0.2 < found.proven < 0.95
    assert found.proven > found.accuracy.low  # one side of 3.5%, against two of 2.5% each
    assert 0.0 < found.accuracy.low < found.accuracy.share <= found.accuracy.high <= 1.0


def test_a_certificate_stays_when_an_answer_is_undone_or_the_round_after_it_is_worse(plain):
    set_target(plain, 0.3)
    cards = deal(plain, who=ANN, count=16)
    tell(plain, cards)
    (given,) = certificates(plain)
    undo_answer(plain, ANN)
    again(plain, wrong=[card.text for card in cards])
    tell(plain, cards[-1:])
    assert certificates(plain) == [given]
    assert summary(plain).earlier == given
    assert (summary(plain).accuracy.right, summary(plain).proven) == (0, 0.0)


def test_the_target_may_change_at_any_time(plain):
    assert target(plain) == 0.95
    tell(plain, deal(plain, who=ANN, count=14))
    set_target(plain, 0.4)
    assert (target(plain), summary(plain).target, certificates(plain)) == (0.4, 0.4, [])
    tell(plain, deal(plain, who=ANN, count=1))
    assert [given.target for given in certificates(plain)] == [0.4]


@pytest.mark.parametrize("accuracy", [0.0, 1.0, -1.0, 90.0, float("nan")])
def test_a_target_that_means_nothing_is_refused(accuracy, plain):
    with pytest.raises(StateError, match="cannot be certified"):
        set_target(plain, accuracy)
    assert target(plain) == 0.95


def test_every_round_that_is_checked_leaves_less_error_to_the_next(plain):
    for expected in range(3):
        tell(plain, deal(plain, who=ANN, count=2))
        assert checks(plain)[-1].error == pytest.approx(error_of(expected))
        again(plain)
    assert [check.round for check in checks(plain)] == [1, 2, 3]
    assert newest_check(plain).round == 4  # not stored before its first answer


def test_the_frame_of_a_round_stays_as_it_was_at_its_first_answer(plain):
    cards = deal(plain, who=ANN, count=4)
    tell(plain, cards[:1])
    before = newest_check(plain)
    for text in pool(plain).tolist()[:10]:
        decide(plain, text, "accept", label=1)
    assert newest_check(plain) == before
    assert before.frames[0].texts == 40


def test_texts_decided_before_the_first_deal_are_not_covered(plain):
    for text in pool(plain).tolist()[:10]:
        decide(plain, text, "accept", label=1)
    tell(plain, deal(plain, who=ANN, count=3))
    assert newest_check(plain).frames[0].texts == 30
    assert len(draws(plain).known.right) == 0


def test_the_truth_of_texts_that_were_decided_since_is_known(plain):
    tell(plain, deal(plain, who=ANN, count=3))
    dealt = purposes(plain)
    text, label = next((text, label) for text, label in truth(plain).items() if text not in dealt)
    decide(plain, text, "relabel", label=label % 4 + 1)
    known = draws(plain).known
    assert (known.right.tolist(), known.place.tolist(), known.in_frame.tolist()) == ([False], [3], [True])
    again(plain)
    assert draws(plain).known.in_frame.tolist() == [False]  # the next round's check leaves it out
    assert newest_check(plain).frames[0].texts == 39


def test_the_extra_audits_of_a_label_are_known_as_well(plain):
    tell(plain, deal(plain, who=ANN, count=2))
    extras = deal(plain, who=ANN, purpose="label", label=2, count=3)
    tell(plain, extras, misses=1)
    assert sorted(draws(plain).known.right.tolist()) == [False, True, True]


def test_texts_that_were_audited_in_an_earlier_sample_count_as_what_they_are(plain):
    first = deal(plain, who=ANN, count=12)
    tell(plain, first[:10], misses=10)  # two cards wait for an answer
    begin_sample(plain, ANN)
    cards = deal(plain, who=BOB, count=14)
    assert not {card.text for card in cards} & {card.text for card in first}
    tell(plain, cards, BOB)
    known = draws(plain).known
    assert (known.right.tolist(), known.place.tolist(), known.in_frame.all()) == ([False] * 12, [0] * 12, True)
    assert summary(plain).accuracy.share == pytest.approx(28 / 40)  # all that are left are right
    tell(plain, first[10:])
    assert sorted(draws(plain).known.right.tolist()) == [False] * 10 + [True] * 2


def test_a_proof_waits_for_the_audits_dealt_first_whoever_has_them(plain):
    bobs = deal(plain, who=BOB, count=2)
    tell(plain, deal(plain, who=ANN, count=6))
    assert (summary(plain).accuracy.of, certificates(plain)) == (0, [])
    tell(plain, bobs, BOB)
    assert summary(plain).accuracy.of == 8


# A part of the texts


def test_where_not_all_can_be_certified_the_surest_part_is(mixed):
    set_target(mixed, 0.8)
    tell(mixed, deal(mixed, who=ANN, count=40))
    result = summary(mixed)
    assert result.certificate is None
    part = result.selective
    assert (part.texts, part.of, part.threshold, part.right) == (30, 40, 0.99, part.audits)
    assert "of the 30 machine labels of round 2 with a confidence of 99.0% or more are right" in in_words(part)
    rest = [text for text, _ in list(truth(mixed).items())[30:]]
    assert sorted(text for text, _ in queue(mixed, 2, "not certified")) == rest
    decide(mixed, rest[0], "none")
    assert sorted(text for text, _ in queue(mixed, 2, "not certified")) == rest[1:]
    assert queue(mixed, 1, "not certified") == []


def test_a_certificate_for_all_texts_replaces_the_one_for_a_part(mixed):
    set_target(mixed, 0.8)
    tell(mixed, deal(mixed, who=ANN, count=40))
    set_target(mixed, 0.6)
    deal(mixed, who=ANN, count=1)
    result = summary(mixed)
    assert (result.selective, result.certificate.texts) == (None, 40)
    assert queue(mixed, 2, "not certified") == []


# Samples


def test_later_imports_belong_to_the_next_sample(workspace, plain):
    tell(plain, deal(plain, who=ANN, count=3))
    file = write_csv(workspace.parent / "more.csv", ["text"], [("a new refund",), ("a new delivery",)])
    import_files(workspace, "small", pool=file, text_column="text", embedding=EMBEDDING)
    new = sorted(set(pool(plain).tolist()) - set(truth(plain)))
    close_round(plain)
    reviewed_round(plain, dict.fromkeys([*truth(plain), *new], (1, 0.9)))
    assert summary(plain).not_covered == 2
    assert not set(new) & {card.text for card in deal(plain, who=ANN, count=40)}
    begin_sample(plain, BOB)
    assert (current_sample(plain), summary(plain).not_covered, summary(plain).accuracy.of) == (2, 0, 0)
    assert set(new) <= {card.text for card in deal(plain, who=BOB, count=60)}


def test_a_sample_needs_a_finished_round(project):
    with pytest.raises(StateError, match="has no finished round"):
        begin_sample(project, ANN)
    assert newest_check(project) is None


def test_even_draws_and_checks_of_an_earlier_version_count(plain):
    """Before chances were stored, every draw was even, and four checks shared the error."""
    cards = deal(plain, who=ANN, count=8)
    tell(plain, cards[:7])
    with transaction(plain) as db:
        db.execute("UPDATE audit_draw SET chance = NULL")
        db.execute("DELETE FROM audit_chance")
        db.execute("DELETE FROM audit_check")
        db.execute("INSERT INTO audit_look VALUES (100, 1, 90, 0.95, 0.8, 'ann', '2020-01-01T00:00:00.000+00:00')")
    tell(plain, cards[7:])
    assert draws(plain).chances.drawn.tolist() == pytest.approx([1 / (40 - k) for k in range(8)])
    assert checks(plain)[0].error == pytest.approx(error_of(0, 0.0125))
    assert [look.hits for look in summary(plain).looks] == [90]


def test_uncertain_texts_are_drawn_more_often_and_the_measured_accuracy_knows(mixed):
    unsure, sample = {text for text, label in list(truth(mixed).items())[30:]}, begin_sample(mixed, ANN)
    hands = [draw(mixed, sample, 10, np.random.default_rng(seed)) for seed in range(20)]
    assert np.mean([new.text in unsure for hand in hands for new in hand]) > 0.3  # an even draw gives .25
    cards = deal(mixed, who=ANN, count=40)
    tell(mixed, cards[:20])
    found = summary(mixed).accuracy
    assert found.low < 0.75 < found.high


def test_chances_are_stored_with_the_draws(plain):
    deal(plain, who=ANN, count=5)
    with connection(plain) as db:
        stored = db.execute("SELECT sample, chance FROM audit_draw ORDER BY audit").fetchall()
    assert [sample for sample, _ in stored] == [1] * 5
    assert [chance for _, chance in stored] == pytest.approx([1 / (40 - k) for k in range(5)])
    assert count(plain, "SELECT count(*) FROM checksum WHERE facts = 'audit_draw'") == 1


def test_the_frames_are_stored_as_numbers(plain):
    tell(plain, deal(plain, who=ANN, count=1))
    with connection(plain) as db:
        ((frames,),) = db.execute("SELECT frames FROM audit_check").fetchall()
    assert json.loads(frames)[0] == [0.0, 40, pytest.approx(36.0)]


def test_a_project_that_is_all_audited_is_certified_by_what_is_known(workspace, monkeypatch):
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.0)
    project = labelled(small_project(workspace, name="tiny", pool=pool_rows()))
    cards = deal(project, who=ANN, count=40)
    tell(project, cards[:-1])
    answer(project, cards[-1].audit, "cannot tell", who=ANN)
    assert summary(project).certificate.target == 0.95
    assert summary(project).accuracy.share == pytest.approx(39 / 40, abs=1e-6)


# A second answer


def test_an_answer_that_differs_is_asked_again_among_others_and_the_second_counts(plain):
    cards = deal(plain, who=ANN, count=12)
    tell(plain, cards[:1], misses=1)  # a slip
    tell(plain, cards[1:])
    assert summary(plain).accuracy.right == 11
    back = deal(plain, who=ANN, count=2)
    assert cards[0].audit == back[0].audit
    assert back[1].audit in {card.audit for card in cards[1:2]}  # one that agreed, and was answered long ago
    tell(plain, back)
    assert (summary(plain).accuracy.right, summary(plain).accuracy.of) == (12, 12)
    assert not {card.audit for card in cards} & {card.audit for card in deal(plain, who=ANN, count=20)}


def test_a_second_answer_is_undone_like_any_other(plain):
    cards = deal(plain, who=ANN, count=12)
    tell(plain, cards[:1], misses=1)
    tell(plain, cards[1:])
    (back, *_) = deal(plain, who=ANN, count=1)
    tell(plain, [back])
    assert undo_answer(plain, ANN) == back.audit
    assert summary(plain).accuracy.right == 11
    assert deal(plain, who=ANN, count=1) == [back]


def test_no_text_is_asked_again_before_others_were_or_by_another_person(plain):
    cards = deal(plain, who=ANN, count=8)
    tell(plain, cards, misses=8)
    assert not {card.audit for card in cards} & {card.audit for card in deal(plain, who=ANN, count=8)}
    tell(plain, deal(plain, who=BOB, count=12), BOB)
    assert not {card.audit for card in cards} & {card.audit for card in deal(plain, who=BOB, count=3)}
    with pytest.raises(StateError, match="ann has already answered"):
        answer(plain, cards[0].audit, "none", who=BOB)


def test_the_status_prints_a_certificate_for_a_part(mixed, capsys):
    set_target(mixed, 0.8)
    tell(mixed, deal(mixed, who=ANN, count=40))
    print_status(project_status(mixed), as_json=False)
    printed = capsys.readouterr().out
    assert "  certified: At least 80.0% of the 30 machine labels of round 2 with a confidence of" in printed


# A part that is favoured


@pytest.fixture
def halves(make_project, monkeypatch) -> Project:
    """A project with 400 pool texts: sure and right of 240, unsure of the others and mostly wrong."""
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.0)
    project = labelled(make_project(pool=pool_rows(each=100)))
    close_round(project)
    known = list(truth(project).items())
    believed = {text: (label, 0.995) for text, label in known[:240]}
    believed |= {text: (label % 4 + 1, 0.4) for text, label in known[240:]}
    reviewed_round(project, believed)
    return project


def test_where_all_texts_cannot_be_certified_most_draws_come_from_the_surest_part_until_it_is(halves):
    sure = {text for text, _ in list(truth(halves).items())[:240]}
    answered = 0
    while not certificates(halves):
        tell(halves, deal(halves, who=ANN, count=10))
        answered += 10
    (given,) = certificates(halves)
    assert (given.threshold, given.texts, given.of) == (0.995, 240, 400)
    part = newest_check(halves).frames[1]
    assert (part.threshold, part.texts) == (0.995, 240)
    inside = [text in sure for text in purposes(halves)]
    assert np.mean(inside) > 0.8
    before = len(inside)
    deal(halves, who=ANN, count=60)
    assert np.mean([text in sure for text in list(purposes(halves))[before:]]) < 0.75
    found = draws(halves)
    assert set(found.chances.focus[:answered]) == {0.995}
    assert (found.chances.least_in_focus[:answered] > 3 * found.chances.least[:answered]).all()


def test_in_the_next_round_earlier_draws_favour_nothing(halves):
    tell(halves, deal(halves, who=ANN, count=10))
    again(halves)
    tell(halves, deal(halves, who=ANN, count=1))
    assert np.isinf(draws(halves).chances.focus[:10]).all()
    assert (draws(halves).chances.least_in_focus[:10] >= draws(halves).chances.least[:10]).all()


# Labels that are merged or retired in between


def test_a_merge_that_is_undone_ends_what_was_certified_of_the_merged_labels(plain, tmp_path):
    apply_edit(plain, Merge((2,), 1), ANN)
    set_target(plain, 0.6)
    true = truth(plain)  # of the label that is left; a text of the other has none
    for card in deal(plain, who=ANN, count=30):
        answer(plain, card.audit, "label", label=true.get(card.text, 1), who=ANN)
    assert len(certificates(plain)) == 1
    assert certified_rows(plain, tmp_path / "merged.csv") == 10
    undo_edit(plain, ANN)
    assert certificates(plain) == []
    assert summary(plain).certificate is None
    assert certified_rows(plain, tmp_path / "undone.csv") == 0


def test_no_certificate_covers_a_label_that_a_person_ruled_out(plain, tmp_path):
    set_target(plain, 0.6)
    tell(plain, deal(plain, who=ANN, count=30))
    before = certified_rows(plain, tmp_path / "before.csv")
    frame = pd.read_csv(tmp_path / "before.csv")
    text = text_ids(plain)[frame["text"][frame["certified"].notna()].iloc[0]]
    decide(plain, text, "reject", label=truth(plain)[text], who=ANN)
    assert certified_rows(plain, tmp_path / "after.csv") == before - 1


def certified_rows(project: Project, path: Path) -> int:
    export(project, path)
    return int(pd.read_csv(path)["certified"].notna().sum())


def test_labels_that_were_retired_end_the_certificates_of_the_round_until_it_is_undone(plain, tmp_path):
    set_target(plain, 0.6)
    tell(plain, deal(plain, who=ANN, count=30, rng=np.random.default_rng(3)))
    (given,) = certificates(plain)
    check = newest_check(plain)
    apply_edit(plain, Retire(1), ANN)
    assert certificates(plain) == []
    assert summary(plain).certificate is None
    assert certified_rows(plain, tmp_path / "without.csv") == 0
    assert newest_check(plain).frames[0].texts == 30  # of what is there now
    assert summary(plain).edited
    tell(plain, deal(plain, who=ANN, count=5, rng=np.random.default_rng(4)))
    assert certificates(plain) == []  # the next round may be certified again
    undo_edit(plain, ANN)
    assert certificates(plain) == [given]
    assert newest_check(plain) == check
    assert certified_rows(plain, tmp_path / "with.csv") == 5


def test_a_new_sample_is_about_the_labels_as_they_are_now(plain):
    set_target(plain, 0.6)
    tell(plain, deal(plain, who=ANN, count=2))
    apply_edit(plain, Retire(1), ANN)
    assert summary(plain).edited
    begin_sample(plain, ANN)
    tell(plain, deal(plain, who=ANN, count=28))
    assert not summary(plain).edited
    assert [given.of for given in certificates(plain)] == [30]


# What must not help a certificate


def test_a_file_with_the_labels_of_audited_errors_proves_nothing(workspace, make_project, monkeypatch):
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.0)
    project = make_project(pool=pool_rows(each=50))
    true, names = truth(project), {number: name for name, number in label_ids(project).items()}
    wrong = set(list(true)[::10])
    labelled(project, wrong)
    cards = deal(project, who=ANN, count=120)
    tell(project, cards)
    before = summary(project)
    errors = [card for card in cards if card.text in wrong]
    assert len(errors) > 4
    file = write_csv(
        workspace.parent / "fix.csv", ["text", "label"], [(card.content, names[true[card.text]]) for card in errors]
    )
    import_files(workspace, "small", file, text_column="text", label_column="label", embedding=EMBEDDING)
    assert (summary(project).accuracy, summary(project).proven) == (before.accuracy, before.proven)
    close_round(project)
    left = {text: label for text, label in truth(project).items() if text not in {card.text for card in errors}}
    reviewed_round(project, {t: (label % 4 + 1 if t in wrong else label, 0.9) for t, label in left.items()})
    assert newest_check(project).frames[0].texts == 200
    assert summary(project).accuracy == before.accuracy


def test_the_certificate_of_an_earlier_round_is_history(plain):
    set_target(plain, 0.6)
    tell(plain, deal(plain, who=ANN, count=40))
    (given,) = certificates(plain)
    assert (summary(plain).certificate, summary(plain).earlier) == (given, None)
    again(plain, wrong=list(truth(plain))[:25])
    assert (summary(plain).certificate, summary(plain).earlier) == (None, given)
