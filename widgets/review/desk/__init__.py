"""The review desk: a component in the browser that holds the next cards and an outbox of key presses.

The component says which cards it holds and gets those that are missing. It sends one message at a time and repeats it
until the server answers. It never renders text as markup.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import streamlit as st

from red_core.access.who import who_acts
from red_core.encoders.languages import stop_words
from red_core.errors import ProjectReplaced, RedError, StateError
from red_core.records import Label, Project
from red_core.review.desk import PressOutcome, apply_key_press
from red_core.review.presses import MeaningPress, Message, WhyPress, read_key_press, read_message
from red_core.store import views
from red_core.training.encoder_choice import encoder_advice
from widgets.review.desk.meaning import MOVED, apply_meaning, apply_why, with_newest_meaning
from widgets.shell.caching import MEANINGS
from widgets.shell.reasons import reason_of
from widgets.shell.sign_in import at_this_machine
from widgets.shell.untrusted import visible

_HERE = Path(__file__).parent
_SCRIPTS = (
    "words", "outbox", "kept_labels", "groups", "picker", "cards", "messages", "guideline", "drawing", "notes", "keys",
    "desk",
)  # fmt: skip
_DESK = st.components.v2.component(
    "red_desk",
    html=(_HERE / "desk.html").read_text("utf-8"),
    css=(_HERE / "desk.css").read_text("utf-8"),
    # The files are joined to one module; only the last one exports the function that Streamlit calls.
    js="\n".join((_HERE / f"{name}.js").read_text("utf-8") for name in _SCRIPTS),
)
_WIRE = st.components.v2.component("red_wire", js=(_HERE / "wire.js").read_text("utf-8"))
AHEAD = 100
"""Cards that a tab holds: more than a fast person decides while a server restarts."""
KEY = "desk"


@dataclass
class Reply:
    """The answer to one message of the desk, as it is sent to the browser.

    Attributes
    ----------
    tick : int
        Number of the message.
    acked : list of str
        Ids of the key presses that were carried out or refused: the tab deletes them.
    refused : list of dict
        One for each refused key press: ``why``, the ``card`` as it is now or None, and whether it was a ``decision``.
    returned : list of dict
        Cards that come back because their decision was undone.
    said : dict or None
        The history, the whole text, the explanation or the guideline that was asked for.
    told : str
        A message for the analyst.
    """

    tick: int = 0
    acked: list[str] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    returned: list[dict[str, Any]] = field(default_factory=list)
    said: dict[str, Any] | None = None
    told: str = ""


class Sitting(Protocol):
    """A queue of one session; it stays the same object while its cards are decided."""

    project: Project
    mode: str
    name: str
    key: str
    empty: str

    def note(self, raw: Mapping[str, Any], outcome: PressOutcome) -> None:
        """Take note of a key press of this mode that was carried out or refused."""

    def next_cards(self, held: Sequence[int], room: int) -> tuple[list[dict[str, Any]], list[int], int]:
        """Return the next cards, which of the held cards are no longer needed, and how many cards remain.

        Parameters
        ----------
        held : sequence of int
            Ids of the cards in the tab.
        room : int
            How many more cards the tab takes.
        """

    def one_card(self, card: int) -> dict[str, Any] | None:
        """Return a card as it is now."""

    def say(self, kind: str, card: int) -> dict[str, Any]:
        """Return the history of a card, its whole text, or a model's explanation of its verdict."""


def show_desk() -> None:
    """Show the desk, outside the fragment that serves it. The desk can ask for a run of the whole page."""
    _DESK(key="red_desk", on_wake_change=lambda: None, height="content")


