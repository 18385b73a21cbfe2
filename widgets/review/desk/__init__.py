"""The fast desk: a small component that holds the next cards and an outbox of acts. No word of it is ever markup.

The component says what it holds, and gets what it lacks; it sends one message at a time, again until it is answered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import streamlit as st
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from red_core.access.who import who_acts
from red_core.errors import RedError, StateError
from red_core.records import Label, Project
from red_core.review.desk import Message, PressOutcome, apply_key_press, read_key_press, read_message
from red_core.store import views
from widgets.shell.sign_in import at_this_machine
from widgets.shell.untrusted import visible

_HERE = Path(__file__).parent
_DESK = st.components.v2.component(
    "red_desk",
    html=(_HERE / "desk.html").read_text("utf-8"),
    css=(_HERE / "desk.css").read_text("utf-8"),
    # One module: the last file exports what Streamlit calls, the others are its parts.
    js="\n".join((_HERE / f"{part}.js").read_text("utf-8") for part in ("words", "outbox", "picker", "cards", "desk")),
)
_WIRE = st.components.v2.component("red_wire", js=(_HERE / "wire.js").read_text("utf-8"))
AHEAD = 100
"""Cards a tab holds: more than a fast hand decides while a server starts anew."""
KEY = "desk"


@dataclass
class Reply:
    """What one message led to."""

    tick: int = 0
    acked: list[str] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    returned: list[dict[str, Any]] = field(default_factory=list)
    said: dict[str, Any] | None = None


class Sitting(Protocol):
    """A queue of one session, whatever is decided in it."""

    project: Project
    mode: str
    name: str
    key: str
    empty: str

    def note(self, raw: Mapping[str, Any], done: PressOutcome) -> None:
        """Take note of an act of this mode that was carried out."""

    def next_cards(self, held: Sequence[int], room: int) -> tuple[list[dict[str, Any]], list[int], int]:
        """Return the cards that follow those held, which of those held nobody needs any more, and how many remain."""

    def one_card(self, card: int) -> dict[str, Any] | None:
        """Return a card as it is now."""

    def say(self, kind: str, card: int) -> dict[str, Any]:
        """Return what was asked about a card: its history, the whole text, what a model says about its verdict."""


def show_desk() -> None:
    """Show the desk itself, outside the fragment that serves it; it can ask for a run of the whole page."""
    _DESK(key="red_desk", on_wake_change=lambda: None, height="content")


def serve_desk(project: Project, sitting: Sitting, labels: Mapping[int, Label]) -> None:
    """Answer the desk's last message; a decision runs only the fragment this is called in."""
    store = _store_of(project)
    claim = _claim(store, sitting)
    reply = st.session_state.get("desk_reply") if claim else None
    reply = reply or Reply()
    held = [] if claim is None else claim.held
    cards, gone, rest = sitting.next_cards(held, AHEAD - len(held))
    version = "-".join(map(str, views.version(project)[:3]))
    data = {
        "store": store, "mode": sitting.mode, "name": sitting.name, "queue": sitting.key, "whole": not claim,
        "empty": sitting.empty,
        "tick": reply.tick, "acked": reply.acked, "refused": reply.refused, "returned": reply.returned,
        "said": reply.said, "cards": cards, "gone": gone, "rest": rest, "labels_version": version,
    }  # fmt: skip
    if claim is None or claim.labels != version:
        data["labels"] = [[label.id, visible(label.name), visible(label.meaning)] for label in labels.values()]
        data["common"] = sorted(ENGLISH_STOP_WORDS)
    _WIRE(key=KEY, data=data, on_message_change=_receive)
    st.session_state["sitting"] = sitting


def _store_of(project: Project) -> str:
    """Return the name under which a tab keeps what is not yet acknowledged, of this project and this person."""
    owner = "" if at_this_machine() else f"\0{who_acts()}"  # nobody sends what another pressed in this browser
    return "red-" + hashlib.sha256((project.folder.resolve().as_posix() + owner).encode()).hexdigest()[:16]


def _claim(store: str, sitting: Sitting) -> Message | None:
    """Return what the tab says it holds of this queue; None where it holds nothing of it."""
    try:
        message = read_message((st.session_state.get(KEY) or {}).get("message"))
    except StateError:
        return None
    return message if (message.store, message.queue) == (store, sitting.key) else None


def _receive() -> None:
    """Carry out what a message asks for; what cannot be stored now is not acknowledged, and comes again."""
    sent, sitting = st.session_state[KEY].get("message"), st.session_state.get("sitting")
    if not sent or sitting is None:
        return
    try:
        message = read_message(sent)
        reply = st.session_state["desk_reply"] = Reply(tick=message.tick)
        for raw in message.acts:
            _carry_out(sitting, raw, reply)
        if message.want is not None:
            card = message.want.card
            reply.said = {"card": card, **sitting.say(message.want.kind, card)}
    except RedError as error:
        st.session_state["review_error"] = str(error)


def _carry_out(sitting: Sitting, raw: Mapping[str, Any], reply: Reply) -> None:
    """Carry out one act; the tab may also hold acts of the other mode that a server that died did not hear."""
    try:
        act = read_key_press(raw)
    except StateError as error:  # it would be no other act if it came again
        reply.acked.append(str(raw.get("id"))[:64])
        reply.refused.append({"why": visible(str(error)), "card": None})
        return
    done = apply_key_press(sitting.project, act, who=who_acts())
    reply.acked.append(done.request_id)
    card = None
    if ("audit" in raw) == (sitting.mode == "audit"):
        sitting.note(raw, done)
        card = None if done.back is None else sitting.one_card(done.back)
    if done.refused:
        reply.refused.append({"why": visible(done.refused), "card": card})
    elif card is not None and not raw.get("undoes"):
        reply.returned.append(card)
