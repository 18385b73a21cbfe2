"""Batches: decide the sample, then exactly the rest, and undo all of it at once."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from red_core.errors import StateError
from red_core.labels.edit_kinds import Retire
from red_core.labels.edits import apply_edit
from red_core.records import DecisionKind, Project
from red_core.review import audit_sample, batches
from red_core.review.audit_report import summary
from red_core.review.audits import answer, deal
from red_core.review.batches import SAMPLE, agreement_interval, apply_batch, begin_batch, take_back
from red_core.review.decisions import Provenance, decide, feed_back, plan_feed_back, undo
from red_core.review.desk import PressOutcome, apply_key_press
from red_core.review.presses import read_key_press
from red_core.store.batches import BatchCounts, BatchKind, batch_counts, drop_batch, sample_of
from red_core.store.database import connection, open_project
from red_core.store.decisions import decided, rejected
from red_core.store.desk import Item, queue
from red_core.store.rounds import current_training_rows
from red_core.store.texts import pool
from red_core.store.verdicts import add_proposals
from tests.helpers.small_projects import count, label_ids, pool_rows, question, reviewed_round, small_project

ANN, BOB = "ann", "bob"
MEMBERS = 50
OTHER = {1: 2, 2: 3, 3: 4, 4: 1}
"""A label other than the proposed one."""


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """60 pool texts and a round to review, in which the first 50 are proposed for the four labels in turn."""
    project = small_project(tmp_path_factory.mktemp("batches") / "workspace", pool=pool_rows(each=15))
    texts = pool(project).tolist()
    assert sorted(label_ids(project).values()) == [1, 2, 3, 4]
    number = reviewed_round(project, dict.fromkeys(texts, (1, 0.6)))
    add_proposals(project, number, [question(text, place % 4 + 1, 4) for place, text in enumerate(texts[:MEMBERS])])
    return project


@pytest.fixture
def project(untouched: Project, workspace: Path) -> Project:
    shutil.copytree(untouched.workspace, workspace)
    return open_project(workspace, untouched.name)


@pytest.fixture
def items(project: Project) -> list[Item]:
    queued = queue(project, 1, "to decide")
    assert len(queued) == MEMBERS
    return queued


def begun(project: Project, items: Sequence[Item], kind: BatchKind = "accept", seed: int = 0) -> int:
    return begin_batch(project, kind, items, "in words", who=ANN, rng=np.random.default_rng(seed))


def counts_of(project: Project, batch: int | None = None) -> BatchCounts:
    counts = batch_counts(project, batch)
    assert counts is not None
    return counts


def proposed(project: Project, proposal: int | None) -> int:
    return count(project, f"SELECT label FROM proposal WHERE id = {proposal}")


def say(project: Project, sample: Sequence[Item], kind: DecisionKind = "accept", *, who: str = ANN) -> None:
    """Decide a sample: accept or reject the proposed label, or relabel to another one."""
    for text, proposal in sample:
        mine = proposed(project, proposal)
        label = {"none": None, "skip": None, "relabel": OTHER[mine]}.get(kind, mine)
        decide(project, text, kind, label=label, who=who, provenance=Provenance(proposal=proposal))


def applied(project: Project, items: Sequence[Item], kind: BatchKind = "accept", agreeing: int = SAMPLE) -> int:
    """Begin a batch, decide its sample with ``agreeing`` agreements, and apply it; return its id."""
    batch = begun(project, items, kind)
    sample = sample_of(project, batch)
    say(project, sample[:agreeing], kind)
    say(project, sample[agreeing:], "reject" if kind == "accept" else "accept")
    apply_batch(project, counts_of(project, batch), who=ANN)
    return batch


def decision_rows(project: Project, where: str = "1", columns: str = "text, kind, label") -> list[tuple[Any, ...]]:
    with connection(project) as db:
        return list(db.execute(f"SELECT {columns} FROM decision WHERE {where} ORDER BY id").fetchall())


def lower_bound(hits: int, of: int) -> float:
    """The Wilson score interval's lower end, from its formula."""
    z = 1.959963984540054
    centre, spread = hits + z * z / 2, z * math.sqrt(hits * (of - hits) / of + z * z / 4)
    return (centre - spread) / (of + z * z)


# The sample


