"""The messages of a request → the conversation that the prompt renders."""

from __future__ import annotations

from collections.abc import Sequence

from dolly import prompts
from dolly.serve import tools as functions
from dolly.serve.messages import Message, Tool


def conversation(
    messages: Sequence[Message], tools: Sequence[Tool], *, default_system: str | None
) -> list[prompts.Message]:
    """System, user and assistant turns.

    A developer's message is a system turn; a function's result is a user turn, as the template has no other.

    Args:
        messages: of the request.
        tools: functions that the model may call.
        default_system: the prompt's system turn for conversations without one.
    """
    turns: list[prompts.Message] = []
    for message in messages:
        text = message.text or ""
        if message.role in ("tool", "function"):
            result = functions.response(text)
            if turns and turns[-1]["role"] == "user" and turns[-1]["content"].endswith("</tool_response>"):
                turns[-1]["content"] += "\n" + result
            else:
                turns.append({"role": "user", "content": result})
        elif message.tool_calls:
            turns.append({"role": "assistant", "content": functions.written_calls(message)})
        else:
            turns.append({"role": "system" if message.role == "developer" else message.role, "content": text})
    if tools:
        text = functions.instructions(tools)
        if turns[0]["role"] == "system":
            turns[0]["content"] += "\n\n" + text
        else:
            turns.insert(0, {"role": "system", "content": f"{default_system}\n\n{text}" if default_system else text})
    return turns
