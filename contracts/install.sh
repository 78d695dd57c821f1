#!/bin/sh
# Installs the npm packages of the lock file, unless they are there already.
set -eu
cd "$(dirname "$0")"

stamp=node_modules/.installed
wanted=$(cat package.json package-lock.json .npmrc | sha256sum)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
    npm ci --ignore-scripts --no-audit --no-fund
    echo "$wanted" >"$stamp"
fi
