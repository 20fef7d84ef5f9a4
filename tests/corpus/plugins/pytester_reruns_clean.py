"""An inner run of pytest with rerunfailures opens that plugin's own server in the outer test, for ever."""
# plugins: pytester xdist rerunfailures


def test_runs_pytest(pytester):
    pytester.makepyfile("def test_inner():\n    pass\n")
    pytester.runpytest_inprocess("-p", "rerunfailures", "--reruns=1").assert_outcomes(passed=1)


def test_next_is_innocent():
    pass
