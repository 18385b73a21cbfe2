"""Settings of the LLM judge's server: from the environment, or from the table [judge] of the secrets file.

The key is read where it is needed and stored nowhere else: not in the database, not in a log, not in an error.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from red_core.access import refuse_viewers
from red_core.access.secrets_file import keep_in_table, read_table, secrets_path
from red_core.errors import JudgeError

ApiName = Literal["chat", "systemone", "decisions"]
Format = Literal["auto", "json_schema", "json_object", "plain"]


TABLE = "judge"
"""The table of the secrets file."""


def _from_json(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise ValueError("it must be a JSON object") from None


class JudgeServer(BaseSettings):
    """Every setting of the judge's server; the names in capitals are the environment variables."""

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
        BeforeValidator(_from_json),
        Field(alias="RED_JUDGE_EXTRA", description="More parameters of each request, as JSON, such as temperature"),
    ] = {}
    at_once: Annotated[int, Field(alias="RED_JUDGE_AT_ONCE", ge=1, le=256, description="Questions in flight")] = 8
    timeout: Annotated[float, Field(alias="RED_JUDGE_TIMEOUT", gt=0, le=600, description="Seconds for a reply")] = 30.0
    price_in: Annotated[
        float | None,
        Field(alias="RED_JUDGE_PRICE_IN", ge=0, description="Price of a million tokens read; none = unknown"),
    ] = None
    price_out: Annotated[
        float | None, Field(alias="RED_JUDGE_PRICE_OUT", ge=0, description="Price of a million tokens written")
    ] = None

    @property
    def name(self) -> str:
        """The judge's name, stored with its verdicts: the API and the model asked for."""
        return f"{self.wire}/{self.model}"

    @property
    def host(self) -> str:
        """The server's address without its path."""
        return urlsplit(self.base_url).netloc

    def scrubbed(self, text: str) -> str:
        """Return ``text`` without the key and without anything that looks like a key."""
        key = self.api_key.get_secret_value()
        without = text.replace(key, "***") if key else text
        return re.sub(r"\b(sk|key|tok)-[\w*.-]{6,}", "***", without)

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
        return init_settings, env_settings, InitSettingsSource(settings_cls, read_table(TABLE))


def judge_server(**changes: Any) -> JudgeServer:  # noqa: ANN401  values of a form, checked here
    """Return the server's settings.

    Raises
    ------
    JudgeError
        If no model is named, or a value is out of its range.
    """
    try:
        server = JudgeServer(**changes)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]  # an input may be a key
        raise JudgeError(f"judge setting {first['loc'][0]}: {first['msg']}. {WHERE}") from None
    except (ValueError, OSError, RecursionError) as error:
        raise JudgeError(f"{secrets_path()} cannot be read: {type(error).__name__}. {WHERE}") from None
    if not server.model:
        raise JudgeError(f"no judge model is named. {WHERE}")
    if wrong := _wrong_address(server.base_url):
        raise JudgeError(f"judge setting OPENAI_BASE_URL: {wrong}. {WHERE}")
    if not re.fullmatch(r"[!-~]*", server.api_key.get_secret_value()):
        raise JudgeError(f"judge setting OPENAI_API_KEY: a key has no spaces and only ASCII letters and signs. {WHERE}")
    return server


def _wrong_address(address: str) -> str:
    """Return what is wrong with a server's address, '' if nothing. Addresses are shown, so they may hold no secret."""
    try:
        parts = urlsplit(address)
        whole = parts.hostname and parts.port != 0
    except ValueError:
        return "it is no address"
    if parts.scheme not in {"http", "https"} or not whole:
        return "it must begin with http:// or https:// and name a host"
    if "@" in parts.netloc or parts.query or parts.fragment:
        return "it must end in its path, and a key belongs into OPENAI_API_KEY"
    return ""


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
        If a viewer acts.
    """
    refuse_viewers()
    path = secrets_path()
    try:
        return keep_in_table(TABLE, _to_keep(server))
    except (OSError, ValueError, RecursionError) as error:
        raise JudgeError(f"{path} cannot be written: {type(error).__name__}. Check the file and its folder.") from None


def _to_keep(server: JudgeServer) -> dict[str, Any]:
    """Return variable name -> value where it differs from the default, None where it does not."""
    values: dict[str, Any] = {}
    for field, about in JudgeServer.model_fields.items():
        value, name = getattr(server, field), str(about.alias)
        if os.environ.get(name):
            continue
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        values[name] = None if value == about.get_default() else json.dumps(plain) if isinstance(plain, dict) else plain
    return values
