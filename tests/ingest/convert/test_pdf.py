from __future__ import annotations

import pytest

from dolly.ingest.convert import Converted, Limits, Refused, convert
from tests.ingest.convert.samples import LIMITS, lines, pdf, pdf_file, text

PROSE = [
    "The safety officer is responsible for the yearly inspection of all machines and of",
    "their emergency stops. Nobody may use a machine whose inspection is overdue, and no",
    "exception is made for short work.",
]
IMAGE = "q 400 0 0 600 50 50 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x41 EI Q\n"


def converted(*pages: str, limits: Limits = LIMITS, **parts: str) -> Converted:
    return convert(pdf(*pages, **parts), "a.pdf", limits)


def refused(content: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(Refused) as caught:
        convert(content, "a.pdf", limits)
    return caught.value.rule


def ruled(x: float, y: float, widths: list[int], rows: list[list[str]]) -> str:
    content, height = "0.5 w\n", 20
    edges = [x + sum(widths[:at]) for at in range(len(widths) + 1)]
    for at in range(len(rows) + 1):
        content += f"{x} {y - height * at} m {edges[-1]} {y - height * at} l S\n"
    for edge in edges:
        content += f"{edge} {y} m {edge} {y - height * len(rows)} l S\n"
    for at, row in enumerate(rows):
        for edge, cell in zip(edges, row, strict=False):
            content += text(edge + 3, y - height * at - 14, cell)
    return content


def test_lines_become_paragraphs_and_larger_letters_headings() -> None:
    page = text(72, 780, "Safety rules", 20) + text(72, 740, "Inspections", 14) + lines(72, 715, PROSE)
    page += lines(72, 660, ["A second paragraph begins after a gap."])
    found = converted(page)
    assert found.markdown == (
        f"# Safety rules\n\n## Inspections\n\n{' '.join(PROSE)}\n\nA second paragraph begins after a gap."
    )
    assert (found.title, found.kind, found.pages, found.notes) == ("Safety rules", "pdf", 1, ())


def test_the_documents_own_title_comes_first() -> None:
    page = text(72, 780, "Chapter", 20) + lines(72, 740, PROSE)
    assert converted(page, info="/Title (Handbook)").title == "Handbook"
    assert converted(page, info="/Title (Microsoft Word - x.docx)").title == "Chapter"


def test_a_word_cut_at_a_lines_end_is_joined_and_a_real_hyphen_stays() -> None:
    page = lines(
        72,
        700,
        [
            "Nobody may use a machine whose yearly inspec-",
            "tion is overdue, and in all cases the long-term",
            "records of every machine are kept by the long-",
            "term archive of the company, without exception.",
        ],
    )
    text_found = converted(page).markdown
    assert "yearly inspection is" in text_found
    assert "by the long-term archive" in text_found


def test_two_columns_that_are_printed_line_by_line_are_read_one_after_the_other() -> None:
    left = [f"left column line {number} with more words" for number in range(8)]
    right = [f"right column line {number} with more text" for number in range(8)]
    page = text(72, 780, "A heading over both of the columns", 18)
    for at, (one, other) in enumerate(zip(left, right, strict=True)):
        page += text(72, 740 - 12 * at, one) + text(320, 740 - 12 * at, other)
    found = converted(page).markdown
    assert found.startswith("# A heading over both")
    assert found.index("left column line 7") < found.index("right column line 0")


def test_running_heads_feet_and_page_numbers_go() -> None:
    pages = [
        text(72, 810, f"Acme Ltd - Handbook, version {number}", 8) + lines(72, 700, PROSE) + text(290, 30, str(number))
        for number in range(1, 6)
    ]
    found = converted(*pages)
    assert "Acme" not in found.markdown
    assert not any(line.strip().isdigit() for line in found.markdown.splitlines())
    assert found.markdown.count("responsible") == 5
    assert found.notes == ("running heads, feet and page numbers left out: 10",)
    assert "Acme" in converted(*pages[:3]).markdown


def test_a_paragraph_goes_on_over_the_page() -> None:
    found = converted(lines(72, 200, PROSE[:2]), lines(72, 780, PROSE[2:]))
    assert found.markdown == " ".join(PROSE)


def test_a_ruled_table() -> None:
    rows = [["Machine", "Load", "Remark"], ["Crane A", "1,340", "a | b"], ["Crane B", "", "none"]]
    page = lines(72, 760, PROSE) + ruled(72, 600, [100, 80, 120], rows) + lines(72, 500, PROSE)
    table = "| Machine | Load | Remark |\n| --- | --- | --- |\n| Crane A | 1,340 | a \\| b |\n| Crane B |  | none |"
    assert converted(page).markdown == f"{' '.join(PROSE)}\n\n{table}\n\n{' '.join(PROSE)}"


def test_a_frame_around_text_is_no_table() -> None:
    page = "60 600 470 170 re S\n" + lines(72, 740, PROSE)
    assert converted(page).markdown == " ".join(PROSE)


def test_words_under_one_another_are_a_table() -> None:
    rows = [("Shift", "Begins", "Ends"), ("Early", "06:00", "14:00"), ("Late", "14:00", "22:00")]
    page = "".join(
        text(x, 700 - 14 * at, cell) for at, row in enumerate(rows) for x, cell in zip((72, 200, 320), row, strict=True)
    )
    assert converted(page).markdown.splitlines() == [
        "| Shift | Begins | Ends |",
        "| --- | --- | --- |",
        "| Early | 06:00 | 14:00 |",
        "| Late | 14:00 | 22:00 |",
    ]


def test_lists_keep_their_levels_and_drawn_bullets_count() -> None:
    page = text(72, 760, "• first") + text(92, 745, "• nested") + text(72, 730, "• second")
    page += "62 718 4 4 re f\n" + text(72, 715, "third") + text(72, 690, "1. one") + text(72, 675, "2. two")
    assert converted(page).markdown == "- first\n  - nested\n- second\n- third\n\n1. one\n2. two"


def test_code_keeps_its_indents() -> None:
    code = text(72, 640, "def limit():", 9, "F3") + text(72 + 4 * 5.4, 629, "return 1340", 9, "F3")
    found = converted(lines(72, 760, PROSE) + code)
    assert found.markdown.endswith("```\ndef limit():\n    return 1340\n```")


def test_a_bold_line_that_stands_alone_is_a_heading() -> None:
    page = text(72, 760, "Before the shift", 10, "F2") + lines(72, 740, PROSE * 2)
    assert converted(page).markdown.startswith("## Before the shift\n\nThe safety")


def test_turned_text_is_read_upright() -> None:
    turned = "".join(f"BT /F1 10 Tf 0 1 -1 0 {100 + 12 * at} 72 Tm ({row}) Tj ET\n" for at, row in enumerate(PROSE))
    assert converted(turned).markdown == " ".join(PROSE)


def test_scripts_and_attachments_are_named_and_left() -> None:
    found = converted(
        lines(72, 760, PROSE),
        catalog="/OpenAction << /S /JavaScript /JS (while(1){}) >> /Names << /EmbeddedFiles << /Names "
        "[(evil.exe) << /Type /Filespec /F (evil.exe) /EF << /F 5 0 R >> >>] >> >>",
    )
    assert found.markdown == " ".join(PROSE)
    assert found.notes == ("scripts ignored", "attachments ignored: evil.exe")


def test_pages_of_pictures_are_named() -> None:
    found = converted(lines(72, 760, PROSE), IMAGE)
    assert found.notes == ("pages that hold only pictures: 2",)


def test_why_a_pdf_gives_no_text() -> None:
    good = pdf(lines(72, 760, PROSE))
    assert refused(pdf(IMAGE)) == "scanned_file"
    assert refused(pdf("")) == "no_text"
    assert refused(good[:-40]) == "damaged_file"
    assert refused(b"%PDF-1.7\nnothing\n%%EOF") == "damaged_file"
    assert refused(pdf("", "", ""), LIMITS._replace(max_pages=2)) == "too_many_pages"
    assert refused(good, LIMITS._replace(max_characters=50)) == "too_many_characters"


def test_a_page_tree_that_holds_itself_ends() -> None:
    tree = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 40 >>", b"<< >>"]
    assert refused(pdf_file(tree)) == "damaged_file"


def test_letters_without_a_meaning_are_refused() -> None:
    font = "/F9 << /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H /DescendantFonts [<< /Type /Font "
    font += (
        "/Subtype /CIDFontType2 /BaseFont /X /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
    )
    font += " /FontDescriptor << /Type /FontDescriptor /FontName /X /Flags 4 >> >>] >>"
    content = pdf("BT /F9 10 Tf 72 700 Td <e001e002e003> Tj ET").replace(
        b"/Font << /F1", f"/Font << {font} /F1".encode()
    )
    assert refused(content) in ("garbled_text", "no_text")