def test_each_member_is_drawn_as_often_as_any_other(project, monkeypatch):
    drawn: Counter[int] = Counter()
    members, draws, rng = [(text, text) for text in range(70)], 1_500, np.random.default_rng(0)

    def keep(_project: Project, _kind: str, _filters: str, kept: Any, sampled: list[int], _who: str) -> int:
        assert kept == members
        assert len(set(sampled)) == len(sampled) == SAMPLE
        drawn.update(sampled)
        return 1

    monkeypatch.setattr(batches.stored, "add_batch", keep)
    for _ in range(draws):
        begin_batch(project, "accept", members, "", rng=rng)
    share = SAMPLE / len(members)
    off = sum((drawn[text] - draws * share) ** 2 for text, _ in members) / (draws * share * (1 - share))
    off *= (len(members) - 1) / len(members)  # the counts of one draw sum to its size
    assert 0.001 < chi2.sf(off, len(members) - 1) < 0.999


def test_no_two_lists_have_the_same_sample_unless_asked_to(project, items):
    drawn = [{text for text, _ in sample_of(project, begin_batch(project, "accept", items, ""))} for _ in range(2)]
    asked = [{text for text, _ in sample_of(project, begun(project, items, seed=seed))} for seed in (1, 1, 2)]
    assert drawn[0] != drawn[1]
    assert asked[0] == asked[1] != asked[2]


def test_a_batch_keeps_its_members_its_words_and_who_began_it(project, items):
    batch = begin_batch(project, "reject", items, "judge unsure, label refund", who=BOB)
    assert counts_of(project) == BatchCounts(
        batch, "reject", "judge unsure, label refund", MEMBERS, SAMPLE, 0, 0, 0, 0, 0
    )
    with connection(project) as db:
        members = db.execute("SELECT text, proposal FROM batch_member WHERE batch = ?", [batch]).fetchall()
        assert db.execute("SELECT who FROM batch").fetchall() == [(BOB,)]
    assert sorted(members) == sorted(items)
    assert decision_rows(project) == []


def test_the_sample_is_of_the_members_and_not_in_their_order(project, items):
    sample = sample_of(project, begun(project, items))
    assert set(sample) < set(items)
    assert len(sample) == SAMPLE
    assert sample not in (sorted(sample), sorted(sample, reverse=True), [item for item in items if item in sample])


@pytest.mark.parametrize("length", [0, 1, SAMPLE])
def test_a_list_no_longer_than_a_sample_is_refused(length, project, items):
    with pytest.raises(
        StateError, match=f"this list has {length} suggested labels. Lists of up to 30 are decided one by one"
    ):
        begun(project, items[:length])
    assert batch_counts(project) is None


def test_a_list_one_longer_than_a_sample_is_not(project, items):
    begun(project, items[: SAMPLE + 1])
    assert (counts_of(project).members, counts_of(project).sampled) == (SAMPLE + 1, SAMPLE)


def test_texts_without_a_proposal_are_no_members(project, items):
    bare: list[Item] = [(text, None) for text in pool(project).tolist()[MEMBERS:]]
    with pytest.raises(StateError, match="this list has 25 suggested labels"):
        begun(project, [*bare, *items[:25]])
    begun(project, [*items, *bare])
    assert counts_of(project).members == MEMBERS


def test_a_decided_text_leaves_the_sample_and_comes_back_when_it_is_undone(project, items):
    batch = begun(project, items)
    sample = sample_of(project, batch)
    say(project, sample[:1], "skip")
    assert sample_of(project, batch) == sample
    say(project, sample[:2])
    assert sample_of(project, batch) == sample[2:]
    assert (counts_of(project).decided, counts_of(project).agreed) == (2, 2)
    undo(project, who=ANN)
    assert sample_of(project, batch) == [item for item in sample if item != sample[0]]


def test_a_rejection_of_another_label_is_no_answer_about_the_one_proposed(project, items):
    text, proposal = items[0]
    decide(project, text, "reject", label=OTHER[proposed(project, proposal)])
    seed = next(n for n in range(99) if items[0] in _drawn(items, n))
    for kind in ("accept", "reject"):
        batch = begun(project, items, kind, seed)
        assert (counts_of(project).decided, counts_of(project).agreed) == (0, 0)
        assert items[0] in sample_of(project, batch)


def _drawn(items: Sequence[Item], seed: int) -> list[Item]:
    chosen = np.random.default_rng(seed).choice(len(items), SAMPLE, replace=False)
    return [items[place] for place in chosen]


