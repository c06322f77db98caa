"""The subset of OpenAI's chat completion requests that is served."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class ChatMessage(BaseModel):
    """One turn."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["system", "user", "assistant"]
    content: str

    @field_validator("content")
    @classmethod
    def _is_unicode(cls, content: str) -> str:
        try:
            content.encode()
        except UnicodeEncodeError:
            raise ValueError("found half of a surrogate pair; expected Unicode text") from None
        return content


class ChatRequest(BaseModel):
    """`POST /v1/chat/completions`. Unknown keys are refused, above all a custom template."""

    model_config = ConfigDict(extra="forbid")
    model: str | None = None
    messages: list[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(0.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int | None = None
    n: Literal[1] = 1
    stream: bool = False
    user: str | None = None
    return_token_ids: bool = Field(False, description="also return the ids of prompt and answer")
