"""Generate the list of packages and modules, each with the first line of its docstring."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "pytest_sockets"


def module_list() -> str:
    """Return Markdown: a heading for each package, a row for each module."""
    parts = []
    for folder in (PACKAGE, *sorted(path for path in PACKAGE.rglob("*") if (path / "__init__.py").exists())):
        modules = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
        name = ".".join(folder.relative_to(PACKAGE.parent).parts)
        parts += [
            f"### `{name}`",
            "",
            _first_line(folder / "__init__.py"),
            "",
            "| module | what it is for |",
            "|---|---|",
        ]
        parts += [f"| `{path.stem}` | {_first_line(path)} |" for path in modules]
        parts.append("")
    return "\n".join(parts)


def _first_line(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].replace("|", "\\|")
