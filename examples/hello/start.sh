#!/usr/bin/env bash
# Builds Gatelodge and the example, starts them, and shows what they do.
#
#   examples/hello/start.sh           leaves it running until Ctrl-C
#   examples/hello/start.sh --once    stops it after the show (also without a terminal)
#   PORT=8080 examples/hello/start.sh another port than 5000
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
port=${PORT:-5000}
once=no
if [ "${1:-}" = --once ] || [ ! -t 1 ]; then once=yes; fi

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
need() { echo "start.sh: $1 is needed: $2" >&2; exit 1; }

# --- set-up -----------------------------------------------------------------
command -v cargo >/dev/null || need cargo "see https://rustup.rs"
command -v curl >/dev/null || need curl "for example: apt-get install curl"
if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx wasm32-unknown-unknown; then
    rustup target add wasm32-unknown-unknown
fi
say "building (the first time takes some minutes: a compiler for plugins is in it)"
(cd "$root" && cargo build --release -p gatelodge -p gatelodge-hello)
target=${CARGO_TARGET_DIR:-$root/target}
mkdir -p bin
install -m 755 "$target/release/gatelodge-hello" bin/hello

# --- start ------------------------------------------------------------------
mkdir -p logs
log=logs/gatelodge.log
say "gatelodge run examples/hello --listen http://127.0.0.1:$port"
"$target/release/gatelodge" run . --listen "http://127.0.0.1:$port" 2>"$log" &
host=$!
trap 'kill -TERM "$host" 2>/dev/null || true; wait "$host" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
for _ in $(seq 200); do
    grep -q '^listening on ' "$log" && break
    kill -0 "$host" 2>/dev/null || { cat "$log" >&2; exit 1; }
    sleep 0.05
done
grep -q '^listening on ' "$log" || { cat "$log" >&2; exit 1; }
at=$(sed -n 's/^listening on //p' "$log" | head -n 1)

# Prints a curl line and its answer; long values are cut where they are shown.
token=$(cat demo-token.txt)
show() {
    local line="$*"
    say "curl ${line//"$token"/\$(cat demo-token.txt)}"
    curl --silent --show-error --max-time 20 "$@" | cut -c 1-110 || echo "(curl ended with ${PIPESTATUS[0]})"
}

# --- show -------------------------------------------------------------------
say "no backend runs yet; the first request wakes it"
show "$at/?first=request"
backend=$(curl --silent "$at/" | sed -n 's/^hello from process .* at //p')

say "past the host, straight to the backend: no pairing token, no answer"
show --include "http://$backend/"

say "auth-forward: what a client says about itself is removed, its bearer token is handed on"
show -H 'X-MS-CLIENT-PRINCIPAL-NAME: admin' -H "Authorization: Bearer $token" "$at/"

say "streams: events as they come, bodies up and down"
show --no-buffer "$at/events?n=3&ms=200"
head -c 1000000 /dev/zero | show --data-binary @- "$at/upload"
show --output /dev/null --write-out '%{size_download} bytes down\n' "$at/download?bytes=50000000"

say "what nobody may fetch, and what is too large"
show --include "$at/web.config"
show --include --header 'Content-Length: 30000001' --header 'Expect:' --request POST --data x "$at/upload"

say "the backend dies; the next request starts it again"
show --output /dev/null --write-out '%{http_code}\n' "$at/crash"
show "$at/?after=crash"

say "request-log: a record for each request (logs/gatelodge.log, the last three)"
grep 'plugin=request-log' "$log" | tail -n 3

# --- stop or stay -----------------------------------------------------------
if [ "$once" = yes ]; then
    say "SIGTERM: drain, stop the backend, exit 0"
    trap - EXIT
    kill -TERM "$host"
    code=0
    wait "$host" || code=$?
    echo "gatelodge ended with exit code $code"
    exit "$code"
fi
say "still running at $at (log: examples/hello/$log); Ctrl-C stops it"
wait "$host"
