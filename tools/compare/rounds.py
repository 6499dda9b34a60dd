"""Interleaved rounds: all peers on a shape, in an order that rotates, then all again."""

import json
import os
import time

from figures import rotated
from process import Failed

# Between two runs: sockets close, the neighbours' caches cool.
_SETTLE = 0.5


def stem(place, shape, number, peer):
    """Where a run's raw files go, without their extension."""
    name = str(shape).replace(":", "-").replace("/", "of")
    return os.path.join(place.raw, f"{name}-{number}-{peer.name}")


def one(place, bench, peer, shape, number):
    """Runs one peer once."""
    run = {"peer": peer.name, "shape": str(shape), "round": number, "load": os.getloadavg()[0]}
    running = None
    try:
        running = peer.start(shape)
        run["protocol"] = running.protocol
        run["nice"] = os.getpriority(os.PRIO_PROCESS, running.pid)
        run.update(bench.measure(shape, running, stem(place, shape, number, peer)))
    except (Failed, OSError, ValueError, KeyError) as error:
        run.update(error=str(error) or repr(error), rejected=["it failed"])
    finally:
        if running:
            running.stop()
    return run


def settled(place, bench, peer, shape, number):
    """Runs one peer once, after a pause."""
    time.sleep(_SETTLE)
    return one(place, bench, peer, shape, number)


def line(run):
    """A run in one line."""
    head = f"round {run['round'] + 1}  {run['shape']:<14} {run['peer']:<16}"
    if "error" in run:
        return f"{head} FAILED: {run['error']}"
    cpu = "      ?" if run["cpu_ns"] is None else f"{run['cpu_ns']:7.0f}"
    p99 = (run["p99"] or 0) / 1000
    text = f"{head} {cpu} ns  p99 {p99:7.0f} us  {run['delivered']:6.1%} delivered"
    notes = list(run["rejected"])
    if run["lost"]:
        notes.append(f"{run['lost']} lost")
    return f"{text}  {'; '.join(notes)}".rstrip()


def measure(place, bench, peers, shapes, count, say):
    """All rounds; yields nothing until they are over, but writes each run as it ends."""
    runs = []
    with open(os.path.join(place.results, "runs.jsonl"), "w", encoding="utf-8") as out:
        for number in range(count):
            for shape in shapes:
                able = [peer for peer in peers if peer.subsets or not shape.own]
                for peer in rotated(able, number):
                    run = settled(place, bench, peer, shape, number)
                    runs.append(run)
                    out.write(json.dumps(run) + "\n")
                    out.flush()
                    say(line(run))
    return runs
