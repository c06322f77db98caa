"""Texts of the machine that gave the answer: refusals, and errors that an export kept as answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dolly.clean.rules.kinds import Check, guarded

if TYPE_CHECKING:
    from pyspark.sql import Column

REASONS = {
    "error_text": "the answer is an error message of the service that should have given it",
    "refusal": "the answer is a model's refusal",
}
_SHORT = 400
# What OpenAI's services, ChatGPT's page and ShareGPT's exports wrote in place of an answer.
_ERROR = (
    r"(?i)^\W*(?:error:? (?:network error|in message stream|in body stream|internal server error)"
    r"|network error\W*$|internal server error\W*$|an error occurred\W*(?:$|while processing|\. (?:either|if))"
    r"|(?:50[0234]|429) (?:bad gateway|service unavailable|gateway time-?out|internal server error|too many requests)"
    r"|too many requests(?: in (?:1|one) hour|\W*(?:$|(?:please )?try again| slow down))"
    r"|something went wrong\W*(?:$|if this issue persists|please try|try again|while)"
    r"|unable to load conversation|only one message at a time|your session has expired"
    r"|(?:the|our) (?:server|engine|model) (?:had an error|is currently overloaded|experienced an error)"
    r"|(?:the )?message you submitted was too long|our systems are a bit busy|chatgpt is at capacity"
    r"|hmm\W+something seems to have gone wrong|there was an error generating a response"
    r"|this content may violate our (?:content|usage) polic|rate limit (?:reached|exceeded)\W*(?:$|for|please)"
    r"|(?:request|connection|read) timed? ?out\W*$)"
)
_MACHINE = r"(?i)as an? (?:ai|large language|language) ?(?:language |assistant|model|chatbot|system|,)"
_UNABLE = r"(?:can(?:no|['’])?t|can not|unable to|not able to|(?:do not|don['’]t) (?:have|possess))"
_SORRY = r"(?:i['’]?m|i am|we['’]re|my apologies|apologies|sorry|unfortunately|i apologi[sz]e)\b"
_REFUSED = (
    rf"(?i)^\W*{_SORRY}[^.!?\n]{{0,80}}\bi(?:['’]m| am)? {_UNABLE} "
    r"(?:the (?:ability|capability|capacity)|access|browse|open|view|see (?:the|any|your)|assist|help (?:you )?with|"
    r"generate|fulfil|comply|complete (?:this|that|your)|answer|respond|provide|process|perform|do that|display|draw|"
    r"produce|engage|discuss|predict|create|support)"
)


def boilerplate_checks() -> list[Check]:
    """Errors are rejected; refusals are flagged, for some are what a company's model should learn."""
    from pyspark.sql import functions as F

    answer, last = F.col("answer"), F.col("last_answer")
    errors = _is_error(answer) | guarded(last != answer, _is_error(last))
    # Searched by their first byte: rare ones are found faster.
    machine = answer.contains("AI") | answer.contains("guage model")
    refusal = guarded(machine, answer.rlike(_MACHINE) & answer.rlike(rf"(?i){_UNABLE}")) | _refuses(answer)
    refusal |= guarded(last != answer, _refuses(last))
    return [
        Check("error_text", "reject", errors, F.substring(last, 1, 200), REASONS["error_text"]),
        Check("refusal", "flag", refusal, F.substring(last, 1, 200), REASONS["refusal"]),
    ]


def _is_error(text: Column) -> Column:
    from pyspark.sql import functions as F

    return guarded(F.octet_length(text) <= _SHORT, text.rlike(_ERROR) | text.contains("help.openai.com"))


def _refuses(text: Column) -> Column:
    from pyspark.sql import functions as F

    return F.substring(text, 1, 250).rlike(_REFUSED)
