#!/usr/bin/env bash
# Fuzzes what reads bytes of strangers: tools/fuzz.sh TARGET|all SECONDS [libFuzzer options...]
#
# `all` gives each target SECONDS in turn; TARGET `list` names them, `build` builds them. What is
# found interesting is kept in target/fuzz/corpus/TARGET, what fails in
# target/fuzz/artifacts/TARGET: a failure is run again by tools/fuzz.sh TARGET 0 FILE. Seeds:
# fuzz/seeds. Needs cargo-fuzz (tools/check.sh fuzz installs it); a stable toolchain does, told to
# take the flags of a nightly one.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
readonly target
readonly built=$target/fuzz/build
export PATH=$target/tools/bin:$PATH
export RUSTC_BOOTSTRAP=1

targets() { sed -n '/^\[\[bin\]\]/,$ s/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml; }

# What libFuzzer says last: executions and corpus.
figures() {
    awk -v name="$1" '
        match($0, /cov: [0-9]+/) { cov = substr($0, RSTART + 5, RLENGTH - 5) }
        match($0, /corp: [0-9]+/) { corpus = substr($0, RSTART + 6, RLENGTH - 6) }
        /^stat::number_of_executed_units/ { runs = $2 }
        /^Done / { seconds = $(NF - 1) }
        END { printf "%-10s %9d runs in %4d s, %6d edges, corpus %5d\n",
              name, runs, seconds, cov, corpus }'
}

# run TARGET SECONDS [OPTION...]
run() {
    local name=$1 seconds=$2 corpus=$target/fuzz/corpus/$1 found=$target/fuzz/artifacts/$1
    local log=$target/fuzz/$1.log
    shift 2
    mkdir -p "$corpus" "$found" "fuzz/seeds/$name"
    if "$built/x86_64-unknown-linux-gnu/release/$name" "-artifact_prefix=$found/" \
        -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -max_len=8192 \
        -print_final_stats=1 "$@" "$corpus" "fuzz/seeds/$name" >"$log" 2>&1; then
        figures "$name" <"$log"
    else
        tail --lines 60 "$log"
        echo "$name FAILED: $log, $found"
        return 1
    fi
}

main() {
    if (($# < 2)) && [[ ${1-} != list && ${1-} != build ]]; then
        sed -n '2,8s/^# \?//p' "$0"
        exit 2
    fi
    local wanted=$1 names status=0 name
    names=$(targets)
    if [[ $wanted == list ]]; then
        echo "$names"
        return
    fi
    if [[ $wanted != all && $wanted != build ]]; then
        grep --quiet --line-regexp --fixed-strings "$wanted" <<<"$names" ||
            { echo "no target $wanted; there are: ${names//$'\n'/ }" >&2 && exit 2; }
        names=$wanted
    fi
    cargo fuzz build --fuzz-dir fuzz --target-dir "$built"
    [[ $wanted != build ]] || return 0
    for name in $names; do
        run "$name" "${@:2}" || status=1
    done
    return "$status"
}

main "$@"; exit
