"""Ask the judge about the most informative predictions, until no question is worth it (article step 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from red_core.judges import Judge
from red_core.judges.comparing import as_comparison
from red_core.judges.prompt import in_sequence
from red_core.judges.protocol import Candidates, Corrector
from red_core.records import Booleans, Label, Outcome, Progress, Project, Question, Round
from red_core.rounds.query_strategies import (
    STRATEGIES,
    Pairs,
    Query,
    analyst_chances,
    can_tell,
    comparisons_worth_asking,
    confirmations,
    judge_chances,
)
from red_core.rounds.scoring import ScoredPool
from red_core.rounds.weighing import Weighing
from red_core.settings import Settings
from red_core.steps.belief import beliefs
from red_core.steps.informative import RIVALS, AnswerChances, Questions, asked_columns, values_of
from red_core.steps.judge_reliability import is_useful
from red_core.store.attempts import settle_attempts
from red_core.store.database import connection
from red_core.store.decisions import decided, rejected
from red_core.store.judge_batches import open_judge_batches
from red_core.store.texts import contents
from red_core.store.vectors import load_vectors
from red_core.store.verdicts import (
    Proposed,
    add_proposals,
    add_verdicts,
    comparison_count,
    comparisons,
    proposals_of,
    verdicts,
)
from red_core.training import ValidSamples

FOR_ANALYST = "analyst"
"""The reason of a proposal that no judge is asked about: the analyst's answer is worth it."""


@dataclass(frozen=True)
class Asked:
    """What was asked in a round, and what is left.

    Attributes
    ----------
    questions, failed : int
        Questions to the judge, and those without an answer.
    worth_asking : int
        Texts that are still worth an answer of the analyst.
    worth_judging : int
        Questions that are still worth asking the judge; 0 if it cannot tell right from wrong labels.
    stopped : bool
        Whether the judge's cap of tokens ended the asking.
    """

    questions: int
    failed: int
    worth_asking: int
    worth_judging: int
    stopped: bool


@dataclass(frozen=True)
class Evidence:
    """What a question shows beside the text: labels in the order of the label ids, and valid samples."""

    embedding: str
    labels: Sequence[Label]
    samples: ValidSamples
    count: int
    """Valid samples shown of each label."""

    def beside(self, project: Project, scored: ScoredPool, batch: Questions) -> list[Question]:
        """Return each pair with its runner-up label and the nearest valid samples of both."""
        texts = scored.texts[batch.rows]
        vectors = load_vectors(project, self.embedding, texts)
        belief = beliefs(scored.kept.only(batch.rows))
        questions = []
        for number, (text, content) in enumerate(zip(texts.tolist(), contents(project, texts), strict=True)):
            label = int(batch.labels[number])
            likeliest = scored.kept.labels[batch.rows[number]]
            column = int(np.flatnonzero(likeliest == label)[0]) if label in likeliest else -1
            rivals = np.where(likeliest == label, -1.0, belief[number, : len(likeliest)])
            rival = int(likeliest[rivals.argmax()])
            question = Question(
                text, content, self.labels[label], self.labels[rival],
                self.samples.nearest(text, vectors[number], label, self.count),
                self.samples.nearest(text, vectors[number], rival, self.count),
                float(belief[number, column]) if column >= 0 else 0.0,
                float(rivals.max()), batch.reasons[number], float(batch.gains[number]),
            )  # fmt: skip
            questions.append(as_comparison(question) if question.reason == RIVALS else question)
        return questions

    def candidates(self, project: Project, text: int, labels: Sequence[int]) -> Candidates:
        """Return the labels at these indices with their samples nearest to a text."""
        vector = load_vectors(project, self.embedding, np.array([text]))[0]
        return [(self.labels[label], self.samples.nearest(text, vector, label, self.count)) for label in labels]


