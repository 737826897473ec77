#!/usr/bin/env bash
# Mutation testing of src/domain: changes it in one place at a time and tells which changes no test notices. `domain` is pure,
# so it is taken out of the house into a small crate that builds in seconds, with its unit tests; what those miss is tried
# again under the simulator. MUTANTS_DIR keeps the crate, the tool and the results (default target/mutants); arguments go to
# cargo-mutants, for example: scripts/mutants.sh --file 'src/domain/guard/**'. docs/mutation-testing.md has the last numbers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

house=$PWD
work=${MUTANTS_DIR:-$house/target/mutants}
crate=$work/domain
mkdir -p "$crate/src" "$crate/tests/it"

if ! command -v cargo-mutants >/dev/null; then
  export PATH="$work/tool/bin:$PATH"
  command -v cargo-mutants >/dev/null || cargo install --locked --debug --root "$work/tool" cargo-mutants@27.1.0
fi

# The same versions as the house, of what `domain` names and nothing else.
{
  printf '[package]\nname = "autoheal"\nversion = "0.0.0"\nedition = "2024"\npublish = false\n\n[dependencies]\n'
  grep -E '^(jiff|gtmpl-ng|regex|regex-syntax|aho-corasick|serde|serde_json|uuid|thiserror) = ' Cargo.toml
  printf '\n[dev-dependencies]\n'
  grep -E '^(insta|proptest) = ' Cargo.toml
  printf '\n[[test]]\nname = "it"\npath = "tests/it/main.rs"\n\n[profile.dev]\ndebug = false\n\n[workspace]\n'
} >"$crate/Cargo.toml"
cp Cargo.lock "$crate/Cargo.lock"
rm -rf "$crate/src/domain" "$crate/tests/it/simulation"
cp -r src/domain "$crate/src/domain"
cp -r tests/it/simulation tests/it/simulation.rs "$crate/tests/it/"
cat >"$crate/src/lib.rs" <<'RUST'
pub mod domain;
/// The one name of the store that the simulator uses.
pub mod store {
    use crate::domain::{Timestamp, decide::{Event, Policy, Snapshot}, plan::Plan};
    pub type DecideFn = fn(&Policy, &Snapshot, Event, Timestamp) -> Plan;
}
RUST
echo 'mod simulation;' >"$crate/tests/it/main.rs"

cd "$crate"
export INSTA_UPDATE=no PROPTEST_CASES=${PROPTEST_CASES:-64} AUTOHEAL_SIMULATION_STEPS=${AUTOHEAL_SIMULATION_STEPS:-20000}
unset CARGO_TARGET_DIR
# A mutant that never ends is caught by its time limit; one that does not build tells nothing. Exit codes 2 and 3 say that some
# were missed or timed out.
status=0
cargo mutants --test-tool cargo --no-shuffle --timeout "${MUTANTS_TIMEOUT:-60}" --output "$work/unit" "$@" -- --lib || status=$?
((status == 0 || status == 2 || status == 3)) || exit "$status"
missed=$work/unit/mutants.out/missed.txt
if [[ -s $missed ]]; then
  echo "$(wc -l <"$missed") escaped the unit tests; now the simulator"
fi
