"""What remains of a mail: the words of its sender."""

from __future__ import annotations

import pytest

from red_core.data.tables.mail import is_mail, written

KEPT = {
    "plain": ("My card has not come.", "My card has not come."),
    "a comparison": ("5 < 7 and <your name> > 3", "5 < 7 and <your name> > 3"),
    "html": ("<p>One</p><p>two<br>three</p>", "One two three"),
    "hidden": ("<style>p {}</style><p>seen</p><script>alert(1)</script>", "seen"),
    "entities": ("<p>caf&eacute; &amp; tea</p>", "café & tea"),
    "a quote in HTML": ("<div>New</div><blockquote>Old words</blockquote>", "New"),
    "only a quote": ("<blockquote>All there is</blockquote>", "All there is"),
    "an English reply": ("Yes please\n\nOn Mon, 3 Jun 2024 at 10:00, Desk <d@example.com> wrote:\n> Old", "Yes please"),
    "a German reply": ("Ja bitte\n\nAm 03.06.2024 um 10:00 schrieb Desk <d@example.com>:\n> Alt", "Ja bitte"),
    "a signature": ("Please call me\n-- \nAnn Smith\nExample Ltd", "Please call me"),
    "a telephone": ("It is gone.\n\nSent from my iPhone", "It is gone."),
    "a German telephone": ("Es ist weg.\n\nGesendet von meinem iPhone", "Es ist weg."),
}


@pytest.mark.parametrize(("raw", "kept"), KEPT.values(), ids=KEPT)
def test_the_words_of_the_sender_are_kept(raw, kept):
    assert " ".join(written(raw).split()) == kept


def test_cleaning_is_offered_where_there_is_markup_or_a_reply():
    assert is_mail(["plain"] * 20 + ["<p>one</p>"])
    assert is_mail(["Hi\n> old words\n"])
    assert not is_mail(["5 < 7", "a <b", None, ""])
    assert not is_mail([])


def test_a_very_long_mail_takes_no_time():
    long = "word " * 40_000
    assert written(f"<p>{long}</p>").split()[:2] == ["word", "word"]


@pytest.mark.parametrize(
    "raw", ["<style>@import 'x';</style><p></p>", "<body onload=f()><img src=x></body>", "<div><svg></svg></div>"]
)
def test_a_text_of_markup_alone_is_kept_as_it_came(raw):
    assert written(raw) == raw
