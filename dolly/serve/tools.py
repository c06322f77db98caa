"""Functions that a model may call: written into its prompt, and read from its answer.

The form is the one that open models are commonly trained with: a JSON object between `<tool_call>` and `</tool_call>`
for each call. Nothing forces a model to use it; what is no valid call stays text.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Sequence
from typing import Any

from dolly.serve.messages import Message, Tool

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_CALL = re.compile(rf"{_OPEN}\s*(.*?)\s*(?:{_CLOSE}|\Z)", re.DOTALL)
_INSTRUCTIONS = """You may call one or more of these functions to help with the question:
<tools>
{tools}
</tools>
For each call, write a JSON object with the function's name and arguments between <tool_call> and </tool_call>:
<tool_call>
{{"name": "NAME", "arguments": {{}}}}
</tool_call>"""


def instructions(tools: Sequence[Tool]) -> str:
    """The text that tells the model about its functions."""
    listed = [json.dumps(tool.function.model_dump(exclude_none=True), ensure_ascii=False) for tool in tools]
    return _INSTRUCTIONS.format(tools="\n".join(listed))


def written_calls(message: Message) -> str:
    """The calls of an earlier answer, as the model wrote them."""
    calls = [
        f'{_OPEN}\n{{"name": {json.dumps(call.function.name)}, "arguments": {call.function.arguments}}}\n{_CLOSE}'
        for call in message.tool_calls or ()
    ]
    return "\n".join([message.text, *calls] if message.text else calls)


def response(text: str) -> str:
    """What a function returned, as the model reads it."""
    return f"<tool_response>\n{text}\n</tool_response>"


class Splitter:
    """Separates an answer's text from its calls, piece by piece."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._names = {tool.function.name for tool in tools}
        self._held = ""

    def add(self, piece: str) -> str:
        """The text that is certainly no part of a call."""
        self._held += piece
        start = self._held.find("<")
        while start >= 0 and not _OPEN.startswith(self._held[start : start + len(_OPEN)]):
            start = self._held.find("<", start + 1)
        # White space before a call belongs to it.
        cut = len(self._held) if start < 0 else len(self._held[:start].rstrip())
        text, self._held = self._held[:cut], self._held[cut:]
        return text

    def end(self) -> tuple[str, list[dict[str, Any]]]:
        """The rest of the text, and the calls in OpenAI's format."""
        calls = [self._call(found) for found in _CALL.findall(self._held)]
        if not calls or None in calls:
            return self._held, []
        return _CALL.sub("", self._held).strip(), [call for call in calls if call]

    def _call(self, text: str) -> dict[str, Any] | None:
        try:
            call = json.loads(text)
        except ValueError:
            return None
        if not isinstance(call, dict) or call.get("name") not in self._names:
            return None
        arguments = json.dumps(call.get("arguments") or {}, ensure_ascii=False)
        function = {"name": call["name"], "arguments": arguments}
        return {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}
