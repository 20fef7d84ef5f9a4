"""Each field of a netlink message and of /proc, byte for byte, and what becomes of those that are cut short."""

from __future__ import annotations

import os
import resource
import socket
import struct
import subprocess
import sys

import pytest

from pytest_sockets import model
from pytest_sockets.model import Endpoint
from pytest_sockets.originals import RealOs
from pytest_sockets.table import inet_diag, netlink, own_fds, proc, unix_diag

HEADER = struct.Struct("=IHHII")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def inet(
    *, family=socket.AF_INET, state=10, timer=0, host="127.0.0.1", port=80, peer_port=0, index=0, expires=0, inode=7,
    rest=b"",
):  # fmt: skip
    address = socket.inet_pton(family, host).ljust(16, b"\0")
    return struct.pack(
        "=BBBB2s2s16s16sI8sIIIII", family, state, timer, 0, port.to_bytes(2, "big"), peer_port.to_bytes(2, "big"),
        address, address, index, bytes(8), expires, 0, 0, 1000, inode,
    ) + rest  # fmt: skip


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(body, kind=20, flags=2):
    size = HEADER.size + len(body)
    return HEADER.pack(size, kind, flags, 1, 0) + body + bytes(-size % 4)


class TestInet:
    @pytest.mark.parametrize(
        ("number", "status"),
        [
            (1, "ESTABLISHED"), (2, "SYN_SENT"), (3, "SYN_RECV"), (4, "FIN_WAIT1"), (5, "FIN_WAIT2"),
            (6, "TIME_WAIT"), (7, "CLOSE"), (8, "CLOSE_WAIT"), (9, "LAST_ACK"), (10, "LISTEN"), (11, "CLOSING"),
        ],
    )  # fmt: skip
    def test_each_state_has_the_kernels_number_in_entries_and_requests(self, number, status):
        assert inet_diag.entry(inet(state=number), "tcp").status == status
        expected = 1 << number | (1 << 12 if status == "SYN_RECV" else 0)
        assert inet_diag.state_mask(status) == expected
        assert inet_diag.ALL_STATES & expected == expected

    def test_the_requests_are_those_of_the_kernels_headers(self):
        assert (inet_diag.SOCK_DIAG_BY_FAMILY, inet_diag.TCPDIAG_GETSOCK) == (20, 18)
        assert inet_diag.request(2, 6, 0x400) == struct.pack("=BBBBI", 2, 6, 0, 0, 0x400) + bytes(48)
        assert inet_diag.tcp_request(0x400) == bytes(52) + struct.pack("=II", 0x400, 0)
        assert inet_diag.ALL_STATES == 0x1FFE
        assert inet_diag.BOUND_INACTIVE == 0x2000
        assert inet_diag.state_mask("LISTEN", "ESTABLISHED") == 0x402

    def test_every_field_of_an_entry(self):
        entry = inet_diag.entry(inet(peer_port=5000, state=1), "tcp")
        assert entry == model.SocketEntry(
            "tcp",
            "AF_INET",
            Endpoint("127.0.0.1", 80),
            Endpoint("127.0.0.1", 5000),
            "ESTABLISHED",
            inode=7,
            uid=1000,
        )
        assert inet_diag.entry(inet(inode=0), "tcp").inode is None
        assert inet_diag.entry(inet(), "tcp").remote is None
        assert inet_diag.entry(inet(peer_port=256), "tcp").remote.port == 256
        assert inet_diag.entry(inet(), "udp").status == "NONE"
        assert inet_diag.entry(inet(state=99), "tcp").status == "NONE"
        assert inet_diag.local_port(inet(port=258)) == 258

    def test_a_message_that_is_cut_by_one_byte_is_none(self):
        assert inet_diag.entry(inet()[:-1], "tcp") is None
        assert inet_diag.local_port(inet()[:6]) == 80
        assert inet_diag.local_port(inet()[:5]) == 0

    def test_another_family_is_none(self):
        assert inet_diag.entry(b"\1" + inet()[1:], "tcp") is None

    def test_time_wait_has_its_seconds_only_from_its_own_timer(self):
        assert inet_diag.entry(inet(state=6, timer=3, expires=59_500), "tcp").time_wait_left == 59.5
        for other in ({"state": 6, "timer": 2}, {"state": 6, "timer": 4}, {"state": 1, "timer": 3}):
            assert inet_diag.entry(inet(expires=59_500, **other), "tcp").time_wait_left is None

    def test_only_a_link_local_address_has_a_zone(self):
        name = socket.if_indextoname(1)
        zones = {
            "fe80::1": f"fe80::1%{name}",
            "febf::1": f"febf::1%{name}",
            "fec0::1": "fec0::1",
            "2001::1": "2001::1",
        }
        for host, shown in zones.items():
            assert (
                inet_diag.entry(inet(family=socket.AF_INET6, host=host, index=1), "tcp").local.host == shown
            )
        assert inet_diag.entry(inet(family=socket.AF_INET6, host="fe80::1"), "tcp").local.host == "fe80::1"
        assert inet_diag.entry(
            inet(family=socket.AF_INET6, host="fe80::1", index=9999), "tcp"
        ).local.host == ("fe80::1%9999")

    @pytest.mark.parametrize(
        ("attributes", "dual"),
        [
            (attribute(11, b"\0"), True),
            (attribute(11, b"\1"), False),
            (attribute(2, b"abcde") + attribute(11, b"\0"), True),
            (attribute(2, b"") + attribute(11, b"\1"), False),
            (attribute(2, b"abc"), None),
            (struct.pack("=HH", 3, 2) + attribute(11, b"\0"), None),
            (struct.pack("=HH", 5, 11), None),
            (b"", None),
        ],
    )
    def test_v6only_is_found_behind_other_attributes(self, attributes, dual):
        entry = inet_diag.entry(inet(family=socket.AF_INET6, host="::1", rest=attributes), "tcp")
        assert entry.dual_stack is dual
        assert inet_diag.entry(inet(rest=attributes), "tcp").dual_stack is None


