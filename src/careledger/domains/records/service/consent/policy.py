"""A patient's decision as rules, and the pure function that applies them.

Owns the policy's canonical form (its hash is in every grant) and `decide`. Reads no clock, no store and no FHIR.

The decision table, first line that applies:

| # | when | outcome |
|---|---|---|
| 1 | substance use record and a legal purpose | deny LEGAL_PURPOSE |
| 2 | before the consent's period | deny NOT_YET_VALID |
| 3 | after the consent's period | deny EXPIRED |
| 4 | exceptions match: the most specific decides; of equally specific ones a denial | permit or deny EXCEPTION |
| 5 | base permits, and its criteria match | permit |
| 6 | base permits, and its criteria do not match | deny NOT_COVERED |
| 7 | base denies | deny BASE_DENIES |

An actor that no exception names gets the base rule. A criterion that is absent matches everything; of several
values one must match; all criteria must match. What is not known about a record (its date, its author) never
matches a permission and always matches a denial. Specificity compares, in this order: whether single records
are named, the actor (practitioner over role over organisation over none), and how many other criteria are set.

Source: FHIR R4 Consent.provision; IHE ITI PCF (base rule in the root provision, one level of exceptions).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.vocabulary import LEGAL_PURPOSES, purpose_covers
from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.hashing import labelled

POLICY_VERSION: Final = 1
EXCEPTIONS_MAX: Final = 64
VALUES_MAX: Final = 256
TEXT_CHARACTERS_MAX: Final = 256
POLICY_BYTES_MAX: Final = 256 * 1024

BASE: Final = -1
"""Index of the base rule in a decision."""

_HASH_LABEL: Final = "careledger/consent-policy/1"


class PolicyInvalid(Exception):  # noqa: N818 - reading raises the outcome's name
    """Bytes that are no policy; the message names the place and no value."""


class ActorKind(IntEnum):
    """How an actor is named; higher is more specific."""

    ORGANISATION = 1
    ROLE = 2
    PRACTITIONER = 3


class Actor(Wire, frozen=True):
    """One recipient that a rule names."""

    kind: int
    """An `ActorKind`."""
    value: str
    """Short name or reference of an organisation, `system|code` of a role, reference of a practitioner."""


class Rule(Wire, frozen=True):
    """A permission or a denial with its criteria; an empty one matches everything."""

    is_permit: bool
    """Whether what matches is permitted."""
    actors: tuple[Actor, ...]
    """Who asks."""
    purposes: tuple[str, ...]
    """Codes of v3-ActReason."""
    from_ms: int | None
    """First instant of the rule's period."""
    until_ms: int | None
    """Last instant of the rule's period."""
    data_from_ms: int | None
    """First instant of the records' own time."""
    data_until_ms: int | None
    """Last instant of the records' own time."""
    compartments: tuple[int, ...]
    """Compartments it speaks of, ascending; never empty."""
    has_labels: bool
    """Whether the compartments were named, rather than taken by default."""
    types: tuple[str, ...]
    """Resource types."""
    codes: tuple[str, ...]
    """`system|code` of what the record is about."""
    authors: tuple[str, ...]
    """References of authors."""
    instances: tuple[str, ...]
    """References of single records."""
    related: tuple[str, ...]
    """References of records, meant with everything that refers to them."""


class Policy(Wire, frozen=True):
    """A base rule and its exceptions."""

    version: int
    """1."""
    base: Rule
    """What holds where no exception does; its period bounds all of the policy."""
    exceptions: tuple[Rule, ...]
    """In the order of the Consent."""


