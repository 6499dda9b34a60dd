#!/usr/bin/env bash
# Runs the models of the ring, which have to pass, then again on copies of its sources that each
# lack one thing, where they have to fail. One line each.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
export CARGO_TARGET_DIR=$PWD/target LOOM_LOG=off RUST_BACKTRACE=0
copy=$PWD/target/mutant
log=$PWD/target/models.log
caught=0 failed=0
mkdir -p "$CARGO_TARGET_DIR"

# say NAME VERDICT [WHY]
say() { printf '%-28s %-8s %s\n' "$1" "$2" "${3:-}"; }

# replace FILE OLD NEW: OLD has to occur once in the copy's FILE.
replace() {
    local file=$copy/src/ring/$1 text rest
    text=$(<"$file")
    rest=${text#*"$2"}
    if [[ $rest == "$text" || $rest == *"$2"* ]]; then
        echo "run.sh: $1 does not hold exactly one: $2" >&2
        exit 1
    fi
    printf '%s\n' "${text%%"$2"*}$3$rest" >"$file"
}

# mutant NAME FILE/MODELS REASON [SOURCE OLD NEW]...: models of that file whose names hold MODELS
# have to fail for that reason on sources with OLD replaced by NEW.
mutant() {
    local name=$1 file=${2%/*} models=${2#*/} reason=$3 status=0 why
    shift 3
    rm -rf "$copy" && mkdir -p "$copy/src" "$copy/tools/models"
    cp -r "$root/src/ring" "$copy/src/"
    cp -r Cargo.toml Cargo.lock build.rs src tests "$copy/tools/models/"
    # A name of its own, or cargo takes one's build for the other's.
    sed -i -e 's/^name = "models"$/name = "mutant"/' \
        -e '/^\[lib\]/,$ s/^name = "mutant"$/name = "models"/' "$copy/tools/models/Cargo.toml"
    sed -i 's/^name = "models"$/name = "mutant"/' "$copy/tools/models/Cargo.lock"
    while (($#)); do replace "$1" "$2" "$3" && shift 3; done
    local run=(cargo test --release --locked -q --test "$file")
    (cd "$copy/tools/models" && "${run[@]}" --no-run) &>"$log" || { cat "$log" >&2 && exit 1; }
    (cd "$copy/tools/models" && timeout 300 "${run[@]}" "$models") &>"$log" || status=$?
    if ((status == 101)) && why=$(grep -m1 "$reason" "$log"); then
        say "$name" caught "$(cut -c1-60 <<<"$why")" && caught=$((caught + 1))
    else
        say "$name" MISSED "exit $status" && failed=1
    fi
}

for models in ring parking progress; do
    if cargo test --release --locked -q --test "$models" &>"$log"; then
        say "$models" passed "$(grep -c '^#\[test\]' "tests/$models.rs") models"
    else
        say "$models" FAILED && cat "$log" >&2 && exit 1
    fi
done

mutant no_release_fence ring/records torn writer.rs 'fence(Release);' ''
mutant no_acquire_fence ring/records torn reader.rs 'self.shared.whole_from() > at' \
    'self.shared.claim.load(std::sync::atomic::Ordering::Relaxed)
        > at + self.shared.words.capacity()'
mutant late_claim ring/records torn writer.rs 'self.claim(limit);' '' \
    writer.rs 'self.next = end;' 'self.claim(end.position); self.next = end;'
mutant relaxed_commit ring/records torn writer.rs 'end.position, Release' \
    'end.position, Relaxed'
mutant two_words_too_trusting ring/records torn reader.rs 'whole_from() > at' \
    'whole_from() > at + 16'
mutant oldest_not_checked ring/records torn place.rs \
    'found.filter(|_| self.whole_from() <= from)' 'found'
mutant start_of_a_block_half_there ring/records 'torn\|progress' place.rs \
    '(self.whole_from() + margin).next_multiple_of(BLOCK_BYTES)' '(self.whole_from() + margin)'
mutant start_noted_too_late ring/ 'torn\|maximum' writer.rs \
    'self.shared.starts.note(first);' '' writer.rs 'self.next = end;' \
    'let next = self.next; self.next = end;' writer.rs \
    'commit.store(end.position, Release);' \
    'commit.store(end.position, Release); self.shared.starts.note(next);'
mutant search_not_checked ring/a_reader_joins 'torn\|overflow\|left ==' place.rs \
    'self.whole_from() <= lowest' 'true'
mutant position_before_its_queue progress/a_position 'without its queue' progress.rs \
    'self.read.store(reader.position(), Release)' 'self.read.store(reader.position(), Relaxed)'
mutant room_before_it_is_made progress/a_feed 'lapped\|torn' progress.rs \
    'self.read.store(reader.position(), Release)' \
    'self.read.store(reader.position() + 16, Release)'
mutant subscriber_before_it_joins progress/subscribers 'of ' progress.rs \
    'self.subscribers.fetch_add(1, Release)' 'self.subscribers.fetch_add(1, Relaxed)'
mutant no_fence_before_looking parking/ deadlock wait.rs 'fence(SeqCst);
        let parked' 'let parked'
mutant no_fence_before_sleeping parking/ deadlock wait.rs 'fence(SeqCst);
        if has_news' 'if has_news'
mutant no_second_look parking/ deadlock wait.rs 'if has_news() {' 'if false {'
mutant chain_not_passed_on parking/ deadlock wait.rs 'self.waits.pass_on();' ''
mutant chain_after_waking parking/ deadlock wait.rs 'self.masks.chain.fetch_or(unattended, AcqRel);
            self.pass_on();' 'let first = unattended.trailing_zeros() as usize;
            if self.unpark(first) { self.wakes[first].get().unwrap().wake(); }
            self.masks.chain.fetch_or(unattended & (unattended - 1), AcqRel);'

say mutants "$caught" "caught"
exit "$failed"
