#!/usr/bin/env bash
# Runs every hostile plugin against the host, one act after the other, and prints what each came to.
#
#   tests/hostile.sh            all acts; the report is also in TARGET/hostile.md
#   tests/hostile.sh loop_in    only the acts whose test's name holds this
#   tests/hostile.sh --report   only the report of what the last run of the tests came to
#
# With GATELODGE_BLESS=1 the table of docs/plugin-safety.md is written anew.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
report=$target/hostile.md

code=0
if [ "${1:-}" != --report ]; then
    rm -rf "$target/hostile"
    GATELODGE_BLESS='' cargo test --locked --quiet -p gatelodge-e2e --test e2e "hostile::${1:+table::$1}" \
        -- --test-threads=1 --skip the_page_tells_each_act || code=$?
    # The page is made of what the acts left.
    [ -n "${1:-}" ] || cargo test --locked --quiet -p gatelodge-e2e --test e2e the_page_tells_each_act || code=$?
fi

{
    echo "| family | act | isolation | what becomes of it | to its end, ms | others' p99 beside it, ms | with nobody hostile, ms |"
    echo "|---|---|---|---|---|---|---|"
    find "$target/hostile" -name '*.row' 2>/dev/null | sort | xargs -r cat
} >"$report"
cat "$report"
echo
echo "$(find "$target/hostile" -name '*.row' 2>/dev/null | wc -l) rows in $report"
exit "$code"
