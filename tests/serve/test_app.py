"""The routes, with an engine that says what the test wants: OpenAI's format, refusals, clients that leave."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from dolly.serve.models import Models
from dolly.serve.routes import Limits
from tests.serve.scripted import ScriptedEngine, app_of, served

CHAT, PLAIN = "/v1/chat/completions", "/v1/completions"
HELLO = {"messages": [{"role": "user", "content": "Which gate?"}]}


@pytest.fixture
def app(tiny_tokenizer: Any) -> Any:
    return app_of(tiny_tokenizer)


@pytest.fixture
def client(app: Any) -> TestClient:
    return TestClient(app)


def events(client: Any, path: str = CHAT, **request: Any) -> list[dict[str, Any]]:
    with client.stream("POST", path, json=request | {"stream": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_a_chat_answer(client: TestClient) -> None:
    body = client.post(CHAT, json=HELLO | {"return_token_ids": True}).json()
    (choice,) = body["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Gate 4 is open.", "refusal": None}
    assert choice["finish_reason"] == "stop"
    assert body["object"] == "chat.completion"
    assert body["model"] == "m"
    usage = body["usage"]
    assert usage["completion_tokens"] == len(choice["token_ids"])
    assert usage["prompt_tokens"] == len(body["prompt_token_ids"])
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize("stop", [None, "is"])
def test_a_stream_is_the_whole_answer_in_pieces(client: TestClient, stop: str | None) -> None:
    whole = client.post(CHAT, json=HELLO | {"stop": stop}).json()
    chunks = events(client, **HELLO, stop=stop, stream_options={"include_usage": True})
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1])
    assert text == whole["choices"][0]["message"]["content"]
    assert chunks[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], whole["usage"])


def test_an_answer_that_is_cut_says_so(client: TestClient) -> None:
    choice = client.post(CHAT, json=HELLO | {"max_tokens": 3}).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert events(client, **HELLO, max_completion_tokens=3)[-1]["choices"][0]["finish_reason"] == "length"


def test_an_answer_ends_with_the_context(app: Any, client: TestClient) -> None:
    app.engine._ids_of = lambda _: [40] * 500
    long = {"messages": [{"role": "user", "content": "gate " * 80}]}
    body = client.post(CHAT, json=long).json()
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["total_tokens"] == app.engine.context_length


def test_several_answers(app: Any, client: TestClient) -> None:
    request = HELLO | {"n": 3, "temperature": 1.0, "seed": 5}
    assert [choice["index"] for choice in client.post(CHAT, json=request).json()["choices"]] == [0, 1, 2]
    assert sorted(sampling.seed for _, sampling in app.engine.asked) == [5, 6, 7]
    finished = [c["choices"][0] for c in events(client, **request) if c["choices"][0]["finish_reason"]]
    assert sorted(choice["index"] for choice in finished) == [0, 1, 2]


def test_log_probabilities(client: TestClient) -> None:
    content = client.post(CHAT, json=HELLO | {"logprobs": True}).json()["choices"][0]["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == "Gate 4 is open."
    assert {entry["logprob"] for entry in content} == {-0.5}
    streamed = [c["choices"][0]["logprobs"] for c in events(client, **HELLO, logprobs=True)]
    assert [e for logprobs in streamed if logprobs for e in logprobs["content"]] == content


def test_a_plain_completion_has_no_template(app: Any, client: TestClient, tiny_tokenizer: Any) -> None:
    body = client.post(PLAIN, json={"prompt": "Gate <|im_end|>", "logprobs": 0}).json()
    assert body["choices"][0]["text"] == "Gate 4 is open."
    assert "".join(body["choices"][0]["logprobs"]["tokens"]) == "Gate 4 is open."
    (ids, _) = app.engine.asked[0]
    assert tiny_tokenizer.decode(ids) == "Gate <|im_end|>"
    assert 2 not in ids
    two = client.post(PLAIN, json={"prompt": [[7, 8], [9]], "n": 2, "max_tokens": 2}).json()
    assert len(two["choices"]) == 4
    assert [ids for ids, _ in app.engine.asked[1:]] == [[7, 8], [7, 8], [9], [9]]
    assert len(events(client, PLAIN, prompt="Gate", max_tokens=2)) >= 2


TOOLS = [{"type": "function", "function": {"name": "gate", "description": "Opens.", "parameters": {"type": "object"}}}]
CALL = 'I open it. <tool_call>\n{"name": "gate", "arguments": {"number": 4}}\n</tool_call>'


def test_a_call_of_a_function(tiny_tokenizer: Any) -> None:
    app = app_of(tiny_tokenizer, CALL, context_length=2000)
    client = TestClient(app)
    choice = client.post(CHAT, json=HELLO | {"tools": TOOLS}).json()["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "I open it."
    assert call["function"]["name"] == "gate"
    assert json.loads(call["function"]["arguments"]) == {"number": 4}
    assert '"name": "gate"' in tiny_tokenizer.decode(app.engine.asked[0][0])
    chunks = [chunk["choices"][0] for chunk in events(client, **HELLO, tools=TOOLS)]
    assert "".join(chunk["delta"].get("content", "") for chunk in chunks) == "I open it."
    assert [c["delta"]["tool_calls"][0]["function"] for c in chunks if "tool_calls" in c["delta"]] == [call["function"]]
    assert chunks[-1]["finish_reason"] == "tool_calls"
    # The client sends the call back with its result.
    turns = [*HELLO["messages"], choice["message"], {"role": "tool", "tool_call_id": call["id"], "content": "opened"}]
    assert client.post(CHAT, json={"messages": turns, "tools": TOOLS}).status_code == 200
    prompt = tiny_tokenizer.decode(app.engine.asked[-1][0])
    assert "<tool_response>\nopened\n</tool_response>" in prompt
    assert CALL.split("\n")[1] in prompt


@pytest.mark.parametrize("text", ['<tool_call>{"name": "other"}</tool_call>', "<tool_call>{nonsense", "a < b <tool"])
def test_what_is_no_valid_call_stays_text(tiny_tokenizer: Any, text: str) -> None:
    client = TestClient(app_of(tiny_tokenizer, text, context_length=2000))
    message = client.post(CHAT, json=HELLO | {"tools": TOOLS}).json()["choices"][0]["message"]
    assert message["content"] == text
    assert "tool_calls" not in message
    chunks = events(client, **HELLO, tools=TOOLS)
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == text


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (CHAT, {"messages": []}, 400, "messages"),
        (CHAT, {}, 400, "messages"),
        (CHAT, {"messages": [{"role": "robot", "content": "x"}]}, 400, "role"),
        (CHAT, {"messages": [{"role": "user", "content": 3}]}, 400, "content"),
        (CHAT, {"messages": [{"role": "user", "content": None}]}, 400, "content"),
        (CHAT, {"messages": [{"role": "system", "content": "x"}]}, 400, "user message"),
        (CHAT, HELLO | {"temperature": 9}, 400, "temperature"),
        (CHAT, HELLO | {"temperature": "1"}, 400, "temperature"),
        (CHAT, HELLO | {"n": 0}, 400, "n"),
        (CHAT, HELLO | {"n": True}, 400, "n"),
        (CHAT, HELLO | {"model": "other"}, 404, "other"),
        (CHAT, HELLO | {"tool_choice": "required", "tools": TOOLS}, 400, "tool_choice"),
        (CHAT, HELLO | {"response_format": {"type": "json_object"}}, 400, "response_format"),
        (CHAT, {"messages": [{"role": "user", "content": "word " * 600}]}, 400, "prompt tokens"),
        (CHAT, {"messages": [{"role": "user", "content": "word " * 9000}]}, 400, "characters"),
        (CHAT, {"messages": [{"role": "user", "content": "word " * 300_000}]}, 413, "bytes"),
        (PLAIN, {}, 400, "prompt"),
        (PLAIN, {"prompt": ""}, 400, "prompt"),
        (PLAIN, {"prompt": [7, 100_000]}, 400, "token 100000"),
        (PLAIN, {"prompt": [-1]}, 400, "token -1"),
        (PLAIN, {"prompt": ["a"] * 33}, 400, "answers"),
    ],
)
def test_a_wrong_request_is_refused_in_openais_format(
    client: TestClient, path: str, body: dict[str, Any], status: int, words: str
) -> None:
    response = client.post(path, json=body)
    assert response.status_code == status
    error = response.json()["error"]
    assert words in error["message"]
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        b'{"messages": [{"role": "user", "content": "x"}], "seed": 1e400}',
        b"[" * 100_000,
        b'{"messages": [{"role": "user", "content": "x"}], "seed": ' + b"9" * 5000 + b"}",
        b"\xff\xfe",
    ],
)
def test_a_body_that_is_no_json_is_refused(client: TestClient, body: bytes) -> None:
    response = client.post(CHAT, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["message"]


@pytest.mark.parametrize("seed", [0, -1, 2**63, 2**64, 10**30])
@pytest.mark.parametrize("temperature", [1e-40, 1e-5, 2])
def test_extreme_numbers_are_answered(client: TestClient, seed: int, temperature: float) -> None:
    response = client.post(CHAT, json=HELLO | {"seed": seed, "temperature": temperature})
    assert response.status_code == 200


def test_routes_that_are_not_there(client: TestClient) -> None:
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", CHAT, 405),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/models/other", 404),
    ):
        response = client.request(method, path)
        assert response.status_code == status
        assert response.json()["error"]["type"] == "invalid_request_error"
    assert client.post(CHAT, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    for path in ("/health", "/ready", "/metrics", "/v1/models", "/v1/models/m", "/v1/models/m@champion"):
        assert client.get(path).status_code == client.head(path).status_code == 200


def test_an_engine_that_fails(tiny_tokenizer: Any) -> None:
    client = TestClient(app_of(tiny_tokenizer, fails_after=0))
    for stream in (False, True):  # before the first token: a status of its own
        response = client.post(CHAT, json=HELLO | {"stream": stream})
        assert response.status_code == 503
        assert response.headers["Retry-After"]
    with TestClient(app_of(tiny_tokenizer, fails_after=3)).stream("POST", CHAT, json=HELLO | {"stream": True}) as begun:
        lines = [line for line in begun.iter_lines() if line]
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["type"] == "server_error"


def test_an_answer_that_takes_too_long(tiny_tokenizer: Any) -> None:
    app = app_of(tiny_tokenizer, pause=0.1, limits=Limits(answer_seconds=0.15))
    response = TestClient(app).post(CHAT, json=HELLO)
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "timeout"
    assert app.engine.running == 0


def test_a_top_p_that_an_engine_may_round_to_zero_takes_the_likeliest_token(tiny_tokenizer: Any) -> None:
    app = app_of(tiny_tokenizer)
    assert TestClient(app).post(CHAT, json=HELLO | {"temperature": 1, "top_p": 1e-50}).status_code == 200
    assert app.engine.asked[0][1].top_p == 1e-6


def test_an_answer_that_outlasts_the_server_ends_with_an_error(tiny_tokenizer: Any) -> None:
    app = app_of(tiny_tokenizer, pause=0.05)
    with TestClient(app).stream("POST", CHAT, json=HELLO | {"stream": True}) as begun:
        lines = begun.iter_lines()
        next(lines)
        app.state.api.admission.drain(0)
        last = [line for line in lines if line][-1]
    assert "the server ends" in json.loads(last.removeprefix("data: "))["error"]["message"]
    assert app.engine.running == 0


async def request_that_leaves(app: Any, *, stream: bool) -> None:
    """Sends a request as an ASGI server does, and hangs up after some time."""
    sent = asyncio.Event()
    body = json.dumps(HELLO | {"stream": stream}).encode()
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in messages:
            return message
        await asyncio.sleep(0.1)
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        sent.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": "POST",
        "path": CHAT,
        "raw_path": CHAT.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await app(scope, receive, send)


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_whose_client_has_gone_is_cancelled(tiny_tokenizer: Any, stream: bool) -> None:
    app = app_of(tiny_tokenizer, "word " * 100, pause=0.02)

    async def scenario() -> None:
        await asyncio.gather(*[request_that_leaves(app, stream=stream) for _ in range(40)])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
            answer = await client.post(CHAT, json=HELLO | {"max_tokens": 2})
        assert answer.status_code == 200

    asyncio.run(scenario())
    assert app.engine.running == 0
    assert app.engine.cancelled >= 32  # the others left while they waited
    assert app.state.api.admission.in_use == 0
    assert 'outcome="cancelled"' in app.state.api.metrics.text().decode()


def test_a_moved_alias_serves_new_requests_and_ends_the_old_version_with_its_last_answer(tiny_tokenizer: Any) -> None:
    def model(version: str, text: str) -> Any:
        engine = ScriptedEngine(lambda _: tiny_tokenizer.encode(text), pause=0.01)
        return served(tiny_tokenizer, engine, version=version)

    old, new = model("1", "old " * 20), model("2", "new")
    models = Models({"m@champion": old})

    async def scenario() -> None:
        with models.in_use(models.find(None)):
            models.replace("m@champion", new)
            assert models.find("m") is models.find("m@champion") is new
            await asyncio.sleep(0.05)
            assert not old.engine.closed
        await asyncio.sleep(0.05)
        assert old.engine.closed
        assert not new.engine.closed

    asyncio.run(scenario())


def test_the_description_names_all_routes(app: Any, client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    routed = {(r.path, m.lower()) for r in app.routes if r.path != "/openapi.json" for m in r.methods}
    assert {(path, method) for path, methods in paths.items() for method in methods} == routed
