"""Chat exports: pages become Markdown, talk about pages stays, no complete round is lost."""

from __future__ import annotations

import copy
import itertools
import json
import random
import time
from typing import Any

import pytest

from dolly.clean.chat_export import _LOOKS_HTML
from dolly.clean.conversations import FIXES, RULES, clean_turns, with_clean_turns
from tests.support import SHARED

DUMMY = SHARED / "sharegpt" / "dummy_conversation.json"
PAGE = '<div class="markdown prose w-full break-words dark:prose-invert dark">{}</div>'
BUTTON = '<button class="flex"><svg viewBox="0 0 24 24"><path d="M16 4"></path></svg>Copy code</button>'
CODE = (
    '<pre><div class="bg-black"><div class="flex items-center"><span>python</span>' + BUTTON + '</div><div class="p-4">'
    '<code class="!whitespace-pre hljs {}"><span class="hljs-keyword">def</span> my_f(a):\n'
    "    return a &lt; 3 &amp; __x__\n</code></div></div></pre>"
)

Turn = tuple[str, str]


def turns(*said: Turn) -> list[dict[str, str]]:
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return [{"role": roles.get(who, who), "content": content} for who, content in said]


def answer(content: str, question: str = "How?") -> tuple[str, list[str]]:
    cleaned = clean_turns(turns(("u", question), ("a", content)))
    assert cleaned.rule is None
    return cleaned.turns[-1]["content"], cleaned.fixes


@pytest.mark.parametrize("language", ["language-python", ""])
def test_a_page_becomes_markdown_with_its_code_as_it_was(language: str) -> None:
    html = "<h2>Use it</h2><p>Call <code>my_f</code>, <em>not</em> &lt;div&gt; or 2 * 3_4:</p><ol><li><p>First</p>"
    html += CODE.format(language) + "</li><li>Second</li></ol><p>Done.</p>"
    text, fixes = answer(PAGE.format(html))
    assert text == (
        "## Use it\n\nCall `my_f`, *not* <div> or 2 * 3_4:\n\n1. First\n\n   ```python\n   def my_f(a):\n"
        "       return a < 3 & __x__\n   ```\n2. Second\n\nDone."
    )
    assert fixes == ["html_to_markdown"]


def test_code_with_fences_of_its_own_gets_a_longer_one() -> None:
    text, _ = answer(PAGE.format('<pre><code class="language-markdown">```\nx\n```\n</code></pre>'))
    assert text == "````markdown\n```\nx\n```\n````"


def test_tables_formulas_and_avatars() -> None:
    formula = '<span class="katex"><span class="katex-mathml"><math><semantics><mrow><mi>x</mi></mrow>'
    formula += '<annotation encoding="application/x-tex">x^2</annotation></semantics></math></span>'
    formula += '<span class="katex-html" aria-hidden="true"><span>x2</span></span></span>'
    table = "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>"
    avatar = '<img alt="User avatar" src="https://example.com/me.png">'
    text, _ = answer("2 / 3" + PAGE.format(f"{avatar}<p>Area: {formula}</p>{table}"))
    assert text == "Area: $x^2$\n\n| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_a_question_on_the_page_keeps_its_lines() -> None:
    question = '<div class="min-h-[20px] whitespace-pre-wrap">one\n  two &amp; three</div>'
    cleaned = clean_turns(turns(("u", question), ("a", PAGE.format("<p>Yes.</p>"))))
    assert [turn["content"] for turn in cleaned.turns] == ["one\n  two & three", "Yes."]


def test_bare_elements_are_a_page_only_if_all_answers_are() -> None:
    assert answer("<p>I am <strong>here</strong>.</p><ul><li>a</li></ul>")[0] == "I am **here**.\n\n- a"
    mixed = turns(("u", "Hi"), ("a", "<p>Hello</p>"), ("u", "So?"), ("a", "It's *so*."))
    assert clean_turns(mixed) == (mixed, [], None, "")


