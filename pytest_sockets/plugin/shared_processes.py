"""Server processes under pytest-xdist: they end with the controller, and some serve all workers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_sockets.plugin.hook_object import HookObject

if TYPE_CHECKING:
    from pytest_sockets.processes.shared import SharedServers

_CONTROLLER: Final = "sockets_controller"
"""A key in `workerinput`: the controller's process id and its host."""


def _host() -> str:
    return f"{os.uname().nodename}" if hasattr(os, "uname") else ""


def controller(config: pytest.Config) -> tuple[int, ...]:
    """Return the process id of the xdist controller in a worker on the same machine, else nothing.

    A worker outlives its controller by up to fifteen seconds; its servers must not.
    """
    known = getattr(config, "workerinput", {}).get(_CONTROLLER)
    return (known[0],) if known is not None and known[1] == _host() else ()


def of_run(config: pytest.Config) -> SharedServers | None:
    """Return where this worker finds the servers of the whole run; None if this process is the run."""
    pids = controller(config)
    if not pids or not hasattr(os, "fork"):
        return None
    from pytest_sockets.processes.shared import SharedServers

    return SharedServers(config.workerinput["testrunuid"], pids[0])  # type: ignore[attr-defined]


class SharedProcesses(HookObject):
    """Passes the controller's id to each worker, and ends the shared servers after the last worker."""

    def __init__(self) -> None:
        self._run: str | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Prepare a worker before it starts, including one that replaces a crashed one."""
        node.workerinput[_CONTROLLER] = (os.getpid(), _host())
        self._run = node.workerinput["testrunuid"]

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """End the shared servers: every worker has ended by now."""
        if self._run is None or not hasattr(os, "fork"):
            return
        from pytest_sockets.processes import shared

        for text in shared.end_all(self._run):
            import warnings

            warnings.warn(text, stacklevel=1)


def __dir__() -> list[str]:
    return []
