"""Text that was encoded once too often: mojibake, HTML entities, written-out escape sequences."""

from __future__ import annotations

import re
from html.entities import name2codepoint
from typing import TYPE_CHECKING

from dolly.clean.rules.kinds import guarded

if TYPE_CHECKING:
    from pyspark.sql import Column

# Windows-1252's printable characters at 0x80 to 0x9F, and the control characters that Latin-1 has there.
_CODES = [code for code in range(0x80, 0xA0) if bytes([code]).decode("cp1252", "ignore")]
_GLYPHS = bytes(_CODES).decode("cp1252")
_CONTROLS = bytes(_CODES).decode("latin-1")
# A continuation byte of UTF-8, 0x80 to 0xBF, as either of the two would show it.
_NEXT = rf"[\u0080-\u00BF{_GLYPHS}]"
_QUOTES = "‘’“”–—…«»"
# Lead bytes followed by continuation bytes, as far as no language writes them: after a capital, Ã or Â
# before a quote may end a word; ß or é before one often does, so that their sequences don't count.
_MOJIBAKE = "|".join(
    (
        rf"Ã(?:(?![{_QUOTES}]){_NEXT}|[{_QUOTES}](?=\p{{L}})|(?<!\p{{Lu}}Ã)[{_QUOTES}])",
        r"Â(?:(?![«»])[\u0080-\u00BF]|(?<!\p{Lu}Â)[«»])",
        rf"â(?:[€„†ˆ‰–˜š\u0080-\u009F]{_NEXT}|‚¬|[œž][\u0080-\u00BF€‚ƒ„†‡ˆ‰Š‹Œ˜™š›œ]|”[€‚œ”\u0080-\u009F])",
        rf"ð[Ÿ\u009F]{_NEXT}{{2}}",
        r"ï»¿|ï¿½",
        rf"(?:[ÐÑ]{_NEXT}){{3,}}+|(?:[ÎÏ]{_NEXT}){{3,}}+",
    )
)
_LEADS = "ÃÂâðïÐÑÎÏ"
_MOJIBAKE_PIECES = rf"{_MOJIBAKE}|[^{_LEADS}]+|[{_LEADS}]"
_STRAY_CONTROLS = r"[\u0080-\u009F]"

# Entities that are no word: `&copy;` may be a C pointer, `&eacute;` is an é.
_NAMES = (
    *("amp", "lt", "gt", "quot", "nbsp", "ensp", "emsp", "thinsp", "hellip", "mdash", "ndash", "bull", "middot"),
    *("lsquo", "rsquo", "sbquo", "ldquo", "rdquo", "bdquo", "laquo", "raquo", "euro", "trade", "plusmn"),
    *("frac12", "frac14", "frac34", "szlig", "aelig", "AElig", "oelig", "OElig"),
    *(name for name in name2codepoint if re.fullmatch(r"[A-Za-z](acute|grave|circ|uml|tilde|cedil|ring|slash)", name)),
)
_ENTITIES = {f"&{name};": chr(name2codepoint[name]) for name in _NAMES} | {"&apos;": "'", "&nbsp;": " "}
_ENTITY = rf"&(?:#\d{{2,7}}|#[xX][0-9A-Fa-f]{{2,6}}|apos|{'|'.join(_NAMES)});"
_ENTITY_PIECES = rf"```[\s\S]*?(?:```|\z)|`[^`\n]+`|{_ENTITY}|[^&`]+|[&`]"
_MARKUP = r"(?i)</?[a-z][a-z0-9]*[^<>\n]*>|\bhtml|\bxml|\bentit(?:y|ies)\b|\bescap(?:e|ed|es|ing)\b|\bencod"

_ESCAPES = {r"\r\n": "\n", r"\n": "\n", r"\t": "\t", r"\"": '"', r"\'": "'"}
_ESCAPE = r"\\(?:[nt]|r\\n|[\"'])"
# LaTeX (\nu, \times), paths (C:\new), strings in code ("\n"): all or nothing, the text stays as it is.
_OTHER_BACKSLASH = r"\\(?:[a-mo-qsu-zA-Z\\(\[{]|[nt][a-z]|r(?!\\n))|\b[A-Za-z]:\\|[\"'(]\\[nt]|;\s*\\n"
_CODE = (
    r"(?i)[`{}<>=$]|\b(?:code|coding|json|csv|yaml|xml|html|sql|regex|regular expressions?|escap\w+|new ?lines?|"
    r"strings?|backslash\w*|python|java|javascript|bash|shell|latex|printf?|script|function|program\w*|delimit\w+)\b"
)


