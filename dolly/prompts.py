"""The prompt: converts a conversation to tokens. No other module does.

Training, evaluation and serving all call `Prompt.encode`, so that a served question has exactly the
ids that its training example had. A prompt is a list of pieces. A control piece is a marker of the
template and becomes the tokenizer's control token; a text piece comes from data and is encoded with
`split_special_tokens=True`, so that a literal `<|im_end|>` or `### Response:` in a document stays
plain text. Which tokens carry loss follows from the pieces, never from searching the text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from dolly.errors import DataError

Message = dict[str, str]
Format = Literal["chatml", "dolly"]

# The control tokens of each format; `None` stands for the tokenizer's own end-of-sequence token.
_MARKERS: dict[Format, tuple[str, ...]] = {
    "chatml": ("<|im_start|>", "<|im_end|>"),
    "dolly": ("### Instruction:", "### Response:"),
}
_ROLES = ("system", "user", "assistant")


class Piece(NamedTuple):
    """A part of a rendered conversation."""

    text: str
    control: bool = False
    trained: bool = False


class Encoded(NamedTuple):
    """Tokens of a conversation; `loss_mask` is true for tokens with loss."""

    input_ids: list[int]
    loss_mask: list[bool]


@dataclass(frozen=True)
class Prompt:
    """How conversations are rendered.

    Args:
        format: `chatml` (needs a tokenizer with its two markers) or `dolly` (instruction and
            response headings, added to any tokenizer as control tokens).
        system: system turn for conversations without one.
    """

    format: Format = "chatml"
    system: str | None = None

    @property
    def markers(self) -> tuple[str, ...]:
        """Control tokens that the tokenizer must have."""
        return _MARKERS[self.format]

    @property
    def sha256(self) -> str:
        """Hash of the template: its format, its pieces and its system turn."""
        content = json.dumps([asdict(self), self.chat_template()], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def pieces(self, messages: Sequence[Message], *, ask: bool) -> list[Piece]:
        """Renders a conversation.

        Args:
            messages: `role` (system, user, assistant) and `content` of each turn.
            ask: end with the opening of an assistant turn, which the model continues.

        Raises:
            DataError: an unknown role, or a message without text.
        """
        if not messages:
            raise DataError(found="a conversation without messages", expected="at least one", fix="send one")
        checked = [_checked(message) for message in messages]
        if self.system and checked[0]["role"] != "system":
            checked = [{"role": "system", "content": self.system}, *checked]
        turn = self._chatml if self.format == "chatml" else self._dolly
        pieces = [piece for message in checked for piece in turn(message["role"], message["content"])]
        if ask:
            pieces += turn("assistant", "")[:2]
        return pieces

    def encode(self, tokenizer: Any, messages: Sequence[Message], *, ask: bool = False) -> Encoded:
        """Encodes a conversation.

        The beginning-of-sequence token is added once, and only if the tokenizer itself adds one.
        """
        ids: list[int] = list(_leading_ids(tokenizer))
        mask = [False] * len(ids)
        for piece in self.pieces(messages, ask=ask):
            if piece.control:
                new = [tokenizer.convert_tokens_to_ids(piece.text or tokenizer.eos_token)]
            else:
                new = tokenizer.encode(piece.text, add_special_tokens=False, split_special_tokens=True)
            ids += new
            mask += [piece.trained] * len(new)
        return Encoded(ids, mask)

    def prepare_tokenizer(self, tokenizer: Any) -> list[int]:
        """Adds the markers that the tokenizer lacks and sets its chat template.

        Returns:
            Ids of the added tokens; the model needs embeddings for them.
        """
        vocabulary = tokenizer.get_vocab()
        missing = [marker for marker in self.markers if marker not in vocabulary]
        if missing:
            tokenizer.add_special_tokens({"additional_special_tokens": missing})
        if self.format == "chatml":
            tokenizer.eos_token = "<|im_end|>"
        tokenizer.chat_template = self.chat_template(bos=bool(_leading_ids(tokenizer)))
        return [tokenizer.convert_tokens_to_ids(marker) for marker in missing]

    def chat_template(self, *, bos: bool = False) -> str:
        """The same rendering as a Jinja template, for servers that do not use this module."""
        system = json.dumps(self.system, ensure_ascii=False) if self.system else None
        head = "{{ bos_token }}" if bos else ""
        if self.format == "chatml":
            if system:
                head += (
                    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n"
                    "{{ " + system + " }}<|im_end|>\n{% endif %}"
                )
            body = "<|im_start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n"
            tail = "<|im_start|>assistant\n"
        else:
            if system:
                head += "{% if messages[0]['role'] != 'system' %}{{ " + system + " }}\n\n{% endif %}"
            body = (
                "{% if m['role'] == 'system' %}{{ m['content'] | trim }}\n\n"
                "{% elif m['role'] == 'user' %}### Instruction:\n{{ m['content'] | trim }}\n\n"
                "{% else %}### Response:\n{{ m['content'] | trim }}{{ eos_token }}\n\n{% endif %}"
            )
            tail = "### Response:\n"
        loop = "{% for m in messages %}" + body + "{% endfor %}"
        return head + loop + "{% if add_generation_prompt %}" + tail + "{% endif %}"

    def _chatml(self, role: str, content: str) -> list[Piece]:
        answer = role == "assistant"
        start = Piece("<|im_start|>", control=True)
        end = Piece("<|im_end|>", control=True, trained=answer)
        if answer:
            return [start, Piece("assistant\n"), Piece(content, trained=True), end, Piece("\n")]
        return [start, Piece(f"{role}\n{content}"), end, Piece("\n")]

    def _dolly(self, role: str, content: str) -> list[Piece]:
        if role == "system":
            return [Piece(content + "\n\n")]
        if role == "user":
            return [Piece("### Instruction:", control=True), Piece(f"\n{content}\n\n")]
        return [
            Piece("### Response:", control=True),
            Piece("\n"),
            Piece(content, trained=True),
            Piece("", control=True, trained=True),  # the tokenizer's end of sequence
            Piece("\n\n"),
        ]


def user_content(instruction: str, context: str) -> str:
    """The user turn of an instruction record: the task, then its context after an empty line."""
    return f"{instruction}\n\n{context}" if context else instruction


def _checked(message: Message) -> Message:
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        raise DataError(found=f"a message with the role {role!r}", expected=" or ".join(_ROLES), fix="name the role so")
    if not isinstance(content, str):
        raise DataError(
            found=f"a message whose content is {type(content).__name__}", expected="text", fix="send a string"
        )
    return {"role": role, "content": content.strip()}


def _leading_ids(tokenizer: Any) -> list[int]:
    """The ids that the tokenizer itself puts before a text: its beginning-of-sequence id, or none."""
    bos = tokenizer.bos_token_id
    return [bos] if bos is not None and tokenizer.encode("a")[:1] == [bos] else []


def answer_text(tokenizer: Any, ids: Sequence[int]) -> str:
    """Decodes the tokens of an answer, without markers and outer white space."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True)).strip()


def tokenizer_sha256(tokenizer: Any) -> str:
    """Hash of a tokenizer: its vocabulary, merges and added tokens."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()
