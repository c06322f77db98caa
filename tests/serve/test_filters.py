"""Filters: whole words, patterns, personal data; no part of a match is ever sent, however the text is cut."""

from __future__ import annotations

import random
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from dolly.config import ServeFilter
from dolly.serve.errors import Refusal
from dolly.serve.filters import FilteredAnswer, Filters, make_filter
from tests.serve.scripted import app_of
from tests.serve.test_app import CHAT, events

RIVAL = {"name": "rival", "words": ["Acme", "Acme Tools", "C++"], "action": "mask"}
PROJECT = {"name": "project", "pattern": r"PRJ-\d{4}", "action": "refuse"}
PERSONAL = {"name": "personal", "personal_data": ["EMAIL", "PHONE", "IBAN"], "action": "mask"}


def filters(*settings: dict[str, Any]) -> Filters:
    return Filters([make_filter(ServeFilter.model_validate(each)) for each in settings])


TEXTS = [
    ("Ask Acme Tools, acme or ACME.", "Ask [rival], [rival] or [rival]."),
    ("acmeist pacme Acme's C++!", "acmeist pacme [rival]'s [rival]!"),
    ("Mail ann@example.com or call +49 30 901820 now.", "Mail [personal] or call [personal] now."),
    ("IBAN: DE89 3704 0044 0532 0130 00. Acme", "IBAN: [personal]. [rival]"),
    ("nothing here " * 40, "nothing here " * 40),
    ("", ""),
]


@pytest.mark.parametrize(("text", "masked"), TEXTS)
def test_questions_are_masked(text: str, masked: str) -> None:
    assert filters(RIVAL, PROJECT, PERSONAL).question(text, param="messages") == masked


@pytest.mark.parametrize(("text", "masked"), TEXTS)
@pytest.mark.parametrize("seed", range(8))
def test_answers_are_masked_however_they_are_cut(text: str, masked: str, seed: int) -> None:
    draw = random.Random(seed)
    answer = FilteredAnswer(filters(RIVAL, PROJECT, PERSONAL)._output)
    sent, left = "", text
    while left:
        size = draw.randrange(1, 12)
        sent += answer.add(left[:size])
        left = left[size:]
        assert masked.startswith(sent)
    assert sent + answer.end() == masked
    assert not answer.refused


@pytest.mark.parametrize("size", [1, 3, 50])
def test_an_answer_ends_before_a_match_that_is_refused(size: int) -> None:
    text = "The file PRJ-1234 is open. " + "More of it. " * 30
    answer = FilteredAnswer(filters(PROJECT)._output)
    sent = ""
    for start in range(0, len(text), size):
        sent += answer.add(text[start : start + size])
    assert sent + answer.end() == "The file "
    assert answer.refused


def test_a_question_that_is_refused() -> None:
    with pytest.raises(Refusal, match="the filter project refuses") as refused:
        filters(RIVAL, PROJECT).question("Acme has PRJ-0001", param="messages")
    assert (refused.value.status, refused.value.code) == (400, "content_filter")
    assert filters(PROJECT | {"of": "output"}).question("PRJ-0001", param="messages") == "PRJ-0001"


def test_words_of_a_file(tmp_path: Any) -> None:
    (tmp_path / "words.txt").write_text("Acme\n\n  Über Ltd \n", encoding="utf-8")
    settings = {"name": "x", "words_file": str(tmp_path / "words.txt"), "action": "mask"}
    assert filters(settings).question("über ltd and Acme", param="m") == "[x] and [x]"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"words": ["a"], "pattern": "b"},
        {"pattern": "("},
        {"personal_data": ["SHOE_SIZE"]},
        {"words": ["a"], "of": "x"},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ServeFilter.model_validate({"name": "x"} | settings)


def test_the_server_filters(tiny_tokenizer: Any) -> None:
    text = "Acme opens PRJ-1234 at ten. " * 20
    app = app_of(tiny_tokenizer, text, filters=filters(RIVAL, PROJECT), context_length=1000)
    client = TestClient(app)

    def ask(question: str) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": question}]}

    choice = client.post(CHAT, json=ask("What of Acme?")).json()["choices"][0]
    assert choice["message"]["content"] == "[rival] opens "
    assert choice["finish_reason"] == "content_filter"
    assert "What of [rival]?" in tiny_tokenizer.decode(app.engine.asked[0][0])
    chunks = events(client, **ask("What of Acme?"))
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "[rival] opens "
    assert chunks[-1]["choices"][0]["finish_reason"] == "content_filter"
    assert app.engine.cancelled == 2
    refused = client.post(CHAT, json=ask("Open PRJ-1234"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "content_filter")
    for key in ("logprobs", "return_token_ids"):
        assert client.post(CHAT, json=ask("x") | {key: True}).status_code == 400
