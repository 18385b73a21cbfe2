"""Who is let in, in which role, and where the app may be served."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from red_core import cli
from red_core.access import sign_in
from red_core.access import who as access
from red_core.access.sign_in import access_list, person_of, providers, refuse_open_address, sign_in_is_on
from red_core.access.who import Person, acting_as, current_user, find_person_by, person_here, refuse_viewers
from red_core.errors import AccessError, NotSignedIn
from tests.helpers.sign_in import ACCESS, AUTH, SECRET


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A secrets file that is not there yet, in a process that has not seen one."""
    path = tmp_path / "secrets.toml"
    monkeypatch.setenv("RED_SECRETS", str(path))
    monkeypatch.setenv("RED_BEHIND_PROXY", "")  # set, so that what a command makes of it is undone
    monkeypatch.delenv("STREAMLIT_SERVER_ADDRESS", raising=False)
    monkeypatch.setattr(sign_in, "_was_on", False)
    yield path
    find_person_by(person_here)


def claims(email: str = "ana@example.org", **more: Any) -> dict[str, Any]:
    return {"is_logged_in": True, "email": email, "email_verified": True, "iat": time.time() - 60} | more


# The list


@pytest.mark.parametrize(
    ("email", "role"),
    [
        ("ana@example.org", "analyst"),
        ("ANA@EXAMPLE.ORG", "analyst"),
        ("bo@example.org", "viewer"),
        ("anybody@viewers.org", "viewer"),
        ("boss@viewers.org", "analyst"),
        ("other@example.org", None),
        ("eve@sub.viewers.org", None),
        ("eve@evilviewers.org", None),
        ("eve@viewers.org.evil.org", None),
        ("ana@example.org@evil.org", None),
    ],
)
def test_an_address_has_its_role_and_beats_its_domain(email, role, secrets):
    secrets.write_text(AUTH + ACCESS, "utf-8")
    assert access_list().role_of(email) == role


@pytest.mark.parametrize("email", ["\N{KELVIN SIGN}ate@example.org", "\N{LATIN SMALL LETTER LONG S}ue@example.org"])
def test_letters_that_fold_into_others_are_not_those(email, secrets):
    secrets.write_text(AUTH + '[access]\nanalysts = ["kate@example.org", "sue@example.org"]\n', "utf-8")
    assert email.casefold() in access_list().analysts
    assert access_list().role_of(email) is None


@given(st.emails())
def test_whoever_is_listed_is_let_in_however_it_is_written(email):
    listed = sign_in.AccessList(viewers=(email,))
    assert listed.role_of(email) == "viewer"
    assert listed.role_of(email.upper()) == ("viewer" if email.isascii() else listed.role_of(email.upper()))
    assert listed.role_of("x" + email) is None


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('analysts = ["ana"]', "'ana' is neither an e-mail address nor @domain"),
        ('analysts = ["@"]', "'@' is neither an e-mail address nor @domain"),
        ('analysts = ["a b@example.org"]', "'a b@example.org' is neither"),
        ('analysts = "ana@example.org"', "valid tuple"),
        ("analysts = [3]", "valid string"),
        ('analysts = ["a@b.org"]\nviewers = ["A@b.org"]', "a@b.org is both an analyst and a viewer"),
        ('admins = ["a@b.org"]', "[access] admins"),
        ("analysts = []", "no analysts and no viewers are listed"),
        ('analysts = ["a@b.org"]\nhours = 0', "[access] hours"),
    ],
)
def test_a_wrong_list_is_told_in_one_line(table, told, secrets):
    secrets.write_text(f"{AUTH}[access]\n{table}\n", "utf-8")
    with pytest.raises(AccessError) as caught:
        access_list()
    assert told in str(caught.value)
    assert str(caught.value).startswith("sign-in is not set up: ")
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "instead", "told"),
    [
        (AUTH, "", "[auth] of"),
        (SECRET, "short", "cookie_secret of at least 32"),
        ("/oauth2callback", "/", "/oauth2callback"),
        ('client_id = "red"\n', "", "needs client_id"),
        ('client_secret = "of the client"\n', "", "needs client_secret"),
        ("[access]", "[something]", "no analysts and no viewers are listed"),
        ("[auth]", "[auth", "cannot be read: "),
    ],
)
def test_half_a_sign_in_lets_nobody_in_and_says_what_is_missing(line, instead, told, secrets):
    secrets.write_text((AUTH + ACCESS).replace(line, instead), "utf-8")
    with pytest.raises(AccessError) as caught:
        person_of(claims())
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not {SECRET, "of the client"} & set(str(caught.value).split('"'))


