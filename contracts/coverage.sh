#!/bin/sh
# Line and branch coverage of src/, file by file; fails below 98 % of either. Fuzz and invariant runs are left small, since
# coverage is built without the optimiser.
set -eu
cd "$(dirname "$0")"

./install.sh
PATH="$PWD/node_modules/.bin:$PATH"
report=$(mktemp)
trap 'rm -f "$report"' EXIT
FOUNDRY_FUZZ_RUNS=32 FOUNDRY_INVARIANT_RUNS=4 forge coverage --offline --report lcov --report-file "$report" \
    --no-match-test 'test_attack_spam|test_artifact|test_every_single_bit' --no-match-contract 'GasTest|ScenarioTest|Bites' >/dev/null
exec node bin/coverage.mjs "$report" 98
