"""The judge: choose the similarity check or an LLM, connect the LLM, test it, and see its cost before a round."""

from __future__ import annotations

import json
import os
from typing import Any, get_args

import streamlit as st

from red_core.access.who import who_acts
from red_core.errors import JudgeError, RedError
from red_core.judges import judge_server, stored_self_test
from red_core.judges.project import judge_of, try_connection
from red_core.judges.server_settings import OF_OPERATOR, ApiName, Format, JudgeServer, keep
from red_core.records import Project
from red_core.rounds import mark_interrupted, start_job
from red_core.settings import RECOMMENDED
from red_core.store.rounds import last_finished_round
from widgets.shell.reads import facts
from widgets.shell.reasons import reason_of, why_ended
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import is_operator
from widgets.shell.untrusted import plain
from widgets.shell.words import JUDGES

APIS = {
    "chat": "chat: any OpenAI-compatible server",
    "systemone": "systemone: Ollama, transformers serve",
    "decisions": "decisions: OpenAI",
}
API_HELP = "Ask your administrator which API to choose. *systemone* and *decisions* also say how likely *valid* is."


def choose_judge(project: Project) -> str:
    """Show the choice of judge, that of the last round first; return the value of the setting ``judge``."""
    last = last_finished_round(project)
    return str(
        st.radio(
            "Judge",
            list(JUDGES),
            index=list(JUDGES).index(last.judge) if last is not None else 0,
            format_func=JUDGES.get,
            captions=[
                (
                    "Free and offline. It compares texts in the same way as the classifiers and makes the same "
                    "mistakes. So you confirm its verdicts."
                ),
                (
                    "Reads each text beside its evidence. The program first tests it on your labelled examples. It "
                    "uses tokens, which can cost money."
                ),
            ],
            key="judge",
            persist_state="session",  # the choice is hidden while a job runs
        )
    )


def show_llm(project: Project) -> JudgeServer | None:
    """Show the LLM judge, its self-test and the form that connects it; return its server, None before there is one."""
    server = None
    try:
        server = judge_server()
    except JudgeError as error:
        st.caption(plain(reason_of(error)))
    with st.container(border=True):
        if message := st.session_state.pop("judge_saved", None):
            st.success(plain(message), icon=":material/check:")
        if server is not None:
            st.markdown(f"**{plain(server.name)}** at {plain(server.host)}")
            show_self_test(project, server)
            show_failure(project, "judge-check", "Testing the judge")
            if st.button("Test the judge", key="judge_check", icon=":material/fact_check:"):
                with errors_in_one_line():
                    start_job(project, "judge-check", RECOMMENDED, who_acts())
                    st.rerun()
        show_connect(project, server)
    return server


def show_failure(project: Project, kind: str, work: str) -> None:
    """Show why the newest job failed or was interrupted, if it is of this kind."""
    job = mark_interrupted(project)
    if job is not None and job.kind == kind and job.state in {"failed", "interrupted"}:
        st.warning(plain(f"{work} {why_ended(job)}."), icon=":material/error:")


def show_self_test(project: Project, server: JudgeServer) -> None:
    """Show the results of the judge's self-test, its warning last."""
    self_test = stored_self_test(project, judge_of(project, server))
    if self_test is None:
        known = facts(project)["seeds"]
        texts, injections = min(RECOMMENDED.self_test_seeds, known), min(RECOMMENDED.canaries, known)
        st.caption(
            f"Not tested yet. A round runs the self-test first. It asks at most {2 * texts + injections} questions. If "
            f"the server gives probabilities, it also asks {texts + injections} shorter ones: which of two labels is "
            "right. The program knows the right answers from your labelled examples."
        )
        return
    for sentence in self_test.sentences():
        if sentence == self_test.warning:
            st.warning(plain(sentence), icon=":material/warning:")
        else:
            st.text(sentence)


def show_connect(project: Project, server: JudgeServer | None) -> None:
    """Show the form with the address of the judge, which tries it and saves it."""
    now = server or _settings_so_far()
    # An expander, because the result of a try would be cut off in a popover.
    with st.expander("Connect", icon=":material/link:", expanded=server is None):
        show_connect_form(project, now)


def _settings_so_far() -> JudgeServer:
    """Return the settings of a judge that is not complete yet; the defaults if they cannot be read."""
    try:
        return JudgeServer()
    except (ValueError, OSError):
        return JudgeServer.model_construct()


