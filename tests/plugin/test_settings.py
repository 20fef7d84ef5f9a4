"""A setting that cannot be used ends the run before it begins, exit 4, with the place where it was set."""

from __future__ import annotations

import os

import pytest

TEST = "def test_one(): pass"


def usage_error(done):
    """The line of the error; nothing else may have happened."""
    assert done.exit_code == 4, done.text
    assert "Traceback" not in done.text
    assert "passed" not in done.text
    (line,) = [line for line in done.text.splitlines() if line.startswith("ERROR: ")]
    return line


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        (
            "--sockets-leaks=loud",
            "command line, --sockets-leaks: 'loud' is not a valid mode; use one of: off, warn, error",
        ),
        ("--sockets-leaks=", "command line, --sockets-leaks: '' is not a valid mode"),
        ("--sockets-leaks=WARN", "'WARN' is not a valid mode"),
        ("--sockets-unclosed=yes", "command line, --sockets-unclosed: 'yes' is not a valid mode"),
        (
            "--sockets-grace=-1",
            "command line, --sockets-grace: '-1' is not a number of seconds; use 0 or more",
        ),
        ("--sockets-grace=soon", "'soon' is not a number of seconds"),
        ("--sockets-grace=nan", "'nan' is not a number of seconds"),
        ("--sockets-grace=inf", "'inf' is not a number of seconds"),
        ("--sockets-grace=1_0", "'1_0' is not a number of seconds"),
        ("--sockets-ignore=", "command line, --sockets-ignore: an empty rule would ignore everything"),
        ("--sockets-ignore= ", "an empty rule would ignore everything"),
        (
            "--sockets-ignore=remote",
            "command line, --sockets-ignore: rule 'remote': 'remote' is not a key=glob pair",
        ),
        ("--sockets-ignore=port=1", "unknown key 'port'; use one of: protocol, local"),
        ("--sockets-ignore=owner='x", "a quotation mark is not closed"),
        ("--sockets-kinds=tcp,raw", "command line, --sockets-kinds: 'tcp,raw' names no kind of socket"),
        ("--sockets-kinds=,", "names no kind of socket"),
        (
            "--sockets-scope=host",
            "command line, --sockets-scope: 'host' is not a valid scope; use one of: process, tree",
        ),
        ("--sockets-report=leaks.txt", "'leaks.txt' has no known report suffix; use one of: .json, .html"),
        ("--sockets-report=", "command line, --sockets-report: '' has no known report suffix"),
        (
            "--sockets-report=gone/leaks.json",
            "is not a directory, so the report cannot be written; make it first",
        ),
        ("--sockets-report=folder.json", "is a directory; name a file"),
        ("--sockets-baseline=none.json", "command line, --sockets-baseline: 'none.json' does not exist"),
        ("--sockets-update-baseline", "no baseline file is named; add --sockets-baseline=FILE"),
        (
            "--sockets-ports=20000",
            "command line, --sockets-ports: '20000' is not a valid port range; use LOW-HIGH",
        ),
        ("--sockets-ports=9-5", "LOW not above HIGH"),
        ("--sockets-ports=0-70000", "must be 1-65535"),
        ("--sockets-ports=a-b", "is not a valid port range"),
    ],
)
def test_a_bad_option_is_refused(suite, option, problem):
    suite.write(test_a=TEST)
    (suite.folder / "folder.json").mkdir()
    line = usage_error(suite.run(option, report=False))
    assert line.startswith("ERROR: pytest-sockets: ")
    assert problem in line


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--sockets-report={}.json", "cannot be used as a file: File name too long; name another"),
        ("--sockets-baseline={}", "cannot be used as a file: File name too long; name another"),
        ("--sockets-leaks={}", "is not a valid mode; use one of: off, warn, error"),
        ("--sockets-grace={}", "is not a number of seconds; use 0 or more, such as 0.5"),
        ("--sockets-ignore={}", "is not a key=glob pair, such as remote=127.0.0.1:5432"),
        ("--sockets-ignore={}=1", "use one of: protocol, local, remote, status, opened_in, owner, process"),
        ("--sockets-kinds={}", "use a comma-separated list of: tcp, udp, unix"),
        ("--sockets-scope={}", "is not a valid scope; use one of: process, tree"),
        ("--sockets-ports={}", "is not a valid port range; use LOW-HIGH, such as 20000-29999"),
        ("--sockets-ports=1-{digits}", "is not a valid port range; use LOW-HIGH, such as 20000-29999"),
        ("--sockets-table=:{}", "is not a port; use a status (LISTEN), :PORT"),
        ("--sockets-table=:{digits}", "is not a port; use a status (LISTEN), :PORT"),
    ],
)
@pytest.mark.parametrize("length", [300, 20_000])
def test_a_long_value_is_quoted_in_part(suite, option, told, length):
    """What was wrong with it must not be buried by it."""
    suite.write(test_a=TEST)
    option = option.format("x" * length, digits="9" * length)
    line = usage_error(suite.run(option, report=False))
    assert f"command line, {option.partition('=')[0]}" in line
    assert told in line
    assert "..." in line
    assert len(line) < 600


