#!/usr/bin/env bash
# The performance lab's own check: the floor's and the comparison's tests, then a run of seconds.
# It says that the lab works, not how fast anything is. What is not there is skipped by name.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
readonly target
results=$(mktemp --directory)
readonly results
trap 'rm -rf "$results"' EXIT

# crate NAME: formatted, without warnings, tested.
crate() {
    local manifest=tools/$1/Cargo.toml
    export CARGO_TARGET_DIR=$target/$1
    cargo fmt --check --manifest-path "$manifest"
    cargo clippy --quiet --locked --all-targets --manifest-path "$manifest" -- -D warnings
    timeout 120 cargo test --quiet --locked --manifest-path "$manifest"
    unset CARGO_TARGET_DIR
}

crate floor
crate peers
python3 -m compileall -q tools/compare
tools/compare.sh --selftest
timeout 600 tools/compare.sh --quick --dev --results "$results" "$@"
timeout 600 tools/ring.sh --dev --rounds 1 --only '^48/(broadtape|rtrb)/1$' --results "$results"
