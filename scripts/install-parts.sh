#!/usr/bin/env bash
# scripts/install-parts.sh [for-tests]
#
# Makes sure that everything `make test`, `make demo` and `make bench` need is on this machine; what only the tests
# need (Chromium to look at mails, a C++ compiler for libFuzzer) when asked for, because it is large.
#
# As root on Debian or Ubuntu the missing packages are installed; elsewhere the script says what is
# missing and exits 1. With everything there it only looks (well under a second) and says nothing.
set -euo pipefail

export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" # dockerd and iptables live there, also for users without it in PATH
cd "$(dirname "${BASH_SOURCE[0]}")/.."

have() { command -v "$1" >/dev/null 2>&1; }

# Containers are built from one busybox, which therefore must not need shared libraries.
have_static_busybox() {
  local busybox
  busybox=$(command -v busybox) && ! LC_ALL=C ldd "$busybox" 2>/dev/null | grep -q '=>'
}

# The Debian module belongs to Debian's Python, which need not be the first `python3` in PATH.
have_aiosmtpd() {
  local python
  for python in python3 /usr/bin/python3; do
    "$python" -c 'import aiosmtpd' 2>/dev/null && return
  done
  return 1
}

# A kernel with AppArmor makes Docker Engine call this tool for each container.
apparmor_is_fine() {
  have apparmor_parser || [[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) != Y ]]
}

# We ask for the thing, not for the package: Docker's own packages are as good as Debian's.
missing=()
want() {
  local package=$1
  shift
  "$@" >/dev/null || missing+=("$package")
}
want docker.io have dockerd
want docker.io have docker
want iptables have iptables
want apparmor apparmor_is_fine
want prometheus have prometheus
have alertmanager || want prometheus-alertmanager have prometheus-alertmanager
want busybox-static have_static_busybox
want python3-aiosmtpd have_aiosmtpd
want python3-venv python3 -c 'import ensurepip'
want ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
want gcc have cc
want make have make
for tool in curl jq openssl wrk sqlite3; do
  want "$tool" have "$tool"
done
if [[ ${1:-} == for-tests ]]; then
  want g++ have c++
  # Ubuntu's package of that name wants snapd; there the tests use a Chromium that somebody has installed.
  grep -qs '^ID=ubuntu$' /etc/os-release || want chromium scripts/browser.sh
fi
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u | sed '/^$/d')

policy=/usr/sbin/policy-rc.d

restore_policy() {
  rm -f "$policy"
  if [[ -e $policy.autoheal-saved ]]; then mv "$policy.autoheal-saved" "$policy"; fi
}

install_packages() {
  echo "installing: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l

  # Debian starts a service as soon as it is installed, unless this file says no (exit code 101).
  # We only want the programs: nothing shall start now, nor at the next boot. A policy that is
  # there already is kept and put back.
  if [[ -e $policy ]]; then mv "$policy" "$policy.autoheal-saved"; fi
  trap restore_policy EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 0755 "$policy"

  local log
  log=$(mktemp)
  if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    exit 1
  fi
  rm -f "$log"

  local service
  for service in docker.io:docker.service docker.io:docker.socket docker.io:containerd.service \
    prometheus:prometheus.service prometheus-alertmanager:prometheus-alertmanager.service; do
    [[ " ${missing[*]} " == *" ${service%%:*} "* ]] || continue
    service=${service#*:}
    if have systemctl; then
      systemctl disable --quiet "$service"
    else
      update-rc.d "${service%.*}" disable
    fi >/dev/null 2>&1 || true
  done
  echo "installed. No service was started or enabled."
}

if ((${#missing[@]} > 0)); then
  if [[ $(id -u) == 0 && -e /etc/debian_version ]] && have apt-get; then
    install_packages
  else
    echo "These parts are missing (Debian's and Ubuntu's package names): ${missing[*]}" >&2
    if have apt-get; then
      echo "Install them with: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    else
      echo "Install them with your system's package manager, then try again." >&2
    fi
    exit 1
  fi
fi

# Not needed when a ready binary is used (AUTOHEAL_BIN).
rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if ! have cargo && [[ -z ${AUTOHEAL_BIN:-} ]]; then
  echo "Rust is missing: install rustup as https://rustup.rs says, then run: rustup toolchain install ${rust:-stable}" >&2
  if [[ -n ${SUDO_USER:-} ]]; then
    # shellcheck disable=SC2016 # the user's shell shall expand it
    echo 'Under sudo your own cargo is out of sight; this shows it: sudo env "PATH=$PATH" make …' >&2
  fi
  exit 1
fi
