"""Running the transactions of one block over an overlay: pure, and the same on every node.

`BlockExecution` takes the transactions in their order and gives each exactly one receipt. It holds everything
of one block and writes nothing to a store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from careledger.ledger.errors import (
    BAD_SIGNATURE,
    BLOCK_FULL,
    DUPLICATE,
    EXPIRED,
    EXPIRY_TOO_FAR,
    MALFORMED,
    TOO_LARGE,
    TOO_MANY_OPERATIONS,
    TOO_MANY_SIGNATURES,
    UNKNOWN_MESSAGE,
    WRONG_CHAIN,
)
from careledger.ledger.receipt import SUCCESS, Receipt
from careledger.ledger.seen import SeenBlock, minute_of
from careledger.ledger.transaction import Transaction, decode_transaction
from careledger.primitives.codec import CodecError, decode, encode
from careledger.primitives.errors import Rejected, code_spaces
from careledger.primitives.hashing import sha256
from careledger.sdk.context import Context
from careledger.sdk.events import EmittedEvent
from careledger.sdk.messages import Message
from careledger.sdk.module import HandlerBinding, Module
from careledger.state.overlay import Overlay


class Limits(Protocol):
    """Limits of this ledger, from genesis or a vote."""

    @property
    def transaction_bytes_max(self) -> int:
        """Size of one transaction."""

    @property
    def operations_per_transaction_max(self) -> int:
        """Operations of one transaction."""

    @property
    def operations_per_block_max(self) -> int:
        """Operations of one block."""

    @property
    def block_bytes_max(self) -> int:
        """Size of all transactions of one block."""

    @property
    def expiry_ahead_ms_max(self) -> int:
        """How far ahead of block time an expiry may lie."""

    @property
    def permit_bytes_max(self) -> int:
        """Size of the permit."""

    @property
    def signatures_per_transaction_max(self) -> int:
        """Signatures of one transaction."""

    @property
    def receipts_retention_ms(self) -> int:
        """How long receipts, events and bodies are kept."""


class ActiveModules:
    """The module versions active at one height, with their messages by name."""

    def __init__(self, modules: Sequence[Module]) -> None:
        self.modules = tuple(sorted(modules, key=lambda module: module.number))
        self._bindings: dict[tuple[str, str], tuple[Module, HandlerBinding]] = {}
        for module in self.modules:
            for binding in module.handlers:
                self._bindings[module.name, binding.message.__name__] = (module, binding)

    def find(self, module: str, message: str) -> tuple[Module, HandlerBinding] | None:
        """Module and handler of a message, if an active module understands it."""
        return self._bindings.get((module, message))

    def module(self, name: str) -> Module | None:
        """Active version of the module with that name."""
        for module in self.modules:
            if module.name == name:
                return module
        return None


def select_active(available: Mapping[tuple[str, int], Module], versions: Mapping[str, int]) -> ActiveModules:
    """Choose the modules that the schedule names.

    Raises:
        LookupError: This release does not have a version that is active: it must not go on.
    """
    chosen = []
    for name, version in sorted(versions.items()):
        module = available.get((name, version))
        if module is None:
            raise LookupError(f"this release has no version {version} of module {name}, which is active")
        chosen.append(module)
    return ActiveModules(chosen)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A transaction whose stateless checks have passed."""

    transaction: Transaction
    module: Module
    binding: HandlerBinding
    message: Message
    operations: int


def prepare(raw: bytes, *, active: ActiveModules, chain_id: str, limits: Limits) -> Prepared:
    """Make every check that needs neither state nor time.

    Raises:
        Rejected: The transaction can never be valid on this ledger with these modules.
    """
    if len(raw) > limits.transaction_bytes_max:
        raise Rejected(TOO_LARGE)
    transaction = decode_transaction(raw)
    content = transaction.content
    if content.chain_id != chain_id:
        raise Rejected(WRONG_CHAIN)
    if len(content.permit) > limits.permit_bytes_max:
        raise Rejected(TOO_LARGE, "the permit is too long")
    if len(content.signers) > limits.signatures_per_transaction_max:
        raise Rejected(TOO_MANY_SIGNATURES)
    found = active.find(content.module, content.message)
    if found is None:
        raise Rejected(UNKNOWN_MESSAGE)
    module, binding = found
    try:
        message = decode(content.payload, binding.message)
    except CodecError as error:
        raise Rejected(MALFORMED, str(error)) from None
    message.check()
    operations = message.operations()
    if operations > limits.operations_per_transaction_max:
        raise Rejected(TOO_MANY_OPERATIONS)
    return Prepared(transaction, module, binding, message, operations)


