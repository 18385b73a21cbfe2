"""How far a job is, how long it still takes, and how long a round takes on a quiet machine."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from time import monotonic

import streamlit as st

from red_core.records import Job, Project
from widgets.shell.reads import facts
from widgets.shell.words import STAGES, counted

# Seconds of each stage on a quiet machine of two cores: fixed, for each label, for each text (benchmarks/speed.py).
_EMBED, _MAP = (1.0, 0.0, 0.003), (3.0, 0.005, 0.0001)
STAGES_OF: dict[str, dict[str, tuple[float, float, float]]] = {
    "round": {
        "": (0.0, 0.0, 0.0), "embed": _EMBED, "form subsets": _MAP, "words and characters": (1.0, 0.0, 0.0002),
        "neighbours": (1.0, 0.0, 0.0003), "fit": (3.0, 0.1, 0.0003), "score": (1.0, 0.0, 0.0003),
        "test the judge": (20.0, 0.0, 0.0), "ask": (60.0, 0.0, 0.0), "believe": (1.0, 0.0, 0.0001),
    },
    "prepare": {"": (0.0, 0.0, 0.0), "compare encoders": (10.0, 0.0, 0.0), "embed": _EMBED, "form subsets": _MAP},
    "encoder": {"": (0.0, 0.0, 0.0), "download the encoder": (60.0, 0.0, 0.0), "embed": _EMBED, "form subsets": _MAP},
    "compare encoders": {"": (0.0, 0.0, 0.0), "compare encoders": (1.0, 0.0, 0.0)},
    "judge-check": {"": (0.0, 0.0, 0.0), "test the judge": (1.0, 0.0, 0.0)},
    "meanings": {"": (0.0, 0.0, 0.0), "write meanings": (1.0, 0.0, 0.0)},
}  # fmt: skip
"""The stages of each kind of job, in their order."""
OF_A_JUDGE = {"test the judge", "ask", "write meanings"}
"""The stages that take as long as a judge's server takes to reply."""
PART_OF = {"wait for the batch": "ask"}
"""Stages that are counted as part of another one."""
IN_PERCENT = {"fit"}
"""Stages that count percent, not things."""
SECONDS_SEEN, SHARE_SEEN = 5.0, 0.05
"""The time left is shown after so many seconds, and so much of a stage."""


def seconds_of(kind: str, counts: Mapping[str, int]) -> dict[str, float]:
    """Return the typical seconds of each stage of a job, in their order.

    Parameters
    ----------
    counts : mapping of str to int
        The facts ``labels``, ``seeds`` and ``pool`` of the project.
    """
    texts = counts["seeds"] + counts["pool"]
    return {
        stage: fixed + each_label * counts["labels"] + each_text * texts
        for stage, (fixed, each_label, each_text) in STAGES_OF[kind].items()
    }


def duration_in_words(project: Project) -> str:
    """Return about how long a round takes, without the replies of a judge; the import has prepared the texts."""
    seconds = seconds_of("round", facts(project))
    own = sum(taken for stage, taken in seconds.items() if stage not in {"embed", *OF_A_JUDGE})
    return f"It takes about {counted(ceil(own / 60), 'minute')} on a computer that does nothing else."


def share_of(job: Job, seconds: Mapping[str, float]) -> float:
    """Return how much of the whole job is done, in [0, 1]: it does not go back from stage to stage."""
    stage = PART_OF.get(job.stage, job.stage)
    before = sum(list(seconds.values())[: list(seconds).index(stage)])
    return (before + _inside(job) * seconds[stage]) / sum(seconds.values())


def show_progress(project: Project, job: Job) -> None:
    """Show the bar of a running job, its stage, and the time left once it is known."""
    seconds = seconds_of(job.kind, facts(project))
    # A judge can find more to ask; the bar still never goes back in a session.
    key = f"job_share_{project.name}_{job.id}"
    st.session_state[key] = share = max(share_of(job, seconds), float(st.session_state.get(key, 0.0)))
    count = f" · {job.done}%" if job.stage in IN_PERCENT else f" · {job.done:,} of {job.total:,}"
    words = f"{STAGES.get(job.stage, job.stage)}{count if job.total else ''}{_time_left(project, job, seconds)}"
    st.progress(share, text=words)


def _inside(job: Job) -> float:
    """Return how much of its stage a job has done, in [0, 1]."""
    return min(job.done / job.total, 1.0) if job.total else 0.0


def _time_left(project: Project, job: Job, seconds: Mapping[str, float]) -> str:
    """Return the time left in words; '' until it is known.

    The typical seconds of the rest are multiplied with how slow the last stage was that took a while: a stage that has
    nothing to do says nothing about the next one. While a judge is asked, only its questions count.
    """
    if job.stage in PART_OF:
        return ""
    name = f"{project.name}_{job.id}"
    began, first = st.session_state.setdefault(f"job_seen_{name}_{job.stage}", (monotonic(), _inside(job)))
    took, gained = monotonic() - began, _inside(job) - first
    if took >= SECONDS_SEEN and gained >= SHARE_SEEN:
        st.session_state[f"job_slow_{name}"] = took / (gained * max(seconds[job.stage], 1e-9))
    elif job.stage in OF_A_JUDGE:
        return ""
    slowness = st.session_state.get(f"job_slow_{name}")
    if slowness is None:
        return ""
    later = [] if job.stage in OF_A_JUDGE else list(seconds)[list(seconds).index(job.stage) + 1 :]
    rest = (1.0 - _inside(job)) * seconds[job.stage] + sum(seconds[s] for s in later if s not in OF_A_JUDGE)
    left = slowness * rest
    return f" · about {ceil(left / 60)} min left" if left > 90 else f" · about {10 * ceil(left / 10)} s left"
