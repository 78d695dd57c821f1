#!/bin/sh
# The invariants at length: 256 runs of 500 calls each. Minutes; the usual tests have 32 runs of 64.
set -eu
cd "$(dirname "$0")"

./install.sh
PATH="$PWD/node_modules/.bin:$PATH"
FOUNDRY_PROFILE=deep forge test --offline --match-contract InvariantsTest "$@"
