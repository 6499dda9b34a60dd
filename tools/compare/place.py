"""Where things are: the tree, what was built, the logs of a run, the two cores."""

import json
import os
import sys


class Usage(Exception):
    """What was asked for can't be done; the message says what would be right."""


class Place:
    """Paths and cores of one comparison."""

    def __init__(self, results, server=None, client=None, profile="release"):
        self.root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self.results = results
        self.raw = os.path.join(results, "raw")
        self.logs = os.path.join(results, "logs")
        self.mask = sorted(os.sched_getaffinity(0))
        self.server, self.client = cores(self.mask, server, client)
        self.profile = profile
        self.broadtape = self.built("", "broadtape")

    def make(self):
        """Makes the folders of the results."""
        os.makedirs(self.raw, exist_ok=True)
        os.makedirs(self.logs, exist_ok=True)

    def keep(self, runs):
        """Writes and says each run as it ends; all of them."""
        kept = []
        with open(os.path.join(self.results, "runs.jsonl"), "w", encoding="utf-8") as out:
            for run in runs:
                kept.append(run)
                out.write(json.dumps(run) + "\n")
                print(json.dumps(run), file=sys.stderr, flush=True)
        return kept

    def write(self, name, text):
        """Writes a file of the results."""
        with open(os.path.join(self.results, name), "w", encoding="utf-8") as file:
            file.write(text)

    def unroot(self):
        """Paths in the results are from the tree's root: where that stands is nobody's business."""
        for folder, _, names in os.walk(self.results):
            for path in (os.path.join(folder, name) for name in names):
                with open(path, "rb") as file:
                    text = file.read()
                if (root := os.fsencode(self.root + os.sep)) in text:
                    with open(path, "wb") as file:
                        file.write(text.replace(root, b""))

    def built(self, crate, binary):
        """A program of a crate; the main one has no folder of its own."""
        folder = "debug" if self.profile == "dev" else self.profile
        return self.target(os.path.join(crate, folder, binary))

    def target(self, path=""):
        """A path below the folder that cargo builds into."""
        base = os.environ.get("CARGO_TARGET_DIR") or os.path.join(self.root, "target")
        return os.path.join(os.path.abspath(base), path)


def cores(mask, server, client):
    """The server's and the client's core, both of the mask that we were given."""
    server = mask[0] if server is None else server
    others = [core for core in mask if core != server]
    client = (others[0] if others else server) if client is None else client
    for name, core in (("server", server), ("client", client)):
        if core not in mask:
            allowed = ",".join(map(str, mask))
            raise Usage(f"--{name}-core {core} is not among the cores we may use: {allowed}")
    return server, client
