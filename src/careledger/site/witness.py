"""A witness: agrees to a ledger's checkpoints one after the other, and never to two stories.

It fetches a checkpoint, checks the sequencer's signature and that the history only grew since what it agreed to
last, makes that durable, and only then cosigns and hands the cosignature in. What it refuses for good, because
the sequencer contradicted itself, it keeps as evidence that anybody can check.

It does not look at transactions, and does not judge what is true: it makes sure that everybody is shown the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from careledger.ledger.checkpoint import (
    CheckpointInvalid,
    NoteSignature,
    SignedCheckpoint,
    cosign,
    parse_note,
    verify_note_signature,
)
from careledger.ledger.history import verify_consistency
from careledger.ledger.split_view import (
    Contradiction,
    SplitView,
    SplitViewInvalid,
    find_contradiction,
    verify_split_view,
)
from careledger.primitives.errors import Unavailable
from careledger.primitives.timestamps import format_instant
from careledger.site.witness_state import WitnessState
from careledger.storage.faults import declare, fault_point

INTERVAL_MS: Final = 2_000
"""Between two rounds; a round without a new checkpoint costs one request and writes nothing."""
STATE_FILE: Final = "witness.state"

AFTER_COSIGN: Final = declare("witness.after_cosign")


@dataclass(frozen=True, slots=True)
class GrowthAnswer:
    """What a ledger says about its own growth between two sizes."""

    first_root: bytes
    """Root that its history had at the first size."""
    proof: tuple[bytes, ...]
    """RFC 9162 consistency proof between the two sizes."""


class CheckpointSource(Protocol):
    """Where checkpoints come from and cosignatures go."""

    async def checkpoint(self) -> str:
        """Signed note of the newest block.

        Raises:
            Unavailable: Not reachable.
        """

    async def growth(self, first: int, second: int) -> GrowthAnswer:
        """How the history grew between two sizes.

        Raises:
            Unavailable: Not reachable.
        """

    async def add_cosignature(self, note: str) -> None:
        """Hand in a note with our cosignature.

        Raises:
            Rejected: The ledger does not know this witness, or the note is not its own.
            Unavailable: Not reachable.
        """


class WitnessRefuses(Exception):  # noqa: N818 - an outcome
    """The checkpoint is not cosigned; nothing was remembered. The message says why."""


class SplitViewFound(WitnessRefuses):
    """The sequencer contradicted itself; the evidence has been kept."""

    def __init__(self, contradiction: Contradiction, path: Path) -> None:
        super().__init__(f"the sequencer signed {contradiction.value}; the evidence is in {path}")
        self.contradiction = contradiction
        self.path = path


class Witness:
    """Decides and signs. Reads no network and no clock of its own."""

    def __init__(
        self, state: WitnessState, *, sequencer: bytes, seed: bytes, clock_ms: Callable[[], int]
    ) -> None:
        self._state = state
        self._sequencer = sequencer
        self._seed = seed
        self._clock_ms = clock_ms

    @property
    def last(self) -> SignedCheckpoint | None:
        """What it agreed to last."""
        return self._state.last

    def read(self, note: str) -> SignedCheckpoint:
        """Read a note and check that this ledger's sequencer signed it.

        Raises:
            WitnessRefuses: It did not.
        """
        try:
            signed = parse_note(note)
            if signed.checkpoint.chain_id != self._state.chain_id:
                raise WitnessRefuses("the checkpoint is of another ledger")
            verify_note_signature(signed, f"{self._state.chain_id}/sequencer", self._sequencer)
        except CheckpointInvalid as error:
            raise WitnessRefuses(f"the checkpoint does not hold: {error}") from None
        # Other witnesses' lines are not ours to pass on, nor to keep.
        own = tuple(one for one in signed.signatures if one.name == f"{self._state.chain_id}/sequencer")
        return SignedCheckpoint(signed.checkpoint, signed.text, own)

    def growth_needed(self, signed: SignedCheckpoint) -> tuple[int, int] | None:
        """Sizes between which growth must be shown, if the checkpoint's history is larger than the last."""
        last = self._state.last
        if last is None or signed.checkpoint.size <= last.checkpoint.size:
            return None
        return last.checkpoint.size, signed.checkpoint.size

    def agree(self, signed: SignedCheckpoint, growth: GrowthAnswer | None) -> NoteSignature:
        """Cosign a checkpoint that `read` gave.

        1. It does not contradict what was agreed to last, and is not older.
        2. A larger history begins with the one agreed to last.
        3. It is remembered, durably.
        4. It is cosigned.

        Raises:
            SplitViewFound: The sequencer contradicted itself.
            WitnessRefuses: Step 1 or 2 failed otherwise.
            OSError: Step 3 failed; nothing was signed.
        """
        # 1, 2
        last = self._state.last
        if last is not None:
            self._compare(last, signed, growth)
        # 3
        self._state.persist(signed)
        # 4
        signature = cosign(signed, self._state.name, self._seed, time_s=self._clock_ms() // 1_000)
        fault_point(AFTER_COSIGN)
        return signature

    def _compare(self, last: SignedCheckpoint, signed: SignedCheckpoint, growth: GrowthAnswer | None) -> None:
        old, new = last.checkpoint, signed.checkpoint
        if find_contradiction(old, new) is not None:
            self._accuse(SplitView(1, last.note(), signed.note(), b"", ()))
            raise WitnessRefuses("the checkpoint contradicts the one that was agreed to under another key")
        if new.height < old.height:
            raise WitnessRefuses(f"block {new.height} is older than block {old.height}, which was agreed to")
        if new.size == old.size:
            return
        if growth is None:
            raise WitnessRefuses("the history's growth was not shown")
        try:
            verify_consistency(old.size, old.root, new.size, new.root, growth.proof)
        except ValueError as error:
            self._accuse(SplitView(1, last.note(), signed.note(), growth.first_root, growth.proof))
            raise WitnessRefuses(f"the history's growth was not shown: {error}") from None

    def _accuse(self, evidence: SplitView) -> None:
        """Keep evidence if it holds for anybody; return if it shows nothing.

        Raises:
            SplitViewFound: It holds, and was kept.
        """
        state = self._state
        try:
            contradiction = verify_split_view(evidence, chain_id=state.chain_id, sequencer=self._sequencer)
        except SplitViewInvalid:
            return
        found = f"by witness {state.name} at {format_instant(self._clock_ms())}, by its own clock"
        raise SplitViewFound(contradiction, state.keep(evidence, found=found))


async def witness_once(
    witness: Witness, source: CheckpointSource, *, unless: str = ""
) -> SignedCheckpoint | None:
    """Agree to the newest checkpoint of a ledger and hand the cosignature in.

    Args:
        witness: who decides and signs.
        source: where the checkpoint comes from.
        unless: text of a checkpoint that was cosigned and handed in already; for that one nothing is done and
            None returned, so that an idle ledger does not gather cosignatures without end.

    Raises:
        WitnessRefuses: It is not agreed to.
        Unavailable: The ledger cannot be reached.
        Rejected: The ledger does not take the cosignature.
    """
    signed = witness.read(await source.checkpoint())
    if signed.text == unless:
        return None
    sizes = witness.growth_needed(signed)
    growth = None if sizes is None else await source.growth(*sizes)
    signature = witness.agree(signed, growth)
    cosigned = SignedCheckpoint(signed.checkpoint, signed.text, (*signed.signatures, signature))
    await source.add_cosignature(cosigned.note())
    return cosigned


@dataclass(frozen=True, slots=True)
class Round:
    """Outcome of one round, for whoever watches."""

    agreed: SignedCheckpoint | None
    problem: str
    """Why nothing was agreed to, else empty."""


async def run_witness(
    witness: Witness,
    source: CheckpointSource,
    *,
    report: Callable[[Round], None],
    stop: asyncio.Event,
    interval_ms: int = INTERVAL_MS,
) -> None:
    """Agree to checkpoints until told to stop.

    A ledger that cannot be reached, and an older or unproved checkpoint, are reported and tried again; a round
    without a new checkpoint is not reported.

    Raises:
        SplitViewFound: The sequencer contradicted itself; a person has to look.
        Rejected: The ledger does not know this witness.
        OSError: The state could not be made durable.
    """
    handed_in = ""
    while not stop.is_set():
        try:
            agreed = await witness_once(witness, source, unless=handed_in)
            if agreed is not None:
                handed_in = agreed.text
                report(Round(agreed, ""))
        except SplitViewFound:
            raise
        except (WitnessRefuses, Unavailable) as error:
            report(Round(None, str(error)))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), interval_ms / 1_000)
