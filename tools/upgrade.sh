#!/usr/bin/env bash
# Has a newer process take over N times (default 20) while two clients connect 500 times a second
# each, one handshake after the other; says how many came, how many a second, and that none was
# refused: tools/upgrade.sh [N]
set -euo pipefail
cd "$(dirname "$0")/.."
export UPGRADE_TURNS=${1:-20} UPGRADE_CONNECTS=500
exec cargo test --release --quiet --test upgrade -- --nocapture --exact \
    nobody_is_refused_while_a_newer_process_takes_over