def test_providers_have_their_names(secrets):
    secrets.write_text(AUTH + ACCESS, "utf-8")
    assert providers() == ["default"]
    one = AUTH[AUTH.index("client_id") :]
    head = AUTH[: AUTH.index("client_id")]
    secrets.write_text(f"{head}[auth.first]\n{one}[auth.second]\n{one}{ACCESS}", "utf-8")
    assert providers() == ["first", "second"]
    assert access_list().role_of("ana@example.org") == "analyst"
    secrets.write_text(f"{head}[auth.first]\nclient_id = 'red'\n{ACCESS}", "utf-8")
    with pytest.raises(AccessError, match=r"needs client_secret in \[auth\.first\]"):
        access_list()


# Who signed in


def test_who_signed_in_has_a_name_and_a_role(secrets):
    secrets.write_text(AUTH + ACCESS, "utf-8")
    assert person_of(claims("Ana@Example.org")) == Person("ana@example.org", "analyst")
    assert person_of(claims("Some.One@viewers.org")) == Person("some.one@viewers.org", "viewer")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"email": "eve@elsewhere.org"}, "eve@elsewhere.org has no access"),
        ({"email_verified": False}, "not verified"),
        ({"email_verified": None}, "not verified"),
        ({"email_verified": "false"}, "not verified"),
        ({"email_verified": []}, "not verified"),
        ({"email": None}, "has no e-mail address"),
        ({"email": ["ana@example.org"]}, "has no e-mail address"),
        ({"email": "ana@example.org\n"}, "has no e-mail address"),
        ({"email": "x" * 300 + "@viewers.org"}, "has no e-mail address"),
        ({"is_logged_in": False}, "Sign in"),
        ({"is_logged_in": "True"}, "Sign in"),
        ({"iat": None}, "Sign in again"),
        ({"iat": 0}, "Sign in again"),
    ],
)
def test_nobody_else_is_let_in(more, told, secrets):
    secrets.write_text(AUTH + ACCESS, "utf-8")
    with pytest.raises(AccessError, match=told):
        person_of(claims() | more)


@pytest.mark.parametrize("verified", [{"email_verified": "true"}, {}])
def test_a_provider_may_say_verified_in_a_word_or_nothing_about_it(verified, secrets):
    secrets.write_text(AUTH + ACCESS, "utf-8")
    said = claims()
    del said["email_verified"]
    assert person_of(said | verified).role == "analyst"


def test_a_sign_in_lasts_as_many_hours_as_the_file_says(secrets):
    secrets.write_text(AUTH + ACCESS, "utf-8")
    person_of(claims(iat=time.time() - 11 * 3600))
    with pytest.raises(NotSignedIn, match="12 hours ago"):
        person_of(claims(iat=time.time() - 13 * 3600))
    secrets.write_text(AUTH + ACCESS + "hours = 20\n", "utf-8")
    person_of(claims(iat=time.time() - 13 * 3600))


def test_who_is_taken_off_the_list_is_out_at_once(secrets):
    secrets.write_text(AUTH + ACCESS, "utf-8")
    assert person_of(claims()).role == "analyst"
    secrets.write_text(AUTH + ACCESS.replace("Ana@", "Anna@"), "utf-8")
    with pytest.raises(AccessError, match="has no access"):
        person_of(claims())


@pytest.mark.parametrize("content", ["", "[judge]\n", None])
def test_a_file_that_is_emptied_or_gone_does_not_open_the_door(content, secrets):
    assert not sign_in_is_on()
    secrets.write_text(AUTH + ACCESS, "utf-8")
    assert sign_in_is_on()
    if content is None:
        secrets.unlink()
    else:
        secrets.write_text(content, "utf-8")
    assert sign_in_is_on()
    with pytest.raises(AccessError, match="not set up"):
        person_of(claims())


# Who acts


