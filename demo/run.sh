#!/usr/bin/env bash
# make demo: a service is killed; watch autoheal bring it back, check that it helped, and tell people.
#
# Everything is real except the world outside: a private Docker Engine with three tiny services,
# Prometheus, Alertmanager, and a mail server and a Slack that only print. Nothing leaves this machine,
# nothing is left behind, and every port is a free one.
#
#   DEMO_KEEP=1      leaves everything open for playing until Ctrl-C
#   AUTOHEAL_BIN=…   the program to show, instead of the one built from this repository
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# ---- the program ------------------------------------------------------------------------------------
# An optimised build if it is fresh, otherwise the quick one.
if [[ -z ${AUTOHEAL_BIN:-} ]]; then
  target=${CARGO_TARGET_DIR:-target}
  AUTOHEAL_BIN=$target/release/autoheal
  if [[ ! -x $AUTOHEAL_BIN || -n $(find src Cargo.toml Cargo.lock -newer "$AUTOHEAL_BIN" -print -quit) ]]; then
    echo "building autoheal …"
    cargo build --quiet --locked --bin autoheal
    AUTOHEAL_BIN=$target/debug/autoheal
  fi
fi
export AUTOHEAL_BIN

# ---- the engine: start this script again beside a private one ---------------------------------------
if [[ -z ${AUTOHEAL_TEST_DOCKER:-} ]]; then exec scripts/with-engine.sh "${BASH_SOURCE[0]}" "$@"; fi

limit=${DEMO_TIMEOUT:-90} # seconds from the kill to the last message
services=(ui post comment)
image=autoheal-test/busybox:latest
dir=$(mktemp -d "${TMPDIR:-/tmp}/autoheal-demo.XXXXXX")
declare -A pids
export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost

say() { printf '%s  %-12s %s\n' "$(date +%H:%M:%S.%1N)" "$1" "$2"; }
note() { printf '\n%s\n' "-- $*"; }
engine() { docker -H "$AUTOHEAL_TEST_DOCKER" "$@"; }

cleanup() {
  trap '' HUP INT TERM
  local pid
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do
    timeout 10 tail --sleep-interval 0.1 --pid="$pid" -f /dev/null || kill -KILL "$pid" 2>/dev/null || true
  done
  engine rm -f "${services[@]/#/otus-demo-}" >/dev/null 2>&1 || true
  rm -rf "$dir"
}

