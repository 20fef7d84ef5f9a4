"""Every benchmark of the project in one table, each figure beside its peers in the same run.

    python benchmarks/all.py                    # about 20 minutes on a quiet machine
    python benchmarks/all.py --check            # exits 1 if a goal is missed by more than 20 %
    python benchmarks/all.py --only table ports # some of: leaks, ports, servers, table
    python benchmarks/all.py --instructions     # leak detection by counted instructions (valgrind), not by CPU seconds
    python benchmarks/all.py --quick            # a minute, to see that it runs: its figures prove nothing

Ours and the peer take turns, so that a noisy machine is noisy for both. A ratio is ours / peer; one with "x" says how many
times less ours is. min .. max is over the rounds. The same rows by themselves, with more options: overhead.py (leaks),
ports.py, servers.py, table.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import platform
from typing import TYPE_CHECKING

import overhead
import ports
import results
import servers
import table

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDS = {
    "leaks": ("psutil",),
    "ports": ("anyio", "ephemeral_port_reserve", "portpicker", "pytest_asyncio"),
    "servers": ("uvloop",),
    "table": ("psutil",),
}


def rows(part: str, *, quick: bool, instructions: bool) -> Iterator[results.Result]:
    """The rows of one part."""
    if part == "leaks" and instructions:
        sizes = overhead.QUICK_SIZES if quick else overhead.SIZES
        yield from overhead.measure_instructions(sizes)
        yield from overhead.measure_one_test(overhead.QUICK_SIZES)
    elif part == "leaks":
        yield from overhead.measure(tests=200 if quick else 4000, rounds=1 if quick else 7)
    elif part == "ports":
        kinds = ports.KINDS[:1] if quick else ports.KINDS
        yield from ports.measure(kinds=kinds, servers=80 if quick else 2000, rounds=3 if quick else 9)
    elif part == "servers":
        yield from servers.measure(scale=0.02 if quick else 1.0, turns=2 if quick else 5)
    else:
        yield from table.measure(rounds=2 if quick else 7, notices=10 if quick else 60)


def main() -> None:
    """Gather, print, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=NEEDS, default=list(NEEDS), metavar="PART")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--instructions", action="store_true")
    options = parser.parse_args()
    missing = [name for part in options.only for name in NEEDS[part] if not importlib.util.find_spec(name)]
    if missing:
        raise SystemExit(f"nothing to compare with; install: {' '.join(missing)}".replace("_", "-"))
    print(f"Python {platform.python_version()}, {platform.system()} {platform.release()}\n")
    parts = (rows(part, quick=options.quick, instructions=options.instructions) for part in options.only)
    shown = results.show(itertools.chain.from_iterable(parts))
    if options.quick:
        print("\nThese figures come from a quick run: they show that it works and prove nothing.")
    if options.check:
        results.check(shown)


if __name__ == "__main__":
    main()
