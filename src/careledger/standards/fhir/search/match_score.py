"""Whether two Patient resources may be one person: a score, a grade, and where to look for candidates.

Owns the comparison behind `Patient/$match` (FHIR R4 Patient-operation-match, value set `match-grade`). It is a
pure function of two resources. The score adds up what agrees and takes off what contradicts, in thousandths; it is
no probability. The grade follows from rules, not from the score alone:

- *certain*: an identifier agrees, so does a name, and nothing contradicts;
- *probable* and *possible*: by the score;
- *certainly-not*: everything else, and two people whose names and birth dates all differ, whatever else they share.

Nothing here links records, and missing data never count against anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Final

from careledger.standards.fhir.search.folding import fold, soundex

PROBABLE_MIN: Final = 560
"""Least score of a probable match."""
POSSIBLE_MIN: Final = 400
"""Least score of a possible match. Twins, who share all but the given name, stay just above it."""
SCORE_MAX: Final = 1_000

_EDITED_CHARS_MIN: Final = 5
"""Shorter names are not compared for a slip of one letter: too many real names are one letter apart."""
_PHONE_DIGITS: Final = 9
"""Digits compared of a telephone number, from its end, so that country and trunk prefixes do not matter."""
_PHONE_DIGITS_MIN: Final = 6
_ISO_DATE_CHARS: Final = 10


class Grade(Enum):
    """Codes of the FHIR value set `match-grade`."""

    CERTAIN = "certain"
    PROBABLE = "probable"
    POSSIBLE = "possible"
    CERTAINLY_NOT = "certainly-not"


class Agreement(Enum):
    """How one trait of two people compares."""

    SAME = "same"
    NEAR = "near"
    """Not the same, but as a slip of the pen or ear would make it."""
    DIFFERENT = "different"
    UNKNOWN = "unknown"
    """At least one side does not say."""


WEIGHTS: Final[dict[str, tuple[int, int, int]]] = {
    "identifier": (400, 0, -50),
    "birth_date": (200, 120, -250),
    "family": (150, 90, -120),
    "given": (100, 60, -80),
    "gender": (30, 0, -80),
    "address": (60, 30, 0),
    "telecom": (60, 0, 0),
}
"""Thousandths per trait when it is the same, near, different. The first column adds up to `SCORE_MAX`."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What of a Patient is compared, folded."""

    identifiers: frozenset[tuple[str, str]]
    """System and value; temporary and old ones are left out."""
    birth_date: str
    families: frozenset[str]
    givens: frozenset[str]
    gender: str
    addresses: frozenset[tuple[str, str, str]]
    """Postal code, city, first line."""
    telecoms: frozenset[str]
    """Last digits of telephone numbers, e-mail addresses."""


@dataclass(frozen=True, slots=True)
class MatchScore:
    """The outcome of a comparison."""

    grade: Grade
    score: int
    """0 to `SCORE_MAX`."""
    agreements: dict[str, Agreement]
    """Per trait, how it compares; what a clerk is shown as the reason."""


