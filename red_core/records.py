"""Frozen records for the terms of ``docs/glossary.md``, and the types and constants that all rooms share."""

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

PROMPT_VERSION = "4"
"""Version of the prompt, stored with every verdict. Raise it whenever the prompt changes."""
EVIDENCE_CHECK = "evidence"
"""The stored name of the similarity check, the judge without an LLM."""


def judge_in_words(judge: str) -> str:
    """Return the name of a judge as a sentence has it."""
    return "similarity check (no LLM)" if judge == EVIDENCE_CHECK else judge


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
"""The label id of *none of these*: the text belongs to no label."""
NONE_NAMES = frozenset(("none of these", "(none of these)"))
"""Keys of names that mean *none of these* where a label is named; no label has such a name."""
LONGEST_SECONDS = 1e6
"""Most seconds that a decision may have taken."""
FEWEST_EXAMPLES = 2
"""A label needs two examples: with one, leave-one-out evidence is empty."""


@dataclass(frozen=True)
class Project:
    """A project: one folder in a workspace. It is the first argument of most functions of the core.

    Attributes
    ----------
    workspace : Path
    name : str
    id : str
        The id that the project got when it was created or restored. With an id, every connection checks that the folder
        still holds this project, and not another one under the same name. '' checks nothing.
    """

    workspace: Path
    name: str
    id: str = field(default="", compare=False)

    @property
    def folder(self) -> Path:
        """The folder that holds all files of this project."""
        return self.workspace / self.name

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / "project.db"


@dataclass(frozen=True)
class Label:
    """A label.

    Attributes
    ----------
    id : int
        Never changes.
    name : str
        Unique among the active labels.
    meaning : str
        What belongs to it; '' for none.
    meaning_id : int
        The version of its meaning, 0 for none; it changes with ``excludes``, too.
    path : tuple of str
        The names of the groups that it is in, from the top; () for no group.
    excludes : str
        What does not belong to it; '' where nobody wrote it.
    siblings : tuple of str
        The names of the other labels in its group, if they are few.
    good, bad : tuple of str
        The newest examples of its guideline, as texts: some that belong to it, some that do not.
    """

    id: int
    name: str
    meaning: str = ""
    meaning_id: int = 0
    path: tuple[str, ...] = ()
    excludes: str = ""
    siblings: tuple[str, ...] = ()
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()


@dataclass(frozen=True)
class Example:
    """A text that certainly has the label, shown as evidence. ``origin`` is ``seed`` or ``analyst``."""

    text: int
    content: str
    similarity: float
    origin: str


@dataclass(frozen=True)
class Question:
    """One question to the judge: whether a label is right for a text, or whether it is rather this label than that.

    Attributes
    ----------
    text : int
        Row id of the text in the store.
    content : str
    label, runner_up : Label
        The proposed label and its strongest rival.
    examples, rival_examples : tuple of Example
        The nearest texts that certainly have each of the two labels.
    belief : float
        Belief in the proposed label when the question was selected, in [0, 1].
    runner_up_belief : float
    reason : str
        The rule that selected the question: ``entropy`` or ``value``, or ``rivals`` of one that compares.
    gain : float
        The score that rule gave it: normalised entropy, or expected gain in P(right).
    compares : bool
        False asks whether the label is right. True asks whether it is the label rather than the runner-up; the answer
        says nothing about other labels.
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
    compares: bool = False


@dataclass(frozen=True)
class Attempt:
    """One request that was sent. Its token counts are None if the server reported none; then the reserve counts.

    ``tokens_cached`` are those of ``tokens_in`` that the server had in its cache.
    """

    id: int
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None


@dataclass(frozen=True)
class Answer:
    """The judge's answer to one question.

    Attributes
    ----------
    outcome : Outcome
        ``failed`` is not a verdict: the question is asked again next time.
        For a question that compares, *valid* means: rather the label, *invalid*: rather the runner-up.
    p_valid : float or None
        The judge's probability that the label is right, in [0, 1]; None if it gives none.
    log_likelihood_ratio : float
        ln P(answer | label right) - ln P(answer | label wrong): added to the label's logit.
    raw : str
        The reply as received; for a failed request, the reason.
    model, prompt_version : str
    question_key : str
        A hash of the question as this judge sees it; '' if the text and the label identify it.
    cut : bool
        True if the judge saw only the beginning of the text.
    meaning_id : int or None
        The id of the meaning that the judge read, 0 for none; None if this judge does not read meanings.
    attempts : tuple of Attempt
        The requests that were sent for this answer.
    toward_rival : float
        Added to the runner-up's logit; 0 unless the question compares.
    rival_meaning_id : int or None
        As ``meaning_id``, of the runner-up, if the question compares.
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
    toward_rival: float = 0.0
    rival_meaning_id: int | None = None


