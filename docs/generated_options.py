"""Generate the table of options from the calls that declare them to pytest."""

from __future__ import annotations

from typing import Any

from pytest_sockets.plugin.options import add_options


class _Recorder:
    """Stands in for pytest's parser and its group, and records the declarations."""

    def __init__(self) -> None:
        self.options: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, dict[str, Any]] = {}

    def getgroup(self, *_args: str, **_kwargs: str) -> _Recorder:
        return self

    def addoption(self, name: str, **declared: Any) -> None:
        self.options[name] = declared

    def addini(self, name: str, help: str, type: str | None = None, **declared: Any) -> None:
        self.keys[name] = {"help": help, "type": type, **declared}


def options_table() -> str:
    """Return a Markdown table: option, ini key with its type, effect."""
    recorder = _Recorder()
    add_options(recorder)  # type: ignore[arg-type]
    lines = ["| option | ini key | type | what it does |", "|---|---|---|---|"]
    keys = dict(recorder.keys)
    for option, declared in recorder.options.items():
        key = option.lstrip("-").replace("-", "_")
        ini = keys.pop(key, None)
        value = declared.get("metavar")
        value = f"[={value}]" if declared.get("nargs") == "?" else f"={value}" if value else ""
        lines.append(
            _row(
                f"`{option}{value}`", f"`{key}`" if ini else "", ini["type"] if ini else "", declared["help"]
            )
        )
    for key, ini in keys.items():
        lines.append(
            _row("", f"`{key}`", ini["type"], f"{ini['help']} (default: {str(ini['default']).lower()})")
        )
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
