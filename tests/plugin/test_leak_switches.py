"""Options, marks, ini files and baselines switch the detection on and off, or end the run with a usage error."""

from __future__ import annotations

import pytest


class TestSwitches:
    CODE = """
        import pytest
        from leaking import leak
        def test_one(): leak()
        @pytest.mark.sockets(leaks="error")
        def test_two(): leak()
    """

    def test_off_with_a_mark_that_turns_it_on_judges_only_the_marked_test(self, leaky):
        leaky.write(test_a=self.CODE)
        done = leaky.run("--sockets-leaks=off")
        assert (done.outcomes, done.owners) == ({"passed": 2, "error": 1}, ["test_two"])

    def test_off_with_such_a_mark_works_in_workers(self, leaky):
        leaky.write(test_a=self.CODE)
        done = leaky.run("--sockets-leaks=off", "-n", "2", plugins=("xdist",))
        assert (done.outcomes, done.owners) == ({"passed": 2, "error": 1}, ["test_two"])

    def test_off_alone_judges_nothing(self, leaky):
        leaky.write(test_a="from leaking import leak\ndef test_one(): leak()")
        done = leaky.run("--sockets-leaks=off")
        assert (done.outcomes, done.leaks) == ({"passed": 1}, [])

    def test_switched_off_plugin_leaves_nothing_behind(self, leaky):
        leaky.write(test_a="from leaking import leak\ndef test_one(): leak()")
        done = leaky.run("-p", "no:pytest_sockets.plugin", report=False)
        assert done.outcomes == {"passed": 1}
        assert "socket" not in done.text.splitlines()[-1]
        assert "leaked" not in done.text

    def test_a_mark_stays_unknown_when_the_plugin_is_off(self, leaky):
        leaky.write(test_a=self.CODE)
        done = leaky.run("-p", "no:pytest_sockets.plugin", "--strict-markers", report=False)
        assert "'sockets' not found in `markers`" in done.text

    def test_without_a_terminal_the_report_and_the_exit_status_stand(self, leaky):
        leaky.write(test_a=self.CODE)
        done = leaky.run("-p", "no:terminal", "--sockets-leaks=error")
        assert (done.exit_code, len(done.leaks)) == (1, 2)

    def test_strict_config_and_markers_accept_the_plugins_keys(self, leaky):
        leaky.write(
            test_a=self.CODE,
            pytest__dot__ini="""
            [pytest]
            sockets_leaks = warn
            sockets_unclosed = off
            sockets_grace = 0.2
            sockets_ignore =
                remote=127.0.0.1:5432
                owner=test:nobody
            sockets_kinds = tcp,udp,unix
            sockets_scope = process
            sockets_ports = 20000-29999
            sockets_override_ports = false
            """,
        )
        done = leaky.run("--strict-config", "--strict-markers", "-W", "error")
        assert done.outcomes == {"passed": 2, "error": 1}, done.text


class TestNativeToml:
    pytestmark = pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="native TOML came with pytest 9")
    TABLE = """
        [tool.pytest]
        strict = true
        sockets_leaks = "error"
        sockets_unclosed = "off"
        sockets_grace = {grace}
        sockets_ignore = ["remote=127.0.0.1:5432"]
        sockets_report = []
        sockets_kinds = "tcp,udp"
        sockets_override_ports = false
    """

    def test_typed_values_are_accepted(self, leaky):
        leaky.write(
            test_a="from leaking import leak\ndef test_one(): leak()",
            pyproject__dot__toml=self.TABLE.format(grace=0.25),
        )
        assert leaky.run().outcomes == {"passed": 1, "error": 1}

    def test_a_value_of_the_wrong_type_is_a_usage_error_with_its_place(self, leaky):
        leaky.write(test_a="def test_one(): pass", pyproject__dot__toml=self.TABLE.format(grace='"0.25"'))
        done = leaky.run()
        assert done.exit_code == 4
        assert "pyproject.toml" in done.text
        assert "sockets_grace" in done.text
        assert "Traceback" not in done.text


class TestBrokenBaseline:
    """A baseline that cannot be read."""

    @pytest.mark.parametrize("arguments", [(), ("-n1",), ("--sockets-update-baseline",)], ids=str)
    def test_it_ends_the_run_before_the_first_test(self, leaky, arguments):
        leaky.write(test_a="def test_one(): print('ran')", known__dot__txt="<<<<<<< HEAD\n")
        plugins = ("xdist",) if arguments == ("-n1",) else ()
        done = leaky.run("-s", "--sockets-baseline=known.txt", *arguments, plugins=plugins, report=False)
        assert done.exit_code == 4, done.text
        assert "ERROR: pytest-sockets: command line, --sockets-baseline: " in done.text
        assert "known.txt, line 1: this is a conflict marker" in done.text
        assert "ran" not in done.text
        assert "Traceback" not in done.text

    def test_a_valid_one_does_not(self, leaky):
        leaky.write(
            test_a="def test_one(): print('ran')", known__dot__txt="# pytest-sockets baseline, version 1\n"
        )
        done = leaky.run("-s", "--sockets-baseline=known.txt", report=False)
        assert done.exit_code == 0, done.text
