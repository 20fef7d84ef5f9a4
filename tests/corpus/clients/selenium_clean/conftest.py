"""The fixture quits its driver."""
# needs: selenium psutil chromium chromedriver posix
# crosses: the driver

import psutil


def pytest_unconfigure():
    for child in psutil.Process().children(recursive=True):
        child.kill()
