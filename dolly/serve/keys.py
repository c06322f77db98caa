"""API keys: a file with their hashes, checked at each request.

A key is 256 random bits, so its SHA-256 can't be turned back by trying; the key itself is shown once and kept nowhere.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from dolly import atomic
from dolly.errors import UsageError
from dolly.serve.errors import Refusal

_log = logging.getLogger(__name__)
_PREFIX = "dolly-"


@dataclass(frozen=True)
class Key:
    """A key as it is kept.

    Args:
        name: of its owner.
        sha256: hash of the key.
        created: when, in UTC.
        revoked: when; None while it is valid.
    """

    name: str
    sha256: str
    created: str
    revoked: str | None = None


class KeyFile:
    """The keys of a home.

    Args:
        file: is read again when it has changed, so that a running server follows.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state: tuple[int, ...] | None = None
        self._keys: list[Key] = []
        self._seen = False

    def all(self) -> list[Key]:
        """All keys, also revoked ones, in the order in which they were made.

        Raises:
            UsageError: the file can't be read.
        """
        try:
            found = self._file.stat()
        except FileNotFoundError:
            self._state, self._keys = None, []
            return []
        state = (found.st_ino, found.st_mtime_ns, found.st_size)
        if state != self._state:
            self._keys = self._read()
            self._state = state
        self._seen |= bool(self._keys)
        return self._keys

    def add(self, name: str) -> str:
        """Makes a key; returns it.

        Raises:
            UsageError: a valid key has this name.
        """
        key = _PREFIX + secrets.token_urlsafe(32)
        with self._locked():
            if any(other.name == name and not other.revoked for other in self.all()):
                raise UsageError(
                    found=f"a key named {name}", expected="a new name", fix=f"revoke it first: dolly keys revoke {name}"
                )
            self._write([*self.all(), Key(name, _sha256(key), _now())])
        return key

    def revoke(self, name: str) -> None:
        """Makes a key invalid.

        Raises:
            UsageError: no valid key has this name.
        """
        with self._locked():
            keys = self.all()
            if not any(key.name == name and not key.revoked for key in keys):
                names = ", ".join(key.name for key in keys if not key.revoked) or "none"
                raise UsageError(found=f"no valid key named {name}", expected=f"one of: {names}", fix="dolly keys list")
            now = _now()
            revoked = [replace(k, revoked=now) if k.name == name and not k.revoked else k for k in keys]
            self._write(revoked)

    def owner(self, authorization: str | None) -> str | None:
        """The name of the key in an `Authorization` header; None if there never were keys, so that none is needed.

        Once this process has seen a key, one is needed: a file that is deleted or emptied opens nothing.

        Raises:
            Refusal: no key, or one that is not valid; or the keys can't be read.
        """
        try:
            keys = self.all()
        except UsageError as error:
            _log.error("%s", error)
            raise Refusal(503, "the server can't read its API keys", retry_after=30) from error
        if not keys and not self._seen:
            return None
        kind, _, key = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not key:
            raise Refusal(401, "found no API key; expected the header Authorization: Bearer KEY")
        digest = _sha256(key.strip())
        owner = next((known.name for known in keys if known.sha256 == digest and not known.revoked), None)
        if owner is None:
            raise Refusal(401, "found an API key that is not valid")
        return owner

    def _read(self) -> list[Key]:
        try:
            return [Key(**key) for key in json.loads(self._file.read_text())]
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(
                found=f"no API keys in {self._file} ({type(error).__name__})",
                expected="the file that dolly keys add writes",
                fix="restore it; or move it away and make new keys: dolly keys add NAME",
            ) from error

    def _locked(self) -> FileLock:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self._file}.lock")

    def _write(self, keys: list[Key]) -> None:
        atomic.write_json(self._file, [asdict(key) for key in keys])
        self._file.chmod(0o600)


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
