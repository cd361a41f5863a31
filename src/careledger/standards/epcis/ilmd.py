"""Instance and lot master data of an event.

Owns the access by CBV name (CBV 2.0 §9.2) to what travels in `ilmd`, such as lot number and expiry date, and to the
lot that an EPC class itself names. Values are given as captured.
"""

from __future__ import annotations

from typing import Final

from careledger.standards.epcis.model import Event, Node, ObjectEvent, TransformationEvent
from careledger.standards.epcis.scope import MASTER_DATA_NAMESPACE

LOT_NUMBER: Final = "lotNumber"
ITEM_EXPIRATION_DATE: Final = "itemExpirationDate"
BEST_BEFORE_DATE: Final = "bestBeforeDate"
COUNTRY_OF_ORIGIN: Final = "countryOfOrigin"


def master_data_text(event: Event, name: str) -> str | None:
    """Give the first value of a CBV master data attribute in `ilmd`, such as `lotNumber`.

    Returns:
        None when the event has no such attribute, or it holds something other than one text.
    """
    if not isinstance(event, ObjectEvent | TransformationEvent):
        return None
    for field in event.ilmd:
        if field.name == name and field.namespace == MASTER_DATA_NAMESPACE:
            content = field.content
            if isinstance(content, tuple) and content:
                content = content[0]
            text = content.text if isinstance(content, Node) else content
            return text if isinstance(text, str) else None
    return None
