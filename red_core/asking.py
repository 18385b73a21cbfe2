"""Article step 3 on a project: select the informative predictions and ask the judge, until nothing is worth asking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from red_core.evidence import ValidSamples
from red_core.judges.protocol import Judge
from red_core.records import Label, Project, Question, Round
from red_core.scoring import ScoredPool
from red_core.settings import Settings
from red_core.steps.belief import beliefs
from red_core.steps.informative import Questions, most_uncertain, most_valuable
from red_core.store.decisions import decided, rejected
from red_core.store.texts import contents
from red_core.store.vectors import load_vectors
from red_core.store.verdicts import add_proposals, add_verdicts, proposals_of, verdicts

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Asking:
    """Everything a round's asking needs; ``labels`` in the order of ``scored.label_ids``."""

    project: Project
    current: Round
    settings: Settings
    embedding: str
    labels: Sequence[Label]
    scored: ScoredPool
    samples: ValidSamples
    judge: Judge


@dataclass(frozen=True)
class Asked:
    """How the asking went: questions put in the round, those that failed, and those still worth asking."""

    questions: int
    failed: int
    worth_asking: int


def ask_all(asking: Asking, report: Report) -> Asked:
    """Ask until no question is worth it or the cap is reached; the beliefs in ``asking.scored`` grow as replies come."""
    scored, settings = asking.scored, asking.settings
    asked = _add_what_is_known(asking)
    before = proposals_of(asking.project, asking.current.id)
    done, failed = len(before), 0
    left_over = [p for p in before if not p.answered]  # a crash or a failed call came between
    batch = _as_questions(scored, [(p.text, p.label, p.gain) for p in left_over])
    report(done - len(left_over), settings.most_questions)
    while True:
        if not len(batch.rows):
            room = min(settings.questions_at_once, settings.most_questions - done)
            if room <= 0 or (settings.selection == "entropy" and done):
                break
            batch = select(asking, asked, room)
            if not len(batch.rows):
                break
            done += len(batch.rows)
        earlier = done - len(batch.rows)
        failed += _ask(asking, batch, earlier, report)
        asked |= set(zip(batch.rows.tolist(), batch.labels.tolist(), strict=True))
        batch = Questions(batch.rows[:0], batch.labels[:0], batch.gains[:0])
    return Asked(done, failed, len(select(asking, asked, len(scored.texts)).rows))


def select(asking: Asking, asked: set[tuple[int, int]], most: int) -> Questions:
    """Return the next questions, by the rule the settings name; never a pair in ``asked``, never a decided text."""
    scored, settings = asking.scored, asking.settings
    fixed = np.isin(scored.texts, list(decided(asking.project)))
    if settings.selection == "entropy":
        if scored.predictions is None:
            raise ValueError("selection by entropy needs the pool scored with entropy")
        chosen = most_uncertain(scored.predictions, settings.questions_per_subset, asked)
        open_ = ~fixed[chosen.rows]
        return Questions(chosen.rows[open_][:most], chosen.labels[open_][:most], chosen.gains[open_][:most])
    rates = asking.judge.rates
    kinds = sorted(set(rates.right) | set(rates.wrong))
    return most_valuable(
        scored.kept,
        np.flatnonzero(~fixed),
        np.array([rates.right.get(kind, 0.0) for kind in kinds]),
        np.array([rates.wrong.get(kind, 0.0) for kind in kinds]),
        least_gain=settings.least_gain,
        most=most,
        asked=asked,
    )


def _add_what_is_known(asking: Asking) -> set[tuple[int, int]]:
    """Add stored verdicts and rejections to the beliefs; return their (row, label place) pairs."""
    scored = asking.scored
    pairs = [(v.text, v.label) for v in verdicts(asking.project)]
    for verdict in verdicts(asking.project):
        scored.add(verdict.text, verdict.label, verdict.log_likelihood_ratio)
    for text, label in rejected(asking.project):
        scored.add(text, label, -np.inf)
        pairs.append((text, label))
    rows = ((scored.row_of(text), scored.place_of(label)) for text, label in pairs)
    return {(row, place) for row, place in rows if row is not None}


def _as_questions(scored: ScoredPool, pairs: Sequence[tuple[int, int, float]]) -> Questions:
    known = [(scored.row_of(text), scored.place_of(label), gain) for text, label, gain in pairs]
    there = [(row, place, gain) for row, place, gain in known if row is not None]
    return Questions(
        np.array([row for row, _, _ in there], dtype=np.int64),
        np.array([place for _, place, _ in there], dtype=np.int64),
        np.array([gain for _, _, gain in there], dtype=np.float32),
    )


def _ask(asking: Asking, batch: Questions, earlier: int, report: Report) -> int:
    """Ask one batch, storing every group of replies before the next; return how many failed."""
    questions = _with_evidence(asking, batch)
    ids = add_proposals(asking.project, asking.current.id, questions)
    done = failed = 0
    for group in asking.judge.answers(questions):
        add_verdicts(asking.project, asking.judge.name, [(ids[place], answer) for place, answer in group])
        for place, answer in group:
            if answer.outcome == "failed":
                failed += 1
            else:
                question = questions[place]
                asking.scored.add(question.text, question.label.id, answer.log_likelihood_ratio)
        done += len(group)
        report(earlier + done, asking.settings.most_questions)
    return failed


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
                float(rivals[rival]), asking.settings.selection, float(batch.gains[number]),
            )
        )  # fmt: skip
    return questions
