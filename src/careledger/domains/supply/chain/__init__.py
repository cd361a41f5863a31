"""Manifest of the supply module: packs, containers, handovers, lots."""

from __future__ import annotations

from careledger.domains.supply.chain import handlers, keeper, messages
from careledger.domains.supply.chain.errors import SUPPLY_CODES
from careledger.domains.supply.chain.genesis import export_genesis, import_genesis
from careledger.domains.supply.chain.invariants import INVARIANTS
from careledger.domains.supply.chain.queries import QUERIES
from careledger.sdk.module import Module, bind


def build() -> Module:
    """Version 1 of the module. It needs nothing of other modules: one-time keys alone sign its messages."""
    return Module(
        name="supply",
        number=keeper.MODULE_NUMBER,
        version=1,
        codes=SUPPLY_CODES,
        handlers=(
            bind(messages.CommissionPacks, handlers.commission_packs),
            bind(messages.CreateContainers, handlers.create_containers),
            bind(messages.PackInto, handlers.pack_into),
            bind(messages.Unpack, handlers.unpack),
            bind(messages.OfferItems, handlers.offer_items),
            bind(messages.AcceptOffer, handlers.accept_offer),
            bind(messages.CancelOffer, handlers.cancel_offer),
            bind(messages.Dispense, handlers.dispense),
            bind(messages.MarkSupplied, handlers.mark_supplied),
            bind(messages.Undo, handlers.undo),
            bind(messages.Restock, handlers.restock),
            bind(messages.Decommission, handlers.decommission),
            bind(messages.RecallLots, handlers.recall_lots),
            bind(messages.WithdrawLots, handlers.withdraw_lots),
            bind(messages.Repackage, handlers.repackage),
        ),
        export_genesis=export_genesis,
        import_genesis=import_genesis,
        queries=QUERIES,
        invariants=INVARIANTS,
        end_block=handlers.end_block,
    )
