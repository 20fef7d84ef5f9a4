"""Not collected as a test: it fails, and the documentation shows how."""


def test_the_server_dies_first(server_process_factory):
    script = "import sys; sys.exit('config.toml: no section [server]')"
    server_process_factory(["python", "-c", script, "--port", "{port}"])
