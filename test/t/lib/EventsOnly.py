"""A client of a logical slot that confirms events and nothing else, as many clients do: the positions that keepalives
carry are not confirmed, so unrelated WAL makes its slot fall behind.

    EventsOnly.py SOCKET_DIRECTORY PORT USER DATABASE SLOT [never]

Confirms the LSN of each data message that it got, and repeats that when a keepalive asks for an answer. With "never" it
takes all messages and confirms none. Prints a line for each data message: its LSN and its size. Runs until it is ended.
"""

import socket
import struct
import sys
import time

EPOCH = 946684800  # 2000-01-01


def read(connection, count):
    """Exactly so many bytes; ends the program if the server has no more."""
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            sys.exit("the server closed the connection")
        data += part
    return data


def message(connection):
    """One message of the server: its type and its content."""
    kind, size = struct.unpack("!cI", read(connection, 5))
    content = read(connection, size - 4)
    if kind == b"E":
        sys.exit("the server said: " + content.replace(b"\0", b" ").decode("utf-8", "replace"))
    return kind, content


def confirm(connection, lsn):
    now = int((time.time() - EPOCH) * 1000000)
    content = struct.pack("!cQQQqB", b"r", lsn, lsn, lsn, now, 0)
    connection.sendall(struct.pack("!cI", b"d", len(content) + 4) + content)


def main():
    directory, port, user, database, slot = sys.argv[1:6]
    never = sys.argv[6:] == ["never"]
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(f"{directory}/.s.PGSQL.{port}")
    parameters = {"user": user, "database": database, "replication": "database", "application_name": slot}
    content = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items()) + b"\0"
    connection.sendall(struct.pack("!II", len(content) + 8, 3 << 16) + content)
    while True:
        kind, content = message(connection)
        if kind == b"R" and content != struct.pack("!I", 0):
            sys.exit("the server does not trust this user")
        if kind == b"Z":
            break

    command = f'START_REPLICATION SLOT "{slot}" LOGICAL 0/0'.encode() + b"\0"
    connection.sendall(struct.pack("!cI", b"Q", len(command) + 4) + command)
    while message(connection)[0] != b"W":
        pass
    confirmed = 0  # which confirms nothing
    while True:
        kind, content = message(connection)
        if kind != b"d":
            sys.exit(f"the server ended the stream with a message of type {kind}")
        if content[:1] == b"w":
            lsn = struct.unpack("!Q", content[1:9])[0]
            print(f"{lsn:X} {len(content) - 25}", flush=True)
            if not never:
                confirmed = max(confirmed, lsn)
                confirm(connection, confirmed)
        elif content[:1] == b"k" and content[17] == 1:
            confirm(connection, confirmed)


main()
