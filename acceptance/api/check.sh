#!/usr/bin/env bash
# Sends to a node what its own document allows and forbids, and more: no failure of the node, no answer that the document
# does not have. First without keys, then with a tenant's and an admin's, and with one that opens nothing.
# Usage: acceptance/api/check.sh URL_OF_A_NODE ITS_DIRECTORY RAAS_BINARY SCHEMATHESIS_BINARY
set -euo pipefail
url=$1 directory=$2 raas=$3 schemathesis=$4
# What it remembers between runs is no part of the tree.
cd "$(dirname "$directory")"
readonly CHECKS=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance

# try NAME PHASES EXAMPLES [OPTION...]
try() {
    local name=$1 phases=$2 examples=$3 log status=0
    shift 3
    log=$(mktemp)
    "$schemathesis" run "$url/v1/openapi.json" --checks "$CHECKS" --phases "$phases" -n "$examples" --seed 1 \
        --generation-deterministic --request-timeout 60 --continue-on-failure --warnings off --no-color "$@" >"$log" 2>&1 || status=$?
    tail -n 25 "$log"
    if [ "$status" != 0 ]; then grep -vE '^ *$' "$log" | head -n 200; echo "api $name: FAILED"; exit 1; fi
    rm "$log"
    echo "api $name: ok"
}

key() { "$raas" --json key new --data-dir "$directory" "$@" | grep -oE 'raas_[0-9a-f_]+'; }

# The first key would end this round, and a revoked one the others.
try without-keys coverage,fuzzing 10 --exclude-operation-id makeKey
tenant=$(key --tenant alice --scope write)
admin=$(key --scope admin)
try a-tenant coverage 1 -H "Authorization: Bearer $tenant"
try an-admin fuzzing 5 -H "Authorization: Bearer $admin" --exclude-operation-id revokeKey
try nobody fuzzing 2 -H "Authorization: Bearer raas_0_0"
# What a key opens, it opened to the end.
curl -sf -H "Authorization: Bearer $tenant" "$url/v1/jobs" >/dev/null
curl -sf "$url/livez" >/dev/null
