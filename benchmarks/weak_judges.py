"""Show that a weak judge does no harm: ``python -m benchmarks.weak_judges DATA.csv[.gz] ...`` (text,label).

Five judges know little or nothing: one like a model of 270M parameters (valid to 88% of right and 84% of wrong pairs),
one that always says valid, a coin, one that is always wrong, and one that is right 60% of the time. Each is tested on
seeds as the product tests it, and then asked in one round of the product. The table compares the true accuracy, and the
number of texts that are worth the analyst's answer, with the same round without a judge.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.quality import project_of
from benchmarks.trial import SimulatedJudge, draw
from red_core.judges.protocol import Judge
from red_core.records import Project
from red_core.rounds import run_round
from red_core.settings import RECOMMENDED
from red_core.store.desk import queue_counts
from red_core.store.rounds import close_round
from red_core.training import ValidSamples
from red_core.training.model import Model

JUDGES = {
    "270M-like": (0.88, 0.16),
    "always valid": (1.0, 0.0),
    "coin": (0.5, 0.5),
    "inverted": (0.05, 0.05),
    "60% right": (0.6, 0.6),
    "95% right, to compare": (0.95, 0.95),
}
"""How often each judge is right about right pairs, and about wrong pairs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--pool", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "red-benchmarks")
    options = parser.parse_args()
    more = {
        "least_texts": options.shots + 1,
        "most_texts": 10**9,
        "oos": None,
        "judge_errors": "independent",
        "judge_auc": None,
    }
    print("data | judge | bits | asked | accuracy before | after | worth an answer | in the queue")
    for path in options.data:
        drawn = draw(path, options.seed, argparse.Namespace(**vars(options) | more))
        with tempfile.TemporaryDirectory() as folder:
            begun = project_of(drawn, Path(folder) / "begun")
            run_round(begun, RECOMMENDED.model_copy(update={"most_questions": 0, "most_confirmations": 0}))
            close_round(begun)
            for name, (tpr, tnr) in JUDGES.items():
                rates = argparse.Namespace(**vars(options) | more | {"judge_tpr": tpr, "judge_tnr": tnr})
                workspace = Path(folder) / "copy"
                shutil.copytree(begun.workspace, workspace)
                print(line(replace(begun, workspace=workspace), SimulatedJudge(drawn, rates), name), flush=True)
                shutil.rmtree(workspace)


def line(project: Project, simulated: SimulatedJudge, name: str) -> str:
    """Return the row of one judge."""

    def tested(project: Project, model: Model, samples: ValidSamples) -> Judge:
        return simulated.tested(project, model, samples)

    done = run_round(project, RECOMMENDED, make_judge=tested)
    m, bits = done.metrics, simulated.rates.bits or 0.0
    queue = queue_counts(project, done.id)["to decide"]
    return (
        f"{project.name} | {name} | {bits:.3f} | {m['questions']:,} | {m['true_alone']:.4f} | "
        f"{m['true_agreement']:.4f} | {m['worth_asking']:,} | {queue:,}"
    )


if __name__ == "__main__":
    main()
