"""The corpus is honest: an oracle that knows no owners agrees that leaky suites leak and clean ones do not."""

from __future__ import annotations

import concurrent.futures
import json
import os
import sys
from pathlib import Path

import pytest

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
sys.path.append(str(CORPUS))

from examiner.forking import ForkServer  # noqa: E402
from examiner.running import Run, Way  # noqa: E402
from examiner.scenario import Scenario, all_scenarios  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("corpus"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/fd"),
]
SCENARIOS = {scenario.name: scenario for scenario in all_scenarios()}
AT_ONCE = 6


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """The watched runs of all selected scenarios, as futures."""
    wanted = [item.callspec.params["name"] for item in request.session.items if item.path == Path(__file__)]
    with ForkServer() as server, concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(watched, server, SCENARIOS[name], tmp_path_factory.mktemp("suite"))
            for name in wanted
            if not SCENARIOS[name].missing()
        }
        pool.shutdown(cancel_futures=True)


def watched(server: ForkServer, scenario: Scenario, folder: Path) -> tuple[Run, dict[str, int]]:
    unix = ["--oracle-unix"] if any("unix" in word for word in scenario.run) else []
    way = Way(arguments=("-p", "examiner.oracle", *unix, "-W", "always::ResourceWarning"), sockets=False)
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(CORPUS)]))
    done = server.run(scenario, folder, way, {"PYTHONPATH": path})
    assert (folder / "oracle.json").exists(), done.output
    return done, json.loads((folder / "oracle.json").read_text())


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_oracle_agrees(name, runs):
    scenario = SCENARIOS[name]
    if missing := scenario.missing():
        pytest.skip(f"needs {', '.join(missing)}")
    done, seen = runs[name].result()
    assert done.as_promised(scenario), done.output
    problems = [*_leaky_problems(scenario, seen)] if scenario.leaky else [*_clean_problems(scenario, seen)]
    assert not problems, f"{problems}\n{seen}\n{done.output}"


def _leaky_problems(scenario, seen):
    promised = {"open": 0, "unclosed": 0, "child": 0}
    for expectation in scenario.required:
        promised["child" if expectation.child else expectation.kind] += expectation.count
    if not any(promised.values()):
        yield "a leaky scenario must promise a leak"
    if not scenario.fragile:
        if seen["crossing"] < promised["open"]:
            yield f"{promised['open']} sockets should outlive their test, {seen['crossing']} did"
        if promised["open"] and not seen["end"] and not scenario.at_the_end:
            yield "nothing was open at the end"
    if promised["unclosed"] > seen["warnings"] + seen["garbage"]:
        yield f"{promised['unclosed']} should be closed by the interpreter"
    if promised["child"] > seen["children"]:
        yield f"{promised['child']} children should listen"


def _clean_problems(scenario, seen):
    if scenario.required:
        yield "a clean scenario must not promise a leak"
    if scenario.fragile:
        return
    if seen["crossing"] and not scenario.crosses:
        yield f"{seen['crossing']} sockets outlived a test"
    if (seen["children"] or seen["end"]) and not scenario.at_the_end:
        yield "something was open at the end"
    if "--sockets-unclosed=warn" in scenario.run and seen["warnings"] + seen["garbage"]:
        yield "something was closed by the interpreter only"
