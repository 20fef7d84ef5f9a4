"""A process that nobody ended, but that listens nowhere, is no socket leak."""

import subprocess
import sys

CHILDREN = []


def test_starts_the_process():
    command = [sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(60)"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    CHILDREN.append(child)
    assert child.stdout.readline() == b"up\n"


def test_next_is_innocent():
    pass
