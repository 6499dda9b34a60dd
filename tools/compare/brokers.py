"""Brokers that are measured: what a distribution packages, fed by a publisher of ours."""

import glob
import os
import shutil

from peers import Peer, Running, said
from process import Failed, Process, free_port

_NCHAN = "/usr/lib/nginx/modules/ngx_nchan_module.so"


class Broker(Peer):
    """A broker that a publisher of tools/peers feeds, from the client's core."""

    package = binary = broker = topic = ""

    def absent(self):
        there = shutil.which(self.binary)
        return None if there else f"no {self.binary}; the Debian package is {self.package}"

    def configure(self, port):
        """Writes its configuration; its command, and the port that is published to."""
        raise NotImplementedError

    def start(self, shape):
        port = free_port()
        command, publish_port = self.configure(port)
        server = Process(self.name, command, self.log(), self.place.server)
        server.answers_on(port)
        server.answers_on(publish_port)
        publisher = Process(
            f"{self.name}'s publisher",
            [
                *(self.place.built("peers", "publish"), "--to", self.broker),
                *("--port", str(publish_port), "--topic", self.topic, "--rate", str(shape.rate)),
            ],
            self.log("publisher"),
            self.place.client,
        )
        url = f"ws://127.0.0.1:{port}{self.path}"
        pid = self.worker(server.pid)
        return Running(url, pid, self.protocol, self.bench_flags(shape), [server, publisher])

    def worker(self, pid):
        """The process that does the work."""
        return pid

    def fill(self, template, **values):
        """A configuration of tools/peers with its places filled in."""
        with open(os.path.join(self.place.root, "tools/peers", template), encoding="utf-8") as file:
            text = file.read()
        for name, value in values.items():
            text = text.replace("{" + name + "}", str(value))
        path = os.path.join(self.place.logs, template)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class Nats(Broker):
    """nats-server, over WebSocket."""

    package = binary = "nats-server"
    protocol = broker = "nats"
    topic = "trades"

    def version(self):
        return said(self.binary, "--version")

    def configure(self, port):
        tcp = free_port()
        config = self.fill("nats.conf", WS=port, TCP=tcp)
        return [self.binary, "-c", config], tcp

    def bench_flags(self, shape):
        return ["--subject", self.topic]


class Nchan(Broker):
    """nginx with nchan."""

    package, binary, broker = "nginx-light, and libnginx-mod-nchan", "nginx", "nchan"
    path, topic = "/subscribe", "/publish"

    def absent(self):
        if os.path.exists(_NCHAN):
            return super().absent()
        return f"no nginx with nchan; the Debian packages are {self.package}"

    def version(self):
        asked = ["dpkg-query", "--show", "--showformat=${Version}", "libnginx-mod-nchan"]
        return f"{said(self.binary, '-v')}, nchan {said(*asked)}"

    def configure(self, port):
        config = self.fill("nginx.conf", WS=port, MODULE=_NCHAN, RUN=self.place.logs)
        return [self.binary, "-p", self.place.logs, "-c", config], port

    def worker(self, pid):
        for path in glob.glob(f"/proc/{pid}/task/*/children"):
            with open(path, encoding="ascii") as children:
                found = children.read().split()
            if found:
                return int(found[0])
        raise Failed(f"{self.name}: nginx has no worker")
