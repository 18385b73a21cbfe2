"""Article step 3 on a project: select the informative predictions and ask the judge, until nothing is worth asking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from red_core.judges import Judge
from red_core.judges.protocol import Candidates, Corrector
from red_core.records import JudgeRates, Label, Outcome, Progress, Project, Question, Round
from red_core.rounds.scoring import ScoredPool
from red_core.settings import Settings
from red_core.steps.belief import beliefs
from red_core.steps.informative import Questions, most_uncertain, most_valuable
from red_core.store.attempts import settle_attempts
from red_core.store.database import connection
from red_core.store.decisions import decided, rejected
from red_core.store.texts import contents
from red_core.store.vectors import load_vectors
from red_core.store.verdicts import Proposed, add_proposals, add_verdicts, proposals_of, verdicts
from red_core.training import ValidSamples


@dataclass(frozen=True)
class Asking:
    """Everything a round's asking needs; ``labels`` in the order of ``scored.label_ids``.

    ``correct`` chooses the next proposal of a text whose last was found invalid; None leaves it to the beliefs.
    """

    project: Project
    current: Round
    settings: Settings
    embedding: str
    labels: Sequence[Label]
    scored: ScoredPool
    samples: ValidSamples
    judge: Judge
    correct: Corrector | None = None


@dataclass(frozen=True)
class Asked:
    """How the asking went: questions put in the round, those that failed, those still worth asking.

    ``stopped`` says that the judge's budget ended it.
    """

    questions: int
    failed: int
    worth_asking: int
    stopped: bool


def ask_all(asking: Asking, report: Progress) -> Asked:
    """Ask until no question is worth it or a cap is reached; the beliefs in ``asking.scored`` grow as replies come."""
    asked = _add_what_is_known(asking)
    before = proposals_of(asking.project, asking.current.id)
    done = Counter(p.reason for p in before)
    batch = _as_questions(asking.scored, [p for p in before if not p.answered])  # a crash or a failed call came between
    failed = 0
    while True:
        dealt_with, lost = _ask(asking, batch, asked, done.total() - len(batch.rows), report)
        failed += lost
        stopped = dealt_with < len(batch.rows)
        if stopped:
            break
        batch = _corrected(asking, batch, asked, _room(asking, done))
        if not len(batch.rows):
            batch = _next(asking, asked, done)
        if not len(batch.rows):
            break
        done.update(batch.reasons)
    # What the evidence check answered is still worth an analyst's answer.
    answered = _pairs(asking.scored, rejected(asking.project)) if asking.judge.free else asked
    worth = len(select(asking, answered, len(asking.scored.texts)).rows)
    return Asked(done.total(), failed, worth, stopped)


def _next(asking: Asking, asked: set[tuple[int, int]], done: Counter[str]) -> Questions:
    """Return what is worth asking next, then what a judge that costs nothing may confirm; empty at the end."""
    settings = asking.settings
    once = settings.selection == "entropy" and done["entropy"] > 0  # the article takes each classifier's k once a round
    chosen = select(asking, asked, 0 if once else min(settings.questions_at_once, _room(asking, done)))
    if len(chosen.rows) or not asking.judge.free:
        return chosen
    return _confident(asking, asked, max(0, settings.most_confirmations - done["confirm"]))


def _room(asking: Asking, done: Counter[str]) -> int:
    """Return how many questions the round may still ask; confirmations have a cap of their own."""
    return max(0, asking.settings.most_questions - done[asking.settings.selection] - done["correction"])


def _corrected(asking: Asking, batch: Questions, asked: set[tuple[int, int]], most: int) -> Questions:
    """Let the judge choose the next proposal of at most ``most`` texts of the batch whose last it found invalid."""
    items: list[tuple[str, Candidates]] = []
    open_places: list[tuple[int, list[int]]] = []
    for row, text in _found_invalid(asking, batch)[:most] if asking.correct is not None else ():
        places = [place for place in asking.scored.kept.labels[row].tolist() if (row, place) not in asked]
        places = places[: asking.settings.corrections]
        if places:
            items.append((contents(asking.project, np.array([text]))[0], _candidates(asking, text, places)))
            open_places.append((row, places))
    pairs = []
    for group in asking.correct(items) if asking.correct is not None else ():
        settle_attempts(asking.project, [attempt for _, choice in group for attempt in choice.attempts])
        for at, choice in group:
            if choice.chosen is not None:
                row, places = open_places[at]
                pairs.append((row, places[choice.chosen]))
    chosen = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    return Questions(chosen[:, 0], chosen[:, 1], np.zeros(len(chosen), dtype=np.float32), ("correction",) * len(chosen))


def _found_invalid(asking: Asking, batch: Questions) -> list[tuple[int, int]]:
    """Return row and text of the batch's pairs that were found invalid."""
    invalid = {(v.text, v.label) for v in verdicts(asking.project) if v.outcome == "invalid" and not v.stale}
    texts = asking.scored.texts[batch.rows].tolist()
    labels = [asking.labels[place].id for place in batch.labels.tolist()]
    return [
        (row, text)
        for row, text, label in zip(batch.rows.tolist(), texts, labels, strict=True)
        if (text, label) in invalid
    ]


