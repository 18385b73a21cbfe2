"""The words of the product as frozen records. ``docs/glossary.md`` defines each word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Report = Callable[[str, int, int], None]
"""report(stage, done, total): how far the work is, with the name of its stage."""
Progress = Callable[[int, int], None]
"""progress(done, total): how far one stage is."""

PROMPT_VERSION = "1"
"""Version of the question a judge is asked; stored with every verdict. Raise it whenever the question changes."""
EVIDENCE_CHECK = "evidence"
"""The judge without an LLM, as it is stored."""

Role = Literal["labelled", "pool"]
RoundState = Literal["open", "to review", "fed back", "closed"]
JobState = Literal["waiting", "running", "done", "cancelled", "failed", "interrupted"]
Outcome = Literal["valid", "invalid", "unsure", "refused", "unparseable", "failed"]
NewDecisionKind = Literal["accept", "relabel", "none", "reject", "skip"]
"""What a person can decide about a text."""
DecisionKind = Literal[NewDecisionKind, "undo"]
"""What a row of decisions can be: an undo takes an earlier decision back."""
BatchKind = Literal["accept", "reject"]
"""What a whole list can be decided as. Both answer whether the proposed label is right."""
NAMES_LABEL: frozenset[DecisionKind] = frozenset({"accept", "relabel", "reject"})
"""The decisions about one label. The others come without a label."""
FIXES_OUTCOME: frozenset[DecisionKind] = frozenset({"accept", "relabel", "none"})
"""The decisions that say which label a text has, or that it has none."""

NONE_OF_THESE = -1
"""Stands where a label id would: the text belongs to no label."""
FEWEST_EXAMPLES = 2
"""A label needs two examples: with one, leave-one-out evidence is empty."""


@dataclass(frozen=True)
class Project:
    """A project is a folder in a workspace; every function of the core takes it first."""

    workspace: Path
    name: str

    @property
    def folder(self) -> Path:
        """Where everything of this project is kept."""
        return self.workspace / self.name

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / "project.db"


@dataclass(frozen=True)
class Label:
    """A label: a stable id, its unique name, its meaning ('' where none is written) and that meaning's id (or 0)."""

    id: int
    name: str
    meaning: str = ""
    meaning_id: int = 0


@dataclass(frozen=True)
class ImportSummary:
    """What one import did.

    Attributes
    ----------
    source_id : int
    file : str
    rows : int
        Rows in the file.
    seeds, pool : int
        Texts of the project after the import.
    labels : int
        Labels of the project after the import.
    folded : int
        Rows whose text the project already had; they keep their identity.
    left_out : int
        Rows that cannot be used; see ``left_out_rows``.
    already_imported : bool
        The same file was imported before: nothing was changed.
    notes : tuple of str
        What was guessed.
    """

    source_id: int
    file: str
    rows: int
    seeds: int
    pool: int
    labels: int
    folded: int
    left_out: int
    already_imported: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Example:
    """A guaranteed-valid sample shown as evidence: its origin is ``seed`` or ``analyst``."""

    text: int
    content: str
    similarity: float
    origin: str


@dataclass(frozen=True)
class Question:
    """One binary question to the judge, whether a label fits a text.

    Attributes
    ----------
    text : int
        Row id of the text in the store.
    content : str
    label, runner_up : Label
        The proposed label and its strongest rival.
    examples, rival_examples : tuple of Example
        The c nearest guaranteed-valid samples of each.
    belief : float
        Belief in the proposed label when the question was selected, in [0, 1].
    runner_up_belief : float
    reason : str
        What selected it: ``entropy`` or ``value``.
    gain : float
        The number that selected it.
    """

    text: int
    content: str
    label: Label
    runner_up: Label
    examples: tuple[Example, ...]
    rival_examples: tuple[Example, ...]
    belief: float
    runner_up_belief: float
    reason: str
    gain: float


@dataclass(frozen=True)
class Attempt:
    """One time a request was sent; what the server counted, None where it did not say: then the reserve is spent."""

    id: int
    tokens_in: int | None = None
    tokens_out: int | None = None


