import helper


def test_uses_the_helper():
    helper.CONNECTION.sendall(b"x")


def test_next_is_innocent():
    pass
