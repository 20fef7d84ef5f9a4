"""Which sockets did no code close? Seen when the interpreter finalizes an object that still has its descriptor.

Off by default. While on, `socket.socket`, whose own finalizer is in C, and the few classes whose finalizer warns of an open
connection and closes it (asyncio's, aiohttp's, redis's) get another `__del__`. It is a property on purpose:
the interpreter looks `__del__` up through the descriptor protocol, so our part runs before the real finalizer, which is
then called without a frame of this plugin: its ResourceWarning keeps its place, and the user's filters see the same module.
"""

from __future__ import annotations

import _socket
import collections
import functools
import operator
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_sockets.leaks.outside import comes_from_outside, without_own_frames
from pytest_sockets.leaks.safe_reading import attributes, descriptor, is_a

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class _Patch(NamedTuple):
    owner: Any
    finalizer: Any
    """What was there, to be put back; None if the class had none of its own."""


def _itself(sock: Any) -> Iterable[Any]:
    return (sock,)


def _of_transport(transport: Any) -> Iterable[Any]:
    return (getattr(transport, "_sock", None),)


def _of_stream_writer(writer: Any) -> Iterable[Any]:
    return _unless_closing(writer.transport)


def _of_redis_connection(connection: Any) -> Iterable[Any]:
    writer = getattr(connection, "_writer", None)
    return _of_stream_writer(writer) if writer is not None else ()


def _of_aiohttp_connector(connector: Any) -> Iterable[Any]:
    if connector.closed:
        return
    for idle in connector._conns.values():
        for protocol, *_ in idle:
            yield from _unless_closing(protocol.transport)


def _of_psycopg_connection(connection: Any) -> Iterable[Any]:
    """libpq closes it in C when it dies. A pool's connections may end with the process: the library does not warn either."""
    known = attributes(connection)
    return (connection,) if "pgconn" in known and "_pool" not in known else ()


def _of_asyncpg_connection(connection: Any) -> Iterable[Any]:
    return () if connection.is_closed() else _unless_closing(connection._transport)


def _of_mongo_pool(pool: Any) -> Iterable[Any]:
    """Its finalizer closes what no MongoClient.close() has closed. Those of a client's monitors are not the user's."""
    return () if pool.is_sdam else [one.conn.sock for one in pool.conns]


def _unless_closing(transport: Any) -> Iterable[Any]:
    return () if transport is None or transport.is_closing() else (transport.get_extra_info("socket"),)


_LATER: Final = (
    ("asyncio.selector_events", "_SelectorTransport", _of_transport),
    ("asyncio.streams", "StreamWriter", _of_stream_writer),  # has a finalizer since 3.11.4
    ("aiohttp.connector", "BaseConnector", _of_aiohttp_connector),
    ("redis.asyncio.connection", "AbstractConnection", _of_redis_connection),
    ("asyncpg.connection", "Connection", _of_asyncpg_connection),
    ("pymongo.synchronous.pool", "Pool", _of_mongo_pool),
    ("psycopg._connection_base", "BaseConnection", _of_psycopg_connection),
    ("psycopg.connection", "BaseConnection", _of_psycopg_connection),  # before 3.2
)
"""Imported by the suite, often after the run began. Others close silently when freed (requests, redis.Redis): no leak."""


def _descriptor(sock: Any) -> int:
    return _socket.socket.fileno(sock) if is_a(sock, _socket.socket) else descriptor(sock)


class _Finalizer(property):
    """A `__del__` that notes what dies; called by hand, as a subclass does, it is the real finalizer."""

    def __init__(self, note: Callable[[Any], None], finalizer: Any) -> None:
        self._note, self._finalizer = note, finalizer

        def finalize(dying: Any) -> Any:
            try:
                note(dying)
            except BaseException as error:  # noqa: BLE001  (the interpreter would drop it)
                return _then_raising(finalizer.__get__(dying), without_own_frames(error))
            return finalizer.__get__(dying)

        super().__init__(finalize)

    def __call__(self, dying: Any) -> Any:
        self._note(dying)
        return self._finalizer(dying)


class FinalizerWatch:
    """Calls `unclosed(sock)` for each socket that is finalized while open.

    `opened(connection)` is called when a library has made a connection whose socket C code has opened.
    """

    def __init__(self, unclosed: Callable[[Any], None], opened: Callable[[Any], None] | None = None) -> None:
        self._unclosed = unclosed
        self._opened = opened
        self._constructors: list[_Patch] = []
        self._patches: list[_Patch] = []
        self._waiting: list[tuple[str, str, Callable[[Any], Iterable[Any]]]] = []

    def start(self) -> None:
        """Patch what is imported already. In nested runs the outer watch stays in place."""
        if "__del__" in vars(socket.socket):
            return
        self._waiting = list(_LATER)
        self._patch(socket.socket, None, _socket.socket.__del__, _itself)  # type: ignore[attr-defined]
        self.look_again()

    def look_again(self) -> None:
        """Patch what was imported meanwhile; next to nothing when all is done."""
        for entry in tuple(self._waiting):
            module, name, sockets_of = entry
            if module in sys.modules:
                self._waiting.remove(entry)
                owner = getattr(sys.modules[module], name, None)
                finalizer = vars(owner).get("__del__") if owner is not None else None
                if finalizer is not None and type(finalizer) is not _Finalizer:
                    self._patch(owner, finalizer, finalizer, sockets_of)
                    if sockets_of is _of_psycopg_connection and self._opened is not None:
                        self._patch_constructor(owner, self._opened)

    def stop(self) -> None:
        """Put every class back as it was."""
        while self._patches:
            owner, finalizer = self._patches.pop()
            if finalizer is None:
                del owner.__del__
            else:
                owner.__del__ = finalizer
        while self._constructors:
            owner, constructor = self._constructors.pop()
            owner.__init__ = constructor

    def _patch_constructor(self, owner: Any, opened: Callable[[Any], None]) -> None:
        constructor = owner.__init__

        @functools.wraps(constructor)
        def construct(connection: Any, *args: Any, **named: Any) -> None:
            constructor(connection, *args, **named)
            try:
                opened(connection)
            except Exception as error:  # noqa: BLE001
                if comes_from_outside(error):
                    raise without_own_frames(error) from None

        owner.__init__ = construct
        self._constructors.append(_Patch(owner, constructor))

    def _patch(
        self, owner: Any, before: Any, finalizer: Any, sockets_of: Callable[[Any], Iterable[Any]]
    ) -> None:
        def note(dying: Any) -> None:
            self._note(dying, sockets_of)

        owner.__del__ = _Finalizer(note, finalizer)
        self._patches.append(_Patch(owner, before))

    def _note(self, dying: Any, sockets_of: Callable[[Any], Iterable[Any]]) -> None:
        try:
            for sock in sockets_of(dying):
                if sock is not None and _descriptor(sock) >= 0:
                    self._unclosed(sock)
        except BaseException as error:
            if comes_from_outside(error):
                raise


def _then_raising(finalizer: Any, error: BaseException) -> Any:
    """Return what calls `finalizer` and has `error` raised in this thread as soon as the finalization is over.

    Not a Python function: the interpreter would raise in its frame, where a finalization drops every exception.
    """
    import ctypes

    waiting = [
        error
    ]  # emptied when it is raised: the class that is made here lives until the next collection
    again = type("Again", (BaseException,), {"__new__": lambda _: waiting.pop()})
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    call = functools.partial(raise_in, ctypes.c_ulong(threading.get_ident()), ctypes.py_object(again))
    return functools.partial(collections.deque, map(operator.call, (finalizer, call)), 0)
