"""Ratings, votes and corrected answers of people who use the served models, one JSON object a line and a file a month.

A line is there completely and on the disk, or its request is refused: nothing is lost without a word.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dolly.serve.api import parse
from dolly.serve.body import read_body
from dolly.serve.errors import Refusal
from dolly.serve.filters import Filters
from dolly.serve.lines import append_line
from dolly.serve.models import Models

_log = logging.getLogger(__name__)
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
# Opinion → the number of answers that it is about.
_OPINIONS = {"rating": 1, "correction": 1, "vote": 2}


class Turn(BaseModel):
    """A message of the conversation."""

    model_config = _STRICT
    role: Literal["system", "user", "assistant"]
    content: str


class Answer(BaseModel):
    """An answer that a model of this server gave."""

    model_config = _STRICT
    response: str = Field(max_length=100, description="the id of the response")
    model: str = Field(description="NAME@ALIAS, or NAME")
    version: str = Field(max_length=100)
    text: str
    temperature: float | None = Field(None, ge=0, le=2)
    max_tokens: int | None = Field(None, ge=1)


def _only(key: str, answers: int) -> dict[str, Any]:
    """The JSON schema of feedback with one of the three opinions, on a number of answers."""
    others = {name: {"type": "null"} for name in _OPINIONS if name != key}
    count = {"answers": {"minItems": answers, "maxItems": answers}}
    return {"required": [key], "properties": {key: {"type": "string"}, **others, **count}}


class Feedback(BaseModel):
    """`POST /v1/feedback`: one of rating, vote and correction."""

    model_config = _STRICT | {"json_schema_extra": {"oneOf": [_only(key, count) for key, count in _OPINIONS.items()]}}
    messages: list[Turn] = Field(min_length=1, description="the conversation before the answer")
    answers: list[Answer] = Field(min_length=1, max_length=2, description="the answer; for a vote, A and B")
    rating: Literal["up", "down"] | None = None
    vote: Literal["a", "b", "tie", "neither"] | None = None
    correction: str | None = Field(None, pattern=r"\S", description="the answer as it should be")

    @model_validator(mode="after")
    def _one_opinion(self) -> Feedback:
        given = [key for key in _OPINIONS if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"found {' and '.join(given) or 'no opinion'}; expected one of {', '.join(_OPINIONS)}")
        if len(self.answers) != (count := _OPINIONS[given[0]]):
            raise ValueError(f"answers: found {len(self.answers)}; expected {count} with {given[0]}")
        return self


class FeedbackLog:
    """Where feedback is kept.

    Args:
        folder: where the files `YYYY-MM.jsonl` lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, line: dict[str, Any]) -> None:
        """Appends a line; returns once it is on the disk.

        Raises:
            Refusal: it can't be written.
        """
        file = self._folder / f"{line['time'][:7]}.jsonl"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            append_line(file, json.dumps(line, ensure_ascii=False, separators=(",", ":")), durable=True)
        except OSError as error:
            _log.error("feedback can't be written to %s: %s", self._folder, error)
            text = f"the feedback was not stored: the server can't write its folder ({error.strerror})"
            raise Refusal(503, text, retry_after=30) from error


class FeedbackRoute:
    """The route that stores feedback.

    Args:
        log: where; None if the server stores none.
        models: what is served.
        filters: of the server.
        body_bytes: maximum size of a request's body.
    """

    def __init__(self, log: FeedbackLog | None, models: Models, filters: Filters, *, body_bytes: int) -> None:
        self._log, self._models, self._filters, self._body_bytes = log, models, filters, body_bytes

    async def give_feedback(self, http: Request) -> JSONResponse:
        """Stores a rating, a vote or a corrected answer."""
        if self._log is None:
            raise Refusal(404, "this server stores no feedback: serve.feedback is false")
        feedback = parse(Feedback, await read_body(http, limit=self._body_bytes))
        owner = getattr(http.state, "owner", None)
        line = await asyncio.to_thread(line_of, feedback, owner=owner, models=self._models, filters=self._filters)
        await asyncio.to_thread(self._log.write, line)
        return JSONResponse({"object": "feedback", "id": line["id"]})


def line_of(feedback: Feedback, *, owner: str | None, models: Models, filters: Filters) -> dict[str, Any]:
    """What is stored of feedback: without what the filters mask.

    The messages pass the filters of questions, as the route that answered them has it, answers those of answers, and
    a correction, which a person wrote to be an answer, both.

    Args:
        feedback: as it came.
        owner: of the API key; None without keys.
        models: what is served.
        filters: of the server.

    Raises:
        Refusal: a filter refuses a text, or there is no such model.
    """
    messages = [
        {"role": turn.role, "content": filters.question(turn.content, param="messages")} for turn in feedback.messages
    ]
    correction = feedback.correction
    if correction is not None:
        correction = _as_answer(filters.question(correction, param="correction"), filters, param="correction")
    now = datetime.now(UTC)
    return {
        "time": now.isoformat(timespec="milliseconds"),
        "id": f"feedback-{uuid.uuid4().hex}",
        "owner": owner,
        "messages": messages,
        "answers": [_answer(answer, models, filters) for answer in feedback.answers],
        "rating": feedback.rating,
        "vote": feedback.vote,
        "correction": correction,
    }


def _answer(answer: Answer, models: Models, filters: Filters) -> dict[str, Any]:
    name, _, alias = models.key_of(models.find(answer.model)).partition("@")
    text = _as_answer(answer.text, filters, param="answers")
    return answer.model_dump() | {"model": name, "alias": alias, "text": text}


def _as_answer(text: str, filters: Filters, *, param: str) -> str:
    filtered = filters.answer()
    text = filtered.add(text) + filtered.end()
    if filtered.refused:
        raise Refusal(400, f"{param}: a filter refuses this text", param=param, code="content_filter")
    return text
