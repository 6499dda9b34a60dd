#!/usr/bin/env bash
# Everything that has to hold before a change lands, in stages: tools/check.sh [STAGE...]
#
#   format   cargo fmt, as rustfmt.toml says
#   lint     clippy on every target and shellcheck on every script; warnings are errors
#   test     unit and integration tests, the rules of the tree among them
#   doc      the documentation builds without warnings, its examples run
#   models   loom models of the ring and of parking, and mutants that have to fail
#   bench    every benchmark runs once: that it works, not how fast
#   lab      the floor, its peers and their comparison work: tests, and a run of seconds
#   soak     half a minute of tools/soak.sh: memory and descriptors are flat
#   deny     licences, bans, sources; advisories where their database can be had
#   readme   the commands and snippets of README.md, run as they stand
#   clients  independent clients: Python websockets, the official DBN reader, Node ws and undici,
#            libwebsockets
#   browser  the live page in Chromium: pictures in target/page*.png
#   conformance  Autobahn's test suite, all 301 cases
#   count    instructions of the hot stages, none above its limit
#   fuzz     each fuzz target for five seconds, under AddressSanitizer
#
# What the last two build is theirs alone (an optimized build, an instrumented one): it is begun
# with the tests, at the lowest priority, since those mostly wait.
#
# Needs cargo, gcc, python3, node and npm; installs the rest below target/ once, by package name.
# CI=true turns a test that would be skipped into a failure. Logs: target/check/STAGE.log.
# shellcheck disable=SC2317 # stages are called by their names
set -euo pipefail
cd "$(dirname "$0")/.."

readonly stages=(
    format lint test doc models bench lab soak deny readme clients browser conformance count fuzz
)
target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
readonly target
readonly logs=$target/check
readonly venv=$target/clients/venv
export CARGO_TERM_COLOR=never
export PATH=$target/tools/bin:$PATH

# Integration tests that have a stage of their own.
readonly staged=' browser clients readme '

passed=0
failed=0
# The process that builds ahead; empty where there is none.
ahead=

run_format() {
    component rustfmt fmt
    cargo fmt --all --check
}

run_lint() {
    component clippy clippy
    cargo clippy --quiet --all-targets -- -D warnings
    debian shellcheck shellcheck
    if command -v shellcheck >/dev/null; then
        git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck
    else
        echo "skipped: no shellcheck"
    fi
}

