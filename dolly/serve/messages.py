"""Messages and tools of a request, as clients of OpenAI's API build them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class TextPart(BaseModel):
    """A part of a message's content."""

    model_config = ConfigDict(extra="ignore", strict=True)
    type: Literal["text", "input_text", "output_text", "refusal"]
    text: str = ""
    refusal: str = ""


class FunctionCall(BaseModel):
    """A function that the model calls, with arguments in JSON."""

    model_config = ConfigDict(extra="ignore", strict=True)
    name: str
    arguments: str = "{}"


class ToolCall(BaseModel):
    """A call in a message of the assistant."""

    model_config = ConfigDict(extra="ignore", strict=True)
    id: str = ""
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(BaseModel):
    """One turn; as a client built it, or as it had it from an answer's `message.model_dump()`.

    `name`, `annotations` and other keys that the prompt has no place for are ignored.
    """

    model_config = ConfigDict(extra="ignore", strict=True)
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[TextPart] | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _only_text(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("audio") is not None:
            raise ValueError("this model reads text only, no audio")
        return given

    @model_validator(mode="after")
    def _has_text(self) -> Message:
        if self.text is None and not self.tool_calls:
            raise ValueError("found no content; expected text")
        return self

    @property
    def text(self) -> str | None:
        """The content as one text; None if there is none."""
        if isinstance(self.content, list):
            return "".join(part.text or part.refusal for part in self.content)
        return self.content if self.content is not None else self.refusal


class Function(BaseModel):
    """A function that the model may call; `parameters` is a JSON schema."""

    model_config = ConfigDict(extra="ignore", strict=True)
    name: Annotated[str, Field(min_length=1, max_length=64)]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(BaseModel):
    """A tool; functions are the only kind."""

    model_config = ConfigDict(extra="ignore", strict=True)
    type: Literal["function"]
    function: Function
