#!/bin/sh
# Measures the server beside MLServer, whose model answers a constant, in the same rounds on the same cores: the rows "the peer".
set -eu
cd "$(dirname "$0")"
[ -d .mlserver ] || python3 -m venv .mlserver
.mlserver/bin/pip install --quiet mlserver
.mlserver/bin/pip list 2>/dev/null | grep -i '^mlserver '
(cd mlserver && exec ../.mlserver/bin/mlserver start . >/dev/null 2>&1) &
peer=$!
trap 'kill $peer' EXIT
until curl --silent --fail --output /dev/null 127.0.0.1:18080/v2/health/ready; do sleep 1; done
go run ../internal/tools/load --table --peer 127.0.0.1:18080,127.0.0.1:18081
