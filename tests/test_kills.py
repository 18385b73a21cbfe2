"""Run the verbs as real processes and kill them, and all processes they started, at random moments.

After each kill the project opens and is sound. Acknowledged work is there; other work is there completely or not at
all. A file is complete or absent. The same command, run again, ends with the same result as without the kill.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from red_core.data.backup import back_up, restore
from red_core.labels.subsets import form_subsets
from red_core.records import Project
from red_core.results.exports import export
from red_core.review.decisions import feed_back, plan_feed_back
from red_core.settings import DEFAULT_MODEL
from red_core.store.database import create_project, open_project, transaction
from red_core.store.jobs import SILENT_SECONDS
from red_core.store.label_undo import edits
from red_core.store.texts import pool, seeds
from red_core.store.vectors import without_vector
from tests.helpers.project_facts import facts, figures, is_sound
from tests.helpers.small_projects import FAST, LABELS, pool_rows, reviewed_round, seed_rows, small_project, write_csv

SECONDS = 120
NAME = "small"
MOMENTS = 6
EDITS_BEFORE = 2
"""Edits of the label set before the test: the import of the labels, and the forming of subsets."""
RED = """
import sys
from red_core.cli import main
print("begins", flush=True)
main(sys.argv[1:])
"""
IMPORT = """
import sys
from red_core.data.importing import import_files
print("begins", flush=True)
print(len(import_files(*sys.argv[1:], embedding="fake", who="tester")), flush=True)
"""
EDIT = """
import json, sys
from pathlib import Path
from red_core.labels import apply_edit, read_label_set
from red_core.labels.edit_kinds import EDITS
from red_core.labels.edits import undo_edit
from red_core.store.database import open_project
project = open_project(Path(sys.argv[1]), sys.argv[2])
edits = json.loads(sys.argv[3])
print("begins", flush=True)
for kind, values in edits:
    if kind == "undo":
        done = undo_edit(project, "ann")
    else:
        edit = read_label_set(project, *values) if kind == "file" else EDITS[kind](*values)
        done = apply_edit(project, edit, "ann")
    print(json.dumps(done), flush=True)
