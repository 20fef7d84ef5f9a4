"""Replace `{port}`, `{host}` and `{NAME_port}` in a command and its environment. Other braces stay unchanged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_sockets.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# `${port}` belongs to a shell, `{{port}}` to a template.
_BRACES: Final = re.compile(r"(?<![{$])\{([^{}\s\"':,]{1,60})\}(?!\})")
_NAMED: Final = re.compile(r"([A-Za-z][A-Za-z0-9_]*)_port")
_WORD: Final = re.compile(r"[a-z]+")
_KNOWN: Final = "use {port}, {host} or {NAME_port}"


def names_in(texts: Iterable[tuple[str, str]]) -> list[str]:
    """Return the names of the ports in the texts, in order: "" for `{port}`, "metrics" for `{metrics_port}`.

    `texts` are pairs of a text and its place. Raises `SettingError` for a misspelled placeholder.
    """
    found: dict[str, None] = {}
    for text, place in texts:
        for inner in _BRACES.findall(text):
            named = _NAMED.fullmatch(inner)
            if inner == "port":
                found[""] = None
            elif named:
                found[named[1]] = None
            elif inner != "host" and _looks_meant(inner):
                raise SettingError(f"unknown placeholder {{{inner}}} in {place}: {_KNOWN}")
    return list(found)


def filled(text: str, host: str, ports: Mapping[str, int]) -> str:
    """Return the text with its placeholders replaced. The keys of `ports` are the names from `names_in`."""

    def replaced(match: re.Match[str]) -> str:
        inner = match[1]
        if inner == "host":
            return host
        named = _NAMED.fullmatch(inner)
        name = "" if inner == "port" else str(named[1]) if named else None
        return match[0] if name is None else str(ports[name])

    return _BRACES.sub(replaced, text)


def _looks_meant(inner: str) -> bool:
    """Whether it is a misspelling, such as `{PORT}`, `{port1}` or `{prot}`. The server would get the braces otherwise."""
    words = _WORD.findall(inner.casefold())
    return any(word in ("port", "ports", "host") or sorted(word) in (_PORT, _HOST) for word in words)


_PORT: Final = sorted("port")
_HOST: Final = sorted("host")
