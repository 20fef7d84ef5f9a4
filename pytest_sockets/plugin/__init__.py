"""The pytest plugin: the only room that knows pytest. This file declares the options and brings in the parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

# Imported here, before any test can replace `socket.socket`.
from pytest_sockets import real_socket as _real_socket  # noqa: F401
from pytest_sockets.plugin import settings

if TYPE_CHECKING:
    from types import ModuleType


def pytest_addoption(parser: pytest.Parser) -> None:
    """The `--sockets-*` options and `sockets_*` ini keys."""
    settings.add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """`--sockets-table` prints the table instead of running tests."""
    if config.getoption("sockets_table") is None:
        return None
    from pytest_sockets.plugin import table_option

    return table_option.show(config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check every setting, then register the parts."""
    config.addinivalue_line(
        "markers",
        "sockets(leaks=None, grace=None, ignore=(), reason=None): how socket leaks of these tests are judged "
        "(pytest-sockets)",
    )
    config.stash[settings.SETTINGS] = settings.read_settings(config)
    for part in _parts():
        config.pluginmanager.register(part, part.__name__)
    from pytest_sockets.plugin import leak_hooks

    leak_hooks.register(config, config.stash[settings.SETTINGS])


def _parts() -> tuple[ModuleType, ...]:
    from pytest_sockets.plugin import address_in_use, asking, port_fixtures, server_fixtures

    return (address_in_use, asking, port_fixtures, server_fixtures)
