"""The defects that are known of generated instruction data, above all of Alpaca's 52,000 rows.

The classes are those that the AlpacaDataCleaned project names in its README.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dolly.clean.rules.kinds import Check, guarded

if TYPE_CHECKING:
    from pyspark.sql import Column

REASONS = {
    "url_without_content": "the task is about a text behind a link, which the answer can't have read",
    "missing_attachment": "the context is a stand-in for an image or a file",
    "missing_input": "the task speaks of a text that is not there",
    "merged_instructions": "the answer goes on with the next instruction",
    "empty_code": "a code block of the answer is empty",
    "image_request": "the task asks for an image or a sound",
    "no_output_marker": "the answer is only a marker for 'no output'",
    "placeholder_output": "the answer is only a stand-in such as N/A",
    "pretended_action": "the answer says that it did what no text can do",
    "unclear_instruction": "the answer says that the task is unclear or lacks something",
}

_MARKER_BYTES = 60
_LINK = r"(?:\[[^\]\n]{0,60}\]\s?)?[<\[(\"']?(?:https?://|www\.)"
_ONLY_LINKS = rf"(?i)^\s*(?:(?:[\p{{L}}\d #]{{1,30}}:\s*)?{_LINK}\S+\s*){{1,5}}$"
_LINK_AT_END = rf"(?i)[:\s]\s*{_LINK}[^\s\"'<>]+[\"'>\])]?\s*$"
_READING = (
    r"(?i)\b(?:articles?|news|stor(?:y|ies)|posts?|passage|report|documents?|blog|papers?|essay|reviews?|speech|songs?|"
    r"podcast|artwork|painting|pictures?|photos?|photographs?|images?|videos?|pdf|summari[sz]e|paraphrase|main idea)\b"
    r"|\b(?:read|rewrite|access|analy[sz]e|edit|screenshot|extract|collect)\b[^.]{0,60}"
    r"\b(?:web ?sites?|web ?pages?|spreadsheet|source|content)\b"
)
_ABOUT_LINKS = (
    r"(?i)\b(?:urls?|domains?|protocol|hostname|hyperlinks?|bookmark|html|markdown|citations?|cite|bibliograph\w+|"
    r"algorithm)\b"
)
_MEDIUM = r"(?:image|picture|photo(?:graph)?|screenshot|diagram|graph|chart|figure|pdf|audio|video|sketch)"
_ATTACHED = (
    r"(?i)^[\s<\[({*]*(?:(?:an? |the |see |please see )?(?:attached|inserted|uploaded) )?"
    rf"(?:{_MEDIUM}|file|document|attachment)"
    r"(?: (?:is )?(?:attached|here|inserted|uploaded|file))*[\s>\])}*.:]*$"
    rf"|^\s*[<\[({{*]+\s*(?:(?:insert|attach(?:ed)?|upload|link to)\b|{_MEDIUM}s? (?:of|showing|attached)\b)"
    r"[^\n<>\[\],;]{0,120}[>\])}*]+\.?\s*$"
    r"|^\s*!\[[^\]]*\]\([^)]*\)\s*$|^\s*<img [^>]*>\s*$"
    r"|^[\w \-]{1,60}\.(?:jpe?g|png|gif|bmp|tiff?|webp|svg|mp[34]|wav|pdf|docx?|pptx?|xlsx?)$"
)
_ABOUT_FILES = r"(?i)\b(?:html|markdown|file ?names?|extensions?|formats?|file types?|tags?|alt)\b"
_MISSING = (
    r"(?i)(?:\b(?:the|this|these|those) (?:following|given|provided|above|below|attached) (?:\w+ ){0,2}?"
    r"(?:sentences?|paragraphs?|texts?|passages?|articles?|stor(?:y|ies)|poems?|essays?|emails?|reviews?|snippet|list|"
    r"data(?: ?set)?|table|numbers|words|phrases?|tweets?|conversation|dialogue|documents?|reports?|images?|pictures?|"
    r"graph|chart|equations?|quotes?|statements?|inputs?|context|material|website|logo|art ?(?:piece|work)|cartoon)"
    r"|\bof the following\b|\bgiven the (?:input|context|text)\b"
    r"|\b(?:sentences?|paragraphs?|texts?|passage|article|list|data|table|numbers|words) (?:given |provided )?below)"
    r"[^:\"“‘'\n`\[({<\d.!?—–]*[.!?]?\s*$"
)
_PARAMETRIC = (
    r"(?i)\b(?:algorithms?|functions?|programs?|scripts?|code|pseudocode|methods?|class|quer(?:y|ies)|regex|expression|"
    r"model|system|api|app|formula|sql|python|java|javascript)\b"
)
_MERGED = r"(?:^|\n)[#\s]*\d{1,2}\. (?:Instruction|Input)s?\s*:"
_EMPTY_FENCE = r"```[\w+#.-]*\s*```"
_FULL_FENCE = r"```[\w+#.-]*+[ \t]*+\n?+(?!\s*```)[\s\S]*?```"
_IMAGE = (
    r"(?i)^(?:please |can you |could you |i (?:want|need) you to )?(?:"
    r"(?:draw|sketch|paint|illustrate|photograph|animate)\s+(?:me |us )?(?:an?|the|this|some|two|three|your|\d+)\s"
    r"(?!(?:\w+ )?(?:conclusions?|comparisons?|parallels?|lines? between|distinctions?|inferences?|analog(?:y|ies)|"
    r"insights?|lessons?|character|biograph\w+|concept|point|idea|difference|importance|use|process|outline))"
    r"|(?:create|generate|make|produce|design|compose|record|provide|give me|show(?: me)?|build)\s+"
    r"(?:me |us )?(?:an?|the|some|two|three|\d+)\s(?:(?!(?:for|of|to|that|about|on) )[\w-]+ ){0,3}?"
    r"(?:image|picture|photo|photograph|drawing|painting|illustration|graphic|logo|collage|cartoon|comic|poster|"
    r"infographic|animation|gif|video|meme|mural|portrait|artwork|audio|sound clip)s?"
    r"(?= |[.!?]|$)(?! (?:caption|description|idea|concept|script|classif|recogni|title|process|editing|prompt|"
    r"search|format|gallery|album|campaign|plan|outline|advert|games?|chat|conference|brief|proposal|slogan|tag)))"
)
_DRAWN = r"```|<svg|<html|<canvas|import |\\begin\{|[|+/\\_-]{3}"
_NO_OUTPUT = r"(?i)^[\W_]*no[\W_]*(?:output|input)(?:[\W_]*(?:required|needed|provided))?[\W_]*$"
_PLACEHOLDER = (
    r"(?i)^[\W_]*(?:n[\W_]*/[\W_]*a|none|nil|null|nan|undefined|tbd|todo|to be (?:done|added|determined)|empty|blank|"
    r"not applicable|lorem ipsum[\s\S]*|placeholder|xxx+|asdf\w*)[\W_]*$|^[\p{P}\s]+$"
)
_ACTION = (
    r"(?i)^(?:please )?(?:increase|decrease|reduce|set|turn|open|close|send|play|pause|delete|book|schedule|call|dial|"
    r"order|buy|freeze|heat|stir|click|press|install|uninstall|remind|save|upload|download|activate|deactivate|enable|"
    r"disable|move|lock|unlock|start|stop|switch|mute|reboot|restart)\b"
)
_DONE = (
    r"(?i)^(?:(?:okay|ok|sure|done|alright)[,.!]? )?(?:(?:the|your|an?) [\w\s'’-]{2,60} (?:has|have) been "
    r"(?:successfully )?\w+(?:ed|et|nt|en|pt|lt|ld)\b|i(?:['’]ve| have) (?:successfully )?"
    r"(?:set|sent|booked|scheduled|ordered|turned|opened|closed|deleted|added|saved|called)\b)"
)
_UNCLEAR = (
    r"(?i)^(?:(?:i['’]?m|i am) sorry,? (?:but )?)?(?:i (?:do not|don['’]?t) understand\b"
    r"|(?:the|your|this) (?:instruction|input|question|prompt|request|task)s?(?: provided| given)? (?:is|are|was) "
    r"(?:unclear|incomplete|not clear|ambiguous|invalid|missing|too vague)"
    r"|(?:please|could you(?: please)?|can you(?: please)?) (?:provide|clarify|specify|give|share) (?:me |us )?"
    r"(?:with )?(?:the|a|an|more|some|additional|further|which|what|your)\b"
    r"|no (?:text|context|information|article|passage|sentence|data) (?:was|is|has been) (?:provided|given)"
    r"|there is (?:no|not enough) (?:text|context|information|input|data)\b)"
)


def alpaca_checks() -> list[Check]:
    """One check a class, those that reject first."""
    from pyspark.sql import functions as F

    context, task, answer = F.col("context"), F.col("instruction"), F.col("last_answer")

    def check(name: str, severity: Literal["reject", "flag"], applies: Column, detail: Column) -> Check:
        return Check(name, severity, applies, detail, REASONS[name])

    alone, short = context == "", F.octet_length(answer) <= _MARKER_BYTES
    link = F.when(alone, task).otherwise(context)
    absent = guarded(alone, task.rlike(_MISSING) & ~task.rlike(_PARAMETRIC))
    image = guarded(task.rlike(_IMAGE), ~answer.rlike(_DRAWN))
    unclear = F.substring(answer, 1, 200).rlike(_UNCLEAR)
    return [
        check("no_output_marker", "reject", guarded(short, answer.rlike(_NO_OUTPUT)), answer),
        check("url_without_content", "reject", _unread_link(context, task), link),
        check("missing_attachment", "reject", _attachment(context, task), context),
        _merged(F.col("answer")),
        _empty_code(F.col("answer")),
        check("missing_input", "flag", absent, task),
        check("image_request", "flag", image, task),
        check("placeholder_output", "flag", guarded(short, answer.rlike(_PLACEHOLDER)), answer),
        check("pretended_action", "flag", guarded(alone & task.rlike(_ACTION), answer.rlike(_DONE)), answer),
        check("unclear_instruction", "flag", unclear, answer),
    ]


def _unread_link(context: Column, task: Column) -> Column:
    from pyspark.sql import functions as F

    alone = context == ""
    text = F.when(alone, task).otherwise(context)
    link = F.when(alone, task.rlike(_LINK_AT_END)).otherwise(context.rlike(_ONLY_LINKS))
    return guarded(
        text.contains("://") | text.contains("www."), link & task.rlike(_READING) & ~task.rlike(_ABOUT_LINKS)
    )


def _attachment(context: Column, task: Column) -> Column:
    from pyspark.sql import functions as F

    return guarded(F.octet_length(context).between(5, 300), context.rlike(_ATTACHED) & ~task.rlike(_ABOUT_FILES))


def _merged(answer: Column) -> Check:
    from pyspark.sql import functions as F

    applies = guarded(answer.contains(". In"), answer.rlike(_MERGED))
    piece = F.btrim(F.regexp_extract(answer, _MERGED + r".{0,80}", 0), F.lit("\n #"))
    return Check("merged_instructions", "reject", applies, piece, REASONS["merged_instructions"])


def _empty_code(answer: Column) -> Check:
    from pyspark.sql import functions as F

    # Full blocks go first: one's end and the next one's begin look like an empty block.
    rest = F.regexp_replace(answer, _FULL_FENCE, "")
    applies = guarded(answer.contains("```"), answer.rlike(_EMPTY_FENCE) & rest.rlike(_EMPTY_FENCE))
    piece = F.regexp_extract(rest, rf".{{0,60}}\s*{_EMPTY_FENCE}", 0)
    return Check("empty_code", "reject", applies, piece, REASONS["empty_code"])
