"""The label map as a figure: its points, its shapes, the visible part, and escaped names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from red_core.records import Project
from red_core.store.views import Confusion
from widgets.labels.map_figure import CLOSE, FADED, label_map_figure
from widgets.labels.map_groups import coloured_by_group, overview
from widgets.labels.map_overlay import CONFUSED, MOST_LINES, Focus, Overlay

BOUNDS = np.array([[-1.0, -1.0], [1.0, 1.0]])
INK = "#23292D"


def row(number, name="", state="", **more):
    angle = 2 * np.pi * number / 12
    return {
        "id": number, "name": name or f"label {number}", "path": (), "meaning": "", "subset": number % 3,
        "x": np.cos(angle), "y": np.sin(angle), "seeds": 5 + number, "fed_back": 0, "labelled": 0,
        "belief": None, "state": state,
    } | more  # fmt: skip


def drawn(rows, focus=None, overlay=None, picture=""):
    figure = label_map_figure(rows, picture, BOUNDS, focus or Focus(), overlay or Overlay(), INK)
    points, *legend = figure.data
    assert [trace.x for trace in legend] == [(None,)] * len(legend)  # the labels are the only points
    return {"points": points, "layout": figure.layout.to_plotly_json()}


ROWS = [row(number) for number in range(1, 13)]


def lines(figure, colour):
    shapes = figure["layout"].get("shapes", ())
    return [shape for shape in shapes if shape["type"] == "line" and shape["line"]["color"] == colour]


def test_labels_are_the_only_points_whatever_else_is_drawn():
    overlay = Overlay([Confusion((1, 2), 3.0, 0)], [("returns", (0.1, 0.2))])
    figure = drawn(ROWS, overlay=overlay, picture="data:image/png;base64,")
    assert len(figure["points"].x) == len(ROWS)


def test_a_confused_pair_has_a_line_that_is_wider_with_more_texts():
    overlay = Overlay([Confusion((1, 2), 10.0, 2), Confusion((3, 4), 3.0, 0), Confusion((5, 99), 9.0, 0)])
    wide, narrow = lines(drawn(ROWS, overlay=overlay), CONFUSED)  # a label of the third pair is not on the map
    assert (wide["x0"], wide["y0"]) == pytest.approx((ROWS[0]["x"], ROWS[0]["y"]), abs=1e-3)
    assert wide["line"]["width"] > narrow["line"]["width"] >= 1


def test_only_the_most_confused_pairs_have_a_line():
    many = [Confusion((first, second), 1.0, 0) for first in range(1, 12) for second in range(first + 1, 13)]
    assert len(lines(drawn(ROWS, overlay=Overlay(many)), CONFUSED)) == MOST_LINES < len(many)
    assert lines(drawn(ROWS, Focus(subset=1), Overlay(many)), CONFUSED) == []


def test_the_symbol_shows_the_state_and_the_subset():
    def symbol(**more):
        return drawn([row(**more)])["points"].marker.symbol[0]

    filled = symbol(number=1)
    assert (symbol(number=1, state="new"), symbol(number=1, state="check")) == (filled + 100, filled + 200)
    assert len({symbol(number=number) for number in (3, 4, 5)}) == 3


def test_the_map_zooms_to_a_label_and_does_not_fade_its_confused_labels():
    overlay = Overlay([Confusion((3, 6), 2.0, 0)])
    figure = drawn(ROWS, Focus(label=3, subset=0, nearest=(4,), around=3), overlay)
    for axis, coordinate in (("xaxis", ROWS[2]["x"]), ("yaxis", ROWS[2]["y"])):
        low, high = figure["layout"][axis]["range"]
        assert high - low == pytest.approx(2 * CLOSE)
        assert low <= coordinate <= high
        assert BOUNDS.min() <= low < high <= BOUNDS.max()
    opacities = figure["points"].marker.opacity
    clear = {row["id"] for row, opacity in zip(ROWS, opacities, strict=True) if opacity > FADED + 0.1}
    assert clear == {3, 4, 6, 9, 12}  # the label, its nearest label, its confused label, its subset
    assert [shape["type"] for shape in figure["layout"]["shapes"]].count("circle") == 1


def test_the_whole_map_is_visible_without_a_label_to_zoom_to():
    figure = drawn(ROWS, Focus(label=3, subset=0))
    assert figure["layout"]["xaxis"]["range"] == [-1.0, 1.0]


def test_a_group_of_texts_without_a_label_gets_a_dotted_ring_and_its_name_as_words():
    figure = drawn(ROWS, overlay=Overlay(groups=[("<img src=x onerror=y>", (0.25, -0.5))]))
    (ring,) = [shape for shape in figure["layout"]["shapes"] if shape["type"] == "circle"]
    assert (ring["xanchor"], ring["yanchor"], ring["line"]["dash"]) == (0.25, -0.5, "dot")
    (name,) = figure["layout"]["annotations"]
    assert name["text"] == "<i>&lt;img src=x onerror=y&gt;?</i>"


def test_the_hover_is_escaped():
    hostile = row(1, name="<b>x</b>", meaning="<a href=//beacon.invalid>y</a>", state="check")
    hover = "".join(map(str, drawn([hostile])["points"].customdata[0]))
    assert "&lt;b&gt;x&lt;/b&gt;" in hover
    assert "<a" not in hover
    assert "check this label" in hover


def test_groups_have_colours_outlines_and_names_and_many_labels_are_shown_as_groups(monkeypatch):
    rows = [row(number, path=(f"<b>{number % 2}", f"deep {number % 4}")) for number in range(24)]
    rows.append(row(24))
    coloured = coloured_by_group(rows)
    assert [each["mark"] for each in coloured] == [0, 1] * 12 + [2]
    figure = drawn(coloured, overlay=Overlay(scope=()))
    assert [shape["type"] for shape in figure["layout"]["shapes"]] == ["path", "path"]
    assert all("<b><b>" not in note["text"] for note in figure["layout"]["annotations"])
    assert "&lt;b&gt;0" in figure["points"].customdata[0][2]
    monkeypatch.setattr("widgets.labels.map_groups.MOST_POINTS", 10)
    assert [each["name"] for each in overview(rows, ())] == ["<b>0", "<b>1", "label 24"]
    inside = overview(rows, ("<b>0",))
    assert [(each["name"], each["opens"]) for each in inside] == [
        ("deep 0", ("<b>0", "deep 0")), ("deep 2", ("<b>0", "deep 2"))
    ]  # fmt: skip
    assert sum(each["seeds"] for each in inside) == sum(each["seeds"] for each in rows[:24:2])


def test_a_name_of_a_label_never_covers_the_name_of_a_group():
    corners = [(-0.4, -0.3), (0.4, -0.3), (0.0, 0.3)]
    rows = [row(n, path=("The group of all of them",), x=x, y=y) for n, (x, y) in enumerate(corners, 1)]
    rows.append(row(4, name="beside it", x=-0.25, y=0.33, seeds=99))
    sides = [drawn(rows, overlay=Overlay(scope=scope))["points"] for scope in (None, ())]
    assert (sides[0].text[3], sides[0].textposition[3]) == ("beside it", "middle right")
    assert (sides[1].text[3], sides[1].textposition[3]) != ("beside it", "middle right")


def test_a_point_of_a_group_is_clear_if_one_of_its_labels_is_chosen(monkeypatch):
    monkeypatch.setattr("widgets.labels.map_groups.MOST_POINTS", 10)
    rows = [row(number, path=("top", f"deep {number % 3}"), subset=7 if number == 4 else 8) for number in range(24)]
    shown = overview(rows, ("top",))
    for focus in (Focus(inside=(1, 4)), Focus(subset=7)):
        opacities = drawn(shown, focus)["points"].marker.opacity
        clear = {each["name"] for each, opacity in zip(shown, opacities, strict=True) if opacity > FADED}
        assert clear == {"deep 1"}


def test_every_group_has_its_whole_name_and_the_legend_says_what_the_points_are(monkeypatch):
    monkeypatch.setattr("widgets.labels.map_groups.MOST_POINTS", 10)
    name = "Arts, Design, Entertainment, Sports, and Media"
    rows = [row(n, path=(f"{name} {n % 4}", "deep"), x=0.9 + n % 4 / 50, y=-0.5) for n in range(24)]
    overlay = Overlay([Confusion((1, 2), 3.0, 0)], scope=())
    points, *legend = label_map_figure(overview(rows, ()), "", BOUNDS, Focus(), overlay, INK).data
    assert sorted(text.replace("<br>", " ") for text in points.text) == [f"{name} {n}" for n in range(4)]
    assert [fields[2] for fields in points.customdata] == [""] * 4  # the name of the group is not said twice
    assert [entry.name for entry in legend] == ["group; larger: more labelled examples", "many unlabelled texts"]


def test_the_names_in_an_open_group_fit_beside_its_details():
    names = [f"a label with a long name {n}" for n in range(6)]
    rows = [row(n, name=name, path=("top",), x=0.3, y=n / 3 - 1) for n, name in enumerate(names)]
    rows += [row(9 + n, name="edge", path=("top",), x=n - 0.5, y=0.2) for n in range(2)]
    points = drawn(rows, overlay=Overlay(scope=("top",)))["points"]
    sides = [side for side, text in zip(points.textposition, points.text, strict=True) if text.startswith("a label")]
    assert set(sides) == {"middle left"}


def test_a_rerun_of_the_map_makes_and_checks_no_figure_again(
    in_state: Callable[..., Project], open_app: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_state("to review")
    app, made, make = open_app("label_map"), [], go.Figure.__init__

    def counting(figure: go.Figure, *how: object, **named: object) -> None:
        made.append(figure)
        make(figure, *how, **named)

    monkeypatch.setattr(go.Figure, "__init__", counting)
    app.run()
    assert app.get("plotly_chart")
    assert not made