def serve_desk(project: Project, sitting: Sitting, labels: Mapping[int, Label]) -> None:
    """Answer the last message of the desk. A decision reruns only the fragment that calls this function.

    An edited meaning makes another queue of the same one; the reply to its message is then about that queue.
    """
    if st.session_state.pop(MOVED, False):
        st.rerun()
    store = _store_of(project)
    message = _last_message(store)
    claim = message if message is not None and message.queue == sitting.key else None
    reply: Reply = st.session_state.get("desk_reply") or Reply()
    if claim is None:
        reply = Reply() if message is None else Reply(tick=reply.tick, acked=reply.acked, told=reply.told)
    held = [] if claim is None else claim.held
    cards, gone, rest = sitting.next_cards(held, AHEAD - len(held))
    version = "-".join(map(str, views.version(project)[: MEANINGS + 1]))
    data = {
        "project": project.id, "store": store, "mode": sitting.mode, "name": sitting.name, "queue": sitting.key,
        "whole": not claim, "empty": sitting.empty,
        "tick": reply.tick, "acked": reply.acked, "refused": reply.refused, "returned": reply.returned,
        "said": reply.said, "told": reply.told, "cards": cards, "gone": gone, "rest": rest, "labels_version": version,
    }  # fmt: skip
    if claim is None or claim.labels != version:
        data["labels"] = [
            [
                label.id, visible(label.name), visible(label.meaning), label.meaning_id,
                [visible(group) for group in label.path], visible(label.excludes),
            ]
            for label in labels.values()
        ]  # fmt: skip
        languages = encoder_advice(project).languages or {"en": 1.0}
        data["common"] = sorted(frozenset[str]().union(*map(stop_words, languages)))
    _WIRE(key=KEY, data=data, on_message_change=_receive)
    st.session_state["sitting"] = sitting


def _store_of(project: Project) -> str:
    """Return the key of the outbox in the tab's storage: one for each project and person."""
    owner = "" if at_this_machine() else f"\0{who_acts()}"  # two people may use one browser
    place = f"{project.folder.resolve().as_posix()}\0{project.id}"  # another project may come under the same name
    return "red-" + hashlib.sha256((place + owner).encode()).hexdigest()[:16]


def _last_message(store: str) -> Message | None:
    """Return the tab's last message if it is about this project and person; None otherwise."""
    try:
        message = read_message(_sent())
    except StateError:
        return None
    return message if message.store == store else None


def _sent() -> object:
    """Return the last message of the desk as a browser sent it, None if there is none."""
    state = st.session_state.get(KEY)
    return state.get("message") if isinstance(state, Mapping) else None


def _receive() -> None:
    """Carry out what a message asks for. A key press that cannot be stored is not acknowledged, and comes again."""
    sent, sitting = _sent(), st.session_state.get("sitting")
    if not sent or sitting is None:
        return
    try:
        message = read_message(sent)
        if message.project != sitting.project.id:
            raise ProjectReplaced(sitting.project.name)
        reply = st.session_state["desk_reply"] = Reply(tick=message.tick)
        for raw in message.acts:
            _carry_out(sitting, raw, reply)
        if message.want is not None:
            card = message.want.card
            reply.said = {"card": card, **sitting.say(message.want.kind, card)}
    except RedError as error:
        st.session_state["review_error"] = reason_of(error)


def _carry_out(sitting: Sitting, raw: Mapping[str, Any], reply: Reply) -> None:
    """Carry out one key press. After a restart of the server, a tab may also send key presses of the other mode."""
    try:
        press = read_key_press(with_newest_meaning(sitting.project, raw))
    except StateError as error:  # sent again, it would be refused again
        reply.acked.append(str(raw.get("id"))[:64])
        reply.refused.append({"why": visible(reason_of(error)), "card": None, "decision": True})
        return
    if isinstance(press, MeaningPress):
        outcome, reply.told = apply_meaning(sitting.project, press)
    elif isinstance(press, WhyPress):
        outcome, reply.told = apply_why(sitting.project, press)
    else:
        outcome = apply_key_press(sitting.project, press, who=who_acts())
    reply.acked.append(outcome.request_id)
    card = None
    if ("audit" in raw) == (sitting.mode == "audit"):
        sitting.note(raw, outcome)
        card = None if outcome.back is None else sitting.one_card(outcome.back)
    if outcome.refused:
        reply.refused.append({"why": visible(outcome.refused), "card": card, "decision": "kind" in raw})
    elif card is not None and not raw.get("undoes"):
        reply.returned.append(card)