class TestUnix:
    def row(self, inode, *attributes, state=1):
        return struct.pack("=BBBBI8s", 1, 1, state, 0, inode, bytes(8)) + b"".join(attributes)

    def test_a_peer_is_named_and_a_listener_is_known(self):
        rows = [
            self.row(1, attribute(0, b"/tmp/x\0"), attribute(7, struct.pack("=I", 1000)), state=10),
            self.row(2, attribute(2, struct.pack("=I", 1))),
            self.row(3, attribute(2, struct.pack("=I", 99))),
            self.row(4, attribute(0, b"\0abstract")),
        ]
        entries = list(unix_diag.entries(rows))
        assert [
            (entry.local.host, entry.remote, entry.status, entry.inode, entry.uid) for entry in entries
        ] == [
            ("/tmp/x", None, "LISTEN", 1, 1000),
            ("", Endpoint("/tmp/x"), "NONE", 2, None),
            ("", None, "NONE", 3, None),
            ("@abstract", None, "NONE", 4, None),
        ]
        assert unix_diag.peers(rows) == {2: 1, 3: 99}

    def test_attributes_that_are_cut_or_too_short_are_left_out(self):
        short = struct.pack("=HHH", 6, 7, 1) + bytes(2)
        (entry,) = unix_diag.entries([self.row(5, short, attribute(0, b"n"))])
        assert (entry.uid, entry.local.host) == (None, "n")
        assert unix_diag.peers([self.row(5, struct.pack("=HHH", 6, 2, 1))]) == {}
        assert list(unix_diag.entries([self.row(5)[:-1]])) == []
        (entry,) = unix_diag.entries([self.row(5, attribute(0, b"abcd")[:-1])])
        assert entry.local.host == ""

    def test_the_request_asks_for_name_peer_and_user(self):
        assert unix_diag.request() == struct.pack("=BBHIII", 1, 0, 0, 0xFFFFFFFF, 0, 0x45) + bytes(8)
        assert unix_diag.request(listening_only=True)[4:8] == struct.pack("=I", 1 << 10)


