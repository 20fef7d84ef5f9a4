"""Every leak of the corpus is found, on the right owner and line, and nothing else is.

Each scenario (tests/corpus/README.md) is a small suite that runs in a pytest process and a network namespace of its own.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import sys
from pathlib import Path

import pytest

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
sys.path.append(str(CORPUS))

from examiner.compare import compare  # noqa: E402
from examiner.forking import AVAILABLE, ForkServer  # noqa: E402
from examiner.peers import peers  # noqa: E402
from examiner.running import Way, run  # noqa: E402
from examiner.scenario import all_scenarios, load, together  # noqa: E402

SCENARIOS = {scenario.name: scenario for scenario in all_scenarios()}
# One worker starts them all: two fork servers would only compete for the processors.
pytestmark = pytest.mark.xdist_group("corpus")
# Most of a run is waiting (grace times, processes, late closers).
AT_ONCE = 6
TOPICS = sorted({scenario.topic for scenario in SCENARIOS.values() if scenario.plain})


def _all_of(topic):
    """The plain scenarios of a topic in one run."""
    members = [scenario for scenario in SCENARIOS.values() if scenario.topic == topic and scenario.plain]
    return together(topic, [scenario for scenario in members if not scenario.missing()])


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """The runs of all selected topics and scenarios, as futures: they are under way while the first ones are judged."""
    items = [
        item.callspec.params for item in request.session.items if "runs" in getattr(item, "fixturenames", ())
    ]
    topics = {params["topic"]: _all_of(params["topic"]) for params in items if "topic" in params}
    alone = {params["name"]: SCENARIOS[params["name"]] for params in items if "name" in params}
    with contextlib.ExitStack() as stack:
        if AVAILABLE:
            start = functools.partial(stack.enter_context(ForkServer()).run, way=Way())
        else:
            start = functools.partial(run, way=Way(), environment=stack.enter_context(peers()))
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(AT_ONCE))
        yield {
            name: pool.submit(start, scenario, tmp_path_factory.mktemp("suite"))
            for name, scenario in (topics | alone).items()  # the topics take longest, so they start first
            if not scenario.missing()
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_is_judged_as_it_promises(name, runs):
    scenario = SCENARIOS[name]
    if missing := scenario.missing():
        pytest.skip(f"needs {', '.join(missing)}")
    done = runs[name].result()
    assert done.as_promised(scenario), f"outcomes: {done.outcomes}\n{done.output}"
    if done.skipped:
        pytest.skip("the scenario skipped itself")
    assert done.report is not None, done.output
    verdict = compare(scenario, done.report["leaks"])
    assert not verdict.problems, "\n".join([*verdict.problems, "", done.output])


@pytest.mark.parametrize("topic", TOPICS)
def test_topic_in_one_run_is_judged_as_its_scenarios_promise(topic, runs):
    scenarios = _all_of(topic)
    done = runs[topic].result()
    assert done.as_promised(scenarios), done.output
    assert done.report is not None, done.output
    verdict = compare(scenarios, done.report["leaks"])
    assert not verdict.problems, "\n".join([*verdict.problems, "", done.output])


def test_every_leaky_suite_has_a_clean_twin():
    assert [
        name for name, scenario in SCENARIOS.items() if scenario.leaky and scenario.twin not in SCENARIOS
    ] == []


def test_leaky_suites_promise_and_clean_ones_do_not():
    assert [name for name, scenario in SCENARIOS.items() if scenario.leaky != bool(scenario.required)] == []


LEAK = {
    "kind": "open",
    "nodeid": "test_x_leaky.py::test_x",
    "owner": {"kind": "test", "name": "test_x_leaky.py::test_x", "scope": "function", "phase": "call"},
    "socket": {"protocol": "tcp", "local": ["127.0.0.1", 1], "remote": None, "status": "LISTEN", "fd": 3},
    "opened_at": {"file": "test_x_leaky.py", "line": 2, "function": "test_x"},
}


class TestTheExaminerItself:
    """A judge that lets everything pass would prove nothing."""

    @pytest.fixture
    def scenario(self, tmp_path):
        (tmp_path / "topic").mkdir()
        path = tmp_path / "topic" / "x_leaky.py"
        path.write_text("def test_x():\n    KEPT.append(socket())  # LEAK owner=test:test_x status=LISTEN\n")
        return load(path)

    def test_the_promised_leak_fits(self, scenario):
        verdict = compare(scenario, [LEAK])
        assert (verdict.found, verdict.right_owner, verdict.right_line, verdict.false_alarms) == (1, 1, 1, 0)
        assert verdict.problems == []

    def test_a_missing_leak_is_told(self, scenario):
        verdict = compare(scenario, [])
        assert (verdict.expected, verdict.found) == (1, 0)
        assert verdict.problems == ["not found: open test:test_x at test_x_leaky.py:2"]

    def test_a_second_finding_is_a_false_alarm(self, scenario):
        assert compare(scenario, [LEAK, LEAK]).false_alarms == 1

    def test_two_workers_may_leak_the_same(self, scenario):
        assert compare(scenario, [LEAK, LEAK], at_least=True).false_alarms == 0

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"owner": LEAK["owner"] | {"name": "test_x_leaky.py::test_y"}}, "wrong owner"),
            ({"owner": LEAK["owner"] | {"kind": "fixture"}}, "wrong owner"),
            ({"opened_at": LEAK["opened_at"] | {"line": 3}}, "wrong line"),
            ({"opened_at": None}, "wrong line"),
            ({"socket": LEAK["socket"] | {"status": "ESTABLISHED"}}, "wrong status"),
            ({"socket": LEAK["socket"] | {"process": "python"}}, "not found"),
            ({"kind": "unclosed"}, "not found"),
        ],
    )
    def test_a_wrong_finding_is_told(self, scenario, change, problem):
        assert compare(scenario, [LEAK | change]).problems[0].startswith(problem)
