"""Finds wrong results of calculations of two numbers, and of means, medians and sums of a list.

Only what can be checked without doubt: a chain of operations, a unit, a percent sign, a mixed
number or a text that speaks of other arithmetic is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dolly.clean.rules.kinds import Check, guarded

if TYPE_CHECKING:
    from pyspark.sql import Column

REASONS = {
    "wrong_equation": "the answer has a calculation whose result is wrong",
    "wrong_result": "the question asks for a calculation and the answer's result is wrong",
}

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?![\d,.]*\d)"
_MONEY = r"[$€£]?"
_SIGN = r"[-−]?"
_OPERATOR = r"\s+[-−–]\s+|[-−]|\s*[+*×·/÷]\s*|\s+x\s+|(?<=\d)x(?=\d)"
# Not the end of a longer calculation, nor of a word or number, before; not the beginning of one after.
_BEFORE = (
    r"(?<![\w.,])(?<![-+*×·/÷^=<>(\[{√%°)\]}:−–][ $€£]{0,2})(?<!\b[xX] )(?<!\d,? )"
    r"(?<!\b(?:times|plus|minus|over|by|of|than|and|to|day|week|month|year|step|part|level|question) [$€£]?)"
)
_AFTER = (
    r"(?!\s*[-+*×·/÷^=<>(\[√%−–:!²³])(?!\s*\d)(?!\w)(?!\s+(?:x|r|R|rem|remainder|mod|hundred|thousand|million|billion|"
    r"trillion|percent|cents?|dozens?|hours?|h|am|pm|o'clock|weeks?|months?|years?|feet|foot|ft|km|kg|kilo\w*|and)\b)"
)
_EQUATION = rf"{_BEFORE}({_MONEY}{_NUMBER})({_OPERATOR})({_MONEY}{_NUMBER})\s*=\s*({_SIGN}{_MONEY}{_NUMBER}){_AFTER}"
_OTHER_ARITHMETIC = (
    r"(?i)\b(?:binary|hexadecimal|hex|octal|base[- ]?\d+|mod(?:ul\w+)?|bitwise|xor|boolean|matrix|matrices|vectors?|"
    r"riddle|puzzle|clock|incorrect\w*|false|wrong|mistakes?|errors?|untrue|not true|not equal|approximat\w*|round\w*|"
    r"estimat\w*|joke|roman|complex numbers?)\b|[≈≠]"
)
_ASKED = (
    rf"(?i)^(?:please |can you )?(?:what is|what['’]s|calculate|compute|evaluate|solve|work out|find|how much is)?"
    rf"(?: the (?:value|result|answer|sum|difference|product|quotient)(?: of| to)?)?:?\s*"
    rf"({_NUMBER})\s*([-+*×·/÷x−]|plus|minus|times|multiplied by|divided by)\s*({_NUMBER})\s*[=?.!\s]*$"
)
_STATED = rf"(?:^|\b(?:is|equals|be)|=|:)\s*\**({_SIGN}{_NUMBER})\**[\s.!]*$"
_LIST = rf"(?:{_SIGN}\d+(?:\.\d+)?(?:\s*[,;]\s+and\s+|\s*[,;]\s*|\s+and\s+|\s+)){{1,200}}+{_SIGN}\d+(?:\.\d+)?"
_LISTED = (
    rf"(?i)^[^\d]{{0,120}}\b(mean|average|median|sum|product|multiply|multiplying)\b(?!\s+deviation)"
    rf"[^\d]{{0,120}}?({_LIST})[\s\])}}.?]*$"
)
_OTHER_STATISTIC = (
    r"(?i)\b(?:weighted|geometric|harmonic|moving|squares?|cubes?|deviation|variance|difference|absolute|odd|even|primes?|"
    r"digits|mode|range|between|from|first|integers from|multiples|divisible|angles?|interior|each|every|table|"
    r"(?:mean|median|average|sum|product)(?:,| and| or) (?:the )?(?:mean|median|mode|average|sum|product))\b"
    r"|\d,\d{3}(?!\d)"
)
_ROUNDED = 0.01
_RESULT_BYTES = 300


def arithmetic_checks() -> list[Check]:
    """The answer's equations, and the result of what the question asks to calculate."""
    from pyspark.sql import functions as F

    answer, question = F.col("answer"), F.col("question")
    plain = ~question.rlike(_OTHER_ARITHMETIC) & ~answer.rlike(_OTHER_ARITHMETIC)
    # An equation that the question already has may be there to be judged.
    wrong = F.filter(
        F.regexp_extract_all(answer, F.lit(_EQUATION), F.lit(0)),
        lambda equation: _is_wrong(*_parts(equation, _EQUATION, 4)) & ~question.contains(equation),
    )
    has_equation = guarded(answer.contains("="), answer.rlike(rf"\d\s*=\s*{_SIGN}{_MONEY}\d"))
    equation = F.get(wrong, F.lit(0))
    short = F.octet_length(question).between(5, 1000) & (F.octet_length(answer) <= _RESULT_BYTES)
    stated = F.regexp_extract(answer, _STATED, 1)
    differs = (
        F.when(question.rlike(_ASKED), _calculation_is_wrong(question, answer, stated))
        .when(question.rlike(_LISTED) & ~question.rlike(_OTHER_STATISTIC), _statistic_is_wrong(question, stated))
        .otherwise(False)
    )
    off = guarded(short, guarded(question.rlike(r"\d"), guarded(differs, plain)))
    wrong_equation = guarded(has_equation, guarded(equation.isNotNull(), plain))
    return [
        Check("wrong_result", "reject", off, answer, REASONS["wrong_result"]),
        Check("wrong_equation", "reject", wrong_equation, equation, REASONS["wrong_equation"]),
    ]


