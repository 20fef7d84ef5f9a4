"""One non-blocking stream socket in the hub: buffered writing, and every way to end it.

`close` after unread data is an RST on Linux, and would destroy what the client has not read yet. So an orderly close sends
FIN first and reads on until the client's own end, two seconds at most. A reset waits until the kernel has delivered what
was written before.
"""

from __future__ import annotations

import collections
import socket
import sys
from typing import TYPE_CHECKING, Final

from pytest_sockets.originals import LINGER_OFF_RESET, SO_LINGER, SOL_SOCKET
from pytest_sockets.servers.poller import ERROR, HANGUP, READ, WRITE

if TYPE_CHECKING:
    from pytest_sockets.real_socket import RealSocket
    from pytest_sockets.servers.hub import Hub

DRAIN_SECONDS: Final = 2.0
"""How long an orderly close goes on reading what the client still sends."""
DELIVER_SECONDS: Final = 1.0
"""How long a reset waits for the kernel to deliver what was written before it."""
ACK_SECONDS: Final = 0.01
"""How long it waits for an acknowledgement of what is sent already: the other side may delay that by 40 ms."""
WRITES_PER_EVENT: Final = 16
"""One client that reads fast must not keep the hub from the others."""

# Why a socket is not read at the moment. Reading goes on when no reason is left.
PAUSED: Final = 1
TOO_MUCH: Final = 2
HANGS: Final = 4
ENDED: Final = 8

OPEN, DRAINING, CLOSED = range(3)

_SIOCOUTQ: Final = 0x5411  # linux/sockios.h: bytes that are not acknowledged
_SIOCOUTQNSD: Final = 0x894B  # and those of them that are not sent


