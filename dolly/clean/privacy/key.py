"""The secret key of the pseudonyms, in a file that only its owner may read."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from dolly.errors import EnvironmentFault

_BYTES = 32
_OTHERS = 0o077


def load_or_create_key(path: Path) -> bytes:
    """The key (32 bytes) in `path`, written there as hexadecimal on first use.

    The file appears whole under its name, by a hard link that fails where one is already there:
    of two processes that start at once, both return the key of the first.

    Raises:
        EnvironmentFault: the file is damaged, others than its owner may read it, or the folder can't be written.
    """
    if not path.exists():
        try:
            _create(path)
        except OSError as error:
            raise EnvironmentFault(
                found=f"the key file {path} can't be written ({error.strerror})",
                expected="a folder on a disk that this user may write and that knows hard links",
                fix="set clean.privacy.key_file to another path or change the folder's permissions",
            ) from error
    return _load(path)


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # Where another process was first, its key is the key.
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def _load(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode & 0o777
        content = path.read_bytes()
    except OSError as error:
        raise EnvironmentFault(
            found=f"the key file {path} can't be read ({error.strerror})",
            expected="a file that this user may read",
            fix="give the file back to the user who runs dolly (chown)",
        ) from error
    if mode & _OTHERS:
        raise EnvironmentFault(
            found=f"the key file {path} is open to others (mode {mode:04o})",
            expected="mode 0600: who reads the key can test guesses against the pseudonyms",
            fix=f"chmod 600 {path}; if a stranger may have read it, delete it and clean the data anew",
        )
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != _BYTES:
        # The chain is cut: the first error would quote the file's content.
        raise EnvironmentFault(
            found=f"the key file {path} is damaged",
            expected=f"{2 * _BYTES} hexadecimal digits",
            fix="restore it from a backup, or delete it for a new key, under which all pseudonyms change",
        )
    return key
