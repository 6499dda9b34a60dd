#!/usr/bin/env bash
# Writes what the program is built from as a CycloneDX bill of materials: tools/sbom.sh [FILE]
# (default target/sbom.json). Every crate with its version, licence and checksum, as Cargo.lock has
# them.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
out=$(realpath --canonicalize-missing "${1:-$target/sbom.json}")
export PATH=$target/tools/bin:$PATH
if ! cargo cyclonedx --version >/dev/null 2>&1; then
    cargo install --quiet --locked --debug --root "$target/tools" cargo-cyclonedx
fi
# It writes beside the manifest, under a name of its own choice.
made=broadtape.cdx
trap 'rm -f "$made.json"' EXIT
cargo cyclonedx --quiet --format json --all-features --override-filename "$made"
mkdir -p "$(dirname "$out")"
mv "$made.json" "$out"
count='import json, sys; print(len(json.load(open(sys.argv[1]))["components"]))'
echo "$out: $(python3 -c "$count" "$out") components"
