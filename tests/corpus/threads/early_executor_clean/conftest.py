"""A worker thread that runs since conftest.py was imported closes a test's socket 0.1 s after the test."""

import concurrent.futures

EXECUTOR = concurrent.futures.ThreadPoolExecutor(1)
EXECUTOR.submit(int).result()
