"""One of many processes that act on a project at once; the command line says as whom, how, where and how long.

Each act is printed as a JSON line once it is acknowledged. A refusal, which has one line, is printed as such. Any other
error ends the process with a traceback.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from red_core.data.backup import back_up
from red_core.errors import RedError
from red_core.labels import apply_edit
from red_core.labels.edit_kinds import Rename
from red_core.labels.edits import undo_edit
from red_core.records import Project, Round
from red_core.results.exports import export
from red_core.review import feed_back, plan_feed_back
from red_core.review.audits import deal
from red_core.review.desk import apply_key_press
from red_core.review.presses import AuditKeyPress, KeyPress
from red_core.rounds import run_round
from red_core.store.database import open_project
from red_core.store.labels import list_labels
from red_core.store.rounds import close_round, list_rounds
from red_core.store.texts import pool
from tests.helpers.small_projects import FAST

Act = Callable[[Project, str, np.random.Generator], str]
"""Does something as this person and returns what was acknowledged; '' for nothing to do."""


def press(project: Project, who: str, rng: np.random.Generator) -> str:
    """Press a key at the desk; return its request id."""
    kind, name = str(rng.choice(["accept", "relabel", "reject", "none", "skip", "undo"])), rng.bytes(16).hex()
    raw = {"id": name, "kind": kind, "text": int(rng.choice(pool(project))), "reason": f"by {who}"}
    if kind in {"accept", "relabel", "reject"}:
        raw["label"] = int(rng.choice([label.id for label in list_labels(project)]))
    done = apply_key_press(project, KeyPress.model_validate(raw), who=who)
    if done.refused:
        raise RedError(done.refused)
    return name


def audit(project: Project, who: str, rng: np.random.Generator) -> str:
    """Answer one blind audit; return its request id."""
    for card in deal(project, who=who, count=1, rng=rng):
        name = rng.bytes(16).hex()
        raw = {"id": name, "audit": card.audit, "kind": "none", "seconds": 1.0}
        done = apply_key_press(project, AuditKeyPress.model_validate(raw), who=who)
        if done.refused:
            raise RedError(done.refused)
        return name
    return ""


def edit(project: Project, who: str, rng: np.random.Generator) -> str:
    """Rename a label, or undo the last edit; return the message."""
    if rng.random() < 0.3:
        return undo_edit(project, who)
    label = list_labels(project)[int(rng.integers(4))]
    return str(apply_edit(project, Rename(label.id, f"{label.name.split()[0]} {rng.integers(10**6)}"), who))


def work(project: Project, who: str, _rng: np.random.Generator) -> str:
    """Feed back the last round if it is to review, else run one; return its number and its new state."""
    last = list_rounds(project)[-1]
    if last.state != "to review":
        last = run_round(project, FAST, who=who)
    elif (plan := plan_feed_back(project, accept_evidence_check=True)).items:
        feed_back(project, plan, who=who)
    else:
        close_round(project)
    return f"{last.id} {find_round(project, last.id).state}"


def find_round(project: Project, number: int) -> Round:
    """Return a round as it is stored now."""
    return next(one for one in list_rounds(project) if one.id == number)


def read(project: Project, _who: str, _rng: np.random.Generator) -> str:
    """Export and back up the project; return the number of exported rows."""
    with tempfile.TemporaryDirectory() as folder:
        rows = export(project, Path(folder) / "labels.jsonl")
        lines = (Path(folder) / "labels.jsonl").read_text("utf-8").splitlines()
        assert [json.loads(line)["row"] for line in lines], rows
        back_up(project, Path(folder) / "backup.zip")
        return str(len(lines))


BETWEEN_KEYS = 0.05
"""Seconds; four desks without a pause would decide between every plan of a feed-back and the feed-back."""
ROLES: dict[str, Act] = {"press": press, "audit": audit, "edit": edit, "work": work, "read": read}


def main() -> None:
    """Act until the time is over."""
    role, workspace, name, who, seconds = sys.argv[1:]
    project, rng = open_project(Path(workspace), name), np.random.default_rng(list(who.encode()))
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        if role == "press":
            time.sleep(BETWEEN_KEYS)
        try:
            done = ROLES[role](project, who, rng)
        except RedError as refusal:
            tell({"refused": str(refusal)})
            continue
        if done:
            tell({"done": done})


def tell(line: dict[str, str]) -> None:
    """Print a line at once: what is printed is acknowledged."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
