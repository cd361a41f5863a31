"""The network of the story: its organisations, and access to their FHIR services over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import httpx

from careledger.demo.population import Person
from careledger.demo.stage import StoryBroken
from careledger.gateway.network import RunningNetwork
from careledger.site.runtime import SiteRuntime
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.json_writer import write_json

ORGANISATIONS: Final = (
    "hospital-a:hospital",
    "hospital-b:hospital",
    "practice:practice",
    "regulator:regulator",
)
HOLDERS: Final = ("hospital-a", "hospital-b", "practice")
FHIR_JSON: Final = "application/fhir+json"


@dataclass(slots=True)
class Desk:
    """A workplace at one organisation: HTTP with a token."""

    site: SiteRuntime
    client: httpx.AsyncClient
    token: str

    async def call(
        self, method: str, path: str, *, body: bytes | None = None, expect: int | None = None
    ) -> httpx.Response:
        """Call the site's FHIR service.

        Raises:
            StoryBroken: The answer has another status than expected.
        """
        headers = {"Authorization": f"Bearer {self.token}", "Accept": FHIR_JSON}
        if body is not None:
            headers["Content-Type"] = FHIR_JSON
        answer = await self.client.request(
            method, f"{self.site.url}/fhir/{path}", content=body, headers=headers, timeout=60
        )
        if expect is not None and answer.status_code != expect:
            raise StoryBroken(f"{method} {path} at {self.site.entry.slug} answered {answer.status_code}")
        return answer

    async def create(self, resource: JsonObject) -> dict[str, Any]:
        """Create a resource; returns it as served."""
        answer = await self.call("POST", str(resource["resourceType"]), body=write_json(resource), expect=201)
        return dict(answer.json())

    async def search(self, query: str) -> list[dict[str, Any]]:
        """Matches of a search."""
        answer = await self.call("GET", query, expect=200)
        return [entry["resource"] for entry in answer.json().get("entry", ()) if "resource" in entry]


def seat(
    network: RunningNetwork,
    slug: str,
    client: httpx.AsyncClient,
    *,
    subject: str,
    role: str = "clinician",
    scopes: str = "user/*.cruds",
) -> Desk:
    """Give somebody a workplace at an organisation."""
    site = network.site(slug)
    token = site.issuer.issue(
        subject=subject,
        client_id="careledger-demo",
        role=role,
        scopes=scopes,
        fhir_user=f"Practitioner/{subject}",
        lifetime_s=3_600,
    )
    return Desk(site, client, token.token)


def bundle_of(person: Person, slug: str) -> bytes:
    """Transaction bundle with what one organisation recorded about a person."""
    patient_url = "urn:uuid:00000000-0000-4000-8000-000000000000"
    entries: list[JsonObject] = [
        {
            "fullUrl": patient_url,
            "resource": person.patient(),
            "request": {"method": "POST", "url": "Patient"},
        }
    ]
    for number, resource in enumerate(person.records.get(slug, ()), start=1):
        pointed = {
            name: {"reference": patient_url} if value == {"reference": "Patient/SELF"} else value
            for name, value in resource.items()
        }
        entries.append(
            {
                "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
                "resource": pointed,
                "request": {"method": "POST", "url": str(resource["resourceType"])},
            }
        )
    return write_json({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def id_of(location: str, resource_type: str) -> str:
    """Logical id out of a location such as `Patient/x/_history/1`."""
    parts = location.split("/")
    return parts[parts.index(resource_type) + 1]
