"""Measures the floor, broadtape and its peers on the same work, and writes what came of it.

Exit codes: 0 measured, 1 a peer failed, 2 usage, 130 interrupted.
"""

import datetime
import itertools
import json
import os
import signal
import sys
import tempfile

import build
import maximum
import options
import registry
import report
import rounds
from bench import Bench
from brokers import Broker
from machine import commit, describe
from peers import Command, Node
from place import Place, Usage
from process import stop_all

_FIND_MAX_CONNECTIONS = 100
# Seconds of a run beside what is measured: starting, connecting, ending, a pause.
_BESIDE = 1.2


def say(text):
    """Progress, for those who watch."""
    print(text, file=sys.stderr, flush=True)


def folder(arguments):
    """Where the results go."""
    if arguments.results:
        return os.path.abspath(arguments.results)
    if arguments.quick:
        return tempfile.mkdtemp(prefix="broadtape-compare-")
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    name = f"{datetime.date.today().isoformat()}-{commit(here)['short']}"
    name += "-max" if arguments.find_max else ""
    free = os.path.join(here, "perf", "results", name)
    numbered = (f"{free}-{n}" for n in itertools.count(2))
    # What was measured before stays.
    return free if not os.path.exists(free) else next(p for p in numbered if not os.path.exists(p))


def chosen(arguments, place):
    """The bench, the peers that it can measure here, and why the others are left out."""
    known = registry.known(place)
    for name, command in arguments.cmd.items():
        if name in known:
            raise Usage(f"--cmd {name}: there is a peer of that name")
        flags = arguments.cmd_flags.get(name, "")
        known[name] = Command(name, command, flags, place)
    unknown = [name for name in arguments.peers if name not in known]
    if unknown:
        raise Usage(f"no peer {', '.join(unknown)}; there are: {', '.join(known)}")
    if arguments.no_build:
        build.built(place, arguments.peers)
    else:
        say("building")
        build.build(place, [n for n in arguments.peers if not needs_nothing(known[n])])
    wanted = [known[name] for name in arguments.peers]
    bench = Bench(place, arguments.duration, arguments.warmup, arguments.read_every)
    reasons = ((peer.name, peer.absent()) for peer in wanted)
    absent = {name: reason for name, reason in reasons if reason}
    for name, reason in absent.items():
        say(f"skipped: {name}: {reason}")
    return bench, [peer for peer in wanted if peer.name not in absent], absent


def needs_nothing(peer):
    """What a missing interpreter would run is not built."""
    return isinstance(peer, (Node, Broker)) and peer.absent()


def write(path, text):
    """Writes a file of the results."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def compare(arguments, place, bench, peers, absent, machine):
    """Rounds over all, the tables and the charts; the exit code."""
    count = len(peers) * len(arguments.shapes) * arguments.rounds
    minutes = count * (arguments.duration + arguments.warmup + _BESIDE) / 60
    say(f"{count} runs, some {minutes:.0f} minutes: fewer with --rounds, --seconds, --peers")
    runs = rounds.measure(place, bench, peers, arguments.shapes, arguments.rounds, say)
    names = [peer.name for peer in peers]
    charts = report.write_charts(runs, arguments.shapes, names, place.results)
    tables = [report.table(runs, shape, names) for shape in arguments.shapes]
    facts = report.notes(runs, machine, absent)
    write(os.path.join(place.results, "table.md"), "\n".join([facts, *tables]))
    print("\n".join([facts, *tables]))
    page = os.path.join(place.root, "perf", "README.md")
    inside = os.path.relpath(place.results, os.path.dirname(page))
    if not arguments.quick and not arguments.results:
        pictures = [f"![{title}]({inside}/{name})\n" for name, title in charts.items()]
        raw = f"Raw results, histograms and the machine: [`{inside}`]({inside}).\n"
        report.put(page, "\n".join([facts, raw, *pictures, *tables]))
    return 1 if any("error" in run for run in runs) else 0


def find_max(place, bench, peers):
    """The highest rate of each; the exit code."""
    found = [maximum.find(place, bench, peer, _FIND_MAX_CONNECTIONS, say) for peer in peers]
    write(os.path.join(place.results, "maximum.json"), json.dumps(found, indent=1) + "\n")
    write(os.path.join(place.results, "maximum.md"), maximum.table(found))
    print(maximum.table(found))
    return 0


def run(arguments):
    """The whole of it; the exit code."""
    profile = "dev" if arguments.dev else "release"
    place = Place(folder(arguments), arguments.server_core, arguments.client_core, profile)
    bench, peers, absent = chosen(arguments, place)
    if not peers:
        raise Usage("none of the peers that were asked for can be measured here")
    place.make()
    if place.server == place.client:
        say("warning: server and client share the one core we may use; latencies show it")
    machine = describe(place, peers, sys.argv[1:])
    write(os.path.join(place.results, "machine.json"), json.dumps(machine, indent=1) + "\n")
    try:
        if arguments.find_max:
            return find_max(place, bench, peers)
        return compare(arguments, place, bench, peers, absent, machine)
    finally:
        place.unroot()
        say(f"results: {place.results}")


def interrupted(*_):
    """Ctrl-C and SIGTERM end it with everything that it started; another one changes nothing."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    """Runs the command to its exit code."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, interrupted)
    arguments = options.parser().parse_args()
    if arguments.selftest:
        import selftest

        return selftest.run()
    try:
        return run(options.checked(arguments))
    except (Usage, report.Unmarked) as error:
        say(f"compare: {error}")
        return 2
    except KeyboardInterrupt:
        say("compare: interrupted")
        return 130
    finally:
        stop_all()


if __name__ == "__main__":
    sys.exit(main())
