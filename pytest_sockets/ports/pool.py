"""The pool: a port is picked at random, locked, probed, and kept until it is released.

The order matters. The lock comes first: who has it may probe, so two processes never probe the same port at once and take
each other's probe for a foreign server. The random order keeps processes apart, and a port that was just released from
being given out again while a client of its old server still tries to reconnect.
"""

from __future__ import annotations

import collections
import errno
import os
import random
import weakref
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_sockets.addresses import checked_port
from pytest_sockets.errors import PortUnavailable, SettingError
from pytest_sockets.ports import placeholders
from pytest_sockets.ports.locks import choose_locks
from pytest_sockets.ports.probing import KINDS, Prober
from pytest_sockets.service_names import port_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sockets.ports.locks import Lock, Locks
    from pytest_sockets.ports.port_server import PortServer
    from pytest_sockets.ports.ranges import PortRanges

RANDOM_TRIES: Final = 32
"""Random picks before every port is looked at in turn."""
_LINGERING: Final = 256
"""Held ports whose lock is kept after `release`: the child for which it was released has yet to bind."""

_random = random.Random()  # noqa: S311  (private: pytest-randomly seeds the global one alike in every worker)


class Released(NamedTuple):
    """What was given back. `still_listening`: a socket listens there still, so the port is not given out again before
    `PortPool.is_left` finds it silent."""

    port: int
    protocol: str
    still_listening: bool


class Taken(NamedTuple):
    """Why no port was free: the ports that somebody has the lock of, and those that were in use."""

    locked: list[int]
    in_use: list[int]


class Reservation:
    """A port that is ours until `release()`."""

    __slots__ = ("__weakref__", "_pool", "label", "lock", "port", "protocol")

    def __init__(self, pool: PortPool, port: int, protocol: str, lock: Lock) -> None:
        self._pool = pool
        self.port = port
        self.protocol = protocol
        self.lock = lock
        self.label = ""
        """The fixture that it is for, if that has only this one."""

    def release(self) -> Released | None:
        """Give the port back. None if that was done before, or if this is a forked child's copy."""
        return self._pool.give_back(self)