class Reason(IntEnum):
    """Why a decision came out as it did."""

    PERMITTED = 0
    LEGAL_PURPOSE = 1
    NOT_YET_VALID = 2
    EXPIRED = 3
    EXCEPTION = 4
    NOT_COVERED = 5
    BASE_DENIES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, for what, and when."""

    organisations: frozenset[str]
    """Every name the organisation goes by: its short name and references to it."""
    purpose: str
    """Code of v3-ActReason."""
    at_ms: int
    """Time that counts: block time of the view that is decided on."""
    practitioners: frozenset[str] = frozenset()
    """References of the person who asks."""
    roles: frozenset[str] = frozenset()
    """`system|code` of the person's roles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFacts:
    """What a policy may look at in one record."""

    compartment: Compartment
    resource_type: str
    reference: str = ""
    """`Type/id`."""
    time_ms: tuple[int, int] | None = None
    """First and last instant of what the record is about; None if it does not say."""
    codes: frozenset[str] = frozenset()
    authors: frozenset[str] | None = None
    """References of its authors; None if it does not say."""
    references: frozenset[str] = field(default=frozenset())
    """Everything it refers to."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says of one record for one request."""

    is_permitted: bool
    reason: Reason
    rule: int
    """Index of the exception that decided, or `BASE`."""


Specificity = tuple[bool, int, int]


def encode_policy(policy: Policy) -> bytes:
    """Write a policy canonically.

    Raises:
        PolicyInvalid: It is out of bounds.
    """
    _check_policy(policy)
    raw = encode(policy)
    if len(raw) > POLICY_BYTES_MAX:
        raise PolicyInvalid("the policy is too long")
    return raw


def decode_policy(raw: bytes) -> Policy:
    """Read what `encode_policy` wrote.

    Raises:
        PolicyInvalid: Not the canonical encoding of a policy within bounds.
    """
    if len(raw) > POLICY_BYTES_MAX:
        raise PolicyInvalid("the policy is too long")
    try:
        policy = decode(raw, Policy)
    except CodecError as error:
        raise PolicyInvalid(f"not a policy: {error}") from None
    _check_policy(policy)
    return policy


def policy_hash(raw: bytes) -> bytes:
    """Digest of a policy's canonical bytes, 32 bytes."""
    return labelled(_HASH_LABEL, raw)


def decide(policy: Policy, asker: Asker, facts: RecordFacts) -> Decision:
    """Apply a policy to one record; see the table above."""
    base = policy.base
    if facts.compartment is Compartment.SUBSTANCE_USE and asker.purpose in LEGAL_PURPOSES:
        return Decision(False, Reason.LEGAL_PURPOSE, BASE)
    if base.from_ms is not None and asker.at_ms < base.from_ms:
        return Decision(False, Reason.NOT_YET_VALID, BASE)
    if base.until_ms is not None and asker.at_ms > base.until_ms:
        return Decision(False, Reason.EXPIRED, BASE)
    best: tuple[Specificity, bool, int] | None = None
    for index, rule in enumerate(policy.exceptions):
        if _matches(rule, asker, facts):
            candidate = (specificity(rule), not rule.is_permit, -index)
            if best is None or candidate > best:
                best = candidate
    if best is not None:
        is_denial = best[1]
        return Decision(not is_denial, Reason.EXCEPTION if is_denial else Reason.PERMITTED, -best[2])
    if not base.is_permit:
        return Decision(False, Reason.BASE_DENIES, BASE)
    if _matches(base, asker, facts):
        return Decision(True, Reason.PERMITTED, BASE)
    return Decision(False, Reason.NOT_COVERED, BASE)


def specificity(rule: Rule) -> Specificity:
    """How specific a rule is; greater decides."""
    others = (
        bool(rule.purposes),
        rule.from_ms is not None or rule.until_ms is not None,
        rule.data_from_ms is not None or rule.data_until_ms is not None,
        rule.has_labels,
        bool(rule.types),
        bool(rule.codes),
        bool(rule.authors),
        bool(rule.related),
    )
    return bool(rule.instances), max((actor.kind for actor in rule.actors), default=0), sum(others)