def check_expiry(expires_at_ms: int, *, now_ms: int, limits: Limits) -> None:
    """Check an expiry against a time: block time in a block, the local clock at admission.

    Raises:
        Rejected: EXPIRED, or EXPIRY_TOO_FAR, which is retryable and leaves no entry in the seen-set.
    """
    if expires_at_ms <= now_ms:
        raise Rejected(EXPIRED)
    if expires_at_ms > now_ms + limits.expiry_ahead_ms_max:
        raise Rejected(EXPIRY_TOO_FAR)


_SPACE_NUMBERS: dict[str, int] = {}


def module_number_of(code_module: str) -> int:
    """Number of the code space with that name."""
    number = _SPACE_NUMBERS.get(code_module)
    if number is None:
        _SPACE_NUMBERS.update({space.module: space.module_number for space in code_spaces()})
        number = _SPACE_NUMBERS[code_module]
    return number


class BlockExecution:
    """One block's transactions over one overlay."""

    def __init__(
        self,
        *,
        overlay: Overlay,
        seen: SeenBlock,
        active: ActiveModules,
        limits: Limits,
        chain_id: str,
        height: int,
        time_ms: int,
    ) -> None:
        self.overlay = overlay
        self.seen = seen
        self.active = active
        self.limits = limits
        self.chain_id = chain_id
        self.height = height
        self.time_ms = time_ms
        self.receipts: list[Receipt] = []
        self.logs: list[str] = []
        self.events: list[EmittedEvent] = []
        self.processed: list[tuple[int, bytes]] = []
        """Position and id of each transaction that entered the seen-set: what the index points to."""
        self._operations_left = limits.operations_per_block_max

    def run(self, raw: bytes, prepared: Prepared | Rejected, *, is_signed: bool) -> None:
        """Process one transaction and append its receipt.

        1. Statelessly invalid: rejected, no entry in the seen-set.
        2. Expired, or expiring too far ahead, by block time: rejected, no entry.
        3. A signature that does not stand: rejected, no entry, so that a twin spoils nothing.
        4. Seen before: rejected.
        5. No room in the block: rejected as retryable, no entry.
        6. From here it is in the seen-set whatever happens. The handler runs in an overlay of its own.
        """
        if isinstance(prepared, Rejected):
            self._reject(_id_of(raw), prepared, 0)
            return
        transaction = prepared.transaction
        minute = minute_of(transaction.content.expires_at_ms)
        operations = prepared.operations
        try:
            self._admit(prepared, minute, is_signed=is_signed)
        except Rejected as rejection:
            self._reject(transaction.tx_id, rejection, operations)
            return
        self._operations_left -= operations
        self.seen.add(minute, transaction.tx_id)
        self.processed.append((len(self.receipts), transaction.tx_id))
        overlay = Overlay(self.overlay)
        context = Context(
            store=overlay,
            chain_id=self.chain_id,
            height=self.height,
            time_ms=self.time_ms,
            tx_id=transaction.tx_id,
            signers=transaction.content.signers,
        )
        try:
            data = prepared.binding.handle(context, prepared.message)
        except Rejected as rejection:
            overlay.discard()
            self._reject(transaction.tx_id, rejection, operations)
            return
        overlay.merge_into_parent()
        index = len(self.receipts)
        self.events.extend(
            EmittedEvent(index, prepared.module.name, type(event).__name__, encode(event))
            for event in context.events
        )
        self.logs.append("")
        self.receipts.append(Receipt(transaction.tx_id, self.height, index, 0, SUCCESS, data, operations))

    def block_context(self) -> Context:
        """Context for what modules do after the transactions."""
        return Context(
            store=self.overlay,
            chain_id=self.chain_id,
            height=self.height,
            time_ms=self.time_ms,
            tx_id=b"",
            signers=(),
        )

    def _admit(self, prepared: Prepared, minute: int, *, is_signed: bool) -> None:
        """Steps 2 to 5 of `run`."""
        transaction = prepared.transaction
        check_expiry(transaction.content.expires_at_ms, now_ms=self.time_ms, limits=self.limits)
        if not is_signed:
            raise Rejected(BAD_SIGNATURE)
        if self.seen.has(minute, transaction.tx_id):
            raise Rejected(DUPLICATE)
        if prepared.operations > self._operations_left:
            raise Rejected(BLOCK_FULL)

    def _reject(self, tx_id: bytes, rejection: Rejected, operations: int) -> None:
        code = rejection.code
        self.logs.append(str(rejection))
        self.receipts.append(
            Receipt(
                tx_id,
                self.height,
                len(self.receipts),
                module_number_of(code.module),
                code.number,
                b"",
                operations,
            )
        )


def _id_of(raw: bytes) -> bytes:
    """Transaction id if the envelope can be read, else the digest of the bytes."""
    try:
        return decode_transaction(raw).tx_id
    except Rejected:
        return sha256(raw)
