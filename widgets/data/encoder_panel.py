"""The encoder of a project: what it knows, how well the encoders here do on the project's examples, and a change."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from red_core.access.who import who_acts
from red_core.encoders import CATALOGUE, EncoderSpec, language_names, parse_spec
from red_core.encoders.api import embedding_server
from red_core.encoders.catalogue import KnownEncoder
from red_core.records import Project
from red_core.rounds import mark_interrupted, start_job
from red_core.rounds.encoder_change import begin_encoder_change, price_of_change
from red_core.settings import RECOMMENDED
from red_core.store.rounds import list_rounds
from red_core.training.encoder_choice import FEW_LANGUAGES, EncoderAdvice, EncoderScore, encoder_advice, title_of
from widgets.shell.reads import facts
from widgets.shell.reasons import why_ended
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import at_this_machine
from widgets.shell.untrusted import plain, visible
from widgets.shell.words import ENDED, counted

OTHER = "another model"


def encoder_panel(project: Project) -> None:
    """Show the encoder, the comparison, and the choice of another one, folded away."""
    advice = encoder_advice(project)
    with st.expander(plain(f"Encoder: {title_of(str(advice.encoder))}"), key="encoder", icon=":material/translate:"):
        st.caption(
            "The encoder turns texts into numbers, and decides more than anything else how good the labels are. If you "
            "change it, all texts are read anew. Decisions, verdicts and examples stay. The next round trains anew."
        )
        for sentence in [_languages(advice), *advice.sentences(), _before_and_after(project)]:
            if sentence:
                st.text(sentence)
        st.dataframe(_table(advice), hide_index=True)
        _continue(project)
        if advice.faster and st.button(plain(f"Use “{title_of(advice.faster.encoder)}”"), key="encoder_faster"):
            change(project, parse_spec(advice.faster.encoder))
        if st.button("Compare on your examples", key="encoder_compare", icon=":material/balance:"):
            with errors_in_one_line():
                start_job(project, "compare encoders", RECOMMENDED, who_acts())
                st.rerun()
        _choose(project, advice)


def _languages(advice: EncoderAdvice) -> str:
    shares = [f"{language_names([code])} {share:.0%}" for code, share in advice.languages.items()]
    return f"Languages found: {', '.join(shares)}." if shares else ""


def _table(advice: EncoderAdvice) -> pd.DataFrame:
    score_of = {_kind(parse_spec(score.encoder)): score for score in advice.scores}
    rows = []
    for known in CATALOGUE:
        score = score_of.pop(_kind(known.spec), None)
        rows.append(
            {
                "Encoder": known.title, **_measured(score), "Languages": spoken(known),
                "Size": f"{known.megabytes:,} MB", "Licence": known.licence,
                "From": "on this machine" if known.on_this_machine else known.source, "Model": known.spec.name,
            }
        )  # fmt: skip
    rows += [{"Encoder": visible(title_of(each.encoder)), **_measured(each)} for each in score_of.values()]
    return pd.DataFrame(rows).fillna("")


def _kind(spec: EncoderSpec) -> tuple[str, str]:
    """Return what tells an encoder of the catalogue from others, whatever its revision and prefix."""
    return spec.name, spec.precision


def _measured(score: EncoderScore | None) -> dict[str, str]:
    """Return the cells of a comparison, empty before one."""
    right = "" if score is None else f"{100 * score.right:.0f} of 100"
    speed = f"{score.per_second:,.0f}" if score is not None and score.per_second else ""
    return {"Right": right, "Texts a second": speed}


def spoken(known: KnownEncoder) -> str:
    """Return the languages of an encoder in words."""
    codes = sorted(known.languages)
    return language_names(codes) if len(codes) <= FEW_LANGUAGES else f"{len(codes)} languages"


def _choose(project: Project, advice: EncoderAdvice) -> None:
    server = embedding_server()
    names = [*(known.title for known in CATALOGUE), *([server.name] if server else []), OTHER]
    chosen = st.selectbox("Change to", names, index=None, placeholder="Choose an encoder", key="encoder_title")
    if chosen is None:
        return
    known = next((known for known in CATALOGUE if known.title == chosen), None)
    spec = EncoderSpec(chosen) if known is None else known.spec
    if chosen == OTHER:
        kinds = "Name of a model on the Hugging Face hub" + (
            ", or a folder on this machine" if at_this_machine() else ""
        )
        name, prefix = st.columns(2)
        spec = EncoderSpec(
            name.text_input(kinds, key="encoder_name").strip(),
            prefix=prefix.text_input("Words that the model needs before each text", key="encoder_prefix"),
        )
    texts = facts(project)["pool"] + facts(project)["seeds"]
    score = next((score for score in advice.scores if _kind(parse_spec(score.encoder)) == _kind(spec)), None)
    if score is not None and score.per_second:
        minutes = texts / score.per_second / 60
        st.caption(plain(f"About {max(1, round(minutes)):,} min for {counted(texts, 'text')} on this machine."))
    action = "Use" if known is None else action_for(known)
    if price := price_of_change(project, spec):
        st.caption(plain(price))
    if spec.name and st.button(plain(f"{action} {chosen if known else spec.name}"), key="encoder_change"):
        change(project, spec)


def action_for(known: KnownEncoder) -> str:
    """Return what a button that changes to this encoder does."""
    return "Use" if known.package or known.on_this_machine else "Download and use"


def change(project: Project, spec: EncoderSpec) -> None:
    """Start the change of the encoder and rerun the page."""
    with errors_in_one_line():
        begin_encoder_change(project, spec, who_acts())
        st.rerun()


def _continue(project: Project) -> None:
    """Offer to continue a change that was stopped; say why a comparison failed."""
    job = mark_interrupted(project)
    if job is not None and job.kind == "compare encoders" and job.state in {"failed", "interrupted"}:
        st.warning(plain(f"The comparison of the encoders {why_ended(job)}."), icon=":material/error:")
    if job is not None and job.kind == "encoder" and job.state in ENDED:
        st.warning(
            plain(f"The change of the encoder {why_ended(job)}. The project keeps its encoder."),
            icon=":material/pause_circle:",
        )
        if st.button("Continue the change", key="encoder_continue", type="primary"):
            with errors_in_one_line():
                start_job(project, "encoder", RECOMMENDED, who_acts())
                st.rerun()


def _before_and_after(project: Project) -> str:
    """Return the estimated accuracy of the last round before a change and of the first one after it; '' without one."""
    finished = [each for each in list_rounds(project) if each.metrics and each.metrics.get("encoder")]
    for before, after in zip(reversed(finished[:-1]), reversed(finished), strict=False):
        old, new = before.metrics["encoder"], after.metrics["encoder"]
        if old != new:
            name = "true_agreement" if after.metrics.get("true_agreement") is not None else "expected_agreement"
            kind = "True" if name == "true_agreement" else "Estimated"
            return (
                f"{kind} accuracy: {before.metrics[name]:.1%} in round {before.id} with {title_of(old)}, "
                f"{after.metrics[name]:.1%} in round {after.id} with {title_of(new)}."
            )
    return ""
