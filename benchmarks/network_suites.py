"""The test suites of network packages: what to install, which parts of the sdist to run, and how."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Suite:
    """One package: what to install, which parts of the sdist hold its tests, how to run them."""

    name: str
    version: str
    requires: tuple[str, ...]
    parts: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    extra: str = ""
    path: str = ""
    """A folder of the sdist to import the package from, where the tests are inside of the package."""
    conftest: str = ""
    """What the suite's own runner does before it runs."""
    gate: str = ""
    """The Python on which CI runs this suite; empty: CI does not."""

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"


SUITES = (
    Suite(
        "urllib3", "2.8.0",
        ("anyio[trio]", "h2", "httpx", "hypercorn", "quart", "quart-trio", "pysocks", "pytest-socket", "pytest-timeout",
         "trustme", "cryptography", "pyopenssl", "idna"),
        ("test", "dummyserver", "pyproject.toml"),
        ("test/with_dummyserver/test_socketlevel.py", "test/test_connection.py", "test/test_connectionpool.py",
         "test/test_poolmanager.py", "test/test_ssltransport.py", "test/test_wait.py", "test/test_util.py"),
    ),
    Suite(
        "httpcore", "1.0.9", ("pytest-httpbin", "pytest-trio", "setuptools<80"), ("tests", "pyproject.toml"),
        extra="[asyncio,trio,http2,socks]",
    ),
    Suite(
        "aiohttp", "3.14.5",
        ("pytest-mock", "pytest-xdist", "pytest-timeout", "pytest-cov", "freezegun", "re-assert",
         "proxy.py", "trustme", "time-machine", "blockbuster", "isal", "zlib_ng", "uvloop", "pytest_codspeed",
         "setuptools-git", "pkgconfig", "wait-for-it", "aiodns", "brotli", "cryptography"),
        ("tests", "examples", "pytest.ini"),
        ("tests/test_client_functional.py", "tests/test_web_functional.py", "tests/test_web_runner.py",
         "tests/test_test_utils.py", "tests/test_proxy_functional.py", "tests/test_client_ws_functional.py",
         "-n", "0", "--no-cov", "--durations=0"),
    ),
    Suite(
        "tornado", "6.6.1", ("pycurl",), ("tornado",), ("tornado/test", "-o", "python_files=*_test.py"), path=".",
        conftest='import logging\n\nlogging.getLogger("tornado.access").setLevel(logging.CRITICAL)\n',
        gate="3.12",
    ),
    Suite(
        "trio", "0.35.0", ("pyopenssl", "trustme", "astor", "cryptography", "async_generator"), ("src", "pyproject.toml"),
        ("src/trio", "-p", "trio._tests.pytest_plugin", "--skip-optional-imports",
         "--ignore=src/trio/_tests/test_exports.py", "--ignore=src/trio/_tests/tools"),
        path="src",
    ),
    Suite(
        "anyio", "4.16.0",
        ("trio", "blockbuster", "hypothesis", "psutil", "pytest-mock", "pytest-timeout", "trustme", "truststore",
         "uvloop", "exceptiongroup", "pytest-xdist"),
        ("tests", "pyproject.toml"),
        ("tests/test_sockets.py", "tests/streams", "tests/test_subprocesses.py", "tests/test_to_process.py",
         "tests/test_from_thread.py", "tests/test_pytest_plugin.py"),
    ),
    Suite("paramiko", "5.1.0", ("pytest-relaxed", "invoke", "mock", "icecream", "lorem"), ("tests", "pytest.ini")),
    Suite(
        "pyzmq", "27.3.0", ("pytest-asyncio", "tornado", "pytest-rerunfailures", "gevent", "pymongo"),
        ("tests", "pytest.ini"), ("tests", "--ignore=tests/test_cython.py", "--ignore=tests/cython_ext.pyx"),
    ),
    Suite(
        "uvicorn", "0.54.0",
        ("pytest-mock", "pytest-xdist[psutil]", "trustme", "cryptography", "httpx", "httpx2", "a2wsgi", "wsproto",
         "websockets", "typing-extensions"),
        ("tests", "pyproject.toml"), ("tests", "-n", "0", "--ignore=tests/benchmarks"), extra="[standard]",
    ),
    Suite(
        "werkzeug", "3.1.9", ("cffi", "cryptography", "ephemeral-port-reserve", "pytest-timeout", "watchdog"),
        ("tests", "pyproject.toml"), ("tests", "-m", "not dev_server"),
    ),
    Suite("waitress", "3.0.2", ("pytest-cov",), ("tests", "setup.cfg"), ("tests", "--no-cov")),
    Suite(
        "aiosmtpd", "1.4.6",
        ("pytest-asyncio", "pytest-mock", "pytest-print", "pytest-cov", "setuptools<80", "packaging", "colorama"),
        ("aiosmtpd", "pytest.ini"),
        ("aiosmtpd/tests", "--no-cov", "-o", "filterwarnings=error", "-W", "ignore::DeprecationWarning",
         "-W", "ignore::UserWarning", "-W", "ignore::ResourceWarning",
         "-W", "ignore::pytest.PytestUnraisableExceptionWarning"),
        path=".", gate="3.11",
    ),
    Suite(
        "pymemcache", "4.0.0", ("Faker", "pytest-cov", "gevent", "zstd", "python-memcached"),
        ("pymemcache", "setup.cfg"), ("pymemcache/test", "-m", "unit", "--no-cov"), path=".",
    ),
    Suite(
        "cheroot", "11.1.2",
        ("requests[use_chardet_on_py3]", "jaraco.context", "jaraco.text", "portend", "pyopenssl", "pypytools", "pytest-cov",
         "pytest-mock", "pytest-rerunfailures", "pytest-xdist", "requests-unixsocket", "requests-toolbelt", "trustme"),
        ("cheroot", "pytest.ini"), ("cheroot/test", "-n", "0", "--no-cov"), path=".",
    ),
    Suite(
        "aioftp", "0.28.3", ("async_timeout", "pytest-asyncio", "pytest-cov", "pytest-mock", "siosocks", "trustme"),
        ("tests", "pyproject.toml"), ("tests", "--no-cov", "--maxfail=1000"),
    ),
    Suite(
        "python-socks", "3.2.1",
        ("pytest-asyncio", "pytest-trio", "pytest-cov", "tiny-proxy", "trustme", "yarl", "starlette", "uvicorn", "anyio",
         "trio", "async_timeout"),
        ("tests", "pyproject.toml"),
    ),
    Suite(
        "pytest-httpserver", "1.2.0", ("requests", "pytest-cov"),
        ("tests", "pyproject.toml"), ("tests", "-m", "not release"),
    ),
    Suite("pytest-localserver", "0.10.0.post0", ("requests", "aiosmtpd"), ("tests",)),
    Suite(
        "hypercorn", "0.18.0", ("pytest-asyncio", "pytest-trio", "pytest-cov", "trio", "httpx", "uvloop", "aioquic"),
        ("tests", "pyproject.toml"), ("tests", "--no-cov"),
    ),
)  # fmt: skip
