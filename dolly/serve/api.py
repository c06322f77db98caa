"""Requests of OpenAI's API: which keys are used, which are accepted because they change no answer, which are refused.

Clients send many keys with neutral values (`null`, `[]`, `n: 1`). A value that asks for nothing is accepted; one that
asks for something this server can't do is refused with the reason, never silently ignored.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from dolly.serve.errors import Refusal
from dolly.serve.messages import Message, Tool

# Keys that change no answer of this server, whatever they say.
IGNORED = {
    "metadata": "for the caller's own bookkeeping",
    "parallel_tool_calls": "the model decides how many calls it makes",
    "prediction": "a hint for speed",
    "prompt_cache_key": "a hint for speed",
    "prompt_cache_retention": "a hint for speed",
    "safety_identifier": "names the end user, as `user` does",
    "service_tier": "there is one tier",
}
# Keys with the values that ask for nothing; others are refused with the reason.
NEUTRAL: dict[str, tuple[tuple[Any, ...], str]] = {
    "audio": ((), "this model makes text only"),
    "best_of": ((1,), "answers are not ranked: send n instead"),
    "chat_template": ((), "the template is the one that the model was trained with"),
    "chat_template_kwargs": (({},), "the template is the one that the model was trained with"),
    "echo": ((False,), "the prompt is not repeated in the answer"),
    "function_call": (("none", "auto"), "replaced by tool_choice"),
    "functions": (([],), "replaced by tools"),
    "logit_bias": (({},), "the engines have no bias for single tokens"),
    "modalities": ((["text"],), "this model makes text only"),
    "reasoning_effort": (("none",), "this model has no mode for reasoning"),
    "store": ((False,), "answers are not stored"),
    "suffix": (("",), "the model was not trained to fill gaps"),
    "top_logprobs": ((0,), "the engines give the probability of the chosen token only"),
    "verbosity": (("medium",), "this model has no setting for it"),
    "web_search_options": ((), "nothing leaves this server"),
}
# Below this, sampling takes the likeliest token as well, and a division by it would overflow.
_COLDEST = 1e-4


class Body(BaseModel):
    """A request body; types are not converted, unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_neutral_keys(cls, given: Any) -> Any:
        return _without_neutral(given, cls) if isinstance(given, dict) else given


class StreamOptions(BaseModel):
    """Options of a stream."""

    model_config = ConfigDict(extra="ignore", strict=True)
    include_usage: bool | None = False


class ResponseFormat(BaseModel):
    """The form of the answer."""

    model_config = ConfigDict(extra="ignore", strict=True)
    type: Literal["text", "json_object", "json_schema"]


R = TypeVar("R", bound=BaseModel)
Penalty = Annotated[float, Field(ge=-2, le=2)]


class Generation(Body):
    """What chat and plain completions have in common."""

    model: str | None = None
    max_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(0.0, ge=0, le=2, description="0, the default, takes the likeliest token")
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int | None = None
    n: int = Field(1, ge=1, le=16)
    stop: str | Annotated[list[str], Field(max_length=16)] = Field(default_factory=list)
    stream: bool = False
    stream_options: StreamOptions = Field(default_factory=StreamOptions)
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    user: str | None = None
    return_token_ids: bool = Field(False, description="also return the ids of prompt and answer; not of OpenAI's API")

    @property
    def stops(self) -> list[str]:
        """Strings that end an answer."""
        return [self.stop] if isinstance(self.stop, str) else self.stop

    @property
    def heat(self) -> float:
        """The temperature, 0 for one so low that it makes no difference."""
        return self.temperature if self.temperature >= _COLDEST else 0.0


class ChatRequest(Generation):
    """`POST /v1/chat/completions`."""

    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool = False
    tools: list[Tool] = Field(default_factory=list)
    tool_choice: Any = "auto"
    response_format: ResponseFormat = ResponseFormat(type="text")

    @model_validator(mode="after")
    def _can_be_done(self) -> ChatRequest:
        if not any(message.role == "user" for message in self.messages):
            raise ValueError("messages: found no user message; expected at least one")
        if self.response_format.type != "text":
            raise ValueError(f"response_format: {self.response_format.type} is not supported: ask for JSON in words")
        if self.tool_choice not in ("auto", "none"):
            raise ValueError("tool_choice: found a call that is demanded; the model decides: send auto or none")
        return self

    @property
    def offered_tools(self) -> list[Tool]:
        """The functions that the model may call in this answer."""
        return self.tools if self.tool_choice == "auto" else []

    @property
    def limit(self) -> int | None:
        """Maximum number of tokens that the client asks for."""
        return self.max_completion_tokens or self.max_tokens


class CompletionRequest(Generation):
    """`POST /v1/completions`: the prompt's tokens are continued as they are, without a template."""

    prompt: str | list[str] | list[int] | list[list[int]] = Field(min_length=1)
    logprobs: int | None = Field(None, ge=0, le=5)

    @property
    def limit(self) -> int | None:
        """Maximum number of tokens that the client asks for; OpenAI's default is 16."""
        return self.max_tokens or 16

    @property
    def prompts(self) -> list[str | list[int]]:
        """Each prompt, as text or as tokens."""
        if isinstance(self.prompt, str) or isinstance(self.prompt[0], int):
            return [self.prompt]
        return list(self.prompt)


def parse(kind: type[R], body: bytes) -> R:
    """Reads a request body.

    Raises:
        Refusal: it is no JSON, or not a request of this kind.
    """
    try:
        given = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(400, f"the body is no JSON: {error}", param=None) from None
    if not isinstance(given, dict):
        raise Refusal(400, f"found a JSON {type(given).__name__}; expected an object", param=None)
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        faults = list(_faults(error))
        param, _ = faults[0]
        raise Refusal(400, "; ".join(text for _, text in faults[:5]), param=param) from None


def _faults(error: ValidationError) -> Iterator[tuple[str | None, str]]:
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        # Parts that are names of types belong to unions, not to the request.
        path = [str(part) for part in fault["loc"] if isinstance(part, int) or str(part).isidentifier()]
        message = fault["msg"].removeprefix("Value error, ")
        name = ".".join(path)
        if not name and ":" in message and message.split(":")[0].isidentifier():
            name, message = message.split(":", 1)[0], message.split(":", 1)[1].strip()
        yield name or None, f"{name}: {message}" if name else message


def _without_neutral(given: dict[str, Any], kind: type[BaseModel]) -> dict[str, Any]:
    """Drops keys that ask for nothing; refuses those that ask for what can't be done."""
    kept = {}
    for key, value in given.items():
        if value is None or key in IGNORED:
            continue
        values, reason = NEUTRAL.get(key, ((), ""))
        if reason:
            if not any(_same(value, neutral) for neutral in values):
                raise ValueError(f"{key}: {reason}; leave it out or send {' or '.join(map(repr, values)) or 'null'}")
            continue
        kept[key] = value
    unknown = sorted(set(kept) - set(kind.model_fields))
    if unknown:
        raise ValueError(f"{unknown[0]}: this server does not know the key; leave it out")
    return kept


def _same(value: Any, neutral: Any) -> bool:
    """Equal, and of one type: false is not 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and isinstance(neutral, int)
    if number and not isinstance(neutral, bool):
        return math.isclose(value, neutral)
    return type(value) is type(neutral) and bool(value == neutral)
