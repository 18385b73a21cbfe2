"""Overview: how far the project is from its goal, what it takes from here, and which labels need the analyst."""

from __future__ import annotations

import streamlit as st

import red_core.api  # noqa: F401  whole and first: two sessions of a cold server import at the same time
from red_core.access.who import who_acts
from red_core.records import Project
from red_core.store.overview import decisions_lately
from red_core.store.rounds import last_finished_round
from widgets.overview.goal_bar import show_goal
from widgets.overview.needs_panel import show_needs
from widgets.overview.plan_panel import show_plan
from widgets.overview.tour import show_tour
from widgets.review.audit_panel import certificate_in_words
from widgets.shell.next_step import show_next_step
from widgets.shell.reads import accuracy_now, audit_summary, facts, plan, source_counts, what_changed
from widgets.shell.shell import current_project, go, inside_the_shell
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain
from widgets.shell.words import SOURCE_NAMES, counted

inside_the_shell()


def show_progress(project: Project) -> None:
    """Show where the labels come from so far, and what was done in the last 24 hours."""
    counts = source_counts(project)
    st.header("Labelled so far")
    with st.container(horizontal=True, gap="large"):
        for name, words in SOURCE_NAMES.items():
            if counts.get(name):
                st.metric(words, f"{counts[name]:,}", width="content")
    done = decisions_lately(project)
    if done:
        people = ", ".join(f"{who} {count:,}" for who, count in done.items())
        st.caption(plain(f"Answers in the last 24 hours: {sum(done.values()):,} ({people})."))
    else:
        st.caption("Nobody answered in the last 24 hours.")


def show_certificate(project: Project) -> None:
    """Show what the audits prove, if any were answered; where they cover a part, open the queue of the other texts."""
    audits = audit_summary(project)
    if not audits.accuracy.of and audits.certificate is None:
        return
    st.text(certificate_in_words(audits))
    if audits.selective is not None and may_write() and st.button("Decide the remaining texts", key="decide_rest"):
        go("review", review_mode="Review", review_queue="not certified")


project = current_project()
show_tour(project)
show_next_step(project, "overview")
if changes := what_changed(project):
    st.text(changes.sentence(who_acts()))
current = plan(project)
if current is not None:
    show_goal(project, current, accuracy_now(project)[1])
    show_certificate(project)
    show_plan(project, current)
    show_needs(project)
    show_progress(project)
elif last_finished_round(project) is not None:
    st.caption("The last round was run by an earlier version. The next round also computes the plan.")
    show_certificate(project)
    show_progress(project)
elif not (pool := facts(project)["pool"]):
    st.text(
        "A round labels unlabelled texts, and this project has none. Import some on Data. To measure the accuracy on "
        "labelled texts alone, import them there into a new project, as a trial run."
    )
else:
    st.text(
        f"This project has {counted(pool, 'unlabelled text')}. The first round labels them and shows "
        "here how accurate the labels are, and what it takes to reach your goal."
    )
