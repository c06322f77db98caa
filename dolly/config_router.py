"""The config section of the router, which spreads requests over several servers."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from dolly.config_data import Section


class Router(Section):
    """A router in front of several servers: `dolly route` runs it, `dolly serve` with its url joins it."""

    host: str = "127.0.0.1"
    port: int = Field(8800, ge=0, le=65535, description="0: any free port")
    url: str | None = Field(None, description="of the router: dolly serve registers there, and answers only the router")
    worker_url: str | None = Field(
        None, description="address at which the router reaches this server; null: that of serve.host and serve.port"
    )
    heartbeat_seconds: float = Field(
        2.0,
        gt=0,
        description="between two registrations of a server; one that misses three is asked if there is no other",
    )

    @model_validator(mode="after")
    def _addresses(self) -> Self:
        for key, address in (("url", self.url), ("worker_url", self.worker_url)):
            if address is not None and not is_address(address):
                raise ValueError(f"{key}: found {address}; expected http://HOST:PORT or https://HOST:PORT")
        return self


def is_address(url: str) -> bool:
    """Is it `http://HOST:PORT` or `https://HOST:PORT`, without anything behind?"""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for one that is no number
    except ValueError:
        return False
    plain = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain
