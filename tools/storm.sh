#!/usr/bin/env bash
# Handshakes a second, and what a storm of them does to a running subscriber: tools/storm.sh --help
set -euo pipefail
exec python3 "$(dirname "$0")/compare/storm.py" "$@"
