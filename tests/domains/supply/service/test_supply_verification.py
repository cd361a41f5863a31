"""From a label to a plain sentence: secrets, certificates, custody with proof, and what each outcome says."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import msgspec
import pytest

from careledger.domains.supply.chain import messages as m
from careledger.domains.supply.chain.rules.items import pack_dispensing
from careledger.domains.supply.chain.types import LEAVING, PackState, compute_container_id
from careledger.domains.supply.service.certificates import (
    Certificate,
    CertificateContent,
    CertifiedLot,
    verify_certificate,
)
from careledger.domains.supply.service.custody import (
    CustodyProof,
    prove_custody,
    read_custody,
    verify_custody,
)
from careledger.domains.supply.service.errors import CERTIFICATE_INVALID, PROOF_INVALID
from careledger.domains.supply.service.secrets import (
    PackKnowledge,
    compute_lot_tag,
    compute_pack_secret,
    compute_pack_tag,
    derive_packs,
)
from careledger.domains.supply.service.verification import (
    Answer,
    Label,
    Outcome,
    cannot_verify,
    certificate_invalid,
    verify_pack,
)
from careledger.ledger.light import TrustedRoot
from careledger.ledger.view import LedgerView
from careledger.primitives.codec import decode, encode
from careledger.primitives.errors import Rejected
from careledger.primitives.hashing import label_prefix
from careledger.primitives.signing import public_key_of, sign
from careledger.primitives.timestamps import DAY_MS
from careledger.sdk.messages import Message
from careledger.standards.gs1 import GTIN, SGTIN
from domains.supply.supply_ledger import (
    MAKER,
    PRODUCT,
    SUPPLY_SEED,
    TODAY,
    MadeLot,
    Registry,
    SupplyLedger,
    seed,
)
from kit.ledgers import BUCKETS_LOG2, CHAIN_ID, START_MS

LOT = MadeLot()
SERIAL = LOT.serials[7]
KNOWN = LOT.knowledge(SERIAL)
HELD = frozenset({public_key_of(seed("pharmacy"))})


class Vouching:
    """An authenticator that vouches for one root."""

    def __init__(self, trusted: TrustedRoot) -> None:
        self._trusted = trusted

    def authenticate(self, raw: bytes) -> TrustedRoot:  # noqa: ARG002 - everything is vouched for by one
        return self._trusted


def view_of(ledger: SupplyLedger) -> LedgerView:
    return LedgerView(ledger.tables, ledger.nodes, clock_ms=lambda: START_MS, wait=lambda: None)


def stocked() -> SupplyLedger:
    ledger = SupplyLedger()
    assert ledger.sends(LOT.commission("pharmacy"), "issuer", "pharmacy") == ""
    return ledger


def certified() -> CertifiedLot:
    registry = Registry()
    return verify_certificate(LOT.certificate, chain_id=CHAIN_ID, keys=registry, owners=registry)


def label(**changes: object) -> Label:
    return msgspec.structs.replace(
        Label(sgtin=KNOWN.sgtin, lot=LOT.lot, expires_on=LOT.expires_on),
        **changes,
    )


def ask(
    ledger: SupplyLedger,
    *,
    known: PackKnowledge = KNOWN,
    printed: Label | None = None,
    held: frozenset[bytes] = HELD,
    today: int = TODAY,
) -> Answer:
    with view_of(ledger).at_head() as view:
        custody = read_custody(view.store, known.pack_id, known.terms.lot_tag)
    return verify_pack(printed or label(), known, certified(), custody, held_keys=held, today=today)


# -- Secrets ---------------------------------------------------------------------------------------------


def test_tags_are_what_the_format_says() -> None:
    """Computed here with nothing of the program but the standard library."""
    lot_secret = bytes(range(32))
    secret = hmac.new(lot_secret, b"12A", sha256).digest()
    sgtin = SGTIN(gtin=GTIN(digits="04012345111118"), serial="12A")
    assert compute_pack_secret(lot_secret, "12A") == secret
    assert compute_pack_tag(secret, sgtin) == hmac.new(secret, b"04012345111118\x1d12A", sha256).digest()
    label_bytes = bytes([len("careledger/lot-tag/1")]) + b"careledger/lot-tag/1"
    assert compute_lot_tag(lot_secret) == hmac.new(lot_secret, label_bytes, sha256).digest()


def test_published_vectors() -> None:
    """Golden bytes of docs/formats/supply_chain.md."""
    lot_secret = bytes(range(32))
    secret = compute_pack_secret(lot_secret, "12A")
    assert secret.hex() == "082250093a8887ff0cbc22d609763c0cef5f179a2bc9067383c801d9ccb2be40"
    sgtin = SGTIN(gtin=GTIN(digits="04012345111118"), serial="12A")
    assert (
        compute_pack_tag(secret, sgtin).hex()
        == "2a4fb995ee3056aae704e9b4ea2d055a3783a2219528ca3f9dd11577d7b72766"
    )
    assert (
        compute_lot_tag(lot_secret).hex()
        == "12fed48388229b0810609110b3168ce452bcdd72e1197877d7be968722e0cc5a"
    )


def test_many_packs_are_derived_as_one_by_one() -> None:
    packs = derive_packs(LOT.secret, LOT.terms, LOT.serials)
    assert packs == sorted(packs)
    assert {tag for tag, _ in packs} == {LOT.knowledge(serial).pack_id[32:] for serial in LOT.serials}


def test_who_knows_one_pack_finds_no_other() -> None:
    """A competitor that bought one pack has its secret; another serial needs the lot's."""
    ledger = stocked()
    guesses = [compute_pack_tag(KNOWN.secret, SGTIN(gtin=PRODUCT, serial=serial)) for serial in LOT.serials]
    with view_of(ledger).at_head() as view:
        found = [read_custody(view.store, LOT.issuer + tag, LOT.terms.lot_tag) for tag in guesses]
    assert [custody is not None for custody in found] == [serial == SERIAL for serial in LOT.serials]


