"""Sign-in: who may use the app, and on which addresses it may listen.

Streamlit signs users in (``st.login``) through the providers in [auth] of the secrets file. This module checks the
claims that come back against the table [access].
"""

from __future__ import annotations

import ipaddress
import os
import re
import time
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from red_core.access.ended_sign_ins import has_ended
from red_core.access.secrets_file import read_table, secrets_path
from red_core.access.who import Person
from red_core.errors import AccessError, NotSignedIn, one_line

CONFIG = Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml"
BEHIND_PROXY = "RED_BEHIND_PROXY"
"""Environment variable: 1 means that a reverse proxy in front of the app signs users in."""
LONGEST_ADDRESS = 254
"""Most characters of an e-mail address (RFC 5321)."""
LEAST_SECRET = 32
"""Minimum length of the cookie secret. Anyone who guesses it can sign in as anyone."""
PROVIDER_KEYS = ("client_id", "client_secret", "server_metadata_url")
"""The settings that every sign-in provider needs."""


def folded(address: str) -> str:
    """Return an e-mail address or ``@domain`` in the form in which addresses are compared.

    Only addresses in ASCII are put in lower case. Unicode case folding would merge different addresses: the Kelvin
    sign becomes a k.
    """
    address = address.strip()
    return address.lower() if address.isascii() else address


def _entry(written: str) -> str:
    entry = folded(written)
    if not re.fullmatch(r"[^\s@]*@[^\s@]+", entry) or len(entry) > LONGEST_ADDRESS:
        raise ValueError(f"{written!r} is neither an e-mail address nor @domain")
    return entry


Entry = Annotated[str, AfterValidator(_entry)]


