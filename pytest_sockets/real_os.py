"""The system calls that look at descriptors and /proc, as the interpreter came with them.

A fake file system (pyfakefs) replaces the module `os` and `open` in every module that names them, also in those that are
imported while it rules: there is no /proc then, and no descriptor is known. This module is imported when the plugin is
loaded, and what is bound in a class is not replaced.
"""

from __future__ import annotations

import io
import os
from typing import Any, Final


class RealOs:
    """Functions of `os` and `io` under their names, and constants; never an instance."""

    close = staticmethod(os.close)
    dup = staticmethod(os.dup)
    fstat = staticmethod(os.fstat)
    listdir = staticmethod(os.listdir)
    open = staticmethod(os.open)
    read = staticmethod(os.read)
    readlink = staticmethod(os.readlink)
    exists = staticmethod(os.path.exists)
    isdir = staticmethod(os.path.isdir)
    O_RDONLY: Final = os.O_RDONLY
    O_PATH: Final = getattr(os, "O_PATH", os.O_RDONLY)
    """Where there is none: `O_RDONLY`."""
    _open: Final[Any] = staticmethod(io.open)

    @classmethod
    def content(cls, path: str) -> bytes:
        """What is in this file; raises OSError as `open` does."""
        with cls._open(path, "rb") as file:
            return bytes(file.read())
