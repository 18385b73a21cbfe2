"""Texts as people send them by mail: HTML, quoted replies, signatures. The words that the sender wrote are kept."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailparser_reply import EmailReplyParser
from selectolax.lexbor import LexborHTMLParser

from red_core.data.tables.cells import Cell
from red_core.text import LONGEST_TEXT

LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pl", "sv", "da", "ja", "zh", "ko", "cs"]
MARKUP = re.compile(
    r"</?(?:html|body|div|p|br|span|table|tr|td|a|b|i|strong|em|ul|ol|li|font|img|h[1-6]|blockquote|style|pre)\b[^<>]*>",
    re.IGNORECASE,
)
"""A tag of HTML: *a < b* and *<your name>* are none."""
_SENT = "Sent|Gesendet|Envoyé|Enviado|Inviato|Verzonden"
_BY = "from|von|depuis|de|desde|da|vanaf"
_WROTE = "wrote|schrieb|a écrit|escribió|ha scritto|schreef"
MAIL = re.compile(
    rf"^[^\S\n]*>|^--\s*$|^_{{5,}}\s*$|^-{{3,}} ?[^-\n]{{3,40}} ?-{{3,}}\s*$|(?:{_WROTE})\b[^\n]{{0,80}}:\s*$"
    rf"|^(?:From|Von|De|Da|Van): .*$|(?:{_SENT}) (?:{_BY}) ",
    re.IGNORECASE | re.MULTILINE,
)
"""A line that begins a quoted reply or a signature."""
SENT_FROM = re.compile(
    rf"(?:^|(?<=[.!?\s]))(?:Get Outlook for|(?:{_SENT}) (?:{_BY})) "
    r"(?:my|meinem|mon|mi|il mio|mijn|Outlook|Yahoo|iOS|Android|iPhone|iPad|Mail)\b[^\n.!?]{0,40}\s*$",
    re.IGNORECASE,
)
"""The line that telephones write under a mail."""
MOST_READ, LONGEST_LINE = 30_000, 300
"""Characters of a mail in which its replies are looked for: more than a text may have. Characters of a line that may
begin one."""
_MARK = "\ue000"
BLOCKS = "p div br tr li h1 h2 h3 h4 h5 h6 table ul ol pre"
HIDDEN = ["script", "style", "head", "title", "template", "noscript", "svg", "object", "iframe"]
QUOTES = "blockquote, .gmail_quote, .gmail_signature, .moz-cite-prefix, .moz-signature, #appendonsend, .yahoo_quoted"
"""Where mail programs put quoted replies and signatures."""
LOOKED_AT, SHARE = 2_000, 0.02
"""Texts in which markup is looked for; the offer is on from this share of them."""


def looks_like_mail(texts: Sequence[Cell]) -> tuple[int, int]:
    """Return how many of the texts hold HTML, and how many a quoted reply or a signature."""
    html = sum(1 for text in texts if text and "<" in text and MARKUP.search(text))
    quoted = sum(1 for text in texts if text and MAIL.search(text))
    return html, quoted


def is_mail(texts: Sequence[Cell]) -> bool:
    """Return whether cleaning is on by default: some of the texts hold markup, or quoted replies or signatures."""
    step = max(1, len(texts) // LOOKED_AT)
    seen = [text for text in texts[::step] if text]
    html, quoted = looks_like_mail(seen)
    return bool(seen) and max(html, quoted) >= max(1, SHARE * len(seen))


def written(raw: str) -> str:
    """Return what the sender of a mail wrote: no markup, no quoted reply, no signature.

    If nothing remains, as in a forwarded mail, the whole text without markup is returned.
    """
    text = _without_markup(raw) if "<" in raw and MARKUP.search(raw) else raw
    if not MAIL.search(text):
        return text
    bare = SENT_FROM.sub("", text).rstrip()
    kept = SENT_FROM.sub("", _newest(bare[:MOST_READ])).strip()
    return bare.strip() if len(kept) > LONGEST_TEXT else kept or bare.strip() or text


def _newest(text: str) -> str:
    """Return the first reply of a mail.

    The time of the parser grows with the cube of the length of a line. No line that begins a quoted reply is long, so
    it sees a mark instead of each long line.
    """
    lines, long = list[str](), list[str]()
    for line in map(str.strip, text.split("\n")):
        if len(line) > LONGEST_LINE or _MARK in line:
            lines.append(f"{_MARK}{len(long)}{_MARK}")
            long.append(line)
        elif line or (lines and lines[-1]):
            lines.append(line)
    replies = EmailReplyParser(languages=LANGUAGES).read(text="\n".join(lines)).replies
    newest = replies[0].body.strip() if replies else ""
    return re.sub(f"{_MARK}(\\d+){_MARK}", lambda match: long[int(match[1])], newest)


def _without_markup(html: str) -> str:
    """Return the visible text of HTML, one line for each block, without quoted replies; else the HTML."""
    tree = LexborHTMLParser(html)
    tree.strip_tags(HIDDEN)
    whole = _lines(tree)
    for node in tree.css(QUOTES):
        node.decompose()
    kept = _lines(tree)
    return kept or whole or html


def _lines(tree: LexborHTMLParser) -> str:
    if tree.body is None:
        return ""
    for node in tree.css(", ".join(BLOCKS.split())):
        node.insert_before("\n")
        if node.tag != "br":
            node.insert_after("\n")
    lines = (" ".join(line.split()) for line in tree.body.text(deep=True).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
