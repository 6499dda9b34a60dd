"""Handshakes a second on one core, and what a storm of them does to running subscribers.

    tools/storm.sh [--rounds 5] [--seconds 3] [--rate 20000] [--results FOLDER]

First flat out: nobody is subscribed, and clients connect and leave as fast as the server lets them.
Then 100 subscribers to 1,000 records/s, calm and in a storm, in turn: with the whole server on one
core, and with the gate's thread on another one than feed and shard. With three cores that one is
the gate's own; with two the clients are on it as well, those that are measured before the others.
Writes runs.jsonl, machine.json and table.md.
"""

import argparse
import json
import os
import statistics
import sys
import time

import build
import machine
from options import in_rounds, seconds
from peers import Broadtape
from process import Failed, Process, stop_all
from shape import Shape

_SHAPE = Shape(100, 1)
_WARMUP = 1
_PATIENCE = 60.0
# Threads of the server that ticks go through; the others are the gate's and the control plane's.
_DATA = ("feed", "shard-")


class Server:
    """broadtape, with its gate on one core and the way of the ticks on another."""

    def __init__(self, place, gate, shape):
        self.running = Broadtape("broadtape", [], place).start(shape)
        self.others = []
        if gate != place.server:
            for thread in os.listdir(f"/proc/{self.running.pid}/task"):
                with open(f"/proc/{self.running.pid}/task/{thread}/comm", encoding="ascii") as name:
                    if not name.read().startswith(_DATA):
                        self.others.append(int(thread))
            for thread in self.others:
                os.sched_setaffinity(thread, {gate})

    def cpu(self):
        """CPU nanoseconds of the process so far."""
        return time.clock_gettime_ns((~self.running.pid << 3) | 2)


def client(place, url, name, more, duration, nice=-20):
    """A bench on the client's core; its process, and where its report goes."""
    report = os.path.join(place.raw, f"{name}.json")
    command = [
        *(place.broadtape, "bench", url, "--json", report),
        *("--duration", f"{duration}s", "--warmup", f"{_WARMUP}s", *more),
    ]
    log = os.path.join(place.logs, f"{name}.log")
    return Process(name, command, log, place.client, nice=nice), report


def finish(process, report, duration):
    """Its report, when it has ended."""
    try:
        if process.wait(duration + _WARMUP + _PATIENCE):
            raise process.fail(f"ended with {process.child.returncode}")
    finally:
        process.stop()
    with open(report, encoding="utf-8") as file:
        return json.load(file)


def storm(place, url, asked, name, duration):
    """Starts clients that connect and leave."""
    more = ["--connections", "1", "--churn", str(asked.rate)]
    return client(place, url, name, more, duration, nice=5)


def came(report):
    """Handshakes a second of a storm."""
    return report["churn"]["done"] / report["duration_s"]


def flat_out(place, asked):
    """Nobody else is there."""
    server = Server(place, place.server, Shape(1, 1))
    try:
        before = server.cpu()
        visitors = storm(place, server.running.url, asked, "flat", asked.seconds)
        report = finish(*visitors, asked.seconds)
        # The storm is as long as the window; beside it the server does next to nothing.
        used = (server.cpu() - before) / 1e9
        return {
            "handshakes_per_s": came(report),
            "server_busy": used / report["duration_s"],
            "per_cpu_second": report["churn"]["done"] / used,
        }
    finally:
        server.running.stop()


def subscribed(place, asked, gate, stormy):
    """100 subscribers are measured, in a storm or not."""
    server = Server(place, gate, _SHAPE)
    url, visitors = server.running.url, None
    try:
        if stormy:
            # Until the measurement is over: it begins when all are connected and warm.
            visitors = storm(place, url, asked, "storm", asked.seconds + _WARMUP)
        more = ["--connections", str(_SHAPE.connections)]
        report = finish(*client(place, url, "subscribers", more, asked.seconds), asked.seconds)
        latency = report["latency_ns"]["ts_event"]
        found = {name: latency[name] for name in ("p50", "p99", "p99.9")}
        found["lost"] = report["lost"]
        if visitors:
            found["handshakes_per_s"] = came(finish(*visitors, asked.seconds + _WARMUP))
        return found
    finally:
        if visitors:
            visitors[0].stop()
        server.running.stop()


def measure(place, asked):
    """All rounds; each run as it ends."""
    own = next((c for c in place.mask if c not in (place.server, place.client)), place.client)
    gates = {"shared core": place.server, "core of its own": own}
    if own == place.server:
        del gates["core of its own"]
    for number in range(asked.rounds):
        yield {"round": number, "case": "flat out", **flat_out(place, asked)}
        for case, gate in gates.items():
            for stormy in (False, True) if number % 2 else (True, False):
                found = subscribed(place, asked, gate, stormy)
                yield {"round": number, "case": case, "storm": stormy, **found}


def table(runs):
    """The medians, and the ratio of a round's two p99."""
    flat = [run for run in runs if run["case"] == "flat out"]
    middle = {name: statistics.median(run[name] for run in flat)
              for name in ("handshakes_per_s", "server_busy", "per_cpu_second")}
    lines = [
        f"Flat out: {middle['handshakes_per_s']:,.0f} handshakes/s, the server's core "
        f"{middle['server_busy']:.0%} busy: {middle['per_cpu_second']:,.0f} for a second of its "
        "processor time.",
        "",
        "| the gate has a | storm, handshakes/s | p50 µs calm, storm | p99 µs calm, storm "
        "| p99.9 µs calm, storm | p99 storm ÷ calm | lost |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for case in dict.fromkeys(run["case"] for run in runs if run["case"] != "flat out"):
        calm, storms = ([run for run in runs if run["case"] == case and run["storm"] == stormy]
                        for stormy in (False, True))
        ratios = [s["p99"] / c["p99"] for c, s in zip(calm, storms)]
        cells = [
            ", ".join(f"{statistics.median(r[name] for r in side) / 1000:,.0f}"
                      for side in (calm, storms))
            for name in ("p50", "p99", "p99.9")
        ]
        rate = statistics.median(run["handshakes_per_s"] for run in storms)
        lines.append(
            f"| {case} | {rate:,.0f} | {' | '.join(cells)} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f}…{max(ratios):.2f}) | {sum(r['lost'] for r in calm + storms)} |"
        )
    return "\n".join(lines) + "\n"


def main():
    """Measures and writes."""
    form = argparse.ArgumentParser(prog="tools/storm.sh", description=__doc__.splitlines()[0])
    form.add_argument("--seconds", type=seconds, default=3.0, help="of one measurement [3s]")
    form.add_argument("--rate", type=int, default=20_000, help="connects a second, tried [20000]")
    asked, place = in_rounds(form, "storm", 5)
    place.make()
    build.build(place, ["broadtape-epoll"])
    if len(place.mask) < 3:
        print("two cores: the clients are on the gate's, where it has one of its own",
              file=sys.stderr)
    machine.note(place)
    found = table(place.keep(measure(place, asked)))
    place.write("table.md", found)
    print(found)


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(f"storm: {error}")
    finally:
        stop_all()
