#!/usr/bin/env bash
# The ring beside other queues, in short turns one after the other: tools/ring.sh --help
set -euo pipefail
exec python3 "$(dirname "$0")/compare/ring.py" "$@"