@pytest.mark.parametrize("kind", ["accept", "reject"])
@pytest.mark.parametrize(
    ("said", "fixes_it"), [("accept", True), ("relabel", False), ("none", False), ("reject", False)]
)
def test_what_agrees_with_a_list(said, fixes_it, kind, project, items):
    batch = begun(project, items, kind)
    say(project, sample_of(project, batch)[:3], said)
    counts = counts_of(project, batch)
    assert (counts.decided, counts.agreed) == (3, 3 * (fixes_it == (kind == "accept")))


def test_relabelled_to_the_label_proposed_agrees_with_accepting_it(project, items):
    batch = begun(project, items)
    text, proposal = sample_of(project, batch)[0]
    decide(project, text, "relabel", label=proposed(project, proposal))
    assert counts_of(project).agreed == 1
    decide(project, text, "none")
    assert (counts_of(project).decided, counts_of(project).agreed) == (1, 0)


# Applying


def test_a_list_is_not_decided_before_its_whole_sample_is(project, items):
    batch = begun(project, items)
    sample = sample_of(project, batch)
    for done in (0, SAMPLE - 1):
        say(project, sample[:done])
        with pytest.raises(StateError, match=f"decide the sample first: {SAMPLE - done} of 30 are left"):
            apply_batch(project, counts_of(project), who=ANN)
    assert decision_rows(project, "batch IS NOT NULL") == []


@pytest.mark.parametrize("kind", ["accept", "reject"])
def test_the_rest_is_decided_with_what_its_sample_shows_as_belief(kind, project, items):
    batch = begun(project, items, kind)
    sample = sample_of(project, batch)
    say(project, sample[:27], kind, who=BOB)
    say(project, sample[27:], "relabel" if kind == "accept" else "accept", who=BOB)
    by_hand = decision_rows(project)
    assert apply_batch(project, counts_of(project), who=ANN) == MEMBERS - SAMPLE
    stored = decision_rows(
        project,
        "batch IS NOT NULL",
        "text, kind, label, proposal, who, reason, queue, batch, belief, seconds, act, undoes",
    )
    rest = sorted(set(items) - set(sample))
    low = pytest.approx(lower_bound(27, SAMPLE))
    assert stored == [
        (text, kind, proposed(project, proposal), proposal, ANN, "", "bulk", batch, low, None, None, None)
        for text, proposal in rest
    ]
    assert decision_rows(project, "batch IS NULL") == by_hand
    assert (counts_of(project).applied, counts_of(project).was_applied) == (MEMBERS - SAMPLE, 1)
    assert agreement_interval(counts_of(project))[0] == low


@pytest.mark.parametrize(("agreeing", "enough"), [(0, False), (20, False), (21, True), (SAMPLE, True)])
def test_a_list_of_which_too_few_agree_is_not_decided_at_once(agreeing, enough, project, items):
    assert (lower_bound(agreeing, SAMPLE) >= 0.5) == enough
    if enough:
        applied(project, items, agreeing=agreeing)
        return
    with pytest.raises(
        StateError, match=f"only {agreeing} of 30 texts of the sample agree: too few to accept the rest"
    ):
        applied(project, items, agreeing=agreeing)
    assert decision_rows(project, "batch IS NOT NULL") == []


def test_figures_that_changed_since_they_were_shown_are_refused(project, items):
    batch = begun(project, items)
    sample = sample_of(project, batch)
    say(project, sample)
    shown = counts_of(project)
    say(project, sample[:1], "none")
    with pytest.raises(StateError, match="decisions were made since this was shown"):
        apply_batch(project, shown, who=ANN)
    undo(project, who=ANN)
    assert apply_batch(project, shown, who=ANN) == MEMBERS - SAMPLE


def test_a_list_is_decided_once(project, items):
    batch = begun(project, items)
    say(project, sample_of(project, batch))
    shown = counts_of(project)
    apply_batch(project, shown, who=ANN)
    with pytest.raises(StateError, match="decisions were made since this was shown"):
        apply_batch(project, shown, who=ANN)
    with pytest.raises(StateError, match="this list is decided already"):
        apply_batch(project, counts_of(project), who=ANN)
    assert len(decision_rows(project)) == MEMBERS


def test_a_list_decided_by_two_at_once_is_decided_once(project, items):
    batch = begun(project, items)
    say(project, sample_of(project, batch))
    shown = counts_of(project)

    def press(who: str) -> int:
        try:
            return apply_batch(project, shown, who=who)
        except StateError:
            return 0

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(press, [ANN, BOB])) == [0, MEMBERS - SAMPLE]
    assert len(decision_rows(project)) == MEMBERS


