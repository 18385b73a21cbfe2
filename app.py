"""The shell: who is here, which project, the five tasks in the order of the work, and one line of facts above each."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

import red_core  # noqa: F401  whole and first: two sessions of a cold server import at the same time
from widgets.shell.facts_line import show_facts_line, show_job
from widgets.shell.shell import PAGES, choose_project, errors_in_one_line
from widgets.shell.sign_in import let_in, show_door, show_person

st.set_page_config(
    page_title="R.E.D. Workbench", page_icon=str(Path(__file__).parent / "widgets" / "icon.png"), layout="wide"
)

TASKS = {
    "data": ("Data", ":material/database:", "What is in, what was left out and why. Import files."),
    "label_map": ("Label map", ":material/bubble_chart:", "The labels as points, coloured by subset."),
    "rounds": ("Rounds", ":material/autorenew:", "Run a round, watch it, see whether another is worth it."),
    "review": ("Review", ":material/rule:", "Read each verdict beside its evidence, and overrule it."),
    "results": ("Results", ":material/download:", "Final labels with where they come from, and the export."),
}

shut = let_in()
page = st.navigation(
    [
        # The default page has no address but /, and every task should have one: Data stands at both.
        st.Page(PAGES["data"], title="Data", url_path="start", default=True, visibility="hidden"),
        *(
            st.Page(PAGES[key], title=title, icon=icon, url_path=key, help=told)
            for key, (title, icon, told) in TASKS.items()
        ),
    ],
    position="sidebar" if shut is None else "hidden",
)
if shut is not None:
    show_door(shut)
    st.stop()
st.title(page.title)
with errors_in_one_line(and_stop=True):  # a project that cannot be opened is not the same as none
    try:
        project = choose_project()
    finally:
        show_person()  # whoever cannot open a project can still sign out
    st.session_state["current_project"] = project
    if project is not None:
        show_facts_line(project)
        show_job(project)
st.session_state["inside_the_shell"] = True
with errors_in_one_line():
    page.run()
