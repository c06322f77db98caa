"""Hostile answers, and how the chat page looks: desktop, phone, dark. The pictures are for people to look at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.system.chat_server import ChatServer
from tests.system.chat_user import NARROW, ask, opened
from tests.system.devtools import Chromium, Page
from tests.system.hostile import HOSTILE

_BELOW = "document.querySelector('footer').getBoundingClientRect().top"
VOTES_SHOWN = f"document.querySelector('.votes button:last-child').getBoundingClientRect().bottom <= {_BELOW}"
PICTURES = Path(os.environ.get("DOLLY_PICTURES", "/tmp/page-shots"))


def test_hostile_answers_are_text(page: Page, chat: ChatServer) -> None:
    page.run("document.addEventListener('securitypolicyviolation', () => { window.violated = true })")
    for number, hostile in enumerate(HOSTILE):
        ask(page, f"hostile {number}")
        shown = page.run("[...document.querySelectorAll('.answer .text')].at(-1).textContent")
        assert "evil.example" in shown or "canary" in shown, hostile[:80]
        assert page.run("window.canary") is None, hostile[:80]
    kinds = "script, img, iframe, object, embed, video, audio, link, meta, style, base, a, form, svg:not(.icon svg)"
    assert page.run(f"document.querySelectorAll('#log :is({kinds})').length") == 0
    assert page.run("[...document.querySelectorAll('#log *')].filter(e => e.getAttribute('style')).length") == 0
    assert page.run("performance.getEntriesByType('resource').map(entry => entry.name).join()").count("evil") == 0
    assert page.run("window.violated") is None
    assert len(HOSTILE) >= 50
    assert not page.printed


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_and_a_dark_page(browser: Chromium, chat: ChatServer, dark: bool) -> None:
    page = opened(browser, chat, width=360, height=740, phone=True, dark=dark)
    ask(page, "markdown please")
    assert page.run(NARROW)
    page.picture(PICTURES / f"phone{'-dark' if dark else ''}.png")
    page.click("Side by side")
    page.click("Settings")
    assert page.run(NARROW)
    ask(page, "markdown please", ".pair")
    rightmost = page.run(
        "Math.max(...[...document.querySelectorAll('button')].map(e => e.getBoundingClientRect().right))"
    )
    assert rightmost <= 360
    assert page.run(NARROW)
    page.wait(VOTES_SHOWN)
    page.picture(PICTURES / f"phone-pair{'-dark' if dark else ''}.png")
    light = page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light != dark


@pytest.mark.parametrize("dark", [False, True])
def test_pictures(browser: Chromium, chat: ChatServer, dark: bool) -> None:
    page, end = opened(browser, chat, dark=dark), "-dark" if dark else ""
    page.picture(PICTURES / f"empty{end}.png")
    ask(page, "markdown please")
    page.picture(PICTURES / f"desktop{end}.png")
    ask(page, "fails" if dark else "lost")
    page.click("Correct", within=".answer")
    page.picture(PICTURES / f"error{end}.png")
    page.click("Side by side")
    page.click("Settings")
    page.picture(PICTURES / f"settings{end}.png")
    ask(page, "markdown please", ".pair")
    page.wait(VOTES_SHOWN)
    page.picture(PICTURES / f"pair{end}.png")
    page.click("A is better")
    page.wait("document.querySelector('.pair').innerText.includes('Stored.')")
    page.picture(PICTURES / f"pair-voted{end}.png")
