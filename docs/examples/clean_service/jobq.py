"""A job queue in one file: a TCP server, a client, a subscriber and metrics over UDP. Every socket is closed."""

import collections
import socket
import socketserver
import subprocess
import sys
import threading
from pathlib import Path


class JobServer(socketserver.ThreadingTCPServer):
    """`HELLO token`, `PUT job`, `GET`, `SUBSCRIBE`: one command per line, one line in return."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address=("127.0.0.1", 0), token="s3cret"):
        super().__init__(address, _Handler)
        self.token, self.jobs, self.subscribers = token, collections.deque(), []

    def start(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            command, _, rest = line.decode().strip().partition(" ")
            self.wfile.write(f"{self.answer(command, rest)}\n".encode())

    def finish(self):
        if self.wfile in self.server.subscribers:
            self.server.subscribers.remove(self.wfile)
        super().finish()

    def answer(self, command, rest):
        if command == "HELLO":
            return "OK" if rest == self.server.token else "ERR wrong token"
        if command == "PUT":
            self.server.jobs.append(rest)
            for subscriber in tuple(self.server.subscribers):
                try:
                    subscriber.write(f"JOB {rest}\n".encode())
                except (OSError, ValueError):  # it has just gone; its own handler removes it
                    pass
        if command == "GET":
            return self.server.jobs.popleft() if self.server.jobs else "EMPTY"
        if command == "SUBSCRIBE":
            self.server.subscribers.append(self.wfile)
        return "OK"


# [client]
class Client:
    """A connection to the queue."""

    def __init__(self, address, token="s3cret"):
        self.sock = socket.create_connection(address)
        self.lines = self.sock.makefile("r")
        try:
            if self.ask(f"HELLO {token}") != "OK":
                raise PermissionError("the server refused the token")
        except BaseException:
            self.close()
            raise

    # [/client]

    def ask(self, line):
        self.sock.sendall(f"{line}\n".encode())
        return self.lines.readline().strip()

    def close(self):
        self.lines.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Subscriber(Client):
    """Receives each new job, in a thread of its own."""

    def __init__(self, address):
        super().__init__(address)
        self.heard = collections.deque()
        self.ask("SUBSCRIBE")
        self.new = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.lines:
            self.heard.append(line.strip())
            self.new.set()

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        super().close()


class Metrics:
    """Sends counts to a statsd on this host, without waiting for an answer."""

    sock = None

    def open(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def count(self, name):
        if self.sock is None:
            self.open()
        self.sock.sendto(f"{name}:1|c".encode(), ("127.0.0.1", 8125))

    def close(self):
        if self.sock is not None:
            self.sock.close()
            self.sock = None


metrics = Metrics()


class Worker:
    """A worker: a process of its own, with a status port."""

    def __init__(self):
        command = [sys.executable, "worker.py"]
        self.process = subprocess.Popen(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        self.process.stdout.close()
        self.process.terminate()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