def _candidates(asking: Asking, text: int, places: Sequence[int]) -> Candidates:
    """Return the labels at these places with their samples nearest to a text."""
    vector = load_vectors(asking.project, asking.embedding, np.array([text]))[0]
    shown = asking.settings.examples_shown
    return [(asking.labels[place], asking.samples.nearest(text, vector, place, shown)) for place in places]


def _confident(asking: Asking, asked: set[tuple[int, int]], most: int) -> Questions:
    """Return the best labels of texts sure enough to feed back, the least sure first; never a pair in ``asked``."""
    scored = asking.scored
    belief = beliefs(scored.kept)
    place = scored.kept.labels[:, 0]
    sure = belief[:, 0] >= asking.settings.feed_back_belief
    sure &= ~np.isin(scored.texts, list(decided(asking.project)))
    order = np.argsort(belief[:, 0], kind="stable")
    rows = [row for row in order[sure[order]].tolist() if (row, int(place[row])) not in asked][:most]
    chosen = np.array(rows, dtype=np.int64)
    return Questions(chosen, place[chosen], np.zeros(len(chosen), dtype=np.float32), ("confirm",) * len(chosen))


def select(asking: Asking, asked: set[tuple[int, int]], most: int) -> Questions:
    """Return the next questions, by the rule the settings name; never a pair in ``asked``, never a decided text."""
    scored, settings = asking.scored, asking.settings
    fixed = np.isin(scored.texts, list(decided(asking.project)))
    if settings.selection == "entropy":
        if scored.predictions is None:
            raise ValueError("selection by entropy needs the pool scored with entropy")
        chosen = most_uncertain(scored.predictions, settings.questions_per_subset, asked)
        open_ = ~fixed[chosen.rows]
        return chosen.only(np.flatnonzero(open_)[:most])
    rates = _analyst_rates(settings.analyst_right) if asking.judge.free else asking.judge.rates
    kinds = sorted(set(rates.right) | set(rates.wrong))
    return most_valuable(
        scored.kept,
        np.flatnonzero(~fixed),
        np.array([rates.right.get(kind, 0.0) for kind in kinds]),
        np.array([rates.wrong.get(kind, 0.0) for kind in kinds]),
        least_gain=settings.least_gain,
        most=most,
        asked=asked,
        rejected=kinds.index("invalid") if "invalid" in kinds else None,
    )


def _add_what_is_known(asking: Asking) -> set[tuple[int, int]]:
    """Add stored verdicts and rejections to the beliefs; return their (row, label place) pairs."""
    known, ruled_out = [v for v in verdicts(asking.project) if not v.stale], rejected(asking.project)
    for verdict in known:
        asking.scored.add(verdict.text, verdict.label, verdict.log_likelihood_ratio)
    for text, label in ruled_out:
        asking.scored.add(text, label, -np.inf)
    asked = _pairs(asking.scored, ruled_out)
    for verdict in known:
        if verdict.judge == asking.judge.name:  # another judge's answer does not keep this one from being asked
            asked |= _closed(asking, verdict.text, verdict.label, verdict.outcome)
    return asked


