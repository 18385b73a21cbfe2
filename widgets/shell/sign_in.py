"""Sign-in on the screens: the person of this session, the sign-in page, and signing out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st
from streamlit import runtime
from streamlit.errors import StreamlitAuthError
from streamlit.runtime.scriptrunner import get_script_run_ctx

from red_core.access import Person, current_user, refuse_open_address, sign_in_is_on
from red_core.access.ended_sign_ins import end_sign_in
from red_core.access.sign_in import is_behind_proxy, person_of, providers
from red_core.access.who import acting_by, find_person_by, person_here
from red_core.errors import AccessError, NotSignedIn
from widgets.shell.untrusted import plain

# After signing in, it takes the tab to the page that its link asked for.
_LINK = st.components.v2.component("red_link", js=Path(__file__).with_name("link.js").read_text("utf-8"))
Result = TypeVar("Result")


def person_of_session() -> Person:
    """Return the person of the session whose script runs in this thread.

    Raises
    ------
    AccessError
        If nobody is signed in, or this server may not serve the person.
    """
    context = get_script_run_ctx(suppress_warning=True)
    return _person(context.user_info if context is not None else {})


def _person(claims: Mapping[str, Any]) -> Person:
    if sign_in_is_on():
        return person_of(claims)
    if runtime.exists():  # `red serve` checks the address; `streamlit run` does not
        refuse_open_address(str(st.get_option("server.address") or ""))
    return replace(person_here(), operator=not is_behind_proxy())


find_person_by(person_of_session)


def may_write() -> bool:
    """Return whether the current user may change anything; pages hide the other controls."""
    return current_user().may_write


def is_operator() -> bool:
    """Return whether the current user decides where texts and keys go."""
    return current_user().operator


def at_this_machine() -> bool:
    """Return whether the current user sits at this machine. Only then may a page read a file by its path."""
    return not sign_in_is_on() and not is_behind_proxy()


def of_session(make: Callable[[], Result]) -> Callable[[], Result]:
    """Return ``make`` for a download: Streamlit runs it later, in a thread without a session.

    It acts as the person of this session at that time. If nobody is signed in any more, it makes nothing.
    """
    context = get_script_run_ctx(suppress_warning=True)
    claims = context.user_info if context is not None else {}  # the session's own dict, which signing out empties

    @wraps(make)
    def make_as_person() -> Result:
        with acting_by(lambda: _person(claims)):
            try:
                return make()
            except AccessError:
                raise AccessError("this download needs a sign-in with access") from None  # the log names no person

    return make_as_person


def let_in() -> AccessError | None:
    """Return why the current user may not use the app, None where they may."""
    try:
        current_user()
    except AccessError as error:
        return error
    return None


def to_the_door() -> None:
    """Rerun the whole page if the user may no longer use the app: a fragment runs without the shell that checks it."""
    if let_in() is not None:
        st.rerun()


def show_door(why: AccessError) -> None:
    """Show the sign-in page, or why the person may not use the app."""
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
            st.button("Sign out", key="sign_out", icon=":material/logout:", on_click=_sign_out)


def _sign_in(name: str) -> None:
    try:
        st.login(None if name == "default" else name)
    except StreamlitAuthError:  # Streamlit reads another secrets file than this app
        message = (
            "Sign-in does not work. Tell your administrator: Streamlit does not find [auth]. Start the app with "
            "red serve, or with --secrets.files."
        )
        st.session_state["sign_in_error"] = message


def _sign_out() -> None:
    """End this sign-in in every tab, then let Streamlit delete the cookie."""
    end_sign_in(st.user.to_dict())
    st.logout()


def show_person() -> None:
    """Show in the sidebar who is signed in, the role, and Sign out; nothing where sign-in is off."""
    if not sign_in_is_on():
        return
    person = current_user()
    with st.sidebar.container(key="person"):
        st.text(person.name)
        st.caption("Analyst" if person.may_write else "Viewer: you can see everything and change nothing.")
        st.button("Sign out", key="sign_out", type="tertiary", icon=":material/logout:", on_click=_sign_out)
        _LINK(key="link", data={"shut": False}, height=0)