class TestNetlink:
    def test_a_datagram_is_its_payloads_until_its_end(self):
        done = message(struct.pack("=i", 0), kind=3)
        assert netlink.split(message(b"abcd") + message(b"abcde", kind=4) + done + message(b"no")) == (
            [b"abcd", b"abcde"], True, False,
        )  # fmt: skip
        assert netlink.split(message(b"abcd", flags=0x12)) == ([b"abcd"], False, True)
        assert netlink.split(message(b"", kind=1) + message(b"x")) == ([b"x"], False, False)
        assert netlink.split(b"") == ([], False, False)

    @pytest.mark.parametrize(
        ("datagram", "text"),
        [
            (b"123", "3 bytes are left where a netlink header should be"),
            (message(b"abcd")[:-1], "a netlink message of 20 bytes in 19"),
            (message(b"abcd") + message(b"abcd")[:-1], "a netlink message of 20 bytes in 19"),
            (HEADER.pack(15, 20, 2, 1, 0), "a netlink message of 15 bytes in 16"),
            (message(struct.pack("=i", -1), kind=2), "the kernel refused the dump: Operation not permitted"),
            (message(struct.pack("=i", 0), kind=2), "the kernel refused the dump: Success"),
            (
                message(struct.pack("=i", -4), kind=3),
                "the kernel broke the dump off: Interrupted system call",
            ),
            (message(struct.pack("=i", -(2**31)), kind=3), "the kernel broke the dump off: error 2147483648"),
            (message(struct.pack("=i", 5), kind=2), "the kernel refused the dump: error -5"),
        ],
    )
    def test_a_broken_one_says_what_is_wrong(self, datagram, text):
        with pytest.raises(netlink.DumpFailed) as caught:
            netlink.split(datagram)
        assert str(caught.value) == text

    def test_an_end_without_a_code_is_an_end(self):
        assert netlink.split(message(b"", kind=3)).done
        assert netlink.split(message(struct.pack("=i", 1), kind=3)).done

    def test_an_interrupted_dump_is_asked_for_three_times_and_then_taken(self, monkeypatch):
        answers = [([b"1"], True), ([b"2"], True), ([b"3"], True), ([b"4"], False)]
        monkeypatch.setattr(netlink.Dumper, "_ask", lambda *_: answers.pop(0))
        with netlink.Dumper() as dumper:
            assert dumper.dump(20, b"") == [b"3"]
            assert dumper.dump(20, b"") == [b"4"]


