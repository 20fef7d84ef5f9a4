"""A throw-away certificate authority and the certificates that it issues, made by trustme on first use."""

from __future__ import annotations

import datetime
import functools
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import originals
from pytest_sockets.errors import ServerFault, SettingError, blames_the_call, quoted

if TYPE_CHECKING:
    import ssl

NAMES: Final = ("localhost", "127.0.0.1", "::1")
WRONG_NAME: Final = "wrong-host.invalid"

_certificates: weakref.WeakKeyDictionary[ssl.SSLContext, Certificate] = weakref.WeakKeyDictionary()
"""The certificate that each server context of `Certificate` presents."""


class Authority:
    """A certificate authority that only this process knows.

    `server_context` and `context()` present certificates for localhost, 127.0.0.1 and ::1; `issue()` makes others. Raises
    `ServerFault` with the command that installs trustme where it is missing.
    """

    def __init__(self) -> None:
        self._trustme = _import_trustme()
        self._ca = self._trustme.CA()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._remove_folder: weakref.finalize[..., Authority] | None = None

    @functools.cached_property
    def server_context(self) -> ssl.SSLContext:
        """For a server of your own: a certificate for localhost, 127.0.0.1 and ::1."""
        return self.make_context("good")

    @functools.cached_property
    def client_context(self) -> ssl.SSLContext:
        """For a client: trusts this authority only, and checks the host name."""
        return self.make_client_context()

    @property
    def ca_pem(self) -> bytes:
        """The authority's own certificate, PEM."""
        pem: bytes = self._ca.cert_pem.bytes()
        return pem

    @functools.cached_property
    def ca_file(self) -> Path:
        """The same as a file, for tools that want a path (curl --cacert). Removed when the process ends."""
        return self.write("ca.pem", self.ca_pem)

    @blames_the_call
    def issue(
        self,
        *names: str,
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
    ) -> Certificate:
        """Issue a certificate for these host names, IP addresses or e-mail addresses, for a server or a client.

        It is valid now, or from `not_before` to `not_after`. Raises SettingError for what cannot be in a certificate.
        """
        if not names or not all(isinstance(name, str) and name for name in names):
            raise SettingError(f"issue({quoted(names)}): give host names or IP addresses, such as 'api.test'")
        try:
            leaf = self._ca.issue_cert(*names, not_before=not_before, not_after=not_after)
        except (ValueError, TypeError) as error:
            raise SettingError(f"issue({quoted(names)}): no certificate can be made: {error}") from None
        return Certificate(self, names, leaf)

    def trust(self, context: ssl.SSLContext) -> None:
        """Let this context accept the certificates of this authority."""
        self._ca.configure_trust(context)

    def context(self, kind: str) -> ssl.SSLContext:
        """A context that servers share: "good", "expired", "wrong host" or "untrusted". Each is made once (4 ms)."""
        if kind not in self._contexts:
            self._contexts[kind] = self.make_context(kind)
        return self._contexts[kind]

    def make_context(self, kind: str) -> ssl.SSLContext:
        """A new server context of this kind."""
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._certificate(kind).configure_cert(context)
        return context

    def make_client_context(self) -> ssl.SSLContext:
        """A new client context that trusts this authority."""
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.trust(context)
        return context

    def _certificate(self, kind: str) -> Any:
        if kind == "expired":
            yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
            return self._ca.issue_cert(
                *NAMES, not_before=yesterday - datetime.timedelta(days=30), not_after=yesterday
            )
        if kind == "wrong host":
            return self._ca.issue_cert(WRONG_NAME)
        if kind == "untrusted":
            return self._trustme.CA().issue_cert(*NAMES)
        return self._ca.issue_cert(*NAMES)

    def write(self, name: str, content: bytes) -> Path:
        """A new file that only this user can read, in a directory that is removed when the process ends."""
        if self._remove_folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="pytest-sockets-"))
            self._remove_folder = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / name
        path.touch(0o600)
        path.write_bytes(content)
        return path

    def close(self) -> None:
        """Remove the files."""
        if self._remove_folder is not None:
            self._remove_folder()
            self._remove_folder = None
            self.__dict__.pop("ca_file", None)


class Certificate:
    """A certificate with its private key, as files and as contexts. `Authority.issue()` makes them."""

    def __init__(self, authority: Authority, names: tuple[str, ...], leaf: Any) -> None:
        self.authority = authority
        self.names = names
        """The names it is for."""
        self._leaf = leaf

    @property
    def cert_pem(self) -> bytes:
        """The certificate, PEM."""
        return b"".join(blob.bytes() for blob in self._leaf.cert_chain_pems)

    @property
    def key_pem(self) -> bytes:
        """The private key, PEM."""
        pem: bytes = self._leaf.private_key_pem.bytes()
        return pem

    @functools.cached_property
    def cert_file(self) -> Path:
        """The certificate as a file, for programs that want a path. Removed when the process ends."""
        return self.authority.write(f"{id(self):x}.pem", self.cert_pem)

    @functools.cached_property
    def key_file(self) -> Path:
        """The private key as a file that only this user can read. Removed when the process ends."""
        return self.authority.write(f"{id(self):x}.key", self.key_pem)

    @functools.cached_property
    def server_context(self) -> ssl.SSLContext:
        """For a server that presents this certificate."""
        return self.make_server_context()

    @functools.cached_property
    def client_context(self) -> ssl.SSLContext:
        """For a client that presents this certificate if it is asked, trusts this authority and checks the host name."""
        return self.make_client_context()

    def make_server_context(self) -> ssl.SSLContext:
        """A new `server_context`."""
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._leaf.configure_cert(context)
        _certificates[context] = self
        return context

    def make_client_context(self) -> ssl.SSLContext:
        """A new `client_context`."""
        context = self.authority.make_client_context()
        self._leaf.configure_cert(context)
        return context

    def __repr__(self) -> str:
        return f"<Certificate for {', '.join(self.names)}>"


def certificate_of(context: ssl.SSLContext | None) -> Certificate | None:
    """The certificate whose `server_context` this is."""
    return None if context is None else _certificates.get(context)


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
    """The authority of this process: all its TLS servers and the `sockets_tls` fixture share it."""
    return Authority()
