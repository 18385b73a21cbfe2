"""The label map as an editor: every edit is previewed, carried out and undone from the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from red_core.data.importing import import_files
from red_core.labels.drift import measure_drift
from red_core.labels.edit_kinds import Rename
from red_core.labels.edits import apply_edit
from red_core.labels.file import export_label_set, from_pasted
from red_core.labels.groups import Group
from red_core.labels.kept_drift import KEPT_OF, kept_drift
from red_core.labels.many import Duplicate
from red_core.labels.meaning import Mean, this_is_why
from red_core.records import Project
from red_core.review.audit_report import audited_accuracy
from red_core.review.audits import answer, deal
from red_core.review.decisions import decide
from red_core.review.desk import apply_key_press
from red_core.review.presses import read_key_press
from red_core.rounds.run import run_round
from red_core.store.desk import Filters, queue
from red_core.store.guidelines import guideline_examples
from red_core.store.jobs import add_job
from red_core.store.label_undo import edits
from red_core.store.labels import current_layout, list_labels, path_in_words
from red_core.store.texts import contents, pool, remember, seeds
from red_core.store.views import confusions
from tests.helpers.app_projects import label_ids, queued
from tests.helpers.rendered import keys_of, plotly_specs, select_points, words_on
from tests.helpers.small_projects import FAST, embed, write_csv
from widgets.labels.map_figure import CLOSE

InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]


def names(project: Project) -> list[str]:
    return [label.name for label in list_labels(project)]


def paths(project: Project) -> dict[str, str]:
    return {label.name: path_in_words(label.path) for label in list_labels(project)}


def choose(app: AppTest, label: str, kind: str) -> None:
    app.selectbox(key="label").set_value(label).run()
    app.radio(key="edit_kind").set_value(kind).run()
    assert not app.exception


def carry_out(app: AppTest) -> str:
    """Preview the edit and carry it out; return the words of the page with the preview."""
    assert app.button(key="edit_do").disabled
    app.button(key="edit_preview").click().run()
    preview = words_on(app)
    assert not app.button(key="edit_do").disabled, preview
    app.button(key="edit_do").click().run()
    assert not app.exception
    return preview


def test_a_label_is_renamed_and_named_back(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    before, app = names(project), open_app("label_map")
    choose(app, before[0], "Rename")
    app.text_input(key=f"rename_{label_ids(project)[before[0]]}").set_value("money back").run()
    preview = carry_out(app)
    assert "This edit moves no text." in preview
    assert "Every verdict still counts." in preview
    assert names(project)[0] == "money back"
    assert "Done: renamed" in words_on(app)
    app.run()
    assert "Done: renamed" not in words_on(app)  # it is said once
    app.button(key="edit_undo").click().run()
    assert names(project) == before
    assert "Undone: renamed" in words_on(app)


def test_while_work_goes_on_nothing_can_be_pressed_and_the_reason_stands_beside(
    in_state: InState, open_app: OpenApp
) -> None:
    project = in_state("to review, working")
    app = open_app("label_map")
    choose(app, names(project)[0], "Rename")
    app.text_input(key=f"rename_{label_ids(project)[names(project)[0]]}").set_value("money back").run()
    assert app.button(key="edit_preview").disabled
    assert "You can preview and edit when it is done." in words_on(app)


def test_a_branch_is_made_moved_and_moved_back(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    app = open_app("label_map")
    app.radio(key="edit_kind").set_value("Groups").run()
    app.radio(key="group_way").set_value("From text").run()
    app.text_area(key="group_text").set_value("Money\n  refund\n  warranty\nParcels > Late\n  delivery\n").run()
    assert "put 3 labels into 2 groups" in carry_out(app)
    app.radio(key="group_way").set_value("Move or rename a group").run()
    app.selectbox(key="group_moved").set_value(("Money",)).run()
    app.text_input(key="group_to_Money").set_value("Parcels > Paid").run()
    carry_out(app)
    moved = {"refund": "Parcels > Paid", "warranty": "Parcels > Paid", "delivery": "Parcels > Late", "repair": ""}
    assert paths(project) == moved
    app.button(key="edit_undo").click().run()
    assert paths(project) == moved | {"refund": "Money", "warranty": "Money"}
    app.selectbox(key="map_group").set_value("Money").run()
    assert "Money: 2 labels" in words_on(app)
    app.selectbox(key="map_group").set_value(None).run()
    app.radio(key="map_shown").set_value("Groups").run()
    (table,) = [frame.value for frame in app.dataframe if "confused inside" in frame.value]
    own = {name: int((seeds(project)[1] == number).sum()) for name, number in label_ids(project).items()}
    assert table[["group", "labels"]].to_numpy().tolist() == [["Money", 2], ["Parcels", 1], ["Parcels > Late", 1]]
    assert table["examples"].tolist() == [own["refund"] + own["warranty"], own["delivery"], own["delivery"]]
    assert not app.exception
    results = open_app("results", results_tab="Labels")
    said = words_on(results)
    assert re.search(r"True accuracy \(trial\)\. Group, level 1: [\d.]+% \(of \d+ texts\); group, level 2: ", said)
    (header,) = re.findall(r"true accuracy \(trial\) ([\d.]+%)", said)
    assert f"; label: {header} (of 40 texts)." in said
    assert "Each level counts only the texts whose label has this level." in said
    orders = [list(frame.proto.column_order) for frame in results.dataframe if "belief" in frame.value]
    assert orders == [["name", "seeds", "fed_back", "labelled", "belief", "decided", "subset", "group"]]


def test_the_group_that_is_chosen_on_the_map_is_the_one_to_move(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    ids = label_ids(project)
    apply_edit(project, Group({ids["refund"]: ("Money",), ids["repair"]: ("Post",), ids["delivery"]: ("Post",)}), "Ana")
    app = open_app("label_map")
    app.selectbox(key="map_group").set_value("Post").run()
    app.radio(key="edit_kind").set_value("Groups").run()
    app.radio(key="group_way").set_value("Move or rename a group").run()
    assert app.selectbox(key="group_moved").value == ("Post",)
    app.selectbox(key="group_moved").set_value(("Money",)).run()
    assert app.selectbox(key="group_moved").value == ("Money",)
    app.text_input(key="group_to_Money").set_value("Cash").run()
    carry_out(app)
    assert paths(project)["refund"] == "Cash"
    app.selectbox(key="map_group").set_value("Cash").run()
    assert app.selectbox(key="group_moved").value == ("Cash",)


def test_many_labels_are_shown_as_groups_until_one_is_opened(
    in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = in_state("to review")
    ids = label_ids(project)
    apply_edit(
        project, Group({ids["refund"]: ("Money",), ids["warranty"]: ("Money",), ids["delivery"]: ("Post",)}), "Ana"
    )
    monkeypatch.setattr("widgets.labels.map_groups.MOST_POINTS", 2)
    app = open_app("label_map")
    assert map_names(app) == {"Money", "Post", "repair"}
    assert "Click a group to open it" in words_on(app)
    app.selectbox(key="label").set_value("refund").run()  # else it would not be on the map
    assert map_names(app) == {"refund", "warranty"}
    app.button(key="to_group").click().run()
    assert not app.exception
    assert "Money: 2 labels" in words_on(app)
    assert map_names(app) == {"refund", "warranty"}
    app.button(key="all_subsets").click().run()
    assert map_names(app) == {"Money", "Post", "repair"}


def test_a_group_on_a_large_map_is_opened_by_a_click_and_its_labels_are_in_a_lasso(
    in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = in_state("to review")
    ids = label_ids(project)
    apply_edit(
        project, Group({ids["refund"]: ("Money",), ids["warranty"]: ("Money",), ids["delivery"]: ("Post",)}), "Ana"
    )
    monkeypatch.setattr("widgets.labels.map_groups.MOST_POINTS", 2)
    app, outline = open_app("label_map"), [(-9, -9), (9, -9), (0, 9)]
    select_points(app, *points_of(app, "Money", "repair"), lasso=outline)
    assert "3 labels in the lasso" in words_on(app)
    assert set(app.session_state["inside"]) == {ids["refund"], ids["warranty"], ids["repair"]}
    select_points(app, *points_of(app, "Money"))
    assert "Money: 2 labels" in words_on(app)
    assert map_names(app) == {"refund", "warranty"}
    assert opacities(app) == [0.95]
    select_points(app, *points_of(app, "refund"), lasso=outline)
    assert "1 label in the lasso" in words_on(app)


def points_of(app: AppTest, *wanted: str) -> list[int]:
    shown = [fields[0] for fields in json.loads(plotly_specs(app)[0])["data"][0]["customdata"]]
    return [shown.index(name) for name in wanted]


def opacities(app: AppTest) -> list[float]:
    return np.unique(json.loads(plotly_specs(app)[0])["data"][0]["marker"]["opacity"]).tolist()


def map_names(app: AppTest) -> set[str]:
    return {fields[0] for fields in json.loads(plotly_specs(app)[0])["data"][0]["customdata"]}


def test_many_labels_are_retired_by_a_pasted_list(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    app = open_app("label_map")
    app.radio(key="edit_kind").set_value("Many labels").run()
    app.text_area(key="many_names").set_value("Refund\twith a note\nnobody\nrepair\n").run()
    assert "2 lines are labels already. 1 name is new: 'nobody'." in words_on(app)
    app.text_input(key="many_group").set_value("A > > B").run()
    assert "a group in 'A > > B' has no name" in words_on(app)
    app.radio(key="many_what").set_value("Retire").run()
    carry_out(app)
    assert names(project) == ["delivery", "warranty"]
    for way in ("Unused labels", "Possible duplicates"):
        app.radio(key="many").set_value(way).run()
        assert not app.exception


@pytest.fixture
def editors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the tables with ticks, in the order in which they are shown."""
    keys, editor = list[str](), st.data_editor

    def noted(*values: Any, key: str, **named: Any) -> Any:
        keys.append(key)
        return editor(*values, key=key, **named)

    monkeypatch.setattr(st, "data_editor", noted)
    return keys


