#!/bin/sh
# Installs what the benchmarks compare with: numpy and scikit-learn into bench/.venv, OpenBLAS and PyTorch from Debian.
set -eu
cd "$(dirname "$0")"
[ -d .venv ] || python3 -m venv .venv
.venv/bin/pip install --quiet numpy scikit-learn
if [ ! -e /usr/include/cblas.h ] && ! ls /usr/include/*/cblas.h >/dev/null 2>&1; then
	apt-get update -qq
	apt-get install -y -qq libopenblas-dev
fi
# PyTorch is a peer of the vector functions where it can be had; without it their rows are left out.
if ! .venv/bin/python -c 'import torch' 2>/dev/null && ! /usr/bin/python3 -c 'import torch, numpy' 2>/dev/null; then
	apt-get install -y -qq --no-install-recommends python3-torch || echo "PyTorch cannot be installed here: its rows are left out"
fi
mkdir -p out
CGO_ENABLED=1 go -C openblas build -o ../out/openblas .
.venv/bin/python -c 'import numpy, sklearn; print("numpy", numpy.__version__, "scikit-learn", sklearn.__version__)'
