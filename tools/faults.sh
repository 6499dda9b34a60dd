#!/usr/bin/env bash
# The fault tests at length, in release: crowds ten times as large, again and again until LENGTH is
# over (seconds, default 600), then as many kills of a recorder: tools/faults.sh [LENGTH [TEST]]
# With a part of a test's name only that, and no kills: tools/faults.sh 1 connects_a_second
# The figures are printed, and stay in target/faults.log.
set -euo pipefail
cd "$(dirname "$0")/.."
length=${1:-600}
wanted=("${@:2:1}")
log=${CARGO_TARGET_DIR:-target}/faults.log
export FAULTS_SCALE=${FAULTS_SCALE:-10}
: >"$log"
turns=0
while ((SECONDS < length || turns == 0)); do
    turns=$((turns + 1))
    echo "turn $turns" | tee -a "$log"
    # One after the other: each has the machine to itself.
    cargo test --release --quiet --test faults -- --show-output --test-threads 1 "${wanted[@]}" \
        2>&1 | tee -a "$log" |
        grep -E 'lost 0|told|idle, from|end the server|skipped|FAILED|panicked at src' || true
    if grep -q 'test result: FAILED' "$log"; then
        echo "failed in turn $turns: $log"
        exit 1
    fi
done
((${#wanted[@]})) || tools/kill.sh "$((length / 10 + 10))"
echo "$turns turns, none failed"