# -- Certificates ----------------------------------------------------------------------------------------


def test_a_certificate_says_what_the_maker_signed() -> None:
    found = certified()
    assert (found.organisation, found.issuer, found.terms) == (MAKER, LOT.issuer, LOT.terms)


def resigned(**changes: object) -> bytes:
    """The maker's own signature over something else."""
    content = decode(decode(LOT.certificate, Certificate).content, CertificateContent)
    raw = encode(msgspec.structs.replace(content, **changes))
    return encode(Certificate(raw, sign(SUPPLY_SEED, label_prefix("careledger/issuer-certificate/1") + raw)))


@pytest.mark.parametrize(
    ("raw", "registry", "saying"),
    [
        (bytes(1_025), Registry(), "too long"),
        (b"\x80", Registry(), "cannot be read"),
        (resigned(version=2), Registry(), "version"),
        (resigned(chain_id="other-chain"), Registry(), "another ledger"),
        (resigned(gtin="04012345111119"), Registry(), "cannot be printed"),
        (resigned(lot=""), Registry(), "cannot be printed"),
        (resigned(issuer=bytes(31)), Registry(), "wrong length"),
        (resigned(lot_tag=b""), Registry(), "wrong length"),
        (resigned(units=0), Registry(), "out of range"),
        (resigned(expires_on=2**32), Registry(), "out of range"),
        (resigned(gtin=GTIN.from_body("0999999911111").digits), Registry(), "product is not the maker's"),
        (resigned(organisation=2), Registry(), "key that signed it is not the maker's"),
        (LOT.certificate, Registry(key=bytes(32)), "key that signed it is not the maker's"),
        (LOT.certificate, Registry(owner=2), "product is not the maker's"),
    ],
)
def test_certificates_that_do_not_hold(raw: bytes, registry: Registry, saying: str) -> None:
    with pytest.raises(Rejected) as caught:
        verify_certificate(raw, chain_id=CHAIN_ID, keys=registry, owners=registry)
    assert caught.value.code == CERTIFICATE_INVALID
    assert saying in caught.value.detail


def test_no_bit_of_a_certificate_can_be_changed() -> None:
    registry = Registry()
    raw = LOT.certificate
    for at in range(len(raw)):
        with pytest.raises(Rejected):
            verify_certificate(
                bytes((*raw[:at], raw[at] ^ 1, *raw[at + 1 :])),
                chain_id=CHAIN_ID,
                keys=registry,
                owners=registry,
            )


# -- Outcomes --------------------------------------------------------------------------------------------


def dispensing(units: int, *, supplied: bool = True) -> m.Dispense:
    return m.Dispense(
        pack_dispensing(KNOWN.pack_id, KNOWN.raw_terms, expected=30, units=units, supplied=supplied)
    )


def test_a_good_pack_may_be_dispensed() -> None:
    answer = ask(stocked())
    assert (answer.outcome, answer.remaining, answer.is_dispensable) == (Outcome.OK, 30, True)


def test_an_open_bottle_says_what_is_left() -> None:
    ledger = stocked()
    assert ledger.sends(dispensing(12), "pharmacy") == ""
    answer = ask(ledger)
    assert (answer.outcome, answer.remaining, answer.is_dispensable) == (Outcome.OPENED, 18, True)


def send(message: Message, *names: str) -> Callable[[SupplyLedger], None]:
    def run(ledger: SupplyLedger) -> None:
        assert ledger.sends(message, *names) == ""

    return run


