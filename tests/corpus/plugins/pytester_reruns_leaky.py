"""What an inner run with rerunfailures leaves is the outer test's, beside that plugin's own server."""
# plugins: pytester xdist rerunfailures


def test_runs_pytest(pytester):
    pytester.makepyfile(
        "import socket\ndef test_inner():\n    socket.create_server(('127.0.0.1', 0)).detach()\n"
    )
    done = pytester.runpytest_inprocess(
        "-p", "rerunfailures", "--reruns=1"
    )  # LEAK owner=test:test_runs_pytest line=any
    done.assert_outcomes(passed=1)


def test_next_is_innocent():
    pass
