"""The pool: pick a port at random, lock it, probe it, and keep it until it is released.

The lock comes before the probe: two processes that probe one port at once would mistake each other's probe for a server.
The random order keeps processes apart. It also delays the reuse of a port to which old clients may still reconnect.
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
"""The number of random picks before every port is tried in turn."""
_LINGERING: Final = 256
"""The number of ports with placeholders whose lock is kept after `release`, until the child has bound the port."""

_random = random.Random()  # noqa: S311  (private: pytest-randomly seeds the global one alike in every worker)


class Released(NamedTuple):
    """A released port. If `still_listening`, the pool reserves it again only once `is_left` is false."""

    port: int
    protocol: str
    still_listening: bool


class Taken(NamedTuple):
    """The reasons why no port was free: ports whose lock another process holds, and ports in use."""

    locked: list[int]
    in_use: list[int]


class Reservation:
    """A port that this process keeps until `release()`."""

    __slots__ = ("__weakref__", "_pool", "label", "lock", "port", "protocol")

    def __init__(self, pool: PortPool, port: int, protocol: str, lock: Lock) -> None:
        self._pool = pool
        self.port = port
        self.protocol = protocol
        self.lock = lock
        self.label = ""
        """The fixture that reserved it, for explanations of "address in use"."""

    def release(self) -> Released | None:
        """Release the port. Return None if it was released before, or in a forked child."""
        return self._pool.give_back(self)


class PortPool:
    """Ports that no other pool on this host reserves, and that the kernel gives to no other program.

    Thread-safe, since the kernel decides who gets a lock. Fork-safe, since a child starts without reserved ports.
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
        """The number of ports reserved so far, including each port of a block."""
        self._left: dict[int, Lock] = {}
        self._lingering: collections.deque[Lock] = collections.deque()
        _pools.add(self)

    @property
    def kept(self) -> tuple[int, ...]:
        """The currently reserved ports, oldest first."""
        return tuple(self._kept)

    def reservation_of(self, port: int) -> Reservation | None:
        """Return the reservation of this port; None if it is not reserved."""
        return self._kept.get(port)

    def reserve(self, protocol: str = "both", host: str | None = None) -> Reservation:
        """Reserve a port that is free on every address. `host` only adds a check that this machine has that address.

        Raises PortUnavailable if there is none, SettingError if `protocol` or `host` is not valid.
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
        """Reserve `count` ports with consecutive numbers. Raises as `reserve` does."""
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
        """Release a port. Raises SettingError if it is not reserved, QueryError if it is not a port."""
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
        """Release a reservation. With `linger`, the lock stays for a while, since a child process is about to bind."""
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
        """Whether a socket still listens on a released port. Once none does, the pool can reserve the port again."""
        port, protocol = released.port, released.protocol
        if port not in self._left:
            return False
        try:
            if not self.prober.is_free(port, KINDS[protocol]) and is_listening(port, protocol):
                return True
        except OSError:  # No descriptor is left for the look-up.
            return True
        self._unlock(port, self._left.pop(port))
        return False

    def close(self) -> None:
        """Release all ports at the end of the run, even those on which a socket still listens."""
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
        """Forget the parent's ports in a forked child. The parent's own descriptors keep the locks."""
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
    """Whether a socket listens on the port (UDP: is bound to it), on any address."""
    from pytest_sockets.ports.port_users import listeners

    return bool(listeners(port, protocol))


_pools: weakref.WeakSet[PortPool] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    _random.seed()  # From the system, so that the child does not repeat the parent's sequence.
    placeholders.after_fork()
    for pool in tuple(_pools):
        pool.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
