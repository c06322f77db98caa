"""Bad records and files of many classes, made by script: what a company's folders really hold, and worse.

python -m tests.system.corpus FOLDER [RECORDS_A_CLASS]     writes the files and corpus.yaml, which dolly takes

Each class says how many records or files it made; whatever becomes of them, they must all be found
again, in the next table or in `rejected`.
"""

from __future__ import annotations

import io
import json
import os
import random
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROWS_A_CLASS = 300
_BIG_FIELD = 100_000_000


class Class(NamedTuple):
    """One class of input: how many records or files it made, and where some of them are expected.

    `rules` are names of rules of `rejected`, one of which must have caught each of them; empty where
    they are good. `fixes` are names of fixes of which one must have touched each of them.
    """

    made: int
    rules: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()


class Corpus(NamedTuple):
    """What was made: `classes` by source and name; `config` is the experiment's file."""

    config: Path
    classes: dict[tuple[str, str], Class]


def make_corpus(folder: Path, *, rows: int = ROWS_A_CLASS, big_field: int = _BIG_FIELD, **settings: Any) -> Corpus:
    """Writes the corpus; `settings` are further keys of the config."""
    classes: dict[tuple[str, str], Class] = {}
    for source, makers in {"lines": LINES, "arrays": ARRAYS, "sheets": SHEETS, "talks": TALKS}.items():
        (folder / source).mkdir(parents=True)
        for name, maker in makers.items():
            classes[source, name] = maker(folder / source, random.Random(name), rows)
    (folder / "lines" / "one field.jsonl").write_bytes(_json(instruction="big", output="x" * big_field) + b"\n")
    classes["lines", "100_mb_field"] = Class(1, ("record_too_large",))
    (folder / "papers").mkdir()
    for name, maker in PAPERS.items():
        classes["papers", name] = maker(folder / "papers", random.Random(name), rows)
    config = {
        "name": "corpus",
        "home": str(folder / "home"),
        "sources": [
            {"name": "lines", "path": str(folder / "lines"), "format": "jsonl"},
            {"name": "arrays", "path": str(folder / "arrays"), "format": "json"},
            {"name": "sheets", "path": str(folder / "sheets"), "format": "csv"},
            {"name": "talks", "path": str(folder / "talks"), "format": "jsonl", "columns": {"turns": "conversations"}},
            {"name": "papers", "path": str(folder / "papers"), "format": "documents"},
        ],
        "ingest": {"max_seconds": 10, "max_memory_megabytes": 256},
    }
    path = folder / "corpus.yaml"
    path.write_text(yaml.safe_dump(config | settings))
    return Corpus(path, classes)


# --- records: one line each ------------------------------------------------------------------------


def _json(**fields: Any) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()


def _question(number: int, about: str) -> str:
    return f"Which bolt of size {number} fits the {about} of the pump?"


def _answer(number: int, about: str) -> str:
    return f"The bolt number {number} with the {about} thread fits; tighten it by {number % 40 + 5} newton metres."


def _records(make: Callable[[int], bytes], *rules: str, fixes: tuple[str, ...] = ()) -> Callable[..., Class]:
    """A file of `rows` records, each by `make`."""

    def write(folder: Path, source: random.Random, rows: int) -> Class:
        # The name holds spaces and letters of several scripts, as users' files do.
        name = f"{source.choice(['été', 'bücher 2', 'план', '資料', 'plain'])} {source.randrange(10**6)}.jsonl"
        (folder / name).write_bytes(b"\n".join(make(number) for number in range(rows)) + b"\n")
        return Class(rows, rules, fixes)

    return write


def _with(about: str, *rules: str, fixes: tuple[str, ...] = (), **texts: Callable[[int], Any]) -> Callable[..., Class]:
    """Records whose fields are those of a good one but for `texts`; None leaves a field out."""

    def make(number: int) -> bytes:
        fields = {"instruction": _question(number, about), "input": "", "output": _answer(number, about)}
        fields |= {name: text(number) for name, text in texts.items()}
        return _json(**{name: value for name, value in fields.items() if value is not None})

    return _records(make, *rules, fixes=fixes)


def _whole_file(
    content: Callable[[int], bytes], count: Callable[[int], int], *rules: str, suffix: str
) -> Callable[..., Class]:
    def write(folder: Path, source: random.Random, rows: int) -> Class:
        (folder / f"whole {source.randrange(10**6)}{suffix}").write_bytes(content(rows))
        return Class(count(rows), rules)

    return write


