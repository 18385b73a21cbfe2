"""Names that columns with texts, labels and other things usually have."""

from __future__ import annotations

import re

TEXT_NAMES = (
    *("text", "utterance", "sentence", "message", "body", "question", "description", "content", "query", "title"),
    *("comment", "review", "abstract", "summary", "headline", "subject", "prompt", "phrase", "document", "feedback"),
    *("beschreibung", "nachricht", "anfrage", "inhalt", "frage", "kommentar", "satz", "betreff"),
    *("texte", "message client", "contenu", "commentaire", "texto", "mensaje", "contenido", "comentario"),
    *("displayed_text", "text_content", "tweet", "post", "narrative", "verbatim", "answer text", "response text"),
    *("sequence", "input_text", "tokens", "metin", "tekst", "testo", "текст", "сообщение"),
    *("文本", "内容", "テキスト", "本文"),
)
LABEL_NAMES = (
    *("label", "intent", "category", "categories", "class", "classes", "topic", "tag", "target", "theme", "sentiment"),
    *("kategorie", "kategorien", "klasse", "thema", "themen", "etikett", "absicht"),
    *("catégorie", "categorie", "étiquette", "thème", "categoría", "categoria", "etiqueta", "clase", "tema"),
    *("label_text", "label_name", "class_name", "annotation", "classification", "completion", "emotion"),
    *("reason code", "标签", "类别", "метка", "категория", "ラベル", "カテゴリ", "etiket", "kategoria", "rótulo"),
)
OTHER_NAMES = frozenset(
    (
        *("id", "index", "idx", "row", "date", "datum", "created", "created_at", "updated_at", "time", "timestamp"),
        *("user", "username", "user_id", "author", "annotator", "annotator_id", "annotation_id", "annotation_agent"),
        *("lead_time", "worker", "workerid", "session", "answer", "status", "state", "priority", "prio", "channel"),
        *("kanal", "language", "lang", "split", "source", "url", "email", "name", "score", "confidence", "rating"),
        *("prediction_agent", "_session_id", "_annotator_id", "_view_id", "agreement", "file", "row id", "text_id"),
        *("queue", "assignee", "agent", "customer", "product", "country", "region", "version", "length", "count"),
        *("erstellt", "erstellt am", "nummer", "number", "nr", "no", "ticket", "ticket id", "ticket-id", "ticket_id"),
    )
)
"""Names of columns that hold neither."""
KNOWN_NAMES = frozenset(
    (*TEXT_NAMES, *LABEL_NAMES, *OTHER_NAMES, *(f"{name}s" for name in (*TEXT_NAMES, *LABEL_NAMES)))
)
"""A first row with one of these is a header."""
NEVER_LABELS = frozenset(
    (
        *("annotator", "annotator_id", "annotation_id", "annotation_agent", "lead_time", "created_at", "updated_at"),
        *("user", "username", "user_id", "worker", "workerid", "_session_id", "_annotator_id", "_view_id"),
        *("prediction_agent", "split", "_server_id", "agreement", "answer", "status", "priority", "prio"),
    )
)
"""Columns of other tools that repeat their values as labels do, and hold no labels."""


_PREDICTED = re.compile(r"(?:y_?)?(?:pred|predicted|prediction|suggested|suggestion|model|auto)[\W_]", re.IGNORECASE)


def is_predicted(name: str) -> bool:
    """Return whether a column's name says that a model gave its values: ``predicted_label``, ``prediction``."""
    return _PREDICTED.match(f"{name.strip()}_") is not None


def last_word(name: str) -> str:
    """Return the last word of a column's name in lower case: *status* of ``ASSIGNMENT:status``."""
    words = [word for word in re.split(r"[\W_]+", name.casefold()) if word]
    return words[-1] if words else ""
