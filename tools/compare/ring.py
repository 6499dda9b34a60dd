"""The ring beside other queues, in short turns: what a record costs, and the ratios of one round.

    tools/ring.sh [--rounds 9] [--only '48/(broadtape|rtrb)/1'] [--results FOLDER]

The benchmark is that of `cargo bench --bench ring`. There each queue has its turn of seconds, and a
machine that is slow for half a minute is slow for one of them; here a round has them all within
seconds, and a ratio is of one round. Writes runs.jsonl, machine.json and table.md.
"""

import argparse
import json
import os
import re
import subprocess
import sys

import build
import machine
from figures import of_peer, ratios
from options import in_rounds
from place import Usage
from report import times

_OURS = "broadtape"
_TURN = ["--noplot", "--warm-up-time", "0.1", "--measurement-time", "0.4", "--nresamples", "1000"]
_NANOS = {"ps": 1e-3, "ns": 1.0, "µs": 1e3, "ms": 1e6}


def benchmark(place):
    """Builds the benchmark; the program's path."""
    command = ["cargo", "bench", "--locked", "--bench", "ring", "--no-run"]
    command += ["--profile", "bench" if place.profile == "release" else place.profile]
    command += ["--message-format", "json", "--target-dir", place.target("")]
    said = build.run("building the benchmark", command, cwd=place.root)
    built = (json.loads(line) for line in said.splitlines())
    # Programs that tests need are built and named as well.
    benches = (one for one in built if one.get("target", {}).get("kind") == ["bench"])
    return next(benches)["executable"]


def listed(program, only):
    """The cases: (bytes, queue, batch)."""
    words = [program, "--bench", "--list"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    cases = re.findall(r"^ring/(\S+)/(\S+)/(\d+): benchmark$", done.stdout, re.MULTILINE)
    return [case for case in cases if only.search("/".join(case))]


def turn(program, case):
    """Nanoseconds a record of one case: criterion's middle estimate."""
    words = [program, "--bench", f"^ring/{'/'.join(case)}$", *_TURN]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = re.search(r"time:\s+\[\S+ \S+ (\S+) (\S+) ", done.stdout)
    if done.returncode or not found:
        raise Usage(f"the benchmark of {'/'.join(case)} failed:\n{done.stderr[-2000:]}")
    return float(found[1]) * _NANOS[found[2]]


def measure(program, cases, rounds):
    """All cases in each round, those of one size and batch one after the other."""
    ordered = sorted(cases, key=lambda case: (case[0], int(case[2])))
    for number in range(1, rounds + 1):
        for case in ordered:
            size, queue, batch = case
            ns = turn(program, case)
            yield {"round": number, "bytes": size, "queue": queue, "batch": int(batch), "ns": ns}


def table(runs):
    """Medians, spreads, and what ours takes of each other's, as Markdown."""
    lines = [
        "| bytes, readers | batch | queue | ns a record | broadtape ÷ it |",
        "|---|--:|---|--:|--:|",
    ]
    by_shape = [
        {"shape": (run["bytes"], run["batch"]), "peer": run["queue"], "rejected": [], **run}
        for run in runs
    ]
    for shape, queue in dict.fromkeys((run["shape"], run["peer"]) for run in by_shape):
        ns = of_peer(by_shape, queue, shape, "ns")
        beside = None if queue == _OURS else ratios(by_shape, _OURS, queue, shape, "ns")
        size, batch = shape
        took = f"{ns.median:.1f} ({ns.least:.1f}…{ns.most:.1f})"
        lines.append(f"| {size} | {batch} | {queue} | {took} | {times(beside)} |")
    return "\n".join(lines) + "\n"


def _pattern(text):
    """A regular expression; argparse says what is wrong with one that is none."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no pattern: {error}") from error


def main():
    """Measures and writes."""
    form = argparse.ArgumentParser(prog="tools/ring.sh", description=__doc__.splitlines()[0])
    form.add_argument("--only", type=_pattern, default="", help="like BYTES/QUEUE/BATCH [all]")
    asked, place = in_rounds(form, "ring", 9)
    os.makedirs(place.results, exist_ok=True)
    program = benchmark(place)
    cases = listed(program, asked.only)
    if not cases:
        raise Usage(f"no case of the benchmark is like {asked.only.pattern}")
    machine.note(place)
    found = table(place.keep(measure(program, cases, asked.rounds)))
    place.write("table.md", found)
    print(found)


if __name__ == "__main__":
    try:
        main()
    except Usage as error:
        sys.exit(f"ring: {error}")
