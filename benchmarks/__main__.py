"""Run the benchmarks of the page, or those that are named: python -m benchmarks [--quick] [NAME…].

Prints what was measured and whether each target is reached, keeps it below
benchmarks/results/, and writes docs/benchmarks.md. `--quick` measures next to
nothing, to see that the programs work, and keeps nothing.
"""

from __future__ import annotations

import argparse
from importlib import import_module

from benchmarks import page
from benchmarks.measure import keep, machine, show


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(page.ORDER))
    parser.add_argument("--quick", action="store_true", help="see that the programs work")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(page.ORDER):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    for name in chosen.names or page.ORDER:
        described = machine()
        print(", ".join(f"{what} {value}" for what, value in described.items()))
        result = import_module(f"benchmarks.{name}").measure(quick=chosen.quick)
        show(result)
        if not chosen.quick:
            keep(result, described)
    if not chosen.quick:
        page.PAGE.write_text(page.text())


if __name__ == "__main__":
    main()
