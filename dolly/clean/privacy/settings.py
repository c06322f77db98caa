"""How personal data is masked: kinds, regions, names and the key; sent to the executors."""

from __future__ import annotations

import hashlib
import hmac
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dolly.clean.privacy.key import load_or_create_key
from dolly.errors import DataError

if TYPE_CHECKING:
    from dolly.config_data import Privacy
    from dolly.state import State

# Another version of one may detect other spans.
_PACKAGES = ("phonenumbers", "python-stdnum")


@dataclass(frozen=True)
class PrivacySettings:
    """What detector and pseudonyms are built from; `key` is never shown."""

    kinds: tuple[str, ...]
    regions: tuple[str, ...]
    names: tuple[str, ...]
    key: bytes

    def __repr__(self) -> str:
        return f"PrivacySettings(kinds={self.kinds}, regions={self.regions}, names={len(self.names)}, key=hidden)"

    @property
    def sha256(self) -> str:
        """A hash of all that decides how a text is masked: these settings, the code, the packages; not the key."""
        parts = {
            "settings": (self.kinds, self.regions, self.names),
            # Another key gives another hash, from which nobody learns the key.
            "key": hmac.new(self.key, b"identity", "sha256").hexdigest(),
            "code": _code(),
            "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def privacy_settings(privacy: Privacy, state: State) -> PrivacySettings | None:
    """The settings of a config; None where it switches masking off.

    Raises:
        DataError: a names file that can't be read.
        EnvironmentFault: a key file that can't be read or written.
    """
    if privacy.action == "off":
        return None
    names: tuple[str, ...] = ()
    if privacy.names_file is not None:
        file = Path(privacy.names_file)
        if not file.is_file():
            raise DataError(
                found=f"no file {file}", expected="full names, one a line", fix="correct clean.privacy.names_file"
            )
        names = tuple(sorted({line.strip() for line in file.read_text(encoding="utf-8").splitlines()} - {""}))
    key_file = Path(privacy.key_file) if privacy.key_file else state.privacy_key
    return PrivacySettings(privacy.kinds, privacy.regions, names, load_or_create_key(key_file))


def _code() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
