"""The HTML report: one file with everything in it, which sends no request to the network."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from importlib import resources
from typing import TYPE_CHECKING, Final

from pytest_sockets.printable import masked
from pytest_sockets.reports.json_report import sort_key
from pytest_sockets.reports.overview import headline, is_good
from pytest_sockets.reports.page_data import as_script, page_data, when
from pytest_sockets.reports.run import number

if TYPE_CHECKING:
    from pytest_sockets.reports.run import Run

HTML_MISSING: Final = 'an .html report needs jinja2; install it: pip install "pytest-sockets[html]"'

_WITHOUT_SCRIPT = 100
"""The number of leaks that a browser without scripts shows."""


def html_available() -> bool:
    """Whether the extra `html` is installed, without importing it."""
    return importlib.util.find_spec("jinja2") is not None


def render_html(run: Run) -> str:
    """Return the whole page. Raises ImportError without the extra `html`; check `html_available()` when the run starts.

    The content security policy of the page admits only its own script and style, by their hashes. A name that passed
    all escaping would still not run, and no request can leave the page.
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
        tone="good" if is_good(run) else "bad" if run.new else "plain",
        empty=_empty(run),
        command=masked(" ".join(run.environment.command)),
        versions=_versions(run),
        not_looked_for=run.not_looked_for,
        started=started,
        seconds=f"{seconds:,.1f}" if seconds else "",
        workers=len({test.worker for test in run.tests}),
        figures=_figures(run),
        notes=_notes(run, data["omitted"]),
        plain=sorted(run.findings, key=sort_key)[:_WITHOUT_SCRIPT],
        listening=_by_process(run.listening),
        lists=[(title, lines) for title, lines in _lists(run) if lines],
        style=Markup(style),  # noqa: S704 -- a file of this package
        script=Markup(script),  # noqa: S704 -- a file of this package
        data=Markup(as_script(data)),  # noqa: S704 -- escaped by as_script
        style_hash=Markup(_hash(style)),  # noqa: S704
        script_hash=Markup(_hash(script)),  # noqa: S704
    )


def _empty(run: Run) -> str:
    """Return the text for a run without leaks."""
    if not run.looked:
        return "Leaks were not looked for in this run: --sockets-leaks=warn looks for them."
    if not run.tests_seen:
        return "No test ran."
    if not run.opened_total:
        return "No test opened a socket."
    return "No leaked socket was found among those that were looked for."


def _versions(run: Run) -> list[str]:
    environment = run.environment
    found = (("pytest", environment.pytest), ("Python", environment.python), ("pytest-sockets", run.version))
    return [f"{name} {version}" for name, version in found if version]


def _figures(run: Run) -> list[dict[str, str]]:
    new = run.new
    unclosed = sum(finding.kind == "unclosed" for finding in new)
    rows = [
        ("test", "tests", run.tests_seen, ""),
        ("socket opened", "sockets opened", run.opened_total, ""),
        ("left open", "left open", len(new) - unclosed, "open"),
        ("closed by the interpreter", "closed by the interpreter", unclosed, "unclosed"),
        ("known, in the baseline", "known, in the baseline", len(run.known), ""),
        ("ignored by a rule", "ignored by rules", sum(run.ignored.values()), ""),
        ("port given", "ports given", run.ports_given, ""),
        ("server started", "servers started", run.servers_started, ""),
    ]
    always = ("tests", "sockets opened", "left open") if run.looked else ("tests",)
    return [
        {"name": one if value == 1 else many, "value": f"{value:,}", "tone": tone if value else "none"}
        for one, many, value, tone in rows
        if value or many in always
    ]


def _notes(run: Run, omitted: list[int]) -> list[str]:
    notes = [*run.counts, *run.notes]
    notes += [f"pytest-sockets could not do everything: {trouble}" for trouble in run.internal_errors]
    for count, noun in zip(omitted, ("more test", "more socket", "more leak"), strict=True):
        if count:
            verb = "is" if count == 1 else "are"
            notes.append(f"{number(count, noun)} {verb} counted above, but not shown here.")
    return notes


def _lists(run: Run) -> list[tuple[str, list[str]]]:
    return [
        ("Different from the baseline", run.baseline_changes),
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
