"""Not collected as a test: it fails, and the documentation shows how."""

import http.server


def test_the_service_starts(tcp_echo_server):
    http.server.HTTPServer(tcp_echo_server.address, http.server.SimpleHTTPRequestHandler)
