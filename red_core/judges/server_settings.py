"""Settings of the LLM judge's server: from the environment, or from the table [judge] of the secrets file.

The key is read where it is needed and stored nowhere else: not in the database, not in a log, not in an error.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from red_core.access import current_user, refuse_viewers
from red_core.access.secrets_file import keep_in_table, read_table, secrets_path
from red_core.access.server_variables import from_json, wrong_address, wrong_headers, wrong_key
from red_core.errors import AccessError, JudgeError, RedError

ApiName = Literal["chat", "systemone", "decisions"]
Format = Literal["auto", "json_schema", "json_object", "plain"]


TABLE = "judge"
"""The table of the secrets file."""
KEY, KEY_FOR, ADDRESS = "OPENAI_API_KEY", "OPENAI_API_KEY_FOR", "OPENAI_BASE_URL"
"""``KEY_FOR`` is the origin that a stored key belongs to. The key is sent to no other."""
OF_OPERATOR = ("base_url", "api_key", "headers", "private_addresses", "redirects")
"""The settings that decide where texts and keys go. Only an operator changes them."""


class JudgeServer(BaseSettings):
    """Every setting of the judge's server; the names in capitals are the environment variables."""

    refusal: ClassVar[type[RedError]] = JudgeError
    allowed_by: ClassVar[str] = "RED_JUDGE_PRIVATE_ADDRESSES"

    model_config = SettingsConfigDict(
        populate_by_name=True,
        env_prefix="RED_JUDGE_",  # without it a stray MODEL or TIMEOUT in the environment would count
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        str_strip_whitespace=True,
    )

    base_url: Annotated[
        str,
        Field(alias="OPENAI_BASE_URL", description="The server's address, up to and with /v1"),
    ] = "https://api.openai.com/v1"
    api_key: Annotated[
        SecretStr, Field(alias="OPENAI_API_KEY", description="Its key; a server of your own may need none")
    ] = SecretStr("")
    model: Annotated[str, Field(alias="RED_JUDGE_MODEL", description="The model that judges")] = ""
    wire: Annotated[ApiName, Field(alias="RED_JUDGE_WIRE", description="The API that the server speaks")] = "chat"
    response_format: Annotated[
        Format,
        Field(
            alias="RED_JUDGE_FORMAT",
            description="With chat: how the server is made to reply in JSON; auto tries it out",
        ),
    ] = "auto"
    extra: Annotated[
        dict[str, Any],
        NoDecode,  # otherwise a mapping would be merged with the one it should replace
        BeforeValidator(from_json),
        Field(alias="RED_JUDGE_EXTRA", description="More parameters of each request, as JSON, such as temperature"),
    ] = {}
    headers: Annotated[
        dict[str, SecretStr],
        NoDecode,
        BeforeValidator(from_json),
        Field(alias="RED_JUDGE_HEADERS", description="More HTTP headers of each request, as JSON"),
    ] = {}
    at_once: Annotated[
        int,
        Field(alias="RED_JUDGE_AT_ONCE", ge=1, le=256, description="Most questions in flight"),
    ] = 8
    timeout: Annotated[
        float,
        Field(alias="RED_JUDGE_TIMEOUT", gt=0, le=600, description="Seconds for a reply; a slow server gets more"),
    ] = 30.0
    private_addresses: Annotated[
        bool,
        Field(alias="RED_JUDGE_PRIVATE_ADDRESSES", description="Whether the server may be on this machine or network"),
    ] = True
    redirects: Annotated[
        bool, Field(alias="RED_JUDGE_REDIRECTS", description="Whether redirects to another address are followed")
    ] = False
    price_in: Annotated[
        float | None,
        Field(
            alias="RED_JUDGE_PRICE_IN",
            ge=0,
            allow_inf_nan=False,
            description="Price of a million tokens read; none = unknown",
        ),
    ] = None
    price_cached: Annotated[
        float | None,
        Field(
            alias="RED_JUDGE_PRICE_CACHED",
            ge=0,
            allow_inf_nan=False,
            description="Price of a million tokens that the server had in its cache; none = as any token read",
        ),
    ] = None
    price_out: Annotated[
        float | None,
        Field(
            alias="RED_JUDGE_PRICE_OUT",
            ge=0,
            allow_inf_nan=False,
            description="Price of a million tokens written",
        ),
    ] = None

    price_batch: Annotated[
        float,
        Field(
            alias="RED_JUDGE_PRICE_BATCH", ge=0, le=1, description="Share of the price that a question in a batch costs"
        ),
    ] = 0.5

    @property
    def name(self) -> str:
        """The API and the model asked for."""
        return f"{self.wire}/{self.model}"

    @property
    def host(self) -> str:
        """The server's address without its path."""
        return urlsplit(self.base_url).netloc

    @property
    def origin(self) -> str:
        """The scheme, host and port: what a key is bound to."""
        return origin_of(self.base_url)

    @property
    def query(self) -> dict[str, str]:
        """The query of the address, such as the api-version of Azure."""
        return dict(parse_qsl(urlsplit(self.base_url).query))

    def scrubbed(self, text: str) -> str:
        """Return ``text`` without the key, the headers, and anything that looks like a key."""
        secrets = [self.api_key, *self.headers.values()]
        for secret in sorted((value.get_secret_value() for value in secrets), key=len, reverse=True):
            text = text.replace(secret, "***") if secret else text
        return re.sub(r"\b(sk|key|tok)-[\w*.-]{6,}", "***", text)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the signature is the library's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the strongest first."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, _stored(init_settings()))