def put_into_case(ledger: SupplyLedger) -> None:
    holder = public_key_of(seed("pharmacy"))
    container = compute_container_id(holder, bytes(32))
    send(m.CreateContainers(holder, bytes(32) + b"\x01" + bytes(32)), "pharmacy")(ledger)
    send(m.PackInto((m.Group(container, bytes(32), KNOWN.pack_id, b""),)), "pharmacy")(ledger)


def lose_case(ledger: SupplyLedger) -> None:
    put_into_case(ledger)
    container = compute_container_id(public_key_of(seed("pharmacy")), bytes(32))
    send(m.Decommission(PackState.STOLEN, b"", container), "pharmacy")(ledger)


def give_back(ledger: SupplyLedger) -> None:
    keys = public_key_of(seed("pharmacy")), public_key_of(seed("wholesaler"))
    deadline_ms = ledger.application.position.time_ms + DAY_MS
    send(m.OfferItems(*keys, deadline_ms, True, KNOWN.pack_id, b""), "pharmacy")(ledger)
    with view_of(ledger).at_head() as view:
        custody = read_custody(view.store, KNOWN.pack_id, LOT.terms.lot_tag)
    assert custody is not None
    send(m.AcceptOffer(custody.pack.offer, 1), "wholesaler")(ledger)


def repackage(ledger: SupplyLedger) -> None:
    new = replace(LOT, secret=bytes(32), issuer_name="packer").knowledge("NEW1")
    opened = KNOWN.pack_id + KNOWN.raw_terms
    message = m.Repackage(
        opened, new.issuer, public_key_of(seed("pharmacy")), new.pack_id[32:] + new.raw_terms, 0
    )
    send(message, "pharmacy", "packer")(ledger)


WITH_WHOLESALER = frozenset({public_key_of(seed("wholesaler"))})
OTHER = LOT.knowledge(LOT.serials[0])
UNRELEASED = replace(LOT, serials=("SN9999",)).knowledge("SN9999")


@pytest.mark.parametrize(
    ("happens", "asked", "outcome", "saying"),
    [
        (send(m.RecallLots(LOT.issuer, LOT.terms.lot_tag), "issuer"), {}, Outcome.RECALLED, "recalled"),
        (send(m.WithdrawLots(LOT.issuer, LOT.terms.lot_tag), "issuer"), {}, Outcome.WITHDRAWN, "withdrawn"),
        (send(dispensing(30), "pharmacy"), {}, Outcome.USED_UP, "has been dispensed before"),
        (lambda _: None, {"today": LOT.expires_on}, Outcome.OK, "may be dispensed"),
        (lambda _: None, {"today": LOT.expires_on + 1}, Outcome.EXPIRED, "last day of use"),
        (lambda _: None, {"printed": label(lot="L-43")}, Outcome.LABEL_DIFFERS, "lot or the expiry date"),
        (lambda _: None, {"printed": label(expires_on=TODAY)}, Outcome.LABEL_DIFFERS, "lot or the expiry"),
        (lambda _: None, {"printed": label(lot="", expires_on=None)}, Outcome.OK, "may be dispensed"),
        (lambda _: None, {"held": WITH_WHOLESALER}, Outcome.HELD_ELSEWHERE, "somebody else holds it"),
        (lambda _: None, {"known": OTHER}, Outcome.CERTIFICATE_INVALID, "papers"),
        (
            lambda _: None,
            {"known": UNRELEASED, "printed": label(sgtin=UNRELEASED.sgtin)},
            Outcome.NOT_COMMISSIONED,
            "never released",
        ),
        (put_into_case, {}, Outcome.IN_CONTAINER, "inside a container"),
        (lose_case, {}, Outcome.LEFT_CHAIN, "reported stolen"),
        (give_back, {"held": WITH_WHOLESALER}, Outcome.RETURNED, "returned"),
        (repackage, {}, Outcome.REPACKAGED, "other packs"),
        *[
            (
                send(m.Decommission(reason, KNOWN.pack_id, b""), "pharmacy"),
                {},
                Outcome.LEFT_CHAIN,
                "This pack was",
            )
            for reason in LEAVING
        ],
    ],
)
def test_outcomes(
    happens: Callable[[SupplyLedger], None], asked: dict[str, object], outcome: Outcome, saying: str
) -> None:
    ledger = stocked()
    happens(ledger)
    answer = ask(ledger, **asked)  # type: ignore[arg-type]
    assert answer.outcome is outcome
    assert saying in answer.text
    assert "fake" not in answer.text


