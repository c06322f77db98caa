"""What the clients `openai` and `langchain-openai` get from a server: openai_clients.py ADDRESS KEY

Runs in an environment of its own. Prints a JSON object: the name of each check and its result, or the error that it
ended with. The server's model answers `Gate 4 is open.`, and calls `gate` if it is given that function.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import openai
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI

ADDRESS, KEY = sys.argv[1:]
CLIENT = openai.OpenAI(base_url=f"{ADDRESS}/v1", api_key=KEY, max_retries=0)
HELLO: list[Any] = [{"role": "user", "content": "Which gate is open?"}]
PARAMETERS = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
GATE: Any = {"type": "function", "function": {"name": "gate", "description": "Opens a gate.", "parameters": PARAMETERS}}


def chat(messages: list[Any] | None = None, **settings: Any) -> Any:
    return CLIENT.chat.completions.create(model="m", messages=messages or HELLO, **settings)


def whole() -> Any:
    answer = chat()
    choice = answer.choices[0]
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    return [choice.message.content, choice.finish_reason, choice.message.role]


def streamed() -> Any:
    chunks = list(chat(stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return [text, len(chunks) > 3, chunks[-1].usage.completion_tokens > 0]


def stop() -> Any:
    return [chat(stop=" is").choices[0].message.content, chat(stop=["4", "zz"]).choices[0].message.content]


def several() -> Any:
    return [choice.message.content for choice in chat(n=3, temperature=0.7, seed=7).choices]


def neutral() -> Any:
    """What clients send without a meaning."""
    answer = chat(
        user="ann",
        metadata={"a": "b"},
        store=False,
        logit_bias={},
        logprobs=False,
        top_p=1,
        response_format={"type": "text"},
    )
    return answer.choices[0].message.content


def log_probabilities() -> Any:
    content = chat(logprobs=True).choices[0].logprobs.content
    return ["".join(entry.token for entry in content), all(entry.logprob <= 0 for entry in content)]


def tools() -> Any:
    first = chat(tools=[GATE], tool_choice="auto").choices[0]
    (call,) = first.message.tool_calls
    history = [*HELLO, first.message.model_dump(), {"role": "tool", "tool_call_id": call.id, "content": "open"}]
    second = chat(history).choices[0]
    return [first.finish_reason, call.function.name, json.loads(call.function.arguments), second.message.content]


def streamed_tools() -> Any:
    with CLIENT.chat.completions.stream(model="m", messages=HELLO, tools=[GATE]) as stream:
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls
    return [final.choices[0].finish_reason, call.function.name, json.loads(call.function.arguments)]


def parts() -> Any:
    content = [{"type": "text", "text": "Which gate "}, {"type": "text", "text": "is open?"}]
    history = [
        {"role": "developer", "content": "Answer in a few words."},
        {"role": "user", "name": "ann", "content": content},
        chat().choices[0].message.model_dump(),
        {"role": "user", "content": content},
    ]
    return chat(history).choices[0].message.content


def completion() -> Any:
    answer = CLIENT.completions.create(model="m", prompt=["The gate", "The depot"], max_tokens=16)
    streamed = CLIENT.completions.create(model="m", prompt="The gate", stream=True)
    return [[choice.text for choice in answer.choices], "".join(chunk.choices[0].text for chunk in streamed)]


def models() -> Any:
    return [[model.id for model in CLIENT.models.list()], CLIENT.models.retrieve("m").id]


def refused(call: Any, *names: str) -> Any:
    """The client's class of an error, and fields of its body."""
    try:
        call()
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, *[getattr(error, name) for name in names]]
    return "accepted"


def errors() -> Any:
    wrong = openai.OpenAI(base_url=f"{ADDRESS}/v1", api_key="wrong", max_retries=0)
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]}]
    return {
        "key": refused(lambda: wrong.models.list(), "code"),
        "model": refused(lambda: CLIENT.chat.completions.create(model="other", messages=HELLO), "code"),
        "stream": refused(lambda: chat(stream=True, max_tokens=-1), "param"),
        "bias": refused(lambda: chat(logit_bias={"5": 100}), "param"),
        "picture": refused(lambda: chat(picture), "code"),
        "schema": refused(
            lambda: chat(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}), "param"
        ),
        "long": refused(lambda: chat([{"role": "user", "content": "gate " * 3000}]), "code"),
        "route": refused(lambda: CLIENT.embeddings.create(model="m", input="a"), "code"),
    }


def langchain() -> Any:
    model = ChatOpenAI(model="m", base_url=f"{ADDRESS}/v1", api_key=KEY, max_retries=0)
    messages = [SystemMessage("Answer in a few words."), HumanMessage("Which gate is open?")]
    bound = model.bind_tools([GATE]).invoke(messages)
    history = [*messages, bound, ToolMessage("open", tool_call_id=bound.tool_calls[0]["id"])]
    return {
        "whole": model.invoke(messages).content,
        "streamed": "".join(str(chunk.content) for chunk in model.stream(messages)),
        "several": len(model.generate([messages, messages]).generations),
        "settings": model.bind(stop=[" is"], max_tokens=20).invoke(messages).content,
        "call": [bound.tool_calls[0]["name"], bound.tool_calls[0]["args"]],
        "after the call": model.invoke(history).content,
        "history": model.invoke([*messages, AIMessage("Gate 4."), HumanMessage("And now?")]).content,
    }


CHECKS = {
    check.__name__: check
    for check in (
        *(whole, streamed, stop, several, neutral, log_probabilities, tools, streamed_tools, parts, completion),
        *(models, errors, langchain),
    )
}


def main() -> None:
    found = {}
    for name, check in CHECKS.items():
        try:
            found[name] = check()
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"[:600]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
