"""Measure accuracy against the number of questions: ``python -m benchmarks.quality DATA.csv[.gz] ...`` (text,label).

All methods run on the same draw for each data set and seed. `flat` and `article` take a verdict as the truth.
`flat_evidence` (plain vectors), `flat_features` (the product's features) and `product` take it as evidence. They are
the product's own rounds with a simulated judge. They know its rates only from its self-test, whose questions count.
Prints tables and writes rows as JSON; --plot draws the curves.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from sklearn.metrics import roc_auc_score

from benchmarks.trial import NOTHING, Draw, ProbableJudge, SimulatedJudge, add_judge_options, draw, judge_of
from benchmarks.trusting import Trusted, article_model, flat_model
from red_core.data.tables import text_id
from red_core.encoders import parse_spec, pinned
from red_core.records import Floats, Project, Round
from red_core.review import feed_back, plan_feed_back
from red_core.rounds import run_round
from red_core.settings import DEFAULT_MODEL, RECOMMENDED, Settings
from red_core.store.database import connection, create_project
from red_core.store.labels import list_labels
from red_core.store.rounds import best_beliefs, close_round, current_training_rows
from red_core.store.texts import SourceFile, SourceRow, add_sources, contents, remember, truths
from red_core.store.vectors import append_vectors, without_vector

BUDGETS = (0.1, 0.3, 0.5, 1.0)
PLAIN = {"alike_partitions": 0, "lexical_dimensions": 0, "label_names_as_seeds": False, "neighbour_weights": ()}
METHODS = ("flat", "flat_evidence", "flat_features", "article", "product")


@dataclass(frozen=True)
class Row:
    """One point of a method's curve; its fields are the JSON fields."""

    data: str
    seed: int
    method: str
    judge: str
    questions_per_text: float
    agreement: float
    expected: float | None
    calibration_error: float | None
    fed_back_precision: float | None
    stopped: bool
    seconds: float
    foreign_auroc: float | None = None
    """AUROC of belief in *none of these* for texts that belong to no label; None without such texts."""
    foreign_fed_back: float | None = None
    """The share of those texts that was fed back under a label so far."""
    inside_fed_back: float | None = None
    """The share of the other pool texts that was fed back so far."""
    tokens_per_text: float | None = None
    """Of a judge with probabilities."""