def may_be_mojibake(text: Column) -> Column:
    """True where a text has a character with which misread sequences begin, or a stray control character."""
    from pyspark.sql import functions as F

    # Single characters of Latin-1 only: Java looks such a class up in one table.
    return guarded(F.octet_length(text) != F.length(text), text.rlike(f"[{_LEADS}{_CONTROLS}]"))


def without_mojibake(text: Column) -> Column:
    """Decodes each sequence that is UTF-8 read as Windows-1252 or Latin-1, even if that happened twice.

    Stray Windows-1252 codes that were read as Latin-1 (U+0092 for ’) become their characters.
    """
    from pyspark.sql import functions as F

    def decoded(piece: Column) -> Column:
        latin = F.encode(F.translate(piece, _GLYPHS, _CONTROLS), "ISO-8859-1")
        sequence = F.substring(piece, 1, 1).rlike(f"[{_LEADS}]") & (F.length(piece) > 1)
        return F.when(sequence, F.decode(latin, "UTF-8")).otherwise(piece)

    def once(text: Column) -> Column:
        pieces = F.regexp_extract_all(text, F.lit(f"({_MOJIBAKE_PIECES})"))
        return F.when(text.rlike(_MOJIBAKE), F.array_join(F.transform(pieces, decoded), "")).otherwise(text)

    twice = F.transform(F.array(once(text)), once)[0]
    plain = F.transform(F.array(twice), lambda text: F.translate(text, _CONTROLS, _GLYPHS))[0]
    return F.when(text.rlike(f"{_MOJIBAKE}|{_STRAY_CONTROLS}"), plain).otherwise(text)


def may_have_entities(text: Column) -> Column:
    """True where a text has an ampersand that begins what may be an entity."""
    return guarded(text.contains("&"), text.rlike(r"&#?[0-9A-Za-z]{2,8};"))


def without_entities(text: Column) -> Column:
    """Decodes HTML entities, outside backticks and in rows that don't speak of markup."""
    from pyspark.sql import functions as F

    # One literal: a map of columns would take a thousand calls of Java.
    names = F.str_to_map(F.lit("\n".join(map("=".join, _ENTITIES.items()))), F.lit("\n"), F.lit("="))

    def decoded(piece: Column) -> Column:
        number = F.when(piece.startswith("&#x") | piece.startswith("&#X"), F.conv(F.substring(piece, 4, 6), 16, 10))
        code = number.otherwise(F.regexp_extract(piece, r"^&#(\d+);$", 1)).try_cast("int")
        valid = code.isin(9, 10, 13) | code.between(32, 0xD7FF) | code.between(0xE000, 0x10FFFF)
        character = F.decode(F.unhex(F.lpad(F.hex(code), 8, "0")), "UTF-32")
        # HTML reads the numbers 128 to 159 as Windows-1252.
        character = F.translate(character, _CONTROLS + "\u00a0", _GLYPHS + " ")
        numeric = F.when(valid, character).otherwise(piece)
        return (
            F.when(~piece.rlike(f"^{_ENTITY}$"), piece)
            .when(piece.startswith("&#"), numeric)
            .otherwise(F.coalesce(names[piece], piece))
        )

    pieces = F.regexp_extract_all(text, F.lit(f"({_ENTITY_PIECES})"))
    has_entities = guarded(may_have_entities(text), text.rlike(_ENTITY) & ~_row_matches(_MARKUP))
    return F.when(has_entities, F.array_join(F.transform(pieces, decoded), "")).otherwise(text)


def without_escapes(text: Column) -> Column:
    """Turns written-out line breaks, tabs and quotes into real ones, in rows that don't speak of code."""
    from pyspark.sql import functions as F

    plain = text
    for written, meant in _ESCAPES.items():
        plain = F.replace(plain, F.lit(written), F.lit(meant))
    escaped = text.rlike(_ESCAPE) & ~text.rlike(_OTHER_BACKSLASH) & ~_row_matches(_CODE)
    has_escapes = guarded(text.contains("\\"), escaped)
    return F.when(has_escapes, plain).otherwise(text)


def _row_matches(pattern: str) -> Column:
    """True where any text of the row matches: a question may say what its answer is about."""
    from pyspark.sql import functions as F

    turns = F.exists(F.col("turns"), lambda turn: turn["content"].rlike(pattern))
    return turns | F.col("context").rlike(pattern)
