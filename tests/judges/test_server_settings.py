from __future__ import annotations

import errno
import json
import logging
import os
import stat
import tomllib
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_core.access import Person, acting_as
from red_core.access.secrets_file import secrets_path
from red_core.errors import AccessError, JudgeError
from red_core.judges.server_settings import WHERE, JudgeServer, judge_server, keep
from tests.helpers.fault_server import KEY, use_settings

LOCAL = "http://127.0.0.1:8000/v1"


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A secrets file that is not there yet, and no setting in the environment."""
    path = tmp_path / "folder" / "secrets.toml"
    use_settings(monkeypatch, {"RED_SECRETS": str(path)})
    return path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")


def test_a_missing_model_says_where_to_set_it():
    with pytest.raises(JudgeError) as caught:
        judge_server()
    assert str(caught.value) == f"no judge model is named. {WHERE}"
    assert "RED_JUDGE_MODEL" in WHERE
    assert "Connect" in WHERE


def test_the_defaults_ask_openai_politely():
    server = judge_server(model="m")
    assert (server.base_url, server.wire, server.response_format) == ("https://api.openai.com/v1", "chat", "auto")
    assert (server.at_once, server.timeout, server.price_in, server.price_out, server.extra) == (8, 30, None, None, {})


def test_the_environment_beats_the_secrets_file(secrets, monkeypatch):
    write(secrets, f'[judge]\nRED_JUDGE_MODEL = "of the file"\nRED_JUDGE_TIMEOUT = 7\nOPENAI_API_KEY = "{KEY}"\n')
    monkeypatch.setenv("RED_JUDGE_MODEL", "of the environment")
    server = judge_server()
    assert (server.model, server.timeout) == ("of the environment", 7)
    assert server.api_key.get_secret_value() == KEY


def test_an_empty_variable_counts_as_none(secrets, monkeypatch):
    write(secrets, '[judge]\nRED_JUDGE_MODEL = "of the file"\n')
    monkeypatch.setenv("RED_JUDGE_MODEL", "")
    assert judge_server().model == "of the file"


def test_every_setting_can_come_from_the_environment(monkeypatch):
    values = {
        "OPENAI_BASE_URL": LOCAL, "OPENAI_API_KEY": KEY, "RED_JUDGE_MODEL": "m", "RED_JUDGE_WIRE": "systemone",
        "RED_JUDGE_FORMAT": "plain", "RED_JUDGE_EXTRA": '{"temperature": 0}', "RED_JUDGE_AT_ONCE": "32",
        "RED_JUDGE_TIMEOUT": "2.5", "RED_JUDGE_PRICE_IN": "0.4", "RED_JUDGE_PRICE_OUT": "1.6",
        "RED_JUDGE_PRICE_CACHED": "0.1", "RED_JUDGE_HEADERS": '{"X-Team": "blue"}', "RED_JUDGE_REDIRECTS": "true",
        "RED_JUDGE_PRIVATE_ADDRESSES": "false", "RED_JUDGE_PRICE_BATCH": "0.25",
    }  # fmt: skip
    use_settings(monkeypatch, values)
    server = judge_server()
    assert values.keys() == {about.alias for about in JudgeServer.model_fields.values()}
    assert (server.base_url, server.name, server.response_format) == (LOCAL, "systemone/m", "plain")
    assert (server.extra, server.at_once, server.timeout) == ({"temperature": 0}, 32, 2.5)
    assert (server.price_in, server.price_out, server.price_cached) == (0.4, 1.6, 0.1)
    assert server.price_batch == 0.25
    assert (server.redirects, server.private_addresses) == (True, False)
    assert server.headers["X-Team"].get_secret_value() == "blue"


@pytest.mark.parametrize("name", ["MODEL", "TIMEOUT", "WIRE", "API_KEY", "EXTRA", "AT_ONCE", "BASE_URL"])
def test_a_variable_of_another_program_is_no_setting(name, monkeypatch):
    monkeypatch.setenv("RED_JUDGE_MODEL", "m")
    before = judge_server()
    monkeypatch.setenv(name, "7")
    assert judge_server() == before


def test_space_around_what_was_pasted_does_not_count():
    server = judge_server(base_url=f" {LOCAL}\n", api_key=f"{KEY}\n", model=" m ")
    assert (server.base_url, server.api_key.get_secret_value(), server.model) == (LOCAL, KEY, "m")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RED_JUDGE_WIRE", "carrier pigeon"),
        ("RED_JUDGE_FORMAT", "xml"),
        ("RED_JUDGE_EXTRA", f"{{{KEY}"),
        ("RED_JUDGE_EXTRA", f'["{KEY}"]'),
        ("RED_JUDGE_AT_ONCE", "0"),
        ("RED_JUDGE_AT_ONCE", KEY),
        ("RED_JUDGE_TIMEOUT", "-1"),
        ("RED_JUDGE_TIMEOUT", "nan"),
        ("RED_JUDGE_PRICE_IN", "-0.1"),
        ("RED_JUDGE_PRICE_IN", "inf"),
        ("RED_JUDGE_PRICE_CACHED", "inf"),
        ("RED_JUDGE_PRICE_OUT", "1e999"),
        ("RED_JUDGE_PRICE_OUT", KEY),
        ("OPENAI_BASE_URL", KEY),
        ("OPENAI_BASE_URL", "ftp://host/v1"),
        ("OPENAI_BASE_URL", "http:///v1"),
        ("OPENAI_BASE_URL", f"http://host:{KEY}/v1"),
        ("OPENAI_BASE_URL", "http://host:99999/v1"),
        ("OPENAI_BASE_URL", "http://[::1/v1"),
        ("OPENAI_BASE_URL", f"https://user:{KEY}@host/v1"),
        ("OPENAI_BASE_URL", f"https://{KEY}@host/v1"),
        ("OPENAI_BASE_URL", f"https://host/v1?key={KEY}"),
        ("OPENAI_BASE_URL", f"https://host/v1?api-version=1&key={KEY}"),
        ("OPENAI_BASE_URL", f"https://host/v1#{KEY}"),
        ("RED_JUDGE_HEADERS", f'["{KEY}"]'),
        ("RED_JUDGE_HEADERS", f"{KEY}"),
        ("RED_JUDGE_HEADERS", json.dumps({"X-Team": f"{KEY}\nX-Other: 1"})),
        ("RED_JUDGE_HEADERS", json.dumps({"X-Team": f"schlüssel{KEY}"})),
        ("RED_JUDGE_HEADERS", json.dumps({f"{KEY}: x": "1"})),
        ("OPENAI_API_KEY", f"{KEY} {KEY}"),
        ("OPENAI_API_KEY", f"{KEY}\n{KEY}"),
        ("OPENAI_API_KEY", f"schlüssel{KEY}"),
    ],
)
def test_a_wrong_value_is_told_in_one_line_that_names_the_setting_and_not_the_key(name, value, monkeypatch):
    monkeypatch.setenv("RED_JUDGE_MODEL", "m")
    monkeypatch.setenv(name, value)
    with pytest.raises(JudgeError) as caught:
        judge_server()
    told = str(caught.value)
    assert told.startswith(f"judge setting {name}: ")
    assert told.endswith(WHERE)
    assert KEY not in told
    assert "\n" not in told
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "content", [f'OPENAI_API_KEY = "{KEY}', f'OPENAI_API_KEY = "{KEY}\xff"', f'{KEY}\n= "', f'judge = "{KEY}"']
)
def test_a_secrets_file_that_cannot_be_read_is_named_and_not_quoted(content, secrets):
    secrets.parent.mkdir()
    secrets.write_bytes(content.encode("latin-1"))
    with pytest.raises(JudgeError, match=r"secrets\.toml cannot be read: ") as caught:
        judge_server(model="m")
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_a_variable_the_secrets_file_is_beside_the_app(monkeypatch):
    monkeypatch.delenv("RED_SECRETS")
    assert secrets_path().parts[-2:] == (".streamlit", "secrets.toml")
    assert (secrets_path().parents[1] / "app.py").is_file()


# Keeping


def test_what_is_kept_is_read_again_as_it_was(secrets):
    server = judge_server(
        base_url=LOCAL, api_key=KEY, model='m "quoted" ü', wire="decisions", response_format="plain",
        extra={"temperature": 0, "stop": ["a", "b"], "deep": {"er": True}}, at_once=3, timeout=2.5, price_in=0.1,
    )  # fmt: skip
    assert keep(server) == secrets
    assert judge_server() == server


def test_only_the_owner_can_read_what_is_kept(secrets):
    write(secrets, "")
    secrets.chmod(0o644)
    keep(judge_server(model="m", api_key=KEY))
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    secrets.unlink()
    before = os.umask(0)
    try:
        keep(judge_server(model="m", api_key=KEY))
    finally:
        os.umask(before)
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600


OTHERS = """# a remark of mine
password = "other"  # and another

