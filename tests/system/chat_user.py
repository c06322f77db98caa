"""What a user does on the chat page."""

from __future__ import annotations

import json
from typing import Any

from tests.system.chat_server import ChatServer
from tests.system.devtools import Chromium, Page

IDLE = "!document.body.dataset.busy && !document.querySelector('[aria-busy]')"
NARROW = "document.documentElement.scrollWidth <= innerWidth"


def opened(browser: Chromium, server: ChatServer, **size: Any) -> Page:
    """The page, once it knows the models."""
    page = browser.open(server.address, **size)
    page.wait("document.querySelector('#model-1').value")
    return page


def foreign(page: Page, server: ChatServer) -> list[str]:
    """What the page asked of others."""
    return [url for url in page.requests if not url.startswith(server.address) and url != "about:blank"]


def write(page: Page, text: str) -> None:
    """Types a question and presses Enter."""
    page.run("document.querySelector('#question').focus()")
    page.type(text)
    page.press("Enter")


def ask(page: Page, text: str, selector: str = ".answer") -> str:
    """Asks a question; returns what the last answer shows once it has ended."""
    before = page.run(f"document.querySelectorAll('{selector}').length")
    write(page, text)
    page.wait(f"document.querySelectorAll('{selector}').length > {before} && {IDLE}")
    return str(page.run(f"[...document.querySelectorAll('{selector}')].at(-1).innerText"))


def lines(server: ChatServer) -> list[dict[str, Any]]:
    """The feedback that the server has stored."""
    files = sorted(server.feedback.glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]