run_test() {
    python_clients
    debian faketime faketime
    debian "command -v ip" iproute2
    debian "command -v nft" nftables
    # What the server is put behind, and what reads deploy/.
    quiet_services proxies
    local targets=(--lib --bins) path name
    for path in tests/*.rs tests/*/main.rs; do
        name=${path#tests/}
        name=${name%/main.rs}
        name=${name%.rs}
        [[ $staged == *" $name "* ]] || targets+=(--test "$name")
    done
    cargo_test "${targets[@]}"
}

run_doc() {
    # Private items are documented as well, for those who work on it.
    RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' \
        cargo doc --quiet --no-deps --document-private-items
    cargo test --quiet --doc
}

run_models() {
    tools/models/run.sh
}

# In the profile of the tests: nothing is built twice, and no figure comes of it.
run_bench() {
    local targets=() path
    for path in benches/*.rs; do
        path=${path#benches/}
        [[ $path == instructions.rs ]] || targets+=(--bench "${path%.rs}")
    done
    timeout 900 cargo test --quiet "${targets[@]}" -- --test
}

run_count() {
    debian valgrind valgrind
    if ! command -v valgrind >/dev/null; then
        echo "skipped: no valgrind"
        return
    fi
    counter
    cargo bench --quiet --bench instructions
}

# What counts, in the version that its library wants.
counter() {
    local version
    version=$(awk '/^name = "gungraun"$/ { getline; gsub(/"/, ""); print $3 }' Cargo.lock)
    if [[ $(gungraun-runner --version 2>/dev/null) != *" $version" ]]; then
        cargo install --quiet --locked --debug --force --root "$target/tools" \
            --version "$version" gungraun-runner
    fi
}

run_lab() {
    quiet_services brokers
    tools/lab.sh
}

run_soak() {
    cargo build --quiet
    BROADTAPE=$target/debug/broadtape tools/soak.sh 30
}

run_deny() {
    if ! cargo deny --version >/dev/null 2>&1; then
        cargo install --quiet --locked --debug --root "$target/tools" cargo-deny
    fi
    cargo deny --locked check bans licenses sources
    tools/sbom.sh
    # The only skip that CI bears: the database is fetched from a host that not everybody reaches.
    if cargo deny fetch db >/dev/null 2>&1; then
        cargo deny check advisories
    else
        echo "skipped: advisories, their database cannot be fetched"
    fi
}

run_readme() {
    python_clients
    node_clients
    cargo_test --test readme
}

run_clients() {
    python_clients
    node_clients
    [[ -e /usr/include/libwebsockets.h ]] || debian false libwebsockets-dev
    cargo_test --test clients
}

run_browser() {
    node_clients
    debian chromium chromium
    cargo_test --test browser
}

run_conformance() {
    tools/conformance.sh
}

run_fuzz() {
    fuzzer
    tools/fuzz.sh all 5
}

fuzzer() {
    if ! cargo fuzz --version >/dev/null 2>&1; then
        cargo install --quiet --locked --debug --root "$target/tools" cargo-fuzz
    fi
}

# Builds what `count` and `fuzz` need. What fails here fails there again, where it is told.
build_ahead() {
    renice -n 19 -p "$BASHPID"
    counter
    cargo bench --quiet --bench instructions --no-run
    fuzzer
    tools/fuzz.sh build
}

# Nextest where there is one: it ends a test that hangs and runs each in a process of its own.
cargo_test() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --no-fail-fast --status-level leak \
            --success-output final --failure-output final "$@"
    else
        cargo test --quiet --no-fail-fast "$@" -- --show-output
    fi
}

# A component of the toolchain: its name, the cargo command it brings.
component() {
    cargo "$2" --version >/dev/null 2>&1 || rustup component add "$1"
}

# A Debian package, where we may install one: the command that shows it is there, its name.
debian() {
    if $1 --version >/dev/null 2>&1 || [[ $EUID != 0 ]] || ! command -v apt-get >/dev/null; then
        return 0
    fi
    local install=(apt-get install --yes --quiet --no-install-recommends "$2")
    export DEBIAN_FRONTEND=noninteractive
    "${install[@]}" || { apt-get update --quiet && "${install[@]}"; } || true
}

# Runs an installation of Debian packages, which would start what they bring as services.
quiet_services() {
    local policy=/usr/sbin/policy-rc.d ours=false
    if [[ $EUID == 0 && ! -e $policy ]]; then
        ours=true
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    "$1"
    if $ours; then rm "$policy"; fi
}

proxies() {
    debian "command -v nginx" nginx-light
    debian "command -v haproxy" haproxy
    debian promtool prometheus
    debian systemd-analyze systemd
}

# What the comparison has beside broadtape.
brokers() {
    debian nats-server nats-server
    debian "command -v nginx" nginx-light
    [[ -e /usr/lib/nginx/modules/ngx_nchan_module.so ]] || debian false libnginx-mod-nchan
}

python_clients() {
    local wanted=tests/clients/requirements.txt
    if cmp --silent "$wanted" "$venv/installed.txt"; then
        return
    fi
    debian "python3 -m ensurepip" python3-venv
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
    cp "$wanted" "$venv/installed.txt"
}

node_clients() {
    local place=$target/clients/node
    if cmp --silent tests/clients/package-lock.json "$place/installed.json"; then
        return
    fi
    debian node nodejs
    debian npm npm
    mkdir -p "$place"
    cp tests/clients/package.json tests/clients/package-lock.json "$place"
    npm ci --prefix "$place" --silent --no-audit --no-fund
    cp tests/clients/package-lock.json "$place/installed.json"
}

# A log without what nextest shows of the tests that passed.
without_passed() {
    awk '/^ +PASS \[/ { hide = 1 } /^ +[A-Z]+ \[/ && !/^ +PASS/ || /^error/ { hide = 0 } !hide'
}

# Runs one stage with its output in a log: its end is shown where it fails, else what was skipped.
# To be called where errexit is off and no condition hides its failures from the subshell.
stage() {
    local name=$1 log=$logs/$1.log began=$SECONDS status
    printf '== %s\n' "$name"
    if [[ $name == count || $name == fuzz ]] && [[ -n $ahead ]]; then
        wait "$ahead"
        ahead=
    fi
    (
        set -e
        "run_$name"
    ) >"$log" 2>&1 </dev/null
    status=$?
    if ((status == 0)); then
        grep '^ *skipped: ' "$log" | sort | uniq --count | sed 's/^ */   /'
        printf '   passed in %d s\n' $((SECONDS - began))
        passed=$((passed + 1))
    else
        without_passed <"$log" | tail --lines 200 | sed 's/^/   /'
        printf '   FAILED in %d s\n' $((SECONDS - began))
        failed=$((failed + 1))
    fi
}

main() {
    local wanted=("$@") name
    ((${#wanted[@]})) || wanted=("${stages[@]}")
    for name in "${wanted[@]}"; do
        if [[ " ${stages[*]} " != *" $name "* ]]; then
            printf 'no stage %q; there are: %s\n' "$name" "${stages[*]}" >&2
            exit 2
        fi
    done
    mkdir -p "$logs"
    set +e
    for name in "${wanted[@]}"; do
        if [[ $name == test && " ${wanted[*]} " == *" fuzz "* ]]; then
            build_ahead >"$logs/ahead.log" 2>&1 </dev/null &
            ahead=$!
        fi
        stage "$name"
    done
    printf 'all in %d s\n' "$SECONDS"
    printf '%d passed, %d failed\n' "$passed" "$failed"
    ((failed == 0))
}

# One line: an edit of this file while it runs is not read.
main "$@"; exit
