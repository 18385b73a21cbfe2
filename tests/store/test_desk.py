"""Queues and cards of the desk against slow readings of the raw tables, where anything may have happened before."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from red_core.records import Answer, Example, Outcome, Project
from red_core.review.decisions import Provenance, decide, undo
from red_core.store.certificates import Certificate, add_certificate, begin_sample
from red_core.store.database import connection, transaction
from red_core.store.desk import (
    LONGEST_QUEUE,
    QUEUES,
    Filters,
    Item,
    cards,
    decided_among,
    item_of,
    judges,
    queue,
    queue_counts,
)
from red_core.store.flags import flag_text
from red_core.store.labels import list_labels, save_layout, set_meanings
from red_core.store.rounds import close_round
from red_core.store.texts import pool
from red_core.store.verdicts import add_proposals, add_verdicts
from tests.helpers.small_projects import LABELS, label_ids, question, reviewed_round, seed_rows, small_project, text_ids

PEOPLE = ("ann", "bob")
ROUNDS = 3
EVERYTHING = Filters()
SEEDS = range(6)
WORDS = ("Refund ÄRGER", "delivery 100%", "warranty_card", "Repair the REPAIR", "ärger about nothing")
REASONS = ("", "it says Refund", "NOT a delivery", "100% sure")
OUTCOMES: tuple[Outcome, ...] = ("valid", "invalid", "unsure", "refused", "unparseable")
TABLES = (
    "text", "source_row", "label", "label_meaning", "label_place", "proposal", "verdict", "prediction", "decision",
    "flag", "certificate",
)  # fmt: skip


# Projects in which anything may have happened


def random_project(workspace: Any, seed: int) -> Project:
    """Three rounds over ten texts and three contradictions, with decisions, skips and undos of two persons."""
    rng = np.random.default_rng(seed)
    torn = [(f"torn {n} Refund", name) for n in range(3) for name in rng.choice(LABELS, 2, replace=False).tolist()]
    rows = [(f"{WORDS[n % len(WORDS)]}, number {n}", LABELS[n % 4]) for n in range(10)]
    project = small_project(workspace, name=f"random{seed}", seeds=[*seed_rows(each=2), *torn], pool=rows)
    ids = np.array(sorted(label_ids(project).values()))
    for _ in range(2):
        save_layout(project, ids, rng.permutation([0, 0, 1, 1]), np.zeros((4, 2)), "ann")
    for number in range(1, ROUNDS + 1):
        _random_round(project, number, rng)
        _random_decisions(project, rng)
        if number < ROUNDS:
            close_round(project)
            set_meanings(project, {int(rng.choice(ids)): f"since {number}"}, "bob")
    return project


def _random_round(project: Project, number: int, rng: np.random.Generator) -> None:
    ids, texts = sorted(label_ids(project).values()), np.array(sorted(text_ids(project).values()))
    beliefs = (0.2, 0.2, 0.49, 0.5, 0.8, 0.9499, 0.95, 0.97)
    predicted = rng.permutation(pool(project))[: 10 - number % 2].tolist()
    reviewed_round(project, {t: (int(rng.choice([*ids, -1])), float(rng.choice(beliefs))) for t in predicted})
    torn = [int(text) for content, text in text_ids(project).items() if content.startswith("torn")]
    pairs = {(int(rng.choice([*pool(project), torn[0]])), int(rng.choice(ids))) for _ in range(14)}
    samples = tuple(Example(int(text), "", 0.25, "seed") for text in texts[:3])
    asked = [
        replace(
            question(text, label, int(rng.choice([one for one in ids if one != label])), float(rng.choice(beliefs))),
            reason=str(rng.choice(["value", "entropy", "confirm"])),
            gain=float(rng.choice([0.0, 0.1, 0.1, 0.3])),
            examples=samples[: int(rng.integers(4))],
            rival_examples=samples[: int(rng.integers(4))],
        )
        for text, label in rng.permutation(sorted(pairs)).tolist()
    ]
    judge, answered = str(rng.choice(["chat", "evidence"])), []
    newest = {label.id: label.meaning_id for label in list_labels(project)}
    for proposal, one in zip(add_proposals(project, number, asked), asked, strict=True):
        read = (None, 0, newest[one.label.id], newest[one.label.id])[rng.integers(4)]
        said = Answer(OUTCOMES[rng.integers(5)], 0.5, 1.5, f"raw {number}", "m", "v", meaning_id=read)
        if rng.random() < 0.8:
            answered.append((proposal, said))
    add_verdicts(project, judge, answered)
    sample = begin_sample(project, "ann")
    for _ in range(3):
        threshold, target = float(rng.choice([0.0, 0.5, 0.95, 0.97])), float(rng.choice([0.9, 0.95]))
        add_certificate(project, Certificate(sample, number, threshold, 5, 10, 4, 4, 0.97, target, 0.03, "ann", ""))


def _random_decisions(project: Project, rng: np.random.Generator, how_many: int = 7) -> None:
    kinds = ("accept", "relabel", "none", "reject", "reject", "skip", "skip", "undo", "undo")
    ids, texts = sorted(label_ids(project).values()), [*pool(project).tolist(), *_torn(project)]
    with transaction(project) as db:
        for kind in rng.choice(kinds, how_many).tolist():
            text, undoes = int(rng.choice(texts)), None
            label = int(rng.choice(ids)) if kind in {"accept", "relabel", "reject"} else None
            if kind == "undo":
                standing = db.execute(_UNDOABLE).fetchall()
                if not standing:
                    continue
                undoes, text = standing[rng.integers(len(standing))]
            shown = [None, *(row[0] for row in db.execute("SELECT id FROM proposal WHERE text = ?", [text]))]
            db.execute(
                "INSERT INTO decision (text, kind, label, proposal, undoes, reason, who, at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, '')",
                [text, kind, label, rng.choice(shown), undoes, str(rng.choice(REASONS)), str(rng.choice(PEOPLE))],
            )
    for text in rng.choice(texts, 4).tolist():
        flag_text(project, text, "look", raised=bool(rng.random() < 0.7), who="ann", act=None)


_UNDOABLE = """SELECT id, text FROM decision WHERE kind <> 'undo'
    AND id NOT IN (SELECT undoes FROM decision WHERE undoes IS NOT NULL)"""


def _torn(project: Project) -> list[int]:
    return [text for content, text in text_ids(project).items() if content.startswith("torn")]


# The same again, slowly


def small(text: str) -> str:
    """Return a text without case."""
    return text.casefold()


@dataclass(frozen=True)
class Candidate:
    """A text that may be in a queue: the proposal and the label it is there for, and its place in the order."""

    text: int
    proposal: int | None
    label: int | None
    place: Any


class Slow:
    """A project read row by row."""

    def __init__(self, project: Project) -> None:
        with connection(project) as db:
            self.rows = {name: list(db.query(f"SELECT * FROM {name}")) for name in TABLES}
        undone = {row["undoes"] for row in self.rows["decision"]}
        self.alive = [row for row in self.rows["decision"] if row["id"] not in undone and row["kind"] != "undo"]
        self.standing = [row for row in self.alive if row["kind"] != "skip"]
        self.verdict = {row["proposal"]: row for row in self.rows["verdict"]}
        self.proposal = {row["id"]: row for row in self.rows["proposal"]}
        self.content = {row["id"]: row["content"] for row in self.rows["text"]}
        self.labels_of: dict[int, set[int]] = defaultdict(set)
        for row in self.rows["source_row"]:
            if row["label"] is not None:
                self.labels_of[row["text"]].add(row["label"])
        formed = max(row["version"] for row in self.rows["label_place"])
        self.subset = {row["label"]: row["subset"] for row in self.rows["label_place"] if row["version"] == formed}

    def decisions_about(self, text: int) -> list[dict[str, Any]]:
        return [row for row in self.standing if row["text"] == text]

    def meaning(self, label: int) -> int:
        return max((row["id"] for row in self.rows["label_meaning"] if row["label"] == label), default=0)

    def stale(self, proposal: int) -> bool:
        verdict = self.verdict.get(proposal)
        if verdict is None or verdict["meaning"] is None:
            return False
        return bool(verdict["meaning"] < self.meaning(self.proposal[proposal]["label"]))

    def settled(self, text: int, label: int | None) -> bool:
        """Whether a text is decided: by a label, or by rejecting this very one."""
        return any(row["kind"] != "reject" or row["label"] == label for row in self.decisions_about(text))

    def belongs(self, name: str, row: dict[str, Any], belief: float) -> bool:
        """Whether an undecided proposal belongs to a queue of proposals."""
        outcome = self.verdict.get(row["id"], {"outcome": ""})["outcome"]
        return {
            "to decide": row["reason"] != "confirm" and belief < 0.95,
            "judge against classifiers": outcome == "invalid",
            "judge unsure": outcome in {"unsure", "refused", "unparseable"},
            "judged valid": outcome == "valid",
            "stale": self.stale(row["id"]),
        }[name]

    def of_proposals(self, name: str, number: int, labels: tuple[int, ...]) -> Iterator[Candidate]:
        now = {row["text"]: row["belief"] for row in self.rows["prediction"] if row["round"] == number}
        waiting: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for row in self.rows["proposal"]:
            if (
                row["round"] <= number
                and (not labels or row["label"] in labels)
                and not self.settled(row["text"], row["label"])
                and self.belongs(name, row, now.get(row["text"], row["belief"]))
            ):
                waiting[row["text"]].append(row)
        for text, found in waiting.items():
            newest = max(found, key=lambda row: row["id"])
            place = -max(row["gain"] for row in found)
            if name == "to decide":
                place = min(now.get(text, row["belief"]) for row in found)
            yield Candidate(text, newest["id"], newest["label"], place)

    def of_texts(self, name: str, number: int) -> Iterator[Candidate]:
        if name == "decided":
            for text in {row["text"] for row in self.standing}:
                last = self.decisions_about(text)[-1]
                yield Candidate(text, last["proposal"], last["label"], -last["id"])
            return
        if name == "flagged":
            yield from self.flagged(number)
            return
        if name == "contradictions":
            for text, own in self.labels_of.items():
                if len(own) > 1 and all(row["kind"] == "reject" for row in self.decisions_about(text)):
                    yield Candidate(text, None, min(own), text)
            return
        hashed = {row["id"]: row["text_id"] for row in self.rows["text"]}
        for row in self.rows["prediction"]:
            text, belief = row["text"], row["belief"]
            if row["round"] != number or self.decisions_about(text):
                continue
            mine = [p["id"] for p in self.rows["proposal"] if p["text"] == text and p["round"] <= number]
            place, in_it = {
                "low belief": (belief, belief < 0.5),
                "not certified": (belief, belief < self.certified_from(number)),
                "none of these": (-belief, row["label"] == -1),
                "random": (hashed[text], True),
            }[name]
            if in_it:
                yield Candidate(text, max(mine, default=None), row["label"], place)

    def certified_from(self, number: int) -> float:
        given = [row for row in self.rows["certificate"] if row["round"] == number]
        return min((row["threshold"] for row in given if row["target"] == given[-1]["target"]), default=0.0)

    def flagged(self, number: int) -> Iterator[Candidate]:
        newest = {row["text"]: row for row in self.rows["flag"]}
        labels = {row["text"]: row["label"] for row in self.rows["prediction"] if row["round"] == number}
        for text, row in newest.items():
            if row["raised"]:
                mine = [p["id"] for p in self.rows["proposal"] if p["text"] == text and p["round"] <= number]
                yield Candidate(text, max(mine, default=None), labels.get(text), -row["id"])

    def passes(self, one: Candidate, filters: Filters, *, reasons: bool) -> bool:
        proposal = self.proposal.get(one.proposal or 0, {"round": None})
        judge = self.verdict.get(one.proposal or 0, {"judge": None})["judge"]
        sought = small(filters.search.strip())
        read = [self.content[one.text]]
        if reasons:
            read += [row["reason"] for row in self.decisions_about(one.text)]
        return (
            (not filters.labels or one.label in filters.labels)
            and filters.subset in {None, self.subset.get(one.label or 0, -1)}
            and filters.round in {None, proposal["round"]}
            and filters.judge in {"", judge}
            and any(sought in small(each) for each in read)
        )

    def queue(self, number: int, name: str, filters: Filters = EVERYTHING, who: str = "") -> list[Item]:
        texts = name in QUEUES[5:]
        found = self.of_texts(name, number) if texts else self.of_proposals(name, number, filters.labels)
        chosen = [one for one in found if self.passes(one, filters, reasons=name == "decided")]
        skipped = {row["text"] for row in self.alive if row["kind"] == "skip" and row["who"] == who}
        chosen.sort(key=lambda one: (one.text in skipped, one.place, one.text))
        return [(one.text, one.proposal) for one in chosen]


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Project, Slow]]:
    workspace = tmp_path_factory.mktemp("desk") / "workspace"
    made = [random_project(workspace, seed) for seed in SEEDS]
    return [(project, Slow(project)) for project in made]


@pytest.mark.parametrize("name", QUEUES)
def test_every_queue_is_what_a_slow_reading_finds_for_each_person(name, projects):
    found = 0
    for project, slow in projects:
        for number in range(1, ROUNDS + 1):
            for who in ("ann", "bob", ""):
                items = queue(project, number, name, who=who)
                assert items == slow.queue(number, name, who=who), (project.name, number, who)
                assert len({text for text, _ in items}) == len(items)
                found += len(items)
    assert found > 20


def some_filters(project: Project, rng: np.random.Generator) -> Filters:
    """One filter, or two at once."""
    searches = ["refund", "ärger", "Ärger", "ABOUT", "%", "_", "100% SURE", " not a ", "nowhere", "'", "number 1"]
    ids = sorted(label_ids(project).values())
    one: dict[str, Callable[[], Any]] = {
        "labels": lambda: tuple(rng.choice(ids, rng.integers(1, 3), replace=False).tolist()),
        "subset": lambda: int(rng.integers(3)),
        "round": lambda: int(rng.integers(1, ROUNDS + 1)),
        "judge": lambda: str(rng.choice(["chat", "evidence", "nobody"])),
        "search": lambda: str(rng.choice(searches)),
    }
    chosen = rng.choice(sorted(one), int(rng.integers(1, 3)), replace=False)
    return Filters(**{str(name): one[name]() for name in chosen})


@pytest.mark.parametrize("name", QUEUES)
def test_a_filtered_queue_is_what_a_slow_reading_finds(name, projects):
    rng, found = np.random.default_rng(QUEUES.index(name)), 0
    for project, slow in projects:
        for _ in range(12):
            filters, number, who = some_filters(project, rng), int(rng.integers(1, ROUNDS + 1)), str(rng.choice(PEOPLE))
            items = queue(project, number, name, filters, who=who)
            assert items == slow.queue(number, name, filters, who), (project.name, number, filters, who)
            found += len(items)
    assert found > 2


def test_the_counts_are_the_lengths_of_the_queues(projects):
    for project, _ in projects:
        for number in range(1, ROUNDS + 1):
            counts = queue_counts(project, number)
            assert counts == {name: len(queue(project, number, name)) for name in QUEUES}
            assert list(counts) == list(QUEUES)


@pytest.mark.parametrize("name", QUEUES)
def test_a_queue_is_cut_at_its_end(name, projects):
    for project, _ in projects:
        whole = queue(project, ROUNDS, name, who="ann")
        assert [queue(project, ROUNDS, name, who="ann", longest=n) for n in (0, 2)] == [[], whole[:2]]


def test_a_project_without_anything_has_empty_queues(project):
    assert queue_counts(project, 1) == dict.fromkeys(QUEUES, 0)
    assert [queue(project, 1, name) for name in QUEUES] == [[]] * len(QUEUES)


def test_a_queue_is_no_longer_than_a_person_could_ever_go_through(project):
    reviewed_round(project, {})
    with transaction(project) as db:
        texts = [(number, f"{number:064d}") for number in range(1_000, 1_010 + LONGEST_QUEUE)]
        db.conn.executemany("INSERT INTO text (id, text_id, content) VALUES (?, ?, '')", texts)
        db.execute("INSERT INTO prediction SELECT 1, id, 1, 0.4, 2, 0, 0, 0.4, '[]' FROM text WHERE id >= 1000")
    assert queue_counts(project, 1)["random"] == LONGEST_QUEUE + 10
    assert [text for text, _ in queue(project, 1, "random")] == [number for number, _ in texts[:LONGEST_QUEUE]]


def test_what_is_decided_among_items_is_what_a_slow_reading_finds(projects):
    decided = 0
    for project, slow in projects:
        every = [(text, None) for text in slow.content], [item_of(project, text) for text in slow.content]
        for items in (*every, *([(row["text"], row["id"])] for row in slow.rows["proposal"])):
            wanted = {
                text
                for text, proposal in items
                if slow.decisions_about(text)
                and (proposal is None or slow.settled(text, slow.proposal[proposal]["label"]))
            }
            assert decided_among(project, items) == wanted
            decided += len(wanted)
    assert decided > 20
    assert decided_among(projects[0][0], []) == set()


def test_the_item_of_a_text_is_its_newest_proposal(projects):
    for project, slow in projects:
        for text in slow.content:
            mine = [row["id"] for row in slow.rows["proposal"] if row["text"] == text]
            assert item_of(project, text) == (text, max(mine, default=None))


def test_the_judges_are_those_that_answered(projects):
    for project, slow in projects:
        assert judges(project) == sorted({row["judge"] for row in slow.rows["verdict"]})


# Cards


def words_of(slow: Slow, text: int) -> str:
    """Return what was decided about a text, in words."""
    about = slow.decisions_about(text)
    names = {row["id"]: row["name"] for row in slow.rows["label"]}
    return (
        ""
        if not about
        else ": ".join([about[-1]["kind"], *([names[about[-1]["label"]]] if about[-1]["label"] else [])])
    )


def samples(slow: Slow, side: list[list[Any]]) -> tuple[Example, ...]:
    return tuple(Example(text, slow.content[text], similarity, origin) for text, similarity, origin in side)


def test_every_card_of_a_proposal_is_what_a_slow_reading_finds(projects):
    for project, slow in projects:
        items = [(row["text"], row["id"]) for row in slow.rows["proposal"]]
        tops = {r["text"]: dict(json.loads(r["top"])) for r in slow.rows["prediction"] if r["round"] == ROUNDS}
        for card, row in zip(cards(project, items, lambda *_: ()), slow.rows["proposal"], strict=True):
            text, verdict, evidence = row["text"], slow.verdict.get(row["id"]), json.loads(row["evidence"])
            top = tops.get(text, {})
            assert (card.text, card.proposal, card.content) == (text, row["id"], slow.content[text])
            assert (card.label.id, card.runner_up.id) == (row["label"], row["runner_up"])
            assert card.belief == top.get(row["label"], row["belief"])
            assert card.runner_up_belief == top.get(row["runner_up"], row["runner_up_belief"])
            assert (card.reason, card.gain, card.best) == (row["reason"], row["gain"], tuple(top.items()))
            assert (card.examples, card.rival_examples) == (
                samples(slow, evidence["label"]),
                samples(slow, evidence["runner_up"]),
            )
            given = ("outcome", "judge", "raw", "p_valid", "log_likelihood_ratio")
            wanted = ("", "", "", None, 0.0) if verdict is None else tuple(verdict[name] for name in given)
            assert tuple(getattr(card, name) for name in given) == wanted
            assert (card.verdict, card.stale) == (verdict["id"] if verdict else None, slow.stale(row["id"]))
            assert card.decision == words_of(slow, text)
            newest = max(
                (d["id"] for d in slow.rows["decision"] if d["text"] == text and d["kind"] != "skip"), default=0
            )
            assert card.seen == (newest, slow.meaning(row["label"]))


def test_a_card_of_a_contradiction_is_about_its_own_two_labels(projects):
    for project, slow in projects:
        for text in _torn(project):
            asked: list[tuple[int, int]] = []

            def nearest(text: int, label: int, asked: list[tuple[int, int]] = asked) -> tuple[Example, ...]:
                asked.append((text, label))
                return (Example(label, "near", 0.5, "seed"),)

            (card,) = cards(project, [(text, None)], nearest)
            assert {card.label.id, card.runner_up.id} == slow.labels_of[text]
            assert asked == [(text, card.label.id), (text, card.runner_up.id)]
            assert [e.text for e in (*card.examples, *card.rival_examples)] == [card.label.id, card.runner_up.id]
            assert (card.proposal, card.belief, card.outcome, card.stale) == (None, None, "", False)


# In plain words


def proposed(project: Project, *pairs: tuple[int, int, float], number: int = 1) -> list[int]:
    """Propose (text, label, gain); return the proposals."""
    asked = [replace(question(text, label, 4), gain=gain) for text, label, gain in pairs]
    return add_proposals(project, number, asked)


@pytest.fixture
def reviewed(project: Project) -> tuple[Project, list[int]]:
    """A project with a round to review that is in doubt about every text, and those texts."""
    texts = pool(project).tolist()
    reviewed_round(project, dict.fromkeys(texts, (1, 0.6)))
    return project, texts


def test_the_least_sure_text_comes_first_and_what_this_person_skipped_last(project):
    a, b, c = pool(project)[:3].tolist()
    reviewed_round(project, {a: (1, 0.9), b: (1, 0.2), c: (1, 0.5)})
    proposed(project, (a, 1, 0.3), (b, 1, 0.1), (c, 1, 0.3))  # a second yes or no gains little where it is unlikely
    decide(project, b, "skip", who="ann")

    def order(who: str) -> list[int]:
        return [text for text, _ in queue(project, 1, "to decide", who=who)]

    assert (order("ann"), order("bob")) == ([c, a, b], [b, c, a])
    decide(project, c, "skip", who="ann")
    assert order("ann") == [a, b, c]
    undo(project, who="ann")
    assert order("ann") == [c, a, b]


def test_a_rejected_label_leaves_and_the_next_one_proposed_stays(reviewed):
    project, (text, *_) = reviewed
    first, second = proposed(project, (text, 1, 0.3), (text, 2, 0.1))
    assert queue(project, 1, "to decide") == [(text, second)]
    decide(project, text, "reject", label=2)
    assert queue(project, 1, "to decide") == [(text, first)]
    assert decided_among(project, [(text, second)]) == {text}
    assert decided_among(project, [(text, first)]) == set()
    decide(project, text, "reject", label=1)
    assert queue(project, 1, "to decide") == []


def test_of_a_text_proposed_twice_a_filter_sees_the_proposal_that_is_shown(reviewed):
    project, (text, *_) = reviewed
    ids = np.array(sorted(label_ids(project).values()))
    save_layout(project, ids, np.array([0, 1, 1, 1]), np.zeros((4, 2)), "ann")
    _, shown = proposed(project, (text, 1, 0.3), (text, 2, 0.1))
    assert queue(project, 1, "to decide", Filters(subset=1)) == [(text, shown)]
    assert queue(project, 1, "to decide", Filters(subset=0)) == []


def test_a_text_that_became_certain_is_no_longer_to_decide(reviewed):
    project, (text, *_) = reviewed
    (proposal,) = proposed(project, (text, 1, 0.3))
    close_round(project)
    reviewed_round(project, {text: (1, 0.97)})
    assert queue(project, 1, "to decide") == [(text, proposal)]
    assert queue(project, 2, "to decide") == []


def test_a_search_reads_the_reasons_of_what_was_decided(reviewed):
    project, (a, b, c, *_) = reviewed
    decide(project, a, "none", provenance=Provenance(reason="Asked FOR a voucher"))
    decide(project, b, "accept", label=1, provenance=Provenance(reason="plain"))
    decide(project, c, "reject", label=1, provenance=Provenance(reason="for no voucher"))
    undo(project)
    assert queue(project, 1, "decided", Filters(search=" for a VOUCHER ")) == [(a, None)]
    assert queue(project, 1, "random", Filters(search="voucher")) == []
    assert [text for text, _ in queue(project, 1, "decided")] == [b, a]
