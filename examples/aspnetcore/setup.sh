#!/usr/bin/env bash
# Fetches the ASP.NET Core application of this example into node_modules (58 MB).
set -euo pipefail
cd "$(dirname "$0")"
app=node_modules/@azure/mcp-linux-x64/dist/azmcp
if [ ! -x "$app" ]; then
    command -v npm >/dev/null || { echo "setup.sh: npm is needed" >&2; exit 1; }
    npm install --no-audit --no-fund --no-save --no-package-lock --ignore-scripts --silent @azure/mcp-linux-x64@2.0.5
    chmod +x "$app"
fi
echo "$PWD/$app"
