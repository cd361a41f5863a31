"""Searches over HTTP: by GET and POST, several types, compartments, inclusions, paging, and what shapes the answer."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import httpx
import pytest

from careledger.standards.fhir.json_reader import read_resource
from domains.records.api.fhir_kit import (
    BASE,
    Caller,
    FhirStack,
    code_of,
    entries_of,
    ids_of,
    issue_of,
    link_of,
)
from kit import samples

FORM = {"content-type": "application/x-www-form-urlencoded"}


async def fill(caller: Caller, family: str, observations: int = 3) -> tuple[str, list[str]]:
    """A patient with observations of rising value."""
    patient = await caller.create(samples.patient(family))
    made = [
        await caller.create(samples.observation(patient, f"{number}.50")) for number in range(observations)
    ]
    return patient, made


def test_get_and_post_find_the_same(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        patient, made = await fill(caller, "Samefind")
        query = f"subject=Patient/{patient}&code=718-7&value-quantity=gt0.7"
        got = await caller.get(f"Observation?{query}")
        posted = await caller.send("POST", "Observation/_search", query.encode(), FORM)
        mixed = await caller.send(
            "POST", "Observation/_search?code=718-7", f"subject=Patient/{patient}".encode(), FORM
        )
        assert sorted(ids_of(got)) == sorted(made[1:])
        assert ids_of(posted) == ids_of(got)
        assert sorted(ids_of(mixed)) == sorted(made)
        assert link_of(got, "self") == f"{BASE}/Observation?{quote(query, safe='=&')}"
        wrong = await caller.send("POST", "Observation/_search", b"{}", {"content-type": "application/json"})
        assert wrong.status_code == 415

    runner.run(act())


def test_inclusions_chains_and_reverse_chains(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        patient, made = await fill(caller, "Chainperson")
        included = await caller.get(f"Observation?_id={made[0]}&_include=Observation:subject")
        assert ids_of(included) == [made[0]]
        assert ids_of(included, "include") == [patient]
        back = await caller.get(f"Patient?_id={patient}&_revinclude=Observation:subject")
        assert sorted(ids_of(back, "include")) == sorted(made)
        chained = await caller.get("Observation?subject:Patient.family=Chainperson")
        assert sorted(ids_of(chained)) == sorted(made)
        reverse = await caller.get("Patient?_has:Observation:subject:code=718-7&family=Chainperson")
        assert ids_of(reverse) == [patient]

    runner.run(act())


def test_pages_follow_opaque_links_to_the_end(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        patient, made = await fill(caller, "Secretname", 7)
        seen: list[str] = []
        answer = await caller.get(
            "Observation?patient.family=Secretname&_count=3&_sort=-value-quantity&_total=accurate"
        )
        assert read_resource(answer.content)["total"] == 7
        while True:
            assert link_of(answer, "self")
            seen += ids_of(answer)
            following = link_of(answer, "next")
            if following is None:
                break
            assert "Secretname" not in following
            assert patient not in following
            answer = await caller.get(following)
        assert seen == made[::-1]
        previous = link_of(answer, "previous")
        assert previous is not None
        assert ids_of(await caller.get(previous)) == made[::-1][3:6]

    runner.run(act())


def test_a_page_link_is_good_for_its_search_and_requester_alone(
    runner: asyncio.Runner, stack: FhirStack
) -> None:
    async def act() -> None:
        caller = stack.caller()
        await fill(caller, "Linkperson", 3)
        answer = await caller.get("Observation?patient.family=Linkperson&_count=1")
        following = link_of(answer, "next")
        assert following is not None
        same = stack.caller()
        assert (await same.get(following)).status_code == 200
        other = stack.caller(subject="somebody-else")
        stolen = await other.get(following)
        assert stolen.status_code == 400
        assert code_of(stolen) == "records-api.PAGE_REFUSED"
        token = following.split("_page=")[1]
        for path in (f"Patient?_page={token}", f"Observation?_page={token[:-2]}AA", "Observation?_page=x"):
            refused = await caller.get(path)
            assert refused.status_code == 400
            assert code_of(refused) == "records-api.PAGE_REFUSED"

    runner.run(act())


def test_a_compartment_holds_what_belongs_to_the_patient(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        patient, made = await fill(caller, "Compartment")
        other, _ = await fill(caller, "Elsewhere")
        found = await caller.get(f"Patient/{patient}/Observation?code=718-7")
        assert sorted(ids_of(found)) == sorted(made)
        posted = await caller.send("POST", f"Patient/{patient}/Observation/_search", b"code=718-7", FORM)
        assert sorted(ids_of(posted)) == sorted(made)
        everything = await caller.get(f"Patient/{patient}/*?_count=50")
        assert sorted(ids_of(everything)) == sorted([patient, *made])
        assert ids_of(await caller.get(f"Patient/{other}/Condition")) == []
        assert ids_of(await caller.get("Patient/nobody/Observation")) == []

    runner.run(act())


def test_search_over_several_types(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        patient, made = await fill(caller, "Systemwide", 1)
        found = await caller.get(f"?_type=Patient,Observation&_id={patient},{made[0]}")
        assert sorted(ids_of(found)) == sorted([patient, made[0]])
        posted = await caller.send("POST", "_search", f"_id={patient}".encode(), FORM)
        assert ids_of(posted) == [patient]

    runner.run(act())


def test_what_shapes_the_answer(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        patient, _ = await fill(caller, "Shapely")
        base = f"Observation?patient={patient}"
        counted = read_resource((await caller.get(f"{base}&_summary=count")).content)
        assert counted["total"] == 3
        assert "entry" not in counted
        none = read_resource((await caller.get(f"{base}&_count=0")).content)
        assert none["total"] == 3
        assert "entry" not in none
        assert "total" not in read_resource((await caller.get(base)).content)
        part = entries_of(await caller.get(f"{base}&_elements=code&_include=Observation:subject"))
        kept = [entry["resource"] for entry in part]
        assert all("valueQuantity" not in one for one in kept[:3])  # type: ignore[operator]
        assert "name" in kept[3]  # type: ignore[operator]
        summary = entries_of(await caller.get(f"{base}&_summary=true&_count=1"))
        assert summary[0]["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"  # type: ignore[index]

    runner.run(act())


def test_strict_and_lenient(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        patient, _ = await fill(caller, "Lenient")
        path = f"Observation?patient={patient}&shoe-size=43"
        strict = await caller.get(path)
        assert strict.status_code == 400
        assert issue_of(strict)["code"] == "not-supported"
        lenient = await caller.get(path, prefer="handling=lenient")
        assert len(ids_of(lenient)) == 3
        notes = [entry for entry in entries_of(lenient) if entry["search"] == {"mode": "outcome"}]
        assert "parameter 2" in str(notes)
        assert "shoe" not in (link_of(lenient, "self") or "")

    runner.run(act())


@pytest.mark.parametrize(
    "query",
    [
        "birthdate=yesterday",
        "family:nonsense=x",
        "_sort=nonsense",
        "_count=-1",
        "_count=x",
        "_summary=maybe",
        "_include=Patient",
        "_include=Nonsense:x",
        "_has:Observation:nonsense:code=1",
        "general-practitioner.nonsense=x",
        "_total=many",
        "_contained=true",
        "&".join(["family=x"] * 65),
        f"family={'x' * 600}",
        "family=%ff",
    ],
)
def test_malformed_searches_are_refused_with_a_place(
    runner: asyncio.Runner, stack: FhirStack, query: str
) -> None:
    async def act() -> httpx.Response:
        return await stack.caller().get(f"Patient?{query}")

    answer = runner.run(act())
    assert answer.status_code == 400, answer.text
    assert issue_of(answer)["severity"] == "error"
    assert "yesterday" not in answer.text
    assert "xxx" not in answer.text


def test_an_answer_names_what_belongs_to_it_but_is_not_there(
    runner: asyncio.Runner, stack: FhirStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("careledger.domains.records.service.index.inclusion.INCLUDES_MAX", 2)

    async def act() -> None:
        caller = stack.caller()
        patient, _ = await fill(caller, "Overflow", 4)
        answer = await caller.get(f"Patient?_id={patient}&_revinclude=Observation:subject")
        assert len(ids_of(answer, "include")) == 2
        assert "more resources belong" in answer.text

    runner.run(act())