[connections.sql]
url = "sqlite://"
# the last word
"""


def test_keeping_leaves_all_else_in_the_file_alone(secrets):
    write(secrets, OTHERS)
    keep(judge_server(model="m", api_key=KEY, extra={"temperature": 0}))
    assert judge_server().model == "m"
    for line in OTHERS.splitlines():
        assert line in secrets.read_text("utf-8")
    assert tomllib.loads(OTHERS).items() <= tomllib.loads(secrets.read_text("utf-8")).items()


def test_a_link_to_the_file_stays_a_link(secrets, tmp_path):
    secrets.parent.mkdir(parents=True, exist_ok=True)
    secrets.symlink_to(tmp_path / "elsewhere.toml")
    keep(judge_server(model="m", api_key=KEY))
    assert secrets.is_symlink()
    assert judge_server().api_key.get_secret_value() == KEY


def test_what_is_no_file_is_not_replaced_by_one(monkeypatch):
    monkeypatch.setenv("RED_SECRETS", os.devnull)
    with pytest.raises(JudgeError, match="cannot be written"):
        keep(judge_server(model="m"))
    assert Path(os.devnull).is_char_device()


def test_nothing_is_kept_outside_a_table_where_streamlit_would_put_it_into_the_environment(secrets):
    keep(judge_server(model="m", api_key=KEY, timeout=5))
    assert [type(value) for value in tomllib.loads(secrets.read_text("utf-8")).values()] == [dict]


def test_a_file_that_cannot_be_written_stays_whole(secrets, monkeypatch):
    write(secrets, OTHERS)

    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JudgeError, match="cannot be written"):
        keep(judge_server(model="m"))
    assert secrets.read_text("utf-8") == OTHERS
    assert list(secrets.parent.iterdir()) == [secrets]


def test_what_is_set_back_to_its_default_leaves_the_file(secrets):
    keep(judge_server(model="m", api_key=KEY, timeout=5, extra={"a": 1}))
    keep(judge_server(model="m", api_key="", timeout=30, extra={}))
    assert tomllib.loads(secrets.read_text("utf-8")) == {"judge": {"RED_JUDGE_MODEL": "m"}}


def test_keeping_twice_changes_nothing(secrets):
    write(secrets, OTHERS)
    keep(judge_server(model="m", api_key=KEY, extra={"a": {"b": 1}}))
    once = secrets.read_text("utf-8")
    keep(judge_server())
    assert secrets.read_text("utf-8") == once


def test_what_toml_has_no_word_for_is_kept_too():
    keep(judge_server(model="m", extra={"stop": None}))
    assert judge_server().extra == {"stop": None}


def test_more_parameters_replace_the_earlier_ones(monkeypatch):
    keep(judge_server(model="m", extra={"temperature": 0}))
    assert judge_server(extra={"seed": 1}).extra == {"seed": 1}
    monkeypatch.setenv("RED_JUDGE_EXTRA", '{"top_p": 1}')
    assert judge_server().extra == {"top_p": 1}


def test_more_parameters_may_be_a_table_of_the_file(secrets):
    write(secrets, '[judge]\nRED_JUDGE_MODEL = "m"\n[judge.RED_JUDGE_EXTRA]\ntemperature = 0\n')
    assert judge_server().extra == {"temperature": 0}


# What is shown


def test_the_key_is_not_in_what_describes_the_settings(caplog):
    server = judge_server(model="m", api_key=KEY)
    logging.getLogger().warning("%s %r %s", server, server, server.model_dump())
    assert KEY not in caplog.text + str(server) + repr(server) + server.model_dump_json()


@pytest.mark.parametrize(
    ("address", "host"),
    [(LOCAL, "127.0.0.1:8000"), ("https://api.openai.com/v1", "api.openai.com"), ("http://[::1]:8/v1", "[::1]:8")],
)
def test_the_host_is_shown_without_the_path(address, host):
    assert judge_server(model="m", base_url=address).host == host


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60), st.text(), st.text())
def test_a_scrubbed_text_never_holds_the_key(key, before, after):
    server = JudgeServer.model_validate({"api_key": key, "model": "m"})
    found = server.scrubbed(f"{before}{key}{after}")
    assert key not in found or set(key) == {"*"}


def test_what_only_looks_like_a_key_is_scrubbed_too():
    assert judge_server(model="m").scrubbed("Incorrect API key: sk-abc***xyz.") == "Incorrect API key: ***"


# A key belongs to one address, and only an operator changes either

ELSEWHERE = "http://127.0.0.1:9999/v1"
ANALYST = Person("ana@example.org", "analyst")


def kept() -> JudgeServer:
    """Save a server with a key and a header; return it."""
    server = judge_server(base_url=LOCAL, api_key=KEY, model="m", headers={"X-Secret": "abcdef123"})
    keep(server)
    return server


def test_a_stored_key_is_sent_to_its_own_address_only(monkeypatch):
    kept()
    assert judge_server().api_key.get_secret_value() == KEY
    assert judge_server(base_url=LOCAL.replace("/v1", "/v2")).api_key.get_secret_value() == KEY
    for elsewhere in (ELSEWHERE, "https://127.0.0.1:8000/v1", "http://127.0.0.1.evil.example:8000/v1"):
        server = judge_server(base_url=elsewhere)
        assert server.api_key.get_secret_value() == ""
        assert server.headers == {}
    monkeypatch.setenv("OPENAI_BASE_URL", ELSEWHERE)
    assert judge_server().api_key.get_secret_value() == ""


def test_the_environments_key_is_not_sent_to_an_address_that_somebody_typed(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", LOCAL)
    assert judge_server(model="m").api_key.get_secret_value() == KEY
    assert judge_server(model="m", base_url=ELSEWHERE).api_key.get_secret_value() == ""


def test_a_key_saved_beside_an_address_of_the_environment_is_bound_to_that_address(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", LOCAL)
    keep(judge_server(model="m", api_key=KEY))
    assert judge_server().api_key.get_secret_value() == KEY
    monkeypatch.setenv("OPENAI_BASE_URL", ELSEWHERE)
    assert judge_server().api_key.get_secret_value() == ""


@pytest.mark.parametrize(
    "changes",
    [{"base_url": ELSEWHERE}, {"api_key": "another"}, {"headers": {"X-Secret": "b"}}, {"redirects": True},
     {"private_addresses": False}],
    ids=str,
)  # fmt: skip
def test_an_analyst_changes_no_address_key_or_header(changes, secrets):
    kept()
    before = secrets.read_bytes()
    with acting_as(ANALYST), pytest.raises(AccessError, match=r"^only the administrator of this app changes"):
        keep(judge_server(**changes))
    assert secrets.read_bytes() == before


def test_an_analyst_changes_the_rest():
    kept()
    with acting_as(ANALYST):
        keep(judge_server(model="another", timeout=7, extra={"seed": 1}))
    server = judge_server()
    assert (server.model, server.timeout, server.api_key.get_secret_value()) == ("another", 7, KEY)


def test_a_header_is_a_secret():
    server = kept()
    assert "abcdef123" not in repr(server)
    assert server.scrubbed("told abcdef123") == "told ***"


def test_the_address_of_azure_keeps_its_version():
    server = judge_server(base_url="https://x.openai.azure.com/openai/deployments/d?api-version=2024-10-21", model="m")
    assert server.query == {"api-version": "2024-10-21"}
    assert server.host == "x.openai.azure.com"
