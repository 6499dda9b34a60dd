"""`broadtape bench`, which measures all of them: its command, and what its report says."""

import json
import os

from cpuclock import CpuClock
from process import Process

# Above this share of a core the client can't be told from the server.
CLIENT_BUSY_MAX = 0.9
# Beyond the measurement: connecting, subscribing, the last counts.
_PATIENCE = 60.0


class Bench:
    """The bench of this tree."""

    def __init__(self, place, duration, warmup, read_every=None):
        self.place, self.duration, self.warmup = place, duration, warmup
        # Seconds between two reads of a subscriber; as often as it can where there are none.
        self.read_every = read_every

    def command(self, shape, running, stem):
        """How it measures what runs."""
        command = [
            *(self.place.broadtape, "bench", running.url),
            *("--connections", str(shape.connections)),
            *("--duration", f"{self.duration}s", "--warmup", f"{self.warmup}s"),
            *("--json", f"{stem}.json", "--hdr", f"{stem}.hdr"),
            *("--protocol", running.protocol, "--server-pid", str(running.pid)),
        ]
        if len(running.processes) == 1:
            # On loopback a send also pays for waking its receiver, and the quicker that one is, the
            # oftener: a client that never sleeps is the same for all. Not where a publisher needs
            # the client's core as well.
            command.append("--spin")
            if self.read_every:
                command += ["--read-every", f"{self.read_every * 1000:g}ms"]
        return [*command, *running.flags]

    def measure(self, shape, running, stem):
        """The figures of one run."""
        log = os.path.join(self.place.logs, "bench.log")
        command = self.command(shape, running, stem)
        with CpuClock(running.pid) as clock:
            process = Process("broadtape bench", command, log, self.place.client)
            try:
                if process.wait(self.duration + self.warmup + _PATIENCE):
                    raise process.fail(f"ended with {process.child.returncode}")
            finally:
                process.stop()
        with open(f"{stem}.json", encoding="utf-8") as file:
            return figures(json.load(file), shape, clock)


def figures(report, shape, clock):
    """What of a bench's report is compared."""
    latency = report["latency_ns"]["ts_event"]
    start, seconds, records = report["start"], report["duration_s"], report["records"]
    used = clock.used(start, start + int(seconds * 1e9))
    client = max((share["busy"] for share in report["client"]), default=0.0)
    return {
        "records": records,
        "read_ns": used / report["reads"] if used is not None and report["reads"] else None,
        "cpu_ns": used / records if used is not None and records else None,
        "server_busy": None if used is None else used / (seconds * 1e9),
        "delivered_per_s": records / seconds,
        "delivered": records / seconds / shape.delivered_per_s,
        **{name: report.get(name, 0) for name in ("lost", "duplicated", "reordered")},
        "client_busy": client,
        "client_waiting": max((share["waiting"] for share in report["client"]), default=0.0),
        "disconnects": report["disconnects"],
        **{name: latency.get(name) for name in ("p50", "p99", "p99.9", "max")},
        "rejected": rejections(client, records),
    }


def rejections(client_busy, records):
    """Why a run says nothing about the server."""
    reasons = []
    if client_busy > CLIENT_BUSY_MAX:
        reasons.append(f"the client was {client_busy:.0%} busy")
    if not records:
        reasons.append("nothing arrived")
    return reasons
