#!/bin/sh
# Installs what the benchmarks compare with: numpy, scikit-learn, pandas, pyarrow and PyTorch into bench/.venv, OpenBLAS from Debian.
# The package index has the newest PyTorch, some gigabytes; where it cannot be had Debian's serves, else its rows are left out.
set -eu
cd "$(dirname "$0")"
[ -d .venv ] || python3 -m venv .venv
.venv/bin/pip install --quiet numpy scikit-learn pandas pyarrow safetensors cleanlab
.venv/bin/pip install --quiet faiss-cpu || echo "faiss cannot be installed here: its row is left out"
.venv/bin/pip install --quiet torch || true
if [ ! -e /usr/include/cblas.h ] && ! ls /usr/include/*/cblas.h >/dev/null 2>&1; then
	apt-get update -qq
	apt-get install -y -qq libopenblas-dev
fi
if ! .venv/bin/python -c 'import torch' 2>/dev/null && ! /usr/bin/python3 -c 'import torch, numpy' 2>/dev/null; then
	apt-get install -y -qq --no-install-recommends python3-torch || echo "PyTorch cannot be installed here: its rows are left out"
fi
mkdir -p out
CGO_ENABLED=1 go -C openblas build -o ../out/openblas .
.venv/bin/python -c 'import numpy, pandas, pyarrow, sklearn; print("numpy", numpy.__version__, "scikit-learn", sklearn.__version__, "pandas", pandas.__version__, "pyarrow", pyarrow.__version__)'
