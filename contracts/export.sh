#!/bin/sh
# Writes artifacts/DealStatus.json from the sources. Run after every change in src/, and commit the result.
set -eu
cd "$(dirname "$0")"

./install.sh
exec ./bin/artifact.mjs write
