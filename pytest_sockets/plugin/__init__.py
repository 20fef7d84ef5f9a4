"""The plugin: declares the options and registers its hook objects. Only this package knows pytest.

A run without leaks imports only what it needs: the budget is 3 % of the two seconds that 4,000 empty tests take. This
file is short, because pytest reads it with assertion rewriting, byte by byte.
"""

from __future__ import annotations

import contextlib as _contextlib

import pytest

from pytest_sockets.without_rewriting import without_rewriting

with without_rewriting():
    # Imported now, before a test can replace a socket class, a clock or a thread.
    from pytest_sockets import originals as _originals  # noqa: F401
    from pytest_sockets import printable as _printable
    from pytest_sockets import real_socket as _real_socket  # noqa: F401
    from pytest_sockets.plugin import hook_specs as _hook_specs
    from pytest_sockets.plugin import options as _options
    from pytest_sockets.plugin import registration as _registration
    from pytest_sockets.plugin import settings as _settings

__all__ = ["pytest_addhooks", "pytest_addoption", "pytest_cmdline_main", "pytest_configure"]
"""The only names that pytest inspects, see `HookObject`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the `--sockets-*` options and the `sockets_*` ini keys."""
    _options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hooks that conftest files can implement."""
    pluginmanager.add_hookspecs(_hook_specs)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Print the table for `--sockets-table`, instead of running tests."""
    if config.getoption("sockets_table") is None:
        return None
    from pytest_sockets.plugin import table_option

    return table_option.show(config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check every setting, then register the hook objects."""
    config.addinivalue_line(
        "markers",
        "sockets(leaks=None, grace=None, ignore=(), reason=None): how socket leaks of these tests are judged "
        "(pytest-sockets)",
    )
    settings = config.stash[_settings.SETTINGS] = _settings.Settings(config)
    if settings.show_secrets:
        shown = _contextlib.ExitStack()
        shown.enter_context(_printable.secrets_shown())
        config.add_cleanup(shown.close)
    with without_rewriting():
        _registration.register(config, settings)


def __dir__() -> list[str]:
    return __all__