def origin_of(address: str) -> str:
    """Return scheme, host and port of an address, in small letters; the port as it is written."""
    try:
        parts = urlsplit(address)
    except ValueError:  # told by wrong_address
        return address
    return f"{parts.scheme}://{parts.netloc}".casefold()


def _stored(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of the secrets file; without its key and headers if they belong to another address."""
    table = read_table(TABLE)
    default = str(JudgeServer.model_fields["base_url"].default)
    stored_for = table.pop(KEY_FOR, table.get(ADDRESS, default))
    now = changes.get("base_url") or changes.get(ADDRESS) or os.environ.get(ADDRESS) or table.get(ADDRESS, default)
    if origin_of(str(stored_for)) != origin_of(str(now).strip()):
        table.pop(KEY, None)
        table.pop("RED_JUDGE_HEADERS", None)
    return table


def judge_server(**changes: Any) -> JudgeServer:  # noqa: ANN401  values of a form, checked here
    """Return the server's settings.

    Raises
    ------
    JudgeError
        If no model is named, or a value is out of its range.
    """
    try:
        server = JudgeServer(**changes)
        if "api_key" not in changes and changes.get("base_url") and server.origin != JudgeServer().origin:
            server = server.model_copy(update={"api_key": SecretStr("")})  # that of the environment is not for it
    except ValidationError as error:
        first = error.errors(include_input=False)[0]  # an input may be a key
        raise JudgeError(f"judge setting {first['loc'][0]}: {first['msg']}. {WHERE}") from None
    except (ValueError, OSError, RecursionError) as error:
        raise JudgeError(f"{secrets_path()} cannot be read: {type(error).__name__}. {WHERE}") from None
    if not server.model:
        raise JudgeError(f"no judge model is named. {WHERE}")
    for name, wrong in (
        (ADDRESS, wrong_address(server.base_url, KEY)),
        (KEY, wrong_key(server.api_key)),
        ("RED_JUDGE_HEADERS", wrong_headers(server.headers)),
    ):
        if wrong:
            raise JudgeError(f"judge setting {name}: {wrong}. {WHERE}")
    return server


WHERE = "Fill in Connect on the page Rounds, or set OPENAI_BASE_URL, OPENAI_API_KEY and RED_JUDGE_MODEL."


def keep(server: JudgeServer) -> Path:
    """Write what differs from the defaults to the secrets file, readable by its owner alone; return the file.

    The rest of the file stays as it is; if writing fails, all of it does. Values from the environment are not copied
    into it.

    Raises
    ------
    JudgeError
        If the file cannot be read or written.
    AccessError
        If a viewer acts, or somebody who is no operator changes the address, the key or the headers.
    """
    refuse_viewers()
    refuse_another_address(server)
    path = secrets_path()
    try:
        return keep_in_table(TABLE, _to_keep(server))
    except (OSError, ValueError, RecursionError) as error:
        raise JudgeError(f"{path} cannot be written: {type(error).__name__}. Check the file and its folder.") from None


def refuse_another_address(server: JudgeServer) -> None:
    """Refuse a server whose address, key or headers differ from those in force, unless an operator acts.

    Otherwise an analyst could send the operator's texts and key to an address of their own.

    Raises
    ------
    AccessError
        If somebody acts who is no operator.
    """
    if current_user().operator:
        return
    now = JudgeServer()
    if any(getattr(server, name) != getattr(now, name) for name in OF_OPERATOR):
        raise AccessError(
            "only the administrator of this app changes the address, the key and the headers of the judge. They are in "
            f"[{TABLE}] of {secrets_path().name} and in the environment."
        )


def _to_keep(server: JudgeServer) -> dict[str, Any]:
    """Return variable name -> value where it differs from the default, None where it does not."""
    values: dict[str, Any] = {}
    for field, about in JudgeServer.model_fields.items():
        value, name = getattr(server, field), str(about.alias)
        if os.environ.get(name):
            continue
        plain = _plain(value)
        values[name] = None if value == about.get_default() else json.dumps(plain) if isinstance(plain, dict) else plain
    values[KEY_FOR] = server.origin if values.get(KEY) or values.get("RED_JUDGE_HEADERS") else None
    return values


def _plain(value: Any) -> Any:  # noqa: ANN401  any value of a setting
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return value.get_secret_value() if isinstance(value, SecretStr) else value