def test_pairs_of_duplicates_are_merged_with_one_press(
    in_state: InState, open_app: OpenApp, editors: list[str]
) -> None:
    project = in_state("to review")
    ids = label_ids(project)
    apply_edit(project, Rename(ids["delivery"], "refunds"), "Ana")
    app = open_app("label_map")
    app.radio(key="edit_kind").set_value("Many labels").run()
    app.radio(key="many").set_value("Possible duplicates").run()
    (table,) = [frame.value for frame in app.dataframe if "becomes" in frame.value]
    place = table["label"].tolist().index("refunds")
    assert table["becomes"][place] == "refund"
    app.session_state[editors[-1]] = {
        "edited_rows": {place: {"same": True}}, "added_rows": [], "deleted_rows": [],
    }  # fmt: skip
    app.run()
    pair = words_on(app)
    assert "Is merged: **refunds**" in pair
    assert "Stays, as both have 4 examples and it is older: **refund**" in pair
    first = {name: contents(project, seeds(project)[0][seeds(project)[1] == number])[0] for name, number in ids.items()}
    assert all(text in pair for name, text in first.items() if name in {"refund", "delivery"})
    app.button(key="edit_preview").click().run()
    assert "This edit will merge 'refunds' into 'refund'" in words_on(app)
    app.button(key="edit_at_once").click().run()
    assert not app.exception
    assert "Done: merged 'refunds' into 'refund'" in words_on(app)
    assert names(project) == ["refund", "warranty", "repair"]
    app.button(key="edit_undo").click().run()
    assert names(project) == ["refund", "refunds", "warranty", "repair"]
    assert "Undone: merged 'refunds' into 'refund'" in words_on(app)


