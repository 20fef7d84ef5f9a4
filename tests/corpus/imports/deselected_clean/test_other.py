def test_chosen():
    pass
