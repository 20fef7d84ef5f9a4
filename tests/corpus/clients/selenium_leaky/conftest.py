"""A driver that nobody quits: the client's pool and chromedriver stay."""
# needs: selenium psutil chromium chromedriver posix
# crosses: the driver

import atexit

import psutil


@atexit.register
def kill():
    for child in psutil.Process().children(recursive=True):
        child.kill()
