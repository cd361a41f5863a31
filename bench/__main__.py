"""Run the measurements."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

from bench.harness import MEASUREMENTS, machine, report

MODULES = ("bench.ledger", "bench.http_load", "bench.index_growth")


def main() -> int:
    """Measure what was asked for; 0 whether or not bars are met, since a busy machine is no failure."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--only", default="", help="keys, separated by commas")
    parser.add_argument("--list", action="store_true", help="name the keys")
    options = parser.parse_args()
    for module in MODULES:
        importlib.import_module(module)
    wanted = {key for key in options.only.split(",") if key}
    known = {bar.key for measurement in MEASUREMENTS for bar in measurement.bars}
    if options.list:
        print("\n".join(sorted(known)))
        return 0
    if wanted - known:
        print(f"unknown: {', '.join(sorted(wanted - known))}", file=sys.stderr)
        return 2
    print(machine())
    results = {}
    with tempfile.TemporaryDirectory(prefix="careledger-bench-") as scratch:
        for measurement in MEASUREMENTS:
            if wanted and not wanted & {bar.key for bar in measurement.bars}:
                continue
            print(f"measuring {', '.join(bar.key for bar in measurement.bars)} ...", flush=True)
            figures = measurement.run(Path(scratch))
            for bar in measurement.bars:
                results[bar.key] = (bar, figures[bar.key])
                print(f"  {bar.key} = {figures[bar.key]:,.3f} {bar.unit}", flush=True)
    report(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