def evidence_rows(drawn: Draw, options: argparse.Namespace, method: str, settings: Settings) -> Iterator[Row]:
    """Yield the points of a method that runs the product's rounds and feeds back after each budget."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        project = project_of(drawn, Path(folder))
        judge = judge_of(drawn, options)
        fed: list[bool] = []
        for budget in (*BUDGETS, options.max_questions):
            if budget > options.max_questions:
                continue
            room = round(budget * len(drawn.truth)) - judge.asked
            if judge.asked == 0:
                room -= 2 * RECOMMENDED.self_test_seeds
            capped = settings.model_copy(update={"most_questions": max(room, 0)})
            done = run_round(project, capped, make_judge=judge.tested)
            per_text = judge.asked / len(drawn.truth)
            seconds = time.perf_counter() - begun
            if done.id == 1:
                yield Row(
                    drawn.data, drawn.seed, method, "none", 0.0, done.metrics["true_alone"],
                    done.metrics["expected_alone"], None, None, stopped=False, seconds=seconds,
                    foreign_auroc=foreign_auroc(project, done),
                )  # fmt: skip
            fed += fed_back(project)
            stopped = not done.metrics["worth_judging"]
            yield Row(
                drawn.data, drawn.seed, method, judge.kind, per_text, done.metrics["true_agreement"],
                done.metrics["expected_agreement"], calibration_error(project, done),
                float(np.mean(fed)) if fed else None, stopped=stopped, seconds=seconds,
                foreign_auroc=foreign_auroc(project, done),
                foreign_fed_back=share_fed_back(project, foreign=True),
                inside_fed_back=share_fed_back(project, foreign=False),
                tokens_per_text=judge.tokens / len(drawn.truth) if isinstance(judge, ProbableJudge) else None,
            )  # fmt: skip
            if stopped:
                return


def project_of(drawn: Draw, workspace: Path) -> Project:
    """Create a trial from the draw, with its vectors."""
    project = create_project(workspace, drawn.data)
    remember(project, "embedding", drawn.encoder)
    seeds = [
        SourceRow(row, text_id(text), text, drawn.names[label])
        for row, (text, label) in enumerate(zip(drawn.seed_texts, drawn.seed_labels.tolist(), strict=True), start=2)
    ]
    pool = [
        SourceRow(row, text_id(text), text, truth=drawn.names[label] if label >= 0 else NOTHING)
        for row, (text, label) in enumerate(zip(drawn.pool_texts, drawn.truth.tolist(), strict=True), start=2)
    ]
    files = [
        (SourceFile("seeds.csv", "0" * 64, "labelled", "text", "label", ()), seeds),
        (SourceFile("pool.csv", "1" * 64, "pool", "text", None, ()), pool),
    ]
    add_sources(project, files, "benchmark")
    add_vectors(project, drawn)
    return project


def add_vectors(project: Project, drawn: Draw) -> None:
    """Store the vectors of the texts of a draw."""
    known = {text_id(t): v for t, v in zip(drawn.seed_texts, drawn.seed_vectors, strict=True)}
    known |= {text_id(t): v for t, v in zip(drawn.pool_texts, drawn.pool_vectors, strict=True)}
    ids = without_vector(project, drawn.encoder)
    append_vectors(project, drawn.encoder, ids, np.stack([known[text_id(t)] for t in contents(project, ids)]))


def fed_back(project: Project) -> list[bool]:
    """Feed back what the product would feed back; return whether each label is the true one."""
    plan = plan_feed_back(project)
    names, truth = {label.id: label.name for label in list_labels(project)}, truths(project)
    if not plan.items:
        close_round(project)
        return []
    feed_back(project, plan)
    return [truth.get(item.text) == names[item.label] for item in plan.items]


def foreign_auroc(project: Project, done: Round) -> float | None:
    """Return the AUROC of belief in *none of these*, verdicts included; None without such texts."""
    truth = truths(project)
    with connection(project) as db:
        rows = db.execute("SELECT text, none_belief FROM prediction WHERE round = ?", [done.id]).fetchall()
    foreign = np.array([truth[text] == NOTHING for text, _ in rows])
    return auroc(foreign, np.array([share for _, share in rows]))


def auroc(foreign: np.ndarray, score: Floats) -> float | None:
    return float(roc_auc_score(foreign, score)) if foreign.any() else None


def share_fed_back(project: Project, *, foreign: bool) -> float | None:
    """Return the share of the texts that belong to no label, or of the other texts, that are in the training data."""
    asked = {text for text, label in truths(project).items() if (label == NOTHING) == foreign}
    trained = {text for text, _, _ in current_training_rows(project)}
    return len(asked & trained) / len(asked) if asked else None


def calibration_error(project: Project, done: Round) -> float:
    """Return the expected calibration error of the best beliefs, in 15 bins of equal count."""
    truth, names = truths(project), {label.id: label.name for label in list_labels(project)}
    pairs = [(json.loads(top)[0], truth[text]) for text, top in best_beliefs(project, done.id) if text in truth]
    belief = np.array([share for (_, share), _ in pairs])
    right = np.array([names.get(label, NOTHING) == true for (label, _), true in pairs])
    bins = np.array_split(np.argsort(belief), 15)
    return float(sum(len(b) * abs(belief[b].mean() - right[b].mean()) for b in bins) / len(belief))


def trusting_rows(drawn: Draw, options: argparse.Namespace, method: str) -> Iterator[Row]:
    """Yield the points of a method that takes *valid* as the truth and never asks about an invalid pair again."""
    begun, judge, count = time.perf_counter(), SimulatedJudge(drawn, options), len(drawn.truth)
    trusted = Trusted({}, set())
    budgets = [0.0, *(b for b in BUDGETS if b < options.max_questions), options.max_questions]
    batch, before = max(50, count // 20), -1
    while budgets and judge.asked > before:
        score, propose = MODELS[method](drawn, trusted)
        if judge.asked >= budgets[0] * count:
            budgets.pop(0)
            fed = [drawn.truth[row] == label for row, label in trusted.accepted.items()]
            yield Row(
                drawn.data, drawn.seed, method, judge.kind if judge.asked else "none", judge.asked / count,
                float((trusted.labels(score) == drawn.truth).mean()), None, None,
                float(np.mean(fed)) if fed else None, stopped=False, seconds=time.perf_counter() - begun,
                foreign_auroc=auroc(drawn.truth < 0, -score.max(axis=1)),
            )  # fmt: skip
        if budgets:
            before = judge.asked
            trusted.ask(judge, drawn, propose(batch), round(budgets[0] * count))
    if trusted.twice:
        print(f"  {method}: {trusted.twice} texts were accepted under a second label", file=sys.stderr)


MODELS = {"flat": flat_model, "article": article_model}


def rows_of(method: str, drawn: Draw, options: argparse.Namespace) -> Iterator[Row]:
    every = {"subset_size": max(2, len(drawn.names)), "alike_partitions": 0}
    settings = {
        "product": RECOMMENDED,
        "flat_features": RECOMMENDED.model_copy(update=every),
        "flat_evidence": RECOMMENDED.model_copy(update=PLAIN | every),
    }
    if method in MODELS:
        return trusting_rows(drawn, options, method)
    return evidence_rows(drawn, options, method, settings[method])


def table(rows: Sequence[Row]) -> str:
    """Return one table per data set, with a line per method and a column per budget: means over the seeds."""
    lines = []
    for data in dict.fromkeys(row.data for row in rows):
        lines += [f"\n{data}", f"{'method':14}{'0':>8}" + "".join(f"{b:>8}" for b in BUDGETS) + "   stops itself"]
        for method in METHODS:
            own = [row for row in rows if (row.data, row.method) == (data, method)]
            if own:
                lines.append(f"{method:14}" + "".join(f"{at(own, b):>8.3f}" for b in (0.0, *BUDGETS)) + stop(own))
    return "\n".join(lines)


def at(rows: Sequence[Row], budget: float) -> float:
    """Return the mean agreement at a budget: at the last point within it; after a stop, the final value."""
    agreements = []
    for seed in {row.seed for row in rows}:
        reached = [row for row in rows if row.seed == seed and row.questions_per_text <= budget + 0.005]
        agreements.append(reached[-1].agreement if reached else np.nan)
    return float(np.mean(agreements))


def questions_to(goal: float, rows: Sequence[Row]) -> float:
    """Return the questions per text at which one curve reaches an agreement, straight between its points."""
    for before, after in pairwise(rows):
        if before.agreement < goal <= after.agreement:
            share = (goal - before.agreement) / (after.agreement - before.agreement)
            return before.questions_per_text + share * (after.questions_per_text - before.questions_per_text)
    return float("nan")


def goals(rows: Sequence[Row], goal: float) -> Iterator[str]:
    """Yield a line for each curve: the questions per text to reach an agreement, and the tokens if they are known."""
    for data, method, seed in dict.fromkeys((row.data, row.method, row.seed) for row in rows):
        own = [row for row in rows if (row.data, row.method, row.seed) == (data, method, seed)]
        questions, last = questions_to(goal, own), own[-1]
        tokens = (last.tokens_per_text or float("nan")) / max(last.questions_per_text, 1e-9) * questions
        told = f"{questions:.3f} questions and {tokens:.0f} tokens per text"
        yield f"{data}, draw {seed}, {method}, {last.judge}: {goal} after {told}"


def stop(rows: Sequence[Row]) -> str:
    """Return where a method stopped by itself, and with which agreement: means over the seeds."""
    ends = [
        max((r for r in rows if r.seed == seed), key=lambda r: r.questions_per_text) for seed in {r.seed for r in rows}
    ]
    reached = f"{mean(ends, 'agreement'):.4f} at {mean(ends, 'questions_per_text'):.2f}"
    if not all(row.stopped for row in ends):
        return f"   not, {reached}"
    gap = mean(ends, "expected") - mean(ends, "agreement")
    fed = mean([row for row in ends if row.fed_back_precision is not None], "fed_back_precision")
    return f"   {reached}; expected {gap:+.4f}, calibration {mean(ends, 'calibration_error'):.4f}, fed back {fed:.4f}"


def mean(rows: Sequence[Row], field: str) -> float:
    return float(np.mean([getattr(row, field) for row in rows])) if rows else float("nan")


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw agreement against questions per text, one picture per data set."""
    for data in dict.fromkeys(row.data for row in rows):
        figure = go.Figure()
        for method in METHODS:
            own = [row for row in rows if (row.data, row.method, row.seed) == (data, method, rows[0].seed)]
            figure.add_scatter(x=[r.questions_per_text for r in own], y=[r.agreement for r in own], name=method)
        figure.update_layout(title=data, xaxis_title="questions per text", yaxis_title="agreement with the truth")
        figure.write_html(path / f"{data}.html", include_plotlyjs="cdn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--shots", type=int, default=10)
    add_judge_options(parser)
    parser.add_argument("--max-questions", type=float, default=1.5, help="per text")
    parser.add_argument("--pool", type=int, default=8000)
    parser.add_argument("--goal", type=float, help="also print how many questions this agreement takes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--least-texts", type=int, default=0, help="labels with fewer texts are left out")
    parser.add_argument("--most-texts", type=int, default=10**9, help="texts used per label")
    parser.add_argument("--oos", type=Path, help="a file of texts that belong to no label; they join the pool")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--encoder", default=DEFAULT_MODEL, help="a name of `red encoders`, or a folder")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="a folder for the curves")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "red-benchmarks")
    options = parser.parse_args()
    options.least_texts = max(options.least_texts, options.shots + 1)
    options.encoder = str(pinned(parse_spec(options.encoder)))
    rows: list[Row] = []
    for path in options.data:
        for seed in options.seeds:
            drawn = draw(path, seed, options)
            for method in options.methods:
                for row in rows_of(method, drawn, options):
                    rows.append(replace(row, seconds=round(row.seconds, 1)))
                    print(json.dumps(asdict(rows[-1])), flush=True)
    print(table(rows))
    if options.goal is not None:
        print("\n".join(goals(rows, options.goal)))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    if options.plot:
        options.plot.mkdir(parents=True, exist_ok=True)
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
