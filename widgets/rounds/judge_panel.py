"""Who judges: the evidence check or an LLM; connect to one, test it, and see what it costs before it is asked."""

from __future__ import annotations

import os
from typing import Any, get_args

import streamlit as st

from red_core.access.who import who_acts
from red_core.errors import JudgeError, RedError
from red_core.judges import judge_server, stored_self_test
from red_core.judges.project import try_connection
from red_core.judges.server import ApiName, JudgeServer, keep
from red_core.records import Project
from red_core.rounds import mark_interrupted, start_job
from red_core.settings import RECOMMENDED
from red_core.store.attempts import spent, tokens_per_question
from red_core.store.rounds import last_finished_round
from widgets.shell.reads import facts
from widgets.shell.shell import errors_in_one_line
from widgets.shell.untrusted import plain
from widgets.shell.words import ENDED, JUDGES, counted

WIRES = {
    "chat": "chat: any OpenAI-compatible server",
    "systemone": "systemone: Ollama, transformers serve; gives a probability",
    "decisions": "decisions: OpenAI; gives a probability",
}
FIRST_GUESS = 600
"""Tokens of a question before any was counted."""


def choose_judge(project: Project) -> str:
    """Show who may judge, first who did in the last round; return the setting's value."""
    last = last_finished_round(project)
    return str(
        st.radio(
            "Judge",
            list(JUDGES),
            index=list(JUDGES).index(last.judge) if last is not None else 0,
            format_func=JUDGES.get,
            captions=[
                "Compares with the seeds. Free and offline, but its errors go with the classifiers': you decide.",
                "Reads the text beside the evidence. It is tested on your seeds first, and costs tokens.",
            ],
            key="judge",
            persist_state="session",  # it is not drawn while a job runs, and must not fall back meanwhile
        )
    )


def show_llm(project: Project) -> JudgeServer | None:
    """Show the LLM judge, connected and tested or not yet; return its server once there is one."""
    server = None
    try:
        server = judge_server()
    except JudgeError as error:
        st.caption(plain(str(error)))
    with st.container(border=True):
        if kept := st.session_state.pop("judge_kept", None):
            st.success(plain(kept), icon=":material/check:")
        if server is not None:
            st.markdown(f"**{plain(server.name)}** at {plain(server.host)}")
            show_self_test(project, server)
            show_failure(project, "judge-check", "Testing the judge")
            if st.button("Test it now", key="judge_check", icon=":material/fact_check:"):
                with errors_in_one_line():
                    start_job(project, "judge-check", RECOMMENDED, who_acts())
                    st.rerun()
        show_connect(project, server)
    return server


def show_failure(project: Project, kind: str, work: str) -> None:
    """Say why the newest job did not end well, where it is of this kind."""
    job = mark_interrupted(project)
    if job is not None and job.kind == kind and job.state in {"failed", "interrupted"}:
        st.warning(plain(f"{work} {ENDED[job.state]}: {job.error}"), icon=":material/error:")


def show_self_test(project: Project, server: JudgeServer) -> None:
    """Show what the self-test said of this judge, the warning last and loudest."""
    found = stored_self_test(project, server.name)
    if found is None:
        known = facts(project)["seeds"]
        pairs = 2 * min(RECOMMENDED.self_test_seeds, known) + min(RECOMMENDED.canaries, known)
        st.caption(f"Not tested yet. A round tests it first: at most {pairs} questions whose answers your seeds give.")
        return
    sentences = list(found.sentences())
    for sentence in sentences:
        if sentence == found.warning:
            st.warning(plain(sentence), icon=":material/warning:")
        else:
            st.text(sentence)


def show_connect(project: Project, server: JudgeServer | None) -> None:
    """Show the form that says where the judge is, tries it and keeps it."""
    now = server or _known_so_far()
    # No popover: what came of trying would stand below its edge.
    with st.expander("Connect", icon=":material/link:", expanded=server is None):
        show_connect_form(project, now)


def _known_so_far() -> JudgeServer:
    """Return what is set, though it does not make a judge yet; the defaults where it cannot be read."""
    try:
        return JudgeServer()
    except (ValueError, OSError):
        return JudgeServer.model_construct()


