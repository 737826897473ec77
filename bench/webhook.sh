#!/usr/bin/env bash
# Webhook deliveries per second: autoheal, durable, beside a bare handler that only parses the same JSON.
#
# The runs of a round stand side by side, so that whatever else the machine does hits them alike, and what counts is the
# median of the rounds' ratios. The servers' own processor time per delivery is the second measure: it hardly knows
# noise, but not the waiting for the disk either.
#
# BENCH_SECONDS: length of a run (5). BENCH_ROUNDS: rounds (5).
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${BENCH_SECONDS:-5}
rounds=${BENCH_ROUNDS:-5}
target=${CARGO_TARGET_DIR:-target}
for program in wrk curl; do
  command -v "$program" > /dev/null || { echo "$program is missing, see scripts/install-parts.sh" >&2; exit 1; }
done
cargo build --locked --release --bin autoheal --example bare_webhook

# In the target directory, because /tmp is often in memory, where a commit costs nothing.
work=$(mktemp -d "$(realpath "$target")/webhook-bench.XXXXXX")
bare_pid='' daemon=''
# shellcheck disable=SC2317 # called by the trap below
cleanup() {
  for pid in $bare_pid $daemon; do kill "$pid" 2> /dev/null || true; done
  wait
  rm -rf "$work"
}
trap cleanup EXIT

# The rule's engine does not exist: what is measured is taking alerts in, and the engine's own work is bounded by the limits.
mkdir "$work/rules"
cat > "$work/rules/bench.yml" << 'YAML'
rules:
- metadata: {name: bench}
  labels: {alertname: ^BenchDown$}
  restartContainer: {name: "{{ $labels.instance }}"}
YAML
cat > "$work/autoheal.yml" << YAML
ruleFiles: [rules/]
store: sqlite:$work/data/autoheal.db
docker: {hosts: [{name: local, address: "unix://$work/no-engine.sock"}]}
YAML

start_bare() {
  "$target/release/examples/bare_webhook" > "$work/bare.address" &
  bare_pid=$!
  for _ in {1..500}; do
    bare=$(cat "$work/bare.address")
    [[ -z $bare ]] || return 0
    sleep 0.01
  done
  echo "the bare handler did not start" >&2
  exit 1
}

start_autoheal() {
  rm -rf "$work/data"
  "$target/release/autoheal" --config-file "$work/autoheal.yml" --listen-address 127.0.0.1:0 > "$work/log" 2>&1 &
  daemon=$!
  for _ in {1..500}; do
    address=$(sed -n 's/.*msg=listening.*address="\{0,1\}\([0-9.:]*\).*/\1/p' "$work/log" | head -n 1)
    if [[ -n $address ]] && curl -fsS "http://$address/-/ready" > /dev/null 2>&1; then return 0; fi
    sleep 0.01
  done
  cat "$work/log" >&2
  exit 1
}

stop_autoheal() {
  kill "$daemon"
  wait "$daemon"
  daemon=''
}

# Hundredths of a second a process has computed so far.
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

# run PID ADDRESS CONNECTIONS ALERTNAME → one line: rate, p50 and p99 in ms, microseconds of the server's CPU per delivery
run() {
  local before requests rate errors p50 p99
  before=$(ticks "$1")
  ALERTNAME=$4 wrk --threads 1 --connections "$3" --duration "${seconds}s" --script bench/webhook.lua "http://$2/alerts" > "$work/wrk"
  read -r _ requests rate errors p50 p99 < <(grep ^RESULT "$work/wrk")
  if [[ $errors != 0 || $requests == 0 ]]; then
    cat "$work/wrk" >&2
    echo "the run had errors; its figure means nothing" >&2
    exit 1
  fi
  awk -v ticks=$(($(ticks "$1") - before)) -v hertz="$(getconf CLK_TCK)" -v requests="$requests" \
    -v line="$rate $p50 $p99" 'BEGIN { print line, ticks * 1e6 / hertz / requests }'
}

# One round; each line of output: who, rate, p50, p99, CPU.
round() {
  echo "bare $(run "$bare_pid" "$bare" "$1" BenchDown)"
  for who in durable unmatched; do
    start_autoheal
    echo "$who $(run "$daemon" "$address" "$1" "$([[ $who == durable ]] && echo BenchDown || echo Unknown)")"
    stop_autoheal
  done
}

# The medians of all rounds, and the ratios' medians.
report() {
  awk -v connections="$1" '
    function median(values, n,   i, j, swap) {
      for (i = 2; i <= n; i++) for (j = i; j > 1 && values[j] < values[j - 1]; j--) {
        swap = values[j]; values[j] = values[j - 1]; values[j - 1] = swap
      }
      return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
    }
    function column(who, field,   i, values) {
      for (i = 1; i <= count[who]; i++) values[i] = seen[who, i, field]
      return median(values, count[who])
    }
    function ratio(who, field,   i, values) {
      for (i = 1; i <= count[who]; i++) values[i] = seen[who, i, field] / seen["bare", i, field]
      return median(values, count[who])
    }
    function row(who, name) {
      printf "%-30s %3d  %8.0f  %8.2f  %8.2f  %7.1f", name, connections, column(who, 2), column(who, 3), column(who, 4), column(who, 5)
      if (who == "bare") print "      1"; else printf "   %.2f\n", ratio(who, 2)
    }
    { n = ++count[$1]; for (field = 2; field <= NF; field++) seen[$1, n, field] = $field }
    END { row("bare", "bare warp, parses only"); row("durable", "autoheal, every alert new"); row("unmatched", "autoheal, no rule matches") }
  '
}

start_bare
printf '%-30s %3s  %8s  %8s  %8s  %7s  %s\n' '' 'con' 'per s' 'p50 ms' 'p99 ms' 'CPU µs' 'of bare'
for connections in 8 64; do
  for ((i = 0; i < rounds; i++)); do round "$connections"; done > "$work/rounds"
  report "$connections" < "$work/rounds"
done
kill "$bare_pid"
wait "$bare_pid" || true
bare_pid=''

# With the rules that are shipped, as a newcomer runs it.
sed -i "s,rules/,$PWD/rules/," "$work/autoheal.yml"
start_autoheal
sleep 2
awk '/^VmRSS/ { printf "idle memory: %.1f MiB\n", $2 / 1024 }' "/proc/$daemon/status"
stop_autoheal
