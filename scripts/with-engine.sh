#!/usr/bin/env bash
# scripts/with-engine.sh COMMAND [ARG…]
#
# Runs COMMAND beside a private Docker Engine that no one else uses and that is gone afterwards.
# COMMAND finds the engine in AUTOHEAL_TEST_DOCKER (unix:///…) and in it the image
# autoheal-test/busybox:latest. Containers must be run with `--network host`: the engine has no bridge,
# so that it needs no firewall rules and leaves the machine's network alone.
#
# With AUTOHEAL_TEST_DOCKER already set, that engine is used and nothing is started or stopped.
set -euo pipefail

export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
image=autoheal-test/busybox:latest

if (($# == 0)); then
  sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi

say() { echo "with-engine: $*" >&2; }

# An image without any registry: busybox is one static file that plays all the commands we need.
import_image() {
  local root=$1 busybox applet
  busybox=$(command -v busybox) || { say "busybox is missing, see scripts/install-parts.sh"; return 1; }
  mkdir -p "$root/bin" "$root/tmp" "$root/www"
  install -m 0755 "$busybox" "$root/bin/busybox"
  for applet in sh httpd sleep cat touch rm kill echo env id ls mkdir nc ps test true false wget; do
    ln -sf busybox "$root/bin/$applet"
  done
  tar -C "$root" -c . |
    docker -H "$AUTOHEAL_TEST_DOCKER" import --change 'ENV PATH=/bin' --change 'CMD ["sh"]' - "$image" >/dev/null
}

if [[ -n ${AUTOHEAL_TEST_DOCKER:-} ]]; then
  if ! docker -H "$AUTOHEAL_TEST_DOCKER" image inspect "$image" >/dev/null 2>&1; then
    scratch=$(mktemp -d)
    import_image "$scratch/image"
    rm -rf "$scratch"
  fi
  exec "$@"
fi

if [[ $(id -u) != 0 ]]; then
  say "starting an engine needs root; run this as root, or set AUTOHEAL_TEST_DOCKER to an engine you may use"
  exit 1
fi
for program in dockerd containerd docker; do
  command -v "$program" >/dev/null || { say "$program is missing, see scripts/install-parts.sh"; exit 1; }
done

# Always /tmp: a unix socket's path must stay below 108 bytes.
dir=$(mktemp -d /tmp/autoheal-engine.XXXXXX)
chmod 0711 "$dir"
export AUTOHEAL_TEST_DOCKER="unix://$dir/docker.sock"
export DOCKER_CONFIG="$dir/client" # no contexts, credential helpers or proxies of the user
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
containerd_pid='' dockerd_pid='' command_pid='' guard_pid=''

# Waits until the process has ended, at most $2 tenths of a second.
ended() {
  local pid=$1 tenths=$2
  while kill -0 "$pid" 2>/dev/null; do
    ((tenths-- > 0)) || return 1
    sleep 0.1
  done
}

# Ends one process that we started: politely, then for good.
stop() {
  local pid=$1
  [[ -n $pid ]] || return 0
  kill -TERM "$pid" 2>/dev/null || return 0
  ended "$pid" 150 || kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

# shellcheck disable=SC2317 # called by the trap below
cleanup() {
  trap '' HUP INT TERM
  local path pid
  if [[ -n $command_pid ]] && kill -0 "$command_pid" 2>/dev/null; then
    kill -TERM -- "-$command_pid" 2>/dev/null || true
    ended "$command_pid" 200 || kill -KILL -- "-$command_pid" 2>/dev/null || true
  fi
  if [[ -n $dockerd_pid ]]; then
    docker -H "$AUTOHEAL_TEST_DOCKER" ps -aq 2>/dev/null |
      timeout 20 xargs -r docker -H "$AUTOHEAL_TEST_DOCKER" rm -f >/dev/null 2>&1 || true
  fi
  stop "$dockerd_pid"
  # Shims outlive a killed engine on purpose. Ours are known by our folder in their arguments.
  for path in /proc/[0-9]*; do
    pid=${path#/proc/}
    if tr '\0' ' ' 2>/dev/null <"$path/cmdline" | grep -q "^[^ ]*containerd-shim.* $dir/"; then
      kill -KILL "$pid" 2>/dev/null || true
    fi
  done
  stop "$containerd_pid"
  awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
    while read -r path; do umount -l "$path" 2>/dev/null || true; done
  # Never delete through a mount that would not go.
  if grep -q " $dir/" /proc/self/mountinfo; then
    say "left behind, because something is still mounted there: $dir"
  else
    rm -rf --one-file-system "$dir"
  fi
  if [[ -n $guard_pid ]]; then kill -KILL "$guard_pid" 2>/dev/null || true; fi
}
trap cleanup EXIT

mkdir "$dir/client"
echo '{}' >"$dir/daemon.json" # instead of /etc/docker/daemon.json
cat >"$dir/containerd.toml" <<TOML
version = 2
root = "$dir/containerd/root"
state = "$dir/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$dir/containerd.sock"
TOML

# Both daemons get a session of their own, so that Ctrl-C reaches COMMAND first and the engine last.
daemon() {
  local log=$1
  shift
  setsid "$@" >"$log" 2>&1 </dev/null &
}

# A containerd of our own: dockerd would otherwise share a running one with the system's engine.
start_containerd() {
  daemon "$dir/containerd.log" containerd --config "$dir/containerd.toml" --log-level warn
  containerd_pid=$!
}

start_dockerd() {
  daemon "$dir/dockerd.log" dockerd --config-file "$dir/daemon.json" --log-level warn \
    --host "$AUTOHEAL_TEST_DOCKER" --containerd "$dir/containerd.sock" --group root \
    --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/dockerd.pid" \
    --bridge=none --iptables=false --ip-forward=false --ip-masq=false --userland-proxy=false \
    --shutdown-timeout 3 "$@"
  dockerd_pid=$!
}

answers() {
  local tenths=300
  until docker -H "$AUTOHEAL_TEST_DOCKER" version >/dev/null 2>&1; do
    kill -0 "$dockerd_pid" 2>/dev/null && ((tenths-- > 0)) || return 1
    sleep 0.1
  done
}

start_containerd
for _ in {1..100}; do
  [[ -S $dir/containerd.sock ]] && break
  kill -0 "$containerd_pid" 2>/dev/null || { say "containerd did not start:"; tail -n 5 "$dir/containerd.log" >&2; exit 1; }
  sleep 0.05
done

# dockerd picks its storage driver by what the file system can do. Some places (a container in a
# container) can do none of the fast ones; plain copies always work.
start_dockerd
if ! { answers && import_image "$dir/image"; }; then
  say "trying again with plain copies as storage, after: $(tail -n 1 "$dir/dockerd.log")"
  stop "$dockerd_pid"
  start_dockerd --storage-driver=vfs
  if ! { answers && import_image "$dir/image"; }; then
    say "the engine did not start:"
    tail -n 20 "$dir/dockerd.log" >&2
    exit 1
  fi
fi
rm -rf "$dir/image"

# COMMAND runs as a process group of its own (set -m), so that a signal to us can be handed on to
# everything it started, and we outlive it to clean up.
set -m
"$@" <&0 &
command_pid=$!
for signal in HUP INT TERM; do
  # shellcheck disable=SC2064 # the values of now are meant
  trap "kill -$signal -- -$command_pid 2>/dev/null || true" "$signal"
done

# No trap runs when we are killed with SIGKILL (a CI job over its time). The guard cleans up then.
guard() {
  trap '' HUP INT TERM
  while kill -0 $$ 2>/dev/null; do sleep 0.5; done
  cleanup
}
(trap - EXIT; guard) >/dev/null 2>&1 </dev/null &
guard_pid=$!
set +m

# `wait` returns early when a signal arrives; COMMAND may still be tidying up then.
status=0
wait "$command_pid" || status=$?
while kill -0 "$command_pid" 2>/dev/null; do
  status=0
  wait "$command_pid" || status=$?
done
command_pid=''
exit "$status"
