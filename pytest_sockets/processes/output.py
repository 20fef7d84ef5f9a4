"""The output of a server: stdout and stderr together, in a file without a name, which no crash can leave behind.

A pipe would fill and block a server whose output is not read. A file also has room for a large output.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from typing import Final

from pytest_sockets.printable import cut_at_start

KEPT: Final = 1024 * 1024
"""The number of last bytes that stay readable after `close()`."""
LINES: Final = 20
_LINE: Final = 300
_TAIL: Final = 16 * 1024


class Output:
    """The output of one server, over all its restarts."""

    def __init__(self, path: str | None = None) -> None:
        """Open a nameless file, or the file of a shared server, which this process only reads."""
        self._kept: tuple[int, bytes] | None = None
        if path is None:
            self.fd = _nameless()
        else:
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._close = weakref.finalize(self, os.close, self.fd)

    def size(self) -> int:
        """The number of bytes so far."""
        return os.fstat(self.fd).st_size if self._kept is None else self._kept[0] + len(self._kept[1])

    def read(self, start: int = 0) -> str:
        """Return the text from byte `start` on. Bytes that are not UTF-8 are replaced."""
        if self._kept is not None:
            first, kept = self._kept
            return kept[max(0, start - first) :].decode(errors="replace")
        pieces = []
        while piece := os.pread(self.fd, KEPT, start):
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces).decode(errors="replace")

    def tail(self, start: int = 0, lines: int = LINES) -> list[str]:
        """Return the last lines written since byte `start`, without empty ones."""
        text = self.read(max(start, self.size() - _TAIL))
        # Keep the end of a long line: its beginning is missing anyway if the tail starts inside it.
        return [cut_at_start(line.rstrip(), _LINE) for line in text.splitlines() if line.strip()][-lines:]

    def close(self) -> None:
        """Keep the last mebibyte in memory and close the file."""
        if self._kept is None:
            first = max(0, self.size() - KEPT)
            self._kept = (first, self.read(first).encode(errors="replace"))
            self._close()


def _nameless() -> int:
    import fcntl

    with tempfile.TemporaryFile(prefix="pytest-sockets-", buffering=0) as file:
        fd = fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
    # Server and children share one offset anyway. A server that reopens the file must append as well.
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    return fd
