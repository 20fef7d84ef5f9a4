"""What a TLS server presents and demands: its contexts, and the client context that fits them."""

from __future__ import annotations

import dataclasses
import functools
import ssl
import weakref
from typing import TYPE_CHECKING, Final

from pytest_sockets.errors import SettingError, quoted
from pytest_sockets.servers.certificates import NAMES, Certificate, certificate_of, process_authority

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.literals import ClientCertificate
    from pytest_sockets.servers.certificates import Authority

_VERIFY_MODES: Final = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_LONGEST_ALPN: Final = 255  # RFC 7301


@dataclasses.dataclass(frozen=True, slots=True)
class TlsSettings:
    """How a server speaks TLS, beside its certificate. Raises SettingError for values that TLS does not have."""

    alpn: tuple[str, ...] = ()
    client_certificate: ClientCertificate = "none"
    minimum_version: ssl.TLSVersion | None = None
    maximum_version: ssl.TLSVersion | None = None

    def __post_init__(self) -> None:
        if self.client_certificate not in _VERIFY_MODES:
            choices = ", ".join(map(repr, _VERIFY_MODES))
            raise SettingError(f"client_certificate={self.client_certificate!r}: use one of {choices}")
        for name in ("minimum_version", "maximum_version"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, ssl.TLSVersion):
                raise SettingError(
                    f"{name}={value!r}: use a member of ssl.TLSVersion, such as ssl.TLSVersion.TLSv1_3"
                )
        low, high = self.minimum_version, self.maximum_version
        if low is not None and high is not None and 0 < high < low:
            raise SettingError(f"minimum_version={low.name} is above maximum_version={high.name}")

    def apply(self, context: ssl.SSLContext, authority: Authority) -> None:
        """Set them on a server's context; `authority` signs the certificates of clients."""
        if self.client_certificate != "none":
            authority.trust(context)
            context.verify_mode = _VERIFY_MODES[self.client_certificate]
        self.apply_common(context)

    def apply_common(self, context: ssl.SSLContext) -> None:
        """Set what holds for both sides."""
        if self.alpn:
            context.set_alpn_protocols(list(self.alpn))
        if self.minimum_version is not None:
            context.minimum_version = self.minimum_version
        if self.maximum_version is not None:
            context.maximum_version = self.maximum_version


def checked_alpn(names: Iterable[str] | None) -> tuple[str, ...]:
    """ALPN protocol names such as "h2", in the order of preference. Raises SettingError."""
    if names is None:
        return ()
    try:
        found = () if isinstance(names, (str, bytes)) else tuple(names)
    except TypeError:
        found = ()
    if not found or not all(
        isinstance(name, str) and 0 < len(name) <= _LONGEST_ALPN and name.isascii() for name in found
    ):
        raise SettingError(f"alpn={quoted(names)}: use a list of protocol names, such as ['h2', 'http/1.1']")
    return found


class ServerTls:
    """The TLS side of one server."""

    def __init__(self, context: ssl.SSLContext | Certificate | None, settings: TlsSettings) -> None:
        if context is not None and not isinstance(context, (ssl.SSLContext, Certificate)):
            raise SettingError(
                f"context={quoted(context)}: use an ssl.SSLContext or a certificate of sockets_tls.issue()"
            )
        self._settings = settings
        self._certificate = context if isinstance(context, Certificate) else certificate_of(context)
        self.authority = self._certificate.authority if self._certificate is not None else process_authority()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._contexts["good"] = self._own(context)  # made here: the hub must not spend 4 ms on it

    def _own(self, context: ssl.SSLContext | Certificate | None) -> ssl.SSLContext:
        if isinstance(context, ssl.SSLContext):
            _claim(context, self._settings)
        elif isinstance(context, Certificate):
            context = context.make_server_context()
        elif self._settings == TlsSettings():
            return self.authority.context("good")
        else:
            context = self.authority.make_context("good")
        self._settings.apply(context, self.authority)
        return context

    def context(self, kind: str) -> ssl.SSLContext:
        """The server's context: "good", or the kind of certificate that a fault wants."""
        if kind not in self._contexts:
            if self._settings == TlsSettings():
                return self.authority.context(kind)
            context = self._contexts[kind] = self.authority.make_context(kind)
            self._settings.apply(context, self.authority)
        return self._contexts[kind]

    @functools.cached_property
    def client_context(self) -> ssl.SSLContext:
        """For a client of this server: trusts its authority, and presents a certificate if the server asks for one."""
        if self._settings == TlsSettings():
            return self.authority.client_context
        if self._settings.client_certificate == "none":
            context = self.authority.make_client_context()
        else:
            context = self.authority.issue("client.test").make_client_context()
        self._settings.apply_common(context)
        return context

    def server_name(self, host: str) -> str:
        """The name for which a client that connects to `host` must ask."""
        names = NAMES if self._certificate is None else self._certificate.names
        return host if host in names else names[0]


_claimed: weakref.WeakKeyDictionary[ssl.SSLContext, TlsSettings] = weakref.WeakKeyDictionary()
"""The settings that a server has put on a context of the user's: a second server must not change them."""


def _claim(context: ssl.SSLContext, settings: TlsSettings) -> None:
    before = _claimed.setdefault(context, settings)
    if before != settings:
        raise SettingError(
            f"context: another server has set {before} on this ssl.SSLContext, and {settings} would change that server; "
            "give each server a context of its own, or pass the certificate of sockets_tls.issue() as context="
        )
