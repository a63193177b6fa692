#!/usr/bin/env bash
# Checks what is deployed, without a cluster. Tools go to target/tools.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=$PWD/target/tools
if [ ! -x "$tools/bin/pip" ]; then python3 -m venv "$tools"; fi
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check \
  helm-python-sdk==0.2.2 kubernetes-validate==1.37.0 pyyaml==6.0.4
PYTHONDONTWRITEBYTECODE=1 "$tools/bin/python" deploy/checks/chart.py
