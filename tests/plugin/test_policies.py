"""The closest mark wins, rules add up, and a mark that cannot be used ends the run with its place."""

from __future__ import annotations

import pytest


class TestClosest:
    def test_test_beats_class_beats_module(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            pytestmark = pytest.mark.sockets(leaks="off")
            def test_module(): leak()
            @pytest.mark.sockets(leaks="error")
            class TestIt:
                def test_class(self): leak()
                @pytest.mark.sockets(leaks="warn")
                def test_own(self): leak()
            """
        )
        done = leaky.run()
        assert done.outcomes == {"passed": 3, "error": 1}
        assert sorted(done.owners) == ["test_class", "test_own"]

    def test_a_mark_that_says_only_grace_keeps_the_mode(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.mark.sockets(grace=0)
            def test_one(): leak()
            """
        )
        assert leaky.run("--sockets-leaks=error").outcomes == {"passed": 1, "error": 1}

    def test_rules_of_all_marks_add_up(self, leaky):
        leaky.write(
            test_a="""
            import pytest, socket
            KEPT = []
            pytestmark = pytest.mark.sockets(ignore=["status=LISTEN"])
            @pytest.mark.sockets(ignore=["protocol=udp"])
            def test_both():
                KEPT.append(socket.create_server(("127.0.0.1", 0)))
                KEPT.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            def test_one():
                KEPT.append(socket.create_server(("127.0.0.1", 0)))
                KEPT.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            """
        )
        assert leaky.run().owners == ["test_one"]

    def test_a_parameters_mark_is_the_tests(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.sockets(leaks="off")), 2])
            def test_one(n): leak()
            """
        )
        assert leaky.run().owners == ["test_one[2]"]

    def test_off_excepts_from_both_kinds(self, suite):
        suite.write(
            test_a="""
            import pytest, socket
            @pytest.mark.sockets(leaks="off")
            def test_off(): socket.socket()
            def test_on(): socket.socket()
            """
        )
        assert suite.run("--sockets-unclosed=warn", "-W", "ignore").owners == ["test_on"]

    def test_the_modules_mark_counts_for_its_module_fixture_and_its_import(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            pytestmark = pytest.mark.sockets(leaks="off")
            leak()
            @pytest.fixture(scope="module")
            def server():
                leak()
                yield
            def test_one(server): pass
            """,
        )
        assert leaky.run("--sockets-leaks=error").leaks == []

    def test_a_hook_may_add_the_mark(self, leaky):
        leaky.write(
            conftest="""
            import pytest
            def pytest_collection_modifyitems(items):
                for item in items: item.add_marker(pytest.mark.sockets(leaks="off", reason="all known"))
            """,
            test_a="from leaking import leak\ndef test_one(): leak()",
        )
        assert leaky.run().leaks == []


NOTHING_SAID = ["leaks=None", "grace=None", "ignore=None", "reason=None"]
BAD = [
    ('leaks="loud"', "'loud' is not a valid mode; use one of: off, warn, error"),
    ("leaks=True", "True is not a valid mode"),
    ("leaks=[]", "[] is not a valid mode"),
    ("grace=-1", "-1 is not a number of seconds"),
    ('grace="soon"', "'soon' is not a number of seconds"),
    ("grace=True", "True is not a number of seconds"),
    ("grace=[]", "[] is not a number of seconds"),
    ('ignore="remote=x"', "is not a list of rules"),
    ("ignore=[1]", "1 is not a rule; a rule is text"),
    ('ignore=["remote"]', "'remote' is not a key=glob pair"),
    ('ignore=[""]', "an empty rule would ignore everything"),
    ('ignore=["x" * 20_000]', "xxx' is not a key=glob pair, such as remote=127.0.0.1:5432"),
    ('leaks="x" * 20_000', "xxx' is not a valid mode; use one of: off, warn, error"),
    ('"off"', "it takes keyword arguments only"),
    ('leak="off"', "unknown argument 'leak'; use: leaks, grace, ignore, reason"),
]


class TestBadMarks:
    @pytest.mark.parametrize("argument", NOTHING_SAID)
    def test_none_says_nothing(self, suite, argument):
        suite.write(test_a=f"import pytest\n@pytest.mark.sockets({argument})\ndef test_one(): pass")
        done = suite.run("--sockets-leaks=off", report=False)
        assert done.exit_code == 0, done.text

    @pytest.mark.parametrize(("arguments", "problem"), BAD)
    def test_a_usage_error_names_the_mark_and_the_test(self, suite, arguments, problem):
        suite.write(
            test_a=f"import pytest\n@pytest.mark.sockets({arguments})\ndef test_one(): pass\ndef test_two(): pass"
        )
        done = suite.run(report=False)
        assert done.exit_code == 4, done.text
        assert "@pytest.mark.sockets on test_a.py::test_one" in done.text
        assert problem in done.text
        assert len(done.text) < 3000
        assert "passed" not in done.text
        assert "Traceback" not in done.text

    @pytest.mark.parametrize(
        "run",
        [
            ("-n", "2", "-p", "xdist"),
            ("--sockets-leaks=off",),
            ("--collect-only",),
            ("--sockets-leaks=off", "-n", "2", "-p", "xdist"),
        ],
        ids=" ".join,
    )
    def test_in_every_kind_of_run(self, suite, run):
        suite.write(
            test_a='import pytest\n@pytest.mark.sockets(leaks="loud")\ndef test_one(): pass\ndef test_two(): pass'
        )
        done = suite.run(*run, report=False)
        assert done.exit_code == 4, done.text
        assert done.text.count("'loud' is not a valid mode") == 1
        assert "INTERNALERROR" not in done.text
        assert "passed" not in done.text

    def test_on_a_class_and_a_module_the_place_is_theirs(self, suite):
        suite.write(
            test_a='import pytest\n@pytest.mark.sockets(leaks="x")\nclass TestIt:\n    def test_one(self): pass'
        )
        assert "@pytest.mark.sockets on test_a.py::TestIt:" in suite.run(report=False).text
        suite.write(test_a='import pytest\npytestmark = pytest.mark.sockets(leaks="x")\ndef test_one(): pass')
        assert "@pytest.mark.sockets on test_a.py:" in suite.run(report=False).text

    def test_a_deselected_test_may_keep_its_bad_mark_or_not_but_never_crashes(self, suite):
        suite.write(
            test_a='import pytest\n@pytest.mark.sockets(leaks="x")\ndef test_one(): pass\ndef test_two(): pass'
        )
        done = suite.run("-k", "two", report=False)
        assert done.exit_code in (0, 4)
        assert "INTERNALERROR" not in done.text

    def test_a_mark_that_a_fixture_adds_while_running_never_changes_the_outcome(self, suite):
        suite.write(
            test_a="""
            import pytest, socket
            KEPT = []
            def test_one(request):
                request.node.add_marker(pytest.mark.sockets(leaks="loud", grace="soon"))
                KEPT.append(socket.create_server(("127.0.0.1", 0)))
            def test_two(): pass
            """
        )
        done = suite.run()
        assert (done.exit_code, done.outcomes) == (0, {"passed": 2})
        assert "INTERNALERROR" not in done.text
