"""Two desks at once on one project, one of them killed: no decision is lost, stored twice, invented or misplaced."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from red_core.records import Project
from red_core.store.database import connection
from red_core.store.decisions import decided
from red_core.store.texts import pool
from tests.helpers.prepared_process import Fork, PreparedProcess, prepared_red
from tests.helpers.small_projects import small_project

__all__ = ["prepared_red"]

PEOPLE = ("ann", "bob")
ACTS = 1_000
SECONDS = 90
Row = tuple[str, str, int, int | None, str | None, str, float | None]
"""A stored decision: request id, kind, text, label, request id of the undone one, reason and seconds."""

DESK = """
import json, sys
from pathlib import Path
from red_core.review.desk import apply_key_press
from red_core.review.presses import read_key_press
from red_core.store import database

opened = database._open

def open_(project):
    db = opened(project)
    db.execute("PRAGMA synchronous = OFF")  # a killed process loses nothing it wrote; only a power cut would
    return db

database._open = open_
project = database.open_project(Path(sys.argv[1]), sys.argv[2])
for line in sys.stdin:
    done = apply_key_press(project, read_key_press(json.loads(line)), who=sys.argv[3])
    print(json.dumps([done.request_id, done.refused, done.back]), flush=True)
"""


@dataclass
class Plan:
    """One person's key presses in the order they are sent, some of them twice, and the expected rows."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    back: dict[str, int | None] = field(default_factory=dict)


def random_plan(texts: Sequence[int], rng: np.random.Generator) -> Plan:
    """A thousand key presses that are all carried out; an undo names a request, or means the newest."""
    plan, standing = Plan(), list[Row]()
    kinds = ("accept", "relabel", "reject", "none", "skip", "undo", "undo newest")
    while len(plan.rows) < ACTS:
        kind, text, name = str(rng.choice(kinds)), int(rng.choice(texts)), rng.bytes(16).hex()
        raw: dict[str, Any] = {"id": name, "kind": "undo" if kind.startswith("undo") else kind}
        if kind.startswith("undo"):
            if not standing:
                continue
            undone = standing.pop(-1 if kind == "undo newest" else int(rng.integers(len(standing))))
            raw |= {} if kind == "undo newest" else {"undoes": undone[0]}
            row: Row = (name, "undo", undone[2], None, undone[0], "", None)
        else:
            label = int(rng.integers(1, 5)) if kind in {"accept", "relabel", "reject"} else None
            row = (name, kind, text, label, None, f"because {len(plan.rows)}", round(float(rng.random()), 3))
            raw |= {"text": text, "label": label, "reason": row[5], "seconds": row[6], "queue": "to decide"}
            standing.append(row)
        plan.rows.append(row)
        plan.back[name] = row[2] if row[1] == "undo" else None
        plan.sent.append(raw)
        if rng.random() < 0.2:  # a key press that was not acknowledged in time arrives again
            plan.sent.append(plan.sent[-int(rng.integers(1, min(len(plan.sent), 5) + 1))])
    return plan


class Desk:
    """A process that carries out one person's key presses; it can be restarted with the unacknowledged ones."""

    def __init__(self, prepared: PreparedProcess, project: Project, who: str, plan: Plan, folder: Path) -> None:
        self.prepared, self.project, self.who, self.plan = prepared, project, who, plan
        self._told, self._errors, self._acts = (folder / f"{who}.{kind}" for kind in ("told", "errors", "acts"))
        self._told.touch()
        self.process: Fork | None = None
        self.before = 0

    def told(self) -> int:
        """Return the number of acknowledgements; a key press that arrived twice counts twice."""
        return self._told.read_bytes().count(b"\n")

    def begun(self) -> bool:
        """Whether this process has acknowledged a key press, or has none left."""
        return self.told() > self.before or self.ended()

    def acks(self) -> list[list[Any]]:
        """Return all acknowledgements so far: request id, refusal, and the text whose card returns."""
        return [
            json.loads(line) for line in self._told.read_text("utf-8").splitlines(keepends=True) if line[-1] == "\n"
        ]

    @contextmanager
    def running(self, again: int = 0) -> Iterator[None]:
        """Start with all unacknowledged key presses and the last ``again`` acknowledged ones; then stop it."""
        self.before, acknowledged = self.told(), {act for act, _, _ in self.acks()}
        sent = self.plan.sent
        first = next((n for n, raw in enumerate(sent) if raw["id"] not in acknowledged), len(sent))
        waiting = sent[max(first - again, 0) :]
        self._acts.write_text("".join(json.dumps(raw) + "\n" for raw in waiting), "utf-8")
        command = [sys.executable, "-c", DESK, str(self.project.workspace), self.project.name, self.who]
        with self._acts.open("rb") as acts, self._told.open("ab") as told, self._errors.open("wb") as errors:
            self.process = self.prepared.start(command, stdin=acts, stdout=told, stderr=errors)
        try:
            yield
        finally:
            self.process.kill()
            self.process.wait(SECONDS)

    def ended(self) -> bool:
        assert self.process is not None
        code = self.process.poll()
        assert code in {None, 0}, self._errors.read_text("utf-8")
        return code == 0

    def kill(self) -> None:
        """Kill the process as the out-of-memory killer would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(SECONDS) == -signal.SIGKILL

    def stored(self) -> list[Row]:
        """Return this person's stored decisions, oldest first."""
        query = """SELECT d.act, d.kind, d.text, d.label, o.act, d.reason, d.seconds
            FROM decision d LEFT JOIN decision o ON o.id = d.undoes WHERE d.who = ? ORDER BY d.id"""
        with connection(self.project) as db:
            return list(db.execute(query, [self.who]).fetchall())