def _closed(asking: Asking, text: int, label: int, outcome: Outcome) -> set[tuple[int, int]]:
    """Return the pairs an answer closes: its own, so that a rival may still be asked about where that is worth it.

    What the judge could not answer is the analyst's; and what a judge that costs nothing calls valid is settled.
    """
    scored = asking.scored
    row = scored.row_of(text)
    if row is None:
        return set()
    pair = {(row, scored.place_of(label))}
    if outcome == "invalid" or (outcome == "valid" and not asking.judge.free):
        return pair
    return pair | {(row, place) for place in scored.kept.labels[row].tolist()}


def _pairs(scored: ScoredPool, pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return (row, label place) of the (text, label id) pairs that are in the pool."""
    rows = ((scored.row_of(text), scored.place_of(label)) for text, label in pairs)
    return {(row, place) for row, place in rows if row is not None}


def _analyst_rates(right: float) -> JudgeRates:
    """Return the rates that choose questions where the judge costs nothing: the analyst will answer them."""
    return JudgeRates({"valid": right, "invalid": 1 - right}, {"valid": 1 - right, "invalid": right}, 0)


def _as_questions(scored: ScoredPool, proposals: Sequence[Proposed]) -> Questions:
    there = [p for p in proposals if scored.row_of(p.text) is not None]
    return Questions(
        np.array([scored.row_of(p.text) for p in there], dtype=np.int64),
        np.array([scored.place_of(p.label) for p in there], dtype=np.int64),
        np.array([p.gain for p in there], dtype=np.float32),
        tuple(p.reason for p in there),
    )


def _ask(
    asking: Asking, batch: Questions, asked: set[tuple[int, int]], earlier: int, report: Progress
) -> tuple[int, int]:
    """Ask one batch, storing every group of replies before the next; add to ``asked``.

    Return how many questions were dealt with, and how many of them failed.
    """
    report(earlier, asking.settings.most_questions)
    questions = _with_evidence(asking, batch)
    ids = add_proposals(asking.project, asking.current.id, questions)
    done = failed = 0
    with connection(asking.project):  # while one is open, the others close without copying the log into the database
        for group in asking.judge.answers(questions):
            if not group:  # a judge that takes its time
                report(earlier + done, asking.settings.most_questions)
                continue
            add_verdicts(asking.project, asking.judge.name, [(ids[place], answer) for place, answer in group])
            for place, answer in group:
                question = questions[place]
                asked.add((int(batch.rows[place]), int(batch.labels[place])))
                if answer.outcome == "failed":
                    failed += 1
                else:
                    asking.scored.add(question.text, question.label.id, answer.log_likelihood_ratio)
                    asked |= _closed(asking, question.text, question.label.id, answer.outcome)
            done += len(group)
            report(earlier + done, asking.settings.most_questions)
    return done, failed


def _with_evidence(asking: Asking, batch: Questions) -> list[Question]:
    """Put beside each pair its runner-up and the nearest valid samples of both labels."""
    scored, shown = asking.scored, asking.settings.examples_shown
    texts = scored.texts[batch.rows]
    vectors = load_vectors(asking.project, asking.embedding, texts)
    belief = beliefs(scored.kept.only(batch.rows))
    questions = []
    for number, (text, content) in enumerate(zip(texts.tolist(), contents(asking.project, texts), strict=True)):
        label = int(batch.labels[number])
        own = scored.kept.labels[batch.rows[number]]
        place = int(np.flatnonzero(own == label)[0]) if label in own else -1
        rivals = np.where(own == label, -1.0, belief[number, : len(own)])
        rival = int(rivals.argmax())
        questions.append(
            Question(
                text, content, asking.labels[label], asking.labels[int(own[rival])],
                asking.samples.nearest(text, vectors[number], label, shown),
                asking.samples.nearest(text, vectors[number], int(own[rival]), shown),
                float(belief[number, place]) if place >= 0 else 0.0,
                float(rivals[rival]), batch.reasons[number], float(batch.gains[number]),
            )
        )  # fmt: skip
    return questions