@pytest.mark.parametrize("kind", ["none", "reject", "relabel", "accept"])
def test_texts_decided_meanwhile_are_not_changed(kind, project, items):
    batch = begun(project, items)
    sample = sample_of(project, batch)
    say(project, sample)
    shown = counts_of(project)
    rest = sorted(set(items) - set(sample))
    say(project, rest[:3], kind, who=BOB)
    say(project, rest[3:4], "skip", who=BOB)
    assert apply_batch(project, shown, who=ANN) == MEMBERS - SAMPLE - 3
    assert {text for (text,) in decision_rows(project, "batch IS NOT NULL", "text")} == {text for text, _ in rest[3:]}


# Undo


def test_taking_a_list_back_undoes_exactly_what_it_decided(project, items):
    elsewhere, later = pool(project).tolist()[-2:]
    decide(project, elsewhere, "none", who=ANN)
    batch = applied(project, items)
    decide(project, later, "none", who=ANN)
    ours = {id_ for (id_,) in decision_rows(project, "batch IS NOT NULL", "id")}
    assert take_back(project, batch, who=BOB) == len(ours) == MEMBERS - SAMPLE
    assert {id_ for (id_,) in decision_rows(project, "kind = 'undo'", "undoes")} == ours
    assert {who for (who,) in decision_rows(project, "kind = 'undo'", "who")} == {BOB}
    assert len(decided(project)) == SAMPLE + 2
    assert (counts_of(project).applied, counts_of(project).was_applied, counts_of(project).decided) == (0, 1, SAMPLE)


def test_a_list_is_undone_once_and_can_be_decided_again(project, items):
    batch = applied(project, items)
    take_back(project, batch, who=ANN)
    with pytest.raises(StateError, match="all decisions of this list are undone already"):
        take_back(project, batch, who=ANN)
    assert apply_batch(project, counts_of(project), who=ANN) == MEMBERS - SAMPLE
    assert take_back(project, batch, who=ANN) == MEMBERS - SAMPLE


def test_a_list_that_was_never_applied_cannot_be_taken_back(project, items):
    batch = begun(project, items)
    with pytest.raises(StateError, match="all decisions of this list are undone"):
        take_back(project, batch)


def test_taking_one_list_back_leaves_another(project, items):
    first = applied(project, items)
    bare = sorted(pool(project).tolist()[MEMBERS:])
    take_back(project, first, who=ANN)
    second = applied(project, items)
    assert (second > first, decision_rows(project, f"text IN ({bare[0]})")) == (True, [])
    with pytest.raises(StateError, match="all decisions of this list are undone"):
        take_back(project, first, who=ANN)
    assert (counts_of(project, first).applied, counts_of(project).applied) == (0, MEMBERS - SAMPLE)


def test_what_a_person_said_later_of_a_text_outlives_its_list(project, items):
    batch = applied(project, items)
    (text,) = decision_rows(project, "batch IS NOT NULL", "text")[0]
    decide(project, text, "none", who=BOB)
    assert take_back(project, batch, who=ANN) == MEMBERS - SAMPLE
    assert decided(project)[text] == -1


def press_undo(project: Project, name: str, who: str = ANN) -> PressOutcome:
    return apply_key_press(project, read_key_press({"id": name, "kind": "undo"}), who=who)


def test_one_undo_takes_back_the_whole_list_and_the_next_one_what_was_before(project, items):
    applied(project, items)
    last = decision_rows(project, "batch IS NULL", "text")[-1][0]
    newest = decision_rows(project, "batch IS NOT NULL", "text")[-1][0]
    first, again = press_undo(project, "a" * 32), press_undo(project, "a" * 32)
    assert first == again == PressOutcome("a" * 32, back=newest)
    assert len(decision_rows(project, "kind = 'undo'")) == MEMBERS - SAMPLE
    assert decision_rows(project, "act IS NOT NULL", "act, kind") == [("a" * 32, "undo")]
    assert counts_of(project).applied == 0
    assert press_undo(project, "b" * 32).back == last
    assert counts_of(project).decided == SAMPLE - 1


def test_any_decision_of_a_list_is_undone_with_all_of_it(project, items):
    applied(project, items)
    middle, text = decision_rows(project, "batch IS NOT NULL", "id, text")[7]
    assert undo(project, decision=middle, who=BOB) == (text, "accept")
    assert (counts_of(project).applied, len(decided(project))) == (0, SAMPLE)


