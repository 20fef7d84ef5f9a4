"""`pytest --sockets-table[=FILTER]`: print the socket table with its holders and exit."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_sockets.errors import QueryError
from pytest_sockets.plugin import table_filter, table_text
from pytest_sockets.plugin.settings import shortened
from pytest_sockets.printable import secrets_shown
from pytest_sockets.table.readers import reader

if TYPE_CHECKING:
    from typing import TextIO


def show(config: pytest.Config) -> int:
    """Print the table that `--sockets-table` requests. Return the exit status 0.

    Raises `pytest.UsageError` for an invalid filter.
    """
    filter_ = str(config.getoption("sockets_table"))
    try:
        with secrets_shown(bool(config.getoption("sockets_show_secrets"))):
            text = table(filter_, shutil.get_terminal_size((120, 40)).columns)
    except QueryError as error:
        origin = f"command line, --sockets-table={shortened(filter_)}"
        raise pytest.UsageError(f"pytest-sockets: {origin}: {error}") from None
    write(text, sys.stdout)
    return 0


def table(filter_: str, width: int, asked: str = table_filter.OPTION) -> str:
    """Return the table for a filter, with lines of at most `width` columns. Raises `QueryError`.

    `asked` is how the user asks for a filter, with `{}` in its place.
    """
    chosen = table_filter.parse(filter_, asked)
    if chosen.left_overs:
        return table_text.left_overs(width)
    return table_text.sockets(reader().system(), chosen, width)


def write(text: str, stream: TextIO) -> None:
    """Write to a stream of any encoding, which may be a pipe whose reader closes it early."""
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        _discard(stream)


def _discard(stream: TextIO) -> None:
    """Let the interpreter flush into nothing at exit, where it would complain about the closed pipe."""
    import os

    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
    except (OSError, ValueError):
        pass
