"""The chat page in Chromium, on a real server with scripted models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dolly.serve.keys import KeyFile
from tests.system.chat_server import ChatServer, chat_server
from tests.system.chat_user import IDLE, ask, lines, opened, write
from tests.system.devtools import Chromium, Page


def test_a_conversation(page: Page, chat: ChatServer) -> None:
    page.click("Settings")
    page.run("document.querySelector('#system').value = 'Be short.'")
    assert "champion: the gate is open." in ask(page, "Which gate?")
    assert "champion" in ask(page, "And then?")
    prompt = chat.engines["champion"].prompts[-1]
    for part in ("system\nBe short.", "user\nWhich gate?", "assistant\nchampion: the gate is open.", "user\nAnd then?"):
        assert part in prompt
    page.run("document.querySelector('#model-1').value = 'gate@challenger'")
    assert "challenger: the gate is open." in ask(page, "hello")
    page.click("Copy", within=".answer")
    page.wait("[...document.querySelectorAll('#log .actions button')].at(-4).innerText === 'Copied'")
    assert page.run("navigator.clipboard.readText()") == "challenger: the gate is open."
    page.click("New conversation")
    assert not page.text("#log")
    ask(page, "hello")
    assert "Which gate?" not in chat.engines["challenger"].prompts[-1]
    assert not page.printed


def test_an_answer_streams_and_stops(page: Page, chat: ChatServer) -> None:
    engine = chat.engines["champion"]
    for stop in (lambda: page.press("Escape"), lambda: page.click("Stop")):
        before = engine.cancelled
        write(page, "slow story")
        page.wait("[...document.querySelectorAll('.answer .text')].at(-1)?.innerText.length > 30")
        first = page.run("[...document.querySelectorAll('.answer .text')].at(-1).innerText.length")
        page.wait(f"[...document.querySelectorAll('.answer .text')].at(-1).innerText.length > {first}")
        stop()
        page.wait(IDLE)
        page.wait("[...document.querySelectorAll('.answer')].at(-1).innerText.includes('Stopped.')")
        while engine.running:
            page.run("new Promise(done => setTimeout(done, 20))")
        assert engine.cancelled == before + 1
    assert 30 < page.run("[...document.querySelectorAll('.answer .text')].at(-1).innerText.length") < 1500
    ask(page, "hello")
    assert "assistant\nword word" in engine.prompts[-1]


@pytest.mark.parametrize(
    ("word", "message"), [("fails", "the process ended; try again"), ("lost", "The connection was lost")]
)
def test_a_fault_is_shown_with_what_came_before_it(page: Page, chat: ChatServer, word: str, message: str) -> None:
    shown = ask(page, f"{word} now")
    assert "Gate" in shown
    assert message in shown
    chat.engines["champion"].healthy.add(word)
    page.click("Retry", within=".answer")
    page.wait(f"document.querySelectorAll('.answer').length === 2 && {IDLE}")
    assert message in page.text(".answer")
    assert "Gate 4 is Gate 4 is" in page.run("document.querySelectorAll('.answer')[1].innerText")
    ask(page, "hello")
    assert chat.engines["champion"].prompts[-1].count(f"user\n{word}") == 1


def test_a_full_server_says_when_to_come_back(browser: Chromium, tiny_tokenizer: Any, tmp_path: Path) -> None:
    with chat_server(tmp_path, tiny_tokenizer, running=1, waiting=0) as server:
        first, second = opened(browser, server), opened(browser, server)
        write(first, "slow story")
        first.wait("document.querySelector('.answer .text')?.innerText")
        shown = ask(second, "hello")
        assert "Error 429" in shown
        assert "The server asks to wait" in shown
        first.click("Stop")
        first.wait(IDLE)
        second.click("Retry", within=".answer")
        second.wait("document.querySelector('#log').innerText.includes('the gate is open')")
        address = server.address
    assert "The server can't be reached." in ask(second, "hello again"), address


def test_two_answers_side_by_side_and_blind(page: Page, chat: ChatServer) -> None:
    page.click("Side by side")
    for vote, key in (("B is better", "b"), ("Tie", "tie"), ("Both are bad", "neither"), ("A is better", "a")):
        ask(page, "hello", ".pair")
        shown = page.run("[...document.querySelectorAll('.pair')].at(-1).innerText")
        titles = [title for title in shown.splitlines() if title in ("A", "B")]
        assert titles == ["A", "B"]
        assert "gate@" not in shown
        pairs = page.run("document.querySelectorAll('.pair').length")
        write(page, "too early")
        assert page.run("document.querySelectorAll('.pair').length") == pairs
        assert "Vote first" in page.text("#status")
        page.run("document.querySelector('#question').value = ''")
        page.click(vote, within=".pair")
        page.wait("[...document.querySelectorAll('.pair')].at(-1).innerText.includes('Stored.')")
        stored = lines(chat)[-1]
        assert (stored["vote"], stored["rating"], stored["correction"]) == (key, None, None)
        shown = page.run("[...document.querySelectorAll('.pair')].at(-1).innerText")
        for letter, answer in zip("AB", stored["answers"], strict=True):
            assert answer["version"] == {"champion": "7", "challenger": "3"}[answer["alias"]]
            assert answer["text"].startswith(answer["alias"])
            assert f"{letter}: gate@{answer['alias']}, version {answer['version']}" in shown
    page.click("Continue with B", within=".pair")
    ask(page, "hello", ".pair")
    kept = stored["answers"][1]["text"]
    assert f"assistant\n{kept}" in chat.engines["champion"].prompts[-1]


def test_a_pair_with_one_answer_is_tried_again_and_can_be_skipped(page: Page, chat: ChatServer) -> None:
    page.click("Side by side")
    chat.engines["challenger"].healthy.add("fails")
    shown = ask(page, "fails now", ".pair")
    assert "the process ended" in shown
    assert "No vote: an answer has failed." in shown
    assert "gate@" not in shown
    chat.engines["champion"].healthy.add("fails")
    before = len(lines(chat))
    page.click("Retry", within=".pair")
    page.wait(f"document.querySelector('.votes').innerText.includes('Which answer is better?') && {IDLE}")
    assert "the process ended" not in page.text(".pair")
    page.click("Skip, show the models", within=".pair")
    assert "gate@champion" in page.text(".pair")
    assert len(lines(chat)) == before


def test_a_server_that_stores_nothing(browser: Chromium, tiny_tokenizer: Any, tmp_path: Path) -> None:
    with chat_server(tmp_path, tiny_tokenizer, stored=False) as server:
        page = opened(browser, server)
        ask(page, "hello")
        assert page.run("[...document.querySelectorAll('.answer button')].map(each => each.innerText)") == ["Copy"]
        page.click("Side by side")
        ask(page, "hello", ".pair")
        page.click("Tie", within=".pair")
        page.wait("document.querySelector('.pair').innerText.includes('gate@champion')")
        assert "Stored" not in page.text(".pair")
        assert not server.feedback.exists()


def test_ratings_and_corrections_are_stored(page: Page, chat: ChatServer) -> None:
    ask(page, "hello")
    for label, rating in (("Good answer", "up"), ("Bad answer", "down")):
        page.click(label, within=".answer")
        page.wait(f"document.querySelector('[aria-label=\"{label}\"]').ariaPressed === 'true'")
        assert lines(chat)[-1]["rating"] == rating
    page.click("Correct", within=".answer")
    page.run("document.activeElement.select()")
    page.type("The gate is <b>shut</b>.")
    page.click("Save", within=".answer")
    page.wait("document.querySelector('.corrected')")
    assert "The gate is <b>shut</b>." in page.text(".corrected")
    stored = lines(chat)[-1]
    assert stored["correction"] == "The gate is <b>shut</b>."
    assert stored["messages"] == [{"role": "user", "content": "hello"}]
    assert stored["answers"][0]["text"] == "champion: the gate is open."
    assert stored["answers"][0]["response"].startswith("chatcmpl-")
    ask(page, "hello")
    assert "assistant\nThe gate is <b>shut</b>." in chat.engines["champion"].prompts[-1]


def test_feedback_that_is_not_stored_is_shown(browser: Chromium, tiny_tokenizer: Any, tmp_path: Path) -> None:
    with chat_server(tmp_path, tiny_tokenizer) as server:
        server.feedback.write_text("a file where the folder should be")
        page = opened(browser, server)
        ask(page, "hello")
        page.click("Good answer", within=".answer")
        page.wait("document.querySelector('.place .error')")
        assert "was not stored" in page.text(".place")
        server.feedback.unlink()
        page.click("Retry", within=".place")
        page.wait("document.querySelector('.place').innerText === 'Stored.'")
        assert lines(server)[-1]["rating"] == "up"


def test_the_page_asks_for_a_key(browser: Chromium, tiny_tokenizer: Any, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key = keys.add("ann")
    with chat_server(tmp_path, tiny_tokenizer, keys=keys) as server:
        page = browser.open(server.address)
        for given in ("dolly-wrong", key):
            page.wait("document.querySelector('dialog').open")
            page.type(given)
            page.press("Enter")
        page.wait("document.querySelector('#model-1').value")
        ask(page, "hello")
        page.click("Good answer", within=".answer")
        page.wait("document.querySelector('.place')?.innerText === 'Stored.'")
        assert lines(server)[-1]["owner"] == "ann"
        assert page.run("[localStorage.length, document.cookie, Object.values(sessionStorage).join()]") == [0, "", key]
        keys.revoke("ann")
        write(page, "hello")
        page.wait("document.querySelector('dialog').open")
        assert "not valid" in page.text("dialog")
        page.press("Escape")
        page.wait(IDLE)
        assert "Error 401" in page.run("[...document.querySelectorAll('.answer')].at(-1).innerText")


def test_the_keyboard_is_enough(page: Page, chat: ChatServer) -> None:
    assert page.run("document.activeElement.id") == "question"
    page.type("hello")
    page.press("Enter", shift=True)
    page.type("there")
    assert page.run("document.activeElement.value") == "hello\nthere"
    page.press("Enter")
    page.wait(f"document.querySelector('.answer .actions button') && {IDLE}")
    page.run("document.querySelector('#new').focus()")
    reached = []
    for _ in range(8):
        page.press("Tab")
        reached.append(
            page.run(
                "document.activeElement.ariaLabel ?? (document.activeElement.innerText || document.activeElement.id)"
            )
        )
    assert reached[:6] == ["Settings", "Copy", "Good answer", "Bad answer", "Correct", "question"]
    page.run("document.querySelector('[aria-label=\"Good answer\"]').focus()")
    page.press("Space")
    page.wait("document.querySelector('.place')?.innerText === 'Stored.'")
    unnamed = "[...document.querySelectorAll('input, select, textarea')].filter(each => !each.labels.length).length"
    assert page.run(unnamed) == 0
