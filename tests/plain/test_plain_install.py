"""What `pip install pytest-sockets` gives, with nothing but the declared dependencies.

`.ci/plain-matrix` runs these tests against the built wheel in empty environments. They import only the standard
library, pytest and pytest_sockets, and hold in the full test environment, too.
"""

from __future__ import annotations

import importlib
import importlib.resources
import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
import textwrap

import pytest

import pytest_sockets

HAS_TLS = importlib.util.find_spec("trustme") is not None
HAS_HTML = importlib.util.find_spec("jinja2") is not None
LEAKY = """
    import socket
    KEPT = []
    def test_leaks():
        KEPT.append(socket.create_server(("127.0.0.1", 0)))
"""
CLEAN = """
    import socket
    def test_closes():
        socket.create_server(("127.0.0.1", 0)).close()
"""


class Suite:
    """A folder with one test file, run as a user would."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "pytest.ini").write_text("[pytest]\n")

    def run(self, source, *arguments):
        (self.folder / "test_it.py").write_text(textwrap.dedent(source))
        return self.command("pytest", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments)

    def command(self, module, *arguments):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.folder,
            env=environment | {"COLUMNS": "160", "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        done.output = done.stdout
        return done


@pytest.fixture
def suite(tmp_path):
    return Suite(tmp_path)


@pytest.fixture(scope="module")
def pytest_help(tmp_path_factory):
    return Suite(tmp_path_factory.mktemp("help")).command("pytest", "--help").output


def modules():
    return [module.name for module in pkgutil.walk_packages(pytest_sockets.__path__, "pytest_sockets.")]


class TestImports:
    @pytest.mark.parametrize("name", [name for name in modules() if not name.endswith("__main__")])
    def test_every_module_imports(self, name):
        importlib.import_module(name)

    def test_every_public_name_exists(self):
        assert [name for name in pytest_sockets.__all__ if not hasattr(pytest_sockets, name)] == []

    def test_the_package_is_typed(self):
        assert importlib.util.find_spec("pytest_sockets").submodule_search_locations
        assert importlib.resources.files("pytest_sockets").joinpath("py.typed").is_file()


class TestLeaks:
    def test_a_leak_is_found_and_named(self, suite):
        done = suite.run(LEAKY, "--sockets-leaks=error")
        assert done.returncode == 1, done.output
        assert "1 socket left open by test test_it.py::test_leaks" in done.output
        assert re.search(r"opened at +test_it\.py:5 in test_leaks", done.output), done.output

    def test_a_leak_changes_no_outcome_by_default(self, suite):
        done = suite.run(LEAKY)
        assert done.returncode == 0, done.output
        assert "test_it.py:5" in done.output

    def test_a_clean_test_passes(self, suite):
        strict = ("--sockets-leaks=error", "--sockets-unclosed=error", "-W", "error")
        done = suite.run(CLEAN, *strict, "-p", "no:asyncio")  # pytest-asyncio warns at configure time
        assert done.returncode == 0, done.output


class TestFixtures:
    def test_every_fixture_without_arguments_can_be_set_up(self, suite):
        listed = suite.command("pytest", "--fixtures", "-q", "-p", "no:randomly").output
        names = re.findall(r"^(\w+)(?: \[\w+ scope\])? -- \S*pytest_sockets/", listed, re.MULTILINE)
        assert "tcp_echo_server" in names, listed
        needs_tls = [name for name in names if "tls" in name]
        plain = [name for name in names if name not in needs_tls or HAS_TLS]
        done = suite.run("".join(f"\n    def test_{name}({name}): pass" for name in plain), "-rs")
        assert done.returncode == 0, done.output
        assert "failed" not in done.output

    def test_servers_and_a_proxy_answer(self, suite):
        done = suite.run("""
            import socket

            def ask(address):
                with socket.create_connection(address, timeout=10) as client:
                    client.sendall(b"hello")
                    return client.recv(100)

            def test_tcp(tcp_echo_server):
                assert ask(tcp_echo_server.address) == b"hello"

            def test_proxy(tcp_echo_server, fault_proxy_factory):
                assert ask(fault_proxy_factory(tcp_echo_server.address).address) == b"hello"

            def test_udp(udp_echo_server):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                    client.settimeout(10)
                    client.sendto(b"hello", udp_echo_server.address)
                    assert client.recv(100) == b"hello"

            def test_unix(unix_echo_server):
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(10)
                    client.connect(unix_echo_server.address)
                    client.sendall(b"hello")
                    assert client.recv(100) == b"hello"
        """, "--sockets-leaks=error")  # fmt: skip
        assert done.returncode == 0, done.output
        assert "4 passed" in done.output

    def test_a_free_port_can_be_bound_and_a_closed_one_refuses(self, suite):
        done = suite.run("""
            import socket
            import pytest

            def test_free(free_port, sockets):
                with socket.create_server(("127.0.0.1", free_port)):
                    assert free_port in sockets.listening
                assert free_port not in sockets.listening

            def test_closed(closed_port):
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", closed_port), timeout=10)
        """, "--sockets-leaks=error")  # fmt: skip
        assert done.returncode == 0, done.output

    @pytest.mark.skipif(not HAS_TLS, reason="the extra tls is not installed")
    def test_a_tls_server_answers(self, suite):
        done = suite.run("""
            import socket

            def test_tls(tls_echo_server, sockets_tls):
                with socket.create_connection(tls_echo_server.address, timeout=10) as plain:
                    with sockets_tls.client_context.wrap_socket(plain, server_hostname="localhost") as client:
                        client.sendall(b"hello")
                        assert client.recv(100) == b"hello"
        """, "--sockets-leaks=error")  # fmt: skip
        assert done.returncode == 0, done.output

    @pytest.mark.skipif(HAS_TLS, reason="the extra tls is installed")
    def test_without_its_extra_a_tls_server_says_what_to_install(self, suite):
        done = suite.run("def test_tls(tls_echo_server): pass")
        assert done.returncode == 1, done.output
        assert 'pip install "pytest-sockets[tls]"' in done.output.replace("'", '"')
        assert "Traceback" not in done.output


ACCEPTED = {
    "--sockets-leaks": "error",
    "--sockets-unclosed": "warn",
    "--sockets-grace": "0.2",
    "--sockets-ignore": "remote=127.0.0.1:5432",
    "--sockets-kinds": "tcp,udp,unix",
    "--sockets-scope": "process",
    "--sockets-report": "sockets.json",
    "--sockets-baseline": "baseline.txt",
    "--sockets-ports": "15000-15999",
    "--sockets-update-baseline": None,
    "--sockets-baseline-strict": None,
    "--sockets-show-secrets": None,
    "--sockets-table": "LISTEN",
}


class TestOptions:
    def test_every_option_is_accepted(self, suite, pytest_help):
        """Together in one run; the table replaces a run, and strict contradicts an update."""
        offered = set(re.findall(r"^ +(--sockets-[a-z-]+)", pytest_help, re.MULTILINE))
        assert sorted(offered - ACCEPTED.keys()) == [], "extend ACCEPTED"
        apart = {"--sockets-table", "--sockets-baseline-strict"}
        done = suite.run(CLEAN, *(self.word(name) for name in sorted(offered - apart)))
        assert done.returncode == 0, done.output
        assert (suite.folder / "sockets.json").is_file()
        if "--sockets-baseline-strict" in offered:
            strict = suite.run(CLEAN, "--sockets-baseline=baseline.txt", "--sockets-baseline-strict")
            assert strict.returncode == 0, strict.output

    @pytest.mark.parametrize(
        "name",
        ["--sockets-leaks", "--sockets-grace", "--sockets-kinds", "--sockets-scope", "--sockets-ports"],
    )
    def test_a_bad_value_is_a_usage_error(self, suite, name):
        done = suite.run(CLEAN, f"{name}=nonsense")
        assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.output
        assert "nonsense" in done.output
        assert "Traceback" not in done.output

    @pytest.mark.parametrize("suffix", ["json", "html", "md", "sarif"])
    def test_a_report_is_written_or_its_extra_is_named(self, suite, pytest_help, suffix):
        if f".{suffix}" not in pytest_help.partition("--sockets-report")[2][:300]:
            pytest.skip(f"this version writes no .{suffix}")
        done = suite.run(LEAKY, f"--sockets-report=sockets.{suffix}")
        if suffix == "html" and not HAS_HTML:
            assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.output
            assert 'pip install "pytest-sockets[html]"' in done.output
        else:
            assert done.returncode == 0, done.output
            assert "test_leaks" in (suite.folder / f"sockets.{suffix}").read_text()

    def test_the_table_is_printed(self, suite):
        done = suite.command("pytest", "--sockets-table", "-p", "no:randomly")
        assert done.returncode == 0, done.output
        assert "LOCAL" in done.output.upper(), done.output

    def word(self, name):
        value = ACCEPTED[name]
        return name if value is None else f"{name}={value}"


class TestWithoutPytest:
    def test_ports_servers_and_the_leak_check_work_in_a_script(self, suite):
        (suite.folder / "script.py").write_text(textwrap.dedent("""
            import socket
            import pytest_sockets

            with pytest_sockets.reserve_port() as port, pytest_sockets.EchoServer() as server:
                assert 0 < port < 65536
                with socket.create_connection(server.address, timeout=10) as client:
                    client.sendall(b"hello")
                    assert client.recv(100) == b"hello"
            with pytest_sockets.no_leaks():
                socket.create_server(("127.0.0.1", 0)).close()
            try:
                with pytest_sockets.no_leaks(grace=0):
                    kept = socket.create_server(("127.0.0.1", 0))
            except pytest_sockets.SocketLeakError:
                print("leak found")
        """))  # fmt: skip
        done = suite.command("script")
        assert (done.returncode, done.output) == (0, "leak found\n")

    def test_the_table_is_printed(self, suite):
        done = suite.command("pytest_sockets")
        assert done.returncode == 0, done.output
        assert "LOCAL" in done.output.upper(), done.output
