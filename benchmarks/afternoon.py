"""From ten examples a label to a certificate: ``python -m benchmarks.afternoon DATA.csv[.gz] ...`` (text,label).

Plays the whole way through the doors of the product: the import of two files, rounds with a simulated judge, feed-back,
the key presses of a simulated analyst as the app advises them, the blind audit, the certificate, the export. Prints a
ledger per data set and seed: rounds, questions, tokens, money, decisions, audits, hours, and the estimated, measured,
certified and true accuracy. The simulated analyst errs and skips, at the desk and in the audit, and takes time; so does
the judge. Only the vectors are there before: embedding is measured by ``benchmarks.speed``.
"""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.quality import add_vectors, fed_back
from benchmarks.trial import NOTHING, Draw, ProbableJudge, SimulatedJudge, add_judge_options, composed, draw
from red_core.data.importing import import_files
from red_core.judges.prompt import ANSWER, CRITERIA, INSTRUCTIONS, TASK, prompt_of
from red_core.records import NONE_OF_THESE, Answer, Project, Question, Round
from red_core.results.exports import export
from red_core.review import summary
from red_core.review.audits import deal, set_target
from red_core.review.desk import apply_key_press
from red_core.review.outlook import work_to_certify
from red_core.review.presses import AuditKeyPress, KeyPress
from red_core.rounds import run_round
from red_core.rounds.plan import plan
from red_core.settings import RECOMMENDED
from red_core.store.audits import best_labels
from red_core.store.database import connection, open_project
from red_core.store.desk import queue, queue_counts
from red_core.store.labels import list_labels
from red_core.store.texts import seeds, truths

WHO = "analyst"
CHARACTERS_PER_TOKEN, TOKENS_PER_ANSWER = 4.0, 4
SAID_ALWAYS = "\n".join([TASK, INSTRUCTIONS, *CRITERIA.values(), ANSWER])
ROUNDS = 12
CARDS = 10


@dataclass
class Ledger:
    """What one afternoon took and what it gave; its fields are the JSON fields and the lines of the table."""

    data: str
    seed: int
    labels: int
    texts: int
    rounds: int = 0
    questions: int = 0
    questions_per_text: float = 0.0
    tokens: int = 0
    dollars: float = 0.0
    decisions: int = 0
    audits: int = 0
    analyst_hours: float = 0.0
    machine_minutes: float = 0.0
    processor_minutes: float = 0.0
    accuracy_alone: float = 0.0
    estimated: float = 0.0
    measured: float | None = None
    true: float = 0.0
    certified: float | None = None
    covers: float = 0.0
    true_of_covered: float | None = None
    none_of_these: int = 0
    left_to_decide: int = 0
    exported: int = 0


class CountingJudge(SimulatedJudge):
    """The simulated judge; it also counts the characters of the questions, as the LLM judge would send them."""

    characters = 0

    def _answer(self, question: Question) -> Answer:
        self.characters += len(SAID_ALWAYS) + len(prompt_of(question).message)
        return super()._answer(question)


def _judge(drawn: Draw, options: argparse.Namespace) -> CountingJudge | ProbableJudge:
    return CountingJudge(drawn, options) if options.judge_auc is None else ProbableJudge(drawn, options)


class Analyst:
    """Presses keys at the desk and in the audit, with errors and with a pace.

    An error takes the likelier wrong label of the card. The seconds of an answer are log-normal around the median.
    """

    def __init__(self, project: Project, seed: int, options: argparse.Namespace) -> None:
        self.project, self.options = project, options
        self.rng = np.random.default_rng([seed, 77])
        numbers = {label.name: label.id for label in list_labels(project)}
        self.truth = {text: numbers.get(name, NONE_OF_THESE) for text, name in truths(project).items()}
        self.truth |= dict(zip(*(column.tolist() for column in seeds(project)), strict=True))  # for control texts
        self.seconds = 0.0

    def _answer(self, text: int) -> int:
        """Return the label that the analyst gives; NONE_OF_THESE for none."""
        true = self.truth[text]
        if self.rng.random() >= self.options.analyst_error:
            return true
        wrong = [label for label in best_labels(self.project, [text]).get(text, []) if label != true]
        return wrong[0] if wrong else true

    def _time(self, median: float) -> float:
        taken = float(self.rng.lognormal(np.log(median), 0.5))
        self.seconds += taken
        return taken

    def decide(self, last: Round, most: int, name: str = "to decide") -> int:
        """Decide the first texts of a queue; return how many."""
        items = queue(self.project, last.id, name, who=WHO, longest=most)[:most] if most else []
        for text, proposal in items:
            taken, label = self._time(self.options.seconds_a_decision), self._answer(text)
            if self.rng.random() < self.options.analyst_skips:
                label = None
            self._press(KeyPress, {"text": text, "proposal": proposal, "seconds": taken}, label, "relabel", "skip")
        return len(items)

    def audit(self, most: int) -> int:
        """Answer blind audits until the certificate for all texts is given, or until ``most``; return how many."""
        answered = 0
        while answered < most and summary(self.project).certificate is None:
            cards = deal(self.project, who=WHO, count=min(CARDS, most - answered), rng=self.rng)
            if not cards:
                break
            for card in cards:
                taken, label = self._time(self.options.seconds_an_audit), self._answer(card.text)
                self._press(AuditKeyPress, {"audit": card.audit, "seconds": taken}, label, "label", "cannot tell")
            answered += len(cards)
        return answered

    def _press(
        self, press: type[KeyPress | AuditKeyPress], asked: dict[str, Any], label: int | None, kind: str, no_answer: str
    ) -> None:
        """Press the key that gives a label, *none of these*, or no answer."""
        given: dict[str, Any] = {"kind": kind, "label": label}
        if label is None or label == NONE_OF_THESE:
            given = {"kind": no_answer if label is None else "none"}
        outcome = apply_key_press(
            self.project, press.model_validate({"id": secrets.token_hex(16)} | asked | given), who=WHO
        )
        assert not outcome.refused, outcome.refused


