"""What the questions to an LLM judge cost: the estimate before a round, the choice of batches, what was spent."""

from __future__ import annotations

import streamlit as st

from red_core.judges.project import judge_of, seconds_per_question
from red_core.judges.server_settings import JudgeServer
from red_core.records import Project
from red_core.store.attempts import spent, tokens_per_question
from widgets.shell.words import counted

TOKENS_PER_QUESTION = 600
"""The estimate before the first question was counted."""


def cost(project: Project, server: JudgeServer, questions: int, *, batch: bool = False) -> str:
    """Return, as a sentence, the estimated cost of questions in tokens, and in money if the prices are known."""
    each = tokens_per_question(project, judge_of(project, server))
    tokens = int(questions * (each or TOKENS_PER_QUESTION))
    takes = ", takes up to 24 hours" if batch else _time(questions * seconds_per_question(project, server))
    estimate = f"This uses about {counted(tokens, 'token')}{takes}"
    if server.price_in is None or server.price_out is None:
        return f"{estimate}. You have set no price."
    money = tokens * max(server.price_in, server.price_out) / 1e6
    if not batch:
        return f"{estimate} and costs at most {money:,.2f}."
    share = f"a question in a batch costs {server.price_batch:.0%} of its price"
    return f"{estimate} and costs at most {money * server.price_batch:,.2f}: {share}."


def choose_batch(server: JudgeServer | None) -> bool:
    """Show the choice to ask in batches, if the judge has the API for them; return whether it was made."""
    if server is None or server.wire != "chat":
        return False
    return st.checkbox(
        "Ask in batches: cheaper, but the replies can take up to 24 hours",
        key="batch",
        persist_state="session",  # the choice is hidden while a job runs
        help="The questions are sent as a file. The server must have /v1/files and /v1/batches. The self-test "
        "is not sent in batches.",
    )


def _time(seconds: float) -> str:
    """Return how long the questions take, as the trial measured it; '' where it is not known or short."""
    if seconds < 60:
        return ""
    return f", takes about {counted(round(seconds / 60), 'minute')}"


def show_spent(project: Project) -> None:
    """Show what the judge has cost so far."""
    so_far = spent(project)
    if so_far.attempts:
        money = "" if so_far.money is None else f" Cost: {so_far.money:,.2f}."
        cached = f" ({so_far.cached:,} of them from the server's cache)" if so_far.cached else ""
        used = f"{counted(so_far.tokens, 'token')}{cached} in {counted(so_far.attempts, 'request')}"
        st.caption(f"Used in this project: {used}.{money}")
