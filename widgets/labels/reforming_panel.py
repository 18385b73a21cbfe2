"""Form new subsets: try them, compare them with the current ones, adopt them or not, undo."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from red_core.access.who import who_acts
from red_core.labels.subsets import Formation, adopt_subsets, examine_subsets, undo_subsets
from red_core.records import Project
from red_core.settings import make_settings
from red_core.steps.judge_reliability import wilson
from red_core.store import views
from red_core.store.labels import current_layout, earlier_layout
from widgets.shell.caching import EDITS
from widgets.shell.reads import facts
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import may_write

WAYS = {"apart": "different labels together", "alike": "similar labels together"}


def show_reforming(project: Project) -> None:
    """Show the form, the comparison that was made, and the buttons that adopt or undo."""
    if not may_write():
        return
    with st.expander("Form new subsets", icon=":material/shuffle:", key="reforming_fold"):
        st.caption(
            "With more labels per subset, there are fewer classifiers, each with a harder task. Nothing changes until "
            "you press *Use*."
        )
        ids, now, _ = current_layout(project)
        most, largest = max(2, min(100, len(now))), int(np.bincount(now).max())
        with st.container(horizontal=True, vertical_alignment="bottom"):
            size = st.number_input("Labels per subset", 2, most, min(largest, most), width=170)
            ways = st.pills(
                "Put", list(WAYS), selection_mode="multi", default=list(WAYS), format_func=WAYS.__getitem__,
                key="ways_to_form",
            )  # fmt: skip
        with st.container(horizontal=True):
            wanted = st.button("Try it", key="try_subsets", icon=":material/play_arrow:", disabled=not ways)
            undoable = earlier_layout(project)[0].tolist() == ids.tolist()
            undo = st.button("Undo the last change of subsets", key="undo_subsets", disabled=not undoable)
        with errors_in_one_line():
            if wanted:
                _try(project, int(size), list(ways))
            elif undo:
                undo_subsets(project, who_acts())
                st.rerun()
        tried = st.session_state.get("tried_subsets")
        if tried is not None and tried[0] == _tried_for(project):
            _show_compared(project, *tried[1:])


def _tried_for(project: Project) -> tuple[object, ...]:
    """Return what a comparison is valid for: this project, until an import or an edit of the labels."""
    return project.folder.as_posix(), views.version(project)[: EDITS + 1]


def _try(project: Project, size: int, ways: list[str]) -> None:
    settings = make_settings(changes={"subset_size": size})
    measured = {}
    with st.spinner("Training the classifiers of each choice"):
        bar = st.progress(0.0)
        for part, way in enumerate(["now", *ways]):

            def report(done: int, of: int, part: int = part, way: str = way) -> None:
                text = f"{WAYS.get(way, 'the current subsets')}: part {done} of {of}"
                bar.progress((part + done / of) / (1 + len(ways)), text)

            report(0, settings.calibration_folds)
            measured[way] = examine_subsets(
                project, settings, None if way == "now" else size, report, alike=way == "alike"
            )
        bar.empty()
    st.session_state["tried_subsets"] = (_tried_for(project), size, measured)


def _show_compared(project: Project, size: int, measured: dict[str, Formation]) -> None:
    seeds = facts(project)["seeds"]
    headings = {"now": "now", "apart": f"different, {size} each", "alike": f"similar, {size} each"}
    st.dataframe(pd.DataFrame({headings[way]: _facts(formation, seeds) for way, formation in measured.items()}))
    st.caption(
        f"Accuracy: one fifth of the {seeds:,} labelled examples is hidden. Classifiers learn from the others and "
        "label the hidden ones. All fifths take turns. The table shows the share of right labels, and its range (95%). "
        "If two ranges share some values, the difference may be chance. Lower similarity makes each classifier's "
        "task easier. Choose the way with the higher accuracy."
    )
    with st.container(horizontal=True):
        for way, formation in measured.items():
            if way != "now" and st.button(
                f"Use: {WAYS[way]}", key=f"adopt_{way}", help="The next round trains with these subsets."
            ):
                with errors_in_one_line():
                    adopt_subsets(project, formation.subset_of, who_acts())
                    st.rerun()
        if st.button("Keep the current ones", key="keep_subsets"):
            del st.session_state["tried_subsets"]
            st.rerun()


def _facts(formation: Formation, seeds: int) -> dict[str, str]:
    sizes = np.bincount(formation.subset_of)
    low, high = wilson(round(formation.accuracy * seeds), seeds)
    return {
        "subsets": f"{len(sizes):,}, of {' to '.join(str(n) for n in sorted({sizes.min(), sizes.max()}))} labels",
        "average similarity": f"{formation.similarity.mean():.3f}",
        "highest similarity": f"{formation.highest.max():.3f}",
        "accuracy": f"{formation.accuracy:.1%} ({low:.1%} to {high:.1%})",
    }
