"""Find sockets that no code closed: the interpreter finalizes an object that still has its descriptor.

Off by default. When on, `socket.socket` (whose own finalizer is in C) gets another `__del__`, and so do the few classes
whose finalizer warns of an open connection and closes it (of asyncio, aiohttp, redis). The new `__del__` is a property on
purpose. The interpreter looks `__del__` up through the descriptor protocol, so this plugin's part runs before the real
finalizer, which is then called without a frame of this plugin. Its ResourceWarning keeps its place, and the user's filters
see the same module.
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
    """The original, to restore; None if the class had none of its own."""


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
    """Its finalizer closes connections that no MongoClient.close() has closed. A client's monitors do not count."""
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
"""Classes to patch once the suite imports them. Others close silently when freed (requests, redis.Redis): no leak."""


def _descriptor(sock: Any) -> int:
    return _socket.socket.fileno(sock) if is_a(sock, _socket.socket) else descriptor(sock)


class _Finalizer(property):
    """A `__del__` that records the dying object. An explicit call, as in a subclass, runs the real finalizer too."""

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

    `opened(connection)` is called when a library has made a connection with a socket that C code opened.
    """

    def __init__(self, unclosed: Callable[[Any], None], opened: Callable[[Any], None] | None = None) -> None:
        self._unclosed = unclosed
        self._opened = opened
        self._constructors: list[_Patch] = []
        self._patches: list[_Patch] = []
        self._waiting: list[tuple[str, str, Callable[[Any], Iterable[Any]]]] = []

    def start(self) -> None:
        """Patch the classes imported so far. In a nested run, the outer watch stays in place."""
        if "__del__" in vars(socket.socket):
            return
        self._waiting = list(_LATER)
        self._patch(socket.socket, None, _socket.socket.__del__, _itself)  # type: ignore[attr-defined]
        self.look_again()

    def look_again(self) -> None:
        """Patch the classes imported since then. Costs almost nothing once all are patched."""
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
        """Restore every class."""
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
    """Return a callable that runs `finalizer`. `error` is raised in this thread as soon as the finalization is over.

    It is not a Python function: the interpreter would raise in its frame, where a finalization drops every exception.
    """
    import ctypes

    waiting = [
        error
    ]  # Emptied when the error is raised, since the class made here lives until the next collection.
    again = type("Again", (BaseException,), {"__new__": lambda _: waiting.pop()})
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    call = functools.partial(raise_in, ctypes.c_ulong(threading.get_ident()), ctypes.py_object(again))
    return functools.partial(collections.deque, map(operator.call, (finalizer, call)), 0)
