"""Generate the Python bindings of the engine's wire types from their .proto text.

    python tools/abci_wire.py            writes src/careledger/consensus/cometbft/_wire/engine_pb2.py and .pyi
    python tools/abci_wire.py --to DIR   writes them elsewhere, for comparing

Needs grpcio-tools, which only development installs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]  # it ships no types

WIRE = Path(__file__).resolve().parent.parent / "src" / "careledger" / "consensus" / "cometbft" / "_wire"
PROTO = "engine.proto"
GENERATED = ("engine_pb2.py", "engine_pb2.pyi")


def generate(target: Path) -> None:
    """Write the bindings into a folder.

    Raises:
        RuntimeError: The compiler refused the text.
    """
    code = protoc.main(
        ["protoc", f"--proto_path={WIRE}", f"--python_out={target}", f"--pyi_out={target}", PROTO]
    )
    if code:
        raise RuntimeError(f"protoc ended with {code}")
    stub = target / GENERATED[1]
    # The generator writes `Mapping` without its arguments in the signatures of constructors.
    stub.write_text('# mypy: disable-error-code="type-arg"\n' + stub.read_text())


def main() -> int:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, default=WIRE, metavar="DIR")
    generate(parser.parse_args().to)
    return 0


if __name__ == "__main__":
    sys.exit(main())
