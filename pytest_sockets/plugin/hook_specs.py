"""Hooks that conftest files and other plugins can implement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from pytest_sockets.leaks.findings import Finding


def pytest_sockets_finding(finding: Finding, config: pytest.Config) -> bool | None:
    """Called for each leaked socket before it is compared with the baseline and reported.

    It is called in the process that ran the test, which is the worker with pytest-xdist, and not for what an ignore rule
    covers. A hook in a conftest file is called for owners below its folder only.

    :param finding:
        The finding. Its fields cannot be assigned; ``finding.annotations`` is a dictionary of texts that every report shows.
    :param config:
        The pytest configuration.
    :returns:
        ``False`` to drop the finding, which is then counted as ignored. Anything else keeps it.
    """


def pytest_sockets_report(report: dict[str, Any], config: pytest.Config) -> None:
    """Called once when the run is over, in the controller with pytest-xdist, whether or not a report file is wanted.

    :param report:
        The whole run in the shape of the JSON report.
    :param config:
        The pytest configuration.
    """
