"""Groups from names, from columns of the source files, from indented text, and from a file of the label set."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from red_core.cli import main
from red_core.data.importing import import_files
from red_core.errors import InputError, StateError
from red_core.labels.edits import apply_edit, preview, undo_edit
from red_core.labels.file import export_label_set, read_label_set
from red_core.labels.group_sources import (
    FromNames,
    from_columns,
    from_text,
    group_columns,
    paths_by_parents,
    sign_in_names,
)
from red_core.labels.groups import Group, tree_lines
from red_core.records import NONE_NAMES, Project
from red_core.store.database import open_project
from red_core.store.labels import list_labels, name_key, path_in_words
from red_core.text import normalise_text
from tests.helpers.small_projects import small_project, write_csv

NAMES = ("Money > Back > refund", "Money > invoice", "Parcels > other", "Money > other", "praise")


@pytest.fixture
def project(workspace: Path) -> Project:
    return small_project(workspace)


@pytest.fixture(scope="module")
def four_labels(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return small_project(tmp_path_factory.mktemp("w"))


@pytest.fixture
def named(workspace: Path) -> Project:
    rows = [(f"{name} {n}", name) for name in NAMES for n in range(2)]
    import_files(workspace, "named", write_csv(workspace.parent / "named.csv", ["text", "label"], rows))
    return open_project(workspace, "named")


def paths(project: Project) -> dict[str, str]:
    return {label.name: path_in_words(label.path) for label in list_labels(project)}


def test_names_become_groups_and_files_may_use_the_former_names(named):
    before = paths(named)
    assert sign_in_names(list_labels(named)) == " > "
    apply_edit(named, FromNames(" > "), "ann")
    assert paths(named) == {
        "refund": "Money > Back", "invoice": "Money", "other (Parcels)": "Parcels", "other (Money)": "Money",
        "praise": "",
    }  # fmt: skip
    more = write_csv(named.workspace.parent / "more.csv", ["text", "label"], [("I want it back", NAMES[0])])
    import_files(named.workspace, named.name, more)
    assert len(list_labels(named)) == len(NAMES)
    undo_edit(named, "ann")
    assert paths(named) == before


def test_names_without_shared_groups_are_not_offered(project):
    assert sign_in_names(list_labels(project)) is None
    with pytest.raises(StateError, match="no label has"):
        apply_edit(project, FromNames("::"), "ann")


def test_columns_of_the_files_become_groups(workspace):
    table = [("refund", "Money", "Back"), ("invoice", "Money", "Bills"), ("parcel", "Sent", "Late")]
    rows = [(f"{label} {n}", label, major, minor, n) for label, major, minor in table for n in range(3)]
    file = write_csv(workspace.parent / "c.csv", ["text", "label", "major", "minor", "number"], rows)
    import_files(workspace, "columns", file)
    project = open_project(workspace, "columns")
    assert [(each.name, each.values) for each in group_columns(project)] == [("major", 2)]
    edit, several = from_columns(project, ["major", "minor"])
    assert several == []
    apply_edit(project, edit, "ann")
    assert paths(project) == {"refund": "Money > Back", "invoice": "Money > Bills", "parcel": "Sent > Late"}
    assert from_columns(project, ["number"])[1] == ["refund", "invoice", "parcel"]
    with pytest.raises(StateError, match="no column 'else'"):
        from_columns(project, ["else"])


def test_parents_make_a_path_and_never_a_circle():
    parents = {"refund": "Back", "Back": "Money", "invoice": "Money > Bills", "praise": " > "}
    assert paths_by_parents(parents) == {
        "refund": ("Money", "Back"), "Back": ("Money",), "invoice": ("Money", "Bills"), "praise": ()
    }  # fmt: skip
    with pytest.raises(StateError, match="is inside itself"):
        paths_by_parents({"a": "b", "b": "A"})


def test_indented_text_makes_groups_and_is_what_a_tree_looks_like(project):
    text = "Money\n  refund\n  Other things\n      - repair\nParcels > Lost\n  delivery\nnobody\n"
    edit, unknown = from_text(list_labels(project), text)
    assert unknown == {"nobody": ()}
    apply_edit(project, edit, "ann")
    assert paths(project) == {
        "refund": "Money", "repair": "Money > Other things", "delivery": "Parcels > Lost", "warranty": ""
    }  # fmt: skip
    tree = tree_lines(list_labels(project))
    assert tree[:4] == ["Money  ·  2", "  Other things  ·  1", "    repair", "  refund"]
    again, none = from_text(list_labels(project), "\n".join(tree))
    assert {label.id: label.path for label in list_labels(project)} == again.paths
    assert none == {}
    with pytest.raises(StateError, match="no line is the name of a label"):
        from_text(list_labels(project), "nobody\n")


def test_a_file_of_the_label_set_moves_labels_and_keeps_them(project, tmp_path):
    apply_edit(project, Group({1: ("Money", "Back"), 2: ("Parcels",)}), "ann")
    before = list_labels(project)
    for name in ("labels.csv", "labels.json"):
        export_label_set(project, tmp_path / name)
        apply_edit(project, read_label_set(project, tmp_path / name), "bob")
        assert list_labels(project) == before
    rows = [["refund", ">", ""], ["delivery", "", "not a letter"], ["repair", "Parcels > Broken", ""]]
    file = write_csv(tmp_path / "moves.csv", ["name", "path", "does_not_belong"], rows)
    apply_edit(project, read_label_set(project, file), "bob")
    assert paths(project) == {"refund": "", "delivery": "Parcels", "warranty": "", "repair": "Parcels > Broken"}
    assert [label.excludes for label in list_labels(project)] == ["", "not a letter", "", ""]
    undo_edit(project, "bob")
    assert list_labels(project) == before


def test_a_file_with_parents_and_one_with_a_circle(project, tmp_path):
    rows = [["refund", "delivery"], ["delivery", "Parcels"]]
    apply_edit(project, read_label_set(project, write_csv(tmp_path / "p.csv", ["name", "parent"], rows)), "bob")
    assert paths(project)["refund"] == "Parcels > delivery"
    rows = [["refund", "delivery"], ["delivery", "refund"]]
    with pytest.raises(InputError, match="is inside itself"):
        read_label_set(project, write_csv(tmp_path / "c.csv", ["name", "parent"], rows))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("\ufeffMoney\n\trefund\n\tOther\n\t\trepair", {"refund": "Money", "repair": "Money > Other"}),
        ("Money\n\trefund\n    delivery\n", {"refund": "Money", "delivery": "Money"}),  # a tab is four spaces
        ("Money\n├── refund\n└── Cards\n    └── repair", {"refund": "Money", "repair": "Money > Cards"}),
        ("Money\n\u3000refund\n\u00a0repair", {"refund": "Money", "repair": "Money"}),
        ("refund\n  repair\n", {"repair": "refund"}),  # a label that is a group, too
        ("refund\n  refund\n  repair\n", {"repair": "refund"}),
        ("Money > Cards > refund\nMoney > repair", {"refund": "Money > Cards", "repair": "Money"}),
        ("Money\n  repair\n    refund\nPost\n  repair\n    delivery", {"refund": "Money > repair"}),
    ],
)
def test_a_tree_of_any_editor_is_read(text, wanted, project):
    if "Post" in text:  # the label in both groups, and no line of its own
        with pytest.raises(StateError, match="'repair' is on line 2 and on line 5, but a label is in one group"):
            from_text(list_labels(project), text)
        return
    apply_edit(project, from_text(list_labels(project), text)[0], "ann")
    assert {name: path for name, path in paths(project).items() if path} == wanted


SIGNS = st.text(
    st.sampled_from("ab1-*\u2022>\u00b7 \u251c\u2500\u2502\ufeff\u200b") | st.characters(exclude_categories=["Cs"])
)
NAME = SIGNS.map(lambda text: normalise_text(text)[:20].strip()).filter(
    lambda name: name and "\0" not in name and name_key(name) not in NONE_NAMES
)
GROUP = NAME.filter(lambda name: ">" not in name)


@settings(max_examples=300)
@given(
    names=st.lists(NAME, min_size=4, max_size=4, unique_by=name_key),
    groups=st.lists(GROUP, min_size=2, max_size=2, unique_by=name_key),
    chosen=st.lists(st.lists(st.integers(0, 1), max_size=3), min_size=4, max_size=4),
)
@example(names=["a->b", "x > 10", "- refund", "*special*"], groups=["- G", "\u251cG"], chosen=[[], [0], [0, 1], [1]])
@example(names=["\u2022 dot", "x >", ">", "tab \u00b7 2"], groups=["tab", "G \u00b7 2"], chosen=[[], [0], [], [1]])
@example(names=["-2", "2", "\u251c tree", "\ufeffatm"], groups=["-2", "2"], chosen=[[0], [1], [], [0, 1]])
def test_what_groups_prints_is_read_back_as_it_is(names, groups, chosen, four_labels):
    paths = [tuple(groups[each] for each in path) for path in chosen]
    assume(not any(path and name_key(path[-1]) == name_key(name) for name, path in zip(names, paths, strict=True)))
    labels = [replace(each, name=name, path=path)
              for each, name, path in zip(list_labels(four_labels), names, paths, strict=True)]  # fmt: skip
    edit, unknown = from_text(labels, "\n".join(tree_lines(labels)))
    assert edit.paths == {label.id: label.path for label in labels}
    assert unknown == {}


def test_a_line_means_the_label_of_exactly_that_name(workspace):
    rows = [(f"{name} {n}", name) for name in ("-2", "-1", "0", "1", "2") for n in range(2)]
    import_files(workspace, "n", write_csv(workspace.parent / "n.csv", ["text", "label"], rows))
    labels = list_labels(Project(workspace, "n"))
    edit, unknown = from_text(labels, "Negative\n  -2\n  - -1\nRest\n  -3\n  Any > - 1\n  * 0")
    found = {label.name: edit.paths[label.id] for label in labels if label.id in edit.paths}
    assert found == {"-2": ("Negative",), "-1": ("Negative",), "0": ("Rest",)}
    assert unknown == {"-3": ("Rest",), "- 1": ("Rest", "Any")}


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff", "\u2502\n  \u2514\u2500\u2500\n"])
def test_a_text_without_names_is_refused(text, project, tmp_path):
    (file := tmp_path / "groups.txt").write_text(text, "utf-8")
    verb = ["--workspace", str(project.workspace), "groups", project.name, "--from-text", str(file)]
    ran = CliRunner().invoke(main, verb)
    assert ran.exit_code == 1
    assert "no line is the name of a label" in ran.output


def test_a_name_with_an_empty_part_stays_as_it_is(workspace):
    names = ("A > B", "A > C", "A > > Q", "A > x->y", "A > x->y > D")
    rows = [(f"{name} {n}", name) for name in names for n in range(2)]
    import_files(workspace, "n", write_csv(workspace.parent / "n.csv", ["text", "label"], rows))
    project = Project(workspace, "n")
    apply_edit(project, FromNames(" > "), "ann")
    assert paths(project) == {"B": "A", "C": "A", "A > > Q": "", "x->y": "A", "A > x->y > D": ""}


def test_a_label_is_never_in_a_group_of_its_own_name(project, tmp_path):
    """A whole path names the label, too: the label stands beside the group that has its name."""
    rows = [["refund", "Money > refund"], ["repair", "Money > refund > Repair"], ["delivery", "delivery"]]
    file = write_csv(tmp_path / "p.csv", ["label", "label_path"], rows)
    apply_edit(project, read_label_set(project, file), "bob")
    assert paths(project) == {"refund": "Money", "repair": "Money > refund", "delivery": "", "warranty": ""}


def test_a_whole_path_in_a_column_of_the_texts_makes_groups(workspace):
    rows = [(f"{name} {n}", name, f"Area > {name}") for name in ("refund", "repair", "praise") for n in range(2)]
    rows += [(f"parcel {n}", "parcel", "Post > parcel") for n in range(2)]
    import_files(workspace, "whole", write_csv(workspace.parent / "w.csv", ["text", "label", "path"], rows))
    project = open_project(workspace, "whole")
    assert [(each.name, each.values) for each in group_columns(project)] == [("path", 2)]
    apply_edit(project, from_columns(project, ["path"])[0], "ann")
    assert paths(project) == {"refund": "Area", "repair": "Area", "praise": "Area", "parcel": "Post"}


TREE_AS_JSON = [
    {"name": "Money", "children": [
        {"name": "refund", "children": ["voucher", {"label": "Late", "Children": [{"name": "delivery"}]}]},
        {"name": "Other", "children": []},
    ]}, "repair",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["nested", "path list", "parents", "Excel", "semicolons", "Windows"])
def test_a_label_set_comes_in_any_usual_form(kind, project, tmp_path):
    flat = [["Money", ""], ["refund", "Money"], ["voucher", "refund"], ["Late", "refund"], ["delivery", "Late"]]
    flat += [["Other", "Money"]]
    file = tmp_path / {"Excel": "labels.xlsx", "nested": "labels.json", "path list": "labels.jsonl"}.get(kind, "l.csv")
    columns = ["Name", " Parent "]
    if kind == "nested":
        file.write_text(json.dumps(TREE_AS_JSON[:1]), "utf-8")
    elif kind == "path list":
        at = {"refund": ["Money"], "voucher": ["Money", "refund"], "delivery": ["Money", "refund", "Late"]}
        rows = [{"name": name, "path": path} for name, path in {**at, "Other": ["Money"]}.items()]
        file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    elif kind == "Excel":
        book = openpyxl.Workbook()
        for row in [columns, *flat]:
            book.active.append(row)
        book.save(file)
    elif kind == "parents":
        write_csv(file, columns, flat)
    else:
        lines = "\r\n".join(map(";".join, [columns, *flat]))
        file.write_bytes(lines.encode("utf-8-sig" if kind == "semicolons" else "cp1252"))
    apply_edit(project, read_label_set(project, file), "bob")
    assert paths(project) == {
        "refund": "Money", "delivery": "Money > refund > Late", "warranty": "", "repair": "",
        "voucher": "Money > refund", "Other": "Money",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ('{"A": {"B": ["refund"]}}', 'Write a list such as [{"name": "Cards", "children"'),
        ('[{"name": "A", "children": "refund"}]', "row 1: its children are not a JSON list of labels"),
        *(
            (f'[{{"name": "refund"}}, {{"name": "A", "children": {wrong}}}]', "row 2: its children are not a JSON list")
            for wrong in ('"x"', "5", "true", "[1]", '[{"name": ["x"]}]', '[{"name": "B", "children": {"name": "x"}}]')
        ),
        ('[{"name": "x"}, {"name": "A", "children": {"a": "B"}}]', "row 2: its field 'children' is an object, not"),
        ('[{"name": "A", "seeds": {"a": 1}}]', "row 1: its field 'seeds' is an object, not a JSON list of texts"),
        ('[{"name": "A", "path": {"a": "B"}}]', "row 1: its field 'path' is an object"),
        ('[{"name": "A", "children": [{"name": ""}]}]', "row 1: the name of a label or group has 1 to 200"),
        ('["refund"]', "it has no column 'name'"),
        ('[{"name": "A", "children": ' * 30 + "[]" + "}]" * 30, "row 1: a label is in at most 20 groups"),
    ],
)
def test_json_that_is_no_label_set_is_refused_in_one_line(content, rule, project, tmp_path):
    (tmp_path / "labels.json").write_text(content, "utf-8")
    with pytest.raises(InputError) as error:
        read_label_set(project, tmp_path / "labels.json")
    assert rule in str(error.value)
    assert "\n" not in str(error.value)


def test_columns_that_say_nothing_about_labels_are_named(project, tmp_path):
    file = write_csv(tmp_path / "levels.csv", ["name", "level 1", "level 2"], [["refund", "Money", "Back"]])
    told = preview(project, read_label_set(project, file)).message
    assert told.endswith("nothing changes; the program does not read the columns 'level 1', 'level 2'")


def test_the_command_line_shows_and_makes_groups(project, tmp_path):
    (tmp_path / "tree.txt").write_text("Money\n  refund\n", "utf-8")

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["--workspace", str(project.workspace), "groups", project.name, *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    assert "put 'refund' into 'Money'" in run("--from-text", str(tmp_path / "tree.txt"), "--preview")
    assert set(paths(project).values()) == {""}
    run("--from-text", str(tmp_path / "tree.txt"))
    assert "Money  ·  1\n  refund\n" in run()
    assert {"label": "refund", "path": ["Money"]} in json.loads(run("--json"))["labels"]


@pytest.mark.parametrize(("content", "rule"), [(None, "it cannot be read"), (b"\xfc\n  refund", "it is not UTF-8")])
def test_a_text_that_cannot_be_read_is_refused_in_one_line(content, rule, project, tmp_path):
    if content is not None:
        (tmp_path / "tree.txt").write_bytes(content)
    arguments = [
        "--workspace",
        str(project.workspace),
        "groups",
        project.name,
        "--from-text",
        str(tmp_path / "tree.txt"),
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code != 0
    assert rule in result.output
    assert len(result.output.splitlines()) == 1


def test_a_label_may_stand_beside_the_group_of_its_own_name(workspace):
    rows = [(f"about {name} {n}", name, "other") for name in ("refund", "other") for n in range(2)]
    import_files(workspace, "p", write_csv(workspace.parent / "a.csv", ["text", "label", "kind"], rows))
    project = open_project(workspace, "p")
    edit, several = from_columns(project, ["kind"])
    assert several == []
    apply_edit(project, edit, "ann")
    assert paths(project) == {"refund": "other", "other": ""}
