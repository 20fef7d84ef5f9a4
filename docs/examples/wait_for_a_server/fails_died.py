"""Not collected as a test: it fails, and the documentation shows how."""

import subprocess
import sys

from pytest_sockets import wait_listening


def test_the_process_dies_first(free_port):
    script = "import sys; sys.exit('config.toml: no section [server]')"
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    try:
        wait_listening(free_port, timeout=10, process=process)
    finally:
        process.stderr.close()