def _parts(text: Column, pattern: str, count: int) -> list[Column]:
    """The first `count` groups of a pattern's first match."""
    from pyspark.sql import functions as F

    return [F.regexp_extract(text, pattern, group) for group in range(1, count + 1)]


def _is_wrong(left: Column, operator: Column, right: Column, result: Column) -> Column:
    from pyspark.sql import functions as F

    a, b, c = _value(left), _value(right), _value(result)
    sign = F.lower(F.trim(operator))
    plus, minus = sign.isin("+", "plus"), sign.isin("-", "−", "–", "minus")
    divided = sign.isin("/", "÷", "divided by")
    value = F.when(plus, a + b).when(minus, a - b).when(divided, F.try_divide(a, b)).otherwise(a * b)
    da, db, dc = _decimals(left), _decimals(right), _decimals(result)
    even = (da + db == 0) & (F.try_mod(a, b) == 0)
    exact = F.when(plus | minus, F.greatest(da, db)).when(divided, F.when(even, 0).otherwise(99)).otherwise(da + db)
    rounded = F.greatest(F.pow(F.lit(10.0), -dc), F.when(plus | minus, 0.0).otherwise(F.abs(value) * _ROUNDED))
    tolerance = F.when(dc >= exact, F.greatest(F.abs(value), F.lit(1.0)) * 1e-6).otherwise(rounded)
    percent = divided & (F.abs(value * 100 - c) <= rounded * 100)
    # "1-5 = 2 points" is a range and what it is worth.
    span = (operator == "-") & (a < b) & (c > 0)
    return (F.abs(value - c) > tolerance * 1.000001) & ~percent & ~span


def _calculation_is_wrong(question: Column, answer: Column, stated: Column) -> Column:
    """Compares with the answer's last number, or its only one beside the two of the question."""
    from pyspark.sql import functions as F

    left, operator, right = _parts(question, _ASKED, 3)
    others = F.filter(
        F.regexp_extract_all(answer, F.lit(f"{_SIGN}{_NUMBER}"), F.lit(0)),
        lambda number: ~_value(number).isin(_value(left), _value(right)),
    )
    result = F.when(stated != "", stated).otherwise(F.when(F.size(others) == 1, F.get(others, F.lit(0))))
    return _is_wrong(left, operator, right, result)


def _statistic_is_wrong(question: Column, stated: Column) -> Column:
    from pyspark.sql import functions as F

    what = F.lower(F.regexp_extract(question, _LISTED, 1))
    listed = F.regexp_extract(question, _LISTED, 2)
    numbers = F.array_sort(F.transform(F.regexp_extract_all(listed, F.lit(rf"{_SIGN}\d+(?:\.\d+)?"), F.lit(0)), _value))
    count = F.size(numbers)
    total = F.aggregate(numbers, F.lit(0.0), lambda so_far, number: so_far + number)
    product = F.aggregate(numbers, F.lit(1.0), lambda so_far, number: so_far * number)
    middle = (F.get(numbers, F.floor((count - 1) / 2)) + F.get(numbers, F.floor(count / 2))) / 2
    multiplied = what.isin("product", "multiply", "multiplying")
    value = (
        F.when(what == "sum", total).when(what == "median", middle).when(multiplied, product).otherwise(total / count)
    )
    # Whoever rounds says so, unless the value has no end.
    exact = F.abs(value * 100 - F.round(value * 100)) < 1e-6
    tolerance = F.when(exact, 1e-6).otherwise(F.pow(F.lit(10.0), -_decimals(stated)))
    return (stated != "") & (F.abs(value - _value(stated)) > tolerance)


def _value(number: Column) -> Column:
    from pyspark.sql import functions as F

    return F.translate(number, "−$€£,", "-").try_cast("double")


def _decimals(number: Column) -> Column:
    from pyspark.sql import functions as F

    return F.length(F.regexp_extract(number, r"\.(\d+)$", 1))
