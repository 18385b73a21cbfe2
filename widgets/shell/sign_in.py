"""The door: who this session belongs to, what to press where that is nobody yet, and the way out."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TypeVar

import streamlit as st
from streamlit import runtime
from streamlit.errors import StreamlitAuthError

from red_core.access import Person, acting_as, current_user, refuse_open_address, sign_in_is_on
from red_core.access.sign_in import is_behind_proxy, person_of, providers
from red_core.access.who import find_person_by, person_here
from red_core.errors import AccessError, NotSignedIn
from widgets.shell.untrusted import plain

# Takes a tab that is back from signing in to where its link led.
_LINK = st.components.v2.component("red_link", js=Path(__file__).with_name("link.js").read_text("utf-8"))
Made = TypeVar("Made")


def person_of_session() -> Person:
    """Return who acts in the session whose script runs in this thread.

    Raises
    ------
    AccessError
        If nobody whom this server may serve.
    """
    if sign_in_is_on():
        return person_of(st.user.to_dict())
    if runtime.exists():  # with Streamlit alone nobody looked at the address before
        refuse_open_address(str(st.get_option("server.address") or ""))
    return person_here()


find_person_by(person_of_session)


def may_write() -> bool:
    """Return whether who acts may change anything; for what is not worth showing to others."""
    return current_user().may_write


def at_this_machine() -> bool:
    """Return whether who acts sits at this machine, and may name a file of it; nobody else may look around in it."""
    return not sign_in_is_on() and not is_behind_proxy()


def as_now(make: Callable[[], Made]) -> Callable[[], Made]:
    """Return ``make`` as whoever acts now: a download is made later, in a thread that serves no session."""
    person = current_user()

    @wraps(make)
    def made() -> Made:
        with acting_as(person):
            return make()

    return made


def let_in() -> AccessError | None:
    """Return why nobody is let in; None where somebody is."""
    try:
        current_user()
    except AccessError as error:
        return error
    return None


def to_the_door() -> None:
    """Run the whole page anew where nobody is let in any more: for a fragment, which runs without the shell."""
    if let_in() is not None:
        st.rerun()


def show_door(why: AccessError) -> None:
    """Show what to do in front of the closed door."""
    st.space("large")
    _, middle, _ = st.columns([2, 3, 2])
    with middle.container(border=True, key="door"):
        st.subheader("R.E.D. Workbench")
        if isinstance(why, NotSignedIn):
            st.text(str(why))
            if error := st.session_state.pop("sign_in_error", None):
                st.error(plain(error), icon=":material/error:")
            _LINK(key="link", data={"shut": True}, height=0)
            for name in providers():
                st.button(
                    "Sign in" if name == "default" else plain(f"Sign in with {name}"), key=f"sign_in_{name}",
                    type="primary", icon=":material/login:", width="stretch", on_click=_sign_in, args=(name,),
                )  # fmt: skip
            return
        st.error(plain(str(why)), icon=":material/error:")
        if st.user.get("is_logged_in"):
            st.button("Sign out", key="sign_out", icon=":material/logout:", on_click=st.logout)


def _sign_in(name: str) -> None:
    try:
        st.login(None if name == "default" else name)
    except StreamlitAuthError:  # the file that names whom to let in is not the one Streamlit reads
        told = "Streamlit does not find [auth]. Start the app with red serve, or with --secrets.files."
        st.session_state["sign_in_error"] = told


def show_person() -> None:
    """Show in the sidebar who is signed in, in which role, and the way out; nothing where nobody has to."""
    if not sign_in_is_on():
        return
    person = current_user()
    with st.sidebar.container(key="person"):
        st.text(person.name)
        st.caption("Analyst" if person.may_write else "Viewer: you see everything and change nothing.")
        st.button("Sign out", key="sign_out", type="tertiary", icon=":material/logout:", on_click=st.logout)
        _LINK(key="link", data={"shut": False}, height=0)
