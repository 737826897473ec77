#!/usr/bin/env bash
# Runs every fuzz target for a while (FUZZ_SECONDS each, 20 when not said), where the toolchain allows it: that takes a nightly
# Rust and cargo-fuzz. CI_FUZZ=1 installs cargo-fuzz, which takes minutes. Without them it says so and does nothing;
# the corpus itself is replayed by the ordinary tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! cargo +nightly --version >/dev/null 2>&1; then
  echo 'no nightly Rust, skipped'
  exit
fi
if ! command -v cargo-fuzz >/dev/null; then
  if [[ ${CI_FUZZ:-} != 1 ]]; then
    echo 'cargo-fuzz is not installed, skipped (CI_FUZZ=1 installs it)'
    exit
  fi
  cargo install --locked cargo-fuzz@0.13.2
fi

found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
for target in payload matcher template secrets rules; do
  # New inputs go to a folder of this run; what is worth keeping is copied to fuzz/corpus by hand.
  mkdir "$found/$target"
  cargo +nightly fuzz run "$target" "$found/$target" "fuzz/corpus/$target" -- \
    -max_total_time="${FUZZ_SECONDS:-20}" -max_len=4096 -rss_limit_mb=1024
done
