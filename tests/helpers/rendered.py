"""What the app would render as Markdown: every string of every element, but those that Streamlit shows as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
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
"""Fields that are no Markdown, by message; the note on Streamlit lists which these are."""
NEVER_SHOWN = {"id", "form_id", "url", "key", "element_id", "page_script_hash", "query_param_key", "user_key", "page"}

JOINER = "\u2060"
"""Shows nothing; stands on both sides of an escaped sign, so that Streamlit makes no link or arrow of it."""


def without_joiners(text: str) -> str:
    """Take away the joiners that belong to an escaped sign, and no other."""
    return re.sub(rf"{JOINER}(\\[!-/:-@\[-`{{-~]){JOINER}", r"\1", text)


def strings_of(message: Message) -> Iterator[tuple[str, str]]:
    """Yield where and what of every string in a message that may be rendered."""
    name = message.DESCRIPTOR.name
    for field, value in message.ListFields():
        if field.name in NEVER_SHOWN or field.name in SHOWN_AS_IT_IS.get(name, set()):
            continue
        for one in value if isinstance(value, list) or hasattr(value, "append") else [value]:
            if isinstance(one, str):
                yield f"{name}.{field.name}", one
            elif isinstance(one, Message):
                yield from strings_of(one)


def markdown_of(app: AppTest) -> list[tuple[str, str]]:
    """Return every string on the page that is rendered as Markdown, with where it stands."""
    found: list[tuple[str, str]] = []
    for root in (app.main, app.sidebar, *[app._tree[n] for n in app._tree.children if n > 1]):
        for node in root:
            proto = getattr(node, "proto", None)
            if isinstance(proto, Message):
                found += strings_of(proto)
    return found


def words_on(app: AppTest) -> str:
    """Return all that stands on the page, escapes taken away, to look for a sentence."""
    parts = [re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", without_joiners(text)) for _, text in markdown_of(app)]
    parts += [str(text.value) for text in app.text]
    return "\n".join(parts)


def plotly_specs(app: AppTest) -> list[str]:
    """Return the figures of a page as JSON, in their order."""
    protos = [getattr(node, "proto", None) for node in app.main]
    return [one.spec for one in protos if isinstance(one, Message) and one.DESCRIPTOR.name == "PlotlyChart"]


def plotly_strings(app: AppTest) -> list[str]:
    """Return every string in the figures of a page."""
    return [leaf for spec in plotly_specs(app) for leaf in _leaves(json.loads(spec))]


def _leaves(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _leaves(one)]
    return [leaf for one in value for leaf in _leaves(one)] if isinstance(value, list) else []


def keys_of(app: AppTest) -> set[str]:
    return {str(button.key) for button in app.button}


def everything_harmless(app: AppTest) -> list[str]:
    """Check every string of a page that is rendered, and every one in a figure; return the rendered ones."""
    assert not app.exception
    rendered = markdown_of(app)
    for where, text in rendered:
        assert_harmless(where, text)
    for text in plotly_strings(app):
        assert not re.search(r"<(script|img|b>bold|a )", text), text
        assert not _INVISIBLE.search(text), text
    return [text for _, text in rendered]


def assert_harmless(where: str, text: str) -> None:
    """Fail where a string that is rendered as Markdown holds something from outside that is not escaped."""
    assert not _UNESCAPED.search(text), (where, text)
    assert not _INVISIBLE.search(without_joiners(text)), (where, text)
    for hostile in HOSTILE:
        shown = " ".join(visible(hostile).split())
        assert shown not in text or plain(hostile) in text, (where, text)
