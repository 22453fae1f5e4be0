#!/usr/bin/env bash
# Sets up what the tests need, then checks and tests everything. Never asks.
#
#   tests/run.sh            all of it
#   tests/run.sh e2e        only the end-to-end tests (also: unit, lint)
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}
target=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Debian packages whose program is missing: `program:package`.
install_missing() {
    local missing=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        export DEBIAN_FRONTEND=noninteractive
        as_root apt-get -q update </dev/null
        as_root apt-get -q install -y --no-install-recommends "${missing[@]}" </dev/null
    fi
}

step "set-up"
# A cold run leaves some 7 GB in the target folder; a full disk fails in stranger ways.
mkdir -p "$target"
free=$(($(df -Pk "$target" | awk 'END { print $4 }') / 1048576))
if [ ! -d "$target/debug" ] && [ "$free" -lt 8 ]; then
    echo "run.sh: $target has $free GB free, 8 are needed; make room, or set CARGO_TARGET_DIR to a larger place" >&2
    exit 1
fi
command -v cargo >/dev/null || { echo "run.sh: cargo is needed, see https://rustup.rs" >&2; exit 1; }
# Plugins are compiled for the first, guests of the tests also for the second.
if command -v rustup >/dev/null; then
    installed=$(rustup target list --installed)
    for name in wasm32-unknown-unknown wasm32-wasip2; do
        grep -qx "$name" <<<"$installed" || rustup target add "$name"
    done
fi
if [ "$(uname -s)" = Linux ] && [ "$what" != unit ] && [ "$what" != lint ]; then
    install_missing cc:gcc node:nodejs npm:npm python3:python3 curl:curl
    examples/aspnetcore/setup.sh
    examples/plugins/tools.sh
fi

if [ "$what" = all ] || [ "$what" = lint ]; then
    step "format"
    cargo fmt --all --check
    step "clippy"
    cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
    step "documentation"
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
    [ "$what" = lint ] && exit 0
fi

step "build"
cargo build --workspace --bins --locked
export GATELODGE_BIN=$target/debug/gatelodge

packages=(--workspace)
if [ "$what" = e2e ]; then packages=(-p gatelodge-e2e); fi
if [ "$what" = unit ]; then packages=(--workspace --exclude gatelodge-e2e); fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
code=0
if [ "$what" = all ]; then
    step "examples in the documentation"
    cargo test --workspace --doc --locked --quiet
fi
step "tests"
if command -v cargo-nextest >/dev/null; then
    cargo nextest run "${packages[@]}" --locked --no-fail-fast --config-file tests/nextest.toml 2>&1 | tee "$log" || code=$?
    # "Summary [  41.2s] 310 tests run: 309 passed (2 slow), 1 failed, 0 skipped"
    count() { sed -n "s/^ *Summary .*[:,] \([0-9][0-9]*\) $1.*/\1/p" "$log" | tail -n 1; }
else
    cargo test "${packages[@]}" --all-targets --locked --no-fail-fast 2>&1 | tee "$log" || code=$?
    # "test result: ok. 12 passed; 0 failed; ..." once for each binary.
    count() { sed -n "s/^test result: .* \([0-9][0-9]*\) $1;.*/\1/p" "$log" | awk '{ n += $1 } END { print n }'; }
fi
passed=$(count passed)
failed=$(count failed)
if [ "$what" != unit ]; then
    step "hostile plugins"
    tests/hostile.sh --report
fi
step "done"
echo "${passed:-0} passed, ${failed:-0} failed"
exit "$code"
