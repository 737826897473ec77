#!/usr/bin/env bash
# Everything that must hold before a change goes in; `make test` and the continuous integration call it.
# One target folder is shared by all steps, so that nothing is compiled twice.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

times=()
step() {
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  "$@" || { echo "== $name: FAILED" >&2; exit 1; }
  times+=("$((SECONDS - start))s  $name")
}

# Only part of the checks of cargo-deny: its list of advisories needs the network, which tests must not.
deny() {
  if ! command -v cargo-deny >/dev/null; then
    if [[ ${CI_DENY:-} != 1 ]]; then
      echo "cargo-deny is not installed, skipped (CI_DENY=1 installs it, which takes minutes)"
      return
    fi
    cargo install --locked cargo-deny@0.20.2
  fi
  cargo deny check licenses bans sources
}

# The inner call, beside an engine that the tests and the image share.
if [[ ${1:-} == in-engine ]]; then
  step 'tests' cargo test --locked
  step 'API against its document' scripts/test-api.sh
  step 'image' scripts/test-image.sh
  exit
fi

step 'parts' scripts/install-parts.sh for-tests
# Whoever sees this set must not pass over what the browser is for.
if AUTOHEAL_TEST_BROWSER=$(scripts/browser.sh); then
  export AUTOHEAL_TEST_BROWSER
else
  echo 'no Chromium on this machine, so nobody looks at the mail'
fi
step 'format' cargo fmt --check
step 'clippy' cargo clippy --locked --all-targets -- -D warnings
step 'documentation' env RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
step 'licences and sources' deny
step 'rule tests' cargo run --locked --quiet -- test rules
step 'fuzz targets' scripts/fuzz.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2016 # the inner bash shall expand it
step 'tests on real parts' bash -c 'set -o pipefail; scripts/with-engine.sh scripts/test.sh in-engine 2>&1 | tee "$1"' - "$log"

echo '== all good'
printf '%s\n' "${times[@]}"
# Last, because it is what one looks for at the end of a long log.
sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -E '^test result:|^image:' || true