def _good_lines(rows: int, about: str) -> str:
    texts = [(_question(number, about), _answer(number, about)) for number in range(rows)]
    return "".join(json.dumps({"instruction": q, "output": a}, ensure_ascii=False) + "\n" for q, a in texts)


def _deep(number: int) -> bytes:
    depth = 10_000 + number
    return b'{"instruction": "deep", "output": ' + b"[" * depth + b"]" * depth + b"}"


LINES: dict[str, Callable[..., Class]] = {
    "good": _with("good"),
    "bad_utf8": _records(
        lambda n: _json(instruction=_question(n, "a"), output="caf\u00e9").replace(b"\xc3\xa9", b"\xe9"), "not_utf8"
    ),
    "overlong_utf8": _records(lambda n: b'{"instruction": "q%d", "output": "\xc0\xaf"}' % n, "not_utf8"),
    "raw_nul": _records(lambda n: b'{"instruction": "q%d", "output": "a\x00b"}' % n, "bad_json"),
    "escaped_nul": _with("nul", output=lambda n: f"{_answer(n, 'nul')}\0", fixes=("control_characters",)),
    "lone_surrogate": _records(lambda n: b'{"instruction": "q%d", "output": "a\\ud800b"}' % n, "not_utf8"),
    "bidi": _with("bidi", output=lambda n: f"\u202e{_answer(n, 'bidi')}\u202c", fixes=("bidi_controls",)),
    "zero_width": _with(
        "zero", output=lambda n: _answer(n, "zero").replace("bolt", "bo\u200blt"), fixes=("zero_width",)
    ),
    "ansi_colours": _with(
        "ansi", output=lambda n: f"\x1b[31m{_answer(n, 'ansi')}\x1b[0m", fixes=("control_characters",)
    ),
    "bad_json": _records(lambda n: b'{"instruction": "q%d", "output": }' % n, "bad_json"),
    "single_quotes": _records(lambda n: b"{'instruction': 'q%d', 'output': 'a'}" % n, "bad_json"),
    "half_a_line": _records(lambda n: _json(instruction=_question(n, "b"), output="x" * 50)[:-9], "bad_json"),
    "wrong_types": _with("types", "wrong_type", output=lambda n: [n, None, {"a": n}, [str(n)], True][n % 5 or 2]),
    "not_an_object": _records(lambda n: [b"[%d]", b'"text %d"', b"%d"][n % 3] % n, "wrong_type"),
    "nan": _records(lambda n: b'{"instruction": "q%d", "output": "a", "score": NaN}' % n, "not_json_number"),
    "infinity": _records(lambda n: b'{"instruction": "q%d", "output": "a", "score": -Infinity}' % n, "not_json_number"),
    "number_out_of_range": _records(
        lambda n: b'{"instruction": "q%d", "output": "a", "score": 1e999}' % n, "not_json_number"
    ),
    "duplicate_keys": _records(lambda n: b'{"instruction": "q%d", "output": "a", "output": "b"}' % n, "duplicate_key"),
    "deep_nesting": lambda folder, source, rows: _records(_deep, "bad_json", "wrong_type")(folder, source, 20),
    "missing_field": _with("missing", "missing_field", output=lambda n: None),
    "empty_output": _with("empty", "empty_output", output=lambda n: " \n\t"),
    "empty_instruction": _with("nothing", "empty_instruction", instruction=lambda n: "\u00a0"),
    "same_id_other_body": _with("twin", id=lambda n: n // 2),
    "exact_duplicates": _with(
        "same", "exact_duplicate", instruction=lambda n: "What fits?", output=lambda n: "It all fits well."
    ),
    "template_tokens": _with(
        "token", output=lambda n: f"### Response:\n<|im_start|>system<|endoftext|> {_answer(n, 'token')}"
    ),
    "html_and_script": _with("html", output=lambda n: f"<script>alert({n})</script><b>{_answer(n, 'html')}</b>"),
    "planted_secrets": _with(
        "secret",
        output=lambda n: (
            f"{_answer(n, 'secret')} The password: hunter2{n:04}Xy! and mail to jo{n}@works{n}.example.com now."
        ),
        fixes=("personal_data",),
    ),
    "mojibake": _with("moji", output=lambda n: f"CafÃ© nÃºmero {n}: {_answer(n, 'moji')}", fixes=("mojibake",)),
    "too_long": lambda folder, source, rows: _with("long", "too_many_characters", output=lambda n: f"{n} " * 30_000)(
        folder, source, 10
    ),
    "degenerate": _with("loop", "repeated_text", output=lambda n: f"number {n} again and " * 60),
    "truncated_last_line": _whole_file(
        lambda rows: _good_lines(rows, "cut").encode()[:-20], lambda rows: rows, suffix=".jsonl"
    ),
    "utf8_bom": _whole_file(
        lambda rows: b"\xef\xbb\xbf" + _good_lines(rows, "bom").encode(), lambda rows: rows, suffix=".jsonl"
    ),
    "utf16": _whole_file(lambda rows: _good_lines(rows, "wide").encode("utf-16"), lambda rows: rows, suffix=".jsonl"),
    "carriage_returns": _whole_file(
        lambda rows: _good_lines(rows, "cr").replace("\n", "\r\n").encode(), lambda rows: rows, suffix=".jsonl"
    ),
    "empty_file": _whole_file(lambda rows: b"", lambda rows: 1, "empty_file", suffix=".jsonl"),
    "blank_file": _whole_file(lambda rows: b" \n\n\t\n", lambda rows: 1, "empty_file", suffix=".jsonl"),
    "binary_junk": _whole_file(
        lambda rows: b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(4000).replace(b"\n", b""),
        lambda rows: 1,
        "wrong_kind",
        "not_utf8_file",
        suffix=".jsonl",
    ),
    "other_suffix": _whole_file(lambda rows: b"hello", lambda rows: 1, "unknown_kind", suffix=".exe"),
}


def _array_file(content: bytes, made: int, *rules: str) -> Callable[..., Class]:
    return _whole_file(lambda rows: content, lambda rows: made, *rules, suffix=".json")


ARRAYS: dict[str, Callable[..., Class]] = {
    "good": _array_file(
        json.dumps([{"instruction": f"q {n}", "output": f"answer {n}"} for n in range(50)]).encode(), 50
    ),
    # Four records and what follows them.
    "truncated": _array_file(
        json.dumps([{"instruction": f"t {n}", "output": f"answer {n}"} for n in range(5)]).encode()[:-12], 5
    ),
    "not_an_array": _array_file(b'{"instruction": "q", "output": "a"}', 1, "not_an_array"),
    "empty_array": _array_file(b"[]", 1, "empty_file"),
    "junk_after": _array_file(b'[{"instruction": "j", "output": "answer j"}] trailing', 2),
    "deep": _array_file(b"[" * 20_000 + b"]" * 20_000, 1),
}


def _csv_file(text: str, made: int, *rules: str, encoding: str = "utf-8") -> Callable[..., Class]:
    return _whole_file(lambda rows: text.encode(encoding), lambda rows: made, *rules, suffix=".csv")


_FORMULAS = ['=cmd|"/C calc"!A0', "+1+1", "-2+3", "@SUM(1+1)*cmd", "=HYPERLINK(A1)"]
SHEETS: dict[str, Callable[..., Class]] = {
    "formulas": _csv_file(
        "instruction,output\n"
        + "".join(
            f'"formula {n}","{_FORMULAS[n % 5].replace(chr(34), chr(34) * 2)} is what it says"\n' for n in range(100)
        ),
        100,
    ),
    "field_counts": _csv_file("instruction,output\n" + "a,b,c\nd\n" * 50, 100, "wrong_field_count"),
    "bare_quotes": _csv_file('instruction,output\n"a"b,c\n' + "good one,yes it is\n", 2),
    "unclosed_quote": _csv_file('instruction,output\nfirst of all,a fine answer\n"never closed,b\n', 2),
    "doubled_column": _csv_file("instruction,output,output\na,b,c\n", 1, "doubled_column"),
    "other_columns": _csv_file("frage,antwort\nwas,das\n", 1, "missing_field"),
    "header_only": _csv_file("instruction,output\n", 1, "empty_file"),
    "excel_unicode": _csv_file("instruction,output\nWie groß ist es?,Größer als erwartet\n", 1, encoding="utf-16"),
}


def _talk(name: str, turns: Callable[[int], Any], *rules: str, fixes: tuple[str, ...] = ()) -> Callable[..., Class]:
    return _records(lambda n: _json(id=f"{name}{n}", conversations=turns(n)), *rules, fixes=fixes)


def _said(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"from": role, "value": text} for role, text in turns]


