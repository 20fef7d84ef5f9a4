"""The command-line options and ini keys. `settings` reads and checks their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and ini key. An option with an ini key defaults to None, so that the ini value can apply."""
    group = parser.getgroup("sockets", "socket leaks, free ports and echo servers (pytest-sockets)")
    off_warn_error = "off, warn or error"
    group.addoption(
        "--sockets-leaks",
        metavar="MODE",
        default=None,
        help=f"sockets left open: {off_warn_error} (default: warn)",
    )
    group.addoption(
        "--sockets-unclosed",
        metavar="MODE",
        default=None,
        help=f"sockets that only the interpreter closed: {off_warn_error} (default: off)",
    )
    group.addoption(
        "--sockets-grace",
        metavar="SECONDS",
        default=None,
        help="how long a socket may take to close after its owner's teardown (default: 0.5)",
    )
    group.addoption(
        "--sockets-ignore",
        metavar="RULE",
        action="append",
        default=None,
        help='do not report sockets that match all key=glob pairs of RULE, e.g. "remote=127.0.0.1:5432"; repeatable',
    )
    group.addoption(
        "--sockets-kinds",
        metavar="LIST",
        default=None,
        help="which sockets to watch: tcp, udp, unix, or unix-path for those with a path (default: tcp,udp,unix-path)",
    )
    group.addoption(
        "--sockets-scope",
        metavar="SCOPE",
        default=None,
        help="process, or tree: also what child processes leave listening (default: tree)",
    )
    group.addoption(
        "--sockets-report",
        metavar="PATH",
        action="append",
        default=None,
        help="write a report when the run ends: .json, .html, .md or .sarif; or the word github; repeatable",
    )
    group.addoption(
        "--sockets-baseline", metavar="FILE", default=None, help="a file of known leaks, which do not fail"
    )
    group.addoption(
        "--sockets-update-baseline",
        action="store_true",
        default=False,
        help="rewrite the baseline file from this run's leaks",
    )
    group.addoption(
        "--sockets-baseline-strict",
        action="store_true",
        default=False,
        help="fail if the baseline lists leaks that are gone",
    )
    group.addoption(
        "--sockets-table",
        metavar="FILTER",
        nargs="?",
        const="",
        default=None,
        help="print the socket table with its holders and exit; FILTER: a status, :PORT, tcp, udp, unix, a process id or "
        "name; left: processes that interrupted runs left behind",
    )
    group.addoption(
        "--sockets-show-secrets",
        action="store_true",
        default=False,
        help="show passwords in the command lines of processes, which are masked as *** otherwise",
    )
    group.addoption(
        "--sockets-ports",
        metavar="LOW-HIGH",
        default=None,
        help="where free ports come from (default: outside the ephemeral range)",
    )
    parser.addini("sockets_leaks", f"sockets left open: {off_warn_error}", type="string", default=None)
    parser.addini(
        "sockets_unclosed",
        f"sockets that only the interpreter closed: {off_warn_error}",
        type="string",
        default=None,
    )
    parser.addini("sockets_grace", "seconds a socket may take to close", type="float", default=None)
    parser.addini("sockets_ignore", "rules for sockets that are not reported", type="linelist", default=[])
    parser.addini(
        "sockets_kinds", "which sockets to watch: tcp, udp, unix, unix-path", type="string", default=None
    )
    parser.addini("sockets_scope", "process or tree", type="string", default=None)
    parser.addini(
        "sockets_report", "reports to write: .json, .html, .md, .sarif or github", type="linelist", default=[]
    )
    parser.addini("sockets_baseline", "a file of known leaks", type="string", default=None)
    parser.addini("sockets_ports", "LOW-HIGH: where free ports come from", type="string", default=None)
    parser.addini(
        "sockets_override_ports",
        "serve other plugins' port fixtures from this plugin's pool",
        type="bool",
        default=False,
    )
