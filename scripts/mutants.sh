#!/usr/bin/env bash
# Mutation testing of src/domain: changes it in one place at a time and tells which changes no test notices. `domain` is pure,
# so it is taken out of the house into a small crate that builds in seconds, with its unit tests; what these miss is tried
# again under the simulator. Takes hours for all of it; arguments go to cargo-mutants and narrow it down, for example
#   scripts/mutants.sh --file 'src/domain/guard/**'
# MUTANTS_ROOMS leaves of `domain` only the modules it names, which must be all that they need themselves. Then a change takes
# two seconds, but neither the tests of the other modules nor the simulator are asked, for example
#   MUTANTS_ROOMS='alert go_string regex template' scripts/mutants.sh --file 'src/domain/template/**'
# MUTANTS_DIR keeps the crate, the tool and the results (target/mutants when not said). docs/mutation-testing.md has the last
# numbers and what is known to be missed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=${MUTANTS_DIR:-$PWD/target/mutants}
crate=$work/domain
rm -rf "$crate/src" "$crate/tests"
mkdir -p "$crate/src" "$crate/tests/it"

export PATH="$work/tool/bin:$PATH"
command -v cargo-mutants >/dev/null || cargo install --locked --debug --root "$work/tool" cargo-mutants@27.1.0

# What `domain` names and nothing else, in the house's own versions.
{
  printf '[package]\nname = "autoheal"\nversion = "0.0.0"\nedition = "2024"\npublish = false\n\n[dependencies]\n'
  grep -E '^(aho-corasick|gtmpl-ng|jiff|regex|regex-syntax|serde|serde_json|thiserror|uuid) = ' Cargo.toml
  printf '\n[dev-dependencies]\n'
  grep -E '^(insta|proptest) = ' Cargo.toml
  printf '\n[profile.dev]\ndebug = false\n\n[workspace]\n'
} >"$crate/Cargo.toml"
cp Cargo.lock "$crate/"
cp -r src/domain "$crate/src/"
printf '//! `domain` alone, to be changed in one place at a time.\npub mod domain;\n' >"$crate/src/lib.rs"
if [[ -n ${MUTANTS_ROOMS:-} ]]; then
  for module in $(sed -nE 's/^(pub )?mod (\w+);$/\2/p' src/domain/mod.rs); do
    [[ " $MUTANTS_ROOMS " == *" $module "* ]] && continue
    rm -rf "$crate/src/domain/$module" "$crate/src/domain/$module.rs"
    sed -i -E "/^(pub )?mod $module;$/d" "$crate/src/domain/mod.rs"
  done
else
  cp -r tests/it/simulation tests/it/simulation.rs "$crate/tests/it/"
  echo 'mod simulation;' >"$crate/tests/it/main.rs"
  cat >>"$crate/src/lib.rs" <<'RUST'
/// The one name of the store that the simulator uses.
pub mod store {
    use crate::domain::Timestamp;
    use crate::domain::decide::{Event, Policy, Snapshot};
    use crate::domain::plan::Plan;
    /// How heals change.
    pub type DecideFn = fn(&Policy, &Snapshot, Event, Timestamp) -> Plan;
}
RUST
fi

cd "$crate"
unset CARGO_TARGET_DIR
export INSTA_UPDATE=no
# The same cases for every change: whether one is noticed must not hang on what was found for the one before.
export PROPTEST_RNG_SEED=1 PROPTEST_DISABLE_FAILURE_PERSISTENCE=1
# So that every change builds on what is built already.
cargo test --no-run

# 2: some were missed, 3: some ran into the time limit, as changes do that make a loop endless.
mutants() {
  local status=0
  cargo mutants --no-shuffle --copy-target=true --timeout "${MUTANTS_TIMEOUT:-30}" --colors never --output "$work" "$@" || status=$?
  ((status == 0 || status == 2 || status == 3)) || exit "$status"
}
mutants --cargo-arg=--lib "$@"
if [[ -z ${MUTANTS_ROOMS:-} && -s $work/mutants.out/missed.txt ]]; then
  echo "$(wc -l <"$work/mutants.out/missed.txt") escaped the unit tests; now with the simulator"
  mutants --iterate "$@"
fi
echo 'missed by all tests:'
cat "$work/mutants.out/missed.txt"
