#!/usr/bin/env bash
# Looks for what the compiler can't see: tools/sanitize.sh [address|thread|miri]... [-- FILTER...]
#
#   address  the unit tests of ring, shard, socket and tape under AddressSanitizer and
#            LeakSanitizer; a stable toolchain does, told to take the flags of a nightly one
#   thread   those of the ring and its parking under ThreadSanitizer: needs the sources of std
#   miri     those of the ring under Miri, where the toolchain has it
#
# All of them by default; what can't be done here is skipped by name. FILTER: other tests.
# The only unsafe code is src/socket/uring.rs; the models (tools/models/run.sh) explore every order.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
host=$(rustc -vV | sed -n 's/^host: //p')
readonly target host
export RUSTC_BOOTSTRAP=1
filter=()

# Tests with a sanitizer: its name, options of cargo; the filter follows.
sanitized() {
    local name=$1
    shift
    RUSTFLAGS="-Zsanitizer=$name" cargo test --quiet --lib --target "$host" \
        --target-dir "$target/sanitize/$name" "$@"
}

run_address() {
    local tests=(ring:: shard:: socket:: tape::)
    ((${#filter[@]} == 0)) || tests=("${filter[@]}")
    sanitized address -- "${tests[@]}"
}

run_thread() {
    if [[ ! -d $(rustc --print sysroot)/lib/rustlib/src/rust/library ]]; then
        echo "skipped: ThreadSanitizer, the toolchain has no rust-src"
        return
    fi
    sanitized thread -Zbuild-std -- "${filter[@]:-ring::}"
}

run_miri() {
    if ! cargo miri --version >/dev/null 2>&1; then
        echo "skipped: Miri, the toolchain has none"
        return
    fi
    MIRIFLAGS=-Zmiri-disable-isolation cargo miri test --lib \
        --target-dir "$target/sanitize/miri" -- "${filter[@]:-ring::}"
}

main() {
    local wanted=() name
    while (($#)) && [[ $1 != -- ]]; do
        wanted+=("$1")
        shift
    done
    filter=("${@:2}")
    ((${#wanted[@]})) || wanted=(address thread miri)
    for name in "${wanted[@]}"; do
        printf '== %s\n' "$name"
        case $name in
            address) run_address ;;
            thread) run_thread ;;
            miri) run_miri ;;
            *) echo "there is no $name; there are address, thread and miri" >&2 && exit 2 ;;
        esac
    done
}

main "$@"; exit
