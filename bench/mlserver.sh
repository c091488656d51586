#!/bin/sh
# Measures the server beside MLServer, whose model answers a constant, in the same rounds on the same cores: the rows "the peer". MLServer runs
# as it comes; with "quick" without its worker process and its log of requests.
set -eu
cd "$(dirname "$0")"
[ -d .mlserver ] || python3 -m venv .mlserver
.mlserver/bin/pip install --quiet mlserver 'uvloop<0.22' # a newer one stops its workers
.mlserver/bin/pip list 2>/dev/null | grep -i '^mlserver '
if [ "${1:-}" = quick ]; then
	export MLSERVER_PARALLEL_WORKERS=0 MLSERVER_DEBUG=false MLSERVER_ACCESS_LOG=false
fi
(cd mlserver && exec ../.mlserver/bin/mlserver start . >/dev/null 2>&1) &
peer=$!
trap 'kill $peer' EXIT
until curl --silent --fail --output /dev/null 127.0.0.1:18080/v2/health/ready; do sleep 1; done
go run ../internal/tools/load --table --peer 127.0.0.1:18080,127.0.0.1:18081
