"""The secret that the router and its servers share; it is in the environment only."""

from __future__ import annotations

import hmac
import os

from dolly.errors import UsageError

VARIABLE = "DOLLY_ROUTER_SECRET"
_SHORTEST = 16


def read_secret() -> str:
    """The secret of this process.

    Raises:
        UsageError: there is none, or it can be guessed.
    """
    secret = os.environ.get(VARIABLE, "").strip()
    if len(secret) < _SHORTEST or not (secret.isascii() and secret.isprintable() and " " not in secret):
        raise UsageError(
            found=f"{VARIABLE} with {len(secret)} characters" if secret else f"no {VARIABLE} in the environment",
            expected=f"the same secret for the router and its servers, {_SHORTEST} or more ASCII characters, no spaces",
            fix=f"make one: export {VARIABLE}=$(openssl rand -hex 32)",
        )
    return secret


def has_secret(authorization: str | None, secret: str) -> bool:
    """Does an `Authorization` header carry the secret?"""
    given = (authorization or "").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given, bearer(secret)["Authorization"].encode())


def bearer(secret: str) -> dict[str, str]:
    """The header that carries the secret."""
    return {"Authorization": f"Bearer {secret}"}
