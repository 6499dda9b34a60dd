#!/usr/bin/env bash
# How broadtape's cost moves with connections, symbols, shards, collecting: tools/sweep.sh --help
set -euo pipefail
exec python3 "$(dirname "$0")/compare/sweep.py" "$@"
