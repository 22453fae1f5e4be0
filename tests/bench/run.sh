#!/usr/bin/env bash
# CPU per request of Gatelodge next to nginx and HAProxy, in one run.
#
#   tests/bench/run.sh                       5 rounds of 3 s each
#   ROUNDS=9 SECONDS_EACH=5 tests/bench/run.sh
#   PROFILE=release tests/bench/run.sh       a faster build than `dist`
#
# See README.md beside this file for what the numbers mean.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}
profile=${PROFILE:-dist}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
missing=()
for pair in nginx:nginx-light haproxy:haproxy wrk:wrk python3:python3; do
    PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get -q update </dev/null
    as_root apt-get -q install -y --no-install-recommends "${missing[@]}" </dev/null
fi
if command -v rustup >/dev/null; then
    rustup target add wasm32-unknown-unknown wasm32-wasip2
fi

cargo build --locked --profile "$profile" -p gatelodge
cargo build --locked -p gatelodge-e2e --bin guest-file
mkdir -p "$target/bench"
"$target/debug/guest-file" two-in-one-set "$target/bench/two-in-one-set.wasm"

PATH=$PATH:/usr/sbin exec python3 tests/bench/bench.py \
    --gatelodge "$target/$profile/gatelodge" \
    --plugin "$target/bench/two-in-one-set.wasm" \
    --out "$target/bench" \
    --rounds "${ROUNDS:-5}" --seconds "${SECONDS_EACH:-3}"
