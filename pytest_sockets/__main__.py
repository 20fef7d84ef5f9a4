"""`python -m pytest_sockets [FILTER ...]`: print the socket table, as `pytest --sockets-table=FILTER` does."""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import Final

from pytest_sockets.errors import QueryError
from pytest_sockets.plugin import table_option
from pytest_sockets.printable import secrets_shown

_COMMAND: Final = "python -m pytest_sockets"


def main(arguments: list[str]) -> int:
    """Print the table. Return the exit status: 0, or 2 for an invalid filter."""
    parser = argparse.ArgumentParser(
        _COMMAND,
        description="Print the socket table of this system with the holder of each socket.",
    )
    parser.add_argument(
        "filter",
        nargs="*",
        help="a status (LISTEN), :PORT, tcp, udp, unix, a process id or a process name; all must match; "
        "left: processes that interrupted test runs left behind",
    )
    parser.add_argument("--show-secrets", action="store_true", help="show passwords in command lines")
    options = parser.parse_args(arguments)
    try:
        with secrets_shown(options.show_secrets):
            width = shutil.get_terminal_size((120, 40)).columns
            text = table_option.table(" ".join(options.filter), width, f"{_COMMAND} {{}}")
    except QueryError as error:
        parser.error(str(error))
    table_option.write(text, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
