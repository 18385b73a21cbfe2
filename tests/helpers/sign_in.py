"""A secrets file with sign-in: the tables [auth] and [access]."""

from __future__ import annotations

SECRET = "of the cookies, 48 hexadecimal digits or as many"  # noqa: S105  made up for the tests

AUTH = f"""
[auth]
redirect_uri = "https://label.example.org/oauth2callback"
cookie_secret = "{SECRET}"
client_id = "red"
client_secret = "of the client"
server_metadata_url = "https://sign-in.example.org/.well-known/openid-configuration"
"""
ACCESS = """
[access]
analysts = ["Ana@Example.org", "boss@viewers.org"]
viewers = ["@viewers.org", "bo@example.org"]
"""
