#!/usr/bin/env bash
# Runs every fuzz target for a while (FUZZ_SECONDS each, 12 when not said); names narrow it down: scripts/fuzz.sh rules
#
# Any stable Rust will do: the flags below are what cargo-fuzz passes to the compiler, but for the address sanitizer, which
# wants a nightly Rust and which code without `unsafe` has little use for. libFuzzer itself is C++; without a compiler for that
# this says so and does nothing. The corpus itself is replayed by the ordinary tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v "${CXX:-c++}" >/dev/null; then
  echo 'fuzz: no C++ compiler, skipped (Debian: g++)'
  exit
fi
targets=("$@")
((${#targets[@]} > 0)) || targets=(payload matcher template secrets rules)
# What else holds good beginnings, by target.
declare -A seeds=([payload]=tests/data/payloads [rules]=rules)

host=$(rustc -vV | sed -n 's/^host: //p')
# Other flags make other files, so they get a folder of their own. Naming the host as target keeps the flags away from build
# scripts and macros, which run while we build.
built=${CARGO_TARGET_DIR:-target}/fuzz
flags=(--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1)
RUSTFLAGS="${flags[*]}" cargo build --locked --quiet --manifest-path fuzz/Cargo.toml --target "$host" --target-dir "$built"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# target, options…: new inputs go to a folder of this run, and what breaks a promise to fuzz/artifacts.
run() {
  local target=$1
  shift
  mkdir -p "$work/$target" fuzz/artifacts
  "$built/$host/debug/$target" -max_len=4096 -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 -verbosity=1 "$@" \
    >"$work/$target.log" 2>&1
}

number() { sed -n "s/^stat::$2: *//p" "$work/$1.log"; }
reached() { sed -n 's/^#.*\(INITED\|DONE\) *cov: \([0-9]*\).*/\2/p' "$work/$1.log" | sed -n "$2p"; }

# A fuzzer that does not see where an input leads finds nothing but luck, and says as little. So it has to find a word that
# only somebody finds who is told of every right letter.
if run canary -max_total_time=60 -artifact_prefix="$work/" "$work/canary"; then
  tail -n 5 "$work/canary.log" >&2
  echo 'fuzz: a planted panic was not found; the coverage flags have no effect' >&2
  exit 1
fi
grep -q 'the planted word was found' "$work/canary.log" || { tail -n 20 "$work/canary.log" >&2; exit 1; }
echo 'fuzz: a planted panic was found'

for target in "${targets[@]}"; do
  corpora=("$work/$target" "fuzz/corpus/$target")
  if [[ -n ${seeds[$target]:-} ]]; then corpora+=("${seeds[$target]}"); fi
  if ! run "$target" -max_total_time="${FUZZ_SECONDS:-12}" -artifact_prefix="fuzz/artifacts/$target-" "${corpora[@]}"; then
    tail -n 40 "$work/$target.log" >&2
    echo "fuzz: $target: a find; make fuzz/artifacts/$target-… a file in fuzz/corpus/$target and mend what it shows" >&2
    exit 1
  fi
  echo "fuzz: $target: $(number "$target" number_of_executed_units) runs, reached $(reached "$target" 1) places with what we had and $(reached "$target" 2) in the end, $(number "$target" new_units_added) new inputs"
done