TALKS: dict[str, Callable[..., Class]] = {
    "good": _talk("g", lambda n: _said(("human", _question(n, "talk")), ("gpt", _answer(n, "talk")))),
    "unknown_role": _talk("u", lambda n: _said(("alien", "hi"), ("gpt", "hello")), "unknown_role"),
    "no_turns": _talk("e", lambda n: [], "no_turns", "no_complete_round"),
    "not_a_list": _talk("l", lambda n: "hello", "wrong_type"),
    "text_is_null": _talk("n", lambda n: [{"from": "human", "value": None}], "wrong_type"),
    "only_questions": _talk("q", lambda n: _said(("human", f"anyone there {n}?")), "no_complete_round"),
    "answer_first": _talk(
        "a",
        lambda n: _said(("gpt", "Welcome."), ("human", _question(n, "hall")), ("gpt", _answer(n, "hall"))),
        fixes=("leading_answer_removed",),
    ),
    "unanswered_end": _talk(
        "x",
        lambda n: _said(("human", _question(n, "end")), ("gpt", _answer(n, "end")), ("human", "And then?")),
        fixes=("unanswered_question_removed",),
    ),
    "export_html": _talk(
        "h",
        lambda n: _said(
            ("human", _question(n, "page")),
            ("gpt", f'<div class="markdown prose"><p>{_answer(n, "page")}</p><ul><li>one</li></ul></div>'),
        ),
        fixes=("html_to_markdown",),
    ),
}


