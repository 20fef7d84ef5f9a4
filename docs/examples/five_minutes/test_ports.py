def test_two_servers(free_port, free_port_factory):
    first, second = free_port, free_port_factory()
    assert first != second


def test_release(free_port, free_port_factory):
    free_port_factory.release(free_port)
