"""The number of open descriptors, which every test reads."""

import errno
import os
import resource
import sys

import pytest

from pytest_sockets.originals import RealOs
from pytest_sockets.table import own_fds
from pytest_sockets.table.own_fds import FdCount

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts by the size of /proc/self/fd")


@pytest.fixture
def counted():
    counted = FdCount()
    counted.open()
    if counted.quick == counted.count:
        pytest.skip("kernel older than 6.2: the size of /proc/self/fd is 0")
    yield counted
    counted.close()


@pytest.fixture
def of_fstat(monkeypatch):
    """Memory that cannot be mapped, as with another libc or in a sandbox."""

    def refused(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(RealOs, "memfd_create", staticmethod(refused))
    counted = FdCount()
    counted.open()
    yield counted
    counted.close()


def open_now():
    """Count without a listing, which leaves out the number that a thread waiting in accept(2) has reserved."""
    return os.stat("/proc/self/fd").st_size


def the_others(number):
    """Give the number of the count's own descriptor to a file of the test."""
    with open(__file__, "rb") as file:
        os.dup2(file.fileno(), number)


class TestCount:
    def test_both_ways_report_the_kernels_count(self, counted):
        assert counted.quick() == counted.count() == open_now()

    def test_one_more_descriptor_is_one_more(self, counted):
        before = counted.quick()
        reading, writing = os.pipe()
        assert counted.quick() == before + 2
        os.close(reading)
        os.close(writing)
        assert counted.quick() == before

    def test_it_takes_one_descriptor_beside_its_reserve_and_gives_all_back(self):
        before = open_now()
        counted = FdCount()
        counted.open()
        taken = open_now()
        counted.close()
        assert (taken, open_now()) == (before + 1 + own_fds._RESERVE, before)

    def test_a_child_is_given_none(self, counted):
        assert not os.get_inheritable(counted._fd)

    def test_without_memory_to_map_it_counts_all_the_same(self, of_fstat):
        assert of_fstat._map is None
        assert of_fstat.quick() == of_fstat.count() == open_now()

    def test_a_forked_child_counts_its_own(self, counted):
        inherited = counted.quick()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            spare = os.dup(reading)
            right = counted.quick() == counted.count() == open_now()
            os.close(spare)
            os._exit(0 if right and counted.quick() == open_now() else 1)
        _, status = os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)
        assert status == 0
        assert counted.quick() == inherited


class TestClosedByATest:
    """Suites close every descriptor, and get the numbers again."""

    def test_the_next_look_says_so_and_takes_another(self, counted):
        os.close(counted._fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            counted.quick()
        assert counted.recount() == open_now() == counted.quick()

    @pytest.mark.parametrize("which", ["counted", "of_fstat"])
    def test_the_file_that_has_the_number_now_stays_open(self, which, request):
        counted = request.getfixturevalue(which)
        number = counted._fd
        the_others(number)
        assert counted.recount() == open_now()
        assert counted._fd != number
        assert os.path.samestat(os.fstat(number), os.stat(__file__))
        os.close(number)

    def test_the_twin_the_plugins_own_descriptor_is_closed(self, counted):
        number = counted._fd
        counted.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


class TestReserve:
    def test_it_makes_descriptors_available_when_none_is_left(self, counted):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = os.dup(0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, hard))
        taken = [highest]
        try:
            while len(taken) < 100:
                try:
                    taken.append(os.dup(0))
                except OSError:
                    break
            assert len(taken) < 100
            with counted.spare():
                for fd in [os.dup(0) for _ in range(own_fds._RESERVE)]:
                    os.close(fd)
            with pytest.raises(OSError, match="Too many open files"):  # the reserve is there again
                os.dup(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for fd in taken:
                os.close(fd)

    def test_a_number_that_is_another_files_by_now_is_left_alone(self, counted):
        number = counted._reserve[-1]
        os.dup2(0, number)
        counted.close()
        os.close(number)


@pytest.mark.parametrize(
    "ask",
    [FdCount.count, FdCount.recount, lambda counted: own_fds.socket_inode(counted._fd)],
    ids=["count", "recount", "socket_inode"],
)
class TestErrorsOfASuitesSignalHandler:
    """A handler of SIGALRM often raises TimeoutError, which is an OSError, wherever the interpreter is just now."""

    def test_it_passes_through(self, of_fstat, monkeypatch, ask):
        def late(*_):
            raise TimeoutError("late")

        with monkeypatch.context() as patched:
            patched.setattr(RealOs, "fstat", late)
            with pytest.raises(TimeoutError, match="late"):
                ask(of_fstat)

    def test_the_twin_an_error_of_the_system_does_not(self, of_fstat, monkeypatch, ask):
        def closed(*_):
            raise OSError(errno.EBADF, "closed")

        with monkeypatch.context() as patched:
            patched.setattr(RealOs, "fstat", closed)
            ask(of_fstat)
