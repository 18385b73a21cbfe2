"""What the questions to an LLM judge cost: the estimate, the choice of batches, what was spent."""

from __future__ import annotations

import streamlit as st

from red_core.judges.cost import QuestionCost, cost_of_question
from red_core.judges.server_settings import JudgeServer
from red_core.records import Project
from red_core.store.attempts import spent
from widgets.shell.words import counted


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


def question_cost(project: Project, server: JudgeServer | None) -> QuestionCost:
    """Return what a question to this judge costs, in a batch if that was chosen on *Rounds*."""
    batch = server is not None and server.wire == "chat" and bool(st.session_state.get("batch"))
    return cost_of_question(project, server, batch=batch)


def show_spent(project: Project) -> None:
    """Show what the judge has cost so far."""
    so_far = spent(project)
    if so_far.attempts:
        money = "" if so_far.money is None else f" Cost: {so_far.money:,.2f}."
        cached = f" ({so_far.cached:,} of them from the server's cache)" if so_far.cached else ""
        used = f"{counted(so_far.tokens, 'token')}{cached} in {counted(so_far.attempts, 'request')}"
        st.caption(f"Used in this project: {used}.{money}")
