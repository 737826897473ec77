#!/usr/bin/env bash
# Holds the running program against the document of its interface (/api/v1/openapi.json): schemathesis makes up requests,
# good and bad, and looks whether every answer is one that the document names. About half a minute.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=4.32.5
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
tool=$target/schemathesis-$version

# Kept beside what cargo builds, so that it is fetched once and nothing is installed system-wide.
if [[ ! -x $tool/bin/schemathesis ]]; then
  rm -rf "$tool"
  if ! { python3 -m venv "$tool" && "$tool/bin/pip" install --quiet "schemathesis==$version"; }; then
    rm -rf "$tool"
    echo "schemathesis $version could not be installed from PyPI" >&2
    echo "skipped: the API was not held against its document" >&2
    exit 0
  fi
fi

work=$(mktemp -d)
daemon=''
# shellcheck disable=SC2317 # called by the trap below
cleanup() {
  if [[ -n $daemon ]]; then kill "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

# Nobody listens at this engine, so whatever is made up does no harm.
mkdir "$work/rules"
cat >"$work/autoheal.yml" <<'YAML'
docker: {hosts: [{name: gone, address: 'tcp://127.0.0.1:1'}]}
YAML
cat >"$work/rules/rules.yml" <<'YAML'
rules:
- metadata: {name: asks}
  labels: {alertname: ^Asks$}
  mode: ask
  restartContainer: {host: gone, name: ui}
- metadata: {name: tells}
  labels: {alertname: .+}
YAML
: >"$work/secrets" && chmod 0600 "$work/secrets"
: >"$work/log"
program=$(realpath "$target/debug/autoheal")
(cd "$work" && exec "$program" --secrets-file secrets --listen-address 127.0.0.1:0 >"$work/log" 2>&1) &
daemon=$!
address=''
for _ in {1..200}; do
  address=$(sed -n 's/.*msg=listening address=\([0-9.:]*\).*/\1/p' "$work/log")
  [[ -n $address ]] && curl -fsS --noproxy '*' -o /dev/null "http://$address/-/ready" 2>/dev/null && break
  sleep 0.05
done
curl -fsS --noproxy '*' -o /dev/null "http://$address/alerts" --data-binary \
  '{"alerts":[{"status":"firing","labels":{"alertname":"Asks"}},{"status":"firing","labels":{"alertname":"Other"}}]}'

if ! (cd "$work" && NO_PROXY='*' timeout 180 "$tool/bin/schemathesis" run "http://$address/api/v1/openapi.json" \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method \
  --phases examples,coverage,fuzzing --max-examples 20 --seed 1 --generation-deterministic --request-timeout 20 \
  --no-color) >"$work/report" 2>&1; then
  cat "$work/report" >&2
  exit 1
fi
grep -A1 'Test cases:' "$work/report" || true
