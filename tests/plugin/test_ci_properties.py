"""Build servers are told of leaks by what they read anyway, also in the mode that only warns."""

from xml.etree import ElementTree

import pytest

LEAKY = """
import socket
KEPT = []
def test_leaks():
    KEPT.append(socket.create_server(("127.0.0.1", 0)))
def test_is_clean():
    socket.create_server(("127.0.0.1", 0)).close()
"""


def properties(file):
    return {
        case.get("name"): [(one.get("name"), one.get("value")) for one in case.iter("property")]
        for case in ElementTree.parse(file).getroot().iter("testcase")
    }


@pytest.mark.parametrize(("words", "plugins"), [((), ()), (("-n", "2"), ("xdist",))], ids=["alone", "xdist"])
def test_junit_has_a_property_for_the_number_and_one_for_each_leak(suite, words, plugins):
    done = suite.write(test_it=LEAKY).run("--junitxml=x.xml", *words, plugins=plugins)
    assert done.outcomes == {"passed": 2}
    found = properties(suite.folder / "x.xml")
    assert found["test_is_clean"] == []
    [(number, count), (name, value)] = found["test_leaks"]
    assert (number, count, name) == ("sockets_leaked", "1", "sockets_leak")
    [leak] = done.leaks
    port = leak["socket"]["local"][1]
    assert (
        value
        == f"open: tcp 127.0.0.1:{port} LISTEN, owner test test_it.py::test_leaks, opened at test_it.py:5"
    )


def test_a_known_leak_is_not_told(suite):
    baseline = "--sockets-baseline=known.txt"
    suite.write(test_it=LEAKY).run(baseline, "--sockets-update-baseline")
    suite.run(baseline, "--junitxml=x.xml")
    assert properties(suite.folder / "x.xml") == {"test_leaks": [], "test_is_clean": []}


def test_pytest_html_gets_the_message_as_an_extra(suite):
    pytest.importorskip("pytest_html")
    plugins = ("html", "metadata")
    done = suite.write(test_it=LEAKY).run("--html=x.html", "--self-contained-html", plugins=plugins)
    assert done.outcomes == {"passed": 2}
    assert "leaked sockets" in (suite.folder / "x.html").read_text()
