"""The markdown report is short, grouped, and shows every name literally."""

from __future__ import annotations

import pytest

from pytest_sockets.reports.markdown_report import MOST_LINES, code, escaped, render_markdown
from pytest_sockets.reports.run import Mode, Run


def test_it_reads_like_this(finding_factory):
    findings = [
        finding_factory(
            owner=f"tests/test_a.py::test_x[{n}]",
            place=("lib/net.py", 4, "open_udp"),
            protocol="udp",
            status="NONE",
        )
        for n in range(3)
    ]
    findings.append(finding_factory(known=True))
    run = Run("0.1.0", Mode(unclosed="warn", kinds=("tcp", "udp", "unix")), opened_total=9, findings=findings)
    run.ignored = {"remote=*:5432": 2}
    assert render_markdown(run).splitlines() == [
        "## 3 sockets left behind by 3 tests",
        "",
        "9 sockets opened, 3 leaked, 1 known, 2 ignored",
        "",
        "| leaks | opened at | owners |",
        "| --- | --- | --- |",
        "| 3 x udp | `lib/net.py:4` | `tests/test_a.py::test_x[...]` (3) |",
        "| 1 x tcp 127.0.0.1:40001 LISTEN (known) | `tests/test_api.py:41` | `tests/test_api.py::test_upload` |",
        "",
        "- `lib/net.py:4`: close it also when the test fails: "
        "\\`with contextlib.closing(...)\\` or a fixture with \\`yield\\`",
        "- `tests/test_api.py:41`: close the server also when the test fails: \\`with\\` or a fixture with \\`yield\\`",
        "",
        "- 1 known leak of the baseline is not new.",
        "- 2 leaks ignored: 2 by 'remote=\\*:5432'.",
    ]


def test_a_clean_run_and_one_that_was_off_are_told_apart():
    assert render_markdown(Run("1")).startswith("## No leaked socket was found\n")
    off = render_markdown(Run("1", Mode("off")))
    assert off.startswith("## Leaks were not looked for\n")
    assert "No leaked socket" not in off


def test_the_largest_run_has_60_lines(finding_factory):
    kinds = ("test", "fixture", "class", "module", "import")
    findings = [
        finding_factory(owner=f"t{n}.py::test_{n}", place=(f"lib/{n}.py", n + 1, "f"), owner_kind=kinds[n % 5])
        for n in range(5000)
    ]  # fmt: skip
    run = Run(
        "1",
        findings=findings,
        baseline_changes=["gone"] * 12,
        internal_errors=["t"] * 99,
        unmatched_rules=["r"] * 99,
    )
    lines = render_markdown(run).splitlines()
    assert len(lines) <= MOST_LINES
    assert "| 4,980 more | 4,980 more opening lines | |" in lines
    assert lines[-1].endswith("more notes")


@pytest.mark.parametrize(
    "name", ["a|b", "a`b", "<img src=x>", "[x](http://x)", "*x*", "a\nb", "\udcff", "\x1b[2J"]
)
def test_no_name_becomes_markup(finding_factory, name):
    run = Run("1", findings=[finding_factory(owner=f"t.py::test[{name}]", place=(f"{name}.py", 1, name))] * 2)
    run.internal_errors = [name]
    text = render_markdown(run)
    text.encode()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert all(line.replace("\\|", "").count("|") == 4 for line in rows)


def test_text_and_code_are_escaped_each_in_their_way():
    assert escaped("<b>_x_") == "\\<b\\>\\_x\\_"
    assert code("a`b|c") == "`a'b\\|c`"