def afternoon(drawn: Draw, options: argparse.Namespace) -> Ledger:
    """Play one afternoon and return its ledger."""
    begun, used = time.perf_counter(), time.process_time()
    ledger = Ledger(drawn.data, drawn.seed, len(drawn.names), len(drawn.truth))
    with tempfile.TemporaryDirectory() as folder:
        project, judge = imported(drawn, Path(folder)), _judge(drawn, options)
        set_target(project, options.target)
        analyst = Analyst(project, drawn.seed, options)
        last = _rounds(project, judge, analyst, ledger, options)
        ledger.audits = analyst.audit(options.most_answers - ledger.decisions)
        _read(project, last, ledger)
        ledger.exported = export(project, Path(folder) / "labels.jsonl")
    ledger.questions, ledger.questions_per_text = judge.asked, round(judge.asked / ledger.texts, 3)
    tokens_in = judge.tokens if isinstance(judge, ProbableJudge) else judge.characters / CHARACTERS_PER_TOKEN
    tokens_out = judge.asked * TOKENS_PER_ANSWER
    ledger.tokens = round(tokens_in + tokens_out)
    ledger.dollars = round((tokens_in * options.prices[0] + tokens_out * options.prices[1]) / 1e6, 3)
    ledger.analyst_hours = round(analyst.seconds / 3600, 2)
    ledger.machine_minutes = round((time.perf_counter() - begun) / 60, 1)
    ledger.processor_minutes = round((time.process_time() - used) / 60, 1)
    return ledger


def imported(drawn: Draw, folder: Path) -> Project:
    """Import the draw as two files, and store its vectors."""
    files = {"seeds": folder / "seeds.csv", "pool": folder / "pool.csv"}
    names = [drawn.names[label] for label in drawn.seed_labels.tolist()]
    pd.DataFrame({"text": drawn.seed_texts, "label": names}).to_csv(files["seeds"], index=False)
    pd.DataFrame({"text": drawn.pool_texts}).to_csv(files["pool"], index=False)
    truth = {
        text: drawn.names[label] if label >= 0 else NOTHING
        for text, label in zip(drawn.pool_texts, drawn.truth.tolist(), strict=True)
    }
    import_files(folder / "workspace", "afternoon", files["seeds"], files["pool"], label_column="label", truth=truth)
    project = open_project(folder / "workspace", "afternoon")
    add_vectors(project, drawn)
    return project


def _rounds(
    project: Project, judge: SimulatedJudge, analyst: Analyst, ledger: Ledger, options: argparse.Namespace
) -> Round:
    """Run rounds, and decide texts, as the app advises: until a certificate takes few answers or nothing is left."""
    cap = round(options.questions * ledger.texts)
    while True:
        first = ledger.rounds == 0
        room = cap - judge.asked - (2 * RECOMMENDED.self_test_seeds if first else 0)
        most = max(0, min(room, round(options.questions_a_round * ledger.texts)))
        settings = RECOMMENDED.model_copy(update=options.changes | {"most_questions": most})
        done = run_round(project, settings, make_judge=judge.tested)
        ledger.rounds += 1
        if first:
            ledger.accuracy_alone = round(done.metrics["true_alone"], 4)
        forecast, work = plan(project), work_to_certify(project)
        reached = forecast is not None and forecast.reached and work is not None
        spent = judge.asked >= cap or not done.metrics["worth_judging"]
        left = options.most_decisions - ledger.decisions
        if reached and work is not None and (spent or sum(work) <= options.few_answers):
            ledger.decisions += analyst.decide(done, min(left, work[0]), "low belief")
            return done
        if ledger.rounds == ROUNDS or (spent and not left):
            return done
        if spent:
            ledger.decisions += analyst.decide(done, min(left, options.decisions_a_round))
        fed_back(project)


def _read(project: Project, last: Round, ledger: Ledger) -> None:
    """Read what the screens show at the end, and compare it with the truth."""
    result, forecast = summary(project), plan(project)
    ledger.none_of_these = last.metrics["none_of_these"]
    ledger.left_to_decide = queue_counts(project, last.id)["to decide"]
    ledger.estimated = round(forecast.now if forecast else last.metrics["expected_agreement"], 4)
    ledger.true = round(last.metrics["true_agreement"], 4)
    ledger.measured = None if result.accuracy.share is None else round(result.accuracy.share, 4)
    given = result.certificate or result.selective
    if given is not None:
        ledger.certified, ledger.covers = given.target, round(given.texts / given.of, 3)
        ledger.true_of_covered = round(_true_above(project, last, given.threshold), 4)