def is_within(rule: Rule, at_ms: int) -> bool:
    """Whether a rule's period holds at an instant."""
    return (rule.from_ms is None or rule.from_ms <= at_ms) and (
        rule.until_ms is None or at_ms <= rule.until_ms
    )


def covers_purpose(rule: Rule, purpose: str) -> bool:
    """Whether a rule is about a purpose."""
    return not rule.purposes or any(purpose_covers(allowed, purpose) for allowed in rule.purposes)


def has_data_criteria(rule: Rule) -> bool:
    """Whether a rule tells records of one compartment apart."""
    return bool(
        rule.types
        or rule.codes
        or rule.authors
        or rule.instances
        or rule.related
        or rule.data_from_ms is not None
        or rule.data_until_ms is not None
    )


def _matches(rule: Rule, asker: Asker, facts: RecordFacts) -> bool:
    unknown = not rule.is_permit  # what is not known matches denials only
    return (
        facts.compartment in rule.compartments
        and is_within(rule, asker.at_ms)
        and covers_purpose(rule, asker.purpose)
        and (not rule.actors or any(_is_actor(actor, asker) for actor in rule.actors))
        and (not rule.types or facts.resource_type in rule.types)
        and _overlaps(rule.codes, facts.codes)
        and (
            not rule.authors or (unknown if facts.authors is None else _overlaps(rule.authors, facts.authors))
        )
        and _overlaps(rule.instances, {facts.reference})
        and _overlaps(rule.related, facts.references | {facts.reference})
        and _is_in_time(rule, facts.time_ms, unknown=unknown)
    )


def _overlaps(wanted: tuple[str, ...], present: Collection[str]) -> bool:
    return not wanted or any(one in present for one in wanted)


def _is_actor(actor: Actor, asker: Asker) -> bool:
    if actor.kind == ActorKind.ORGANISATION:
        return actor.value in asker.organisations
    if actor.kind == ActorKind.PRACTITIONER:
        return actor.value in asker.practitioners
    return actor.value in asker.roles


def _is_in_time(rule: Rule, time_ms: tuple[int, int] | None, *, unknown: bool) -> bool:
    first, last = rule.data_from_ms, rule.data_until_ms
    if first is None and last is None:
        return True
    if time_ms is None:
        return unknown
    if rule.is_permit:  # all of the record's time must lie within
        return (first is None or first <= time_ms[0]) and (last is None or time_ms[1] <= last)
    return (first is None or first <= time_ms[1]) and (last is None or time_ms[0] <= last)


def _check_policy(policy: Policy) -> None:
    if policy.version != POLICY_VERSION:
        raise PolicyInvalid("a policy of an unknown version")
    if len(policy.exceptions) > EXCEPTIONS_MAX:
        raise PolicyInvalid(f"more than {EXCEPTIONS_MAX} exceptions")
    _check_rule(policy.base, "base")
    for index, rule in enumerate(policy.exceptions):
        _check_rule(rule, f"exceptions[{index}]")


def _check_rule(rule: Rule, at: str) -> None:
    numbers = rule.compartments
    if (
        not numbers
        or list(numbers) != sorted(set(numbers))
        or numbers[-1] > max(Compartment)
        or numbers[0] < 0
    ):
        raise PolicyInvalid(f"{at}.compartments: not ascending numbers of compartments")
    if any(actor.kind not in ActorKind.__members__.values() for actor in rule.actors):
        raise PolicyInvalid(f"{at}.actors: an unknown kind")
    texts = (
        ("actors", tuple(actor.value for actor in rule.actors)),
        ("purposes", rule.purposes),
        ("types", rule.types),
        ("codes", rule.codes),
        ("authors", rule.authors),
        ("instances", rule.instances),
        ("related", rule.related),
    )
    for name, values in texts:
        if len(values) > VALUES_MAX or any(not 1 <= len(value) <= TEXT_CHARACTERS_MAX for value in values):
            raise PolicyInvalid(f"{at}.{name}: too many values, or one of a length that is not allowed")
