"""Whatever a text holds, it is shown and not rendered: the same characters, and no tag."""

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
    """Return what a page of Markdown shows of ``text``; fail on any tag but the paragraph's."""
    found = MARKDOWN.render(text).strip()
    if found:
        inside = re.fullmatch(r"<p>(.*)</p>", found, re.DOTALL)
        assert inside, found
        found = inside[1]
    assert "<" not in found, found
    return html.unescape(found).replace(JOINER, "")


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
def test_plain_keeps_to_itself_between_words_of_ours(before: str, text: str) -> None:
    del before
    found = MARKDOWN.render(f"Proposed: **x{plain(text)}x**  ·  belief 0.50")
    assert found.count("<") == 4  # the paragraph and the bold


@pytest.mark.parametrize("text", HOSTILE)
def test_plain_of_everything_hostile(text: str) -> None:
    assert rendered(plain(text)) == characters(text)


@given(st.text())
def test_plain_is_one_line_without_control_or_direction(text: str) -> None:
    shown = plain(text).replace(JOINER, "")
    assert "\n" not in shown
    assert not re.search("[\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]", shown)


def test_visible_marks_what_cannot_be_seen_and_keeps_lines() -> None:
    assert visible("a\u202eb\u200bc\x07\nd\te") == "a□b□c□\nd\te"


@pytest.mark.parametrize("spelled", ["می\u200cخواهم", "क्\u200dष", "👩\u200d🚀"])
def test_visible_keeps_the_joiners_that_spell_words_and_emoji(spelled: str) -> None:
    assert visible(spelled) == spelled


@pytest.mark.parametrize("hiding", ["pass\u200dword", "\u200cx", "x\u200d", "é\u200d", "\u200dé"])
def test_visible_marks_joiners_that_join_nothing(hiding: str) -> None:
    assert "□" in visible(hiding)


@given(st.one_of(st.text(), MARKUP), st.integers(2, 200))
def test_a_hover_is_text_without_tags(text: str, longest: int) -> None:
    shown = for_hover(text, longest)
    assert "<" not in shown
    assert ">" not in shown
    assert len(html.unescape(shown)) <= longest
    flat = visible(" ".join(text.split()))
    assert html.unescape(shown) == (flat if len(flat) <= longest else flat[: longest - 1] + "…")


def test_a_long_text_folds_but_is_not_cut() -> None:
    from streamlit.testing.v1 import AppTest  # noqa: PLC0415

    text = ("word " * FOLDED_AT).strip()
    app = AppTest.from_string(f"from widgets.shell.untrusted import show_text\nshow_text({text!r})").run()
    assert not app.exception
    assert [len(shown.value) for shown in app.text] == [FOLDED_AT + 1, len(text)]
    assert len(app.expander) == 1
