"""The fixture quits its driver."""
# needs: selenium psutil chromium chromedriver posix
# crosses: the driver

import atexit

import psutil


@atexit.register
def kill():
    for child in psutil.Process().children(recursive=True):
        child.kill()
