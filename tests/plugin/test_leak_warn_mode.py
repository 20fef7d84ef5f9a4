"""In mode `warn`, no filter and no finalizer turns a leak into a failure."""

from __future__ import annotations

import pytest


class TestWarnMode:
    CODE = """
        from leaking import leak
        def test_one(): leak()
        def test_two(): pass
    """

    @pytest.mark.parametrize(
        "arguments",
        [
            ("-W", "error"),
            ("-o", "filterwarnings=error"),
            ("-W", "error::pytest_sockets.errors.SocketLeakWarning"),
            ("-W", "error", "-n", "2", "-p", "xdist"),
            ("-p", "no:warnings"),
            ("-W", "error", "-p", "no:terminal"),
        ],
        ids=" ".join,
    )
    def test_no_filter_turns_a_leak_into_a_failure(self, leaky, arguments):
        leaky.write(test_a=self.CODE)
        done = leaky.run(*arguments)
        assert done.exit_code == 0, done.text
        assert done.owners == ["test_one"]

    def test_the_same_filter_fails_on_the_tests_own_warning(self, leaky):
        leaky.write(test_a="def test_one(): __import__('warnings').warn('x')")
        assert leaky.run("-W", "error").exit_code == 1

    def test_the_warning_is_listed_even_under_an_error_filter(self, leaky):
        leaky.write(test_a=self.CODE)
        done = leaky.run("-W", "error")
        assert "test_a.py:3: SocketLeakWarning: 1 socket left open by test test_a.py::test_one" in done.text

    def test_an_ignore_filter_silences_the_warning_and_keeps_the_section(self, leaky):
        leaky.write(test_a=self.CODE)
        done = leaky.run("-W", "ignore")
        assert "SocketLeakWarning" not in done.text
        assert "1 leaked socket of 1 owner" in done.text

    @pytest.mark.parametrize("made_by", ["test", "earlier test"])
    def test_an_error_of_a_finalizer_that_the_judgement_runs_does_not_fail_the_next_test(
        self, leaky, made_by
    ):
        """Judging collects garbage; without it the interpreter or the end of the run does."""
        garbage = "c = C(); c.me = c; c.file = open(__file__)"
        leaky.write(
            test_a=f"""
            import gc
            from leaking import leak
            class C: pass
            def test_before():
                gc.disable()
                {garbage if made_by == "earlier test" else "pass"}
            def test_one():
                {garbage if made_by == "test" else "pass"}
                leak()
            def test_next(): pass
            """
        )
        plain = leaky.run("-W", "error", "-p", "no:randomly", "--sockets-leaks=off", anew=True)
        done = leaky.run("-W", "error", "-p", "no:randomly", anew=True)
        assert (done.exit_code, done.outcomes) == (plain.exit_code, plain.outcomes) == (1, {"passed": 3}), (
            done.text
        )
        assert "PytestUnraisableExceptionWarning" in done.text  # it is not lost
        assert done.owners == ["test_one"]

    @pytest.mark.parametrize("end", ["", "leak()"], ids=["clean", "leaky"])
    def test_garbage_that_an_import_of_the_plugin_collects_does_not_fail_the_next_test(self, leaky, end):
        """The first socket of a run imports what counts it, which allocates enough for a collection."""
        leaky.write(
            test_a=f"""
            import gc, socket
            from leaking import leak
            def test_one():
                kept = socket.socket()
                c = type("C", (), {{}})(); c.me = c; c.kept = kept
                {end}
            def test_next(): pass
            """
        )
        filters = ("-W", "error::ResourceWarning", "-W", "error::pytest.PytestUnraisableExceptionWarning")
        plain = leaky.run(*filters, "-p", "no:randomly", "--sockets-leaks=off")
        done = leaky.run(*filters, "-p", "no:randomly", environment={"PYTHONDONTWRITEBYTECODE": "1"})
        assert done.outcomes == plain.outcomes == {"passed": 2}, done.text

    def test_a_test_that_catches_all_warnings_does_not_see_it(self, leaky):
        leaky.write(
            test_a="""
            from leaking import leak
            def test_one(recwarn):
                leak()
                assert not len(recwarn)
            """
        )
        assert leaky.run("-W", "error").outcomes == {"passed": 1}
