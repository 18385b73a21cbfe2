"""What the variables of a server of models may hold. No message quotes a value: it can be a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def from_json(value: object) -> object:
    """Return the value of JSON text; another value stays.

    Raises
    ------
    ValueError
        If it is no JSON.
    """
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise ValueError("it must be a JSON object") from None


def wrong_address(address: str, key: str) -> str:
    """Return what is wrong with a server's address, '' if nothing. Addresses are shown, so they may hold no secret.

    Parameters
    ----------
    key : str
        The variable into which a key belongs.
    """
    try:
        parts = urlsplit(address)
        whole = parts.hostname and parts.port != 0
    except ValueError:
        return "it is no address"
    if parts.scheme not in {"http", "https"} or not whole:
        return "it must begin with http:// or https:// and name a host"
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if "@" in parts.netloc or parts.fragment or names - {"api-version"} or (parts.query and not names):
        return f"it must end in its path (or ?api-version=...), and a key belongs into {key}"
    return ""


def wrong_key(key: SecretStr) -> str:
    """Return what is wrong with a key, '' if nothing."""
    fits = re.fullmatch(r"[!-~]*", key.get_secret_value())
    return "" if fits else "a key has no spaces and only ASCII letters and signs"


def wrong_headers(headers: Mapping[str, SecretStr]) -> str:
    """Return what is wrong with HTTP headers, '' if nothing."""
    if not all(_HEADER.fullmatch(name) for name in headers):
        return "the name of a header has only ASCII letters, digits and hyphens"
    if not all(re.fullmatch(r"[ -~]*", value.get_secret_value()) for value in headers.values()):
        return "the value of a header is one line of ASCII letters and signs"
    return ""
