#!/usr/bin/env bash
# Autobahn's test suite against /v1/echo: tools/conformance.sh [URL...]
#
# Runs cases 1 to 7, 9 and 10 against each URL (ws:// or wss://), and is content when all of them
# are OK, NON-STRICT or INFORMATIONAL, the closing handshake included. Without a URL it builds the
# program and starts it on a free port. CASES='"1.*","7.*"' runs some. Needs CPython 2.7, which the
# suite is written for, and installs it below target/clients. Reports: target/clients/autobahn.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
readonly target
readonly place=$target/clients/wstest
readonly reports=$target/clients/autobahn
readonly suite='autobahntestsuite==25.10.1'
readonly cases=${CASES:-'"1.*","2.*","3.*","4.*","5.*","6.*","7.*","9.*","10.*"'}
servers=()

# The newest CPython 2.7 there is.
python2() {
    local found
    for found in "$HOME"/.pyenv/versions/2.7.*/bin/python "$(command -v python2.7 || true)"; do
        if [[ -x $found ]] && "$found" -c '' 2>/dev/null; then
            echo "$found"
            return
        fi
    done
    return 1
}

# Installs the suite once, for this CPython 2.7.
install() {
    rm -rf "$place"
    python3 -m venv "$place/boot"
    local quiet=(--quiet --disable-pip-version-check)
    # The last one that makes environments of 2.7.
    "$place/boot/bin/pip" install "${quiet[@]}" 'virtualenv<20.22'
    "$place/boot/bin/virtualenv" --quiet --python "$1" "$place/venv"
    # It says at length that 2.7 is old.
    "$place/venv/bin/pip" install "${quiet[@]}" "$suite" 2>/dev/null
    echo "$suite" >"$place/installed"
}

# Starts the program with these options: `address` is where it listens.
start() {
    local log
    log=$(mktemp)
    "$target/debug/broadtape" serve --enable-echo --listen 127.0.0.1:0 --log warn "$@" >"$log" &
    servers+=($!)
    for _ in {1..200}; do
        address=$(sed -n 's|^listening on [a-z]*://||p' "$log")
        [[ -z $address ]] || break
        sleep 0.1
    done
    rm "$log"
    [[ -n $address ]] || { echo "the server does not listen" && exit 1; }
}

# shellcheck disable=SC2317 # called by the trap
stop() { ((${#servers[@]} == 0)) || kill "${servers[@]}" 2>/dev/null || true; }

# run URL: all cases, and what came of them.
run() {
    local url=$1 report=$reports/${1%%:*}
    rm -rf "$report"
    mkdir -p "$report"
    printf '{"outdir":"%s","servers":[{"agent":"broadtape","url":"%s"}],"cases":[%s],
        "exclude-cases":[],"exclude-agent-cases":{}}' "$report" "$url" "$cases" >"$report/spec.json"
    timeout 900 "$place/venv/bin/wstest" --mode fuzzingclient --spec "$report/spec.json" \
        >"$report/wstest.log" 2>&1 || { tail "$report/wstest.log" && return 1; }
    python3 - "$url" "$report/index.json" <<'PYTHON'
import collections, json, sys

url, index = sys.argv[1:]
cases = json.load(open(index))["broadtape"]
good = {"OK", "NON-STRICT", "INFORMATIONAL"}
wrong = {
    name: case for name, case in cases.items()
    if case["behavior"] not in good or case["behaviorClose"] not in good
}
count = collections.Counter(case["behavior"] for case in cases.values())
print(f"{len(cases) - len(wrong)} of {len(cases)} cases at {url.split(':')[0]}:// {dict(count)}")
for name, case in sorted(wrong.items()):
    closing = f'{case["behaviorClose"]}, code {case["remoteCloseCode"]}'
    print(f'WRONG {name}: {case["behavior"]}, closing {closing}')
sys.exit(bool(wrong or not cases))
PYTHON
}

main() {
    local python
    if [[ $(cat "$place/installed" 2>/dev/null) != "$suite" ]]; then
        if ! python=$(python2); then
            echo "skipped: no CPython 2.7, which Autobahn's test suite is written for"
            [[ ${CI-} != true ]] || exit 1
            return
        fi
        install "$python"
    fi
    local urls=("$@") url status=0
    if ((${#urls[@]} == 0)); then
        cargo build --quiet --bin broadtape
        trap stop EXIT
        start
        urls=("ws://$address/v1/echo")
        # Where it speaks TLS, all of it once more.
        if "$target/debug/broadtape" serve --help | grep --quiet -e '--tls-self-signed'; then
            start --tls-self-signed
            urls+=("wss://$address/v1/echo")
        fi
    fi
    for url in "${urls[@]}"; do
        run "$url" || status=1
    done
    return "$status"
}

main "$@"; exit
