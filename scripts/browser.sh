#!/usr/bin/env bash
# Says which Chromium of this machine draws pages without a screen: its name, or nothing and exit 1.
set -euo pipefail

for name in chromium-headless-shell chromium chromium-browser google-chrome; do
  # On Ubuntu a package of that name may be there that only says where to get the program.
  if "$name" --version >/dev/null 2>&1; then
    echo "$name"
    exit
  fi
done
exit 1
