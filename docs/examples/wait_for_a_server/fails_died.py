"""Not collected as a test: it fails, and the documentation shows how."""

import sys


def test_the_server_dies_first(server_process_factory):
    script = "import sys; sys.exit('config.toml: no section [server]')"
    server_process_factory([sys.executable, "-c", script, "--port", "{port}"])