def show_connect_form(project: Project, now: JudgeServer) -> None:
    """Show what can be set, and what came of trying or keeping it."""
    with st.form("connect", border=False):
        url = field("base_url", "Address, with /v1 at the end", now.base_url)
        key = field("api_key", "Key", "", password=True, help="Empty keeps the one there is. It is stored in a file.")
        model = field("model", "Model", now.model)
        wires = list(get_args(ApiName))
        wire = st.selectbox(
            "Wire",
            wires,
            index=wires.index(now.wire),
            format_func=WIRES.__getitem__,
            key="connect_wire",
            **_fixed("wire"),
        )
        left, right = st.columns(2)
        price_in = left.number_input(
            "Price of a million tokens read", 0.0, value=now.price_in, key="connect_price_in", placeholder="unknown",
            **_fixed("price_in"),
        )  # fmt: skip
        price_out = right.number_input(
            "written", 0.0, value=now.price_out, key="connect_price_out", **_fixed("price_out")
        )
        st.caption("Names in the environment win over what is kept here.")
        outcome = st.container()  # where the button was pressed, so that it is seen
        with st.container(horizontal=True):
            tried = st.form_submit_button("Try it", key="connect_try", icon=":material/bolt:")
            kept = st.form_submit_button("Keep it", key="connect_keep", type="primary")
    if not (tried or kept):
        return
    with outcome, errors_in_one_line():
        changes = {"base_url": url, "model": model, "wire": wire, "price_in": price_in, "price_out": price_out}
        changes = {name: value for name, value in changes.items() if not _fixed(name)["disabled"]}
        wanted = judge_server(**changes, **({"api_key": key} if key else {}))
        if kept:
            st.session_state["judge_kept"] = f"Kept in {keep(wanted).name}, readable by you alone."
            st.rerun()  # the page above the form is about this judge now
        else:
            show_trial(project, wanted)


def field(name: str, told: str, value: str, *, password: bool = False, help: str = "") -> str:  # noqa: A002
    """Show one setting of the server; it is fixed where the environment names it."""
    return st.text_input(
        told,
        value,
        type="password" if password else "default",
        key=f"connect_{name}",
        **({"help": help or None} | _fixed(name)),
    ).strip()


def _fixed(name: str) -> dict[str, Any]:
    """Return what makes a widget fixed where the environment names its setting."""
    variable = str(JudgeServer.model_fields[name].alias)
    fixed = bool(os.environ.get(variable))
    return {"disabled": True, "help": f"Set by {variable} in the environment."} if fixed else {"disabled": False}


def show_trial(project: Project, server: JudgeServer) -> None:
    """Try the server on two pairs and say what works."""
    with st.spinner("Asking about a right and a wrong pair"):
        found = try_connection(project, server)
    for sentence in found.sentences:
        st.text(sentence)
    if found.form is None:
        st.error("It cannot judge: try another model or another wire.", icon=":material/error:")
    else:
        st.success(plain(f"It works; the server says it is {found.model or server.model}."), icon=":material/check:")


def cost(project: Project, server: JudgeServer, questions: int) -> str:
    """Return what questions will cost, in tokens and, where prices are known, in money."""
    each = tokens_per_question(project, server.name)
    tokens = int(questions * (each or FIRST_GUESS))
    told = f"about {counted(tokens, 'token')}"
    if server.price_in is None or server.price_out is None:
        return f"{told}; no price is set"
    return f"{told}, at most {tokens * max(server.price_in, server.price_out) / 1e6:,.2f} at your prices"


def show_spent(project: Project) -> None:
    """Show what was spent so far."""
    so_far = spent(project)
    if so_far.attempts:
        money = "" if so_far.money is None else f", {so_far.money:,.2f} at your prices"
        st.caption(f"Spent in this project: {counted(so_far.tokens, 'token')} in {so_far.attempts:,} requests{money}.")


def connected_server() -> JudgeServer | None:
    """Return the server of the LLM judge, None where none is set."""
    try:
        return judge_server()
    except RedError:
        return None
