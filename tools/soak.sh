#!/usr/bin/env bash
# A server under a changing load for LENGTH seconds (default 3600): subscribers, visitors that come
# and go, clients that stall and that read slowly: tools/soak.sh [LENGTH]
#
# Memory, descriptors and the subscribers' p99 are looked at after each turn that the length is
# divided into. The first quarter warms up; between the second and the last one no median may grow
# by more than what is allowed below. The report is target/soak/report.txt.
# BROADTAPE names a program that is built already, else the release is built.
set -euo pipefail
cd "$(dirname "$0")/.."
length=${1:-3600}
turn=$((length / 24))
((turn >= 3)) || turn=3
target=${CARGO_TARGET_DIR:-target}
out=$target/soak
program=${BROADTAPE:-$target/release/broadtape}

# Growth that is allowed: memory and p99 in percent (and what noise is, in KiB and ns), descriptors.
readonly memory_percent=5 memory_noise=8192 p99_percent=50 descriptors=8
p99_noise=2000000
# Seconds say nothing about a tail.
((length >= 300)) || p99_noise=10000000000

[[ -n ${BROADTAPE:-} ]] || cargo build --release --quiet
rm -rf "$out"
mkdir -p "$out"
"$program" serve --listen 127.0.0.1:0 --rate 5000 --queue 256KiB --record "$out/tape" \
    --retain-bytes 64MiB --segment-bytes 16MiB --log warn >"$out/address" 2>"$out/log" &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
until grep -q listening "$out/address"; do
    kill -0 "$server"
    sleep 0.1
done
address=$(sed 's|.*http://||' "$out/address")

# One turn: its line is seconds, resident KiB, descriptors, p99 in ns, what was lost.
look() {
    local result=$out/turn.json
    "$program" bench "$address" -c 100 --duration "${turn}s" --symbols 20 --churn 20 --stall 5 \
        --slow 20KiB --slow-clients 5 --schema mbp-1 --json "$result" >>"$out/bench.log" 2>&1 ||
        { tail -5 "$out/bench.log"; return 1; }
    local memory count
    memory=$(awk '/^VmRSS/ { print $2 }' "/proc/$server/status")
    count=$(find "/proc/$server/fd" -mindepth 1 | wc -l)
    python3 tools/soak.py line "$result" "$SECONDS" "$memory" "$count" | tee -a "$out/samples"
}

while ((SECONDS < length)); do
    kill -0 "$server" 2>/dev/null || { echo "the server has ended: $out/log"; exit 1; }
    look
done
kill -TERM "$server"
wait "$server" || { echo "it did not end in order: $out/log"; exit 1; }
trap - EXIT
python3 tools/soak.py judge "$out/samples" "$memory_percent" "$memory_noise" "$p99_percent" \
    "$p99_noise" "$descriptors" | tee "$out/report.txt"
