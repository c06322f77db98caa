"""Lists the files at a source's path: one file, or all files of a folder and its sub-folders.

Spark is not used, since it silently skips names that begin with "_" or ".". Every entry is listed; one that can't be
read has the reason.
"""

# `os` handles descriptors, symlinks and names that are not UTF-8.
# ruff: noqa: PTH100, PTH112, PTH116, PTH118, PTH119, PTH122
from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

_CHUNK = 1 << 20
# Control characters, separators of lines, and marks that turn the direction of writing.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\\\\]")


class SourceFile(NamedTuple):
    """One file.

    `uri`: its printable path within the source; `file_key`: the part of ids that stands for the file: the uri, or empty
    if the source is one file, so that ids do not change when the file moves; `path`: the path to open.
    """

    uri: str
    file_key: str
    path: str
    size: int = 0
    rule: str | None = None
    detail: str = ""


def listed(root: str, *, suffixes: Iterable[str], max_bytes: int) -> list[SourceFile]:
    """The files at a local path, sorted by uri; none if there is nothing.

    Args:
        root: a file with any name, or a folder.
        suffixes: lower-case suffixes of a folder's files; others get `unknown_kind`.
        max_bytes: size from which a file gets `file_too_large`.
    """
    # Symlinks in the config's path may lead anywhere.
    top = os.path.realpath(root)
    if os.path.isdir(top):
        files = [judged(file, tuple(suffixes), max_bytes) for file in _walk(top)]
        return sorted(files, key=lambda file: file.uri)
    if not os.path.lexists(top):
        return []
    # The name in the config, not that of a symlink's target.
    name = printable_name(os.path.basename(os.path.abspath(root)))
    return [judged(_file(name, "", top), ("",), max_bytes)]


def printable_name(path: str) -> str:
    """The path with unprintable characters as backslash escapes; different paths stay different."""
    return _HIDDEN.sub(_escaped, path)


def checksums(files: list[SourceFile]) -> dict[str, str]:
    """uri → `checksum` of each file, read with several threads."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return dict(zip((file.uri for file in files), pool.map(_version, files), strict=True))


def checksum(content: bytes) -> str:
    """The value of `bronze_files.checksum` for a readable file."""
    return hashlib.sha256(content).hexdigest()


def open_regular(path: str) -> int:
    """Opens a regular file; refuses anything that has replaced it since it was listed.

    Raises:
        OSError: the file is gone, no longer a regular file, or not readable.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{printable_name(path)} is no regular file any more")
    return descriptor


def reason(error: OSError) -> str:
    """The system's message, without the path."""
    return error.strerror or str(error)


def _version(file: SourceFile) -> str:
    if file.rule:
        return file.rule
    digest = hashlib.sha256()
    try:
        with os.fdopen(open_regular(file.path), "rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return "unreadable"
    return digest.hexdigest()


def _walk(top: str) -> Iterator[SourceFile]:
    folders = [(top, "")]
    while folders:
        folder, prefix = folders.pop()
        try:
            with os.scandir(folder) as entries:
                kinds = [(entry.name, entry.is_dir(follow_symlinks=False), entry.is_symlink()) for entry in entries]
        except OSError as error:
            uri = printable_name(prefix) or "./"
            yield SourceFile(uri, uri, folder, rule="unreadable", detail=reason(error))
            continue
        for name, is_folder, is_link in kinds:
            path = os.path.join(folder, name)
            if is_folder:
                folders.append((path, f"{prefix}{name}/"))
                continue
            uri = printable_name(prefix + name)
            real = os.path.realpath(path) if is_link else path
            if is_link and real != top and not real.startswith(top.rstrip("/") + "/"):
                yield SourceFile(uri, uri, path, rule="symlink_outside", detail="it leads out of the source's folder")
            elif not is_link or not os.path.isdir(real):
                yield _file(uri, uri, real)
            # Otherwise it links to a folder inside the source, whose files are listed there.


def _file(uri: str, file_key: str, path: str) -> SourceFile:
    """Describes the file at a path without symlinks."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError as error:
        return SourceFile(uri, file_key, path, rule="unreadable", detail=reason(error))
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFLNK: "a symlink to itself"}
        kind = kinds.get(stat.S_IFMT(status.st_mode), "a device")
        return SourceFile(uri, file_key, path, rule="not_a_file", detail=f"it is {kind}")
    return SourceFile(uri, file_key, path, status.st_size)


def judged(file: SourceFile, suffixes: tuple[str, ...], max_bytes: int) -> SourceFile:
    """The file, with the rule that it breaks by its name or size."""
    if file.rule is None and not file.uri.lower().endswith(suffixes):
        name, suffix = os.path.splitext(file.uri)
        return file._replace(rule="unknown_kind", detail=f"its name ends in {suffix or os.path.basename(name)}")
    if file.rule is None and file.size > max_bytes:
        return file._replace(rule="file_too_large", detail=f"{file.size:,} bytes; at most {max_bytes:,} are read")
    return file


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\\":
        return "\\\\"
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python shows a byte of a name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}"
