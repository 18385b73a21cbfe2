"""Sign-ins that were ended stay ended: in every session, after a restart, and where the list cannot be written."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from red_core.access import ended_sign_ins
from red_core.access.ended_sign_ins import end_sign_in, ended_file, has_ended
from red_core.errors import AccessError

CLAIMS = {
    "iss": "https://sign-in.example.org",
    "sub": "1",
    "email": "ana@example.org",
    "iat": 1_700_000_000,
    "nonce": "a",
}


@pytest.fixture(autouse=True)
def in_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RED_WORKSPACE", str(tmp_path))


def restart() -> None:
    ended_sign_ins._here.clear()


def test_an_ended_sign_in_stays_ended_after_a_restart():
    assert not has_ended(CLAIMS)
    end_sign_in(CLAIMS)
    assert has_ended(CLAIMS)
    restart()
    assert has_ended(dict(reversed(CLAIMS.items())))


@pytest.mark.parametrize(
    "change", [{"nonce": "b"}, {"iat": 1_700_000_001}, {"sub": "2"}, {"iss": "https://other.example.org"}]
)
def test_another_sign_in_of_the_same_person_goes_on(change):
    end_sign_in(CLAIMS)
    assert not has_ended(CLAIMS | change)


def test_where_the_list_cannot_be_written_the_sign_in_ends_in_this_process(monkeypatch):
    monkeypatch.setenv("RED_WORKSPACE", "/dev/null/workspace")
    with pytest.raises(AccessError, match="cannot be read"):
        has_ended(CLAIMS)
    monkeypatch.setenv("RED_WORKSPACE", "/proc/no-such-folder")
    end_sign_in(CLAIMS)
    assert has_ended(CLAIMS)


@pytest.mark.parametrize("content", [b"junk", b"\xff\xfe", b"1 2 3\n", b"x y\n"])
def test_a_damaged_list_lets_nobody_in(content):
    ended_file().write_bytes(content)
    with pytest.raises(AccessError, match="cannot be read") as caught:
        has_ended(CLAIMS)
    assert "\n" not in str(caught.value)


def test_the_list_holds_no_name_and_drops_what_would_have_expired():
    old = f"{time.time() - 721 * 3600:.0f} {'0' * 64}\n"
    ended_file().write_text(old, "ascii")
    end_sign_in(CLAIMS)
    (line,) = ended_file().read_text("ascii").splitlines()
    assert "ana" not in line
    restart()
    assert has_ended(CLAIMS)