def show_connect_form(project: Project, now: JudgeServer) -> None:
    """Show the settings of the judge, and the result of trying or saving them."""
    with st.form("connect", border=False):
        url = field("base_url", "Address, with /v1 at the end", now.base_url)
        key = field(
            "api_key",
            "Key",
            "",
            password=True,
            help="Leave it empty to keep the saved key. The key is saved in a file, and is sent to this address only.",
        )
        model = field("model", "Model", now.model)
        apis = list(get_args(ApiName))
        wire = st.selectbox(
            "API", apis, index=apis.index(now.wire), format_func=APIS.__getitem__, key="connect_wire",
            **({"help": API_HELP} | _fixed("wire")),
        )  # fmt: skip
        left, right = st.columns(2)
        price_in = left.number_input(
            "Price per million input tokens", 0.0, value=now.price_in, key="connect_price_in", placeholder="unknown",
            **_fixed("price_in"),
        )  # fmt: skip
        price_out = right.number_input(
            "Price per million output tokens", 0.0, value=now.price_out, key="connect_price_out", **_fixed("price_out")
        )
        more = show_more(now)
        st.caption(
            "The administrator of this app can fix settings. Those replace the settings saved here. Only the "
            "administrator can change the address, the key and the headers."
        )
        result = st.container()  # close to the button, so that the result is in view
        with st.container(horizontal=True):
            tried = st.form_submit_button("Try it", key="connect_try", icon=":material/bolt:")
            saved = st.form_submit_button("Save it", key="connect_keep", type="primary")
    if not (tried or saved):
        return
    with result, errors_in_one_line():
        changes = {"base_url": url, "model": model, "wire": wire, "price_in": price_in, "price_out": price_out, **more}
        changes = {name: value for name, value in changes.items() if not _fixed(name)["disabled"]}
        wanted = judge_server(**changes, **({"api_key": key} if key and is_operator() else {}))
        if saved:
            st.session_state["judge_saved"] = f"Saved in {keep(wanted).name}. Only you can read this file."
            st.rerun()  # the page above the form shows the new judge
        else:
            try_server(project, wanted)


def show_more(now: JudgeServer) -> dict[str, Any]:
    """Show the settings that a slow or strange server needs, folded; return them by their names."""
    with st.expander("More settings", icon=":material/tune:", key="more_settings_fold"):
        left, right = st.columns(2)
        found: dict[str, Any] = {
            "at_once": left.number_input(
                "Most questions sent at the same time", 1, 256, now.at_once, key="connect_at_once",
                **({"help": "The program sends fewer to a slow server."} | _fixed("at_once")),
            ),
            "timeout": right.number_input(
                "Seconds to wait for a reply", 1.0, 600.0, max(now.timeout, 1.0), key="connect_timeout",
                **({"help": "The program waits up to four times as long for a slow server."} | _fixed("timeout")),
            ),
            "price_batch": right.number_input(
                "Price in a batch (share of the normal price)", 0.0, 1.0, now.price_batch, key="connect_price_batch",
                **({"help": "0.5 is half the price."} | _fixed("price_batch")),
            ),
            "price_cached": left.number_input(
                "Price per million cached input tokens", 0.0, value=now.price_cached, key="connect_price_cached",
                placeholder="as input", **_fixed("price_cached"),
            ),
        }  # fmt: skip
        forms = list(get_args(Format))
        found["response_format"] = right.selectbox(
            "JSON format (chat)", forms, index=forms.index(now.response_format), key="connect_response_format",
            **({"help": "*auto* tries which format the server obeys."} | _fixed("response_format")),
        )  # fmt: skip
        extra = field("extra", "More parameters, as JSON", json.dumps(now.extra) if now.extra else "")
        found["extra"] = extra or "{}"
        headers = field(
            "headers", "More headers, as JSON", "", password=True, help="Leave it empty to keep the saved headers."
        )
        if headers and is_operator():
            found["headers"] = headers
    return found


def field(name: str, title: str, value: str, *, password: bool = False, help: str = "") -> str:  # noqa: A002
    """Show one setting of the server; it cannot be edited if an environment variable sets it."""
    return st.text_input(
        title,
        value,
        type="password" if password else "default",
        key=f"connect_{name}",
        **({"help": help or None} | _fixed(name)),
    ).strip()


def _fixed(name: str) -> dict[str, Any]:
    """Return the arguments that disable a widget if an environment variable sets its value."""
    variable = str(JudgeServer.model_fields[name].alias)
    fixed = bool(os.environ.get(variable))
    if name in OF_OPERATOR and not is_operator():
        return {"disabled": True, "help": "Only the administrator of this app can change this."}
    return (
        {"disabled": True, "help": f"The administrator fixed this value (environment variable {variable})."}
        if fixed
        else {"disabled": False}
    )


def try_server(project: Project, server: JudgeServer) -> None:
    """Try the server on two pairs and show what works."""
    with st.spinner("Asking about one right and one wrong label"):
        trial = try_connection(project, server)
    for sentence in trial.sentences:
        st.text(sentence)
    if trial.form is None:
        st.error("This model cannot work as a judge. Try another model or another API.", icon=":material/error:")
    else:
        name = trial.model or server.model
        st.success(plain(f"It works. The server says that its model is {name}."), icon=":material/check:")


def connected_server() -> JudgeServer | None:
    """Return the server of the LLM judge, None if none is set."""
    try:
        return judge_server()
    except RedError:
        return None