def test_14_a_forged_pedigree_on_a_genuine_bottle_does_not_hold() -> None:
    """The crook's own certificate and secrets, made for a product that is not the crook's."""
    crook = replace(LOT, secret=bytes(32), issuer_name="crook")
    forged = msgspec.structs.replace(
        decode(decode(LOT.certificate, Certificate).content, CertificateContent),
        issuer=crook.issuer,
        lot_tag=crook.terms.lot_tag,
        supply_key=public_key_of(seed("crook")),
    )
    raw = encode(forged)
    signed = sign(seed("crook"), label_prefix("careledger/issuer-certificate/1") + raw)
    registry = Registry()
    with pytest.raises(Rejected) as caught:
        verify_certificate(
            encode(Certificate(raw, signed)), chain_id=CHAIN_ID, keys=registry, owners=registry
        )
    assert caught.value.code == CERTIFICATE_INVALID
    assert "nothing shows that its maker released it" in certificate_invalid().text


def test_without_the_secret_nothing_is_said_about_the_pack() -> None:
    answer = cannot_verify()
    assert not answer.is_dispensable
    assert "says nothing about the pack itself" in answer.text
    assert "fake" not in answer.text


# -- Proofs ----------------------------------------------------------------------------------------------


def proof_of(ledger: SupplyLedger, known: PackKnowledge = KNOWN) -> tuple[CustodyProof, Vouching]:
    position = ledger.application.position
    size, root = position.frontier.size, position.frontier.root()
    proof = prove_custody(view_of(ledger), known.pack_id, known.terms.lot_tag, root=b"note", size=size)
    return proof, Vouching(TrustedRoot(CHAIN_ID, size, root, position.height, position.time_ms, ("test",)))


def check(proof: CustodyProof, trusted: Vouching, known: PackKnowledge = KNOWN) -> object:
    received = decode(encode(proof), CustodyProof)
    return verify_custody(received, known.pack_id, known.terms.lot_tag, trusted, buckets_log2=BUCKETS_LOG2)[1]


@pytest.mark.parametrize(
    "happens",
    [
        lambda _: None,
        put_into_case,
        lose_case,
        send(dispensing(12), "pharmacy"),
        send(m.RecallLots(LOT.issuer, LOT.terms.lot_tag), "issuer"),
    ],
)
def test_what_is_proved_is_what_is_read(happens: Callable[[SupplyLedger], None]) -> None:
    ledger = stocked()
    happens(ledger)
    proof, trusted = proof_of(ledger)
    with view_of(ledger).at_head() as view:
        assert check(proof, trusted) == read_custody(view.store, KNOWN.pack_id, LOT.terms.lot_tag)


def test_the_lineage_of_a_repackaged_pack_is_proved() -> None:
    ledger = stocked()
    repackage(ledger)
    send(m.RecallLots(LOT.issuer, LOT.terms.lot_tag), "issuer")(ledger)
    new = replace(LOT, secret=bytes(32), issuer_name="packer").knowledge("NEW1")
    proof, trusted = proof_of(ledger, new)
    assert len(proof.lots) == 2
    custody = check(proof, trusted, new)
    assert getattr(custody, "is_recalled", False)
    for cheat in (
        msgspec.structs.replace(proof, lots=proof.lots[:1]),
        msgspec.structs.replace(proof, lots=(proof.lots[0], proof.lots[0])),
        msgspec.structs.replace(proof, transformation=None),
    ):
        with pytest.raises(Rejected):
            check(cheat, trusted, new)


def test_absence_is_proved() -> None:
    ledger = stocked()
    proof, trusted = proof_of(ledger, UNRELEASED)
    assert check(proof, trusted, UNRELEASED) is None


def test_proofs_that_do_not_hold() -> None:
    ledger = stocked()
    before, trusted_before = proof_of(ledger)
    put_into_case(ledger)
    send(m.RecallLots(LOT.issuer, LOT.terms.lot_tag), "issuer")(ledger)
    proof, trusted = proof_of(ledger)
    other, _ = proof_of(ledger, OTHER)
    cheats = (
        msgspec.structs.replace(proof, containers=()),
        msgspec.structs.replace(proof, containers=(*proof.containers, proof.containers[0])),
        msgspec.structs.replace(proof, containers=(proof.lots[0],)),
        msgspec.structs.replace(proof, lots=()),
        msgspec.structs.replace(proof, lots=before.lots),
        msgspec.structs.replace(proof, pack=other.pack),
        msgspec.structs.replace(proof, pack=msgspec.structs.replace(proof.pack, value=None)),
    )
    for cheat in cheats:
        with pytest.raises(Rejected) as caught:
            check(cheat, trusted)
        assert caught.value.code == PROOF_INVALID
    with pytest.raises(Rejected):
        check(before, trusted)
    check(before, trusted_before)