class AccessList(BaseModel):
    """The table [access]: e-mail addresses of users, or ``@domain`` for everybody in a domain.

    Attributes
    ----------
    analysts, viewers : tuple of str
        An address takes precedence over its domain.
    hours : float
        Hours until a sign-in expires; 12 by default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    analysts: tuple[Entry, ...] = ()
    viewers: tuple[Entry, ...] = ()
    hours: Annotated[float, Field(gt=0, le=720)] = 12.0

    @model_validator(mode="after")
    def _no_address_in_both(self) -> AccessList:
        if twice := sorted(set(self.analysts) & set(self.viewers)):
            raise ValueError(f"{twice[0]} is both an analyst and a viewer")
        if not self.analysts and not self.viewers:
            raise ValueError("no analysts and no viewers are listed")
        return self

    def role_of(self, email: str) -> Literal["analyst", "viewer"] | None:
        """Return the role of an address, None if it has no access."""
        address = folded(email)
        for wanted in (address, "@" + address.rpartition("@")[2]):
            if wanted in self.analysts:
                return "analyst"
            if wanted in self.viewers:
                return "viewer"
        return None


_was_on = False


def sign_in_is_on() -> bool:
    """Return whether users have to sign in: the secrets file has [auth] or [access], or had it earlier in this process.

    Raises
    ------
    AccessError
        If the file cannot be read.
    """
    global _was_on  # noqa: PLW0603  sign-in must stay on while the file is being rewritten
    auth, access = _tables(*_state_of(secrets_path()))
    _was_on = _was_on or bool(auth) or bool(access)
    return _was_on


def access_list() -> AccessList:
    """Return the access list as it is in the file now.

    Raises
    ------
    AccessError
        If [auth] or [access] is missing or invalid.
    """
    return _access_list(*_state_of(secrets_path()))


@lru_cache(maxsize=4)
def _access_list(path: Path, changed: int, size: int) -> AccessList:
    auth, access = _tables(path, changed, size)
    if wrong := _wrong_with(auth):
        raise AccessError(f"sign-in is not set up: [auth] of {path.name} {wrong}. docs/deploy.md has an example.")
    try:
        return AccessList.model_validate(access)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"][:1])
        rule = str(first["msg"]).removeprefix("Value error, ")
        where = f"[access] {key}".strip()
        raise AccessError(
            one_line(f"sign-in is not set up: {where} of {path.name}: {rule}. docs/deploy.md has an example.")
        ) from None


def providers() -> list[str]:
    """Return the provider names that ``st.login`` accepts; ``default`` for a single provider without a name."""
    auth, _ = _tables(*_state_of(secrets_path()))
    return _providers_in(auth)


def _providers_in(auth: Mapping[str, Any]) -> list[str]:
    return [name for name, entry in auth.items() if isinstance(entry, dict) and "client_id" in entry] or ["default"]


def address_of_sign_in() -> SplitResult:
    """Return the URL that the browser returns to after sign-in. Users must open the app under this host name."""
    auth, _ = _tables(*_state_of(secrets_path()))
    return urlsplit(str(auth.get("redirect_uri", "")))


def person_of(claims: Mapping[str, Any]) -> Person:
    """Return the user with these claims.

    Parameters
    ----------
    claims : mapping
        The claims of the ID token, with Streamlit's ``is_logged_in``.

    Raises
    ------
    NotSignedIn
        If nobody is signed in, or the sign-in has expired.
    AccessError
        If the user has no access, or sign-in is not set up.
    """
    listed = access_list()
    if claims.get("is_logged_in") is not True:
        raise NotSignedIn("Sign in to continue.")
    issued = claims.get("iat")
    if not isinstance(issued, int | float) or time.time() - issued > listed.hours * 3600:
        raise NotSignedIn(f"You signed in more than {listed.hours:g} hours ago. Sign in again to continue.")
    if has_ended(claims):
        raise NotSignedIn("You signed out. Sign in again to continue.")
    email = claims.get("email")
    if not isinstance(email, str) or not re.fullmatch(r"[^\s@]+@[^\s@]+", email) or len(email) > LONGEST_ADDRESS:
        raise AccessError(
            "your account has no e-mail address, which this app needs to let you in. Use another account."
        )
    if claims.get("email_verified", True) not in (True, "true"):  # some providers send a string, some nothing
        raise AccessError(f"{email} is not verified. Verify it where you signed in, then sign in again.")
    role = listed.role_of(email)
    if role is None:
        raise AccessError(f"{email} has no access. Ask the administrator of this app to add you.")
    return Person(folded(email), role)


def _state_of(path: Path) -> tuple[Path, int, int]:
    try:
        state = path.stat()
    except FileNotFoundError:
        return path, 0, 0
    except OSError as error:
        raise AccessError(f"{path.name} cannot be read ({error.strerror}). Check the file and its folder.") from None
    return path, state.st_mtime_ns, state.st_size


@lru_cache(maxsize=4)
def _tables(path: Path, _changed: int, _size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        return read_table("auth"), read_table("access")
    except (OSError, ValueError) as error:
        raise AccessError(
            f"{path.name} cannot be read: {type(error).__name__}. Correct it, or restore a copy."
        ) from None


def _wrong_with(auth: Mapping[str, Any]) -> str:
    """Return what is wrong with [auth], '' if nothing is. Secrets are never quoted."""
    if not auth:
        return "is missing"
    redirect = str(auth.get("redirect_uri", ""))
    if not redirect.startswith(("http://", "https://")) or not redirect.endswith("/oauth2callback"):
        return "needs a redirect_uri that begins with https:// and ends with /oauth2callback"
    if len(str(auth.get("cookie_secret", ""))) < LEAST_SECRET:
        return f"needs a cookie_secret of at least {LEAST_SECRET} random characters"
    for name in _providers_in(auth):
        entry = auth if name == "default" else auth[name]
        if missing := [key for key in PROVIDER_KEYS if not entry.get(key)]:
            return f"needs {missing[0]}" if name == "default" else f"needs {missing[0]} in [auth.{name}]"
    return ""


def is_loopback(address: str) -> bool:
    """Return whether a server on this address can be reached from this machine only."""
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _server_setting(name: str) -> Any:  # noqa: ANN401  any TOML value
    try:
        return tomllib.loads(CONFIG.read_text("utf-8")).get("server", {}).get(name, "")
    except (OSError, ValueError):
        return ""


def bound_address() -> str:
    """Return the address that the app will listen on, '' for all: Streamlit's variable, else its configuration."""
    return os.environ.get("STREAMLIT_SERVER_ADDRESS") or str(_server_setting("address"))


def allowed_hosts() -> list[str]:
    """Return the host names under which browsers may open the app: Streamlit's variable, else its configuration."""
    if names := os.environ.get("STREAMLIT_SERVER_ALLOWED_HOSTS"):
        return names.split()
    return [str(name) for name in _server_setting("allowedHosts") or []]


def is_behind_proxy() -> bool:
    """Return whether a reverse proxy signs users in, according to RED_BEHIND_PROXY."""
    return os.environ.get(BEHIND_PROXY, "") == "1"


def refuse_open_address(address: str) -> None:
    """Refuse to serve the app on an address that other machines can reach, unless users sign in.

    Raises
    ------
    AccessError
        If other machines could use the app without sign-in, or if sign-in is not set up correctly.
    """
    if sign_in_is_on():
        access_list()
        return
    if not is_loopback(address) and not is_behind_proxy():
        where = address or "every address"
        raise AccessError(
            f"on {where}, other machines could use this app without sign-in. Set up sign-in (docs/deploy.md), or set "
            f"{BEHIND_PROXY}=1 (red serve --behind-proxy) if a proxy in front of it signs users in."
        )
