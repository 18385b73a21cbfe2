"""The shell around every page: sign-in, the choice of a project, the six tasks, and one line of facts."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

import red_core.api  # noqa: F401  whole and first: two sessions of a cold server import at the same time
from red_core.store.database import project_names
from widgets.shell.downloads import mend_downloads
from widgets.shell.facts_line import show_facts_line, show_job
from widgets.shell.marks import follow_theme
from widgets.shell.next_step import show_stepper
from widgets.shell.reasons import workspace
from widgets.shell.shell import PAGES, choose_project, errors_in_one_line
from widgets.shell.sign_in import let_in, show_door, show_person

st.set_page_config(
    page_title="R.E.D. Workbench", page_icon=str(Path(__file__).parent / "widgets" / "icon.png"), layout="wide"
)

mend_downloads()

TASKS = {
    "overview": ("Overview", ":material/flag:", "How far you are from your goal, and what it takes from here."),
    "data": ("Data", ":material/database:", "Imported files and the rows that were left out. Import more files."),
    "label_map": ("Label map", ":material/bubble_chart:", "The labels as points, coloured by subset."),
    "rounds": ("Rounds", ":material/autorenew:", "Run a round, follow it, and see whether another round helps."),
    "review": ("Review", ":material/rule:", "Read each verdict beside its evidence. Confirm or correct it."),
    "results": ("Results", ":material/download:", "The final labels, where each comes from, and the download."),
}

# Without a project there is nothing to look at. A session keeps the page where it began.
START = st.session_state.setdefault("start_page", "overview" if project_names(workspace()) else "data")

shut = let_in()
# The name stands in the logo: the heading of a section would be no list item, which screen readers expect there.
st.logo((Path(__file__).parent / "widgets" / "logo.svg").read_text("utf-8"), size="large")
page = st.navigation(
    [
        # The default page has the address / only. Every task should have its own address, so one is listed twice.
        st.Page(PAGES[START], title=TASKS[START][0], url_path="start", default=True, visibility="hidden"),
        *(
            st.Page(PAGES[key], title=title, icon=icon, url_path=key, help=description)
            for key, (title, icon, description) in TASKS.items()
        ),
    ],
    position="sidebar" if shut is None else "hidden",
)
if shut is not None:
    show_door(shut)
    st.stop()
here = page.url_path if page.url_path in PAGES else START
header = st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="header")
header.title(page.title, width="content")
with errors_in_one_line(and_stop=True):  # a project that cannot be opened must not look like no project
    try:
        project = choose_project()
    finally:
        show_person()  # a person who cannot open a project can still sign out
    st.session_state["current_project"] = project
    if project is not None:
        with header:
            show_facts_line(project, live=here == "review")
        show_stepper(project, here)
        show_job(project)
follow_theme()
st.session_state["inside_the_shell"] = True
with errors_in_one_line():
    page.run()
