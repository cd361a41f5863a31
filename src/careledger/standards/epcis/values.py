"""Single values inside an event: identifiers, times, words, numbers.

Owns one reader per kind of value. A reader takes a parsed value, reports what is wrong with it to the scope, and
gives the typed value; after a problem what it gives is only a filler, since the event will not be used.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import TypeAlias, TypeVar

from careledger.standards.epcis.content import read_field
from careledger.standards.epcis.errors import ProblemCode, Severity
from careledger.standards.epcis.limits import EXPONENT_MAX, NUMBER_CHARS_MAX, URI_CHARS_MAX
from careledger.standards.epcis.model import Field, Identifier, Number
from careledger.standards.epcis.scope import Scope, is_absolute_uri
from careledger.standards.epcis.timestamps import Instant, InvalidTime, is_zone_offset, parse_instant
from careledger.standards.epcis.vocabulary import VOCABULARIES, Kind, claims_to_be_standard, suggestion
from careledger.standards.gs1.canonical import canonical_packs, canonical_uri, checked_canonical_uri
from careledger.standards.gs1.errors import GS1Error

T = TypeVar("T")
Reader: TypeAlias = Callable[[object, Scope, str], object]
"""Takes the parsed value, the scope and the place relative to the event."""

_HEX = re.compile(r"[0-9A-Fa-f]+")
_UNIT = re.compile(r"[A-Z0-9]{2,3}")
_EPOCH = Instant(text="1970-01-01T00:00:00.000Z", epoch_us=0)
_NOBODY = Identifier(text="", canonical="")
# Places and parties repeat from event to event; packs do not.
_CACHED = 16_384


def read_text(value: object, scope: Scope, at: str) -> str:
    """Read a text of bounded length."""
    if type(value) is not str:
        scope.report(ProblemCode.WRONG_TYPE, at, "a text is expected")
        return ""
    if len(value) > scope.limits.text_chars_max:
        scope.report(ProblemCode.TOO_LARGE, at, "this text is too long")
        return ""
    return value


def read_uri(value: object, scope: Scope, at: str) -> str:
    """Read an absolute URI; a CURIE with a declared prefix is expanded."""
    if type(value) is not str:
        scope.report(ProblemCode.WRONG_TYPE, at, "a URI is expected")
        return ""
    if len(value) <= URI_CHARS_MAX and is_absolute_uri(value) and not _has_prefix(value, scope):
        return value
    text = value.strip()
    if len(text) > URI_CHARS_MAX:
        scope.report(ProblemCode.TOO_LARGE, at, f"a URI has at most {URI_CHARS_MAX} characters here")
        return ""
    text = scope.expand(text)
    if not is_absolute_uri(text):
        scope.report(ProblemCode.NOT_A_URI, at, "an absolute URI is expected")
    return text


@functools.lru_cache(maxsize=_CACHED)
def _valid_identifier(text: str) -> Identifier | None:
    """Make an identifier, or give None when something is wrong with it (not cached: the caller looks)."""
    try:
        canonical = checked_canonical_uri(text)
    except GS1Error:
        return None
    if canonical is text and not is_absolute_uri(text):
        return None
    return Identifier(text=text, canonical=canonical)


def gs1_identifier(text: str) -> Identifier | None:
    """Make the identifier of a well-formed GS1 key that needs no expanding, or give None."""
    found = _valid_identifier(text)
    return None if found is None or found.canonical is found.text else found


def read_identifier(value: object, scope: Scope, at: str) -> Identifier:
    """Read the identifier of a place, party, transaction or device."""
    if type(value) is not str:
        scope.report(ProblemCode.WRONG_TYPE, at, "a URI is expected")
        return _NOBODY
    found = plain_identifier(value, scope)
    return _examine_identifier(value, scope, at) if found is None else found


def plain_identifier(value: str, scope: Scope) -> Identifier | None:
    """Make an identifier that needs no expanding and has nothing wrong, or give None."""
    found = _valid_identifier(value)
    if found is None or (found.canonical is found.text and _has_prefix(value, scope)):
        return None
    return found


def _has_prefix(value: str, scope: Scope) -> bool:
    """Tell whether a value that looks like a URI may be a CURIE of this document."""
    return value.partition(":")[0] in scope.namespaces


def _examine_identifier(value: str, scope: Scope, at: str) -> Identifier:
    """Find out what is wrong with an identifier, or that only a prefix must be expanded."""
    text = read_uri(value, scope, at)
    try:
        return Identifier(text=text, canonical=checked_canonical_uri(text))
    except GS1Error as error:
        scope.report(ProblemCode.IDENTIFIER, at, f"not a well-formed GS1 identifier: {error}")
        return Identifier(text=text, canonical=canonical_uri(text))


def read_epcs(value: object, scope: Scope, at: str) -> tuple[Identifier, ...]:
    """Read a list of instance-level identifiers; doubles are an error, classes a remark."""
    if type(value) is not list:
        scope.report(ProblemCode.WRONG_TYPE, at, "a list of URIs is expected")
        return ()
    if len(value) > scope.limits.list_items_max:
        scope.report(ProblemCode.TOO_MANY, at, f"more than {scope.limits.list_items_max} entries")
        return ()
    canonical_forms = canonical_packs(value)
    if canonical_forms is not None and len(set(canonical_forms)) == len(value):
        return tuple(
            [Identifier(text=text, canonical=form) for text, form in zip(value, canonical_forms, strict=True)]
        )
    found = _read_each_epc(value, scope, at)
    if len(found) > 1 and len({identifier.canonical for identifier in found}) != len(found):
        _report_doubles(found, scope, at)
    return tuple(found)


def _read_each_epc(value: list[object], scope: Scope, at: str) -> list[Identifier]:
    found: list[Identifier] = []
    for text in value:
        if type(text) is not str:
            scope.report(ProblemCode.WRONG_TYPE, f"{at}/{len(found)}", "a URI is expected")
            found.append(_NOBODY)
            continue
        try:
            canonical = checked_canonical_uri(text)
        except GS1Error:
            found.append(_examine_identifier(text, scope, f"{at}/{len(found)}"))
            continue
        if canonical is text and (not is_absolute_uri(text) or _has_prefix(text, scope)):
            found.append(_examine_identifier(text, scope, f"{at}/{len(found)}"))
            continue
        if not text.startswith("urn:epc:id:"):
            _remark_on_class(canonical, scope, at, len(found))
        found.append(Identifier(text=text, canonical=canonical))
    return found


def _remark_on_class(canonical: str, scope: Scope, at: str, number: int) -> None:
    if (
        canonical.startswith("https://id.gs1.org/01/")
        and "/21/" not in canonical
        and "/235/" not in canonical
    ):
        message = "this names a product or lot, not one object; a quantity list is the place for it"
        scope.warn(ProblemCode.CLASS_AS_INSTANCE, f"{at}/{number}", message)


def _report_doubles(found: list[Identifier], scope: Scope, at: str) -> None:
    seen: set[str] = set()
    for number, identifier in enumerate(found):
        if identifier.canonical in seen:
            message = "the same identifier is listed before, perhaps in another spelling"
            scope.report(ProblemCode.DUPLICATE_IDENTIFIER, f"{at}/{number}", message)
        seen.add(identifier.canonical)


def read_instant(value: object, scope: Scope, at: str) -> Instant:
    """Read a date and time with time zone."""
    if type(value) is str:
        try:
            return parse_instant(value)
        except InvalidTime as error:
            lacks_zone = error.lacks_zone
    else:
        lacks_zone = False
    message = "the time zone is missing" if lacks_zone else "a date and time with time zone is expected"
    scope.report(ProblemCode.TIME_ZONE if lacks_zone else ProblemCode.TIME, at, message)
    return _EPOCH


def read_zone_offset(value: object, scope: Scope, at: str) -> str:
    """Read a time zone offset from -14:00 to +14:00."""
    if type(value) is str and is_zone_offset(value):
        return value
    scope.report(ProblemCode.TIME_ZONE, at, "an offset such as +01:00 or -06:00 is expected")
    return "+00:00"


def read_number(value: object, scope: Scope, at: str) -> Number:
    """Read a number; XML passes it as text."""
    if type(value) is int or type(value) is Decimal:
        return value
    if not scope.is_json and type(value) is str:
        number = parse_number(value.strip())
        if number is not None:
            return number
    scope.report(ProblemCode.NUMBER, at, "a number is expected")
    return 0


def parse_number(text: str) -> Number | None:
    """Read a number literal exactly, or give None when it is none or out of bounds."""
    if not 0 < len(text) <= NUMBER_CHARS_MAX or not text.isascii() or "_" in text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number.adjusted()) > EXPONENT_MAX:
        return None
    return number


def read_boolean(value: object, scope: Scope, at: str) -> bool:
    """Read a truth value; XML passes it as text."""
    if type(value) is bool:
        return value
    if not scope.is_json and value in ("true", "false", "1", "0"):
        return value in ("true", "1")
    scope.report(ProblemCode.WRONG_TYPE, at, "true or false is expected")
    return False


def read_hex(value: object, scope: Scope, at: str) -> str:
    """Read hexadecimal digits."""
    text = read_text(value, scope, at)
    if text and not _HEX.fullmatch(text):
        scope.report(ProblemCode.WRONG_TYPE, at, "hexadecimal digits are expected")
    return text


def read_unit(value: object, scope: Scope, at: str) -> str:
    """Read a unit of measure code (UN/ECE Recommendation 20)."""
    text = read_text(value, scope, at)
    if not _UNIT.fullmatch(text):
        scope.report(ProblemCode.UNIT, at, "a unit code of two or three capitals or digits is expected")
    return text


def word_reader(kind: Kind) -> Reader:
    """Make the reader for one kind of standard vocabulary; it gives the bare word, or a partner's URI."""
    spellings = VOCABULARIES[kind].spellings

    def read_word(value: object, scope: Scope, at: str) -> str:
        if type(value) is not str:
            scope.report(ProblemCode.WRONG_TYPE, at, "a text is expected")
            return ""
        word = spellings.get(value)
        if word is None:
            return _read_unlisted(kind, value, scope, at)
        if (word is value or word == value) is not scope.is_json:
            _remark_on_spelling(scope, at)
        return word

    return read_word