class TestProc:
    @pytest.mark.parametrize(
        ("target", "inode"),
        [
            ("socket:[4711]", 4711),
            ("socket:[1]", 1),
            ("pipe:[4711]", None),
            ("socket:[x]", None),
            ("socket:[", None),
        ],
    )
    def test_a_link_of_a_descriptor(self, target, inode):
        assert proc.parse_link(target) == inode

    @linux
    def test_holders_are_found_among_the_given_processes_with_their_lowest_descriptor(self):
        with socket.socket() as sock, socket.socket() as other:
            copy = os.dup(sock.fileno())
            inodes = [os.fstat(one.fileno()).st_ino for one in (sock, other)]
            lowest = min(copy, sock.fileno())
            assert proc.holders(inodes[:1], [os.getpid()]) == {inodes[0]: [(os.getpid(), lowest)]}
            assert set(proc.holders(inodes, [os.getpid()])) == set(inodes)
            assert proc.holders(inodes, []) == {}
            assert proc.sockets_of(os.getpid())[inodes[0]] == lowest
            os.close(copy)

    @linux
    def test_nothing_wanted_looks_at_no_process(self, monkeypatch):
        monkeypatch.setattr(proc, "sockets_of", lambda pid: pytest.fail(f"looked at {pid}"))
        assert proc.holders([], [1]) == {}

    def test_descendants_are_found_once_parents_first_also_in_a_cycle(self, monkeypatch):
        tree = {1: [2, 3], 2: [4], 3: [4, 1], 4: [2]}
        monkeypatch.setattr(proc, "_children", lambda pid: iter(tree.get(pid, [])))
        assert proc.descendants(1) == [2, 3, 4]
        monkeypatch.setattr(proc, "_MOST", 2)
        assert len(proc.descendants(1)) == 2

    @linux
    def test_a_real_grandchild_is_a_descendant(self):
        command = ["sh", "-c", "sleep 60 & echo $!; wait"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
            grandchild = int(process.stdout.readline())
            assert proc.descendants(process.pid) == [grandchild]
            assert process.pid in proc.descendants(os.getpid())
            os.killpg(process.pid, 9)

    @linux
    def test_what_a_vanished_process_had_is_nothing(self):
        process = subprocess.Popen(["true"])
        process.wait()
        assert proc.sockets_of(process.pid) == {}
        assert proc.descendants(process.pid) == []
        assert proc.command_line(process.pid) is None
        assert proc.birth(process.pid) is None
        assert os.getpid() in proc.pids()

    @pytest.mark.parametrize(
        ("raw", "line"),
        [
            (b"nginx\0-g\0a b\0", "nginx -g 'a b'"),
            (b"redis-server *:6379\0\0\0", "redis-server *:6379"),
            (b" padded title \0\0", "padded title"),
            (b"\0\0", ""),
        ],
    )
    def test_a_command_line_is_as_a_shell_takes_it(self, raw, line):
        assert proc.parse_command_line(raw) == line

    def test_stat_and_children_that_are_cut_are_not_said(self):
        fields = b" ".join([b"7", b"(a) b)", b"Z", *(b"%d" % n for n in range(4, 30))])
        assert proc.parse_stat(fields) == ("Z", 22, 4)
        assert proc.parse_stat(b"7 (x) S 1 2 3") is None
        assert proc.parse_stat(b"") is None
        assert proc.parse_children(b"1 22 333 ") == [1, 22, 333]
        assert proc.parse_children(b"1 x") == []


def _links():
    """What the descriptors of this process refer to."""
    return [os.readlink(f"/proc/self/fd/{fd}") for fd in own_fds.types()]


@linux
class TestOwnDescriptors:
    def test_each_type_has_its_name_in_the_plural(self, tmp_path):
        reading, writing = os.pipe()
        opened = {
            "sockets": socket.socket().detach(), "files": os.open(tmp_path / "x", os.O_CREAT), "pipes": reading,
            "directories": os.open(tmp_path, os.O_RDONLY), "devices": os.open(os.devnull, os.O_RDONLY),
            "others (epoll, eventfd ...)": os.eventfd(0),
        }  # fmt: skip
        found = own_fds.types()
        assert {name: found.get(fd) for name, fd in opened.items()} == {name: name for name in opened}
        sockets = own_fds.socket_inodes()
        assert {fd for name, fd in opened.items() if fd in sockets} == {opened["sockets"]}
        assert sockets[opened["sockets"]] == os.fstat(opened["sockets"]).st_ino
        for fd in (*opened.values(), writing):
            os.close(fd)
        assert not set(opened.values()) & set(own_fds.types())
        assert own_fds.socket_inode(opened["sockets"]) is None

    def test_descriptors_far_apart_and_an_older_kernel_are_listed(self, monkeypatch):
        sock = socket.socket()
        high = 700
        os.dup2(sock.fileno(), high)
        try:
            assert high in own_fds.socket_inodes()
            monkeypatch.setattr(RealOs, "stat", staticmethod(lambda _: os.stat_result([0] * 10)))
            assert {high, sock.fileno()} <= set(own_fds.socket_inodes())
        finally:
            os.close(high)
            sock.close()

    def test_when_listing_finds_no_descriptor_every_number_below_the_limit_is_tried(self, monkeypatch):
        def full(_):
            raise OSError(24, "Too many open files")

        def refused(_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(RealOs, "stat", staticmethod(refused))
        monkeypatch.setattr(RealOs, "listdir", staticmethod(full))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert list(own_fds._fds())[-1] == min(soft, 2**20) - 1
        monkeypatch.setattr(resource, "getrlimit", lambda _: (2**20 + 9, hard))
        assert own_fds._fds() == range(2**20)
        monkeypatch.setattr(RealOs, "listdir", staticmethod(refused))
        with pytest.raises(PermissionError):
            own_fds._fds()
        assert own_fds.types() == {}

    def test_a_forked_child_counts_with_a_descriptor_of_its_own(self):
        """Both of the parent's would count the parent's."""
        counted = own_fds.FdCount()
        counted.open()
        try:
            parent = f"/proc/{os.getpid()}/fd"
            before = _links().count(parent)
            pid = os.fork()
            if pid == 0:
                right = (
                    counted.count() == os.stat("/proc/self/fd").st_size
                    and before - _links().count(parent) >= 1 + own_fds._RESERVE
                )
                os._exit(0 if right else 1)
            assert os.waitpid(pid, 0)[1] == 0
        finally:
            counted.close()

    def test_where_memory_can_be_mapped_the_count_is_one_call(self):
        counted = own_fds.FdCount()
        counted.open()
        try:
            if counted._by_size:
                assert counted.quick is not counted.count
                assert counted._map is not None
                assert counted.quick() == counted.count()
        finally:
            counted.close()
        assert counted.quick == counted.count
