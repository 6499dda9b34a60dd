"""Servers that are measured: the floor, broadtape, peers on libraries, any command."""

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field

from process import Process, free_port


@dataclass
class Running:
    """A server that is up."""

    url: str
    pid: int
    protocol: str
    flags: list = field(default_factory=list)
    processes: list = field(default_factory=list)

    def stop(self):
        """Ends it, the publisher first."""
        for process in reversed(self.processes):
            process.stop()


class Peer:
    """One server. `absent` says why it can't be measured here, `start` starts it."""

    protocol = "raw48"
    subsets = False
    scheme = "ws"
    path = "/"

    def __init__(self, name, place):
        self.name, self.place = name, place

    def absent(self):
        """Why it is left out; None where it is there."""
        return None

    def version(self):
        """What is measured, for the record."""
        return self.name

    def command(self, shape):
        """How it is started, where it is one process that says its port."""
        raise NotImplementedError

    def start(self, shape):
        """Starts it for a shape."""
        process = Process(self.name, self.command(shape), self.log(), self.place.server)
        port = process.announced_port()
        url = f"{self.scheme}://127.0.0.1:{port}{self.path}"
        return Running(url, process.pid, self.protocol, self.bench_flags(shape), [process])

    def bench_flags(self, shape):
        """What the bench has to be told beside."""
        return []

    def log(self, what="server"):
        """Where its output goes."""
        return os.path.join(self.place.logs, f"{self.name}.{what}.log")


class Floor(Peer):
    """One send of the same bytes for each subscriber and tick."""

    protocol, subsets, path = "broadtape", True, "/v1/stream"

    def __init__(self, engine, place):
        super().__init__(f"floor-{engine}", place)
        self.engine = engine

    def absent(self):
        probe = [self.place.built("floor", "floor"), "--engine", self.engine, "--probe"]
        done = subprocess.run(probe, capture_output=True, text=True, check=False)
        return done.stderr.strip() if done.returncode else None

    def version(self):
        return f"tools/floor --engine {self.engine}"

    def command(self, shape):
        return [
            *(self.place.built("floor", "floor"), "--engine", self.engine),
            *("--connections", str(shape.connections), "--rate", str(shape.rate)),
            *("--sends-per-tick", str(shape.sends_per_tick)),
        ]


class Floor48(Floor):
    """The floor of the peers' messages: all that are due to a subscriber in one send."""

    protocol, subsets, path = "raw48", False, "/"

    def __init__(self, place):
        super().__init__("send", place)
        self.name = "floor-48-bytes"

    def version(self):
        return super().version() + " --payload raw48"

    def command(self, shape):
        return [*super().command(shape), "--payload", "raw48"]


class Broadtape(Peer):
    """The server of this tree."""

    protocol, subsets, path = "broadtape", True, "/v1/stream"

    def __init__(self, name, flags, place):
        super().__init__(name, place)
        self.flags = flags

    def version(self):
        return " ".join([said(self.place.broadtape, "--version"), *self.flags])

    def command(self, shape):
        return [
            *(self.place.broadtape, "serve", "--listen", "127.0.0.1:0", "--drain", "0s"),
            *("--scenario", "metronome", "--rate", str(shape.rate)),
            *("--symbols", str(shape.symbols), "--start", f"on-subscribe={shape.connections}"),
            *([] if "--shards" in self.flags else ["--shards", "1"]),
            *self.flags,
        ]

    def bench_flags(self, shape):
        return ["--symbols", str(shape.own)] if shape.own else []


class Encrypted(Broadtape):
    """The same with TLS: a frame is encoded once for all, and encrypted for each."""

    scheme = "wss"

    def __init__(self, name, flags, place):
        super().__init__(name, [*flags, "--tls-self-signed"], place)

    def bench_flags(self, shape):
        return [*super().bench_flags(shape), "--tls-insecure"]


class Crate(Peer):
    """A server on a crate, of tools/peers."""

    def __init__(self, name, package, place):
        super().__init__(name, place)
        self.package = package

    def version(self):
        lock = os.path.join(self.place.root, "tools/peers/Cargo.lock")
        with open(lock, encoding="utf-8") as lines:
            found = re.search(rf'name = "{self.package}"\nversion = "([^"]+)"', lines.read())
        return f"{self.package} {found.group(1) if found else '?'}"

    def command(self, shape):
        return [
            *(self.place.built("peers", self.name), "--rate", str(shape.rate)),
            *("--connections", str(shape.connections)),
        ]


class Node(Peer):
    """Node's ws."""

    def absent(self):
        return None if shutil.which("node") and shutil.which("npm") else "no node and npm"

    def version(self):
        return f"ws of tools/peers/node/package-lock.json, node {said('node', '--version')}"

    def command(self, shape):
        script = self.place.target("peers/node/broadcast.js")
        return [
            *("node", script, "--rate", str(shape.rate)),
            *("--connections", str(shape.connections)),
        ]


class Command(Peer):
    """Any server, by its command line."""

    def __init__(self, name, line, flags, place):
        super().__init__(name, place)
        self.line, self.flags = line, shlex.split(flags)

    def version(self):
        return self.line

    def start(self, shape):
        port = free_port()
        places = {"PORT": port, "RATE": shape.rate, "CONNECTIONS": shape.connections}
        words = shlex.split(self.line)
        for name, value in places.items():
            words = [word.replace("{" + name + "}", str(value)) for word in words]
        process = Process(self.name, words, self.log(), self.place.server)
        process.answers_on(port)
        url = f"ws://127.0.0.1:{port}/"
        return Running(url, process.pid, self.protocol, self.flags, [process])


def said(*command):
    """The first line that a command says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "?"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines else "?"
