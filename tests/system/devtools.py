"""Chromium as a user has it: pages are opened, clicked and typed into, by DevTools' protocol over two pipes.

It asks no address but this machine's; what a page asked for, ran and printed is kept.
"""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.system.browser import SILENT

_SECONDS = 20
_KEYS = {"Enter": 13, "Escape": 27, "Tab": 9, "Space": 32}
_TEXTS = {"Enter": "\r", "Space": " "}


class Chromium:
    """A browser without a window."""

    def __init__(self, profile: str) -> None:
        program = shutil.which("chromium")
        assert program, "no Chromium; run make system"
        to_read, self._to = (_high(each) for each in os.pipe())
        self._from, to_write = (_high(each) for each in os.pipe())
        # The browser reads from descriptor 3 and writes to 4.
        shell = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
        options = (*SILENT, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank")
        self._process = subprocess.Popen(
            ["bash", "-c", shell, program, *options],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self.pages: dict[str, Page] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Calls a method of the protocol; returns its result."""
        number = next(self._numbers)
        waiting = self._answers[number] = queue.Queue[dict[str, Any]]()
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._to, json.dumps(message).encode() + b"\0")
        answer = waiting.get(timeout=_SECONDS)
        assert "error" not in answer, (method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, url: str, **size: Any) -> Page:
        """Opens a page in a context of its own, as a private window."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        target = self.send("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session)
        origin = url.split("/", 3)[:3]
        permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
        self.send(
            "Browser.grantPermissions", origin="/".join(origin), permissions=permissions, browserContextId=context
        )
        page.show(url, **size)
        return page

    def kill(self) -> None:
        """Ends it at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._to)

    def _read(self) -> None:
        rest = b""
        while data := os.read(self._from, 1 << 20):
            *messages, rest = (rest + data).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self._answers.pop(message["id"]).put(message)
                elif page := self.pages.get(message.get("sessionId", "")):
                    page.note(message["method"], message["params"])
        os.close(self._from)


class Page:
    """A page.

    Attributes:
        requests: the addresses that it asked for.
        printed: what it printed, and what the browser had to say about it.
        dialogs: messages of `alert` and its like.
    """

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser, self._session = browser, session
        self.requests: list[str] = []
        self.printed: list[str] = []
        self.dialogs: list[str] = []

    def note(self, event: str, parameters: dict[str, Any]) -> None:
        """Keeps an event."""
        if event == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.printed.append(json.dumps(parameters))
        elif event == "Page.javascriptDialogOpening":
            self.dialogs.append(parameters["message"])

    def show(self, url: str, *, width: int = 1200, height: int = 800, dark: bool = False, phone: bool = False) -> None:
        """Goes to an address."""
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._send(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self._send("Emulation.setDeviceMetricsOverride", **size)
        self._send("Emulation.setFocusEmulationEnabled", enabled=True)  # several pages are open
        self._send("Page.navigate", url=url)
        self.wait("location.href !== 'about:blank' && document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript; a promise is waited for."""
        done = self._send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, script: str, *, seconds: float = _SECONDS) -> None:
        """Waits until an expression is true."""
        deadline = time.monotonic() + seconds
        while not self.run(f"Boolean({script})"):
            assert time.monotonic() < deadline, (script, self.text(), self.printed)
            time.sleep(0.02)

    def text(self, selector: str = "body") -> str:
        """What a part of the page shows."""
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def click(self, name: str, *, within: str = "body") -> None:
        """Clicks the last button with this text or label, in the last part that the selector finds."""
        buttons = "querySelectorAll('button, summary, label')"
        found = (
            f"[...[...document.querySelectorAll({json.dumps(within)})].at(-1).{buttons}]"
            f".filter(each => !each.closest('[hidden]') && [each.innerText?.trim(), each.ariaLabel]"
            f".includes({json.dumps(name)})).at(-1)"
        )
        self.wait(f"{found} !== undefined")
        self.run(f"{found}.click()")

    def press(self, key: str, *, shift: bool = False) -> None:
        """Presses a key."""
        event = {"key": " " if key == "Space" else key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
        event["modifiers"] = 8 if shift else 0
        down = "keyDown" if key in _TEXTS else "rawKeyDown"
        self._send("Input.dispatchKeyEvent", type=down, **event, **({"text": _TEXTS[key]} if key in _TEXTS else {}))
        self._send("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text: str) -> None:
        """Types into what has the focus."""
        self._send("Input.insertText", text=text)

    def picture(self, file: Path, *, whole: bool = False) -> None:
        """Keeps what the page shows as a PNG file."""
        data = self._send("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(data))

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.send(method, self._session, **parameters)


def _high(descriptor: int) -> int:
    """The same pipe under a number that is neither 3 nor 4."""
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return copy


@contextmanager
def chromium() -> Iterator[Chromium]:
    """A browser with an empty profile, while the block runs."""
    with tempfile.TemporaryDirectory(prefix="dolly-chromium-", ignore_cleanup_errors=True) as profile:
        browser = Chromium(profile)
        try:
            yield browser
        finally:
            browser.kill()