# --- documents -------------------------------------------------------------------------------------


def _files(suffix: str, content: Callable[[int], bytes], count: int, *rules: str) -> Callable[..., Class]:
    def write(folder: Path, source: random.Random, rows: int) -> Class:
        name = source.randrange(10**6)
        for number in range(count):
            (folder / f"{name} {number}{suffix}").write_bytes(content(number))
        return Class(count, rules)

    return write


def _zip(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_TYPES = (
    b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    b'<Default Extension="xml" ContentType="application/xml"/>'
    b'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    b'<Override PartName="/word/document.xml" '
    b'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
_RELS = (
    b'<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    b'<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    b'Target="word/document.xml"/></Relationships>'
)


def _docx(text: str, *, before: str = "", more: dict[str, bytes] | None = None) -> bytes:
    body = f'<w:document xmlns:w="{_WORD}"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>'
    parts = {"[Content_Types].xml": _TYPES, "_rels/.rels": _RELS, "word/document.xml": (before + body).encode()}
    return _zip(parts | (more or {}))


def _pdf(*objects: bytes, trailer: bytes = b"", cut: int = 0) -> bytes:
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, table)
    return out[: len(out) - cut]


def _page(
    text: bytes, *, catalog: bytes = b"", pages: bytes = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", cut: int = 0
) -> bytes:
    stream = b"BT /F1 12 Tf 72 700 Td (%s) Tj ET" % text
    return _pdf(
        b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog,
        pages,
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>",
        cut=cut,
    )


_ENCRYPT = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >> /ID [<00> <00>]" % (
    b"11" * 32,
    b"22" * 32,
)
_LAUGHS = f'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "{"&a;" * 10}"><!ENTITY c "{"&b;" * 10}">]>'
_ENTITY = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'


def _odd_names(folder: Path, source: random.Random, rows: int) -> Class:
    names = [
        "  two spaces.md",
        "_underscore.md",
        ".hidden.md",
        "naïve \u202egpj.md",
        "new\nline.md",
        "emoji 🌧.md",
        "a" * 200 + ".md",
    ]
    for number, name in enumerate(names):
        (folder / name).write_text(f"# Page {number}\n\nThe odd name number {number} holds a page of its own.")
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.md")).write_text("# Latin\n\nA name that is not UTF-8.")
    return Class(len(names) + 1)


