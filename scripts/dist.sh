#!/usr/bin/env bash
# scripts/dist.sh [release|test]
#
# Puts a static autoheal, CA certificates and the two writable folders into dist/rootfs, from which the
# Dockerfile's stage `prebuilt` is made.
#
#   release  optimised; with musl where its target is installed or can be added, else static glibc
#   test     the debug program of the tests, only linked anew, statically: seconds instead of minutes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kind=${1:-release}
target_dir=${CARGO_TARGET_DIR:-target}
musl="$(uname -m)-unknown-linux-musl"

musl_is_there() {
  command -v musl-gcc >/dev/null || return 1
  [[ -d $(rustc --print sysroot)/lib/rustlib/$musl/lib ]] && return
  # Adding it needs the network and rustup; without either we do without musl.
  echo "dist: adding the Rust target $musl" >&2
  command -v rustup >/dev/null && timeout 120 rustup target add "$musl" >/dev/null 2>&1
}

# -C target-feature=+crt-static reaches only the program itself here (cargo rustc), not its
# dependencies: they are the same either way, so nothing but the last link is done again.
static_glibc() {
  cargo rustc --locked --bin autoheal "$@" -- -C target-feature=+crt-static
}

case $kind in
  release)
    if musl_is_there; then
      env "CC_${musl//-/_}=musl-gcc" cargo build --locked --release --bin autoheal --target "$musl"
      program=$target_dir/$musl/release/autoheal
    else
      echo "dist: no musl here, linking with glibc statically" >&2
      static_glibc --release
      program=$target_dir/release/autoheal
    fi
    ;;
  test)
    static_glibc
    program=$target_dir/debug/autoheal
    ;;
  *)
    sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac

rm -rf dist/rootfs
mkdir -p dist/rootfs/{data,run/autoheal,etc/autoheal,etc/ssl/certs}
chmod 0700 dist/rootfs/data dist/rootfs/run/autoheal
install -m 0755 "$program" dist/rootfs/autoheal
install -m 0644 /etc/ssl/certs/ca-certificates.crt dist/rootfs/etc/ssl/certs/ca-certificates.crt
# The default store, data/autoheal.db beside the configuration, thereby lies on the volume.
ln -s /data dist/rootfs/etc/autoheal/data
# A name for the number, for the tools that look it up.
echo 'nonroot:x:65532:65532:nonroot:/data:/sbin/nologin' >dist/rootfs/etc/passwd
echo 'nonroot:x:65532:' >dist/rootfs/etc/group
if LC_ALL=C ldd dist/rootfs/autoheal 2>/dev/null | grep -q '=>'; then
  echo "dist: $program is not static" >&2
  exit 1
fi
echo "dist: $(du -h dist/rootfs/autoheal | cut -f1) $program"
