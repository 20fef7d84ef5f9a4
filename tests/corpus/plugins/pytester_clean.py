"""An inner run, in this process and in a child, closes everything; the watch goes on after it."""
# plugins: pytester


def test_runs_pytest(pytester):
    pytester.makepyfile(
        "import socket\ndef test_inner():\n    socket.create_server(('127.0.0.1', 0)).close()\n"
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=1)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_next_is_innocent():
    pass
