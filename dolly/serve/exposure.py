"""What a server needs before other machines may reach it."""

from __future__ import annotations

from dolly.config import Serve
from dolly.errors import UsageError


def require_safe(settings: Serve, *, keyed: bool, host: str | None = None, key: str = "serve.host") -> None:
    """Requires API keys and TLS of a server that other machines can reach.

    Args:
        settings: say whether it has TLS.
        keyed: must its clients have keys, or a router's secret?
        host: that it binds; None for `serve.host`.
        key: of the config, that has the host.

    Raises:
        UsageError: it has none.
    """
    host = settings.host if host is None else host
    missing = []
    if not keyed:
        missing.append("API keys (dolly keys add NAME)")
    if not (settings.tls_certificate or settings.behind_proxy):
        missing.append("TLS (serve.tls_certificate and serve.tls_key, or serve.behind_proxy=true)")
    if missing and host not in ("127.0.0.1", "::1", "localhost"):
        raise UsageError(
            found=f"{key} {host}, which others can reach, without {' and without '.join(missing)}",
            expected="keys and TLS, or a loopback address",
            fix=f"add them, or set {key}=127.0.0.1",
        )
