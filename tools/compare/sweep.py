"""How broadtape's cost moves with one thing at a time: connections, symbols, shards, collecting.

    tools/sweep.sh [--only NAME,NAME] [--rounds 3] [--results FOLDER]

Runs of one sweep are interleaved. A row is the median of its rounds; sends a second are kept near
the same within a sweep, so that the cost of a send is what moves. Writes runs.jsonl and table.md.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field

import build
from cpuclock import CpuClock
from place import Place
from process import Failed, Process, stop_all
from rounds import _SETTLE

_WINDOW, _WARMUP, _PATIENCE = 2, 1, 60


@dataclass
class Case:
    """One row: how the server is started, how many subscribe, what they do."""

    label: str
    connections: int
    rate: int
    symbols: int = 16
    server: list = field(default_factory=list)
    bench: list = field(default_factory=list)
    floor: bool = False


def sweeps():
    """All sweeps, by name: what moves, and the rows."""
    many = [(100, 1000), (1000, 100), (5000, 20), (10_000, 10), (19_000, 5)]
    return {
        "connections": [
            case
            for n, rate in many
            for case in (Case(f"{n}, floor", n, rate, floor=True), Case(f"{n}", n, rate))
        ],
        "symbols": [Case(f"{k}", 100, 10_000, k) for k in (1, 16, 500, 20_000)],
        "own symbols": [
            Case(f"{k} of 500", 200, 5000, 500, bench=["--symbols", str(k)])
            for k in (1, 20, 100, 500)
        ],
        "shards on one core": [
            Case(n, 100, 1000, server=["--shards", n]) for n in ("1", "2")
        ],
        "flush interval": [
            Case(time_, 100, 2000, server=["--flush-interval", time_])
            for time_ in ("0", "500us", "1ms", "2ms", "5ms", "10ms")
        ],
        "stalled of 1,000": [
            Case("none", 1000, 100),
            Case("100", 1000, 100, bench=["--stall", "100"]),
        ],
        "visitors a second": [
            Case(f"{n}", 100, 1000, bench=["--churn", f"{n}"] if n else []) for n in (0, 200, 1000)
        ],
    }


def command(case, place):
    """How the server of a case is started."""
    if case.floor:
        return [
            *(place.built("floor", "floor"), "--rate", str(case.rate)),
            *("--connections", str(case.connections)),
        ]
    shards = [] if "--shards" in case.server else ["--shards", "1"]
    return [
        *(place.broadtape, "serve", "--listen", "127.0.0.1:0", "--drain", "0s"),
        *("--scenario", "metronome", "--rate", str(case.rate), "--symbols", str(case.symbols)),
        *("--start", f"on-subscribe={case.connections}", *shards, *case.server),
    ]


def run(case, place):
    """One run: the figures of a row."""
    server = Process("server", command(case, place), f"{place.logs}/server.log", place.server)
    result = os.path.join(place.raw, "run.json")
    try:
        url = f"ws://127.0.0.1:{server.announced_port()}/v1/stream"
        bench = [
            *(place.broadtape, "bench", url, "--spin", "--json", result),
            *("--connections", str(case.connections), "--server-pid", str(server.pid)),
            *("--duration", f"{_WINDOW}s", "--warmup", f"{_WARMUP}s", *case.bench),
        ]
        with CpuClock(server.pid) as clock:
            client = Process("bench", bench, f"{place.logs}/bench.log", place.client)
            try:
                if client.wait(_PATIENCE):
                    raise client.fail("failed")
            finally:
                client.stop()
        with open(result, encoding="utf-8") as file:
            return figures(json.load(file), clock)
    finally:
        server.stop()


def figures(report, clock):
    """What of a bench's report stands in a row."""
    start, seconds, reads = report["start"], report["duration_s"], report["reads"]
    used = clock.used(start, start + int(seconds * 1e9))
    latency = report["latency_ns"]["ts_event"]
    return {
        "cpu_ns": used / report["records"],
        "send_ns": used / reads,
        "busy": used / seconds / 1e9,
        "p50": latency["p50"] / 1000,
        "p99": latency["p99"] / 1000,
        "lost": report["lost"],
        "client": max(share["busy"] for share in report["client"]),
    }


def row(case, runs):
    """A row of the table: medians, the spread of the cost in brackets."""
    if not runs:
        return f"| {case.label} | failed | | | | | |"
    middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    costs = [run["cpu_ns"] for run in runs]
    return (
        f"| {case.label} | {middle['cpu_ns']:,.0f} ({min(costs):,.0f}…{max(costs):,.0f})"
        f" | {middle['send_ns']:,.0f} | {middle['busy']:.0%} | {middle['p50']:,.0f}"
        f" | {middle['p99']:,.0f} | {max(run['lost'] for run in runs)} |"
    )


def table(name, cases, runs):
    """One sweep's rows."""
    head = "server CPU, ns a record | ns a read | server busy | p50 µs | p99 µs | lost"
    first = cases[0]
    say = f"{first.connections} subscribers, {first.rate:,} records/s"
    if name == "connections":
        say = "100,000 sends/s; the floor beside it"
    lines = [f"### By {name} ({say})", "", f"| {name} | {head} |", "|---|--:|--:|--:|--:|--:|--:|"]
    return "\n".join([*lines, *(row(case, runs[case.label]) for case in cases), ""])


def main():
    """Runs the sweeps that were asked for."""
    form = argparse.ArgumentParser(prog="tools/sweep.sh", description=__doc__.splitlines()[0])
    form.add_argument("--only", help="comma separated: " + ", ".join(sweeps()))
    form.add_argument("--rounds", type=int, default=3)
    form.add_argument("--results", default=None, help="folder to write [a temporary one]")
    asked = form.parse_args()
    chosen = {n: c for n, c in sweeps().items() if not asked.only or n in asked.only.split(",")}
    if not chosen or asked.rounds < 1:
        form.error(f"there is no such sweep; there are: {', '.join(sweeps())}")
    place = Place(asked.results or tempfile.mkdtemp(prefix="broadtape-sweep-"))
    place.make()
    build.build(place, ["floor-send"])
    tables = []
    with open(os.path.join(place.results, "runs.jsonl"), "w", encoding="utf-8") as out:
        for name, cases in chosen.items():
            runs = {case.label: [] for case in cases}
            for number in range(asked.rounds):
                for case in cases[number % len(cases) :] + cases[: number % len(cases)]:
                    time.sleep(_SETTLE)
                    try:
                        found = run(case, place)
                        runs[case.label].append(found)
                        out.write(json.dumps({"sweep": name, "row": case.label, **found}) + "\n")
                    except (Failed, OSError, KeyError, TypeError) as error:
                        print(f"{name}, {case.label}: {error}", file=sys.stderr)
            tables.append(table(name, cases, runs))
            print(tables[-1], flush=True)
    with open(os.path.join(place.results, "table.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(tables))


if __name__ == "__main__":
    try:
        main()
    finally:
        stop_all()
