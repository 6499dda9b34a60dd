"""Builds what a comparison needs, below the target folder."""

import os
import shutil
import subprocess

from place import Usage


def run(what, command, **options):
    """Runs a build step; what it printed. Usage where it fails, with its last lines."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    except OSError as error:
        raise Usage(f"{what}: {command[0]} can't be started: {error}") from error
    if done.returncode:
        end = "\n    ".join(done.stderr.strip().splitlines()[-15:])
        raise Usage(f"{what} failed ({' '.join(command)}):\n    {end}")
    return done.stdout


def cargo(place, manifest, target, *flags):
    """Builds one crate of the tree."""
    command = ["cargo", "build", "--quiet", "--locked", "--profile", place.profile]
    command += ["--manifest-path", os.path.join(place.root, manifest)]
    command += ["--target-dir", place.target(target)]
    run(f"building {manifest}", [*command, *flags])


def node(place):
    """Installs Node's peer as its lock file says."""
    source, target = os.path.join(place.root, "tools/peers/node"), place.target("peers/node")
    os.makedirs(target, exist_ok=True)
    for name in ("package.json", "package-lock.json", "broadcast.js"):
        shutil.copy(os.path.join(source, name), target)
    if not os.path.isdir(os.path.join(target, "node_modules")):
        flags = ["--silent", "--no-audit", "--no-fund"]
        run("installing Node's ws", ["npm", "ci", *flags], cwd=target)


def build(place, names):
    """Builds what these peers, and the bench that measures them, are made of."""
    cargo(place, "Cargo.toml", "", "--bin", "broadtape")
    if any(name.startswith("floor-") for name in names):
        cargo(place, "tools/floor/Cargo.toml", "floor")
    if {"tungstenite", "fastwebsockets", "nats", "nchan"} & set(names):
        cargo(place, "tools/peers/Cargo.toml", "peers")
    if "node-ws" in names:
        node(place)


def built(place, names):
    """Says what is missing where nothing is to be built."""
    wanted = {place.broadtape}
    for name in names:
        if name.startswith("floor-"):
            wanted.add(place.built("floor", "floor"))
        elif name in ("tungstenite", "fastwebsockets"):
            wanted.add(place.built("peers", name))
        elif name in ("nats", "nchan"):
            wanted.add(place.built("peers", "publish"))
        elif name == "node-ws":
            wanted.add(place.target("peers/node/node_modules"))
    missing = sorted(path for path in wanted if not os.path.exists(path))
    if missing:
        raise Usage(f"--no-build, but not there: {', '.join(missing)}")