class Asking:
    """The questions of one round: which were asked, and which come next.

    The beliefs in ``scored`` change as replies come. The corrector, if there is one, chooses the next suggestion for a
    text whose last was found invalid; without it the beliefs choose.
    """

    def __init__(
        self, project: Project, current: Round, scored: ScoredPool, evidence: Evidence,
        judge: Judge, corrector: Corrector | None = None,
    ) -> None:  # fmt: skip
        self._project, self._round, self._scored = project, current.id, scored
        self._evidence, self._judge, self._corrector = evidence, judge, corrector
        self._settings = Settings.model_validate_json(current.settings)
        self._weighing = Weighing(scored, judge.rates.both_shares)
        self._strategy = STRATEGIES[self._settings.selection]
        self._closed: Pairs = set()
        self._compared: set[tuple[int, int, int]] = set()
        """Comparisons that are not asked again: (row, label index, label index), the smaller index first."""
        self._done: Counter[str] = Counter()
        self._expected = 0
        """Questions of the round in all, by the beliefs of now."""

    def ask_all(self, report: Progress) -> Asked:
        """Ask until no question is worth it or a cap is reached; report (questions asked, questions expected)."""
        self._closed = self._add_known_evidence()
        before = proposals_of(self._project, self._round)
        self._done = Counter(proposal.reason for proposal in before)
        pending = self._comparisons_under_way()
        self._done[RIVALS] = comparison_count(self._project, self._round) + len(pending)
        batch = self._unanswered(before, pending)
        failed, stopped = 0, False
        while self._useful:
            answered, lost = self._ask(batch, report)
            failed += lost
            stopped = answered < len(batch.rows)
            if stopped:
                break
            batch = self._corrected(batch)
            if not len(batch.rows):
                batch = self._next()
            if not len(batch.rows):
                break
            self._done.update(batch.reasons)
        return Asked(self._questions_asked, failed, self._queue_for_analyst(), self._worth_judging(), stopped)

    def not_for_the_judge(self) -> Booleans:
        """Return which candidates an LLM judge is not asked about again, shape (n, M)."""
        closed = self._pairs(rejected(self._project)) if self._judge.free else self._closed
        return asked_columns(self._scored.kept.labels, closed)

    @property
    def _useful(self) -> bool:
        """Whether the judge is worth its questions; it is not if its self-test shows too few bits in an answer."""
        return can_tell(self._judge.rates, self._settings)

    @property
    def _questions_asked(self) -> int:
        """The number of questions to the judge in this round."""
        return self._done.total() - self._done[FOR_ANALYST]

    def _worth_judging(self) -> int:
        """Return how many questions are still worth asking the judge."""
        if not self._useful:
            return 0
        return len(self._strategy.choose(self._query(self._closed), len(self._scored.texts)).rows)

    def _queue_for_analyst(self) -> int:
        """Store the texts that are worth the analyst's answer and were not proposed yet; return how many are worth it.

        A verdict does not close a pair for the analyst, only a rejection does.
        """
        by_value = self._settings.selection == "value"
        closed = self._pairs(rejected(self._project)) if by_value or self._judge.free else self._closed
        worth = self._strategy.choose(self._query(closed, analyst_chances(self._settings)), len(self._scored.texts))
        proposed = {(p.text, p.label) for p in proposals_of(self._project, self._round)}
        texts, labels = self._scored.texts[worth.rows], self._scored.label_ids[worth.labels]
        new = [pair not in proposed for pair in zip(texts.tolist(), labels.tolist(), strict=True)]
        batch = worth.only(np.flatnonzero(new)[: self._settings.most_questions])
        if by_value and not self._judge.free:  # a free judge was asked about all of them
            batch = replace(batch, reasons=(FOR_ANALYST,) * len(batch.rows))
            add_proposals(self._project, self._round, self._evidence.beside(self._project, self._scored, batch))
        return len(worth.rows)

    def _query(self, closed: Pairs, chances: AnswerChances | None = None) -> Query:
        """Return what a strategy chooses from; where the judge is free, the analyst's answer is what counts."""
        fixed = np.array(list(decided(self._project)), dtype=np.int64)
        if chances is not None or self._judge.free:
            return Query(self._scored, self._settings, chances or analyst_chances(self._settings), fixed, closed)
        rates = self._judge.rates
        chances = judge_chances(rates) if is_useful(rates, self._settings.least_bits) else None
        compared = comparisons_worth_asking(rates, self._settings, self._compared)
        return Query(self._scored, self._settings, chances, fixed, closed, compared)

    def _next(self) -> Questions:
        """Return what is worth asking next, then what a free judge may confirm; empty at the end."""
        finished = self._strategy.once and self._done[self._settings.selection] > 0
        chosen = self._strategy.choose(self._query(self._closed), 0 if finished else self._room())
        if not len(chosen.rows) and self._judge.free:
            left = max(0, self._settings.most_confirmations - self._done["confirm"])
            chosen = confirmations(self._query(self._closed), left)
        now = chosen.only(np.arange(min(len(chosen.rows), self._settings.questions_at_once)))
        if "confirm" in chosen.reasons:  # their answers do not change which ones come next
            now = chosen
        self._expected = self._questions_asked + len((now if self._strategy.once else chosen).rows)
        return now

    def _room(self) -> int:
        """Return how many more questions the round may ask; confirmations have a cap of their own."""
        asked = sum(self._done[reason] for reason in (self._settings.selection, RIVALS, "correction"))
        return max(0, self._settings.most_questions - asked)

    def _corrected(self, batch: Questions) -> Questions:
        """Let the judge choose the next suggestion of texts in the batch whose last was found invalid."""
        items: list[tuple[str, Candidates]] = []
        choices: list[tuple[int, list[int]]] = []
        pairs: list[tuple[int, int]] = []
        if self._corrector is not None:
            for row, text in self._found_invalid(batch)[: self._room()]:
                labels = [label for label in self._scored.kept.labels[row].tolist() if (row, label) not in self._closed]
                labels = labels[: self._settings.corrections]
                if labels:
                    content = contents(self._project, np.array([text]))[0]
                    items.append((content, self._evidence.candidates(self._project, text, labels)))
                    choices.append((row, labels))
            for group in self._corrector.corrections(items):
                settle_attempts(self._project, [attempt for _, reply in group for attempt in reply.attempts])
                pairs += [
                    (choices[index][0], choices[index][1][reply.chosen])
                    for index, reply in group
                    if reply.chosen is not None
                ]
        chosen = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
        gains = np.zeros(len(chosen), dtype=np.float32)
        return Questions(chosen[:, 0], chosen[:, 1], gains, ("correction",) * len(chosen))

    def _found_invalid(self, batch: Questions) -> list[tuple[int, int]]:
        """Return (row, text) of the batch's pairs that were found invalid; a comparison finds none."""
        batch = batch.only(np.flatnonzero(np.array(batch.reasons) != RIVALS))
        invalid = {(v.text, v.label) for v in verdicts(self._project) if v.outcome == "invalid" and not v.stale}
        texts = self._scored.texts[batch.rows].tolist()
        labels = [self._evidence.labels[label].id for label in batch.labels.tolist()]
        return [
            (row, text)
            for row, text, label in zip(batch.rows.tolist(), texts, labels, strict=True)
            if (text, label) in invalid
        ]

    def _add_known_evidence(self) -> Pairs:
        """Add stored verdicts and rejections to the beliefs; return the pairs that they close."""
        known, ruled_out = [v for v in verdicts(self._project) if not v.stale], rejected(self._project)
        for verdict in known:
            self._weighing.add(verdict.judge, verdict.text, verdict.label, verdict.log_likelihood_ratio)
        for text, label in ruled_out:
            self._scored.add(text, label, -np.inf)
        for c in comparisons(self._project):
            if not c.stale:
                sides = (c.label, c.toward_label), (c.rival, c.toward_rival)
                self._weighing.add_comparison(c.judge, c.text, *sides)
                if c.judge == self._judge.name:
                    self._close_comparison(c.text, c.label, c.rival)
        answered = {(p.text, p.label) for p in proposals_of(self._project, self._round) if p.answered}
        closed = self._pairs(ruled_out | answered)  # a suggestion of a round has one verdict, whoever gave it
        for verdict in known:
            if verdict.judge == self._judge.name:  # this judge may still be asked what another one answered
                closed |= self._closed_by(verdict.text, verdict.label, verdict.outcome)
        return closed

    def _close_comparison(self, text: int, label: int, rival: int) -> None:
        row = self._scored.row_of(text)
        if row is not None:
            first, second = sorted((self._scored.index_of(label), self._scored.index_of(rival)))
            self._compared.add((row, first, second))

    def _closed_by(self, text: int, label: int, outcome: Outcome) -> Pairs:
        """Return the pairs that an answer closes.

        *Invalid*, and *valid* from a judge that costs, close their own pair: a rival may still be worth a question.
        Every other outcome closes all pairs of the text: the analyst decides, or a free judge has settled it.
        """
        row = self._scored.row_of(text)
        if row is None:
            return set()
        pair = {(row, self._scored.index_of(label))}
        if outcome == "invalid" or (outcome == "valid" and not self._judge.free):
            return pair
        return pair | {(row, index) for index in self._scored.kept.labels[row].tolist()}

    def _pairs(self, pairs: set[tuple[int, int]]) -> Pairs:
        """Return (row, label index) of those (text, label id) pairs whose text is in the pool."""
        rows = ((self._scored.row_of(text), self._scored.index_of(label)) for text, label in pairs)
        return {(row, index) for row, index in rows if row is not None}

    def _comparisons_under_way(self) -> list[tuple[int, int]]:
        """Return (text, label) of the comparisons in batches that were begun before a crash."""
        begun = open_judge_batches(self._project, self._judge.name, self._round)
        requests = [request for batch in begun for request in batch.requests if request.rival is not None]
        known = {(c.text, frozenset((c.label, c.rival))) for c in comparisons(self._project)}
        return [
            (r.text, r.label)
            for r in requests
            if (r.text, frozenset((r.label, r.rival))) not in known and self._scored.row_of(r.text) is not None
        ]

    def _unanswered(self, proposals: Sequence[Proposed], pending: Sequence[tuple[int, int]]) -> Questions:
        """Return the questions of this round without an answer, after a crash or a failed request."""
        in_pool = [
            p
            for p in proposals
            if not p.answered and p.reason != FOR_ANALYST and self._scored.row_of(p.text) is not None
        ]
        pairs = [(p.text, p.label) for p in in_pool] + list(pending)
        return Questions(
            np.array([self._scored.row_of(text) for text, _ in pairs], dtype=np.int64),
            np.array([self._scored.index_of(label) for _, label in pairs], dtype=np.int64),
            np.array([p.gain for p in in_pool] + [0.0] * len(pending), dtype=np.float32),
            tuple(p.reason for p in in_pool) + (RIVALS,) * len(pending),
        )

    def _with_analysts_gains(self, batch: Questions) -> Questions:
        """Return the batch with the gain of the analyst's answer, by which the review queue is ordered.

        What a judge's answer is worth only chooses the questions.
        """
        if self._settings.selection != "value":
            return batch
        gains = values_of(self._scored.kept, batch.rows, batch.labels, analyst_chances(self._settings))
        return replace(batch, gains=np.where(np.array(batch.reasons) == "value", gains, 0.0).astype(np.float32))

    def _ask(self, batch: Questions, report: Progress) -> tuple[int, int]:
        """Ask one batch and store every group of replies before the next; return the numbers answered and failed."""
        earlier, expected = self._questions_asked - len(batch.rows), max(self._expected, self._questions_asked)
        report(earlier, expected)
        questions = self._evidence.beside(self._project, self._scored, self._with_analysts_gains(batch))
        about_one = [q for q in questions if not q.compares]
        proposed = add_proposals(self._project, self._round, about_one)
        ids = {(q.text, q.label.id): id_ for q, id_ in zip(about_one, proposed, strict=True)}
        answered, failed, order = 0, 0, self._order(questions)
        with connection(self._project):  # while one is open, closing the others does not checkpoint the log
            for came in self._judge.answers([questions[index] for index in order]):
                group = [(order[place], answer) for place, answer in came]
                if group:  # empty while a slow judge thinks
                    told = [(questions[index], answer) for index, answer in group]
                    answers = [(ids[q.text, q.label.id], a) for q, a in told if not q.compares]
                    compared = [(self._round, q, a) for q, a in told if q.compares]
                    add_verdicts(self._project, self._judge.name, answers, compared)
                for index, answer in group:
                    question = questions[index]
                    failed += answer.outcome == "failed"
                    if question.compares:
                        label, rival = question.label.id, question.runner_up.id
                        self._close_comparison(question.text, label, rival)
                        sides = (label, answer.log_likelihood_ratio), (rival, answer.toward_rival)
                        self._weighing.add_comparison(self._judge.name, question.text, *sides)
                        continue
                    self._closed.add((int(batch.rows[index]), int(batch.labels[index])))
                    if answer.outcome != "failed":
                        ratio = answer.log_likelihood_ratio
                        self._weighing.add(self._judge.name, question.text, question.label.id, ratio)
                        self._closed |= self._closed_by(question.text, question.label.id, answer.outcome)
                answered += len(group)
                report(earlier + answered, expected)
        return answered, failed

    def _order(self, questions: Sequence[Question]) -> list[int]:
        """Return in which order a server is asked: what begins alike in sequence.

        A cap of tokens can end the batch. Then the order decides what is asked, and the most valuable questions come
        first. The order changes no answer.
        """
        capped = self._settings.most_tokens is not None or self._settings.most_tokens_project is not None
        return list(range(len(questions))) if capped or self._judge.free else in_sequence(questions)
