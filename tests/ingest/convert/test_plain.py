from __future__ import annotations

import codecs

import pytest

from dolly.ingest.convert import Refused, convert
from tests.ingest.convert.samples import LIMITS
from tests.support import SHARED

HANDBOOK = SHARED / "enterprise" / "handbook"


def refused(content: bytes, name: str) -> Refused:
    with pytest.raises(Refused) as caught:
        convert(content, name, LIMITS)
    return caught.value


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_marked_encodings_and_line_ends(mark: bytes, encoding: str) -> None:
    found = convert(mark + "größer\r\n東京\rend".encode(encoding), "a.txt", LIMITS)
    assert (found.markdown, found.title, found.kind, found.pages) == ("größer\n東京\nend", "", "text", None)


def test_other_encodings_are_refused_with_the_place() -> None:
    error = refused(b"gr\xfc\xdfe", "a.txt")
    assert (error.rule, error.detail) == ("not_utf8_file", "byte 2 is not utf-8")
    assert refused("no mark, but wide".encode("utf-16-le"), "a.txt").rule == "not_utf8_file"
    assert refused(codecs.BOM_UTF16_LE + b"\x00\xd8a\x00", "a.txt").rule == "not_utf8_file"


def test_binary_bytes_are_refused() -> None:
    assert refused(b"text and \0 more", "a.md").rule == "binary_file"
    assert refused(bytes(range(1, 32)) * 10, "a.md").rule == "binary_file"


def test_markdown_is_kept_as_it_is() -> None:
    text = "# Rules #\n\n<b>html</b>  \n\n\n```python\n# no heading\n```\n"
    found = convert(text.replace("\n", "\r\n").encode(), "a.md", LIMITS)
    assert (found.markdown, found.title, found.kind) == (text, "Rules", "markdown")


@pytest.mark.parametrize(
    ("content", "title", "text"),
    [
        ("---\ntitle: 'My  title'\ntags: [a]\n---\n\n# Other\n", "My title", "# Other\n"),
        ("---\ntags: a\n---\n# First\n", "First", "# First\n"),
        ("---\n---\nText", "", "Text"),
        ("---\nno mapping\n---\nText", "no mapping", "---\nno mapping\n---\nText"),
        ("---\na: [\n---\nText", "a: [", "---\na: [\n---\nText"),
        ("Head\n====\nText", "Head", "Head\n====\nText"),
        ("```\n# code\n```\ntext\n\n## Real ##", "Real", "```\n# code\n```\ntext\n\n## Real ##"),
        ("#hashtag\n\n- item\n---\n", "", "#hashtag\n\n- item\n---\n"),
    ],
)
def test_front_matter_and_title(content: str, title: str, text: str) -> None:
    found = convert(content.encode(), "a.markdown", LIMITS)
    assert (found.title, found.markdown) == (title, text)


def test_a_front_matter_of_aliases_costs_nothing() -> None:
    levels = "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    found = convert(f"---\na: &a [x]\n{levels}title: Bomb\n---\nText".encode(), "a.md", LIMITS)
    assert (found.title, found.markdown) == ("Bomb", "Text")


@pytest.mark.shared_data
def test_a_companys_whole_handbook() -> None:
    refused_rules, untitled, count = [], 0, 0
    for path in HANDBOOK.rglob("*.md"):
        count += 1
        try:
            untitled += not convert(path.read_bytes(), path.name, LIMITS).title
        except Refused as error:
            refused_rules.append(error.rule)
    assert (count, refused_rules, untitled) == (883, ["no_text"] * 3, 4)
