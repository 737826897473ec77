#!/usr/bin/env bash
# Webhook deliveries per second: autoheal, durable, beside a bare handler that only parses the same JSON.
# Every delivery carries a new alert. Figures are ratios of runs side by side on this machine, so noise hits both.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${BENCH_SECONDS:-10}
target=${CARGO_TARGET_DIR:-target}
cargo build --locked --release --bin autoheal --example bare_webhook --example restart_latency

work=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

# The rule's engine does not exist: what is measured is taking alerts in, and the engine's own work is bounded by the limits.
mkdir "$work/rules"
cat > "$work/rules/bench.yml" <<'YAML'
rules:
- metadata: {name: bench}
  labels: {alertname: ^BenchDown$}
  restartContainer: {name: "{{ $labels.instance }}"}
YAML
cat > "$work/autoheal.yml" <<YAML
ruleFiles: [rules/]
store: sqlite:$work/data/autoheal.db
docker: {hosts: [{name: local, address: "unix://$work/no-engine.sock"}]}
YAML

"$target/release/examples/bare_webhook" > "$work/bare.address" &
pids+=($!)

start_autoheal() {
  rm -rf "$work/data"
  "$target/release/autoheal" --config-file "$work/autoheal.yml" --listen-address 127.0.0.1:0 > "$work/log" 2>&1 &
  daemon=$!
  pids+=("$daemon")
  for _ in $(seq 500); do
    address=$(sed -n 's/.*msg=listening.*address="\{0,1\}\([0-9.:]*\).*/\1/p' "$work/log" | head -n 1)
    if [ -n "$address" ] && curl -fsS "http://$address/-/ready" > /dev/null 2>&1; then return; fi
    sleep 0.01
  done
  cat "$work/log" >&2
  exit 1
}

stop_autoheal() {
  kill "$daemon"
  wait "$daemon" || true
}

# run NAME ADDRESS CONNECTIONS ALERTNAME -> rate
run() {
  ALERTNAME=$4 wrk --threads 1 --connections "$3" --duration "${seconds}s" --script bench/webhook.lua "http://$2/alerts" > "$work/wrk"
  read -r _ rate errors p50 p99 < <(grep ^RESULT "$work/wrk")
  printf '%-28s %3d connections  %8d /s   p50 %7.2f ms   p99 %7.2f ms   errors %d\n' "$1" "$3" "$rate" "$p50" "$p99" "$errors"
  [ "$errors" = 0 ] || { echo "the run had errors; its figure means nothing" >&2; exit 1; }
}

bare=$(cat "$work/bare.address")
for connections in 8 64; do
  run 'bare warp, parse only' "$bare" "$connections" BenchDown; yardstick=$rate
  start_autoheal
  run 'autoheal, new alert, durable' "$address" "$connections" BenchDown; durable=$rate
  stop_autoheal
  start_autoheal
  run 'autoheal, no rule matches' "$address" "$connections" Unknown; unmatched=$rate
  stop_autoheal
  awk -v c="$connections" -v y="$yardstick" -v d="$durable" -v u="$unmatched" \
    'BEGIN { printf "ratio at %d connections: durable %.2f, unmatched %.2f of bare\n\n", c, d / y, u / y }'
done

start_autoheal
sleep 1
awk '/VmRSS/ { printf "idle memory: %.1f MiB\n", $2 / 1024 }' "/proc/$daemon/status"
stop_autoheal

"$target/release/examples/restart_latency" "$target/release/autoheal"
