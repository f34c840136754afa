"""A connection to one address and port, and none to the next."""

from __future__ import annotations

import socketserver
import threading

import evalbox

CODE = """\
import socket, sys

for port in map(int, sys.stdin.read().split()):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"ping")
            print(connection.recv(100).decode())
    except OSError as error:
        print(error)
"""


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(self.request.recv(100).upper())


with (
    socketserver.TCPServer(("127.0.0.1", 0), Echo) as granted,
    socketserver.TCPServer(("127.0.0.1", 0), Echo) as other,
):
    for server in (granted, other):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    ports = granted.server_address[1], other.server_address[1]
    output = evalbox.run(
        CODE,
        connect=[f"127.0.0.1:{ports[0]}"],
        stdin=f"{ports[0]} {ports[1]}".encode(),
    )
    print(output.stdout)
    for call in output.refused:
        print(f"{call.syscall}: {call.grant} would allow it")
    for server in (granted, other):
        server.shutdown()
