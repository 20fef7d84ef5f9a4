"""A worker thread that runs since conftest.py was imported would close a test's socket long after the grace time."""

import concurrent.futures

EXECUTOR = concurrent.futures.ThreadPoolExecutor(1)
EXECUTOR.submit(int).result()
