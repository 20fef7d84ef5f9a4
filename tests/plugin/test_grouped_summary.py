"""Three hundred leaks are explained in a few lines."""

from __future__ import annotations

LINES = "\n".join(
    f"def open_{n}(): KEPT.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))" for n in range(12)
)
SUITE = f"""
import socket
import pytest
KEPT = []
{LINES}

@pytest.mark.parametrize("n", range(200))
def test_leaks(n):
    globals()[f"open_{{n % 12}}"]()
    if n % 2:
        globals()[f"open_{{n % 12}}"]()
"""


def parts(text):
    """The lines of the warnings summary and of the section."""
    lines = text.splitlines()
    section = next(
        number for number, line in enumerate(lines) if " leaked sockets of " in line and "=" in line
    )
    warnings = next(number for number, line in enumerate(lines) if " warnings summary " in line)
    return lines[warnings:section], lines[section:]


def test_300_leaks_of_200_owners_at_12_lines_are_bounded(suite):
    done = suite.write(test_a=SUITE).run("-q", "--sockets-grace=0")
    assert done.exit_code == 0
    assert len(done.leaks) == 300
    warnings, section = parts(done.text)
    assert "300 leaked sockets of 200 owners" in section[0]
    assert len(warnings) <= 20
    assert len(section) <= 40
    told = [line for line in section if " x udp test_a.py:" in line]
    assert sum(int(line.split()[0]) for line in told) == 300
    assert [int(line.split()[0]) for line in told] == sorted(
        (int(line.split()[0]) for line in told), reverse=True
    )
    assert all(leak["opened_s"] <= leak["owner_ended_s"] for leak in done.leaks)


def test_the_twin_two_leaks_have_a_warning_each(suite):
    done = suite.write(test_a=SUITE).run("-q", "--sockets-grace=0", "-k", "test_leaks[0] or test_leaks[2]")
    assert done.text.count("SocketLeakWarning: 1 socket left open by test") == 2
