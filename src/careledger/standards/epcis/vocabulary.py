"""Standard vocabulary: one word, four spellings.

Owns the translation between bare words (`receiving`, the JSON form and the form in the model), CBV URNs
(`urn:epcglobal:cbv:bizstep:receiving`), web URIs (`https://ref.gs1.org/cbv/BizStep-receiving`) and CURIEs
(`cbv:BizStep-receiving`). Words of a partner's own are URIs outside the CBV and pass as they are.
"""

from __future__ import annotations

import difflib
import enum

import msgspec

from careledger.standards.epcis import cbv


class Kind(enum.Enum):
    """Kinds of standard vocabulary."""

    BUSINESS_STEP = "bizStep"
    DISPOSITION = "disposition"
    TRANSACTION_TYPE = "bizTransaction type"
    PARTY_TYPE = "source or destination type"
    ERROR_REASON = "error reason"
    MEASUREMENT = "measurement type"
    ALERT = "sensor exception"
    COMPONENT = "sensor component"


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of vocabulary with every accepted spelling."""

    kind: Kind
    words: tuple[str, ...]

    urn_prefix: str
    """Empty where no URN form exists (sensor vocabulary is newer than the URNs)."""

    web_prefix: str

    spellings: dict[str, str]
    """Every accepted spelling, the bare word included, and its word."""

    web_uris: dict[str, str]
    """Each word and its web URI."""


def _vocabulary(kind: Kind, words: str, urn: str, web: str, curie: str) -> Vocabulary:
    listed = tuple(words.split())
    spellings = {}
    for word in listed:
        spellings[word] = word
        spellings[web + word] = word
        spellings[curie + word] = word
        if urn:
            spellings[urn + word] = word
    return Vocabulary(
        kind=kind,
        words=listed,
        urn_prefix=urn,
        web_prefix=web,
        spellings=spellings,
        web_uris={word: web + word for word in listed},
    )


def _cbv(kind: Kind, words: str, urn: str, web: str) -> Vocabulary:
    return _vocabulary(kind, words, cbv.URN + urn if urn else "", cbv.WEB + web, "cbv:" + web)


VOCABULARIES: dict[Kind, Vocabulary] = {
    v.kind: v
    for v in (
        _cbv(Kind.BUSINESS_STEP, cbv.BUSINESS_STEPS, "bizstep:", "BizStep-"),
        _cbv(Kind.DISPOSITION, cbv.DISPOSITIONS, "disp:", "Disp-"),
        _cbv(Kind.TRANSACTION_TYPE, cbv.TRANSACTION_TYPES, "btt:", "BTT-"),
        _cbv(Kind.PARTY_TYPE, cbv.PARTY_TYPES, "sdt:", "SDT-"),
        _cbv(Kind.ERROR_REASON, cbv.ERROR_REASONS, "er:", "ER-"),
        _cbv(Kind.COMPONENT, cbv.COMPONENTS, "", "Comp-"),
        _vocabulary(Kind.MEASUREMENT, cbv.MEASUREMENTS, "", cbv.GS1_WEB, "gs1:"),
        _vocabulary(Kind.ALERT, cbv.ALERTS, "", cbv.GS1_WEB, "gs1:"),
    )
}
# Anything that starts like this claims to be standard vocabulary.
STANDARD_PREFIXES = (
    "urn:epcglobal:cbv:",
    cbv.WEB,
    "http://ref.gs1.org/cbv/",
    "https://ns.gs1.org/cbv/",
    "http://ns.gs1.org/cbv/",
    "cbv:",
)
_SENSOR_PREFIXES = (cbv.GS1_WEB, "https://www.gs1.org/voc/", "http://gs1.org/voc/", "gs1:")


def claims_to_be_standard(kind: Kind, value: str) -> bool:
    """Tell whether a value that is not a known word has the looks of one."""
    if kind in (Kind.MEASUREMENT, Kind.ALERT):
        return value.startswith(_SENSOR_PREFIXES)
    return value.startswith(STANDARD_PREFIXES)


def bare_word(kind: Kind, value: str) -> str | None:
    """Give the bare word of any spelling, or None when it is not standard vocabulary."""
    return VOCABULARIES[kind].spellings.get(value)


def web_uri(kind: Kind, value: str) -> str:
    """Give the web URI of a bare word; other values come back unchanged."""
    return VOCABULARIES[kind].web_uris.get(value, value)


def urn(kind: Kind, value: str) -> str:
    """Give the CBV URN of a bare word, the web URI where there is no URN; other values unchanged."""
    vocabulary = VOCABULARIES[kind]
    if value not in vocabulary.web_uris:
        return value
    return (vocabulary.urn_prefix or vocabulary.web_prefix) + value


def suggestion(kind: Kind, value: str) -> str:
    """Name the standard word most like `value`, or nothing.

    The suggestion is a word of the standard, so it never repeats what a document holds.
    """
    tail = value.rsplit(":", 1)[-1].rsplit("/", 1)[-1].rsplit("-", 1)[-1]
    found = difflib.get_close_matches(tail[:64], VOCABULARIES[kind].words, n=1, cutoff=0.6)
    return found[0] if found else ""