"""


@dataclass(frozen=True)
class ProcessResult:
    """How a process ended: its output lines after it began, its error output, its exit code and its seconds."""

    lines: list[str]
    errors: str
    code: int
    seconds: float


def run(scene: Scene, code: str, arguments: Sequence[str], moment: float | None = None) -> ProcessResult:
    """Run a process in a scene's folder; with ``moment``, kill it and its children that many seconds after it began."""
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(
        command, cwd=scene.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "begins\n":
            pytest.fail(process.communicate(timeout=SECONDS)[1])
        began = time.monotonic()
        if moment is not None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(moment)
            kill(process.pid)
        output, errors = process.communicate(timeout=SECONDS)
    return ProcessResult(output.splitlines(), errors, process.returncode, time.monotonic() - began)


def kill(pid: int) -> None:
    """Kill a process and its children, including detached ones, as a power cut would."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        parent.suspend()  # so that it cannot start another process meanwhile
        for process in (*parent.children(recursive=True), parent):
            with suppress(psutil.NoSuchProcess):
                process.kill()


# The scenes and the commands that are killed


@dataclass(frozen=True)
class Scene:
    """A folder with a workspace, in which a command runs."""

    folder: Path

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def project(self) -> Project:
        return open_project(self.workspace, NAME)

    def red(self, *words: str) -> tuple[str, list[str]]:
        return RED, ["--workspace", str(self.workspace), *words]

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def copy(self, folder: Path) -> Scene:
        shutil.copytree(self.folder, folder)
        return Scene(folder)


def state(scene: Scene) -> dict[str, Any]:
    """Return the facts of the project, after checking that it is sound; a missing project has no facts."""
    if not (scene.workspace / NAME / "project.db").is_file():
        return no_facts(scene.folder.parent)
    assert is_sound(scene.project)
    return facts(scene.project)


@cache
def no_facts(folder: Path) -> dict[str, Any]:
    """Return the facts of an empty project."""
    return facts(create_project(folder / "empty", NAME))


def files_to_import(folder: Path) -> Scene:
    write_csv(folder / "seeds.csv", ["text", "label"], seed_rows(each=50))
    write_csv(folder / "pool.csv", ["text"], [[text] for text, _ in pool_rows(each=1_500)])
    return Scene(folder)


def few_files_to_import(folder: Path) -> Scene:
    write_csv(folder / "seeds.csv", ["text", "label"], seed_rows(each=5))
    write_csv(folder / "pool.csv", ["text"], [[text] for text, _ in pool_rows(each=100)])
    return Scene(folder)


def to_begin(folder: Path) -> Scene:
    small_project(folder / "workspace", seeds=seed_rows(each=8), pool=pool_rows(each=100))
    return Scene(folder)


def to_review(folder: Path) -> Scene:
    """Return a scene with subsets and a round under review, with 6,000 predictions and 3,000 decisions."""
    project = small_project(folder / "workspace", seeds=seed_rows(each=8), pool=pool_rows(each=1_500))
    form_subsets(project, FAST, "fake", "tester")
    texts = pool(project).tolist()
    reviewed_round(project, {text: (1 + number % len(LABELS), 0.9) for number, text in enumerate(texts)})
    with transaction(project) as db:
        db.execute(
            "INSERT INTO decision (text, kind, label, reason, who, at) SELECT text, 'accept', label, 'as it is', "
            "'ann', '2026-01-01T00:00:00.000+00:00' FROM prediction WHERE text % 2 = 0"
        )
    write_csv(folder / "labels.csv", ["name", "meaning"], [[name, f"all of {name}"] for name in LABELS[3:]])
    return Scene(folder)


def fed_back(folder: Path) -> Scene:
    scene = to_review(folder)
    feed_back(scene.project, plan_feed_back(scene.project), who="ann")
    return scene


def with_decisions_to_restore(folder: Path) -> Scene:
    exported = to_review(folder / "other")
    export(exported.project, folder / "decisions.jsonl")
    small_project(folder / "workspace", seeds=seed_rows(each=8), pool=pool_rows(each=1_500))
    return Scene(folder)


def with_a_backup(folder: Path) -> Scene:
    back_up(to_review(folder / "other").project, folder / "backup.zip")
    return Scene(folder)


def import_alone(scene: Scene) -> tuple[str, list[str]]:
    return IMPORT, [str(scene.workspace), NAME, scene.path("seeds.csv"), scene.path("pool.csv")]


def plan(scene: Scene) -> list[tuple[str, list[Any]]]:
    """Return edits of every kind; each needs the edits before it."""
    texts, labels = seeds(scene.project)
    of_delivery = texts[labels == 2].tolist()
    return [
        ("rename", [1, "money back"]),
        ("add", ["praise", "kind words", None, ["praise for you", "praise for all of you"]]),
        ("split", [2, {"late delivery": of_delivery[:3], "lost parcels": of_delivery[3:6]}]),
        ("merge", [[3], 4]),
        ("retire", [6]),
        ("undo", []),
        ("file", ["labels.csv"]),
        ("undo", []),
        ("retire", [2]),
    ]


def edit_all(scene: Scene) -> tuple[str, list[str]]:
    finished = len(edits(scene.project)) - EDITS_BEFORE
    return EDIT, [str(scene.workspace), NAME, json.dumps(plan(scene)[finished:])]


ROUND = ["round", NAME, "--set", "subset_size=2", "--set", "alike_partitions=1", "--set", "lexical_dimensions=0"]
ROUND += ["--set", "label_names_as_seeds=false", "--set", "noise_rows=50", "--set", "calibration_folds=2"]
ROUND += ["--set", "questions_at_once=2", "--set", "background_labels=0", "--who", "tester"]


@dataclass(frozen=True)
class Verb:
    """A scene, the command that is killed in it, and the file that the command writes, if any."""

    scene: Callable[[Path], Scene]
    command: Callable[[Scene], tuple[str, list[str]]]
    file: str = ""
    in_steps: bool = False
    """Whether the command stores results on the way. Then only its final state is compared."""


VERBS = {
    "import": Verb(files_to_import, import_alone),
    "import and embed": Verb(
        few_files_to_import,
        lambda s: s.red("import", NAME, "--labelled", s.path("seeds.csv"), "--pool", s.path("pool.csv")),
        in_steps=True,
    ),
    "round": Verb(to_begin, lambda s: s.red(*ROUND), in_steps=True),
    "feed-back": Verb(to_review, lambda s: s.red("feed-back", NAME, "--who", "ann")),
    "roll-back": Verb(fed_back, lambda s: s.red("roll-back", NAME, "1")),
    "edit": Verb(to_review, edit_all, in_steps=True),
    "export csv": Verb(to_review, lambda s: s.red("export", NAME, s.path("out.csv")), "out.csv"),
    "export jsonl": Verb(to_review, lambda s: s.red("export", NAME, s.path("out.jsonl")), "out.jsonl"),
    "export parquet": Verb(to_review, lambda s: s.red("export", NAME, s.path("out.parquet")), "out.parquet"),
    "import-decisions": Verb(
        with_decisions_to_restore, lambda s: s.red("import-decisions", NAME, s.path("decisions.jsonl"))
    ),
    "backup": Verb(to_review, lambda s: s.red("backup", NAME, s.path("out.zip")), "out.zip"),
    "restore": Verb(with_a_backup, lambda s: s.red("restore", s.path("backup.zip"))),
}
AT_ONCE = ("import", "feed-back", "edit", "export csv", "export parquet")
"""The verbs that are killed once in every test run; tests/rounds/test_worker.py does the same for rounds."""


@dataclass(frozen=True)
class Reference:
    """A scene before a verb, the scene after an uninterrupted run, and the seconds of that run."""

    before: Scene
    after: Scene
    seconds: float


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Reference]:
    """Return a function that returns the reference of a verb; each is computed once."""

    @cache
    def scene(make: Callable[[Path], Scene]) -> Scene:
        folder = tmp_path_factory.mktemp(make.__name__)
        return make(folder)

    @cache
    def reference_of(name: str) -> Reference:
        verb = VERBS[name]
        before = scene(verb.scene)
        after = before.copy(tmp_path_factory.mktemp("after") / "scene")
        result = run(after, *verb.command(after))
        assert result.code == 0, result.errors
        return Reference(before, after, result.seconds)

    return reference_of


# The checks


def check_kill(verb: Verb, result: ProcessResult, scene: Scene, reference: Reference) -> None:
    """Check the state that a killed process left behind."""
    before, now, after = state(reference.before), state(scene), state(reference.after)
    if verb.file:
        assert now == before
        check_file(verb, scene, reference, acknowledged=bool(result.lines))
    elif not verb.in_steps:
        assert now == after if result.lines else now in (before, after)
    elif verb.command is edit_all:
        applied = [(edit.kind, edit.told) for edit in edits(scene.project)]
        assert applied == [(edit.kind, edit.told) for edit in edits(reference.after.project)][: len(applied)]
        assert len(result.lines) <= len(now["edits"]) - len(before["edits"]) <= len(result.lines) + 1
    elif result.lines:  # the files are imported, but not all texts are embedded yet
        assert now["sources"] == after["sources"]


def check_file(verb: Verb, scene: Scene, reference: Reference, *, acknowledged: bool) -> None:
    """Check that a file is complete or absent; of an export, that the file is complete or the earlier one."""
    path = scene.folder / verb.file
    if not path.exists():
        assert not acknowledged
    elif path.suffix == ".zip":
        (restored := scene.folder / "restored").mkdir()
        assert facts(restore(restored, path)) == state(reference.before)
        shutil.rmtree(restored)
    else:
        complete = (reference.after.folder / verb.file).read_bytes()
        assert path.read_bytes() in ([complete] if acknowledged else [complete, OLD])


def check_end(verb: Verb, again: ProcessResult, scene: Scene, reference: Reference) -> None:
    """Check that the same command ends as without the kill, or says in one line that its work is finished."""
    assert again.code == 0 or already_finished(again), again.errors
    now, after = state(scene), state(reference.after)
    assert now == after
    np.testing.assert_allclose(figures(scene.project), figures(reference.after.project), atol=1e-5)
    if verb.file:
        check_file(verb, scene, reference, acknowledged=True)
    if verb.scene is few_files_to_import:
        assert len(without_vector(scene.project, DEFAULT_MODEL)) == 0


def already_finished(again: ProcessResult) -> bool:
    """Return whether a command was refused, in one line, because its work is finished."""
    refusals = ("already", "is to review", "has no feed back")
    return again.code == 1 and again.errors.count("\n") == 1 and any(words in again.errors for words in refusals)


OLD = b"an earlier export\n"


def kill_and_go_on(name: str, reference: Reference, share: float, folder: Path) -> bool:
    """Kill a verb after this share of its time, check the state, and continue; return whether the kill came in time."""
    verb, scene = VERBS[name], reference.before.copy(folder)
    if name.startswith("export"):
        (folder / verb.file).write_bytes(OLD)
    result = run(scene, *verb.command(scene), share * reference.seconds)
    check_kill(verb, result, scene, reference)
    check_end(verb, go_on(verb, scene), scene, reference)
    return result.code != 0


def go_on(verb: Verb, scene: Scene) -> ProcessResult:
    """Run the command again; if it was killed between queueing a job and starting the worker, wait and run it again."""
    again = run(scene, *verb.command(scene))
    if "a job is already running" in again.errors:
        time.sleep(SILENT_SECONDS + 1)
        again = run(scene, *verb.command(scene))
    return again


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", AT_ONCE)
def test_a_verb_that_is_killed_loses_nothing_and_ends_the_same_when_it_is_run_again(name, reference, tmp_path):
    share = float(np.random.default_rng(AT_ONCE.index(name)).uniform(0.2, 0.8))
    kill_and_go_on(name, reference(name), share, tmp_path / "scene")


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", VERBS)
def test_a_verb_killed_at_random_moments_of_its_whole_course(name, reference, tmp_path):
    rng = np.random.default_rng(list(VERBS).index(name))
    shares = (np.arange(MOMENTS) + rng.random(MOMENTS)) / MOMENTS  # one in each sixth of its time
    in_time = [
        kill_and_go_on(name, reference(name), float(share), tmp_path / str(number))
        for number, share in enumerate(shares)
    ]
    assert sum(in_time) >= 2, "the kills came too late to show anything"
