from conftest import CHILD


def test_one():
    assert CHILD.stdout.readline() == b"up\n"


def test_two():
    pass
