"""A lock on an object store: an object that is replaced by conditional writes only.

The object's body is the owner's name, or empty when the lock is free. The owner rewrites it every `_RENEWAL` seconds.
A waiting process takes the lock over if the object has not changed for `_EXPIRES` seconds by its own clock: no two
clocks are compared.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from dolly.errors import EnvironmentFault

_EXPIRES = 45.0  # seconds without a renewal after which an owner counts as dead
_RENEWAL = 10.0  # seconds
_POLL = 0.5  # seconds


class Lease:
    """A lock under one key of a bucket.

    Args:
        bucket: an `obstore` store that supports conditional puts.
        key: key of the lock's object.
        expires: seconds without a renewal after which the lock is taken over.
        renewal: seconds between two renewals.
    """

    def __init__(self, bucket: Any, key: str, *, expires: float = _EXPIRES, renewal: float = _RENEWAL) -> None:
        self._bucket, self._key = bucket, key
        self._expires, self._renewal = expires, renewal
        self._owner = f"{os.uname().nodename} {os.getpid()} {uuid.uuid4()}"
        self._etag = ""
        self._lost = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Waits for the lock and holds it while the block runs.

        Raises:
            EnvironmentFault: another writer took it over in the meantime.
        """
        self._acquire()
        done = threading.Event()
        renewer = threading.Thread(target=self._renew, args=(done,), name=f"lease {self._key}", daemon=True)
        renewer.start()
        try:
            yield
        finally:
            done.set()
            renewer.join()
            # If this fails, the next writer takes the lock over after it expires.
            with suppress(Exception):
                if not self._lost:
                    self._replace(b"")
        if self._lost:
            raise EnvironmentFault(
                found=f"the lock {self._key} was taken over: it could not be renewed for {self._expires:.0f} s",
                expected="an object store that answers while a table is written",
                fix="run the same command again: it continues from what is there",
            )

    def _acquire(self) -> None:
        seen, since = "", time.monotonic()
        while not self._create():
            current = self._read()
            if current is None:
                continue
            owner, etag = current
            if etag != seen:
                seen, since = etag, time.monotonic()
            if not owner or time.monotonic() - since > self._expires:
                self._etag = etag
                if self._replace(self._owner.encode()):
                    return
            time.sleep(_POLL)

    def _create(self) -> bool:
        """Creates the object; False if it exists."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            self._etag = self._bucket.put(self._key, self._owner.encode(), mode="create")["e_tag"] or ""
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    def _read(self) -> tuple[str, str] | None:
        """Owner and version of the object; None if it does not exist."""
        try:
            result = self._bucket.get(self._key)
        except FileNotFoundError:
            return None
        return bytes(result.bytes()).decode(), result.meta["e_tag"] or ""

    def _replace(self, body: bytes) -> bool:
        """Writes the object unless another process has changed it; returns whether it was written."""
        from obstore.exceptions import PreconditionError

        try:
            self._etag = self._bucket.put(self._key, body, mode={"e_tag": self._etag})["e_tag"] or ""
        except (PreconditionError, FileNotFoundError):
            return False
        return True

    def _renew(self, done: threading.Event) -> None:
        renewed = time.monotonic()
        number = 0
        while not done.wait(self._renewal):
            number += 1
            try:
                # The body changes each time: a store may derive the version from the content.
                self._lost = not self._replace(f"{self._owner} {number}".encode())
                renewed = time.monotonic()
            except Exception:  # the store is unavailable: try again until the lease has surely expired
                self._lost = time.monotonic() - renewed > self._expires
            if self._lost:
                return