def _remark_on_spelling(scope: Scope, at: str) -> None:
    usual = "a bare word in JSON" if scope.is_json else "a URI in XML"
    scope.warn(ProblemCode.VOCABULARY_FORM, at, f"standard vocabulary is written as {usual}")


def _read_unlisted(kind: Kind, value: str, scope: Scope, at: str) -> str:
    """Handle a word that is not in the standard list: a partner's own, or a mistake."""
    stripped = value.strip()
    word = VOCABULARIES[kind].spellings.get(stripped)
    if word is not None:
        return word
    expanded = scope.expand(stripped)
    word = VOCABULARIES[kind].spellings.get(expanded)
    if word is not None:
        return word
    is_uri = is_absolute_uri(expanded)
    if is_uri and len(expanded) > URI_CHARS_MAX:
        scope.report(ProblemCode.TOO_LARGE, at, f"a URI has at most {URI_CHARS_MAX} characters here")
    if not is_uri or claims_to_be_standard(kind, expanded):
        hint = suggestion(kind, stripped)
        message = f"not a standard {kind.value}" + (f"; {hint} is" if hint else "; own words must be URIs")
        # The JSON schema bars unknown words in the standard's name space, the XML schema does not.
        severity = Severity.WARNING if is_uri and not scope.is_json else Severity.ERROR
        scope.report(ProblemCode.VOCABULARY, at, message, severity=severity)
    return expanded


