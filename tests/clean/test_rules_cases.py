"""Conversations that each check must hit, and near misses that it must not."""

from __future__ import annotations

from typing import Any

import pytest

from dolly.clean.rules import REASONS, checks

PROSE = "The gate opens at eight in the morning and closes at six. " * 3
CUT = PROSE + "Visitors who come later than that ring the bell at the side door and wait for the "
LIST = "Here are some:\n" + "\n".join(f"- item number {i} of the list is a good one" for i in range(9))
FENCE = "```"

# Rule → conversations that it must hit, near misses; each (question, context, answer).
HITS: dict[str, list[tuple[str, str, str]]] = {
    "empty_instruction": [("", "", "an answer"), ("", "some context", "an answer")],
    "empty_output": [("What is it?", "", "")],
    "too_many_characters": [("q", "", "word " * 500)],
    "short_answer": [("Is it so?", "", "y")],
    "error_text": [
        ("What is rain?", "", "Error: network error"),
        ("What is rain?", "", "!Too many requests in 1 hour. Try again later."),
        ("What is rain?", "", "Something went wrong. If this issue persists please contact us."),
        ("What is rain?", "", "An error occurred. Please ask help.openai.com about it."),
        ("What is rain?", "", "502 Bad Gateway"),
    ],
    "refusal": [
        ("Who won today?", "", "As an AI language model, I cannot browse the internet, but here is how to look it up."),
        ("Who won today?", "", "I'm sorry, but I can't access live data."),
        ("Who won today?", "", "Unfortunately, I am unable to provide that."),
    ],
    "no_output_marker": [("Draw a cat.", "", "<No Output>"), ("q", "c", "<noinput>"), ("Print it.", "", "nooutput")],
    "url_without_content": [
        ("Summarize the given article in 200 words.", "https://www.news.example/world-51461830", "It says much."),
        ("Compare the two articles.", "Article 1: https://a.example/1\nArticle 2: https://a.example/2", "Both agree."),
        ("Write a headline for the following article:\n\nhttps://a.example/one", "", "All is well"),
        ("Describe the painting.", "www.museum.example/oil.jpg", "It shows a lake."),
    ],
    "missing_attachment": [
        ("Classify the shape.", "<Picture Attached>", "Triangle"),
        ("Improve this design.", "[Image of a logo]", "Use more contrast."),
        ("What does it show?", "![img](https://a.example/x.png)", "A cat."),
        ("Summarise the article.", "(Insert Article)", "It is about tides."),
        ("What does it show?", "holiday 3.jpg", "A beach."),
    ],
    "merged_instructions": [
        (
            "Should I invest?",
            "",
            "It depends.\n##\n18. Instruction: Identify the noun.\n18. Input:\nThe apple\n18. Output:\nApple",
        ),
        ("q", "", "An answer.\n\n\n11. Instruction: Write a poem."),
    ],
    "empty_code": [
        ("Show a loop.", "", f"Here it is:\n{FENCE}python\n{FENCE}"),
        ("Show a loop.", "", f"{FENCE}\nx\n{FENCE}\nand\n{FENCE}js\n\n{FENCE}\n"),
    ],
    "missing_input": [
        ("Summarize the following paragraph.", "", "It is about tides."),
        ("Which of the following states is the largest?", "", "Alaska."),
        ("Comment on the given art piece.", "", "It is bright."),
    ],
    "image_request": [
        ("Draw a picture of a cat.", "", "A cat sits on a mat."),
        ("Create a logo for a bakery.", "", "A loaf in a circle."),
        ("Generate an animated gif of a rocket", "", "A gif of a rocket."),
    ],
    "placeholder_output": [("Who is it?", "", "N/A"), ("Who is it?", "", "None."), ("Who is it?", "", "...")],
    "pretended_action": [
        ("Increase the font size to 12 points.", "", "The font size has been increased to 12 points."),
        ("Remind me to buy eggs.", "", "I've set a reminder for you to buy eggs."),
    ],
    "unclear_instruction": [
        ("Do it.", "", "I'm sorry, I don't understand the question."),
        ("Sum it up.", "", "Please provide the text that you would like me to sum up."),
        ("Sum it up.", "", "The instruction is unclear."),
    ],
    "repeated_text": [
        ("Tell a story.", "", "Once upon a time " + "and then they went to the market " * 12),
        ("Tell a story.", "", "It ends well. " + "I am glad, " * 6 + "he said."),
        ("List names.", "", "Names:\n" + "Peter of the mill\n" * 6 + "The end."),
        ("Tell a story.", "", PROSE[:116] + "we walk on and on, " * 40 + PROSE[:116]),
    ],
    "echo": [
        ("What is the capital of France?", "", "what is the capital of france"),
        ("Say it well", "here now", "Say it well\n\nhere now."),
    ],
    "echoed_input": [("Improve the sentence.", "The dog ran over the hill.", "The dog ran over the hill.")],
    "truncated": [
        ("Who may enter?", "", CUT.strip()),
        ("Who may enter?", "", PROSE * 5 + "Visitors who come later than that ring the bell at the side door"),
        ("When?", "", PROSE.strip() + " It has grown larger in every year since that time, from 1990 to 20"),
    ],
    "page_leftover": [("How do I pay?", "", "Pay by card. View more"), ("How do I pay?", "", "Pay by card. Read less")],
    "unclosed_code": [("Show a loop.", "", f"Here:\n{FENCE}python\nfor x in y: pass")],
    "wrong_equation": [
        ("How many eggs?", "", "There are 12 + 7 = 20 eggs."),
        ("How much?", "", "They cost $4,200+$3,000 = $8,600."),
        ("How many?", "", "14*20=140 minutes"),
        ("How much each?", "", "So 10 / 4 = 3.5 each."),
        ("How many?", "", "He has 1,000 − 1 = 998 left."),
    ],
    "wrong_result": [
        ("What is 12 * 7?", "", "85"),
        ("Calculate 3 + 4.", "", "The answer is 8."),
        ("What is 17 times 3?", "", "17 times 3 is 52."),
        ("Calculate the median of the following data set.", "1, 2, 4, 5, 8, 9", "5"),
        ("Calculate the average of [2, 4, 5, 7, 8].", "", "The average of [2, 4, 5, 7, 8] is 5.4."),
        ("Calculate the sum of 5857 and 9224.", "", "The sum is 15082."),
    ],
    "only_punctuation": [("???", "", "What do you mean?"), (" . . .", "", "Hm.")],
    "no_words": [("12345", "", "A number."), ("7.", "", "Seven.")],
    "lost_characters": [("What is it?", "", "It\ufffds a cat."), ("Wh\ufffcat?", "", "A cat.")],
}
MISSES: dict[str, list[tuple[str, str, str]]] = {
    "short_answer": [("Is it so?", "", "no")],
    "error_text": [
        (
            "What does 'Too many requests' mean?",
            "",
            "Too many requests means that a client asked more often than it may.",
        ),
        ("What is a network error?", "", "Network errors are faults of a connection."),
        ("What now?", "", "Something went wrong in the kitchen, so dinner is late."),
    ],
    "refusal": [
        ("Who are you?", "", "I am a language model trained by researchers."),
        ("Decline the invitation.", "", "I'm sorry, but I can't come to the party on Friday."),
        ("What is an AI?", "", "As an AI developer, you write software."),
    ],
    "no_output_marker": [
        ("What is the opposite of input?", "", "Output."),
        ("What does it print?", "", "No output is printed, for the loop is empty and never runs."),
    ],
    "url_without_content": [
        ("Extract the domain from the URL of the article.", "https://www.news.example/world", "news.example"),
        ("Where is the travel policy?", "", "See https://intranet.example/travel"),
        ("Summarize the article.", "https://a.example/1\nThe tide was high and the boats lay still.", "Still boats."),
        ("Generate HTML that links to the page.", "https://a.example", "<a href='https://a.example'>a</a>"),
        ("Is there a report about us? See https://a.example/x and tell me.", "", "Yes."),
    ],
    "missing_attachment": [
        ("Classify the content.", "blog posts, videos, photographs", "visual"),
        ("What is it?", "Image recognition", "A technique."),
        ("Which file type is it?", "holiday.jpg", "An image."),
        ("Describe it.", "[graph, tree, list]", "Data structures."),
    ],
    "merged_instructions": [
        ("List steps.", "", "1. Instructions are read first.\n2. Input is checked."),
        ("Write a recipe.", "", "Ingredients:\n1. Flour\nInstructions: mix."),
    ],
    "empty_code": [("Show two.", "", f"{FENCE}\na\n{FENCE}\n{FENCE}py\nb\n{FENCE}")],
    "missing_input": [
        ("Summarize the following paragraph: Tides rise and fall.", "", "Tides."),
        ("Summarize the following paragraph.", "Tides rise and fall.", "Tides."),
        ("Write a function that reverses the given string.", "", "s[::-1]"),
        ('Translate the following sentence "It rains".', "", "Il pleut."),
        ("Is the following statement true? Cats can fly.", "", "No."),
    ],
    "image_request": [
        ("Draw a conclusion from the data.", "1, 2, 3", "It grows."),
        ("Create a character sketch of a villain.", "", "He is bad."),
        ("Generate an image caption.", "", "A cat."),
        ("Draw a cat.", "", f"{FENCE}\n /\\_/\\\n{FENCE}"),
        ("Design a program for drawing shapes.", "", "It has a canvas."),
    ],
    "placeholder_output": [
        ("Who is it?", "", "Nona"),
        ("Is it?", "", "No"),
        ("What is a null?", "", "Null is no value."),
    ],
    "pretended_action": [
        ("Turn the sentence into passive voice: We raised the size.", "", "The cat was raised."),
        ("How do I increase the font?", "", "The font has been increased in the newest version."),
        ("Order the words.", "b a", "The words have been ordered: a b"),
    ],
    "unclear_instruction": [
        ("How do I start?", "", "I don't think that you need a plan."),
        ("q", "", "Please provide: name, date."),
    ],
    "repeated_text": [
        ("Sing.", "", "Row, row, row your boat\nGently down the stream\n" * 2),
        ("Sing.", "", "We will rock you\n" * 4),
        ("Write HTML.", "", "<tr>\n" + "  <td>Row one</td>\n" * 9 + "</tr>"),
        ("Draw a table.", "", "| a | b |\n" + "| --- | --- |\n" + "| | |\n" * 9),
        ("Laugh.", "", "He laughed: " + "ha " * 12),
        ("Write rows.", "", "\n".join(f"Day {i}: run for ten minutes, then rest" for i in range(30))),
    ],
    "echo": [("Hello", "", "Hello"), ("Is Paris the capital of France?", "", "Paris is the capital of France.")],
    "echoed_input": [("Use capitals.", "the dog ran over the hill", "The Dog Ran Over The Hill")],
    "truncated": [
        ("Who may enter?", "", PROSE.strip()),
        ("List some.", "", LIST),
        ("Write a letter.", "", PROSE + "\n\nYours sincerely,\nJo"),
        ("Write a poem.", "", "\n".join(["the wind is in the tree", "and so am I, said he"] * 9)),
        ("Who may enter?", "", PROSE + "Visitors who come later than that ring the bell at the side door"),
        ("Write a tweet.", "", PROSE + "Join us all this week at the harbour! #sea #boats #wind"),
        ("What is needed?", "", PROSE + "Passport Driving licence Proof of address Two photographs"),
    ],
    "page_leftover": [
        ("How do I pay?", "", "Pay by card to learn more."),
        ("Name a button of a page.", "", "Show more. View more"),
    ],
    "unclosed_code": [("Show a loop.", "", f"Here:\n{FENCE}python\nfor x in y: pass\n{FENCE}\nDone.")],
    "wrong_equation": [
        ("q", "", "12 + 7 = 19, 2 × 3 = 6, 10 / 4 = 2.5, 7 / 2 = 3 and 10 - 2.5 = 7.5"),
        ("q", "", "3 + 4 * 2 = 11 and 158 * 1 1/2 = 237"),
        ("q", "", "1/3 = 0.33 and 2/3 = 0.67, 1/4 = 25%, 1 / 4 = 25"),
        ("q", "", "10 / 4 = 2 remainder 2; 45 + 30 = 1 hour 15; $0.50 + $0.25 = 75 cents"),
        ("q", "", "In binary, 1 + 1 = 10."),
        ("Is 2 + 2 = 5?", "", "The claim 2 + 2 = 5 is from a novel."),
        ("q", "", "It is false that 2 + 2 = 5."),
        ("q", "", "1-5 = 1 point, 6-10 = 2 points"),
        ("q", "", "x = 2 + 3 = y; 2x + 3 = 7; 3 + 4 == 8; 2^3 + 1 = 9; (2 + 3) * 4 = 20; 14, 400 / 80 = 180"),
    ],
    "wrong_result": [
        ("What is 12 * 7?", "", "12 * 7 = 84"),
        ("What is 12 * 7?", "", "Eighty-four"),
        ("What is 7 / 2?", "", "3 remainder 1"),
        ("What is 10 / 3?", "", "3.33"),
        ("What is 5 * 1?", "", "5"),
        ("Calculate the median of the numbers.", "5, 8, 4, 7, 1", "5"),
        ("Find the mean, median and mode.", "1, 2, 2, 9", "2"),
        ("What is the average of 1, 2 and 2?", "", "1.67"),
        ("What is the sum of the even numbers?", "1, 2, 3, 4", "6"),
        ("Find the average price of 1,200 and 2,400.", "", "1,800"),
        ("Round the average to a whole number.", "1, 2, 2", "2"),
    ],
    "only_punctuation": [("12 + 7", "", "19"), ("😀", "", "A smile.")],
    "no_words": [("12 + 7", "", "19"), ("3!", "", "6"), ("Is 7 odd?", "", "Yes")],
    "lost_characters": [("What is it?", "", "It’s a cat.")],
}
LIMITS: dict[str, Any] = {"max_characters": 2_000, "min_answer_characters": 2}


@pytest.mark.spark
def test_every_check_has_a_case_and_a_reason(spark: Any) -> None:
    names = [check.name for check in checks(**LIMITS, languages=["en"])]
    assert set(names) - {"wrong_language"} == set(HITS)
    assert set(names) <= set(REASONS)
    assert len(names) == len(set(names))
