"""The scenarios are run one by one by tests/leaks/test_corpus.py, never as tests of this project."""

collect_ignore_glob = ["*"]
