"""`python -m pytest_sockets [FILTER ...]`: print the socket table, as `pytest --sockets-table=FILTER` does."""

from __future__ import annotations

import argparse
import shutil
import sys

from pytest_sockets.errors import QueryError
from pytest_sockets.plugin.table_option import table, write


def main(arguments: list[str]) -> int:
    """Print the table; the exit code is 0, or 2 for a wrong filter."""
    parser = argparse.ArgumentParser(
        "python -m pytest_sockets",
        description="Print the socket table of this system with the holder of each socket.",
    )
    parser.add_argument(
        "filter",
        nargs="*",
        help="a status (LISTEN), :PORT, tcp, udp, unix, a process id or a process name; all must hold",
    )
    words = parser.parse_args(arguments).filter
    try:
        text = table(" ".join(words), shutil.get_terminal_size((120, 40)).columns)
    except QueryError as error:
        parser.error(str(error))
    write(text, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
