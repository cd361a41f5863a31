"""Writing TA1 and 999.

Owns the wording of an `Acknowledgement` in X12: TA1, and one 999 for each functional group by 005010X231A1.
Names segment, element and reason by their codes and never copies a value back (IK404 is left out).
"""

from collections.abc import Iterable
from itertools import groupby

from careledger.standards.x12.acknowledge import Acknowledgement, GroupResult, SetResult
from careledger.standards.x12.errors import UnwritableError
from careledger.standards.x12.faults import Fault, Level
from careledger.standards.x12.tables.acknowledgement import implementation_acknowledgement
from careledger.standards.x12.writing import Endpoint, SetWriter, Stamp, write_interchange

_CODES_MAX = 5
"""Codes IK5 and AK9 have room for."""
_LOOP_LENGTH = 4
"""IK303 is at most four characters: the loop of the standard, without the letters of the implementation."""
_SEGMENTS_IN_ERROR = "5"
_ELEMENTS_IN_ERROR = "8"


def _codes(faults: Iterable[Fault], *others: str) -> list[str]:
    """Return the codes of the faults, each once, as many as there is room for."""
    return list(dict.fromkeys([*(fault.code for fault in faults), *others]))[:_CODES_MAX]


def _write_segment(writer: SetWriter, faults: list[Fault]) -> None:
    """Write what is wrong with one segment: IK3 for each finding about it, IK4 for each of its elements."""
    first = faults[0]
    loop = first.loop[:_LOOP_LENGTH] if first.loop[:1].isdecimal() else ""
    for fault in faults:
        if fault.level is Level.SEGMENT:
            writer.add("IK3", fault.segment, str(fault.position), loop, fault.code)
    elements = [fault for fault in faults if fault.level is Level.ELEMENT]
    if elements:
        writer.add("IK3", first.segment, str(first.position), loop, _ELEMENTS_IN_ERROR)
    for fault in elements:
        place = (
            str(fault.element),
            str(fault.component or ""),
            str(fault.repetition or ""),
        )
        reference = fault.reference if fault.reference.isdecimal() else ""
        writer.add("IK4", place, reference, fault.code)


def _write_set(writer: SetWriter, result: SetResult) -> None:
    """Write the loop of one transaction set."""
    writer.add("AK2", result.set_id, result.control_number, result.version)
    located = sorted(
        (fault for fault in result.faults if fault.level > Level.SET), key=lambda fault: fault.position
    )
    for _, faults in groupby(located, key=lambda fault: (fault.position, fault.segment, fault.loop)):
        _write_segment(writer, list(faults))
    general = [fault for fault in result.faults if fault.level is Level.SET]
    codes = _codes(general, *([_SEGMENTS_IN_ERROR] if located else []))
    writer.add("IK5", "R" if codes else "A", *codes)


def write_group_acknowledgement(group: GroupResult) -> SetWriter:
    """Return the 999 for one functional group."""
    version = implementation_acknowledgement().versions[0]
    writer = SetWriter("999", version)
    header = group.header
    writer.add("AK1", header.functional_id, header.control_number, header.version)
    for result in group.sets:
        if len(result.set_id) == len(writer.set_id):
            _write_set(writer, result)
    counts = (group.stated_sets, len(group.sets), group.accepted)
    writer.add("AK9", group.code, *map(str, counts), *_codes(group.faults))
    return writer


def _ta1(answer: Acknowledgement) -> str:
    """Return TA1. What of the received header is not even of the right form is answered with zeros."""
    header = answer.header
    places = ((header.control_number, 9), (header.date, 6), (header.time, 4))
    number, date, time = (
        text if text.isascii() and text.isdecimal() and len(text) == length else "0" * length
        for text, length in places
    )
    return f"TA1*{number}*{date}*{time}*{answer.code}*{answer.note_code}"


def write_acknowledgement(answer: Acknowledgement, stamp: Stamp) -> bytes | None:
    """Return the interchange that answers another one, or None where nothing is to be answered.

    Args:
        answer: What became of the interchange.
        stamp: Date, time and numbers of the answer.

    Raises:
        UnwritableError: If the groups answered name different applications, which one group cannot carry, or if the
            received header names parties that cannot be written.
    """
    header = answer.header
    groups = answer.answered_groups
    if not (groups or answer.is_ta1_due):
        return None
    parties = {(group.header.sender, group.header.receiver) for group in groups}
    if len(parties) > 1:
        raise UnwritableError("the groups answered are between different applications")
    sender, receiver = parties.pop() if parties else ("", "")
    return write_interchange(
        stamp,
        sender=Endpoint(qualifier=header.receiver[0], identifier=header.receiver[1], application=receiver),
        receiver=Endpoint(qualifier=header.sender[0], identifier=header.sender[1], application=sender),
        functional_id="FA",
        sets=[write_group_acknowledgement(group) for group in groups],
        interchange_segments=[_ta1(answer)] if answer.is_ta1_due else [],
    )
