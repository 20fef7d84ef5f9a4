"""A finding names the parameter of the fixture that leaked."""

from __future__ import annotations

import re

import pytest


class TestParameters:
    SUITE = """
        import pytest
        from leaking import leak
        class Config:
            def __repr__(self): raise RuntimeError("no")
        @pytest.fixture(scope="module", params=[{values}])
        def server(request):
            leak()
            yield
        @pytest.fixture
        def plain(request): leak()
        def test_one(server): pass
        @pytest.mark.parametrize("plain", ["by the test"], indirect=True)
        def test_indirect(plain): pass
        """

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("'tcp'", "'tcp'"), ("7", "7"), ("None", "None"), ("Config", "Config"), ("Config()", "number 1, a Config"),
            ("b'x' * 100", repr(b"x" * 60)),
        ],
    )  # fmt: skip
    def test_the_parameter_of_the_leaking_fixture_is_named(self, leaky, value, words):
        leaky.write(test_a=self.SUITE.format(values=value))
        done = leaky.run("--sockets-leaks=error", "-k", "test_one")
        assert f"\n  note       with parameter {words}\n" in done.text

    def test_an_indirect_parameter_is_named(self, leaky):
        leaky.write(test_a=self.SUITE.format(values="1"))
        done = leaky.run("--sockets-leaks=error", "-k", "test_indirect")
        assert "\n  note       with parameter 'by the test'\n" in done.text

    def test_parameters_of_one_opening_line_are_listed_together(self, leaky):
        leaky.write(test_a=self.SUITE.format(values="1, 2, 3, 4, 5, 6"))
        done = leaky.run("--sockets-leaks=error", "-k", "test_one")
        shown = done.text[done.text.index("The run fails") :]
        assert re.findall(r"\n  note       (.*)", shown) == [f"with parameter {n}" for n in (1, 2, 3)]
        assert "\n             ... and 2 more\n" in shown

    def test_a_fixture_without_parameters_gets_no_note(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.fixture
            def server(): leak()
            @pytest.mark.parametrize("n", [1])
            def test_one(server, n): pass
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert len(done.leaks) == 1
        assert "  note  " not in done.text
