"""The commands whose output the documentation shows."""

from __future__ import annotations

from typing import NamedTuple


class Shown(NamedTuple):
    """One command: `pytest` with these arguments, and the part of its output to show."""

    name: str
    arguments: tuple[str, ...]
    status: int = 0
    first: str = ""
    last: str = ""
    file: str = ""
    """Show this file instead of the output; `{tmp}` in the arguments is the folder that contains it."""
    suffix: str = ".txt"


LEAKY = "leaky_service"

SHOWN = (
    Shown("leaky-green", (LEAKY, "-p", "no:sockets")),
    Shown("leaky-summary", (LEAKY, "-q"), first=" leaked sockets of "),
    Shown(
        "leaky-subscriber",
        (LEAKY, "-q", "--sockets-leaks=error"),
        status=1,
        first="ERROR at teardown of test_a_subscriber_hears_of_a_new_job",
        last="  fix ",
    ),
    Shown(
        "leaky-metrics",
        (LEAKY, "-q", "--sockets-leaks=error"),
        status=1,
        first="ERROR at teardown of test_a_count_does_not",
        last="  fix ",
    ),
    Shown(
        "leaky-worker",
        (LEAKY, "-q", "--sockets-leaks=error"),
        status=1,
        first="ERROR at teardown of test_a_worker",
        last="  fix ",
    ),
    Shown(
        "leaky-queue",
        (LEAKY, "-q", "--sockets-leaks=error"),
        status=1,
        first="ERROR at teardown of test_the_address",
        last="  fix ",
    ),
    Shown(
        "leaky-unclosed",
        (LEAKY, "-q", "--sockets-leaks=error", "--sockets-unclosed=error"),
        status=1,
        first="ERROR at teardown of test_a_wrong_token",
        last="  fix ",
    ),
    Shown(
        "baseline",
        (LEAKY, "-q", "--sockets-baseline={tmp}/known-leaks.txt", "--sockets-update-baseline"),
        file="known-leaks.txt",
    ),
    Shown(
        "baseline-known",
        (LEAKY, "-q", "--sockets-leaks=error", "--sockets-baseline=../outputs/baseline.txt"),
    ),
    Shown(
        "report",
        (LEAKY, "-q", "--sockets-report={tmp}/report.json", "-k", "loopback"),
        file="report.json",
        suffix=".json",
    ),
    Shown(
        "report-markdown",
        (LEAKY, "-q", "--sockets-report={tmp}/report.md"),
        file="report.md",
        suffix=".md",
    ),
    Shown("report-github", (LEAKY, "-q", "--sockets-report=github"), first="::warning", last="::warning"),
    Shown(
        "help",
        ("--help",),
        first="socket leaks, free ports and echo servers",
        last="range)",
    ),
    Shown(
        "wait-died",
        ("wait_for_a_server/fails_died.py", "-q", "--tb=short"),
        status=1,
        first="E   pytest_sockets.errors.ProcessDied",
        last="E     config.toml",
    ),
    Shown(
        "wait-timeout",
        ("wait_for_a_server/fails_timeout.py", "-q", "--tb=short"),
        status=1,
        last="listen on nothing",
    ),
    Shown(
        "address-in-use",
        ("address_in_use/fails_bind.py", "-q", "--tb=short"),
        status=1,
        last="lies in the kernel",
    ),
    Shown(
        "port-loopback",
        ("showcase/fails_port.py", "-q", "--tb=short"),
        status=1,
        first="E   assert",
        last="bind it to",
    ),
    Shown("clean", ("clean_service", "-q", "--sockets-leaks=error", "--sockets-unclosed=error")),
)
