"""Words beside a number that say what it is."""

from __future__ import annotations

import re
from enum import IntEnum

from dolly.clean.privacy.text import words

_BEFORE = 40  # characters


class Context(IntEnum):
    """What the words around a number say: nothing, surely not a telephone, perhaps one, surely one."""

    NONE = 0
    OTHER = 1
    CALL = 2
    PHONE = 3


# In the languages of the default regions, in lower case.
_PHONE = words(
    "tel tlf tlfnr tfno t\xe9l telephone telephones phone phones phoneno telefon telefonnummer telefonnr telefonisch "
    "t\xe9l\xe9phone tel\xe9fono tel\xe9fonos telefono telefoon telefoonnummer telefone telefonnumer fax telefax "
    "mobile mobiles mob mobil mobilnummer mobilnr mobiel mobielnummer handy handynr handynummer cell cellphone "
    "celular m\xf3vil telem\xf3vel cellulare portable whatsapp sms hotline helpline landline switchboard "
    "rufnummer durchwahl kom\xf3rka kom puhelin matkapuhelin voicemail festnetz wa \u0442\u0435\u043b "
    "\u0442\u0435\u043b\u0435\u0444\u043e\u043d \u96fb\u8a71 \u7535\u8bdd"
)
_CALL = words(
    "call calls called calling dial dialled dialed ring text texted contact contacts reach reached reachable ph "
    "anrufen anruf erreichbar appeler appelez appel llamar llame llama chiamare chiamami chiama bellen ligar ligue "
    "zadzwo\u0144 callback"
)
_OTHER = words(
    "order orders invoice invoices ticket tickets ref refs reference case id ids account accounts acct serial sku "
    "part parts isbn issn version po tracking shipment parcel policy customer client article item model batch lot "
    "zip postal postcode plz timestamp unix epoch build commit hash row page imei iccid imsi meter blz routing "
    "sort vat ust idnr gst gstin ein hrb duns bic swift transaction txn payment receipt document doc contract "
    "claim issue pr quote booking reservation confirmation registration licence license product asset device "
    "patent docket file meeting webinar conference siren siret cnpj nip regon abn acn mrn npi employee staff "
    "member membership student bestellung bestellnummer rechnung rechnungsnummer auftrag auftragsnummer "
    "kundennummer artikelnummer vorgang aktenzeichen vertragsnummer seriennummer sendungsnummer commande facture "
    "pedido factura ordine fattura barcode ean upc gtin asin sequence offset checksum crc port pid uid gid "
    "process error code codes"
)
# May stand between such a word and its number.
_FILLERS = words("number num no nr n is was are of code ref reference key nummer numero num\xe9ro s the")
_WORD = re.compile(r"[^\W\d_]+")
_JOINT = re.compile(r"[\s:=#.\-\u2013\u2116\u00b0\"'`*_(\[|/&]*")
# "T: 030 …" at the beginning of a line of a signature, or the picture of a telephone.
_LETTER = re.compile(
    r"(?:(?:^|[\s|(,;\u2022\u00b7])(?:[TMPFC]|Ph|Mob)(?:[:.]|\.:| ?\|)?"
    r"|[\u260e\u260f\u2706\U0001f4de\U0001f4f1\U0001f4e0]\ufe0f?)\s*[(+]{0,2}$"
)
_AFTER = re.compile(
    r"(?i)[ \t]*[(\[]?(?:cell|mobile|mob|home|work|office|fax|phone|tel|direct|whatsapp|handy|mobil|landline)\b"
)


def context_of(text: str, start: int, end: int) -> Context:
    """What the number at `start` to `end` is, by the words in the 40 characters before it and just after it."""
    before = text_before(text, start)
    words_before = list(_WORD.finditer(before))
    if _is_label(before, words_before):
        return Context.OTHER
    context = Context.NONE
    for word in words_before:
        lower = word.group().lower()
        if lower in _PHONE:
            return Context.PHONE
        if lower in _CALL:
            context = Context.CALL
    return Context.PHONE if _LETTER.search(before) or _AFTER.match(text, end) else context


def is_labelled_otherwise(text: str, start: int) -> bool:
    """Does a label before `start` make the number there an order, an invoice, a serial number …?"""
    before = text_before(text, start)
    return _is_label(before, list(_WORD.finditer(before)))


def text_before(text: str, start: int) -> str:
    """Up to 40 characters before `start`, without a word that the limit would cut."""
    first = max(0, start - _BEFORE)
    while 0 < first < start and text[first - 1].isalnum():
        first += 1
    return text[first:start]


def _is_label(before: str, words: list[re.Match[str]]) -> bool:
    end = len(before)
    for word in words[:-6:-1]:
        if not _JOINT.fullmatch(before, word.end(), end):
            return False
        lower = word.group().lower()
        if lower in _OTHER:
            return True
        if lower not in _FILLERS:
            return False
        end = word.start()
    return False
