"""What the server refuses, in OpenAI's format."""

from __future__ import annotations

from typing import Any

_KINDS = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "forbidden"),
    404: ("invalid_request_error", "not_found"),
    405: ("invalid_request_error", "method_not_allowed"),
    408: ("invalid_request_error", "request_timeout"),
    413: ("invalid_request_error", "request_too_large"),
    415: ("invalid_request_error", "unsupported_media_type"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    500: ("server_error", "internal_error"),
    503: ("server_error", "unavailable"),
}

# Statuses of refusals; 400 is the default.
STATUSES = (400, *_KINDS)


class Refusal(Exception):
    """A request that gets an error.

    Args:
        status: of HTTP.
        message: what was found, and what to do.
        param: the key of the request that is wrong.
        code: in words for programs; by default that of the status.
        retry_after: seconds after which the client may try again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.retry_after = status, message, param, retry_after
        kind, default = _KINDS.get(status, ("invalid_request_error", "invalid_request"))
        self.kind, self.code = kind, code or default

    @property
    def body(self) -> dict[str, Any]:
        """The response's body."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """The response's headers."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return headers
