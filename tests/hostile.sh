#!/usr/bin/env bash
# Runs every hostile plugin against the host, one act after the other, and prints what each came to.
#
#   tests/hostile.sh            all acts; the report is also in TARGET/hostile.md
#   tests/hostile.sh loop_in    only the acts whose test's name holds this
#
# With GATELODGE_BLESS=1 the table of docs/plugin-safety.md is written anew.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
report=$target/hostile.md

rm -rf "$target/hostile"
code=0
cargo test --locked --quiet -p gatelodge-e2e --test e2e "hostile::${1:+table::$1}" -- --test-threads=1 || code=$?

{
    echo "| family | act | isolation | what becomes of it | to its end, ms | others' p99 beside it, ms | with nobody hostile, ms |"
    echo "|---|---|---|---|---|---|---|"
    find "$target/hostile" -name '*.row' 2>/dev/null | sort | xargs -r cat
} >"$report"
cat "$report"
echo
echo "$(find "$target/hostile" -name '*.row' 2>/dev/null | wc -l) rows in $report"
exit "$code"
