"""The strings that the app renders as Markdown: all strings of all elements, except those shown as plain text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

from tests.helpers.app_projects import HOSTILE
from widgets.shell.untrusted import plain, visible

_UNESCAPED = re.compile(r"(?<!\\)(!\[|\]\(|<[a-z/!]|\$|:red\[|~~|\{\{|\|)", re.IGNORECASE)
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\x07\x1b]")


SHOWN_AS_IT_IS = {
    "Text": {"body"},
    "Code": {"code_text"},
    "Json": {"body"},
    "Selectbox": {"options", "raw_value", "set_value", "default"},
    "MultiSelect": {"options", "raw_values"},
    "TextInput": {"default", "value", "set_value", "placeholder"},
    "TextArea": {"default", "value", "set_value", "placeholder"},
    "Arrow": {"columns"},
    "PlotlyChart": {"spec", "config"},
    "BidiComponent": {"js_content", "css_content", "html_content", "json", "mixed"},  # tested in a browser
    "Exception": {"message", "stack_trace", "type"},
}
"""Fields that Streamlit does not render as Markdown, by message."""
NEVER_SHOWN = {"id", "form_id", "url", "key", "element_id", "page_script_hash", "query_param_key", "user_key", "page"}

JOINER = "\u2060"
"""The invisible word joiner on both sides of an escaped sign, see ``widgets.shell.untrusted``."""


def without_joiners(text: str) -> str:
    """Return the text without the joiners of escaped signs; other joiners stay."""
    return re.sub(rf"{JOINER}(\\[!-/:-@\[-`{{-~]){JOINER}", r"\1", text)


def strings_of(message: Message) -> Iterator[tuple[str, str]]:
    """Yield the field name and the text of every string in a message that is rendered as Markdown."""
    name = message.DESCRIPTOR.name
    for field, value in message.ListFields():
        if field.name in NEVER_SHOWN or field.name in SHOWN_AS_IT_IS.get(name, set()):
            continue
        for part in value if isinstance(value, list) or hasattr(value, "append") else [value]:
            if isinstance(part, str):
                yield f"{name}.{field.name}", part
            elif isinstance(part, Message):
                yield from strings_of(part)


def markdown_of(app: AppTest) -> list[tuple[str, str]]:
    """Return every string on the page that is rendered as Markdown, each after its field name."""
    strings: list[tuple[str, str]] = []
    for root in (app.main, app.sidebar, *[app._tree[n] for n in app._tree.children if n > 1]):
        for node in root:
            proto = getattr(node, "proto", None)
            if isinstance(proto, Message):
                strings += strings_of(proto)
    return strings


def words_on(app: AppTest) -> str:
    """Return all words on the page, without escapes, to search for a sentence."""
    parts = [re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", without_joiners(text)) for _, text in markdown_of(app)]
    parts += [str(text.value) for text in app.text]
    return "\n".join(parts)


def plotly_specs(app: AppTest) -> list[str]:
    """Return the figures of a page as JSON, in their order."""
    protos = [getattr(node, "proto", None) for node in app.main]
    return [proto.spec for proto in protos if isinstance(proto, Message) and proto.DESCRIPTOR.name == "PlotlyChart"]


def select_points(app: AppTest, *points: int, lasso: Sequence[tuple[float, float]] = ()) -> None:
    """Select points of the first figure of a page as a browser does, with a click or inside a lasso, and run."""
    protos = [getattr(node, "proto", None) for node in app.main]
    chart = next(proto for proto in protos if isinstance(proto, Message) and proto.DESCRIPTOR.name == "PlotlyChart")
    outline = [{"x": [x for x, _ in lasso], "y": [y for _, y in lasso]}] if lasso else []
    selection = {"points": [], "point_indices": list(points), "box": [], "lasso": outline}
    states = app._tree.get_widget_states()
    states.widgets.add(id=chart.id, string_value=json.dumps({"selection": selection}))
    app._run(states)
    assert not app.exception


def plotly_strings(app: AppTest) -> list[str]:
    """Return every string in the figures of a page."""
    return [leaf for spec in plotly_specs(app) for leaf in _leaves(json.loads(spec))]


def _leaves(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    return [leaf for part in value for leaf in _leaves(part)] if isinstance(value, list) else []


def keys_of(app: AppTest) -> set[str]:
    return {str(button.key) for button in app.button}


def everything_harmless(app: AppTest) -> list[str]:
    """Check every rendered string of a page, and every string in a figure; return the rendered ones."""
    assert not app.exception
    rendered = markdown_of(app)
    for where, text in rendered:
        assert_harmless(where, text)
    for text in plotly_strings(app):
        assert not re.search(r"<(script|img|b>bold|a )", text), text
        assert not _INVISIBLE.search(text), text
    return [text for _, text in rendered]


def assert_harmless(where: str, text: str) -> None:
    """Fail if a string that is rendered as Markdown has unescaped content from outside."""
    assert not _UNESCAPED.search(text), (where, text)
    assert not _INVISIBLE.search(without_joiners(text)), (where, text)
    for hostile in HOSTILE:
        line = " ".join(visible(hostile).split())
        assert line not in text or plain(hostile) in text, (where, text)