@pytest.mark.parametrize(
    ("question", "content"),
    [
        ("Write the greeting in HTML.", "<p>Hello</p>"),
        ("<div>hello</div>", "<div>bye</div>"),
        ("Fix it", "<form><p>Name</p></form>"),
        ("Fix it", "<p>unclosed"),
        ("What are they?", "<div> is a block, and so is <p>"),
        (
            'Why is `<div class="markdown prose">` grey?',
            'Use:\n```html\n<div class="markdown prose">x</div>\n```\nin <div>',
        ),
        ("Make a page", "```html\n<div><p>Copy code</p></div>\n```"),
        ("3/4 + 0?", "3 / 4"),
        ("a < b and b > c?", "a <b> c"),
    ],
)
def test_what_only_looks_like_a_page_stays(question: str, content: str) -> None:
    said = turns(("u", question), ("a", content))
    assert clean_turns(said) == (said, [], None, "")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("```\npythonCopy code\nimport x\n```", "```python\nimport x\n```"),
        ("```\npythonCopy codeimport x\n```", "```python\nimport x\n```"),
        ("```pythonCopy code\n  import x\n```", "```python\n  import x\n```"),
        ("```python\nCopy code\n    indented\n```", "```python\n    indented\n```"),
        ("```python\npython\nCopy code\nimport x\n```", "```python\nimport x\n```"),
        ("```\nc++\nCopy code\nint x;\n```", "```c++\nint x;\n```"),
        ("```\nCopy codels -l\n```\n~~~\nbashCopy code\nls\n~~~", "```\nls -l\n```\n~~~bash\nls\n~~~"),
        ("So:\n\npython\nCopy code\nimport x\n\nDone", "So:\n\nimport x\n\nDone"),
        ("cssCopy codea {}", "a {}"),
        ("Done.\n\nRegenerate response\n", "Done."),
        ("Done.\nShare Prompt\nCopy120 chars / 20 words", "Done."),
        ("ChatGPT said:\n\nChatGPT\n\nHello", "Hello"),
        ("###### ChatGPT said:\nHello", "Hello"),
    ],
)
def test_labels_of_the_page_are_removed(found: str, expected: str) -> None:
    assert answer(found) == (expected, ["page_labels_removed"])


@pytest.mark.parametrize(
    "content",
    [
        "Press Copy code.",
        "Copy code to the board",
        "```\nCopy code to clipboard\nCopy code\n```",
        "```\nx\ny\nCopy code\n```",
        "```python\nx\ny\nCopy code\n```",
        "The button\n\nRegenerate response\n\nasks again.",
        "```\nRegenerate response\n```",
        "ChatGPT said: yes",
    ],
)
def test_talk_about_the_labels_stays(content: str) -> None:
    assert answer(content) == (content, [])


def test_who_said_it_is_a_label_only_beside_the_pages_other_one() -> None:
    copied = turns(("u", "##### You said:\nHi"), ("a", "ChatGPT said:\nHello"))
    assert [turn["content"] for turn in clean_turns(copied).turns] == ["Hi", "Hello"]
    talk = turns(("u", "You said:\nno"), ("a", "Yes."), ("u", "Regenerate response"), ("a", "Yes!"))
    assert clean_turns(talk) == (talk, [], None, "")


@pytest.mark.parametrize(
    ("said", "kept", "fixes"),
    [
        ("a1 u2 a3", "u2 a3", ["leading_answer_removed"]),
        ("u1 a2 u3", "u1 a2", ["unanswered_question_removed"]),
        ("u1 a2 u3 u4", "u1 a2", ["turns_merged", "unanswered_question_removed"]),
        ("u1 u2 a3 a4", "u1+2 a3+4", ["turns_merged"]),
        ("u1 a_ u2 a3", "u1+2 a3", ["empty_turn_removed", "turns_merged"]),
        ("u_ a1 u2 a3", "u2 a3", ["empty_turn_removed", "leading_answer_removed"]),
        ("a1 s2 s3 u4 a5", "s2+3 u4 a5", ["leading_answer_removed", "turns_merged"]),
        ("s1 u2 a3 s4 u5 a6", "s1 u2 a3 u5 a6", ["late_system_turn_removed"]),
        ("s1 u2 a3", "s1 u2 a3", []),
    ],
)
def test_speakers_take_turns(said: str, kept: str, fixes: list[str]) -> None:
    cleaned = clean_turns(turns(*[(part[0], part[1:].replace("_", " \u200b\n")) for part in said.split()]))
    assert " ".join(t["role"][0] + t["content"].replace("\n\n", "+") for t in cleaned.turns) == kept
    assert (cleaned.fixes, cleaned.rule) == (fixes, None)


