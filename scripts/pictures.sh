#!/usr/bin/env bash
# Makes docs/pictures again: the mail as the renderer writes it, at a phone's width in light and dark, and the status page.
#
# The mail comes out of the snapshots of the tests, which hold them equal to what the renderer writes today.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/install-parts.sh for-tests
browser=$(scripts/browser.sh) || { echo "pictures: install Chromium first" >&2; exit 1; }

work=$(mktemp -d)
daemon=
cleanup() {
  if [[ -n $daemon ]]; then kill "$daemon" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

# address, file, width, height, 0 for dark and 1 for light
picture() {
  "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --hide-scrollbars --user-data-dir="$work/browser" --window-size="$3,$4" \
    --blink-settings="preferredColorScheme=$5" --screenshot="$PWD/docs/pictures/$2" "$1" >/dev/null 2>&1
  [[ $(stat -c %s "docs/pictures/$2") -lt 150000 ]] || { echo "pictures: $2 is larger than 150 kB" >&2; exit 1; }
  echo "docs/pictures/$2"
}

mkdir -p docs/pictures
for kind in exhausted approval_needed; do
  # A snapshot begins with a head between two lines of dashes.
  awk 'heads >= 2; /^---$/ { heads++ }' "src/notify/message/snapshots/$kind.html.snap" >"$work/$kind.html"
done
grep -q '<!DOCTYPE html>' "$work/exhausted.html"
picture "file://$work/exhausted.html" mail-light.png 390 960 1
picture "file://$work/exhausted.html" mail-dark.png 390 960 0
picture "file://$work/approval_needed.html" mail-approval.png 390 960 1

# The status page of a daemon that has something to show: one heal waits for a person, others go on or are only told of.
cargo build --locked --quiet
program=$(realpath "${CARGO_TARGET_DIR:-target}/debug/autoheal")
cat >"$work/autoheal.yml" <<'YAML'
docker: {hosts: [{name: local, address: 'tcp://127.0.0.1:1'}]}
YAML
mkdir "$work/rules"
cat >"$work/rules/rules.yml" <<'YAML'
rules:
- metadata: {name: restart-database, description: A database is down.}
  labels: {alertname: ^DatabaseDown$}
  mode: ask
  approval: {expiresAfter: 1h, approvers: [ann]}
  restartContainer: {host: local, name: "{{ $labels.name }}"}
- metadata: {name: restart-service, description: A service container is down.}
  labels: {alertname: ^InstanceDown$}
  restartContainer: {host: local, name: "{{ $labels.name }}"}
- metadata: {name: restart-cache}
  labels: {alertname: ^CacheDown$}
  mode: shadow
  restartContainer: {host: local, name: "{{ $labels.name }}"}
YAML
(cd "$work" && exec "$program" --store sqlite::memory: --listen-address 127.0.0.1:0) >"$work/log" 2>&1 &
daemon=$!
address=
for _ in $(seq 100); do
  address=$(grep -oE '127\.0\.0\.1:[0-9]+' "$work/log" | grep -v ':1$' | tail -n 1) || true
  if [[ -n $address ]] && curl -sf "http://$address/-/ready" >/dev/null; then break; fi
  sleep 0.1
done
[[ -n $address ]] || { echo "pictures: the daemon did not start:" >&2; cat "$work/log" >&2; exit 1; }
alert() {
  printf '{"status":"firing","labels":{"alertname":"%s","name":"%s","severity":"critical"},"annotations":{},"startsAt":"%s","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"%s"}' \
    "$1" "$2" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(printf '%s%s' "$1" "$2" | md5sum | cut -c1-16)"
}
alerts="$(alert DatabaseDown orders-db),$(alert InstanceDown ui),$(alert InstanceDown post),$(alert CacheDown redis)"
curl -sf -o /dev/null "http://$address/alerts" -d "{\"version\":\"4\",\"status\":\"firing\",\"receiver\":\"autoheal\",\"groupLabels\":{},\"commonLabels\":{},\"commonAnnotations\":{},\"externalURL\":\"http://alertmanager:9093\",\"alerts\":[$alerts]}"
# The page shows what has been decided, and that is decided within moments.
for _ in $(seq 100); do
  if curl -sf "http://$address/api/v1/heals?state=awaiting_approval" | grep -q DatabaseDown; then break; fi
  sleep 0.1
done
picture "http://$address/" status.png 1000 700 1
