"""`careledger records`: bring FHIR documents to a running site, read, search, and verify them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from careledger.cli import options, remote
from careledger.cli.exits import Exit
from careledger.cli.failures import Refused
from careledger.cli.local import write_new
from careledger.cli.output import show_json, show_lines, show_table
from careledger.cli.verify import authenticator_of, choose_trust, show_failure, show_verdict

app = typer.Typer(help="Records at a running site, over its FHIR routes.")

DOCUMENT_BYTES_MAX = 64 * 1024 * 1024
_NAME = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9.-]{1,64})(?:/_history/(\d{1,9}))?\Z")

Name = Annotated[str, typer.Argument(help="Type/id, or Type/id/_history/version.")]


@app.command("import", short_help="Send FHIR documents to a site.")
def import_records(
    files: Annotated[list[Path], typer.Argument(help="FHIR resources or Bundles in JSON, or NDJSON files.")],
    url: remote.Url = "",
    token: remote.Token = "",
    *,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on after a refusal.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Send documents: Bundles of type transaction or batch as they are, other resources one by one."""
    done: list[dict[str, object]] = []
    with remote.Site(url, token) as site:
        for file in files:
            for place, raw in _documents(file):
                where = f"{file}:{place}" if place else str(file)
                outcome = _send(site, raw, where, keep_going=keep_going)
                done.append(outcome)
                if not as_json:
                    show_lines([f"{outcome['outcome']:<9} {where}: {outcome['detail']}"])
    refused = sum(1 for outcome in done if outcome["outcome"] == "refused")
    if as_json:
        show_json({"documents": len(done), "refused": refused, "outcomes": done})
    else:
        show_lines([f"{len(done):,} documents, {refused:,} refused"])
    raise typer.Exit(Exit.FAILED if refused else Exit.OK)


def _documents(file: Path) -> Iterator[tuple[int, bytes]]:
    """(line, document) of an NDJSON file; (0, document) of any other."""
    if file.suffix == ".ndjson":
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line.strip()
        return
    if file.stat().st_size > DOCUMENT_BYTES_MAX:
        raise Refused(f"{file} is larger than {DOCUMENT_BYTES_MAX:,} bytes")
    yield 0, file.read_bytes()


def _send(site: remote.Site, raw: bytes, where: str, *, keep_going: bool) -> dict[str, object]:
    method, path = _target(raw, where)
    try:
        answer = site.call(method, path, content=raw)
    except Refused as refusal:
        if not keep_going or refusal.exit_code is Exit.UNAVAILABLE:
            raise Refused(f"{where}: {refusal}", refusal.exit_code) from None
        return {"document": where, "outcome": "refused", "detail": str(refusal)}
    location = answer.headers.get("location", "")
    if path != remote.FHIR:
        return {"document": where, "outcome": "stored", "detail": location or path}
    entries = answer.document().get("entry", [])
    bad = [entry for entry in entries if not str(entry.get("response", {}).get("status", "")).startswith("2")]
    outcome = "refused" if bad else "stored"
    return {"document": where, "outcome": outcome, "detail": f"{len(entries)} entries, {len(bad)} refused"}


def _target(raw: bytes, where: str) -> tuple[str, str]:
    """Method and address for a document: Bundles to the base, resources with an id to it, others to their type."""
    try:
        document = json.loads(raw)
        kind = document["resourceType"]
        identifier = document.get("id")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Refused(f"{where} is not a FHIR resource in JSON") from None
    if kind == "Bundle" and document.get("type") in ("transaction", "batch"):
        return "POST", remote.FHIR
    if not isinstance(kind, str) or _NAME.match(f"{kind}/x") is None:
        raise Refused(f"{where} is not a FHIR resource in JSON")
    if isinstance(identifier, str) and _NAME.match(f"{kind}/{identifier}"):
        return "PUT", f"{remote.FHIR}/{kind}/{identifier}"
    return "POST", f"{remote.FHIR}/{kind}"


def _address(name: str) -> str:
    if _NAME.match(name) is None:
        raise Refused("a record is named Type/id or Type/id/_history/version")
    return f"{remote.FHIR}/{name}"


@app.command("get", short_help="Print one record.")
def get(
    name: Name,
    url: remote.Url = "",
    token: remote.Token = "",
    *,
    submitted: Annotated[
        bool, typer.Option("--submitted", help="Exactly the bytes that were submitted.")
    ] = False,
) -> None:
    """Print one record as the site serves it, which is JSON in any case."""
    address = _address(name) + ("/$submitted" if submitted else "")
    with remote.Site(url, token) as site:
        show_lines([site.call("GET", address).body.decode(errors="replace")])


@app.command("search", short_help="Search a site's records.")
def search(
    resource_type: Annotated[str, typer.Argument(help="Type to search, such as Observation.")],
    criteria: Annotated[list[str] | None, typer.Argument(help="Search parameters as name=value.")] = None,
    url: remote.Url = "",
    token: remote.Token = "",
    pages: Annotated[int, typer.Option(min=1, help="Pages to follow.")] = 1,
    *,
    as_json: options.AsJson = False,
) -> None:
    """Search; every parameter of FHIR search as the site's CapabilityStatement lists it."""
    parameters = [_criterion(text) for text in criteria or ()]
    found: list[dict[str, Any]] = []
    with remote.Site(url, token) as site:
        path: str | None = f"{remote.FHIR}/{resource_type}"
        for _ in range(pages):
            if path is None:
                break
            bundle = site.call("GET", path, parameters=parameters).document()
            found += [entry["resource"] for entry in bundle.get("entry", []) if "resource" in entry]
            links = {link.get("relation"): link.get("url") for link in bundle.get("link", [])}
            path, parameters = links.get("next"), []
    if as_json:
        show_json(found)
        return
    show_table(
        ("record", "version", "changed"),
        [
            (
                f"{one.get('resourceType')}/{one.get('id')}",
                one.get("meta", {}).get("versionId", ""),
                one.get("meta", {}).get("lastUpdated", ""),
            )
            for one in found
        ],
    )


def _criterion(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise Refused(f"{text!r} is not of the form name=value")
    return name, value


@app.command("verify", short_help="Check one record's evidence.")
def verify(
    name: Name,
    url: remote.Url = "",
    token: remote.Token = "",
    trust: options.TrustFile = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to keep the evidence in.")] = None,
    *,
    first_use: Annotated[
        bool,
        typer.Option("--trust-on-first-use", help="Without --trust: keep the anchors of the first file."),
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Fetch the evidence of one record and check it here, against your own anchors; see `careledger verify`."""
    from careledger.ledger.evidence import read_evidence
    from careledger.ledger.evidence_check import EvidenceFailed, verify_evidence

    with remote.Site(url, token) as site:
        raw = site.call("GET", _address(name) + "/$proof").body
    evidence = read_evidence(raw)
    if out is not None:
        write_new(out, raw)
    pinned, warnings = choose_trust(evidence, trust, first_use=first_use)
    try:
        verdict = verify_evidence(evidence, pinned, authenticator_of(pinned))
    except EvidenceFailed as failed:
        show_failure(failed, warnings, as_json=as_json)
        raise typer.Exit(Exit.FAILED) from None
    show_verdict(verdict, warnings, as_json=as_json)
