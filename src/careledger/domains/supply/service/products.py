"""The product master: what a GTIN is.

Maps GTIN and NDC-11 to strength, pack size, market and the organisation that owns the number. It answers who may
certify lots of a product. Product data comes from its owner; this table does not judge it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from careledger.domains.supply.service.errors import PRODUCT_CONFLICT, PRODUCT_UNKNOWN
from careledger.domains.supply.service.rows import fetch_all, fetch_one
from careledger.primitives.errors import Rejected
from careledger.standards.gs1 import GTIN
from careledger.storage.sqlite import Database

COMPONENT: Final = "supply.products"

MIGRATIONS: Final = (
    """
    CREATE TABLE product (
        gtin TEXT PRIMARY KEY,
        ndc_11 TEXT NOT NULL,          -- empty where there is none
        owner INTEGER NOT NULL,
        name TEXT NOT NULL,
        strength TEXT NOT NULL,
        units INTEGER NOT NULL,
        market INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX product_by_ndc ON product (ndc_11) WHERE ndc_11 <> '';
    """,
)
_COLUMNS = "gtin, ndc_11, owner, name, strength, units, market"


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """One product in one pack size."""

    gtin: GTIN
    owner: int
    """Organisation that owns the number."""
    name: str
    strength: str
    """As labelled, such as `20 mg`."""
    units: int
    """Units in a full pack."""
    market: int
    """Number of the market's profile."""
    ndc_11: str = ""
    """Drug code of eleven digits, as in claims; empty where there is none."""


class ProductMaster:
    """The products a site knows."""

    def __init__(self, database: Database) -> None:
        """Bring the table up to date."""
        self._database = database
        database.migrate(COMPONENT, MIGRATIONS)

    def add(self, product: Product) -> None:
        """Add a product; one that is known with the same data is left as it is.

        Raises:
            Rejected: PRODUCT_CONFLICT, it is known with other data.
        """
        with self._database.immediate() as connection:
            row = fetch_one(
                connection, f"SELECT {_COLUMNS} FROM product WHERE gtin = ?", (product.gtin.digits,)
            )
            if row is not None and _read(row) != product:
                raise Rejected(PRODUCT_CONFLICT)
            if row is None:
                _write(connection.execute, product)

    def replace(self, product: Product) -> None:
        """Put the owner's newer data in the place of what is known.

        Raises:
            Rejected: PRODUCT_CONFLICT, another organisation owns the number.
        """
        with self._database.immediate() as connection:
            row = fetch_one(
                connection, f"SELECT {_COLUMNS} FROM product WHERE gtin = ?", (product.gtin.digits,)
            )
            if row is not None and _read(row).owner != product.owner:
                raise Rejected(PRODUCT_CONFLICT)
            connection.execute("DELETE FROM product WHERE gtin = ?", (product.gtin.digits,))
            _write(connection.execute, product)

    def product(self, gtin: GTIN) -> Product:
        """Product by its GTIN.

        Raises:
            Rejected: PRODUCT_UNKNOWN.
        """
        with self._database.snapshot() as connection:
            row = fetch_one(connection, f"SELECT {_COLUMNS} FROM product WHERE gtin = ?", (gtin.digits,))
        if row is None:
            raise Rejected(PRODUCT_UNKNOWN)
        return _read(row)

    def products_of_ndc(self, ndc_11: str) -> tuple[Product, ...]:
        """Products of a drug code: the saleable unit and its packaging levels."""
        if not ndc_11:
            return ()
        with self._database.snapshot() as connection:
            rows = fetch_all(
                connection, f"SELECT {_COLUMNS} FROM product WHERE ndc_11 = ? ORDER BY gtin", (ndc_11,)
            )
        return tuple(map(_read, rows))

    def owner_of(self, gtin: GTIN) -> int | None:
        """Organisation that owns the GTIN, or None where nobody is known to."""
        with self._database.snapshot() as connection:
            row = fetch_one(connection, "SELECT owner FROM product WHERE gtin = ?", (gtin.digits,))
        return None if row is None else int(row[0])


def _write(execute: Callable[..., object], product: Product) -> None:
    execute(
        f"INSERT INTO product ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            product.gtin.digits,
            product.ndc_11,
            product.owner,
            product.name,
            product.strength,
            product.units,
            product.market,
        ),
    )


def _read(row: tuple[Any, ...]) -> Product:
    gtin, ndc_11, owner, name, strength, units, market = row
    return Product(
        gtin=GTIN(digits=gtin),
        ndc_11=ndc_11,
        owner=owner,
        name=name,
        strength=strength,
        units=units,
        market=market,
    )
