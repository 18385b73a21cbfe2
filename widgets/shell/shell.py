"""What every page stands on: the guard of a cold deep link, the project, errors in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from red_core.errors import RedError
from red_core.records import Project
from red_core.store.database import open_project, project_names
from widgets.shell.sign_in import let_in
from widgets.shell.untrusted import plain

PAGES = {
    "data": "pages/data.py",
    "label_map": "pages/label_map.py",
    "rounds": "pages/rounds.py",
    "review": "pages/review.py",
    "results": "pages/results.py",
}


def inside_the_shell() -> None:
    """Make sure app.py runs around this page.

    Until a session has run app.py, Streamlit would run a file in pages/ alone, without the shell: a folder of that
    name is its old way of making pages. Turning that way off and running again starts at app.py.
    """
    # app.py leaves a mark in each run. Streamlit's own flag would not do: another session may have turned it off
    # between the moment this one was sent here and now.
    if not st.session_state.pop("inside_the_shell", False):
        PagesManager.uses_pages_directory = False
        st.rerun()
    if let_in() is not None:  # the shell has said so already
        st.stop()


def workspace() -> Path:
    """Return the folder that holds the projects."""
    return Path(os.environ.get("RED_WORKSPACE", "workspace"))


@contextmanager
def errors_in_one_line(*, and_stop: bool = False) -> Iterator[None]:
    """Show an error of ours, or of the file system, as one line, and end the page there if nothing can follow."""
    try:
        yield
    except RedError as error:
        told = str(error)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        told = f"{place}{error.strerror or error}. Check the disk and the permissions."
    else:
        return
    st.error(plain(told), icon=":material/error:")
    if and_stop:
        st.stop()


def choose_project() -> Project | None:
    """Show the chooser in the sidebar and return the project; None where there is none yet."""
    names = project_names(workspace())
    if not names:
        return None
    wanted = st.session_state.pop("open_project", None)  # set by a page that made a project
    if wanted in names:
        st.session_state["project"] = wanted
    name = st.sidebar.selectbox(
        "Project", names, key="project", bind="query-params", help="A folder in the workspace. Make a new one on Data."
    )
    return open_project(workspace(), name)


def current_project() -> Project:
    """Return the project this page is about; where there is none, say how to make one and end the page."""
    project = st.session_state.get("current_project")
    if not isinstance(project, Project):
        st.info("There is no project yet. Make one on the page *Data*.", icon=":material/info:")
        st.page_link(PAGES["data"], label="Go to Data", icon=":material/arrow_forward:")
        st.stop()
    return project