def _links(folder: Path, source: random.Random, rows: int) -> Class:
    outside = folder.parent / "outside.md"
    outside.write_text("# Secret\n\nThis lies outside of the folder.")
    (folder / "out.md").symlink_to(outside)
    (folder / "up.md").symlink_to("../outside.md")
    (folder / "broken.md").symlink_to("nowhere.md")
    (folder / "loop.md").symlink_to("loop.md")
    os.mkfifo(folder / "pipe.md")
    return Class(5, ("symlink_outside", "not_a_file", "unreadable"))


PAPERS: dict[str, Callable[..., Class]] = {
    "good_markdown": _files(".md", lambda n: f"# Sheet {n}\n\nThe sheet {n} tells of valve {n}.".encode(), 20),
    "good_docx": _files(".docx", lambda n: _docx(f"Office text number {n} about the gasket."), 3),
    "good_pdf": _files(".pdf", lambda n: _page(b"Page number %d about the flange" % n), 3),
    "zip_bomb_docx": _files(
        ".docx", lambda n: _docx("x", more={"word/media/a.bin": b"\0" * 300_000_000}), 1, "zip_bomb"
    ),
    "zip_bomb_odt": _files(".odt", lambda n: _zip({"content.xml": b" " * 300_000_000}), 1, "zip_bomb", "damaged_file"),
    "many_entries": _files(".docx", lambda n: _docx("x", more={f"e/{i}": b"" for i in range(20_000)}), 1, "zip_bomb"),
    "path_traversal": _files(
        ".docx", lambda n: _docx("y", more={"../../evil.xml": b"<a/>"}), 1, "damaged_file", "unsafe_archive"
    ),
    "external_entity": _files(".docx", lambda n: _docx("&e;", before=_ENTITY), 3, "unsafe_xml"),
    "billion_laughs": _files(".docx", lambda n: _docx("&c;", before=_LAUGHS), 1, "unsafe_xml"),
    "not_a_zip": _files(".docx", lambda n: b"PK\x03\x04 nothing", 2, "damaged_file"),
    "png_as_pdf": _files(".pdf", lambda n: b"\x89PNG\r\n\x1a\n" + bytes(100), 2, "wrong_extension"),
    "pdf_as_docx": _files(".docx", lambda n: _page(b"hidden"), 2, "wrong_extension"),
    "text_as_pdf": _files(".pdf", lambda n: b"just words", 1, "wrong_extension", "damaged_file"),
    "pdf_javascript": _files(".pdf", lambda n: _page(b"Scripted page %d" % n, catalog=b"/OpenAction 6 0 R"), 2),
    "pdf_password": _files(
        ".pdf",
        lambda n: _pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] /Count 0 >>", trailer=_ENCRYPT),
        1,
        "protected_file",
        "damaged_file",
    ),
    "pdf_page_loop": _files(
        ".pdf",
        lambda n: _page(b"x", pages=b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2147483647 >>"),
        1,
        *("damaged_file", "no_text", "too_many_pages", "parser_timeout", "parser_died", "parser_memory"),
    ),
    "pdf_cut": _files(".pdf", lambda n: _page(b"cut", cut=400), 2, "damaged_file", "no_text"),
    "pdf_empty_page": _files(".pdf", lambda n: _page(b""), 1, "no_text"),
    "empty_files": _files(".md", lambda n: b"", 3, "no_text", "empty_file"),
    "utf16_text": _files(".txt", lambda n: f"Größe {n} of the nozzle".encode("utf-16"), 2),
    "latin_text": _files(".txt", lambda n: b"caf\xe9 without a mark", 2, "not_utf8_file"),
    "binary_markdown": _files(".md", lambda n: bytes(range(256)) * 4, 2, "binary_file", "wrong_extension"),
    "script_page": _files(".html", lambda n: b"<h1>Pump</h1><script>alert(1)</script><p>Open valve %d.</p>" % n, 2),
    "deep_html": _files(".html", lambda n: b"<div>" * 50_000 + b"deep text", 1),
    "unknown": _files(".exe", lambda n: b"MZ", 2, "unknown_kind"),
    "odd_names": _odd_names,
    "links_and_pipes": _links,
}


if __name__ == "__main__":
    made = make_corpus(Path(sys.argv[1]).resolve(), rows=int(sys.argv[2]) if len(sys.argv) > 2 else ROWS_A_CLASS)
    total = sum(entry.made for entry in made.classes.values())
    print(f"{total:,} records and files of {len(made.classes)} classes; dolly run {made.config} --until clean")
