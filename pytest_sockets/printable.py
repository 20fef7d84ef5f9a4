"""Text from processes, peers and names, made safe to show: no control characters, no passwords."""

from __future__ import annotations

import re
from typing import Final


def printable(text: str) -> str:
    """Return `text` on one line, with every character escaped that a terminal could act on.

    Escapes control and bidirectional characters, line ends and lone surrogates; letters of every language stay.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


_SECRET_NAME: Final = (
    r"(?:password|passwd|passphrase|requirepass|masterauth|secret|token|api[-_]?key|access[-_]?key|private[-_]?key"
    r"|credentials?|pwd)"
)
_SECRETS: Final = (
    # scheme://user:password@host
    (re.compile(r"(://[^\s/:@?#]*):[^\s/?#]*@"), r"\1:***@"),
    # --password=x, --db-password x, PGPASSWORD=x, token: x
    (
        re.compile(
            rf"(?<!\S)((?:--?[\w.-]*?)?[\w.]*{_SECRET_NAME}[\w-]*(?:=|:\s+)|--?[\w.-]*{_SECRET_NAME}[\w-]*\s+)"
            r"""(?!-)("[^"]*"|'[^']*'|\S+)""",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
    # curl -u user:password
    (re.compile(r"(?<!\S)((?:-u|--user|--proxy-user)[ =][^\s:]+):\S+"), r"\1:***"),
)


def masked(command_line: str) -> str:
    """Return the command line with passwords and tokens replaced by `***`."""
    for pattern, replacement in _SECRETS:
        command_line = pattern.sub(replacement, command_line)
    return command_line
