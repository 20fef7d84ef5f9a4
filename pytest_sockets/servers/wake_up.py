"""How another thread wakes the hub's thread: two connected sockets, and whether they still are the hub's own.

The reader is in the hub's poller. A byte from the writer ends the wait.
"""

from __future__ import annotations

from pytest_sockets import originals
from pytest_sockets.real_socket import RealSocket


class WakeUp:
    """The reader, for the thread that waits, and the writer, for all others."""

    def __init__(self) -> None:
        self._reader, self._writer = _connected_pair()
        self.identities = tuple(
            (sock.fileno(), identity_of(sock.fileno())) for sock in (self._reader, self._writer)
        )
        """The two descriptors, and which file each was at the start."""

    def fileno(self) -> int:
        """The reader's descriptor."""
        return self._reader.fileno()

    def wake(self) -> None:
        """End the wait of the hub's thread, from any thread."""
        try:
            self._writer.send(b"\0")
        except OSError:  # the buffer is full of wake-ups, or other code has closed it
            pass

    def heard(self, fd: int) -> None:
        """Take the bytes that have come, if `fd` is the reader."""
        if fd == self._reader.fileno():
            try:
                self._reader.recv(4096)
            except BlockingIOError:
                pass

    def is_sound(self) -> bool:
        """Whether both descriptors still are these sockets; false once other code has closed one."""
        return all(identity_of(fd) == identity for fd, identity in self.identities)

    def detach_lost(self) -> None:
        """Let go of descriptors that other code has closed: their numbers may be other files by now."""
        for sock, (fd, identity) in zip((self._reader, self._writer), self.identities, strict=True):
            if identity_of(fd) != identity:
                sock.detach()

    def close_reader(self) -> None:
        """Close the reader: its thread has ended."""
        self._reader.close()

    def close_writer(self) -> None:
        """Close the writer: a thread that still waits for the reader wakes for good."""
        self._writer.close()

    def close(self) -> None:
        """Close both."""
        self._reader.close()
        self._writer.close()


def identity_of(fd: int) -> object:
    """Which file `fd` is now; None where the system gives sockets no number, and for a closed one."""
    try:
        status = originals.RealOs.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _connected_pair() -> tuple[RealSocket, RealSocket]:
    """Two connected sockets. `socket.socketpair()` would ask the (perhaps blocked) `socket.socket`."""
    try:
        import _socket

        ends = _socket.socketpair()  # type: ignore[attr-defined, unused-ignore]  # not on Windows
    except (ImportError, AttributeError):
        return _loopback_pair()
    pair = tuple(RealSocket(end.family, end.type, end.proto, end.detach()) for end in ends)
    for sock in pair:
        sock.setblocking(False)
    return pair[0], pair[1]


def _loopback_pair() -> tuple[RealSocket, RealSocket]:
    """What Windows has in place of socketpair(2)."""
    listener = RealSocket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    writer = RealSocket()
    writer.connect(listener.getsockname())
    reader, _ = listener.accepted()
    listener.close()
    for sock in (reader, writer):
        sock.setblocking(False)
    return reader, writer