def _objects(value: object) -> list[dict[str, object]]:
    """Return the objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    """Return a text, or nothing."""
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    """Return the texts of a list or a single one."""
    return [text for item in (value if isinstance(value, list) else [value]) if (text := _text(item))]


def _words(text: str) -> frozenset[str]:
    """Return the parts of a name, which hyphens, dots and spaces separate."""
    return frozenset(fold(text).replace("-", " ").replace(".", " ").split())


def _contact(telecom: dict[str, object]) -> str:
    """Return what of a contact point is compared."""
    value = fold(_text(telecom.get("value")))
    if telecom.get("system") == "email":
        return value
    digits = "".join(sign for sign in value if sign.isascii() and sign.isdigit())
    return digits[-_PHONE_DIGITS:] if len(digits) >= _PHONE_DIGITS_MIN else ""


def read_traits(patient: dict[str, object]) -> Traits:
    """Return what of a Patient is compared; what is absent or has another shape is passed over."""
    names = [
        name for name in _objects(patient.get("name")) if name.get("use") not in {"anonymous", "nickname"}
    ]
    return Traits(
        identifiers=frozenset(
            (system, value)
            for one in _objects(patient.get("identifier"))
            if one.get("use") not in {"temp", "old"}
            and (system := _text(one.get("system")))
            and (value := _text(one.get("value")).strip())
        ),
        birth_date=_text(patient.get("birthDate")),
        families=frozenset(chain.from_iterable(_words(_text(name.get("family"))) for name in names)),
        givens=frozenset(
            chain.from_iterable(_words(given) for name in names for given in _texts(name.get("given")))
        ),
        gender=_text(patient.get("gender")) if patient.get("gender") in {"male", "female", "other"} else "",
        addresses=frozenset(
            (
                fold(_text(one.get("postalCode"))).replace(" ", ""),
                fold(_text(one.get("city"))),
                fold((_texts(one.get("line")) or [""])[0]),
            )
            for one in _objects(patient.get("address"))
        ),
        telecoms=frozenset(_contact(one) for one in _objects(patient.get("telecom"))) - {""},
    )


def is_one_edit_apart(first: str, second: str) -> bool:
    """Say whether one letter was added, left out, changed, or exchanged with its neighbour."""
    if abs(len(first) - len(second)) > 1 or first == second:
        return False
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    rest, other = first[start:], second[start:]
    return (
        rest[1:] == other[1:]
        or rest[1:] == other
        or rest == other[1:]
        or (rest[:2] == other[1::-1] and rest[2:] == other[2:])
    )


def _is_near_name(first: str, second: str) -> bool:
    """Say whether two names may be one, misspelt, misheard or abbreviated."""
    if min(len(first), len(second)) == 1:
        return first[0] == second[0]
    long_enough = min(len(first), len(second)) >= _EDITED_CHARS_MIN
    return (long_enough and is_one_edit_apart(first, second)) or soundex(first) == soundex(second) != ""


def _compare_names(first: frozenset[str], second: frozenset[str]) -> Agreement:
    """Compare the words of names; one in common is enough, since people use several."""
    if not first or not second:
        return Agreement.UNKNOWN
    if any(len(word) > 1 for word in first & second):
        return Agreement.SAME
    if any(_is_near_name(one, other) for one in first for other in second):
        return Agreement.NEAR
    return Agreement.DIFFERENT


def _compare_dates(first: str, second: str) -> Agreement:
    """Compare birth dates: exchanged day and month, one wrong digit, or less precision are near."""
    if not first or not second:
        return Agreement.UNKNOWN
    if first == second:
        return Agreement.SAME
    if min(len(first), len(second)) < _ISO_DATE_CHARS:
        is_within = first.startswith(second) or second.startswith(first)
        return Agreement.NEAR if is_within else Agreement.DIFFERENT
    if first[:4] == second[:4] and first[5:7] == second[8:10] and first[8:10] == second[5:7]:
        return Agreement.NEAR
    if sum(one != other for one, other in zip(first, second, strict=False)) == 1:
        return Agreement.NEAR
    return Agreement.NEAR if is_one_edit_apart(first, second) else Agreement.DIFFERENT


def _compare_identifiers(first: Traits, second: Traits) -> Agreement:
    """Compare identifiers; of one system with two values, people may have both, so that weighs little."""
    if first.identifiers & second.identifiers:
        return Agreement.SAME
    systems = {system for system, _ in first.identifiers} & {system for system, _ in second.identifiers}
    return Agreement.DIFFERENT if systems else Agreement.UNKNOWN


def _compare_addresses(first: Traits, second: Traits) -> Agreement:
    """Compare addresses: the same place and line, or the same place."""
    near = Agreement.UNKNOWN
    for code, city, line in first.addresses:
        for other_code, other_city, other_line in second.addresses:
            is_place = code == other_code if code and other_code else city == other_city != ""
            if is_place and line and line == other_line:
                return Agreement.SAME
            if is_place:
                near = Agreement.NEAR
    return near


def compare_traits(first: Traits, second: Traits) -> MatchScore:
    """Compare two people.

    Exchanged family and given names count as a near family name: registries commonly go wrong so.
    """
    families = _compare_names(first.families, second.families)
    givens = _compare_names(first.givens, second.givens)
    if families is givens is Agreement.DIFFERENT and (
        first.families & second.givens and first.givens & second.families
    ):
        families, givens = Agreement.NEAR, Agreement.SAME
    is_gender_known = first.gender and second.gender
    gender = Agreement.SAME if first.gender == second.gender else Agreement.DIFFERENT
    agreements = {
        "identifier": _compare_identifiers(first, second),
        "birth_date": _compare_dates(first.birth_date, second.birth_date),
        "family": families,
        "given": givens,
        "gender": gender if is_gender_known else Agreement.UNKNOWN,
        "address": _compare_addresses(first, second),
        "telecom": Agreement.SAME if first.telecoms & second.telecoms else Agreement.UNKNOWN,
    }
    columns = (Agreement.SAME, Agreement.NEAR, Agreement.DIFFERENT)
    score = sum(
        WEIGHTS[trait][columns.index(agreement)]
        for trait, agreement in agreements.items()
        if agreement is not Agreement.UNKNOWN
    )
    score = max(0, min(SCORE_MAX, score))
    return MatchScore(_grade(agreements, score), score, agreements)


def _grade(agreements: dict[str, Agreement], score: int) -> Grade:
    """Return the grade: the rules of the module's description, in order."""
    names = (agreements["family"], agreements["given"])
    contradicts = Agreement.DIFFERENT in agreements.values()
    # 1. An identifier and a name agree, and nothing contradicts.
    if agreements["identifier"] is Agreement.SAME and Agreement.SAME in names and not contradicts:
        return Grade.CERTAIN
    # 2. Nothing that makes a person agrees.
    if (
        names == (Agreement.DIFFERENT, Agreement.DIFFERENT)
        and agreements["birth_date"] is Agreement.DIFFERENT
    ):
        return Grade.CERTAINLY_NOT
    # 3. The score decides.
    if score >= PROBABLE_MIN:
        return Grade.PROBABLE
    return Grade.POSSIBLE if score >= POSSIBLE_MIN else Grade.CERTAINLY_NOT