def test_here_everybody_is_an_analyst_under_the_login_name(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ana")
    assert current_user() == Person("ana", "analyst", operator=True)
    refuse_viewers()


def test_one_thread_never_acts_as_the_person_of_another():
    found: dict[str, set[str]] = {"a": set(), "b": set()}
    mine = threading.local()
    find_person_by(lambda: Person(mine.name, "viewer"))
    start = threading.Barrier(2)

    def work(name: str) -> None:
        mine.name = name
        start.wait()
        for turn in range(500):
            found[name].add(access.who_acts())
            with acting_as(Person(f"{name} {turn % 3}", "analyst")):
                found[name].add(access.who_acts())

    threads = [threading.Thread(target=work, args=(name,)) for name in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == {name: {name, f"{name} 0", f"{name} 1", f"{name} 2"} for name in found}


def test_what_another_person_did_inside_a_block_ends_with_it():
    with pytest.raises(AccessError, match="is a viewer"), acting_as(Person("vera", "viewer")):
        refuse_viewers()
    assert current_user().may_write


# Where it is served


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", "127.8.9.1"])
def test_this_machine_is_served_without_a_sign_in(address):
    refuse_open_address(address)


OPEN = ["0.0.0.0", "::", "192.168.1.2", "label.example.org", "", "localhost.example.org", "unix:///run/red"]  # noqa: S104


@pytest.mark.parametrize("address", OPEN)
def test_other_machines_are_not_served_without_a_sign_in(address, secrets, monkeypatch):
    with pytest.raises(AccessError, match="without sign-in") as caught:
        refuse_open_address(address)
    assert "\n" not in str(caught.value)
    secrets.write_text("[judge]\nRED_JUDGE_MODEL = 'm'\n", "utf-8")
    with pytest.raises(AccessError, match="without sign-in"):
        refuse_open_address(address)
    secrets.write_text(AUTH + ACCESS, "utf-8")
    refuse_open_address(address)
    secrets.write_text(ACCESS, "utf-8")
    with pytest.raises(AccessError, match="not set up"):
        refuse_open_address(address)
    secrets.unlink()
    monkeypatch.setattr(sign_in, "_was_on", False)
    monkeypatch.setenv("RED_BEHIND_PROXY", "1")
    refuse_open_address(address)


def serve(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[list[str], str]:
    """Return the command that ``red serve`` becomes, and what it says."""
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _program, command: became.append(list(command)))
    monkeypatch.setattr(os, "chdir", lambda _folder: None)
    monkeypatch.setenv("RED_WORKSPACE", "w")
    result = CliRunner().invoke(cli.main, [*arguments])
    assert result.exit_code == (0 if became else 1)
    return became[0] if became else [], result.stderr


@pytest.mark.parametrize("verb", [["serve"], ["demo"]])
def test_a_public_address_is_refused_before_anything_is_done(verb, monkeypatch, tmp_path):
    command, told = serve(monkeypatch, "--workspace", str(tmp_path / "w"), *verb, "--address", "0.0.0.0")  # noqa: S104
    assert command == []
    assert told.startswith("Error: on 0.0.0.0, other machines could use this app without sign-in")
    assert told.count("\n") == 1
    assert not (tmp_path / "w").exists()


def test_an_address_in_the_environment_is_refused_as_well(monkeypatch):
    monkeypatch.setenv("STREAMLIT_SERVER_ADDRESS", "0.0.0.0")  # noqa: S104
    assert serve(monkeypatch, "serve")[0] == []
    assert "--server.address" not in " ".join(serve(monkeypatch, "serve", "--behind-proxy")[0])


def test_behind_a_proxy_it_is_served_on_purpose(monkeypatch):
    command, _ = serve(monkeypatch, "serve", "--address", "0.0.0.0", "--behind-proxy")  # noqa: S104
    assert "--server.address=0.0.0.0" in command
    assert os.environ["RED_BEHIND_PROXY"] == "1"


def test_with_a_sign_in_streamlit_reads_the_file_that_sets_it_up(secrets, monkeypatch):
    secrets.write_text(AUTH + ACCESS, "utf-8")
    command, told = serve(monkeypatch, "serve", "--address", "::")
    assert {"--server.address=::", f"--secrets.files={secrets}"} <= set(command)
    assert "http://[::]:8501" in told
    assert SECRET not in " ".join(command) + told