class StreamSocket:
    """A connected socket. A subclass says what is done with what comes in."""

    __slots__ = (
        "_drain_timer",
        "_fd",
        "_finish",
        "_held",
        "_mask",
        "_out",
        "_phase",
        "_recv_into",
        "_send_now",
        "hub",
        "out_size",
        "sock",
    )

    def __init__(self, hub: Hub, sock: RealSocket) -> None:
        self.hub = hub
        self.sock = sock
        self.out_size = 0
        self._fd = sock.fileno()
        self._recv_into, self._send_now = sock.recv_into, sock.send  # looked up once, not per event
        self._out: collections.deque[memoryview] = collections.deque()
        self._held = 0
        self._mask = READ
        self._phase = OPEN
        self._finish = ""

    # What a subclass does

    def received(self, data: memoryview) -> None:
        """Bytes came in; `data` is the hub's buffer, to be used or copied at once."""
        raise NotImplementedError

    def read_end(self) -> None:
        """The other side sends no more."""
        raise NotImplementedError

    def lost(self, error: OSError) -> None:
        """The other side reset the connection, or it broke."""
        raise NotImplementedError

    def count_out(self, size: int) -> None:
        """So many bytes are about to go to the kernel; negative: so many of them did not.

        Counted before, so that who has received them finds them counted.
        """

    def flushed(self) -> None:
        """Some of what waited has gone."""

    def finished(self) -> None:
        """This side has closed: FIN or RST is out."""

    def failed(self, error: BaseException) -> None:
        """An event's handling raised."""
        raise NotImplementedError

    def describe(self) -> str:
        """For messages."""
        raise NotImplementedError

    # Events

    def on_event(self, events: int) -> None:
        """From the hub."""
        if events & WRITE:
            self._flush()
            if self._out:
                # The other side is reading: what it sends can wait in the kernel, where it costs no copy.
                return
        if events & READ and not self._held:
            if self._phase == DRAINING:
                self._drain()
            elif self._phase != CLOSED:
                self._read()
        elif events & (ERROR | HANGUP) and self._phase != CLOSED:
            self._hung_up()

    def _read(self) -> None:
        buffer = self.hub.buffer
        try:
            size = self._recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.lost(error)
            return
        if size:
            self.received(buffer[:size])
        else:
            self.hold(ENDED)
            self.read_end()

    def _drain(self) -> None:
        try:
            if self.sock.recv_into(self.hub.buffer):
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # reset by the client: it is gone all the same
            pass
        self.destroy()

    def _hung_up(self) -> None:
        """Both directions are shut, or a reset came while nothing is read: epoll reports it again and again."""
        if self._phase == DRAINING:
            self.destroy()
            return
        code = self.sock.getsockopt(SOL_SOCKET, socket.SO_ERROR)
        if code or self._held & ~ENDED or not self._out:
            import os

            self.lost(
                OSError(code, os.strerror(code))
                if code
                else ConnectionAbortedError(0, "closed by the client")
            )

    # Reading

    def hold(self, reason: int) -> None:
        """Do not read, for this reason."""
        if not self._held & reason:
            self._held |= reason
            self._update()

    def resume(self, reason: int) -> None:
        """This reason is gone."""
        if self._held & reason:
            self._held &= ~reason
            self._update()

    def is_held(self, reason: int) -> bool:
        """True if it is not read for this reason."""
        return bool(self._held & reason)

    # Writing

    def write(self, data: bytes | memoryview) -> None:
        """Send now what the kernel takes, the rest when it can. After the end was asked for: nothing."""
        if self._phase != OPEN or self._finish:
            return
        if not self._out:
            sent = self._send(data)
            if sent == len(data) or self._phase != OPEN:
                return
            data = data[sent:]
        self.queue(data)

    def queue(self, data: bytes | memoryview) -> None:
        """Send it when the kernel takes it."""
        self._out.append(memoryview(bytes(data)))
        self.out_size += len(data)
        self._update()

    def _send(self, data: bytes | memoryview) -> int:
        """What the kernel takes of it now. Never raises: a broken connection is `lost`."""
        size = len(data)
        self.count_out(size)
        try:
            sent = self._send_now(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self.count_out(-size)
            self.lost(error)
            return 0
        if sent < size:
            self.count_out(sent - size)
        return sent

    def _flush(self) -> None:
        out = self._out
        for _ in range(WRITES_PER_EVENT):
            if not out:
                break
            head = out[0]
            sent = self._send(head)
            if self._phase == CLOSED:
                return
            self.out_size -= sent
            if sent < len(head):
                out[0] = head[sent:]
                break
            out.popleft()
        self.flushed()
        if not out and self._phase != CLOSED:
            self._update()
            if self._finish:
                self._act()

    def _update(self) -> None:
        if self._phase == CLOSED:
            return
        mask = (0 if self._held else READ) | (WRITE if self._out else 0)
        if mask != self._mask:
            self._mask = mask
            self.hub.change(self._fd, mask)

    # Ending

    def finish(self, how: str) -> None:
        """When all that was written has gone: "close", "half" (shut the sending side) or "reset"."""
        if self._phase != OPEN or how == self._finish:
            return
        self._finish = how
        if not self._out:
            self._act()

    def _act(self) -> None:
        how = self._finish
        if self._phase != OPEN:
            return
        if how == "reset":
            self._reset_when_delivered(0.0)
        elif how == "half":
            self._shut()
        else:
            self._close()

    def _shut(self) -> bool:
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:  # the client was faster
            return False
        return True

    def _close(self) -> None:
        self._phase = DRAINING
        self.finished()
        if self._held & ENDED or not self._shut():
            self.destroy()
            return
        if self._held:
            self._held = 0
            self._update()
        self.hub.later(DRAIN_SECONDS, self.destroy, self)

    def _reset_when_delivered(self, waited: float) -> None:
        if self._phase == CLOSED:
            return
        if waited < DELIVER_SECONDS and _undelivered(self.sock, sent_is_enough=waited > ACK_SECONDS):
            pause = 0.001
            self.hub.later(pause, lambda: self._reset_when_delivered(waited + pause), self)
            return
        self.reset()

    def reset(self) -> None:
        """RST now; what is not delivered yet is lost, and no TIME_WAIT is left."""
        if self._phase == CLOSED:
            return
        if self._phase != DRAINING:
            self.finished()
        try:
            self.sock.setsockopt(SOL_SOCKET, SO_LINGER, LINGER_OFF_RESET)
        except OSError:
            pass
        self.destroy()

    def destroy(self) -> None:
        """Close the descriptor, whatever is left."""
        if self._phase != CLOSED:
            self._phase = CLOSED
            self._out.clear()
            self.out_size = 0
            self.hub.remove(self._fd)
            self.sock.close()
            self.destroyed()

    def destroyed(self) -> None:
        """The descriptor is closed."""


def _undelivered(sock: RealSocket, *, sent_is_enough: bool) -> bool:
    """True if the kernel still has bytes that were not acknowledged, or not even sent."""
    if sys.platform != "linux" or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    import fcntl

    return any(fcntl.ioctl(sock, _SIOCOUTQNSD if sent_is_enough else _SIOCOUTQ, b"\0\0\0\0"))