def compare_patients(first: dict[str, object], second: dict[str, object]) -> MatchScore:
    """Compare two Patient resources, given as decoded JSON."""
    return compare_traits(read_traits(first), read_traits(second))


def _escape(text: str) -> str:
    r"""Put a backslash before the signs that separate search values."""
    for sign in "\\,|$":
        text = text.replace(sign, f"\\{sign}")
    return text


def candidate_searches(patient: dict[str, object]) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Return searches of Patient that find those worth comparing, the narrowest first.

    Each is names and values for `careledger.standards.fhir.search.request.parse_search`: identifiers, contact
    points, a birth date with any name that sounds alike, and both names by sound whatever the birth date. Where a
    name has no letters that Soundex knows, the birth date alone serves.
    """
    traits = read_traits(patient)
    searches: list[tuple[tuple[str, str], ...]] = [
        (("identifier", f"{_escape(system)}|{_escape(value)}"),)
        for system, value in sorted(traits.identifiers)
    ]
    contacts = [_text(one.get("value")) for one in _objects(patient.get("telecom"))]
    searches += [(("telecom", _escape(value)),) for value in sorted(set(contacts) - {""})]
    words = sorted(traits.families | traits.givens)
    is_heard = bool(words) and all(map(soundex, words))
    if traits.birth_date:
        born = ("birthdate", traits.birth_date)
        searches.append((("phonetic", ",".join(map(_escape, words))), born) if is_heard else (born,))
    if is_heard and traits.families and traits.givens:
        families, givens = (
            ",".join(map(_escape, sorted(names))) for names in (traits.families, traits.givens)
        )
        searches.append((("phonetic", families), ("phonetic", givens)))
    return tuple(searches)
