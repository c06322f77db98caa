"""A chat page in the browser, which is a client of the HTTP API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx

from dolly.errors import EnvironmentFault


def open_page(*, host: str, server_port: int) -> None:
    """Serves the page on a free port of `host` until interrupted.

    Raises:
        EnvironmentFault: no `dolly serve` answers.
    """
    address = f"http://{host}:{server_port}"
    try:
        model = httpx.get(f"{address}/health", timeout=5, trust_env=False).json()
    except httpx.HTTPError as error:
        raise EnvironmentFault(
            found=f"no server at {address} ({error})", expected="dolly serve", fix="run dolly serve CONFIG first"
        ) from error
    make_page(address, title=f"{model['model']} (version {model['version']})").launch(
        server_name=host, share=False, quiet=False
    )


def make_page(address: str, *, title: str) -> Any:
    """Builds the page for the server at `address`."""
    import gradio

    def reply(message: str, history: list[dict[str, Any]]) -> Iterator[str]:
        messages = [{"role": turn["role"], "content": _text(turn["content"])} for turn in history]
        yield from stream_answer(address, [*messages, {"role": "user", "content": message}])

    return gradio.ChatInterface(reply, title=title)


def stream_answer(address: str, messages: list[dict[str, str]]) -> Iterator[str]:
    """Yields the answer so far, after each piece."""
    request = {"messages": messages, "stream": True}
    answer = ""
    with httpx.stream("POST", f"{address}/v1/chat/completions", json=request, timeout=300, trust_env=False) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                answer += json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
                yield answer


def _text(content: Any) -> str:
    """Gradio keeps a turn's content as text or as a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)