fail() {
  trap - ERR
  echo >&2
  echo "The demo failed: $*" >&2
  local log
  for log in "$dir"/*.log; do
    [[ -s $log ]] || continue
    echo "--- the end of $(basename "$log")" >&2
    tail -n 15 "$log" >&2
  done
  exit 1
}

trap cleanup EXIT
trap 'exit 130' HUP INT TERM
trap 'fail "unexpectedly, at line $LINENO: $BASH_COMMAND"' ERR

# Runs something in the background, its output in a log named after it.
start() {
  local name=$1
  shift
  "$@" >"$dir/$name.log" 2>&1 </dev/null &
  pids[$name]=$!
}

# await SECONDS WHAT COMMAND…: until COMMAND says yes.
await() {
  local end=$((SECONDS + $1)) what=$2 name
  shift 2
  until "$@" >/dev/null 2>&1; do
    for name in "${!pids[@]}"; do
      kill -0 "${pids[$name]}" 2>/dev/null || fail "$what was waited for, but $name has ended"
    done
    ((SECONDS < end)) || fail "$what did not come in time"
    sleep 0.1
  done
}

# ---- one folder with everything: ports, certificates, secrets, configuration ------------------------
names=(UI POST COMMENT PROMETHEUS ALERTMANAGER AUTOHEAL SMTP SLACK)
mapfile -t free < <(python3 - "${#names[@]}" <<'PYTHON'
import socket, sys
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in sockets), sep="\n")
PYTHON
)
declare -A port
for i in "${!names[@]}"; do port[${names[i]}]=${free[i]}; done

# A certificate authority of our own and a certificate for localhost, as a company would have.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj '/CN=autoheal demo CA' \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
  -keyout "$dir/ca.key" -out "$dir/ca.pem" 2>"$dir/openssl.log"
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj /CN=localhost \
  -keyout "$dir/mail.key" -out "$dir/mail.csr" 2>>"$dir/openssl.log"
openssl x509 -req -in "$dir/mail.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
  -extfile <(printf '%s\n' subjectAltName=DNS:localhost,IP:127.0.0.1 extendedKeyUsage=serverAuth) \
  -out "$dir/mail.pem" 2>>"$dir/openssl.log"

# Secrets live in one file that nobody else can read; autoheal refuses anything looser.
token=$(openssl rand -hex 16) password=$(openssl rand -hex 16) slack_path=/services/T0DEMO/B0DEMO/$(openssl rand -hex 12)
(
  umask 077
  cat >"$dir/secrets" <<SECRETS
SLACK_WEBHOOK_URL=http://127.0.0.1:${port[SLACK]}$slack_path
MAILGUN_SMTP_USERNAME=postmaster@mg.example.com
MAILGUN_SMTP_PASSWORD=$password
WEBHOOK_BEARER_TOKEN=$token
SECRETS
  chmod 0400 "$dir/secrets"
  printf %s "$token" >"$dir/webhook-token"
  printf 'Authorization: Bearer %s\n' "$token" >"$dir/header"
)

# Fills the @NAMES@ in a template.
render() {
  local expressions=(-e "s|@DIR@|$dir|g" -e "s|@REPOSITORY@|$PWD|g" -e "s|@DOCKER@|$AUTOHEAL_TEST_DOCKER|g") name
  for name in "${names[@]}"; do expressions+=(-e "s|@${name}_PORT@|${port[$name]}|g"); done
  sed "${expressions[@]}" "demo/templates/$1" >"$dir/$1"
}
for file in prometheus.yml alerts.yml alertmanager.yml autoheal.yml; do render "$file"; done

# ---- start it all -----------------------------------------------------------------------------------
note "starting three services, Prometheus, Alertmanager, a mail and Slack sink, and autoheal"

for service in "${services[@]}"; do
  # Named and labelled as `docker compose` does it; that is how the heal rule finds it.
  engine run -d --name "otus-demo-$service" --network host --stop-timeout 1 \
    --label com.docker.compose.project=otus --label "com.docker.compose.service=$service" "$image" \
    sh -c "echo 'demo_service_info{service=\"$service\"} 1' >/www/metrics.txt; exec httpd -f -h /www -p 127.0.0.1:${port[${service^^}]}" \
    >/dev/null 2>"$dir/docker-run.log"
done

# The Debian module belongs to Debian's Python, which need not be the first in PATH.
python=python3
"$python" -c 'import aiosmtpd' 2>/dev/null || python=/usr/bin/python3
export SINK_USERNAME=postmaster@mg.example.com SINK_PASSWORD=$password SINK_SLACK_PATH=$slack_path
touch "$dir/messages"
"$python" demo/sink.py --smtp-port "${port[SMTP]}" --slack-port "${port[SLACK]}" --certificate "$dir/mail.pem" \
  --key "$dir/mail.key" --messages "$dir/messages" 2>"$dir/sink.log" &
pids[sink]=$!
unset SINK_USERNAME SINK_PASSWORD SINK_SLACK_PATH

alertmanager=$(command -v prometheus-alertmanager || command -v alertmanager)
start prometheus prometheus --config.file "$dir/prometheus.yml" --storage.tsdb.path "$dir/prometheus" \
  --web.listen-address "127.0.0.1:${port[PROMETHEUS]}" --web.external-url "http://127.0.0.1:${port[PROMETHEUS]}" --log.level warn
start alertmanager "$alertmanager" --config.file "$dir/alertmanager.yml" --storage.path "$dir/alertmanager" \
  --web.listen-address "127.0.0.1:${port[ALERTMANAGER]}" --web.external-url "http://127.0.0.1:${port[ALERTMANAGER]}" \
  --cluster.listen-address= --log.level warn
start autoheal "$AUTOHEAL_BIN" serve --config-file "$dir/autoheal.yml" --secrets-file "$dir/secrets" \
  --store "sqlite:$dir/autoheal.db" --listen-address "127.0.0.1:${port[AUTOHEAL]}" --log-format logfmt

get() { curl -sSf --max-time 5 -H "@$dir/header" "http://127.0.0.1:$1"; }
autoheal() { get "${port[AUTOHEAL]}$1"; }
prometheus_sees_all() {
  [[ $(get "${port[PROMETHEUS]}/api/v1/query?query=sum(up)" | jq -r '.data.result[0].value[1]') == "${#services[@]}" ]]
}
await 30 "autoheal's start" autoheal /-/ready
await 30 "the mail and Slack sink's start" curl -s "http://127.0.0.1:${port[SLACK]}/"
await 30 "Alertmanager's start" get "${port[ALERTMANAGER]}/-/ready"
await 30 "Prometheus' first look at the services" prometheus_sees_all

started() { engine inspect --format '{{.State.StartedAt}} {{.State.Pid}}' "otus-demo-$1"; }
declare -A before
for service in "${services[@]}"; do before[$service]=$(started "$service"); done
say demo "all is well: ${services[*]} answer, nothing fires"

# ---- three watchers tell what happens as it happens -------------------------------------------------
# Docker itself says what becomes of containers …
docker -H "$AUTOHEAL_TEST_DOCKER" events --filter type=container --filter event=die --filter event=start \
  --format '{{.Action}} {{index .Actor.Attributes "com.docker.compose.service"}}' > >(
  while read -r action service; do
    case $action in
      die) say Docker "$service stopped" ;;
      start) say Docker "$service started" ;;
    esac
  done
) 2>"$dir/docker-events.log" &
pids[docker-events]=$!

# … Prometheus what it thinks of them …
watch_alerts() {
  local now last='' line
  while sleep 0.2; do
    now=$(get "${port[PROMETHEUS]}/api/v1/alerts" |
      jq -r '.data.alerts[] | "\(.labels.alertname) of \(.labels.job) is \(.state)"' | sort) || continue
    while read -r line; do [[ -z $line ]] || say Prometheus "$line"; done < <(comm -13 <(echo "$last") <(echo "$now"))
    while read -r line; do
      if [[ -n $line && $now != *"${line% is *}"* ]]; then say Prometheus "${line% is *} is resolved"; fi
    done < <(comm -23 <(echo "$last") <(echo "$now"))
    last=$now
  done 2>/dev/null
}
watch_alerts &
pids[watch-alerts]=$!

# … and autoheal's own record what it did and why.
watch_heals() {
  local -A told=()
  local id line entries
  while sleep 0.2; do
    for id in $(autoheal /api/v1/heals | jq -r '.heals[].id' | tac); do
      entries=$(autoheal "/api/v1/heals/$id" | jq -r '.timeline[] | "\(.what): \(.reason)"') || continue
      while read -r line; do [[ -z $line ]] || say autoheal "$line"; done \
        < <(tail -n "+$((${told[$id]:-0} + 1))" <<<"$entries")
      told[$id]=$(wc -l <<<"$entries")
    done
  done 2>/dev/null
}
watch_heals &
pids[watch-heals]=$!

# ---- the accident -----------------------------------------------------------------------------------
note "killing ui; from here on nobody touches anything"
killed=$(date +%s.%N)
say demo "docker kill ui"
engine kill otus-demo-ui >/dev/null
left=$((SECONDS + limit))
within() { echo $((left > SECONDS ? left - SECONDS : 0)); }

messages() { jq -s "[.[] | select(.kind == \"$1\")] | length" "$dir/messages"; }
ended() { autoheal /api/v1/heals | jq -e '.heals | any(.endedAt)'; }
told() { (($(messages mail) >= 1 && $(messages Slack) >= 1)) && [[ -n $(jq -r 'select(.kind == "Slack") | select(.message | tostring | test("healed"; "i")) | 1' "$dir/messages") ]]; }
await "$(within)" "the end of the heal" ended
await "$(within)" "the Slack message and the mail about it" told
healed=$(date +%s.%N)
sleep 1 # anything more would be a message too many, and shall be seen

# ---- did it do just that, and nothing else? ---------------------------------------------------------
note "checking"
heals=$(autoheal /api/v1/heals)
[[ $(jq '.heals | length' <<<"$heals") == 1 ]] || fail "there should be one heal: $heals"
[[ $(jq -r '.heals[0].state' <<<"$heals") == healed ]] || fail "the heal ended otherwise: $heals"
[[ $(started ui) != "${before[ui]}" ]] || fail "ui was not restarted"
for service in post comment; do
  [[ $(started "$service") == "${before[$service]}" ]] || fail "$service was touched"
done
[[ $(messages mail) == 1 ]] || fail "there should be one mail, there are $(messages mail)"
[[ $(jq -r 'select(.kind == "mail") | "\(.tls) \(.user)"' "$dir/messages") == 'true postmaster@mg.example.com' ]] ||
  fail "the mail came without TLS or without a login"
prometheus_sees_all || fail "a service does not answer"
if grep -q -e "$token" -e "$password" -e "$slack_path" "$dir/autoheal.log"; then fail "a secret is in autoheal's log"; fi

seconds=$(awk -v from="$killed" -v to="$healed" 'BEGIN { printf "%.0f", to - from }')
cat <<SUMMARY
  heal      $(jq -r '.heals[0] | "\(.rule) on \(.target): \(.state), attempt \(.attempt)"' <<<"$heals")
  ui        restarted, answers again
  post      untouched (running since ${before[post]%% *})
  comment   untouched (running since ${before[comment]%% *})
  people    $(messages Slack) Slack messages, $(messages mail) mail (STARTTLS, logged in)
  time      $seconds seconds from the kill to the last message

Healed, verified, told.
SUMMARY

if [[ ${DEMO_KEEP:-} == 1 ]]; then
  trap 'exit 0' HUP INT TERM
  cat <<KEEP

Everything is still open. Kill another one from a second terminal:

  docker -H $AUTOHEAL_TEST_DOCKER kill otus-demo-post

  autoheal       http://127.0.0.1:${port[AUTOHEAL]}/api/v1/heals   log: $dir/autoheal.log
  Prometheus     http://127.0.0.1:${port[PROMETHEUS]}/alerts
  Alertmanager   http://127.0.0.1:${port[ALERTMANAGER]}
  with the token: curl --noproxy '*' -H "@$dir/header" http://127.0.0.1:${port[AUTOHEAL]}/api/v1/heals

Ctrl-C ends it and cleans up.

KEEP
  while :; do sleep 1; done
fi
