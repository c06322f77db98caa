"""Finds personal data and secrets in one text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import phonenumbers

from dolly.clean.privacy.accounts import cards, ibans
from dolly.clean.privacy.addresses import emails, ips
from dolly.clean.privacy.names import Names
from dolly.clean.privacy.national_ids import national_ids
from dolly.clean.privacy.phones import Phones
from dolly.clean.privacy.secret_formats import formatted_secrets
from dolly.clean.privacy.secret_places import placed_secrets
from dolly.clean.privacy.secret_values import named_secrets
from dolly.clean.privacy.span import KINDS, Span, without_overlaps
from dolly.errors import UsageError

# Where a number fits the plans of several, the first of these that writes it so is taken.
REGIONS: tuple[str, ...] = (
    *("US", "GB", "DE", "FR", "IT", "ES", "NL", "BE", "CH", "AT", "SE", "NO", "DK", "FI", "PL", "PT", "IE", "IN"),
    *("AU", "BR", "CA", "JP", "SG", "ZA", "MX", "NZ"),
)


class Detector:
    """Finds spans of `kinds` in texts.

    Args:
        kinds: which of `KINDS` to look for.
        regions: ISO 3166 codes of the countries with known national telephone numbers;
            international numbers (+…) are found from everywhere, and so are identity numbers.
        names: people to find, as "First Last"; without any, no PERSON is found.

    Raises:
        UsageError: an unknown kind or region.
    """

    def __init__(
        self, *, kinds: Collection[str] = KINDS, regions: Sequence[str] = REGIONS, names: Sequence[str] = ()
    ) -> None:
        _refuse_unknown("kind", kinds, KINDS)
        _refuse_unknown("region", regions, phonenumbers.SUPPORTED_REGIONS)
        finders: dict[str, tuple[Callable[[str], Iterator[Span]], ...]] = {
            "EMAIL": (emails,),
            "PHONE": (Phones(regions),),
            "IBAN": (ibans,),
            "CARD": (cards,),
            "NATIONAL_ID": (national_ids,),
            "IP": (ips,),
            "SECRET": (formatted_secrets, named_secrets, placed_secrets),
            "PERSON": (Names(names),),
        }
        self._finders = [finder for kind in KINDS if kind in kinds for finder in finders[kind]]

    def spans(self, text: str) -> list[Span]:
        """Spans without overlaps, in the order of the text; nothing inside an earlier pseudonym."""
        spans = [span for finder in self._finders for span in finder(text)]
        return without_overlaps(spans, text) if spans else []


def _refuse_unknown(what: str, given: Collection[str], known: Collection[str]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise UsageError(
            found=f"unknown {what}: {', '.join(unknown)}",
            expected=f"any of {', '.join(sorted(known))}",
            fix=f"correct the {what}s",
        )
