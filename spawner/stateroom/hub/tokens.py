"""The API tokens of servers in the hub's database. A token that no running server has is revoked."""

from __future__ import annotations

from typing import Any

from jupyterhub import orm
from jupyterhub.utils import url_escape_path, url_path_join

_HUB_CLIENT = "jupyterhub"  # whose tokens the hub's own are


def find_token_id(user: Any, token: str) -> int | None:
    """Return the database id of a user's token. Hashes are compared only where needed, since that takes 10 ms."""
    found = orm.APIToken.find_prefix(user.db, token).filter_by(user_id=user.id).limit(2).all()
    known = found[0] if len(found) == 1 else orm.APIToken.find(user.db, token)
    return known.id if known else None


def revoke_token(db: Any, token_id: int | None) -> None:
    """Revoke a token, if it is there; the caller commits."""
    token = db.get(orm.APIToken, token_id) if token_id is not None else None
    if token is not None:
        db.delete(token)


def revoke_unsaved_tokens(user: Any, server_name: str) -> None:
    """Revoke what a hub made for a server and was killed before it could save the id: the hub's note names the server.

    Commits if there was any.
    """
    note = f"Server at {url_path_join(user.base_url, url_escape_path(server_name), '/')}"
    made = user.db.query(orm.APIToken).filter_by(user_id=user.id, client_id=_HUB_CLIENT, note=note).all()
    for token in made:
        user.db.delete(token)
    if made:
        user.db.commit()