@dataclass(frozen=True)
class Answer:
    """The judge's answer to one question.

    Attributes
    ----------
    outcome : Outcome
        ``failed`` is no verdict: the question is asked again next time.
    p_valid : float or None
        Where the judge gives a probability.
    log_likelihood_ratio : float
        What the answer adds to the label's exponent in the belief.
    raw : str
        The reply as received; of one that failed, why.
    model, prompt_version : str
    question_key : str
        What identifies the question to this judge; '' where it cannot differ from the pair.
    cut : bool
        The judge was shown only the beginning of the text.
    meaning_id : int or None
        The label's meaning the judge was shown, 0 for none; None where the judge does not read meanings.
    attempts : tuple of Attempt
        Each time a request was sent.
    """

    outcome: Outcome
    p_valid: float | None
    log_likelihood_ratio: float
    raw: str
    model: str
    prompt_version: str
    question_key: str = ""
    cut: bool = False
    meaning_id: int | None = None
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True)
class JudgeRates:
    """How often a judge gave each answer to ``pairs`` pairs known to be right, and known to be wrong.

    Attributes
    ----------
    right, wrong : dict of outcome to share
        Shares in [0, 1], each summing to 1; smoothed, so that none is impossible.
    pairs : int
    passes : (float, float) or None
        The shares of right and of wrong pairs called valid, as counted; None where nothing was counted.
    """

    right: dict[str, float]
    wrong: dict[str, float]
    pairs: int
    passes: tuple[float, float] | None = None


@dataclass(frozen=True)
class Verdict:
    """A stored answer about a (text, label) pair."""

    id: int
    round_id: int
    text: int
    label: int
    judge: str
    outcome: Outcome
    p_valid: float | None
    log_likelihood_ratio: float
    stale: bool = False
    """The label's meaning was edited since."""


@dataclass(frozen=True)
class Decision:
    """What a person decided about a text; see :func:`red_core.review.decisions.decide`.

    Attributes
    ----------
    text : int
    kind : DecisionKind
    label, proposal : int or None
    who, reason : str
    act : str or None
        A name no other act has: sent twice, it is stored once.
    seconds : float or None
        How long the card was on the desk.
    queue : str
        The queue it was in.
    """

    text: int
    kind: DecisionKind
    label: int | None = None
    proposal: int | None = None
    who: str = "analyst"
    reason: str = ""
    act: str | None = None
    seconds: float | None = None
    queue: str = ""


@dataclass(frozen=True)
class Job:
    """Work outside the browser; see ``red_core.rounds.worker``."""

    id: int
    kind: str
    state: JobState
    stage: str
    done: int
    total: int
    error: str
    cancel_asked: bool
    pid: int | None
    process_started: float | None
    heartbeat: float
    settings: str
    who: str


@dataclass(frozen=True)
class Round:
    """One turn of fit, score, select, ask; ``metrics`` is empty until it is to review."""

    id: int
    state: RoundState
    label_set_version: int
    settings: str
    judge: str
    started_at: str
    metrics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FeedBackItem:
    """One text that joins the training set: its label, its weight in (0, 1], and what made it eligible."""

    text: int
    label: int
    weight: float
    source: Literal["decision", "verdict"]


@dataclass(frozen=True)
class Cluster:
    """Texts that fit no label and are alike: perhaps a label that is missing.

    Attributes
    ----------
    texts : tuple of int
        Row ids, the most central first.
    none_belief : float
        Their mean belief in none of these, in [0, 1].
    nearest : Label
        The label most like it.
    similarity : float
        Cosine similarity of the cluster's mean to that label's, in [-1, 1].
    words : tuple of str
        What tells it from the pool, the most telling first.
    name : str
        A suggestion no label has, nor any cluster before it.
    meaning : str
        What belongs to it, where a model suggested that.
    named_by : str
        The model that suggested the name; '' where the words did.
    near : tuple of str
        The names of the labels most like it.
    """

    texts: tuple[int, ...]
    none_belief: float
    nearest: Label
    similarity: float
    words: tuple[str, ...]
    name: str
    meaning: str = ""
    named_by: str = ""
    near: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many texts it has."""
        return len(self.texts)
