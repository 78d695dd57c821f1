#!/usr/bin/env bash
# Checks the alert rules, tries them on made-up histories, and has promtool look at what a running node answers.
# Usage: ops/check.sh URL_OF_A_NODE
set -euo pipefail
url=$1
cd "$(dirname "${BASH_SOURCE[0]}")"
promtool check config --syntax-only prometheus/scrape.yml
promtool check rules prometheus/alerts.yml
promtool test rules prometheus/alerts_test.yml
curl -sf "$url/metrics" | promtool check metrics
echo "ops rules: ok"
