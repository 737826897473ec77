#!/usr/bin/env bash
# 300 alerts for 300 hosts at once: how long until the last AWX job is launched, on the small AWX of the tests.
#
# BENCH_ALERTS: alerts in the burst (300). BENCH_ROUNDS: rounds (5). BENCH_ANSWER_MS: what AWX takes for each answer (0); a real
# one on two cores takes 200 and more, and then the figure is AWX's own.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
cargo build --locked --release --bin autoheal --example awx_burst
for ((i = 0; i < ${BENCH_ROUNDS:-5}; i++)); do
  "$target/release/examples/awx_burst" "$(realpath "$target")/release/autoheal" "${BENCH_ALERTS:-300}" "${BENCH_ANSWER_MS:-0}"
done
