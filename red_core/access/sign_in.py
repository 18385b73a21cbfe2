"""Who is let in, and where the app may be served: the tables [auth] and [access] of the secrets file, and the address.

Streamlit signs people in (``st.login``) as [auth] says; here stands what it found out about them, and what that allows.
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

from red_core.access.secrets_file import read_table, secrets_path
from red_core.access.who import Person
from red_core.errors import AccessError, NotSignedIn, one_line

CONFIG = Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml"
BEHIND_PROXY = "RED_BEHIND_PROXY"
"""The variable by which an operator says that a proxy signs people in."""
LONGEST_ADDRESS = 254
LEAST_SECRET = 32
"""Characters of the secret that signs the cookies: whoever guesses it is whoever he likes."""
OF_A_PROVIDER = ("client_id", "client_secret", "server_metadata_url")


def folded(address: str) -> str:
    """Return an e-mail address or ``@domain`` as it is compared.

    Only ASCII letters lose their case. Elsewhere folding, or Unicode's normal forms, make one address of two: the
    Kelvin sign becomes a k.
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
    """The table [access]: who is let in, as an e-mail address or, for all of a domain, as ``@domain``.

    Attributes
    ----------
    analysts, viewers : tuple of str
        An address beats its domain.
    hours : float
        How long a sign-in lasts, 12 unless set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    analysts: tuple[Entry, ...] = ()
    viewers: tuple[Entry, ...] = ()
    hours: Annotated[float, Field(gt=0, le=720)] = 12.0

    @model_validator(mode="after")
    def _nobody_twice(self) -> AccessList:
        if twice := sorted(set(self.analysts) & set(self.viewers)):
            raise ValueError(f"{twice[0]} is both an analyst and a viewer")
        if not self.analysts and not self.viewers:
            raise ValueError("nobody is listed")
        return self

    def role_of(self, email: str) -> Literal["analyst", "viewer"] | None:
        """Return the role of an address, None where it is not let in."""
        address = folded(email)
        for wanted in (address, "@" + address.rpartition("@")[2]):
            if wanted in self.analysts:
                return "analyst"
            if wanted in self.viewers:
                return "viewer"
        return None


_was_on = False


def sign_in_is_on() -> bool:
    """Return whether people have to sign in: the secrets file has [auth] or [access], or had while this process ran.

    Raises
    ------
    AccessError
        If the file cannot be read.
    """
    global _was_on  # noqa: PLW0603  a file that is being written anew must not open the door meanwhile
    auth, access = _tables(*_state_of(secrets_path()))
    _was_on = _was_on or bool(auth) or bool(access)
    return _was_on


def access_list() -> AccessList:
    """Return who is let in, as the file says now.

    Raises
    ------
    AccessError
        If [auth] or [access] is missing or wrong; one line says what.
    """
    auth, access = _tables(*_state_of(secrets_path()))
    if wrong := _wrong_with(auth):
        raise AccessError(
            f"sign-in is not set up: [auth] of {secrets_path().name} {wrong}. docs/deploy.md has an example."
        )
    try:
        return AccessList.model_validate(access)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"][:1])
        told = str(first["msg"]).removeprefix("Value error, ")
        where = f"[access] {place}".strip()
        raise AccessError(
            one_line(f"sign-in is not set up: {where} of {secrets_path().name}: {told}. docs/deploy.md has an example.")
        ) from None


def providers() -> list[str]:
    """Return the names of those who sign people in, as ``st.login`` takes them; ``default`` where there is no name."""
    auth, _ = _tables(*_state_of(secrets_path()))
    return [name for name, told in auth.items() if isinstance(told, dict) and "client_id" in told] or ["default"]


def address_of_sign_in() -> SplitResult:
    """Return where a browser comes back to after signing in: by that name the app has to be called."""
    auth, _ = _tables(*_state_of(secrets_path()))
    return urlsplit(str(auth.get("redirect_uri", "")))


def person_of(claims: Mapping[str, Any]) -> Person:
    """Return who signed in, by what the provider says of them.

    Parameters
    ----------
    claims : mapping
        Of the ID token, with Streamlit's ``is_logged_in``.

    Raises
    ------
    NotSignedIn
        If nobody did, or longer ago than is allowed.
    AccessError
        If they are not let in, or sign-in is not set up.
    """
    listed = access_list()
    if claims.get("is_logged_in") is not True:
        raise NotSignedIn("Sign in to go on.")
    issued = claims.get("iat")
    if not isinstance(issued, int | float) or time.time() - issued > listed.hours * 3600:
        raise NotSignedIn(f"You signed in more than {listed.hours:g} hours ago. Sign in again to go on.")
    email = claims.get("email")
    if not isinstance(email, str) or not re.fullmatch(r"[^\s@]+@[^\s@]+", email) or len(email) > LONGEST_ADDRESS:
        raise AccessError("your account came without an e-mail address, by which people are let in here.")
    if claims.get("email_verified", True) not in (True, "true"):  # some providers send words, some nothing
        raise AccessError(f"{email} is not verified. Verify it where you signed in, then sign in again.")
    role = listed.role_of(email)
    if role is None:
        raise AccessError(f"{email} is not let in here. Ask whoever runs this app to add you.")
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
        raise AccessError(f"{path.name} cannot be read: {type(error).__name__}. Mend it, or restore a copy.") from None


def _wrong_with(auth: Mapping[str, Any]) -> str:
    """Return what is wrong with [auth], '' where nothing is; never a value."""
    if not auth:
        return "is missing"
    redirect = str(auth.get("redirect_uri", ""))
    if not redirect.startswith(("http://", "https://")) or not redirect.endswith("/oauth2callback"):
        return "needs a redirect_uri that begins with https:// and ends with /oauth2callback"
    if len(str(auth.get("cookie_secret", ""))) < LEAST_SECRET:
        return f"needs a cookie_secret of at least {LEAST_SECRET} random characters"
    for name in providers():
        told = auth if name == "default" else auth[name]
        if missing := [key for key in OF_A_PROVIDER if not told.get(key)]:
            return f"needs {missing[0]}" if name == "default" else f"needs {missing[0]} in [auth.{name}]"
    return ""


def is_loopback(address: str) -> bool:
    """Return whether only this machine reaches a server that is bound to this address."""
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _server_setting(name: str) -> Any:  # noqa: ANN401  whatever the file holds
    try:
        return tomllib.loads(CONFIG.read_text("utf-8")).get("server", {}).get(name, "")
    except (OSError, ValueError):
        return ""


def bound_address() -> str:
    """Return the address the app would be bound to, '' for all: Streamlit's variable, or else its configuration."""
    return os.environ.get("STREAMLIT_SERVER_ADDRESS") or str(_server_setting("address"))


def names_let_in() -> list[str]:
    """Return the names by which a browser may call the app: Streamlit's variable, or else its configuration."""
    if names := os.environ.get("STREAMLIT_SERVER_ALLOWED_HOSTS"):
        return names.split()
    return [str(name) for name in _server_setting("allowedHosts") or []]


def is_behind_proxy() -> bool:
    """Return whether the operator says that a proxy signs people in."""
    return os.environ.get(BEHIND_PROXY, "") == "1"


def refuse_open_address(address: str) -> None:
    """Let the app be served at an address only where people sign in, or where none but this machine reaches it.

    Raises
    ------
    AccessError
        If anybody could do everything; or if sign-in is not set up as it should be.
    """
    if sign_in_is_on():
        access_list()
        return
    if not is_loopback(address) and not is_behind_proxy():
        where = address or "every address"
        raise AccessError(
            f"bound to {where}, other machines could do everything here, and nobody has to sign in. Set up sign-in "
            f"(docs/deploy.md), or say with {BEHIND_PROXY}=1 (red serve --behind-proxy) that a proxy signs people in."
        )
