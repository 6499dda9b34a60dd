#!/usr/bin/env bash
# What a connection that nothing comes to takes of the server's memory: tools/idle.sh --help
set -euo pipefail
exec python3 "$(dirname "$0")/compare/idle.py" "$@"
