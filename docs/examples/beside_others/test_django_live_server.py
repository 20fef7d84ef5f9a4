"""Django's live server: the class owns its listener, and closes it."""

import urllib.request

import django
from django.conf import settings

settings.configure(ROOT_URLCONF=__name__, STATIC_URL="/static/")
django.setup()

from django.http import HttpResponse  # noqa: E402
from django.test import LiveServerTestCase  # noqa: E402
from django.urls import path  # noqa: E402

urlpatterns = [path("", lambda request: HttpResponse("it works"))]


class TestLive(LiveServerTestCase):
    databases = ()

    def test_it_answers(self):
        with urllib.request.urlopen(self.live_server_url) as answer:
            assert answer.read() == b"it works"
