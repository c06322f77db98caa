"""Pictures of pages by headless Chromium, which asks no address but this machine's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

SILENT = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def screenshot(url: str, picture: Path, *, width: int = 1600, height: int = 1000, seconds: int = 20) -> Path:
    """Opens a page and keeps what it shows as a PNG file.

    Args:
        url: an address on 127.0.0.1.
        picture: file to write.
        width: of the window, in pixels.
        height: of the window, in pixels.
        seconds: how long scripts and requests of the page may take, in the page's own time.
    """
    program = shutil.which("chromium")
    assert program, "no Chromium; run make system"
    with tempfile.TemporaryDirectory(prefix="dolly-chromium-", ignore_cleanup_errors=True) as profile:
        page = (f"--window-size={width},{height}", f"--virtual-time-budget={1000 * seconds}", f"--screenshot={picture}")
        command = [program, *SILENT, f"--user-data-dir={profile}", *page, url]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        try:
            printed, _ = process.communicate(timeout=180)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, printed
    assert picture.is_file(), printed
    return picture
