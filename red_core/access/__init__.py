"""The current user and their permissions: sign-in, the access list, the secrets file."""

from red_core.access.sign_in import refuse_open_address, sign_in_is_on
from red_core.access.who import Person, acting_as, current_user, login, refuse_viewers

__all__ = ["Person", "acting_as", "current_user", "login", "refuse_open_address", "refuse_viewers", "sign_in_is_on"]
