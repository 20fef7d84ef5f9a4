"""A failure with "too many open files" names the limit, the types, and the line that opened the most sockets."""

from __future__ import annotations

import re
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc of Linux")

TITLE = "too many open files (pytest-sockets)"
HOARD = """
import os, resource, select, socket, subprocess, sys
import pytest

KEPT = []

def limit(number=200):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))

def hoard(most=10_000):
    for _ in range(most):
        KEPT.append(socket.socket())

BODY

def test_still_runs():
    pass
"""


def section(text: str) -> list[str]:
    """The lines of the only section."""
    assert text.count(TITLE) == 1, text
    lines = text.partition(TITLE)[2].splitlines()[1:]
    return lines[: next(number for number, line in enumerate(lines) if line.startswith("Close each socket"))]


def write(suite, body: str):
    suite.write(test_x=HOARD.replace("BODY", body))
    return suite


TEST = "def test_hoards():\n    limit()\n    hoard()"
FIXTURE = "@pytest.fixture(scope='module')\ndef pool():\n    limit()\n    hoard()\n\ndef test_x(pool): pass"


@pytest.mark.parametrize(
    ("body", "opener"),
    [(TEST, "test test_x.py::test_hoards"), (FIXTURE, "fixture 'pool' (scope module)")],
    ids=["test", "fixture"],
)
@pytest.mark.parametrize("mode", ["warn", "error"])
def test_the_first_line_says_how_many_sockets_of_which_line_used_up_the_limit(
    suite, body: str, opener: str, mode: str
):
    done = write(suite, body).run("--tb=short", f"--sockets-leaks={mode}", report=False)
    first, *rest = section(done.text)
    found = re.fullmatch(
        r"(\d+) sockets opened by (.+), at test_x.py:13, used up this process's limit of 200 open files.",
        first,
    )
    assert found, first
    assert found[2] == opener
    assert 170 < int(found[1]) < 200
    assert rest[0].startswith("  limit    200 descriptors; `ulimit -n` can raise it to ")
    assert re.fullmatch(rf"  open     \d+: {found[1]} sockets, .*files?.*", rest[1])
    assert rest[2] == f"  sockets  {found[1]} (tcp CLOSE) opened by {opener}, at test_x.py:13"
    assert f"E   pytest-sockets: {first}" in done.text
    assert "INTERNALERROR" not in done.text
    assert "KEPT.append" in done.text  # pytest could read the source


@pytest.mark.parametrize("mode", ["off", "warn", "error"])
def test_the_session_goes_on_to_its_end(suite, mode: str):
    """Without the plugin pytest ends with an internal error: it cannot list its temporary folders."""
    body = f"{TEST}\n\ndef test_has_no_descriptor(tmp_path): pass"
    done = write(suite, body).run(f"--sockets-leaks={mode}", report=False)
    assert done.exit_code == 1
    assert done.outcomes == {"failed": 1, "error": 1, "passed": 1}
    assert done.text.count(TITLE) == 2
    assert "INTERNALERROR" not in done.text
    assert "Traceback" not in done.text


def test_without_leak_detection_it_says_how_to_see_the_lines(suite):
    done = write(suite, TEST).run("--sockets-leaks=off", report=False)
    first, *_ = section(done.text)
    assert "since leak detection is off (--sockets-leaks=warn shows the lines)" in first
    assert "used up this process's limit of 200 open files" in first


def test_other_descriptors_are_counted_by_type_and_file(suite):
    body = """
def test_x(tmp_path):
    limit(100)
    hoard(20)
    for _ in range(1000):
        KEPT.append(open(tmp_path / "log.txt", "w"))
"""
    lines = section(write(suite, body).run(report=False).text)
    assert re.fullmatch(r"All descriptors of this process are open: \d+ of 100\.", lines[0])
    assert re.search(r" files, 20 sockets, ", lines[2])
    assert any(re.fullmatch(r"  file     \d+ times /.*/log.txt", line) for line in lines)