@pytest.mark.parametrize("key", ["sockets_report", "sockets_baseline"])
def test_a_name_that_no_file_can_have_is_refused(suite, key):
    """It comes by the ini file: no command line can hold a NUL."""
    suite.write(test_a=TEST, tox__dot__ini=f"[pytest]\n{key} = a\0b.json\n")
    line = usage_error(suite.run(report=False))
    assert line.startswith(
        f"ERROR: pytest-sockets: tox.ini, {key}: 'a\\x00b.json' cannot be used as a file: "
    )


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("sockets_leaks", "loud", "'loud' is not a valid mode"),
        ("sockets_unclosed", "2", "'2' is not a valid mode"),
        ("sockets_grace", "-0.5", "-0.5 is not a number of seconds"),
        ("sockets_grace", "soon", "soon"),
        ("sockets_ignore", "remote", "'remote' is not a key=glob pair"),
        ("sockets_kinds", "all", "'all' names no kind of socket"),
        ("sockets_scope", "x", "'x' is not a valid scope"),
        ("sockets_report", "a.xml", "no known report suffix"),
        ("sockets_baseline", "none.json", "does not exist"),
        ("sockets_ports", "1", "is not a valid port range"),
        ("sockets_override_ports", "maybe", "maybe"),
    ],
)
def test_a_bad_ini_value_is_refused_with_its_file_and_key(suite, key, value, problem):
    suite.write(test_a=TEST, tox__dot__ini=f"[pytest]\n{key} = {value}\n")
    line = usage_error(suite.run(report=False))
    assert f"tox.ini, {key}" in line
    assert problem in line


@pytest.mark.parametrize(
    "arguments", [("-n", "2", "-p", "xdist"), ("--collect-only",)], ids=["xdist", "collect-only"]
)
def test_a_bad_value_is_refused_in_every_kind_of_run(suite, arguments):
    suite.write(test_a=TEST)
    assert "'loud' is not a valid mode" in usage_error(
        suite.run("--sockets-leaks=loud", *arguments, report=False)
    )


@pytest.mark.parametrize(
    "option",
    [
        "--sockets-leaks=off",
        "--sockets-leaks=error",
        "--sockets-unclosed=warn",
        "--sockets-grace=0",
        "--sockets-grace=1e-3",
        "--sockets-ignore=remote=127.0.0.1:5432 status=EST*",
        "--sockets-kinds=tcp, udp,unix",
        "--sockets-kinds=unix-path",
        "--sockets-scope=process",
        "--sockets-report=x.json",
        "--sockets-ports=20000-20100",
    ],
)
def test_the_good_twins_run(suite, option):
    suite.write(test_a=TEST)
    assert suite.run(option, "-W", "error").outcomes == {"passed": 1}


class TestOrder:
    CODE = """
        import pytest, socket
        KEPT = []
        def test_plain():
            KEPT.append(socket.create_server(("127.0.0.1", 0)))
        @pytest.mark.sockets(leaks="error")
        def test_marked():
            KEPT.append(socket.create_server(("127.0.0.1", 0)))
    """

    @pytest.mark.parametrize(
        ("ini", "option", "outcomes"),
        [
            ("", (), {"passed": 2, "error": 1}),
            ("sockets_leaks = error", (), {"passed": 2, "error": 2}),
            ("sockets_leaks = error", ("--sockets-leaks=warn",), {"passed": 2, "error": 1}),
            ("sockets_leaks = off", ("--sockets-leaks=error",), {"passed": 2, "error": 2}),
        ],
    )
    def test_mark_beats_command_line_beats_ini_beats_default(self, suite, ini, option, outcomes):
        suite.write(test_a=self.CODE, tox__dot__ini=f"[pytest]\n{ini}\n")
        assert suite.run(*option).outcomes == outcomes

    def test_override_ini_counts_as_ini(self, suite):
        suite.write(test_a=self.CODE)
        assert suite.run("-o", "sockets_leaks=error").outcomes == {"passed": 2, "error": 2}

    def test_rules_of_the_command_line_replace_those_of_the_ini(self, suite):
        suite.write(test_a=self.CODE, tox__dot__ini="[pytest]\nsockets_ignore = status=LISTEN\n")
        assert suite.run().leaks == []
        assert len(suite.run("--sockets-ignore=status=CLOSE").leaks) == 2


def test_a_rule_that_matched_nothing_is_named_at_the_end(suite):
    suite.write(test_a=TEST)
    text = suite.run("--sockets-ignore=remote=10.0.0.1:1").text
    assert "the ignore rule 'remote=10.0.0.1:1' matched nothing: remove it" in text


def test_a_hostile_value_runs_no_code(suite):
    suite.write(
        test_a=TEST,
        tox__dot__ini="""
        [pytest]
        sockets_ignore = owner=__import__('os').mkdir('pwned')
            owner=$(touch${IFS}pwned)
            opened_in=`mkdir_pwned`
        """,
    )
    suite.run()
    assert not (suite.folder / "pwned").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe of POSIX")
@pytest.mark.parametrize("option", ["--sockets-report=x.json", "--sockets-baseline=x.json"])
def test_a_pipe_or_device_is_refused_and_stays(suite, option):
    os.mkfifo(suite.folder / "x.json")
    done = suite.write(test_a=TEST).run(option, report=False)
    assert "'x.json' is a device, pipe or socket; name a regular file" in usage_error(done)
    assert (suite.folder / "x.json").is_fifo()