def test_no_tick_stays_when_the_pairs_are_others(
    in_state: InState, open_app: OpenApp, editors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = label_ids(in_state("to review"))
    for pair in ((ids["refund"], ids["delivery"]), (ids["refund"], ids["repair"])):
        found = [Duplicate(pair, "names", 0.9)]
        monkeypatch.setattr("widgets.labels.many_panel.duplicates", lambda *_, found=found: found)
        app = open_app("label_map")
        app.radio(key="edit_kind").set_value("Many labels").run()
        app.radio(key="many").set_value("Possible duplicates").run()
    assert len(set(editors)) == 2


def test_only_ticked_labels_without_texts_are_retired(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    apply_edit(project, from_pasted(project, "voucher\ninvoice")[1], "Ana")
    app = open_app("label_map")
    app.radio(key="edit_kind").set_value("Many labels").run()
    app.radio(key="many").set_value("Unused labels").run()
    assert "2 labels have no texts" in words_on(app)
    assert "The round gave labels to" in words_on(app)
    assert app.button(key="edit_preview").disabled  # nothing is ticked


def test_where_every_label_has_texts_nothing_is_to_tick(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    app = open_app("label_map")
    app.radio(key="edit_kind").set_value("Many labels").run()
    app.radio(key="many").set_value("Unused labels").run()
    assert "Every label has texts, from a person or from the last round. There is nothing to retire." in words_on(app)
    assert "Tick the labels" not in words_on(app)


def test_before_the_first_round_no_label_counts_as_unused(in_state: InState, open_app: OpenApp) -> None:
    in_state("prepared")
    app = open_app("label_map")
    app.radio(key="edit_kind").set_value("Many labels").run()
    app.radio(key="many").set_value("Unused labels").run()
    assert "Run the first round." in words_on(app)
    assert app.button(key="edit_preview").disabled


def test_a_pasted_column_adds_labels_with_one_preview(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    app = open_app("label_map")
    app.radio(key="edit_kind").set_value("Many labels").run()
    app.text_area(key="many_names").set_value("Money > voucher\nMoney > 'gift card'\tone\ttwo\n").run()
    assert "2 names are new" in words_on(app)
    assert "1 new label has no examples" in words_on(app)
    assert "2 added ('voucher', \"'gift card'\")" in carry_out(app).replace("\u2060", "")
    assert paths(project)["voucher"] == paths(project)["'gift card'"] == "Money"


def test_an_indented_text_may_add_labels(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    app = open_app("label_map")
    app.radio(key="edit_kind").set_value("Groups").run()
    app.radio(key="group_way").set_value("From text").run()
    app.text_area(key="group_text").set_value("Money\n  refund\n  voucher").run()
    assert "1 line is no label: 'voucher'" in words_on(app)
    app.checkbox(key="group_text_adds").check().run()
    carry_out(app)
    assert paths(project)["voucher"] == paths(project)["refund"] == "Money"


def test_an_edit_needs_a_preview_of_itself(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    before, app = names(project), open_app("label_map")
    choose(app, before[0], "Rename")
    field = f"rename_{label_ids(project)[before[0]]}"
    app.text_input(key=field).set_value("one").run()
    app.button(key="edit_preview").click().run()
    app.text_input(key=field).set_value("two").run()
    assert app.button(key="edit_do").disabled
    assert names(project) == before


def test_labels_are_merged_with_their_seeds(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    ids, app = label_ids(project), open_app("label_map")
    first, second, *_ = names(project)
    choose(app, first, "Merge")
    app.selectbox(key="merge_into").set_value(ids[second]).run()
    preview = carry_out(app)
    assert "labelled examples" in preview
    assert first not in names(project)
    assert (seeds(project)[1] == ids[second]).sum() == 8
    app.button(key="edit_undo").click().run()
    assert (seeds(project)[1] == ids[first]).sum() == 4


def test_a_label_is_retired_and_comes_back(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    before, app = names(project), open_app("label_map")
    choose(app, before[2], "Retire")
    carry_out(app)
    assert names(project) == [*before[:2], before[3]]
    app.button(key="edit_undo").click().run()
    assert names(project) == before


def test_a_label_is_added_with_typed_examples(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    before, app = current_layout(project), open_app("label_map")
    app.text_input(key="add_name_").set_value("praise").run()
    assert app.button(key="edit_preview").disabled  # examples are missing
    app.text_area(key="add_examples").set_value("what a lovely shop\nthank you so much").run()
    carry_out(app)
    assert names(project)[-1] == "praise"
    after = current_layout(project)
    assert after[2][: len(before[2])].tolist() == before[2].tolist()  # the other labels do not move


@pytest.mark.parametrize("examples", ["only one", "twice\ntwice"])
def test_too_few_examples_are_refused_in_one_line(in_state: InState, open_app: OpenApp, examples: str) -> None:
    project = in_state("to review")
    app = open_app("label_map")
    app.text_input(key="add_name_").set_value("praise").run()
    app.text_area(key="add_examples").set_value(examples).run()
    app.button(key="edit_preview").click().run()
    assert "a new label needs at least 2 different examples" in words_on(app)
    assert len(names(project)) == 4


@pytest.mark.parametrize("name", ["![x](http://beacon.invalid)", "<b>x</b>", "=1+1", "\u202egnp"])
def test_a_hostile_name_is_previewed_as_words(in_state: InState, open_app: OpenApp, name: str) -> None:
    project = in_state("to review")
    app = open_app("label_map")
    choose(app, names(project)[0], "Rename")
    app.text_input(key=f"rename_{label_ids(project)[names(project)[0]]}").set_value(name).run()
    carry_out(app)
    assert list_labels(project)[0].name == name
    assert not app.exception


def test_an_edit_is_refused_while_a_job_runs_that_the_page_does_not_know(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    app = open_app("label_map")
    choose(app, names(project)[0], "Retire")
    add_job(project, "prepare", FAST.model_dump_json(), "Ana")
    app.button(key="edit_preview").click().run()
    assert "a job is running" in words_on(app)
    assert edits(project)[-1].kind != "retire"


def test_groups_of_texts_that_fit_no_label_wait_for_a_round(in_state: InState, open_app: OpenApp) -> None:
    in_state("prepared")
    app = open_app("label_map")
    assert "After the first round" in words_on(app)
    assert not [button for button in app.button if button.key == "find_clusters"]


def test_groups_are_looked_for_on_demand(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    app = open_app("label_map")
    app.button(key="find_clusters").click().run()
    assert not app.exception
    assert "no label seems to be missing" in words_on(app)


def test_without_a_second_import_drift_explains_what_is_missing(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    assert "Import more unlabelled texts later and run a round" in words_on(open_app("data"))


# The choice on the map, and its details


def chart(app: AppTest) -> dict[str, Any]:
    return json.loads(next(spec for spec in plotly_specs(app)))


def test_the_same_page_again_is_the_same_chart(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    app = open_app("label_map")
    first = plotly_specs(app)
    app.run()
    assert plotly_specs(app) == first  # otherwise the browser would draw it again and lose the zoom


def test_the_map_zooms_to_a_label_and_back(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    app = open_app("label_map")
    whole = chart(app)["layout"]["xaxis"]["range"]
    app.selectbox(key="label").set_value(names(project)[0]).run()
    near = chart(app)["layout"]["xaxis"]["range"]
    assert near[1] - near[0] == pytest.approx((whole[1] - whole[0]) * CLOSE)
    app.button(key="all_subsets").click().run()
    assert chart(app)["layout"]["xaxis"]["range"] == whole


def test_the_map_zooms_to_a_label_in_the_address(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    app = open_app("label_map", label="refund")
    assert [shape["type"] for shape in chart(app)["layout"]["shapes"]].count("circle") == 1


def test_confused_labels_have_a_line_and_a_row(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    worst = confusions(project, 1)[0]
    app = open_app("label_map")
    drawn = [shape for shape in chart(app)["layout"]["shapes"] if shape["type"] == "line"]
    assert len(drawn) == len(confusions(project, 1))
    table = next(table.value for table in app.dataframe if list(table.value) == ["one", "other", "texts", "corrected"])
    named = {label.id: label.name for label in list_labels(project)}
    assert (table["one"][0], table["other"][0]) == tuple(named[label] for label in worst.labels)
    assert table["texts"][0] == pytest.approx(worst.expected, abs=0.06)


def test_a_new_label_is_hollow_until_a_round_has_seen_it(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    app = open_app("label_map")
    assert max(chart(app)["data"][0]["marker"]["symbol"]) < 100
    app.text_input(key="add_name_").set_value("praise").run()
    app.text_area(key="add_examples").set_value("what a lovely shop\nthank you so much").run()
    carry_out(app)
    assert [symbol >= 100 for symbol in chart(app)["data"][0]["marker"]["symbol"]] == [False] * 4 + [True]


def test_the_table_shows_the_accuracy_of_a_label_in_audits(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    ids = label_ids(project)
    for card in deal(project, who="ann", count=40, rng=np.random.default_rng(0)):
        answer(project, card.audit, "label", label=ids["repair"], who="ann")
    app = open_app("label_map")
    app.radio(key="map_shown").set_value("Table").run()
    table = next(table.value for table in app.dataframe if "accuracy" in table.value).set_index("label")
    assert table.loc["repair", "accuracy"] == 1.0
    assert table.loc["refund", "accuracy"] == 0.0
    assert table.loc["refund", "state"] == "check"
    assert table["audits"].sum() == sum(share.of for share in audited_accuracy(project).values())


def test_the_label_set_comes_back_from_a_file_previewed(in_state: InState, open_app: OpenApp, tmp_path: Path) -> None:
    project = in_state("to review")
    app = open_app("label_map")
    app.radio(key="edit_kind").set_value("From a file").run()
    assert app.button(key="edit_preview").disabled
    export_label_set(project, tmp_path / "labels.csv")
    edited = (tmp_path / "labels.csv").read_text("utf-8-sig").replace("refund,", "money back,", 1)
    app.file_uploader(key="label_set_file").upload("edited.csv", edited.encode(), "text/csv").run()
    preview = carry_out(app)
    assert "1 renamed." in preview
    assert names(project)[0] == "money back"


def test_a_label_file_that_breaks_a_rule_says_so_in_one_line(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    app = open_app("label_map")
    app.radio(key="edit_kind").set_value("From a file").run()
    app.file_uploader(key="label_set_file").upload("twice.csv", b"name\nrefund\nREFUND\n", "text/csv").run()
    assert not app.exception
    assert "twice.csv, row 3" in words_on(app)
    assert app.button(key="edit_preview").disabled


def test_subsets_of_similar_labels_are_compared_and_adopted(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("prepared")
    app = open_app("label_map")
    app.button(key="try_subsets").click().run()
    table = next(table.value for table in app.dataframe if "now" in table.value)
    assert len(table.columns) == 3
    assert "accuracy" in table.index
    before = current_layout(project)[1].tolist()
    app.button(key="adopt_alike").click().run()
    assert not app.exception
    after = current_layout(project)[1].tolist()
    assert sorted(np.bincount(after)) == sorted(np.bincount(before))


@pytest.mark.parametrize(
    ("button", "title", "state"),
    [
        ("drift_decide", "Review", {"review_labels", "review_queue"}),
        ("drift_audit", "Review", {"audit_label"}),
        ("drift_map", "Label map", {"label"}),
    ],
)
def test_a_drifted_label_is_listed_with_links_to_what_helps(
    in_state: InState, open_app: OpenApp, tmp_path: Path, button: str, title: str, state: set[str]
) -> None:
    project = in_state("closed")
    later = [[f"{'refund' if n < 30 else 'repair'} is what I ask for, again {n}"] for n in range(40)]
    import_files(project.workspace, project.name, pool=write_csv(tmp_path / "later.csv", ["text"], later), who="ann")
    run_round(embed(project), FAST)
    decide(project, int(pool(project)[0]), "none", who="another person")  # it does not end the comparison
    app = open_app("data")
    assert "drift_compare" not in keys_of(app)
    drifted = [drift for drift in measure_drift(project) if drift.drifted]
    table = next(table.value for table in app.dataframe if "do first" in table.value)
    assert table["label"].tolist() == [drift.label.name for drift in drifted] != []
    app.session_state["drift_table"] = {"selection": {"rows": [0], "columns": []}}
    app.run()
    assert not app.exception
    app.button(key=button).click().run()
    assert not app.exception
    assert app.title[0].value == title
    label = drifted[0].label
    assert any(app.session_state[key] in ([label.id], label.id, label.name) for key in state)


def test_a_round_of_an_earlier_version_is_compared_on_a_press(
    in_state: InState, open_app: OpenApp, tmp_path: Path
) -> None:
    project = in_state("closed")
    file = write_csv(tmp_path / "later.csv", ["text"], [["something new"]])
    import_files(project.workspace, project.name, pool=file, who="ann")
    run_round(embed(project), FAST)
    remember(project, KEPT_OF, "", anew=True)
    app = open_app("data")
    app.button(key="drift_compare").click().run()
    assert "The texts of later.csv, compared with those that came before them." in words_on(app)
    assert kept_drift(project) is not None


def test_the_labels_in_a_lasso_lead_to_their_texts(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    app = open_app("label_map")
    two = sorted(label_ids(project).values())[:2]
    app.session_state["inside"] = tuple(two)
    app.run()
    app.button(key="to_queue").click().run()
    assert not app.exception
    assert app.title[0].value == "Review"
    assert app.multiselect(key="review_labels").value == two
    items = queue(project, 1, "random", Filters(labels=tuple(two)))
    assert 0 < len(items) < len(queue(project, 1, "random"))


def test_an_example_shows_what_was_decided_and_is_taken_out_of_the_guideline(
    in_state: InState, open_app: OpenApp
) -> None:
    project = in_state("to review")
    card = queued(project)[0]
    request, label = "0" * 32, card.label
    raw = {"id": request, "kind": "accept", "text": card.text, "label": label.id, "proposal": card.proposal}
    apply_key_press(project, read_key_press(raw), who="ann")
    this_is_why(project, request, "ann", "it says so")
    app = open_app("label_map", label=label.name)
    words = words_on(app)
    assert "Why: it says so" in words
    assert f"decided: {label.name}" in words
    app.button(key=f"remove_example_{label.id}_{card.text}").click().run()
    assert not app.exception
    assert guideline_examples(project) == {}
    assert "example in the guideline" not in words_on(app)


def test_a_meaning_that_a_colleague_edited_meanwhile_is_not_overwritten_unseen(
    in_state: InState, open_app: OpenApp
) -> None:
    project = in_state("prepared")
    number = label_ids(project)["refund"]
    app = open_app("label_map", label="refund")
    apply_edit(project, Mean(number, "The money comes back."), "colleague")
    app.text_area(key=f"excludes_meaning_{project.name}_{number}").set_value("vouchers")
    app.button(key="save_meaning").click().run()
    assert not app.exception
    assert "somebody edited the meaning" in words_on(app)
    assert list_labels(project)[number - 1].meaning == "The money comes back."
    app.button(key="save_meaning").click().run()
    assert list_labels(project)[number - 1].excludes == "vouchers"