def wait_for(reached: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < end, f"waited {SECONDS} s for {what}"
        time.sleep(0.02)


def killed_at_a_random_moment(desk: Desk, other: Desk, most: int) -> None:
    """Kill a desk while another runs; check that exactly what it acknowledged is stored."""
    rng = np.random.default_rng()  # unseeded: the moment differs in each run
    wait_for(lambda: desk.begun() and other.begun(), "both desks to begin")
    more = int(rng.integers(1, most))
    wait_for(lambda: desk.ended() or desk.told() >= desk.before + more, "acts to be carried out")
    time.sleep(float(rng.uniform(0, 0.05)))
    desk.kill()
    acknowledged, stored = {act for act, _, _ in desk.acks()}, desk.stored()
    assert stored == desk.plan.rows[: len(stored)]
    assert len(stored) < ACTS, "it was killed too late"
    assert acknowledged <= {row[0] for row in stored}
    assert len(stored) <= len(acknowledged) + 1  # one may be stored but not yet acknowledged


def check_everything(project: Project, desks: Sequence[Desk]) -> None:
    """Check that every key press of each person is stored once, in order and unchanged, and nothing else is."""
    for desk in desks:
        assert desk.stored() == desk.plan.rows
        assert {act: back for act, _, back in desk.acks()} == desk.plan.back
        assert {refused for _, refused, _ in desk.acks()} == {""}
    with connection(project) as db:
        rows = db.execute("SELECT id, text, kind, label, undoes, who FROM decision ORDER BY id").fetchall()
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert [row[0] for row in rows] == list(range(1, ACTS * len(desks) + 1))
    turns = sum(one[5] != next_[5] for one, next_ in pairwise(rows))
    assert turns > 10, "they did not work at once"
    undone, fixed = {row[4] for row in rows}, dict[int, int]()
    for id_, text, kind, label, _, _ in rows:
        if id_ not in undone and kind in {"accept", "relabel", "none"}:
            fixed[text] = -1 if label is None else label
        elif id_ not in undone and kind == "reject" and fixed.get(text) == label:
            del fixed[text]
    assert decided(project) == fixed


@pytest.fixture
def desks(workspace: Path, tmp_path: Path, prepared_red: PreparedProcess, request: pytest.FixtureRequest) -> list[Desk]:
    project, rng = small_project(workspace), np.random.default_rng(getattr(request, "param", 0))
    texts = pool(project).tolist()[:12]
    return [Desk(prepared_red, project, who, random_plan(texts, rng), tmp_path) for who in PEOPLE]


@pytest.mark.timeout(200)
def test_two_desks_of_which_one_is_killed_lose_no_decision_and_make_none_up(desks):
    ann, bob = desks
    with bob.running():
        with ann.running():
            killed_at_a_random_moment(ann, bob, most=ACTS // 2)
        with ann.running(again=2):
            wait_for(lambda: ann.ended() and bob.ended(), "the end of all acts")
    check_everything(ann.project, desks)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("desks", range(5), indirect=True)
def test_two_desks_killed_again_and_again_lose_no_decision_and_make_none_up(desks):
    for again in range(4):
        with ExitStack() as running:
            for desk in desks:
                running.enter_context(desk.running(again))
            victim, other = sorted(desks, key=Desk.told)
            killed_at_a_random_moment(victim, other, most=ACTS // 10)
    with ExitStack() as running:
        for desk in desks:
            running.enter_context(desk.running(again=2))
        wait_for(lambda: all(desk.ended() for desk in desks), "the end of all acts")
    check_everything(desks[0].project, desks)
