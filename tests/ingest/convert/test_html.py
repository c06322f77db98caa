from __future__ import annotations

import pytest

from dolly.ingest.convert import Refused, convert
from tests.ingest.convert.samples import LIMITS


def markdown(html: str) -> str:
    return convert(html.encode(), "a.html", LIMITS).markdown


def test_what_a_reader_sees_becomes_markdown() -> None:
    html = """<!doctype html><html><head><title> The
      page </title><style>p {}</style></head><body><nav>menu</nav><h1>Rules</h1><p>One <b>bold</b> snake_case*.</p>
      <ul><li>first<ul><li>nested</li></ul></li><li>second</li></ul><ol><li>one</li><li>two</li></ol>
      <table><tr><th>a</th><th>b</th></tr><tr><td>1 | 2</td><td>3</td></tr></table>
      <pre><code class="language-python">def f():
    return 1
</code></pre><!-- hidden --><script>alert(1)</script><div hidden>secret</div><p style="display: none">secret</p>
      <form>ask</form><footer>imprint</footer><img src="x.png" alt="A chart"></body></html>"""
    found = convert(html.encode(), "a.htm", LIMITS)
    assert (found.title, found.kind) == ("The page", "html")
    assert found.markdown == (
        "# Rules\n\nOne **bold** snake_case*.\n\n- first\n  - nested\n- second\n\n1. one\n2. two\n\n"
        "| a | b |\n| --- | --- |\n| 1 \\| 2 | 3 |\n\n```python\ndef f():\n    return 1\n```\n\nA chart"
    )


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("https://example.org/a?b=1", True),
        ("mailto:a@example.org", True),
        ("../b/c.html", True),
        ("javascript:alert(1)", False),
        (" java\nscript:alert(1)", False),
        ("data:text/html,x", False),
        ("vbscript:x", False),
        ("file:///etc/passwd", False),
        ("#here", False),
        ("http://[", False),
    ],
)
def test_link_targets(target: str, kept: bool) -> None:
    assert markdown(f'<p>see <a href="{target}">this page</a></p>') == (
        f"see [this page]({target})" if kept else "see this page"
    )


@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252", "utf-8", "koi8-r", "shift_jis"])
def test_the_character_set_that_the_page_names(charset: str) -> None:
    word = {"koi8-r": "привет", "shift_jis": "東京"}.get(charset, "größer")
    page = f'<html><meta http-equiv="Content-Type" content="text/html; charset={charset}"><p>{word}</p>'
    assert convert(page.encode(charset), "a.html", LIMITS).markdown == word


def test_the_mark_wins_and_pythons_own_codecs_are_no_character_sets() -> None:
    page = '<html><meta charset="iso-8859-1"><p>größer</p>'
    assert convert(page.encode("utf-8-sig"), "a.html", LIMITS).markdown == "größer"
    assert convert(b'<html><meta charset="unicode_escape"><p>\\u0041</p>', "a.html", LIMITS).markdown == "\\u0041"


def test_wrong_bytes_and_pages_without_text_are_refused() -> None:
    for content, rule in ((b"<p>gr\xfc\xdf</p>", "not_utf8_file"), (b"<script>x</script>", "no_text")):
        with pytest.raises(Refused) as caught:
            convert(content, "a.html", LIMITS)
        assert caught.value.rule == rule


def test_no_lone_surrogates_or_control_characters_come_out() -> None:
    assert markdown("<p>a&#xD800;b&#1;c</p>").encode().decode().startswith("a")


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        markdown("<ul><li>" * 2_000 + "x")
    assert caught.value.rule == "parser_failed"
