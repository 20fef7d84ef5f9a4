"""Port numbers carry the name that the system's services database has for them."""

from __future__ import annotations

import pytest

from pytest_sockets.service_names import port_name, service_name


def test_a_known_port_carries_its_service_name():
    assert port_name(22) == "22/tcp (ssh)"
    assert port_name(53, "udp") == "53/udp (domain)"


def test_an_unknown_port_is_named_by_number_and_protocol():
    assert port_name(40001) == "40001/tcp"
    assert port_name(40001, "udp") == "40001/udp"


def test_a_port_of_both_protocols_names_neither_protocol():
    assert port_name(22, "both") == "22 (ssh)"
    assert port_name(40001, "both") == "40001"


@pytest.mark.parametrize("port", [-1, 0, 65536, 2**40])
def test_what_is_no_port_has_no_service_name_and_does_not_raise(port):
    assert service_name(port) is None
    assert port_name(port) == f"{port}/tcp"
