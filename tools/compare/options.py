"""The command line: as typed, then checked."""

import argparse
import tempfile

from place import Place, Usage
from shape import parse_all

PEERS = ("floor-send,floor-uring,floor-48-bytes,broadtape-epoll,broadtape-uring,tungstenite,"
         "fastwebsockets,node-ws,nats,nchan")
SHAPES = "100x1,100x10,100x50,100x100,100x300"
_QUICK_SHAPES = "20x1,20x10"


def parser():
    """What can be asked for."""
    form = argparse.ArgumentParser(
        prog="tools/compare.sh",
        description="Measures the floor, broadtape and its peers in interleaved rounds.",
        epilog="A shape is SUBSCRIBERSxRECORDS a tick of 1 ms; with :K/S each subscriber has its "
        "own K of S symbols, as in 1000x1:20/500.",
    )
    form.add_argument("--rounds", type=positive(int), help="how often each is measured [5]")
    form.add_argument("--shapes", help=f"comma separated [{SHAPES}]")
    form.add_argument("--duration", "--seconds", type=seconds, help="of one measurement [3s]")
    form.add_argument("--warmup", type=seconds, help="before it [1s]")
    form.add_argument("--read-every", type=seconds, metavar="TIME",
                      help="have the client read each subscriber only so often: what a send costs "
                      "is then the same whatever the client has to do for a message")
    form.add_argument("--peers", help=f"comma separated [{PEERS}, and all of --cmd]; "
                      "broadtape-tls is there too")
    form.add_argument(
        "--cmd", action="append", default=[], metavar="NAME=COMMAND",
        help="a server of your own that sends the 48-byte messages; {PORT}, {RATE} and "
        "{CONNECTIONS} are filled in",
    )
    form.add_argument(
        "--cmd-flags", action="append", default=[], metavar="NAME=FLAGS",
        help="what broadtape bench has to be told for it, such as --subscribe-message start",
    )
    form.add_argument("--server-core", type=int, help="[the first that we may use]")
    form.add_argument("--client-core", type=int, help="[the second]")
    form.add_argument("--results", help="folder to write, with perf/README.md left as it is "
                      "[perf/results/DATE-COMMIT]")
    form.add_argument("--find-max", action="store_true",
                      help="instead: the highest rate with nothing lost, 100 subscribers")
    form.add_argument("--quick", action="store_true",
                      help="a run of some seconds, to see that it works; into a temporary folder")
    form.add_argument("--dev", action="store_true",
                      help="with --quick, build as for the tests: the figures say nothing")
    form.add_argument("--no-build", action="store_true", help="take what was built before")
    form.add_argument("--selftest", action="store_true", help="test the statistics and charts")
    return form


def in_rounds(form, name, rounds):
    """What was asked of a tool that measures in rounds, so many if it is not said, and where its
    results go."""
    form.add_argument("--rounds", type=int, default=rounds)
    form.add_argument("--results", default=None, help="folder to write [a temporary one]")
    form.add_argument("--dev", action="store_true", help="build as for the tests")
    asked = form.parse_args()
    if asked.rounds < 1:
        form.error("--rounds has to be 1 or more")
    results = asked.results or tempfile.mkdtemp(prefix=f"broadtape-{name}-")
    return asked, Place(results, profile="dev" if asked.dev else "release")


def positive(kind):
    """A number above 0."""

    def read(text):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    return read


def seconds(text):
    """3s, 500ms or 3, as seconds."""
    for unit, factor in (("ms", 0.001), ("s", 1.0), ("", 1.0)):
        number = text.removesuffix(unit) if unit else text
        if unit and number == text:
            continue
        try:
            value = float(number) * factor
        except ValueError:
            break
        if 0 < value <= 3600:
            return value
        break
    raise argparse.ArgumentTypeError(f"{text!r} is no time up to an hour: write 3s or 500ms")


def named(pairs, flag):
    """NAME=TEXT pairs as a dictionary."""
    found = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not (name and sign and text) or not name.replace("-", "").isalnum():
            raise Usage(f"{flag} {pair!r}: write NAME=TEXT, with letters, digits and - in NAME")
        found[name] = text
    return found


def checked(arguments):
    """The arguments with defaults put in and texts read; Usage where one makes no sense."""
    quick = arguments.quick
    if arguments.dev and not quick:
        raise Usage("--dev is for --quick: figures of that build are not to be published")
    arguments.rounds = arguments.rounds or (1 if quick else 5)
    arguments.duration = arguments.duration or (0.5 if quick else 3.0)
    arguments.warmup = arguments.warmup or (0.3 if quick else 1.0)
    arguments.cmd = named(arguments.cmd, "--cmd")
    arguments.cmd_flags = named(arguments.cmd_flags, "--cmd-flags")
    strangers = sorted(set(arguments.cmd_flags) - set(arguments.cmd))
    if strangers:
        raise Usage(f"--cmd-flags for {', '.join(strangers)}, but there is no such --cmd")
    try:
        arguments.shapes = parse_all(arguments.shapes or (_QUICK_SHAPES if quick else SHAPES))
    except ValueError as error:
        raise Usage(f"--shapes: {error}") from None
    names = (arguments.peers or PEERS).split(",")
    names = [name.strip() for name in names if name.strip()]
    arguments.peers = list(dict.fromkeys([*names, *arguments.cmd]))
    return arguments
