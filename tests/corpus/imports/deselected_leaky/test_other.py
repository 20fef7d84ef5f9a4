def test_left_out():
    pass