def test_what_was_decided_after_a_list_is_undone_alone(project, items):
    applied(project, items)
    text = int(pool(project)[-1])
    decide(project, text, "none", who=ANN)
    assert press_undo(project, "a" * 32).back == text
    assert counts_of(project).applied == MEMBERS - SAMPLE


def test_nobody_undoes_the_list_of_another_person_by_accident(project, items):
    applied(project, items)
    assert press_undo(project, "a" * 32, BOB).refused == "there is no decision to undo."
    assert counts_of(project).applied == MEMBERS - SAMPLE


# Feeding back


def test_decisions_of_a_batch_are_fed_back_with_its_belief_as_weight(project, items):
    applied(project, items, agreeing=28)
    bulk = {text for (text,) in decision_rows(project, "batch IS NOT NULL", "text")}
    (overruled, *_) = sorted(bulk)
    decide(project, overruled, "accept", label=2, who=ANN)
    plan = plan_feed_back(project)
    weight = {item.text: item.weight for item in plan.items}
    assert set(weight) == bulk | {
        text for (text,) in decision_rows(project, "batch IS NULL AND kind = 'accept'", "text")
    }
    low = pytest.approx(lower_bound(28, SAMPLE))
    assert {text: weight[text] for text in bulk - {overruled}} == dict.fromkeys(bulk - {overruled}, low)
    assert {weight[text] for text in weight.keys() - bulk | {overruled}} == {1.0}
    feed_back(project, plan)
    trained = {text: weight for text, _, weight in current_training_rows(project)}
    assert {text: trained[text] for text in weight} == weight


def test_what_a_list_rejected_is_ruled_out_and_not_fed_back(project, items):
    applied(project, items, "reject")
    assert rejected(project) == {(text, proposed(project, proposal)) for text, proposal in items}
    assert plan_feed_back(project).items == ()
    assert queue(project, 1, "to decide") == []


# Discarding


def test_a_list_that_was_discarded_says_so_and_keeps_what_was_decided(project, items):
    batch = begun(project, items)
    say(project, sample_of(project, batch)[:2])
    for _ in range(2):
        drop_batch(project, batch, BOB)
    assert (counts_of(project).dropped, counts_of(project).decided) == (1, 2)
    assert count(project, "SELECT count(*) FROM batch_drop") == 1
    assert len(decided(project)) == 2


def test_a_list_that_was_discarded_is_not_decided(project, items):
    batch = begun(project, items)
    say(project, sample_of(project, batch))
    shown = counts_of(project)
    drop_batch(project, batch, BOB)
    for counts in (shown, counts_of(project)):
        with pytest.raises(StateError):
            apply_batch(project, counts, who=ANN)
    assert decision_rows(project, "batch IS NOT NULL") == []


def test_the_newest_list_is_told_of_unless_another_is_asked_for(project, items):
    assert (batch_counts(project), batch_counts(project, 7)) == (None, None)
    first, second = begun(project, items), begun(project, items, "reject")
    assert (counts_of(project).id, counts_of(project, first).id) == (second, first)
    assert (counts_of(project, first).kind, counts_of(project, second).kind) == ("accept", "reject")


def test_undo_takes_back_a_batch_of_a_label_that_was_retired_and_then_goes_on(project, items):
    text, proposal = items[-1]
    decide(project, text, "accept", label=proposed(project, proposal), who=ANN)
    batch = applied(project, items[:-1])
    _, _, label = decision_rows(project, f"batch = {batch}")[-1]
    apply_edit(project, Retire(label), ANN)
    undo(project, who=ANN)
    assert decision_rows(project, f"batch = {batch} AND id NOT IN (SELECT undoes FROM decision WHERE undoes > 0)") == []


def test_a_list_that_was_decided_at_once_is_no_evidence_for_the_audit(project, items, monkeypatch):
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.0)
    batch = begun(project, items)
    say(project, sample_of(project, batch))
    cards = deal(project, who=ANN, count=60)
    assert len(cards) == 60 - SAMPLE
    for card in cards[:10]:
        answer(project, card.audit, "label", label=1, who=ANN)
    before = summary(project)
    apply_batch(project, counts_of(project, batch), who=ANN)
    assert summary(project) == before
    assert deal(project, who=ANN, count=60) == cards[10:]