def _true_above(project: Project, last: Round, threshold: float) -> float:
    """Return the share of the machine's labels with at least this confidence that is right."""
    names = {label.id: label.name for label in list_labels(project)}
    truth = truths(project)
    query = "SELECT text, label FROM prediction WHERE round = ? AND belief >= ?"
    with connection(project) as db:
        rows = db.execute(query, [last.id, threshold]).fetchall()
    return float(np.mean([names.get(label, NOTHING) == truth[text] for text, label in rows]))


def table(ledgers: list[Ledger]) -> str:
    """Return the ledgers side by side, a line per field."""
    lines = []
    for field in fields(Ledger):
        values = [getattr(ledger, field.name) for ledger in ledgers]
        lines.append(f"{field.name:20}" + "".join(f"{'-' if value is None else value:>14}" for value in values))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="*")
    parser.add_argument(
        "--composed", type=Path, nargs="+", metavar="SET", help="labels of the first sets, texts of the last; see trial"
    )
    parser.add_argument("--spread", type=float, default=1.0, help="of the texts of a composed project")
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--labels", type=int, help="so many labels at random; all by default")
    parser.add_argument("--texts", type=int, default=8000)
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--skewed", action="store_true", help="labels as frequent as by Zipf's law")
    parser.add_argument("--oos", type=Path, help="a file of texts that belong to no label; they join the pool")
    add_judge_options(parser)
    parser.add_argument("--questions", type=float, default=0.4, help="at most so many per text")
    parser.add_argument("--questions-a-round", type=float, default=0.15, help="per text")
    parser.add_argument("--analyst-error", type=float, default=0.03)
    parser.add_argument("--analyst-skips", type=float, default=0.02, help="decisions that are left open")
    parser.add_argument("--seconds-a-decision", type=float, default=6.0)
    parser.add_argument("--seconds-an-audit", type=float, default=9.0)
    parser.add_argument("--most-answers", type=int, default=400, help="decisions and audits together")
    parser.add_argument("--most-decisions", type=int, default=100)
    parser.add_argument("--decisions-a-round", type=int, default=50)
    parser.add_argument(
        "--few-answers", type=int, default=150, help="a certificate that takes fewer is sought before more questions"
    )
    parser.add_argument("--prices", type=float, nargs=2, default=(0.1, 0.4), help="dollars a million tokens, in, out")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "red-benchmarks")
    options = parser.parse_args()
    options.pool, options.most_texts, options.least_texts = options.texts, 10**9, options.shots + 1
    options.changes = {"lexical_dimensions": 0, "label_names_as_seeds": False} if options.composed else {}
    ledgers = []
    for source in (options.composed,) if options.composed else options.data:
        for seed in options.seeds:
            composing = isinstance(source, list)
            drawn = (
                composed(source[:-1], source[-1], seed, options)
                if composing
                else _shaped(draw(source, seed, options), options)
            )
            ledgers.append(afternoon(drawn, options))
            print(json.dumps(asdict(ledgers[-1])), flush=True)
    print(table(ledgers))
    if options.json:
        options.json.write_text("\n".join(json.dumps(asdict(ledger)) for ledger in ledgers) + "\n")


def _shaped(drawn: Draw, options: argparse.Namespace) -> Draw:
    """Return the draw with fewer labels, or with labels of uneven frequency."""
    rng = np.random.default_rng([drawn.seed, 5])
    kept = np.arange(len(drawn.names))
    if options.labels and options.labels < len(kept):
        kept = np.sort(rng.permutation(len(kept))[: options.labels])
    seeds, pool = np.isin(drawn.seed_labels, kept), np.isin(drawn.truth, [*kept.tolist(), NONE_OF_THESE])
    if options.skewed:
        sizes = np.bincount(drawn.truth[drawn.truth >= 0], minlength=len(drawn.names)).max()
        share = 1.0 / (1.0 + rng.permutation(len(drawn.names)))
        pool &= (drawn.truth < 0) | (rng.random(len(drawn.truth)) < np.maximum(share[drawn.truth], 3.0 / sizes))
    number = np.full(len(drawn.names), NONE_OF_THESE)
    number[kept] = np.arange(len(kept))
    truth = drawn.truth[pool]
    return replace(
        drawn,
        names=[drawn.names[index] for index in kept.tolist()],
        seed_texts=[text for text, keep in zip(drawn.seed_texts, seeds.tolist(), strict=True) if keep],
        seed_labels=number[drawn.seed_labels[seeds]],
        seed_vectors=drawn.seed_vectors[seeds],
        pool_texts=[text for text, keep in zip(drawn.pool_texts, pool.tolist(), strict=True) if keep],
        truth=np.where(truth >= 0, number[truth], NONE_OF_THESE),
        pool_vectors=drawn.pool_vectors[pool],
    )


if __name__ == "__main__":
    main()
