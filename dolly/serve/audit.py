"""The audit log: who asked which version when, and what, one JSON object a line and a file a day."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from dolly.serve.answers import Piece, Task
from dolly.serve.lines import append_line

Texts = Literal["off", "hash", "text"]
_log = logging.getLogger(__name__)
_FAULT_SECONDS = 15


@dataclass
class Entry:
    """One request.

    Args:
        asked: its messages or prompt.
        owner: of the API key; None without keys.
        address: of the client.
        user: as the request names its end user.
        answers: texts by choice, as far as they came.
    """

    asked: Any
    owner: str | None
    address: str
    user: str | None
    answers: dict[int, str] = field(default_factory=dict)
    tokens: int = 0
    started: float = field(default_factory=time.monotonic)

    def note(self, piece: Piece) -> None:
        """Adds a piece of an answer."""
        self.answers[piece.choice] = self.answers.get(piece.choice, "") + piece.text
        self.tokens += len(piece.tokens)


class AuditLog:
    """Writes requests that were given to a model, also those that failed or whose client left.

    Args:
        folder: where the files `audit-YYYY-MM-DD.jsonl` lie.
        texts: questions and answers as their SHA-256, as they are, or no log at all.
    """

    def __init__(self, folder: Path, texts: Texts) -> None:
        self._folder, self._texts = folder, texts
        self._fault: tuple[str, float] | None = None

    @property
    def fault(self) -> str | None:
        """Why a request of the last seconds could not be written.

        It is forgotten after a while: a server that gets requests only while it is ready has to try again.
        """
        if self._fault and time.monotonic() - self._fault[1] < _FAULT_SECONDS:
            return self._fault[0]
        return None

    def write(self, entry: Entry, task: Task, *, request_id: str, outcome: str) -> None:
        """Appends a request; `outcome` is `answered`, `cancelled` or the status of its refusal."""
        if self._texts == "off":
            return
        now = datetime.now(UTC)
        answers = [entry.answers.get(number, "") for number in range(len(task.prompts) * task.choices)]
        line = {
            "time": now.isoformat(timespec="milliseconds"),
            "id": request_id,
            "owner": entry.owner,
            "address": entry.address,
            "user": entry.user,
            "model": task.model.name,
            "version": task.model.version,
            "engine": task.model.engine.name,
            "outcome": outcome,
            "prompt_tokens": sum(map(len, task.prompts)),
            "generated_tokens": entry.tokens,
            "seconds": round(time.monotonic() - entry.started, 3),
            **self._content(entry.asked, answers),
        }
        try:
            self._append(now.date().isoformat(), json.dumps(line, ensure_ascii=False))
        except OSError as error:
            fault = f"the audit log in {self._folder} can't be written ({error.strerror})"
            self._fault = fault, time.monotonic()
            _log.error("%s: request %s", fault, request_id)
        else:
            self._fault = None

    def _content(self, asked: Any, answers: Sequence[str]) -> dict[str, Any]:
        if self._texts == "text":
            return {"asked": asked, "answers": list(answers)}
        whole = json.dumps(asked, ensure_ascii=False, sort_keys=True)
        return {"asked_sha256": _sha256(whole), "answers_sha256": [_sha256(answer) for answer in answers]}

    def _append(self, day: str, line: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        append_line(self._folder / f"audit-{day}.jsonl", line)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
