#!/usr/bin/env bash
# Kills a recording server N times (default 200) at random points, up to BATCHES batches (default
# 5000: 200 turns are a run of some ten minutes) after each start, and holds its tape against what a
# subscriber received and what had counted as recorded: tools/kill.sh [N [SEED [BATCHES]]]
set -euo pipefail
cd "$(dirname "$0")/.."
export KILL_TURNS=${1:-200} KILL_SEED=${2:-$RANDOM} KILL_BATCHES=${3:-5000}
echo "seed $KILL_SEED"
exec cargo test --release --quiet --test tape -- --nocapture --exact \
    kill::nothing_that_counted_as_recorded_is_lost
