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
import tempfile

import build
import machine
from figures import spread
from place import Place, Usage

_OURS = "broadtape"
_TURN = ["--noplot", "--warm-up-time", "0.1", "--measurement-time", "0.4", "--nresamples", "1000"]
_NANOS = {"ps": 1e-3, "ns": 1.0, "µs": 1e3, "ms": 1e6}


def benchmark(place):
    """Builds the benchmark; the program's path."""
    command = ["cargo", "bench", "--locked", "--bench", "ring", "--no-run"]
    command += ["--profile", "bench" if place.profile == "release" else place.profile]
    command += ["--message-format", "json", "--target-dir", place.target("")]
    build.run("building the benchmark", command, cwd=place.root)
    listed = subprocess.run(command, cwd=place.root, capture_output=True, text=True, check=True)
    programs = [json.loads(line).get("executable") for line in listed.stdout.splitlines()]
    return next(program for program in programs if program)


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
    kinds = dict.fromkeys((run["bytes"], run["batch"], run["queue"]) for run in runs)
    took = {(r["bytes"], r["batch"], r["queue"], r["round"]): r["ns"] for r in runs}
    rounds = sorted({run["round"] for run in runs})
    for size, batch, queue in kinds:
        mine = spread(took.get((size, batch, queue, number)) for number in rounds)
        pairs = [(took.get((size, batch, _OURS, n)), took.get((size, batch, queue, n)))
                 for n in rounds]
        ratio = spread(ours / its for ours, its in pairs if ours and its)
        beside = "–" if queue == _OURS or not ratio else _shown(ratio, 2)
        lines.append(f"| {size} | {batch} | {queue} | {_shown(mine, 1)} | {beside} |")
    return "\n".join(lines) + "\n"


def _pattern(text):
    """A regular expression; argparse says what is wrong with one that is none."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no pattern: {error}") from error


def _shown(figure, digits):
    """A median with its spread."""
    return (f"{figure.median:.{digits}f} "
            f"({figure.least:.{digits}f}…{figure.most:.{digits}f})")


def main():
    """Measures and writes."""
    form = argparse.ArgumentParser(prog="tools/ring.sh", description=__doc__.splitlines()[0])
    form.add_argument("--rounds", type=int, default=9)
    form.add_argument("--only", type=_pattern, default="", help="like BYTES/QUEUE/BATCH [all]")
    form.add_argument("--results", default=None, help="folder to write [a temporary one]")
    form.add_argument("--dev", action="store_true", help="build as for the tests")
    asked = form.parse_args()
    if asked.rounds < 1:
        form.error("--rounds has to be 1 or more")
    results = asked.results or tempfile.mkdtemp(prefix="broadtape-ring-")
    place = Place(results, profile="dev" if asked.dev else "release")
    os.makedirs(place.results, exist_ok=True)
    program = benchmark(place)
    cases = listed(program, asked.only)
    if not cases:
        raise Usage(f"no case of the benchmark is like {asked.only.pattern}")
    runs = []
    with open(os.path.join(place.results, "runs.jsonl"), "w", encoding="utf-8") as out:
        for run in measure(program, cases, asked.rounds):
            runs.append(run)
            out.write(json.dumps(run) + "\n")
            print(json.dumps(run), file=sys.stderr, flush=True)
    with open(os.path.join(place.results, "machine.json"), "w", encoding="utf-8") as file:
        json.dump(machine.describe(place, [], sys.argv[1:]), file, indent=1)
    with open(os.path.join(place.results, "table.md"), "w", encoding="utf-8") as file:
        file.write(table(runs))
    print(table(runs))


if __name__ == "__main__":
    try:
        main()
    except Usage as error:
        sys.exit(f"ring: {error}")
