#!/bin/sh
# Installs what the benchmarks compare with: numpy, scikit-learn and PyTorch into bench/.venv, OpenBLAS from Debian.
# PyTorch from the package index is some gigabytes; without it the rows of the engine are left out.
set -eu
cd "$(dirname "$0")"
[ -d .venv ] || python3 -m venv .venv
.venv/bin/pip install --quiet numpy scikit-learn
.venv/bin/pip install --quiet torch || echo "PyTorch is not to be had here"
if [ ! -e /usr/include/cblas.h ] && ! ls /usr/include/*/cblas.h >/dev/null 2>&1; then
	apt-get update -qq
	apt-get install -y -qq libopenblas-dev
fi
mkdir -p out
CGO_ENABLED=1 go -C openblas build -o ../out/openblas .
.venv/bin/python -c 'import numpy, sklearn; print("numpy", numpy.__version__, "scikit-learn", sklearn.__version__)'
