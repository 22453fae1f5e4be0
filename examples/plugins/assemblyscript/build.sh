#!/usr/bin/env bash
# Makes dist/assemblyscript.wasm. Needs node, npm and wasm-tools on the PATH.
set -euo pipefail
cd "$(dirname "$0")"
[ -x node_modules/.bin/asc ] || npm install --no-audit --no-fund --no-package-lock --silent
mkdir -p dist/wit/deps/gatelodge
node_modules/.bin/asc --config asconfig.json --textFile dist/core.wat

# AssemblyScript's exports are identifiers; the component model's names are not.
contract='gatelodge:plugin\/'
sed -E \
    -e "s/\(export \"gatelodge_plugin_lifecycle_configure(_post)?\"/(export \"\1$contract""lifecycle@0.1.0#configure\"/" \
    -e "s/\(export \"gatelodge_plugin_(request|response)_head_handle(_post)?\"/(export \"\2$contract\1-head@0.1.0#handle\"/" \
    -e "s/\(export \"gatelodge_plugin_(request|response)_body_open\"/(export \"$contract\1-body@0.1.0#open\"/" \
    -e "s/\(export \"gatelodge_plugin_(request|response)_body_inspector_(chunk|end)(_post)?\"/(export \"\3$contract\1-body@0.1.0#[method]inspector.\2\"/" \
    -e "s/\(export \"gatelodge_plugin_(request|response)_body_inspector_drop\"/(export \"$contract\1-body@0.1.0#[dtor]inspector\"/" \
    -e 's/\(export "_post/(export "cabi_post_/' dist/core.wat >dist/named.wat

cp wit/world.wit dist/wit/
cp ../../../wit/gatelodge-plugin.wit dist/wit/deps/gatelodge/
wasm-tools parse dist/named.wat -o dist/named.wasm
wasm-tools component embed dist/wit --world plugin dist/named.wasm -o dist/typed.wasm
wasm-tools component new dist/typed.wasm -o dist/assemblyscript.wasm
echo "$PWD/dist/assemblyscript.wasm"
