"""What every page needs: the guard for a direct link, the open project, errors in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from red_core.errors import ProjectReplaced, RedError
from red_core.records import Project
from red_core.store.database import open_project, project_names
from widgets.shell.reasons import reason_of, workspace
from widgets.shell.sign_in import let_in
from widgets.shell.untrusted import plain

PAGES = {
    "overview": "pages/overview.py",
    "data": "pages/data.py",
    "label_map": "pages/label_map.py",
    "rounds": "pages/rounds.py",
    "review": "pages/review.py",
    "results": "pages/results.py",
}


def inside_the_shell() -> None:
    """Make sure app.py runs around this page.

    A folder named pages/ is Streamlit's old way of making pages. Until app.py has run in a session, Streamlit would run
    a file of that folder alone, without the shell. This turns the old way off and runs again, starting at app.py.
    """
    # app.py sets a mark in every run. Streamlit's own flag is not enough: another session may have turned it off after
    # this session was sent here.
    if not st.session_state.pop("inside_the_shell", False):
        PagesManager.uses_pages_directory = False
        st.rerun()
    if let_in() is not None:  # the shell shows the sign-in already
        st.stop()


@contextmanager
def errors_in_one_line(*, and_stop: bool = False) -> Iterator[None]:
    """Show an error of ours, or of the file system, as one line; with ``and_stop``, end the page there."""
    try:
        yield
    except (RedError, OSError) as error:
        message = reason_of(error)
    else:
        return
    st.error(plain(message), icon=":material/error:")
    if and_stop:
        st.stop()


def go(page: str, **state: object) -> NoReturn:
    """Open another page, with values for its widgets."""
    st.session_state.update(state)
    st.switch_page(PAGES[page], query_params={})


def choose_project() -> Project | None:
    """Show the list of projects in the sidebar and return the chosen one; None where there is no project."""
    names = project_names(workspace())
    if not names:
        return None
    wanted = st.session_state.pop("open_project", None)  # set by a page that created a project
    if wanted in names:
        st.session_state["project"] = wanted
    elif "project" not in st.session_state and "project" not in st.query_params and not _opens(names[0]):
        st.session_state["project"] = next(filter(_opens, names), names[0])  # a damaged one must not hide the others
    name = st.sidebar.selectbox(
        "Project",
        names,
        key="project",
        bind="query-params",
        help="A project holds your labels, texts and decisions. Create a new one on Data.",
    )
    before = st.session_state.get("current_project")
    if isinstance(before, Project) and before.name != name:
        forget_project()
    project = open_project(workspace(), name)
    refuse_replaced(project)
    return project


def _opens(name: str) -> bool:
    """Return whether a project can be opened. One that cannot is shown when somebody chooses it."""
    try:
        open_project(workspace(), name)
    except (RedError, OSError):
        return False
    return True


def refuse_replaced(project: Project) -> None:
    """Refuse a form or a button of a page that showed another project under the same name, and forget its drafts.

    Raises
    ------
    ProjectReplaced
    """
    shown = st.session_state.get("current_project")
    if isinstance(shown, Project) and shown == project and shown.id != project.id:
        forget_project()
        del st.session_state["current_project"]
        raise ProjectReplaced(project.name)


NO_FILTERS: dict[str, str | list[int] | None] = {
    "review_labels": [], "review_group": None, "review_subset": None, "review_round": None, "review_judge": None,
    "review_search": "",
}  # fmt: skip
"""The filters of the queues on Review, all open."""
MODES_OF_A_PROJECT = NO_FILTERS | {
    "review_mode": "Review", "label": None, "subset": None,
    "results_label": None, "results_search": "", "results_source": None,
}  # fmt: skip
"""Widgets that the address of the page follows, and their value in the next project."""
OUTLIVES = (
    *("project", "current_project", "open_project", "inside_the_shell", "start_page"),
    *("import", "restore", "job_watched"),
)
"""How the names begin of what a session keeps when it opens another project: what is not about one project."""


def forget_project() -> None:
    """Open another project as it is opened first: without the choices, drafts and messages of the one before."""
    for name in {*st.session_state}:
        if name in MODES_OF_A_PROJECT:
            st.session_state[name] = MODES_OF_A_PROJECT[name]
        elif not str(name).startswith(OUTLIVES):
            del st.session_state[name]
    st.query_params.pop("review_queue", None)  # no widget is bound to it


def current_project() -> Project:
    """Return the open project; where there is none, show how to create one and end the page."""
    project = st.session_state.get("current_project")
    if not isinstance(project, Project):
        st.info("There is no project yet. Create one on the page *Data*.", icon=":material/info:")
        st.page_link(PAGES["data"], label="Go to Data", icon=":material/arrow_forward:")
        st.stop()
    return project
