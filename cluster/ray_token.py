"""Ray's token: where it comes from, and what to say when it is refused. Never its value."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

HOW_TO_GIVE = (
    "set RAY_AUTH_MODE=token and give the cluster's token in RAY_AUTH_TOKEN, in the file that "
    "RAY_AUTH_TOKEN_PATH names, or in ~/.ray/auth_token (`ray get-auth-token` prints it on the "
    "head node)"
)


@dataclass(frozen=True)
class TokenSource:
    """Where a client here would take Ray's token from.

    Attributes:
        mode: What RAY_AUTH_MODE says, "" if unset.
        source: `RAY_AUTH_TOKEN`, the path of a file, or "" where there is none.
        warning: What is wrong with it, or "".
    """

    mode: str
    source: str
    warning: str = ""


def token_source() -> TokenSource:
    """Look in the places of Ray's own order of precedence."""
    mode = os.environ.get("RAY_AUTH_MODE", "")
    if os.environ.get("RAY_AUTH_TOKEN"):
        return TokenSource(mode, "RAY_AUTH_TOKEN")
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named).expanduser() if named else Path("~/.ray/auth_token").expanduser()
    if not path.is_file():
        warning = f"RAY_AUTH_TOKEN_PATH names {path}, which is no file" if named else ""
        return TokenSource(mode, "", warning)
    if not path.read_text().strip():
        return TokenSource(mode, "", f"{path} is empty")
    open_to_others = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    warning = f"{path} can be read by others; chmod 600 it" if open_to_others else ""
    return TokenSource(mode, str(path), warning)


def describe_source(found: TokenSource) -> str:
    """One phrase for messages: what this client would send."""
    if found.source:
        return f"the token was taken from {found.source}"
    return f"no token was found here{f' ({found.warning})' if found.warning else ''}"