class PortPool:
    """Ports that no other process of this host gets from its pool, and that the kernel gives to nobody.

    Safe under threads: the kernel arbitrates between them by the lock. Safe after fork: the child starts with nothing kept.
    """

    def __init__(
        self,
        ranges: PortRanges,
        *,
        locks: Locks | None = None,
        prober: Prober | None = None,
        server: PortServer | None = None,
    ) -> None:
        self.ranges = ranges
        self.server = server
        self._locks = locks or choose_locks()
        self.prober = prober or Prober()
        self._ports = ranges.ports()
        self._uses_placeholders = bool(ranges.ephemeral)
        self._kept: dict[int, Reservation] = {}
        self.given = 0
        """How many ports were reserved so far, those of blocks one by one."""
        self._left: dict[int, Lock] = {}
        self._lingering: collections.deque[Lock] = collections.deque()
        _pools.add(self)

    @property
    def kept(self) -> tuple[int, ...]:
        """The ports that are reserved now, oldest first."""
        return tuple(self._kept)

    def reservation_of(self, port: int) -> Reservation | None:
        """The reservation of this port, if it is reserved now."""
        return self._kept.get(port)

    def reserve(self, protocol: str = "both", host: str | None = None) -> Reservation:
        """A free port. `host` only adds that this address must be one of the machine: the port is free on all of them.

        Raises PortUnavailable if there is none, SettingError if `protocol` or `host` make no sense.
        """
        kinds = _kinds(protocol)
        if host is not None:
            self.prober.places_of(host)
        if self.server is not None:
            return self._from_server(protocol, kinds, host)
        ports = self._ports
        for _ in range(RANDOM_TRIES):
            reservation = self._try(ports[int(_random.random() * len(ports))], protocol, kinds, host)
            if reservation is not None:
                return reservation
        return self._look_at_all(protocol, kinds, host)

    def reserve_block(self, count: int, protocol: str = "both", host: str | None = None) -> list[Reservation]:
        """`count` free ports with consecutive numbers. Raises as `reserve` does."""
        kinds = _kinds(protocol)
        if isinstance(count, bool) or not isinstance(count, int):
            raise SettingError(f"block({count!r}): use a whole number of ports")
        if count < 1:
            raise SettingError(f"block({count!r}): ask for one port at least")
        if self.server is not None:
            return self.server.block(count, lambda: self._from_server(protocol, kinds, host))
        longest = max(span.high - span.low + 1 for span in self.ranges.spans)
        if count > longest:
            raise SettingError(f"block({count}): {self.ranges} has {longest} consecutive ports at most")
        for first in self._block_starts(count):
            block = self._try_block(range(first, first + count), protocol, kinds, host)
            if block is not None:
                return block
        raise PortUnavailable(
            f"no {count} consecutive ports are free in {self.ranges}; {len(self._kept)} ports are kept by this process. "
            "Ask for fewer, release some, or widen --sockets-ports."
        )

    def release(self, port: int) -> Released:
        """Give a port back. Raises SettingError if it is not kept, QueryError if it is no port."""
        port = checked_port(port)
        reservation = self._kept.get(port)
        released = (
            self.give_back(reservation, linger=self.ranges.is_ephemeral(port))
            if reservation is not None
            else None
        )
        if released is None:
            kept = ", ".join(map(str, self.kept[:6])) or "none"
            raise SettingError(
                f"port {port_name(port, 'both')} is not kept, so it cannot be released; kept now: {kept}"
            )
        return released

    def give_back(self, reservation: Reservation, *, linger: bool = False) -> Released | None:
        """What `Reservation.release` does. With `linger` the lock stays a while: a child process has yet to bind."""
        port, protocol = reservation.port, reservation.protocol
        if self._kept.get(port) is not reservation:
            return None
        del self._kept[port]
        if self._uses_placeholders:
            placeholders.release(port)
        still_listening = not self.prober.is_free(port, KINDS[protocol]) and is_listening(port, protocol)
        if still_listening:
            self._left[port] = reservation.lock
        elif linger:
            self._linger(reservation.lock)
        else:
            self._unlock(port, reservation.lock)
        return Released(port, protocol, still_listening)

    def is_left(self, released: Released) -> bool:
        """Look again at a port that was listened on when it was given back; once nobody does it may be given out again."""
        port, protocol = released.port, released.protocol
        if port not in self._left:
            return False
        try:
            if not self.prober.is_free(port, KINDS[protocol]) and is_listening(port, protocol):
                return True
        except OSError:  # no descriptor left to look with: it stays as it was
            return True
        self._unlock(port, self._left.pop(port))
        return False

    def close(self) -> None:
        """Give everything back, also what is still listened on: the run is over."""
        for port in self.kept:
            reservation = self._kept.pop(port, None)
            if reservation is not None:
                placeholders.release(port)
                reservation.lock.close()
        for lock in (*self._left.values(), *self._lingering):
            lock.close()
        self._left.clear()
        self._lingering.clear()

    def after_fork(self) -> None:
        """In a forked child: what the parent keeps is the parent's. Its own descriptors keep the locks when ours close."""
        self._locks.after_fork()
        self.close()
        if self.server is not None:
            self.server.after_fork()

    def _try(self, port: int, protocol: str, kinds: tuple[int, ...], host: str | None) -> Reservation | None:
        if port in self._kept:
            return None
        try:
            lock = self._locks.take(port)
            if lock is None:
                return None
            try:
                free = self._secure(port, kinds, host)
            except BaseException:
                lock.close()
                raise
        except OSError as error:
            raise self._cannot_look(error) from error
        if not free:
            lock.close()
            return None
        reservation = self._kept[port] = Reservation(self, port, protocol, lock)
        self.given += 1
        return reservation

    def _secure(self, port: int, kinds: tuple[int, ...], host: str | None) -> bool:
        if self._uses_placeholders and self.ranges.is_ephemeral(port):
            return placeholders.place(self.prober, port, kinds)
        return self.prober.is_free(port, kinds, host)

    def _look_at_all(self, protocol: str, kinds: tuple[int, ...], host: str | None) -> Reservation:
        order = list(self._ports)
        _random.shuffle(order)
        for port in order:
            reservation = self._try(port, protocol, kinds, host)
            if reservation is not None:
                return reservation
        if self._lingering:
            while self._lingering:
                self._lingering.popleft().close()
            return self._look_at_all(protocol, kinds, host)
        from pytest_sockets.ports.port_users import used_up

        raise PortUnavailable(used_up(self.ranges, self._sort_taken(), self.kept, protocol))

    def _sort_taken(self) -> Taken:
        taken = Taken([], [])
        for port in self._ports:
            if port in self._kept:
                continue
            lock = self._locks.take(port)
            (taken.locked if lock is None else taken.in_use).append(port)
            if lock is not None:
                lock.close()
        return taken

    def _block_starts(self, count: int) -> Iterator[int]:
        firsts = [port for span in self.ranges.spans for port in range(span.low, span.high - count + 2)]
        _random.shuffle(firsts)
        return iter(firsts)

    def _try_block(
        self, ports: range, protocol: str, kinds: tuple[int, ...], host: str | None
    ) -> list[Reservation] | None:
        block: list[Reservation] = []
        for port in ports:
            reservation = self._try(port, protocol, kinds, host)
            if reservation is None:
                for taken in block:
                    taken.release()
                return None
            block.append(reservation)
        return block

    def _from_server(self, protocol: str, kinds: tuple[int, ...], host: str | None) -> Reservation:
        assert self.server is not None
        for port in self.server.offers():
            reservation = self._try(port, protocol, kinds, host)
            if reservation is not None:
                return reservation
            self.server.returned(port)
        raise self.server.nothing_usable()

    def _linger(self, lock: Lock) -> None:
        self._lingering.append(lock)
        if len(self._lingering) > _LINGERING:
            self._lingering.popleft().close()

    def _unlock(self, port: int, lock: Lock) -> None:
        lock.close()
        if self.server is not None:
            self.server.returned(port)

    def _cannot_look(self, error: OSError) -> PortUnavailable:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return PortUnavailable(
                f"no free port can be looked for: {error.strerror} ({len(self._kept)} ports are kept by this process, "
                "one descriptor each). Release ports that are no longer needed, or raise the limit (ulimit -n)."
            )
        return PortUnavailable(f"no free port can be looked for: {error}")


def _kinds(protocol: str) -> tuple[int, ...]:
    try:
        return KINDS[protocol]
    except (KeyError, TypeError):
        raise SettingError(f"protocol={protocol!r}: use one of {', '.join(map(repr, KINDS))}") from None


def is_listening(port: int, protocol: str) -> bool:
    """Whether a socket listens on the port (UDP: is bound to it), on any address; read from the table, lazily."""
    from pytest_sockets.ports.port_users import listeners

    return bool(listeners(port, protocol))


_pools: weakref.WeakSet[PortPool] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    _random.seed()  # from the system: the child must not repeat what the parent draws
    placeholders.after_fork()
    for pool in tuple(_pools):
        pool.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
