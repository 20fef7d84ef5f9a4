"""Hooks that sort leaks by team and write a line for a dashboard."""

from pathlib import Path


def pytest_sockets_finding(finding, config):
    """Name the team, and drop leaks of a vendored library."""
    if any("/vendor/" in frame.file for frame in finding.stack):
        return False
    if finding.owner_file:
        finding.annotations["team"] = Path(finding.owner_file).parts[0]
    return None


def pytest_sockets_report(report, config):
    """Keep the totals of the run for other hooks and tests."""
    config.sockets_totals = report["totals"]
