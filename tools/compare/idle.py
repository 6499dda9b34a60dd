"""What a connection takes of the server's memory: idle, encrypted, subscribed to next to nothing.

    tools/idle.sh [--rounds 3] [--results FOLDER]

Idle is connected and not subscribed; subscribed is to all of one record a second. For each run a
server starts anew, connections come up to 10,000, and its resident memory is read at every 500 from
2,000 on: the figure is the slope of the line through them. The difference of the ends alone moves
by a quarter of a KiB a connection, as the system gives memory in pages of 2 MiB. What the kernel
keeps for sockets is not in it. Writes runs.jsonl, machine.json and table.md.
"""

import argparse
import json
import re
import resource
import socket
import ssl
import statistics
import struct
import sys
import time
from dataclasses import dataclass, field

import build
import machine
from options import in_rounds
from peers import Broadtape, Encrypted
from place import Usage
from process import Failed, stop_all
from shape import Shape

_FEW, _MANY, _STEP = 2_000, 10_000, 500
# Before memory is read: what was needed only for a handshake is given back.
_SETTLE = 0.5


class Quiet(Shape):
    """Next to nothing comes."""

    rate = 1


@dataclass
class Case:
    """One row: how the server is started, and what its clients do."""

    label: str
    flags: list = field(default_factory=list)
    subscribes: bool = False
    tls: ssl.TLSVersion | None = None

    def peer(self, place):
        """What is measured."""
        kind = Encrypted if self.tls else Broadtape
        return kind("broadtape", [*self.flags, "--log", "error"], place)

    def context(self):
        """How the clients encrypt, if they do."""
        if not self.tls:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = self.tls
        return context


_CASES = [
    *(Case(f"idle, {engine}", ["--engine", engine]) for engine in ("epoll", "uring")),
    *(Case(f"subscribed, {e}", ["--engine", e], subscribes=True) for e in ("epoll", "uring")),
    Case("idle, TLS 1.2", tls=ssl.TLSVersion.TLSv1_2),
    Case("idle, TLS 1.3", tls=ssl.TLSVersion.TLSv1_3),
]


def handshake(port, context):
    """A connection that streams, once the server has said so."""
    stream = socket.create_connection(("127.0.0.1", port), timeout=10)
    if context:
        stream = context.wrap_socket(stream)
    stream.sendall(
        b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n" % port
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        if not (more := stream.recv(4096)):
            break
        answer += more
    if not answer.startswith(b"HTTP/1.1 101 "):
        raise Failed(f"the server answers a handshake with {answer[:200]!r}")
    return stream


def subscription():
    """The frame that asks for all trades, masked with zeros."""
    params = {"schema": "trades", "symbols": "*", "snapshot": False}
    text = json.dumps({"id": 1, "method": "subscribe", "params": params}).encode()
    return struct.pack("!BB4x", 0x81, 0x80 | len(text)) + text


def resident(pid):
    """Bytes of memory that a process holds."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status.read(), re.MULTILINE)[1]) * 1024


def points(place, case):
    """(connections, bytes resident) as they come."""
    server, context = case.peer(place).start(Quiet(1, 1)), case.context()
    port, streams, found = int(re.search(r":(\d+)/", server.url)[1]), [], []
    try:
        for count in range(_FEW, _MANY + 1, _STEP):
            while len(streams) < count:
                streams.append(handshake(port, context))
                if case.subscribes:
                    streams[-1].sendall(subscription())
            time.sleep(_SETTLE)
            found.append((count, resident(server.pid)))
        return found
    finally:
        for stream in streams:
            stream.close()
        server.stop()


def measure(place, rounds):
    """All rounds; each run as it ends."""
    for number in range(1, rounds + 1):
        for case in _CASES:
            found = points(place, case)
            slope = statistics.linear_regression(*zip(*found)).slope
            run = {"round": number, "case": case.label, "bytes_a_connection": slope}
            yield {**run, "points": found}


def table(runs):
    """Bytes a connection: medians, the least and the most in brackets, as Markdown."""
    lines = ["| a connection that is | bytes |", "|---|--:|"]
    for case in _CASES:
        of = [run["bytes_a_connection"] for run in runs if run["case"] == case.label]
        middle = statistics.median(of)
        lines.append(f"| {case.label} | {middle:,.0f} ({min(of):,.0f}…{max(of):,.0f}) |")
    return "\n".join(lines) + "\n"


def main():
    """Measures and writes."""
    form = argparse.ArgumentParser(prog="tools/idle.sh", description=__doc__.splitlines()[0])
    asked, place = in_rounds(form, "idle", 3)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < _MANY + 100:
        raise Usage(f"{_MANY:,} connections need as many descriptors; ulimit -n grants {most:,}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    place.make()
    build.build(place, ["broadtape-epoll"])
    machine.note(place)
    found = table(place.keep(measure(place, asked.rounds)))
    place.write("table.md", found)
    print(found)


if __name__ == "__main__":
    try:
        main()
    except (Failed, Usage, OSError) as error:
        sys.exit(f"idle: {error}")
    finally:
        stop_all()
