#!/usr/bin/env bash
# Measures the floor, broadtape and its peers in one run: tools/compare.sh --help
set -euo pipefail
exec python3 "$(dirname "$0")/compare" "$@"
