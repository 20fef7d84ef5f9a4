"""Faults of TLS: a certificate that a careful client must not accept, a handshake that never ends."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from pytest_sockets.servers.faults.base import Fault

_TLS = frozenset({"tls"})


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class TlsFault(Fault):
    """Decided when a connection is accepted: the first such fault that is for it wins."""

    transports: ClassVar[frozenset[str]] = _TLS
    certificate: ClassVar[str] = "good"

    def works_in(self, direction: str) -> bool:  # noqa: ARG002
        """In neither: there is nothing for a stage to do."""
        return False

    def _check(self) -> None:
        if self.direction != "out":
            self._bad("direction", "a TLS handshake has no direction; leave it out")


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class ExpiredCertificate(TlsFault):
    """The certificate ended yesterday: `ssl.SSLCertVerificationError`, "certificate has expired"."""

    certificate: ClassVar[str] = "expired"


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class WrongHost(TlsFault):
    """The certificate is for another name: `ssl.SSLCertVerificationError`, "Hostname mismatch" or "IP address mismatch"."""

    certificate: ClassVar[str] = "wrong host"


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class UntrustedCA(TlsFault):
    """An unknown authority signed it: `ssl.SSLCertVerificationError`, "unable to get local issuer certificate"."""

    certificate: ClassVar[str] = "untrusted"


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class HandshakeHang(TlsFault):
    """TCP connects, the client's hello is read, nothing is ever answered: the client's handshake times out."""

    certificate: ClassVar[str] = "hang"