def read_members(
    value: object, readers: dict[str, tuple[str, Reader]], scope: Scope, at: str
) -> tuple[dict[str, object], list[Field]]:
    """Read the members of an object that may carry extensions.

    Args:
        value: the parsed object.
        readers: by member name, the attribute of the model and the reader.
        scope: receives the problems.
        at: where the object stands.

    Returns:
        The attributes read, and the extension fields.
    """
    attributes: dict[str, object] = {}
    extensions: list[Field] = []
    if type(value) is not dict:
        scope.report(ProblemCode.WRONG_TYPE, at, "an object is expected")
        return attributes, extensions
    for key, member in value.items():
        known = readers.get(key)
        if known is not None:
            attribute, reader = known
            attributes[attribute] = reader(member, scope, f"{at}/{key}")
        elif type(member) is Field:
            extensions.append(member)
        else:
            field = read_field(key, member, scope, f"{at}/")
            if field is not None:
                extensions.append(field)
    return attributes, extensions


def construct(
    factory: Callable[..., T], attributes: dict[str, object], extensions: Sequence[Field] = ()
) -> T:
    """Make a value of the model from attributes read by name; the readers have seen to their types."""
    return factory(**attributes, extensions=tuple(extensions)) if extensions else factory(**attributes)


def read_list(value: object, reader: Reader, scope: Scope, at: str) -> tuple[object, ...]:
    """Read a list, each entry with `reader`."""
    if type(value) is not list:
        scope.report(ProblemCode.WRONG_TYPE, at, "a list is expected")
        return ()
    if len(value) > scope.limits.list_items_max:
        scope.report(ProblemCode.TOO_MANY, at, f"more than {scope.limits.list_items_max} entries")
        return ()
    return tuple([reader(item, scope, f"{at}/{number}") for number, item in enumerate(value)])
