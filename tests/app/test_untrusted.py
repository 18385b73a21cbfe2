"""Any text is shown as its characters, and never rendered as markup."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.helpers.app_projects import HOSTILE
from widgets.shell.untrusted import FOLDED_AT, JOINER, for_hover, plain, visible

MARKDOWN = MarkdownIt("gfm-like", {"html": True, "linkify": False, "typographer": True})
MARKUP = st.text(alphabet="ab1 \n\t!#$%&*()+-./:;<=>?@[]\\^_`{|}~\"'\u202e\u200b")


def rendered(text: str) -> str:
    """Return ``text`` as Markdown shows it; fail on any tag except the paragraph."""
    markup = MARKDOWN.render(text).strip()
    if markup:
        inside = re.fullmatch(r"<p>(.*)</p>", markup, re.DOTALL)
        assert inside, markup
        markup = inside[1]
    assert "<" not in markup, markup
    return html.unescape(markup).replace(JOINER, "")


def characters(text: str) -> str:
    return " ".join(visible(text).split())


@given(st.one_of(st.text(), MARKUP))
@example("1. one")
@example("    indented")
@example("a\n---\nb")
@example("&lt;b&gt; &#x202e;")
@example("[a]: http://beacon.invalid\n[a]")
@example("\\\n")
def test_plain_shows_the_same_characters_and_no_tag(text: str) -> None:
    assert rendered(plain(text)) == characters(text)


@given(MARKUP, MARKUP)
def test_plain_does_not_change_the_markup_around_it(before: str, text: str) -> None:
    del before
    markup = MARKDOWN.render(f"Proposed: **x{plain(text)}x**  ·  belief 0.50")
    assert markup.count("<") == 4  # the paragraph and the bold


@pytest.mark.parametrize("text", HOSTILE)
def test_plain_of_everything_hostile(text: str) -> None:
    assert rendered(plain(text)) == characters(text)


@given(st.text())
def test_plain_is_one_line_without_control_or_direction(text: str) -> None:
    line = plain(text).replace(JOINER, "")
    assert "\n" not in line
    assert not re.search("[\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]", line)


def test_visible_marks_invisible_characters_and_keeps_lines() -> None:
    assert visible("a\u202eb\u200bc\x07\nd\te") == "a□b□c□\nd\te"


@pytest.mark.parametrize("spelled", ["می\u200cخواهم", "क्\u200dष", "👩\u200d🚀"])
def test_visible_keeps_the_joiners_that_spell_words_and_emoji(spelled: str) -> None:
    assert visible(spelled) == spelled


@pytest.mark.parametrize("hiding", ["pass\u200dword", "\u200cx", "x\u200d", "é\u200d", "\u200dé"])
def test_visible_marks_joiners_that_join_nothing(hiding: str) -> None:
    assert "□" in visible(hiding)


@given(st.one_of(st.text(), MARKUP), st.integers(2, 200))
def test_a_hover_is_text_without_tags(text: str, longest: int) -> None:
    hover = for_hover(text, longest)
    assert "<" not in hover
    assert ">" not in hover
    assert len(html.unescape(hover)) <= longest
    flat = visible(" ".join(text.split()))
    assert html.unescape(hover) == (flat if len(flat) <= longest else flat[: longest - 1] + "…")


def test_a_long_text_folds_but_is_not_cut() -> None:
    from streamlit.testing.v1 import AppTest  # noqa: PLC0415

    text = ("word " * FOLDED_AT).strip()
    app = AppTest.from_string(f"from widgets.shell.untrusted import show_text\nshow_text({text!r})").run()
    assert not app.exception
    assert [len(text.value) for text in app.text] == [FOLDED_AT + 1, len(text)]
    assert len(app.expander) == 1
