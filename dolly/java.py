"""Finds the Java that Spark needs. Uses only the standard library, since set-up runs it first.

python3 dolly/java.py          prints the home of a Java 17 or newer, or how to get one
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

MINIMUM = 17
_USUAL_FOLDERS = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/opt/java/*",
    "/opt/homebrew/opt/openjdk*",
    "/usr/local/opt/openjdk*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
)
ADVICE = (
    "apt-get install openjdk-17-jre-headless (Debian, Ubuntu), dnf install java-17-openjdk-headless "
    "(Fedora, RHEL) or brew install openjdk@17 (macOS), or set JAVA_HOME"
)


def find_java() -> Path | None:
    """The home folder of a Java >= 17: `JAVA_HOME`, then PATH, then the usual folders."""
    return next((home for home in _candidates() if (version(home) or 0) >= MINIMUM), None)


def version(home: Path) -> int | None:
    """Major version of the Java in `home`; None if none runs."""
    try:
        answer = subprocess.run(
            [home / "bin" / "java", "-version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(\d+)', answer.stderr)
    return int(match[1]) if match else None


def _candidates() -> list[Path]:
    homes = []
    if home := os.environ.get("JAVA_HOME"):
        homes.append(Path(home))
    if binary := shutil.which("java"):
        homes.append(Path(binary).resolve().parent.parent)
    for pattern in _USUAL_FOLDERS:
        homes += [Path(home_path) for home_path in sorted(glob.glob(pattern), reverse=True)]  # noqa: PTH207 (absolute patterns)
    return homes


if __name__ == "__main__":
    java = find_java()
    if java is None:
        sys.exit(f"dolly: found no Java {MINIMUM} or newer; expected one for Spark; to fix: {ADVICE}")
    print(java)
