"""Keys of OpenAI's API: each is used, accepted because it asks for nothing, or refused with the reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dolly.serve.api import IGNORED, NEUTRAL, ChatRequest, CompletionRequest, parse
from dolly.serve.errors import Refusal

HELLO = {"messages": [{"role": "user", "content": "Which gate?"}]}
# The keys of `chat.completions.create` and `completions.create` of openai 2.x.
CHAT_KEYS = """
messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens
max_tokens metadata modalities n parallel_tool_calls prediction presence_penalty prompt_cache_key
prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier stop store stream
stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options
"""
PLAIN_KEYS = """
model prompt best_of echo frequency_penalty logit_bias logprobs max_tokens n presence_penalty seed stop stream
stream_options suffix temperature top_p user
"""
ASKS = {
    "audio": {"voice": "alloy", "format": "mp3"},
    "best_of": 3,
    "echo": True,
    "function_call": {"name": "f"},
    "functions": [{"name": "f"}],
    "logit_bias": {"5": 10},
    "modalities": ["text", "audio"],
    "reasoning_effort": "high",
    "store": True,
    "suffix": "end",
    "top_logprobs": 3,
    "verbosity": "low",
    "web_search_options": {},
    "chat_template": "{{ x }}",
    "chat_template_kwargs": {"x": 1},
}


def chat(**keys: Any) -> ChatRequest:
    return parse(ChatRequest, json.dumps(HELLO | keys).encode())


def test_each_key_of_openais_client_is_known() -> None:
    known = {*IGNORED, *NEUTRAL}
    assert set(CHAT_KEYS.split()) <= {*ChatRequest.model_fields, *known}
    assert set(PLAIN_KEYS.split()) <= {*CompletionRequest.model_fields, *known}
    assert not known & {*ChatRequest.model_fields, *CompletionRequest.model_fields}


@pytest.mark.parametrize("key", [key for key in CHAT_KEYS.split() if key != "messages"])
def test_null_asks_for_nothing(key: str) -> None:
    assert chat(**{key: None}) == chat()


@pytest.mark.parametrize("key", sorted(NEUTRAL))
def test_neutral_values_ask_for_nothing_and_others_are_refused(key: str) -> None:
    for value in NEUTRAL[key][0]:
        assert chat(**{key: value}) == chat()
    with pytest.raises(Refusal) as refused:
        chat(**{key: ASKS[key]})
    assert NEUTRAL[key][1] in refused.value.message
    assert refused.value.param == key


def test_neutral_values_have_their_own_type() -> None:
    for key, value in (("store", 0), ("top_logprobs", False), ("best_of", True)):
        with pytest.raises(Refusal, match=key):
            chat(**{key: value})


@pytest.mark.parametrize("key", sorted(IGNORED))
def test_keys_that_change_no_answer_are_accepted(key: str) -> None:
    assert chat(**{key: "anything"}) == chat()


def test_unknown_keys_are_refused_by_name() -> None:
    with pytest.raises(Refusal, match="beam_width") as refused:
        chat(beam_width=4)
    assert refused.value.param == "beam_width"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"role": "developer", "content": "Be short."}, "Be short."),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"role": "user", "content": "x", "name": "Ann"}, "x"),
        ({"role": "assistant", "content": None, "refusal": "I can't."}, "I can't."),
        (
            {
                "content": "Gate 4.",
                "refusal": None,
                "role": "assistant",
                "annotations": [],
                "audio": None,
                "function_call": None,
                "tool_calls": None,
            },
            "Gate 4.",
        ),
    ],
)
def test_messages_as_clients_build_them(message: dict[str, Any], text: str) -> None:
    request = chat(messages=[*HELLO["messages"], message])
    assert request.messages[-1].text == text


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
        {"role": "assistant", "content": None},
        {"role": "assistant", "audio": {"id": "a"}, "content": "x"},
        {"role": "user"},
    ],
)
def test_messages_without_text_are_refused(message: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match="messages"):
        chat(messages=[*HELLO["messages"], message])
