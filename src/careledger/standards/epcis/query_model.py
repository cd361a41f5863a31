"""What a SimpleEventQuery asks for, as values.

Owns the typed predicate that `query_parameters` makes from parameters, that `query` evaluates in memory, and that a
store may compile into its own language. It carries no paging: that belongs to the service.
"""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import TypeAlias

import msgspec

from careledger.standards.epcis.timestamps import Instant


class Operator(enum.StrEnum):
    """How a clause compares; the letters in front of a parameter name."""

    EQ = "EQ"
    GT = "GT"
    GE = "GE"
    LT = "LT"
    LE = "LE"
    EXISTS = "EXISTS"
    MATCH = "MATCH"
    WITHIN = "WD"
    HAS_ATTRIBUTE = "HASATTR"
    EQ_ATTRIBUTE = "EQ_ATTR"


class Subject(enum.StrEnum):
    """What a clause looks at."""

    EVENT_TYPE = "eventType"
    EVENT_TIME = "eventTime"
    RECORD_TIME = "recordTime"
    EVENT_ID = "eventID"
    ACTION = "action"
    BIZ_STEP = "bizStep"
    DISPOSITION = "disposition"
    PERSISTENT_SET = "persistentDisposition_set"
    PERSISTENT_UNSET = "persistentDisposition_unset"
    READ_POINT = "readPoint"
    BIZ_LOCATION = "bizLocation"
    BIZ_TRANSACTION = "bizTransaction"
    SOURCE = "source"
    DESTINATION = "destination"
    TRANSFORMATION_ID = "transformationID"
    EPC = "epc"
    PARENT_ID = "parentID"
    INPUT_EPC = "inputEPC"
    OUTPUT_EPC = "outputEPC"
    ANY_EPC = "anyEPC"
    EPC_CLASS = "epcClass"
    INPUT_EPC_CLASS = "inputEPCClass"
    OUTPUT_EPC_CLASS = "outputEPCClass"
    ANY_EPC_CLASS = "anyEPCClass"
    QUANTITY = "quantity"
    ERROR_DECLARATION = "errorDeclaration"
    ERROR_DECLARATION_TIME = "errorDeclaration_Time"
    ERROR_REASON = "errorReason"
    CORRECTIVE_EVENT_ID = "correctiveEventID"
    SENSOR_ELEMENTS = "sensorElementList"
    TIME = "time"
    START_TIME = "startTime"
    END_TIME = "endTime"
    TYPE = "type"
    DEVICE_ID = "deviceID"
    DATA_PROCESSING_METHOD = "dataProcessingMethod"
    MICROORGANISM = "microorganism"
    CHEMICAL_SUBSTANCE = "chemicalSubstance"
    BIZ_RULES = "bizRules"
    STRING_VALUE = "stringValue"
    BOOLEAN_VALUE = "booleanValue"
    HEX_BINARY_VALUE = "hexBinaryValue"
    URI_VALUE = "uriValue"
    PERC_RANK = "percRank"
    VALUE = "value"
    MIN_VALUE = "minValue"
    MAX_VALUE = "maxValue"
    MEAN_VALUE = "meanValue"
    S_DEV = "sDev"
    PERC_VALUE = "percValue"

    EXTENSION = ""
    """User extensions at event level."""

    ILMD = "ILMD"
    EXTENSION_OF_ERROR = "ERROR_DECLARATION"
    EXTENSION_OF_READ_POINT = "extension of readPoint"
    EXTENSION_OF_BIZ_LOCATION = "extension of bizLocation"
    EXTENSION_OF_SENSOR_ELEMENT = "SENSORELEMENT"
    EXTENSION_OF_SENSOR_METADATA = "SENSORMETADATA"
    EXTENSION_OF_SENSOR_REPORT = "SENSORREPORT"
    MASTER_DATA = "master data"


class EPCPattern(msgspec.Struct, frozen=True, kw_only=True):
    """Identifiers to match: one, all of a class, or all of a company."""

    canonical: str = ""
    """Exact canonical form, or that of the class; empty for a company pattern."""

    is_class: bool = False
    """Whether everything below `canonical` matches too."""

    ai: str = ""
    """For a company pattern: application identifier of the key."""

    company_prefix: str = ""


Value: TypeAlias = str | bool | Decimal | Instant | EPCPattern


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """One condition; an event must meet all conditions of a predicate."""

    parameter: str
    """Name as given, for messages."""

    operator: Operator
    subject: Subject

    values: tuple[Value, ...] = ()
    """Alternatives; ordering operators have exactly one. EXISTS has none, or False for absence."""

    qualifier: str = ""
    """Type of transaction or party, unit of measure, or field whose master data is meant."""

    namespaces: tuple[str, ...] = ()
    """Accepted namespaces of an extension field; spelt with and without a final `#`."""

    name: str = ""
    """Local name of an extension field, or name of a master data attribute."""

    is_inner: bool = False
    """Whether the extension field is sought below the top level instead of at it."""


class Predicate(msgspec.Struct, frozen=True, kw_only=True):
    """A whole query."""

    clauses: tuple[Clause, ...] = ()

    order_by: Clause | None = None
    """Field to order by, as a clause without values; None for the order of the store."""

    is_descending: bool = True
    """Direction of the order; descending unless asked otherwise (EPCIS 2.0 §8.2.7.1)."""

    event_count_limit: int | None = None
    """Give at most so many events."""

    max_event_count: int | None = None
    """Refuse the query when more events match."""