@pytest.mark.parametrize(
    ("said", "rule", "detail"),
    [
        ([], "no_complete_round", "no turns"),
        ([("s", "Be kind"), ("u", "Hi")], "no_complete_round", "2 turns: system, user"),
        ([("a", "Hello")], "no_complete_round", "1 turn: assistant"),
        ([("u", "Hi"), ("a", "Regenerate response")], "no_complete_round", "2 turns: user, assistant"),
        ([("u", "Hi")] * 6, "no_complete_round", "6 turns: user, user, user, user, user, …"),
        ([("u", "Hi"), ("tool", "42"), ("a", "Hello"), ("bing", "x")], "unknown_role", "bing, tool"),
    ],
)
def test_rows_that_a_rule_ends_keep_their_turns(said: list[Turn], rule: str, detail: str) -> None:
    assert clean_turns(turns(*said)) == (turns(*said), [], rule, detail)


def test_no_complete_round_is_lost_whatever_the_order() -> None:
    draw = random.Random(3)
    for _ in range(500):
        said = turns(*[(draw.choice("uuaas"), draw.choice(["", f"<{n}>"])) for n in range(draw.randrange(12))])
        before = copy.deepcopy(said)
        cleaned = clean_turns(said)
        assert said == before
        full = [turn for turn in said if turn["content"]]
        rounds = [
            (question["content"], reply["content"])
            for question, reply in itertools.pairwise(full)
            if (question["role"], reply["role"]) == ("user", "assistant")
        ]
        assert (cleaned.rule == "no_complete_round") <= (not rounds)
        if cleaned.rule is None:
            roles = [turn["role"] for turn in cleaned.turns if turn["role"] != "system"]
            assert roles == ["user", "assistant"] * (len(roles) // 2)
            assert clean_turns(cleaned.turns) == (cleaned.turns, [], None, "")
            text = "\n".join(turn["content"] for turn in cleaned.turns)
            assert all(question in text and reply in text for question, reply in rounds)


def test_broken_html_ends_the_row_not_the_job() -> None:
    deep = PAGE.format("<div>" * 3000)
    assert clean_turns(turns(("u", "Hi"), ("a", deep))).rule == "unreadable_html"


@pytest.mark.parametrize(
    "text",
    ["<" + "a" * 10**5, '<div "' * 20_000, "<p><!--" * 20_000, "```\n" * 30_000, "Copy code" * 20_000, "\n" * 10**5],
)
def test_hostile_texts_take_no_time(text: str) -> None:
    started = time.perf_counter()
    clean_turns(turns(("u", "Hi"), ("a", text)))
    assert time.perf_counter() - started < 2


@pytest.mark.shared_data
def test_clean_conversations_pass_unchanged() -> None:
    roles = {"human": "u", "gpt": "a"}
    records = json.loads(DUMMY.read_text(encoding="utf-8"))
    assert len(records) == 500
    for record in records:
        said = turns(*[(roles[turn["from"]], turn["value"]) for turn in record["conversations"]])
        assert clean_turns(said) == (said, [], None, "")


@pytest.mark.spark
def test_spark_cleans_as_python_does_and_keeps_what_was_found_before(spark: Any) -> None:
    rows = [
        (1, turns(("a", "Hi"), ("u", "a"), ("a", PAGE.format("<p>b</p>"))), ["line_endings"], None, None),
        (2, turns(("u", "a")), [], None, None),
        (3, turns(("x", "a")), [], "too_long", "900"),
        (4, None, None, None, None),
        (5, turns(("u", "a"), ("a", "b")), None, None, None),
    ]
    schema = "id int, turns array<struct<role: string, content: string>>"
    frame = spark.createDataFrame(rows, f"{schema}, fixes array<string>, rule string, detail string")
    made = {row["id"]: row for row in with_clean_turns(frame).collect()}
    assert [turn.asDict() for turn in made[1]["turns"]] == turns(("u", "a"), ("a", "b"))
    assert made[1]["fixes"] == ["line_endings", "html_to_markdown", "leading_answer_removed"]
    assert (made[2]["rule"], made[2]["detail"]) == ("no_complete_round", "1 turn: user")
    assert (made[3]["rule"], made[3]["detail"], made[3]["turns"][0]["role"]) == ("too_long", "900", "x")
    assert made[4]["rule"] == "no_complete_round"
    assert (made[5]["fixes"], made[5]["rule"], made[5]["detail"]) == ([], None, None)
    assert {row["rule"] for row in made.values()} - {None, "too_long"} <= set(RULES)
    assert set(made[1]["fixes"]) - {"line_endings"} <= set(FIXES)
    looks = [row[0] for row in rows if any(_LOOKS_HTML.match(turn["content"]) for turn in row[1] or [])]
    assert looks == [1]
    bare = with_clean_turns(frame.where("id = 5").select("turns", "id")).collect()
    assert [tuple(row)[1:] for row in bare] == [(5, [], None, None)]