@dataclass(frozen=True)
class JudgeRates:
    """How often a judge gave each answer, measured on pairs of a text and a label whose truth is known.

    Attributes
    ----------
    right, wrong : dict of outcome to share
        Chance of each outcome for right and for wrong pairs, in (0, 1). Each sums to 1; a difference that chance
        explains is taken out.
    pairs : int
        Pairs measured.
    passes : (float, float) or None
        Unsmoothed shares of right and of wrong pairs that were called valid; None if there are no such pairs.
    rejects : (float, float) or None
        As ``passes``, of those that were called invalid; None also in rounds of earlier versions.
    bits : float or None
        How many bits an answer says about *right or wrong*, in [0, 1]; None if it was not measured.
    levels : tuple of (float, float)
        If the judge gives probabilities: the chance of each level of them for right and for wrong pairs, the lowest
        level first; see :func:`red_core.steps.judge_reliability.levels_of`. Otherwise empty.
    rival_bits : float or None
        How many bits an answer to *rather this label than that?* says, in [0, 1]; None if the judge was not tested on
        it.
    rival_levels : tuple of (float, float)
        As ``levels``, for such an answer: its chance if the label is right, and if the runner-up is.
    rival_price : float
        The tokens of such a question, divided by those of the other.
    both_shares : (float, float)
        Which share of an answer to *is this label right?*, and of one to *rather this label than that?*, counts where
        both were given about a label of a text, each in [0, 1]. If that was not measured, both count as one.
    """

    right: dict[str, float]
    wrong: dict[str, float]
    pairs: int
    passes: tuple[float, float] | None = None
    bits: float | None = None
    levels: tuple[tuple[float, float], ...] = ()
    rival_bits: float | None = None
    rival_levels: tuple[tuple[float, float], ...] = ()
    rival_price: float = 1.0
    rejects: tuple[float, float] | None = None
    both_shares: tuple[float, float] = (0.5, 0.5)


@dataclass(frozen=True)
class Verdict:
    """A stored verdict about a text and a label."""

    id: int
    round_id: int
    text: int
    label: int
    judge: str
    outcome: Outcome
    p_valid: float | None
    log_likelihood_ratio: float
    stale: bool = False
    """True if the label's meaning or extent changed after the verdict (shown as *outdated*)."""


@dataclass(frozen=True)
class Decision:
    """An analyst's decision about a text; see :func:`red_core.review.decisions.decide`.

    Attributes
    ----------
    text : int
    kind : DecisionKind
    label, proposal : int or None
    who, reason : str
    act : str or None
        A unique id of the key press: sent twice, it is stored once.
    seconds : float or None
        How long the card was shown.
    queue : str
        The queue that showed it.
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
    """A job: work in a process of its own, see :mod:`red_core.rounds.worker`."""

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
    """One round: fit, score, select, ask. ``metrics`` is empty until the round is ready for review."""

    id: int
    state: RoundState
    label_set_version: int
    settings: str
    judge: str
    started_at: str
    metrics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FeedBackItem:
    """A text that joins the training set: its label, its weight in (0, 1], and why it is eligible."""

    text: int
    label: int
    weight: float
    source: Literal["decision", "verdict"]


@dataclass(frozen=True)
class Cluster:
    """A group of similar texts that fit no label: perhaps a missing label.

    Attributes
    ----------
    texts : tuple of int
        Row ids, the most central first.
    none_belief : float
        Their mean belief in *none of these*, in [0, 1].
    nearest : Label
        The most similar label.
    similarity : float
        Cosine similarity of the cluster's mean to that label's mean, in [-1, 1].
    words : tuple of str
        The words that distinguish it from the pool, most distinctive first.
    name : str
        A suggested name that no label and no earlier cluster has.
    meaning : str
        A suggested meaning; '' if no model wrote one.
    named_by : str
        The model that suggested the name; '' if the name comes from the words.
    near : tuple of str
        The names of the most similar labels.
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
        """The number of its texts."""
        return len(self.texts)
