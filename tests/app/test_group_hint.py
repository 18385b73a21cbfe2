"""The offer to make groups: of a column of the files, or of names of which most have a sign."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from red_core.data.importing import import_files
from red_core.labels.subsets import form_subsets
from red_core.records import Project
from red_core.store.database import open_project
from red_core.store.labels import list_labels
from tests.helpers.app_projects import WHO
from tests.helpers.rendered import keys_of, words_on
from tests.helpers.small_projects import EMBEDDING, FAST, embed, write_csv

OpenApp = Callable[..., AppTest]
DEPARTMENTS = {"refund": "Money", "invoice": "Money", "parcel / late": "Post", "parcel / lost": "Post"}
UNLIKE = {"refund": "Money", "invoice": "Bills", "parcel": "Post", "repair": "Post"}


def prepared(workspace: Path, groups: Mapping[str, str], column: str = "department") -> Project:
    """Return a project whose file has a column beside text and label."""
    rows = [(f"{label} {n}", label, group) for label, group in groups.items() for n in range(3)]
    files = write_csv(workspace.parent / "seeds.csv", ["text", "label", column], rows)
    pool = write_csv(workspace.parent / "pool.csv", ["text"], [[f"{label} again"] for label in groups])
    import_files(workspace, "small", files, pool, embedding=EMBEDDING, who=WHO)
    project = embed(open_project(workspace, "small"))
    form_subsets(project, FAST, EMBEDDING, WHO)
    return project


@pytest.mark.parametrize("page", ["data", "label_map"])
def test_a_column_with_one_value_per_label_is_offered(workspace: Path, open_app: OpenApp, page: str) -> None:
    more = {f"{name} {n}": group for name, group in DEPARTMENTS.items() for n in range(2)}
    project = prepared(workspace, {name.replace(" / ", " ") if "lost" in name else name: g for name, g in more.items()})
    app = open_app(page)
    said = words_on(app)
    assert "This column of your files has one value per label: department (2 values)." in said
    assert "names of your labels" not in said
    app.button(key="groups_offered").click().run()
    app.switch_page("pages/label_map.py").run()
    assert app.radio(key="group_way").value == "From columns"
    assert app.multiselect(key="group_columns").value == ["department"]
    app.button(key="edit_preview").click().run()
    app.button(key="edit_do").click().run()
    assert {label.path for label in list_labels(project)} == {("Money",), ("Post",)}
    assert "groups_offered" not in keys_of(app)


def test_names_are_offered_where_half_of_them_have_the_sign(workspace: Path, open_app: OpenApp) -> None:
    prepared(workspace, DEPARTMENTS)
    app = open_app("data")
    assert "The names of your labels seem to hold groups." in words_on(app)


def test_a_column_with_hardly_fewer_values_than_labels_is_not_offered(workspace: Path, open_app: OpenApp) -> None:
    prepared(workspace, UNLIKE, "code")
    assert "groups_offered" not in keys_of(open_app("data"))
