#!/usr/bin/env bash
# Builds the release twice, in two folders that have nothing to do with each other, and compares the
# programs byte by byte: tools/reproduce.sh [COMMIT] (default HEAD). docs/release.md says what for.
set -euo pipefail
cd "$(dirname "$0")/.."
commit=$(git rev-parse --verify "${1:-HEAD}^{commit}")
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT

# build FOLDER: the program of that commit, with no trace of where it was built.
build() {
    local folder=$1 home=${CARGO_HOME:-$HOME/.cargo} flags
    mkdir -p "$folder"
    git archive "$commit" | tar --extract --directory "$folder"
    flags="--remap-path-prefix=$folder=/broadtape --remap-path-prefix=$home=/cargo"
    env --chdir "$folder" --unset CARGO_TARGET_DIR \
        RUSTFLAGS="$flags" CARGO_INCREMENTAL=0 \
        CFLAGS="-ffile-prefix-map=$folder=/broadtape -ffile-prefix-map=$home=/cargo" \
        SOURCE_DATE_EPOCH="$(git log -1 --format=%ct "$commit")" \
        cargo build --quiet --locked --release
    strip --strip-debug "$folder/target/release/broadtape"
    sha256sum "$folder/target/release/broadtape" | cut -d ' ' -f 1
}

first=$(build "$work/one")
second=$(build "$work/another/place")
echo "$commit"
echo "$first  one"
echo "$second  another"
if [[ $first != "$second" ]]; then
    echo "the two builds differ" >&2
    exit 1
fi
echo "the two builds are the same"
