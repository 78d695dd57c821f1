#!/bin/sh
# Everything that must hold for the contracts: format, lint, build, tests, the scenario on anvil, and artifacts and gas figures
# that match the sources.
set -eu
cd "$(dirname "$0")"

./install.sh
PATH="$PWD/node_modules/.bin:$PATH"
forge fmt --check
forge build --offline
forge lint --deny warnings src examples
FORGE_SNAPSHOT_CHECK=true forge test --offline "$@"
./bin/scenario.mjs
./bin/gas.mjs check
./bin/artifact.mjs check
