"""Run every benchmark, one after another: ``python -m benchmarks.all FOLDER [--quick]``; FOLDER holds the data sets.

``--quick`` makes each one small: it shows that all of them run, and roughly what they find, in about ten minutes on
two cores. Each line of the summary has the seconds by the clock and the processor seconds, those of started processes
included. A benchmark that fails does not stop the others; the exit code is then 1. Those that need an environment or
a server of their own are not run: ``peers --setfit``, ``prompt_forms``, ``serving``, ``scale``.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

LINES_SHOWN = 12
"""The last lines of what a benchmark printed."""


@dataclass(frozen=True)
class Run:
    """A benchmark, its parameters, and those that replace or follow them in a quick run.

    ``{clinc150}`` and other names of data sets stand for their files, ``{workspace}`` for a folder that all of them
    share.
    """

    module: str
    parameters: str = ""
    quick: str = ""
    browser: bool = False


RUNS = (
    Run(
        "quality", "{clinc150} {banking77} {arxiv_titles}", "--methods product --seeds 0 --pool 500 --max-questions .2"
    ),
    Run("afternoon", "{clinc150} {banking77}", "--labels 20 --texts 500 --seeds 0"),
    Run("certificates", "", "--projects 100 --texts 2000 --true .97"),
    Run("plan", "{banking77}", "--pool 300 --seeds 0"),
    Run("deciding", "{banking77}", "--pool 300 --seeds 0 --most 80"),
    Run("pair_grid", "{banking77}", "--pool 300"),
    Run("weak_judges", "{banking77}", "--pool 200"),
    Run("few_labels", "{clinc150}", "--labels 6 --seeds 0"),
    Run("groups", "{arxiv_titles}", "--pool 400"),
    Run("growth", "{clinc150}", "--seeds 0 --pool 1500 --newer 500 --replaced 1"),
    Run("peers", "{banking77}", "--shots 10 --test 300 --unlabelled 300"),
    Run("demo", "--seeds 0", "--decisions 24"),
    Run("asking", "", "--questions 100 --times 1"),
    Run("prompt_tokens", "{onet_mixed}", "--labels 100"),
    Run("encoding", "{banking77} {clinc150}", "--texts 200"),
    Run("files", "", "--rows 10000 --repeats 1"),
    Run("label_set", "", "--labels 1000"),
    Run("neighbours", "{clinc150}", "--sizes 10000 --most 3000 --queries 200"),
    Run("speed", "", "--labels 100 --pool 3000"),
    Run("speed", "--stages growth", "--labels 100 --sizes 1000 3000"),
    Run("pages", "--workspace {workspace}", "--labels 100 --pool 2000 --times 5", browser=True),
    Run("desk", "--workspace {workspace}", "--labels 100 --pool 2000 --times 10", browser=True),
    Run("first_decision", browser=True),
    Run("soak", "--workspace {workspace}", "--labels 100 --pool 2000 --minutes .5", browser=True),
)
MAY_MISS = {"soak"}
"""Those whose exit code 1 only says that a budget was missed."""


def command(run: Run, folder: Path, workspace: str, *, quick: bool) -> list[str]:
    """Return the command of a run."""
    files = {file.name.removesuffix(".csv.gz"): str(file) for file in folder.glob("*.csv.gz")}
    parameters = run.parameters.split() + (run.quick.split() if quick else [])
    given = [parameter.format(workspace=workspace, **files) for parameter in parameters]
    return [sys.executable, "-m", f"benchmarks.{run.module}", *given]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=sorted({run.module for run in RUNS}))
    options = parser.parse_args()
    summary, failed = [], False
    with tempfile.TemporaryDirectory() as workspace:
        for run in RUNS:
            if options.only and run.module not in options.only:
                continue
            if run.browser and shutil.which("chromium") is None:
                summary.append(f"{run.module:14} not run: there is no chromium")
                continue
            began, before = time.perf_counter(), children_seconds()
            asked = command(run, options.folder, workspace, quick=options.quick)
            print(f"\n== {' '.join(asked[2:])}", flush=True)
            done = subprocess.run(asked, capture_output=True, text=True, check=False)
            ok = done.returncode == 0 or run.module in MAY_MISS
            print("\n".join((done.stdout if ok else done.stderr).splitlines()[-LINES_SHOWN:]), flush=True)
            failed |= not ok
            summary.append(
                f"{run.module:14} {time.perf_counter() - began:7.1f} s, {children_seconds() - before:7.1f} processor s"
                + ("" if ok else "  FAILED")
            )
    print("\n" + "\n".join(summary))
    sys.exit(failed)


def children_seconds() -> float:
    """Return the processor seconds of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
