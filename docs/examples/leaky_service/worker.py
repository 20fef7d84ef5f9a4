"""A worker process: answers on its status port until it is asked to end, or its parent ends."""

import os
import socket

parent = os.getppid()
status = socket.create_server(("127.0.0.1", 0))
status.settimeout(0.2)
print(status.getsockname()[1], flush=True)
while os.getppid() == parent:
    try:
        connection, _ = status.accept()
    except TimeoutError:
        continue
    connection.sendall(b"idle\n")
    connection.close()
