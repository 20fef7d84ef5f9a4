"""Print every file and folder that this machine's pip settings name, one absolute path per line.

A chroot needs them at the same places: the settings files themselves, certificates, constraints and local indexes.
Run it with an interpreter that has pip.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

_CERTIFICATES = re.compile(r"CERT|CA_BUNDLE|CAINFO")


def main() -> None:
    """Print the paths, parents first."""
    named = [*_settings_files(), *(path for value in _values() for path in _paths(value))]
    for path in sorted(set(named)):
        if path.exists() and path != path.parent:
            print(path)


def _pip(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=True)
    return done.stdout


def _settings_files() -> list[Path]:
    return [
        Path(name) for name in re.findall(r"^\s+(/.+), exists: True$", _pip("config", "debug"), re.MULTILINE)
    ]


def _values() -> list[str]:
    listed = [line.partition("=")[2].strip("'\"") for line in _pip("config", "list").splitlines()]
    variables = [
        value for name, value in os.environ.items() if name.startswith("PIP_") or _CERTIFICATES.search(name)
    ]
    return listed + variables


def _paths(value: str) -> list[Path]:
    found = []
    for word in value.replace("\\n", " ").split():
        if word.startswith("file://"):
            folder = Path(unquote(urlsplit(word).path))
            # The pages of a local index usually link to files beside the folder of pages.
            found.append(folder if folder.parent == folder.parent.parent else folder.parent)
        elif word.startswith("/"):
            found.append(Path(word))
    return found


if __name__ == "__main__":
    main()
