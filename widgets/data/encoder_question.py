"""The question of an import whose texts are in a language that the encoder does not know."""

from __future__ import annotations

import streamlit as st

from red_core.access.who import who_acts
from red_core.encoders import language_names, parse_spec
from red_core.encoders.catalogue import KnownEncoder
from red_core.records import Project
from red_core.rounds import start_job
from red_core.rounds.encoder_change import keep_encoder
from red_core.settings import RECOMMENDED
from red_core.training.encoder_choice import EncoderAdvice, title_of
from widgets.data.encoder_panel import action_for, change, spoken
from widgets.shell.shell import errors_in_one_line
from widgets.shell.untrusted import plain


def ask_for_encoder(project: Project, advice: EncoderAdvice) -> None:
    """Show what is known and the encoders to choose from: the better one, or all that know the language."""
    better = advice.better
    language = language_names(advice.unknown[:1])
    ask = "" if better else f" Choose one that knows {language}, or stay with it."
    st.warning(plain(" ".join(advice.sentences()) + ask), icon=":material/translate:")
    if better is None:
        for known in advice.knowing:
            _offer(project, known)
        _stay(project, advice)
        return
    left, right, _ = st.columns([2, 2, 3])
    if left.button(plain(f"Use “{title_of(better.encoder)}”"), key="encoder_better", type="primary"):
        change(project, parse_spec(better.encoder))
    with right:
        _stay(project, advice)


def warn_of_language(project: Project, advice: EncoderAdvice) -> None:
    """Show that texts are in a language that the encoder does not know; one press says that this is meant."""
    ask = "Labels of such texts are often wrong. Choose another encoder below, or stay with it."
    st.warning(plain(" ".join([*advice.sentences(), ask])), icon=":material/translate:")
    _stay(project, advice)


def _offer(project: Project, known: KnownEncoder) -> None:
    """Show an encoder with the button that changes to it, or with what installs it."""
    facts, act = st.columns([2, 3], vertical_alignment="center")
    facts.text(f"{known.title}: {spoken(known)}, {known.megabytes:,} MB, {known.licence}")
    if known.package and not known.on_this_machine:
        act.code(known.source, language=None)
    elif act.button(plain(f"{action_for(known)} “{known.title}”"), key=f"encoder_offer_{known.spec.name}"):
        change(project, known.spec)


def _stay(project: Project, advice: EncoderAdvice) -> None:
    if st.button(plain(f"Stay with “{title_of(str(advice.encoder))}”"), key="encoder_keep"):
        with errors_in_one_line():
            keep_encoder(project)
            start_job(project, "prepare", RECOMMENDED, who_acts())
            st.rerun()
