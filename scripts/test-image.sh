#!/usr/bin/env bash
# scripts/test-image.sh
#
# Builds the image's last stage without a registry and checks what it promises: a healthy daemon, not
# root, nothing but the program inside, secrets rendered from a mounted file, from variables and from
# Docker's secret files, and an alert taken with 202. Needs an engine: scripts/with-engine.sh
# DIST=release tests the image as released; the default is the debug program, because it is there already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ -z ${AUTOHEAL_TEST_DOCKER:-} ]]; then exec scripts/with-engine.sh "$0" "$@"; fi
engine() { docker -H "$AUTOHEAL_TEST_DOCKER" "$@"; }

image=autoheal-test/image:$$
name=autoheal-test-$$
work=$(mktemp -d)
chmod 0755 "$work" # the container's user walks through it
cleanup() {
  engine rm -f "$name" >/dev/null 2>&1 || true
  engine rmi -f "$image" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

ok() { echo "image: $*"; }
fail() {
  echo "image: FAILED: $*" >&2
  engine logs --tail 30 "$name" >&2 || true
  exit 1
}

scripts/dist.sh "${DIST:-test}"
DOCKER_BUILDKIT=0 engine build --quiet --target prebuilt --tag "$image" . >/dev/null 2>"$work/build.log" ||
  { cat "$work/build.log" >&2; exit 1; }
ok "built from scratch, $(engine image inspect --format '{{.Size}}' "$image" | numfmt --to=iec) in all"

# Three ways to hand over secrets, all at once. Each value is a canary that must not show up anywhere.
printf 'SLACK_WEBHOOK_URL=http://127.0.0.1:9/canary-file\nMAILGUN_SMTP_USERNAME=canary-lost\n' >"$work/secrets"
printf '%s\n' SLACK_BOT_TOKEN=xoxb-canary-file SLACK_SIGNING_SECRET=canary-file MAILGUN_API_KEY=canary-file AWX_TOKEN=canary-file RUNBOOK_API_TOKEN=canary-file >>"$work/secrets"
printf 'canary-path' >"$work/password"
chmod 0400 "$work/secrets" "$work/password"
chown 65532:65532 "$work/secrets" "$work/password"
cp autoheal.example.yml "$work/autoheal.yml" # exactly what a user would start from
chmod 0644 "$work/autoheal.yml"

# The image's own command and healthcheck, unchanged. With a network of its own (loopback only) the fixed
# port inside can be in no one's way; we reach it by stepping into that network.
engine run -d --name "$name" --network none --read-only --cap-drop ALL --security-opt no-new-privileges \
  --tmpfs /run/autoheal:uid=65532,gid=65532,mode=0700 --health-interval 1s \
  -v "$work/secrets:/etc/autoheal/secrets:ro" -v "$work/password:/run/secrets/password:ro" \
  -v "$work/autoheal.yml:/etc/autoheal/autoheal.yml:ro" \
  -e AUTOHEAL_SECRET_MAILGUN_SMTP_USERNAME=canary-variable \
  -e AUTOHEAL_SECRET_MAILGUN_SMTP_PASSWORD_FILE=/run/secrets/password \
  -e AUTOHEAL_SECRET_WEBHOOK_BEARER_TOKEN=canary-token \
  "$image" >/dev/null

state=''
for _ in {1..300}; do
  state=$(engine inspect --format '{{.State.Status}} {{with .State.Health}}{{.Status}}{{end}}' "$name")
  [[ $state == 'running healthy' || $state == exited* ]] && break
  sleep 0.1
done
[[ $state == 'running healthy' ]] || fail "not healthy: $state"
ok "the program's own healthcheck says healthy"

# /proc of the host shows what a container without a shell cannot tell.
pid=$(engine inspect --format '{{.State.Pid}}' "$name")
[[ $(awk '/^Uid:/ { print $2, $3 }' "/proc/$pid/status") == '65532 65532' ]] || fail "does not run as user 65532"
ok "runs as user 65532"

if engine exec "$name" /bin/sh -c true >/dev/null 2>&1; then fail "there is a shell"; fi
# The engine itself puts /dev, /etc/hosts and the like into every container.
extra=$(engine export "$name" | tar -t | grep -vE '/$|^(dev|proc|sys|run)/|^\.dockerenv$' |
  grep -vE '^(autoheal|etc/(hostname|hosts|mtab|resolv\.conf|passwd|group|ssl/certs/ca-certificates\.crt)|etc/autoheal/.*|data/.*)$' || true)
[[ -z $extra ]] || fail "more inside than the program and its files: $extra"
ok "no shell, nothing inside but the program, certificates, rules and example files"

rendered=/proc/$pid/root/run/autoheal/secrets
[[ $(stat -c '%a %u' "$rendered") == '400 65532' ]] || fail "secrets file: $(stat -c '%a %u' "$rendered")"
for line in SLACK_WEBHOOK_URL=http://127.0.0.1:9/canary-file MAILGUN_SMTP_USERNAME=canary-variable \
  MAILGUN_SMTP_PASSWORD=canary-path WEBHOOK_BEARER_TOKEN=canary-token; do
  sed 's/="\(.*\)"$/=\1/' "$rendered" | grep -qxF -- "$line" || fail "not rendered: ${line%%=*}"
done
if tr '\0' '\n' <"/proc/$pid/environ" | grep -q canary; then fail "a secret is still in the daemon's environment"; fi
ok "secrets rendered from file, variable and _FILE path (0400), variables scrubbed"

cat >"$work/alert.json" <<'JSON'
{"version":"4","groupKey":"{}:{alertname=\"InstanceDown\"}","truncatedAlerts":0,"status":"firing","receiver":"autoheal",
 "groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://127.0.0.1:9093",
 "alerts":[{"status":"firing","labels":{"alertname":"InstanceDown","job":"ui","instance":"ui:9292"},"annotations":{},
   "startsAt":"2026-01-01T00:00:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":""}]}
JSON
post() {
  nsenter --net --target "$pid" curl -sS --noproxy '*' -o "$work/answer" -w '%{http_code}' -H 'Content-Type: application/json' --data-binary "@$work/alert.json" \
    "$@" http://127.0.0.1:9099/alerts
}
code=$(post)
[[ $code == 401 ]] || fail "an alert without the token was answered with $code"
code=$(post -H 'Authorization: Bearer canary-token')
[[ $code == 202 ]] || fail "an alert was answered with $code: $(cat "$work/answer")"
ok "POST /alerts: 401 without the token, 202 with it"

stat -c %s "/proc/$pid/root/data/autoheal.db" >/dev/null || fail "no store in /data"
if engine logs "$name" 2>&1 | grep -q canary; then fail "a secret is in the log"; fi
engine stop --time 20 "$name" >/dev/null
status=$(engine inspect --format '{{.State.ExitCode}}' "$name")
[[ $status == 0 ]] || fail "ended with $status after SIGTERM"
ok "SIGTERM ends it with 0; no secret in its log"
