#!/bin/sh
# Everything that must hold for the contracts: format, lint, build, tests, and artifacts that match the sources.
set -eu
cd "$(dirname "$0")"

./install.sh
PATH="$PWD/node_modules/.bin:$PATH"
forge fmt --check
forge build --offline
forge lint --deny warnings src
forge test --offline "$@"
./bin/artifact.mjs check
