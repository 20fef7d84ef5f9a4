"""Bytes that are not text cross xdist and every report. Control characters and passwords reach none."""

from __future__ import annotations

import json

import pytest

STRANGE = """
    import os, socket, subprocess, sys
    KEPT = []

    def test_unix(tmp_path):
        sock = socket.socket(socket.AF_UNIX)
        os.chdir(tmp_path)
        sock.bind(b"strange-\\xff\\x1b[2J")
        sock.listen()
        KEPT.append(sock)

    def test_child():
        code = "import socket, sys, time; s = socket.create_server(('127.0.0.1', 0)); print(1, flush=True); time.sleep(60)"
        words = [sys.executable, "-c", code, b"\\xff\\x1b]0;PWN\\x07", "--password=hunter2", "redis://bob:hunter2@db"]
        child = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert child.stdout.readline()
        child.stdout.close()
        KEPT.append(child)
    """


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["one process", "xdist"])
@pytest.mark.parametrize("mode", ["warn", "error"])
def test_they_cross_every_report(suite, workers, mode):
    names = [f"x.{suffix}" for suffix in ("html", "md", "sarif")]
    reports = [f"--sockets-report={suite.folder / name}" for name in names]
    done = suite.write(test_a=STRANGE).run(
        f"--sockets-leaks={mode}", "--sockets-kinds=tcp,udp,unix", "--sockets-grace=0", "--sockets-report=github",
        "--junitxml=junit.xml", *reports, *workers, plugins=("xdist",) if workers else (),
        environment={"GITHUB_STEP_SUMMARY": str(suite.folder / "summary.md")},
    )  # fmt: skip
    assert done.owners == ["test_child", "test_unix"], done.text
    assert "could not" not in done.text
    assert "strange-" in done.leaks[1]["socket"]["local"][0]
    assert "--password=***" in done.leaks[0]["socket"]["process"]
    for name in [*names, "summary.md", "leaks.json", "junit.xml", "output.txt"]:
        text = (suite.folder / name).read_bytes().decode("utf-8")
        assert "hunter2" not in text, name
        assert "\x1b[2J" not in text, name
        assert "\x07" not in text, name
    json.loads((suite.folder / "x.sarif").read_text())
