"""The report for people: one file with everything in it, which asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from importlib import resources
from typing import TYPE_CHECKING, Final

from pytest_sockets.reports.json_report import sort_key
from pytest_sockets.reports.page_data import as_script, page_data, when

if TYPE_CHECKING:
    from pytest_sockets.reports.run import Run

HTML_MISSING: Final = (
    "an HTML report needs jinja2, which is not installed; install it with: pip install 'pytest-sockets[html]'"
)

_WITHOUT_SCRIPT = 100
"""How many leaks a browser without scripts is shown."""


def html_available() -> bool:
    """Whether the extra `html` is installed; looks, and imports nothing."""
    return importlib.util.find_spec("jinja2") is not None


def render_html(run: Run) -> str:
    """The whole page. Raises ImportError without the extra `html`: ask `html_available()` when the run starts.

    The content security policy in the page admits this page's own script and style by their hashes and nothing else: a
    name that came through all escaping would still not run, and no request can leave.
    """
    import jinja2
    from markupsafe import Markup

    style, script = _style(), _script()
    started, seconds = when(run)
    data = page_data(run)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(_page_file("page.html.j2")).render(
        run=run,
        headline=headline(run),
        started=started,
        seconds=f"{seconds:,.1f}" if seconds else "",
        workers=len({test.worker for test in run.tests}),
        figures=_figures(run),
        notes=_notes(run, data["omitted"]),
        plain=sorted(run.findings, key=sort_key)[:_WITHOUT_SCRIPT],
        listening=_by_process(run.listening),
        lists=[(title, lines) for title, lines in _lists(run) if lines],
        style=Markup(style),  # noqa: S704 -- our own file
        script=Markup(script),  # noqa: S704 -- our own file
        data=Markup(as_script(data)),  # noqa: S704 -- escaped by as_script
        style_hash=Markup(_hash(style)),  # noqa: S704
        script_hash=Markup(_hash(script)),  # noqa: S704
    )


def headline(run: Run) -> str:
    """The run in one sentence."""
    if not run.findings:
        return "No socket was left behind"
    count = len(run.findings)
    blamed = {(finding.owner_kind, finding.owner_name) for finding in run.findings}
    tests = sum(kind == "test" for kind, _ in blamed)
    fixtures = sum(kind == "fixture" for kind, _ in blamed)
    others = len(blamed) - tests - fixtures
    owners = [_count(tests, "test"), _count(fixtures, "fixture"), _count(others, "wider owner")]
    return f"{_count(count, 'socket')} left behind by {' and '.join(owner for owner in owners if owner)}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if number else ""


def _figures(run: Run) -> list[dict[str, str]]:
    unclosed = sum(finding.kind == "unclosed" for finding in run.findings)
    rows = [
        ("tests", run.tests_seen, ""),
        ("sockets opened", run.opened_total, ""),
        ("left open", len(run.findings) - unclosed, "open"),
        ("closed by the interpreter", unclosed, "unclosed"),
        ("known, in the baseline", run.known_leaks, ""),
        ("ports given", run.ports_given, ""),
        ("servers started", run.servers_started, ""),
    ]
    always = ("tests", "sockets opened", "left open")
    return [
        {"name": name, "value": f"{value:,}", "tone": tone if value else "none"}
        for name, value, tone in rows
        if value or name in always
    ]


def _notes(run: Run, omitted: list[int]) -> list[str]:
    notes = [*run.notes, *(f"pytest-sockets could not do everything: {trouble}" for trouble in run.troubles)]
    for number, noun in zip(omitted, ("tests", "sockets", "leaks"), strict=True):
        if number:
            notes.append(f"{number:,} more {noun} are counted above, but too many to be shown here.")
    return notes


def _lists(run: Run) -> list[tuple[str, list[str]]]:
    return [
        ("In the baseline, but gone", run.vanished),
        ("Ignore rules that matched nothing", run.unmatched_rules),
    ]


def _by_process(listening: list[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    ports: dict[str, list[str]] = {}
    for endpoint, process in listening:
        ports.setdefault(process, []).append(endpoint)
    return sorted((process, sorted(endpoints)) for process, endpoints in ports.items())


def _page_file(name: str) -> str:
    return (resources.files("pytest_sockets.reports") / "page" / name).read_text(encoding="utf-8")


def _style() -> str:
    return _page_file("page.css")


def _script() -> str:
    parts = resources.files("pytest_sockets.reports") / "page"
    names = sorted(part.name for part in parts.iterdir() if part.name.endswith(".js"))
    return '"use strict";\n(() => {\n' + "\n".join(_page_file(name) for name in names) + "})();\n"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