def test_openers_are_listed_most_first_and_bounded(suite):
    lines = "\n".join(f"    KEPT.extend(socket.socket() for _ in range({n}))" for n in range(3, 13))
    body = f"def test_x():\n    limit(150)\n{lines}\n    hoard()"
    found = section(write(suite, body).run(report=False).text)
    start = next(number for number, line in enumerate(found) if line.startswith("  sockets"))
    counts = [int(re.match(r" +(?:sockets +)?(\d+) ", line)[1]) for line in found[start : start + 8]]
    assert counts == sorted(counts, reverse=True)
    assert counts[1:] == [12, 11, 10, 9, 8, 7, 6]
    assert found[start + 8] == "           ... and 12 more, opened at 3 other places"


def test_sockets_that_were_closed_meanwhile_are_not_blamed(suite):
    body = """
def test_x():
    limit()
    try:
        hoard()
    finally:
        while KEPT:
            KEPT.pop().close()
"""
    first, *_ = section(write(suite, body).run(report=False).text)
    assert re.fullmatch(
        r"\d+ of 200 descriptors are open now: the others have been closed meanwhile\.", first
    )


CHILD = """
CODE = "import resource, socket; resource.setrlimit(7, (30, 30)); k = [socket.socket() for _ in range(99)]"

def test_x():
    holder = subprocess.Popen([sys.executable, "-c", "import sys, socket; k = [socket.socket() for _ in range(50)]; "
                              "print(1, flush=True); sys.stdin.read()"], stdin=-1, stdout=-1)
    holder.stdout.readline()
    try:
        RUN
    finally:
        holder.communicate()
"""


@pytest.mark.parametrize(
    "run",
    [
        "subprocess.run([sys.executable, '-c', CODE], check=True)",
        "subprocess.run([sys.executable, '-c', CODE], check=True, capture_output=True)",
    ],
    ids=["captured by pytest", "captured by the test"],
)
def test_the_output_of_a_child_is_recognised(suite, run: str):
    lines = section(write(suite, CHILD.replace("RUN", run)).run(report=False).text)
    assert re.match(r"A child process ran out of descriptors; this process has \d+ of \d+ open\.", lines[0])
    assert len([line for line in lines if line.startswith("  limit    ")]) == 1


def test_the_whole_system_without_files_is_another_limit(suite):
    body = "def test_x():\n    import errno\n    raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))"
    lines = section(write(suite, body).run(report=False).text)
    assert lines[0].startswith("The whole system has run out of open files (ENFILE); this process has ")
    assert re.fullmatch(
        r"  limit    \d+ open files in the whole system, of which \d+ are in use .*", lines[1]
    )


@pytest.mark.parametrize(
    "body",
    [
        "def test_x():\n    raise OSError(2, 'No such file')",
        "def test_x():\n    print('Too many open files')",
        "def test_x():\n    limit()\n    with pytest.raises(OSError):\n        hoard()\n    KEPT.clear()",
    ],
)
def test_the_twin_other_failures_and_passing_tests_get_no_section(suite, body: str):
    done = write(suite, body).run(report=False)
    assert TITLE not in done.text


@pytest.mark.parametrize("arguments", [("-n1",), ("--tb=native",), ("--show-capture=no",)], ids=str)
def test_it_reaches_the_terminal(suite, arguments: tuple[str, ...]):
    done = write(suite, TEST).run(
        *arguments, report=False, plugins=("xdist.plugin",) if "-n1" in arguments else ()
    )
    assert "opened by test test_x.py::test_hoards, at test_x.py:13, used up" in section(done.text)[0]


def test_sockets_of_a_test_that_uses_up_all_descriptors_are_counted(suite):
    """Counting the first sockets of a run imports a module, which needs a descriptor."""
    suite.write(
        test_a="""
            import os, resource, socket
            kept = []
            def test_one():
                resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
                socket.socket().close()
                try:
                    while True:
                        kept.append(os.open(os.devnull, os.O_RDONLY))
                except OSError:
                    pass
            def test_two():
                for fd in kept:
                    os.close(fd)
        """
    )
    done = suite.run("--sockets-leaks=error", report=False, anew=True)
    assert done.exit_code == 0, done.text
    assert "1 socket opened, 0 leaked" in done.text, done.text
    assert "could not do all of its work" not in done.text
