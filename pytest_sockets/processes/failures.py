"""Explain why a server did not start, or ended: exit status, holder of its port, end of its output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_sockets import model
from pytest_sockets.asserting import bind_errors, in_use, messages
from pytest_sockets.asserting.holder_text import who_holds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pytest_sockets.literals import PortProtocol

_SHOWN: Final = 4
_KEEPS: Final = (model.LISTEN, model.CLOSE, model.NONE)
"""The statuses that keep every server from binding, even with SO_REUSEADDR."""


def text(headline: str, details: Iterable[str], output: Sequence[str]) -> str:
    """Return the whole message: the event, its likely cause, and the last output of the server."""
    lines = [headline, *details]
    if output:
        lines += ["the end of its output:", *(f"  {line}" for line in output)]
    else:
        lines.append("it wrote no output")
    return "\n".join(lines)


def taken_ports(
    ports: Iterable[int], protocol: PortProtocol, tree: Collection[int], output: Sequence[str]
) -> list[str]:
    """Return the holders of the server's ports, and of the port that its output reports as taken."""
    found: dict[int, None] = dict.fromkeys(
        port
        for port in ports
        if any(holder.pid not in tree and holder.status in _KEEPS for holder in who_holds(port, protocol))
    )
    lines = [in_use.explanation(in_use.Address(None, port, protocol)) for port in found]
    address = bind_errors.in_text("\n".join(output))
    if address is not None and address.port is not None and address.port not in found:
        lines.append(in_use.explanation(address))
    return [line for line in lines if line]


def listens_instead(tree: Sequence[int], protocol: PortProtocol) -> list[str]:
    """Return sentences about the listeners of the tree."""
    from pytest_sockets.table import holders

    found = [entry for entry in holders.listening_of(tree) if entry.protocol == protocol]
    if not found:
        return [f"none of its processes listens on any {protocol} port"]
    return messages.listed((messages.sentence(entry) for entry in found), _SHOWN)
