"""Run the tests of this folder in it, as those of a project with `app.py` at its root."""

import contextlib
from pathlib import Path

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    with contextlib.chdir(Path(__file__).parent):
        return (yield)
