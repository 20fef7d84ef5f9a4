"""A throw-away certificate authority, made by trustme when the first TLS server needs it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import originals
from pytest_sockets.errors import ServerFault

if TYPE_CHECKING:
    import pathlib
    import ssl
    import tempfile

NAMES: Final = ("localhost", "127.0.0.1", "::1")
WRONG_NAME: Final = "wrong-host.invalid"


class Authority:
    """A CA that only this process knows, and contexts whose certificates it signed for localhost, 127.0.0.1 and ::1.

    Raises `ServerFault` with the command to install trustme where it is missing.
    """

    def __init__(self) -> None:
        self._trustme = _import_trustme()
        self._ca = self._trustme.CA()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    @functools.cached_property
    def server_context(self) -> ssl.SSLContext:
        """For a server: a good certificate."""
        return self.context("good")

    @functools.cached_property
    def client_context(self) -> ssl.SSLContext:
        """For a client: trusts this authority and nobody else, checks the host name."""
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._ca.configure_trust(context)
        return context

    @property
    def ca_pem(self) -> bytes:
        """The authority's own certificate, PEM."""
        pem: bytes = self._ca.cert_pem.bytes()
        return pem

    @functools.cached_property
    def ca_file(self) -> pathlib.Path:
        """The same as a file, for tools that want a path (curl --cacert). It goes when the process ends."""
        import pathlib
        import tempfile

        self._directory = tempfile.TemporaryDirectory(prefix="pytest-sockets-", ignore_cleanup_errors=True)
        path = pathlib.Path(self._directory.name, "ca.pem")
        path.write_bytes(self.ca_pem)
        return path

    def context(self, kind: str) -> ssl.SSLContext:
        """A server's context: "good", "expired", "wrong host" or "untrusted". Each is made once (4 ms)."""
        if kind not in self._contexts:
            self._contexts[kind] = self._make(kind)
        return self._contexts[kind]

    def _make(self, kind: str) -> ssl.SSLContext:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._certificate(kind).configure_cert(context)
        return context

    def _certificate(self, kind: str) -> Any:
        if kind == "expired":
            import datetime

            yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
            return self._ca.issue_cert(
                *NAMES, not_before=yesterday - datetime.timedelta(days=30), not_after=yesterday
            )
        if kind == "wrong host":
            return self._ca.issue_cert(WRONG_NAME)
        if kind == "untrusted":
            return self._trustme.CA().issue_cert(*NAMES)
        return self._ca.issue_cert(*NAMES)

    def close(self) -> None:
        """Take the CA file away."""
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None
            self.__dict__.pop("ca_file", None)


def _import_trustme() -> Any:
    originals.load_ssl()
    try:
        import trustme
    except ImportError as error:
        raise ServerFault(
            f"TLS servers need the package trustme, which cannot be imported ({error})\n"
            "install it with: pip install pytest-sockets[tls]"
        ) from error
    return trustme


@functools.cache
def process_authority() -> Authority:
    """The one of this process: all its TLS servers and the `sockets_tls` fixture share it."""
    return Authority()
