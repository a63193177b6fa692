#!/bin/sh
# The official Python clients of YooKassa and fal.ai, unmodified, against a sandbox that runs with
# --emulators-only. Needs python3 with venv, and:
#   SANDBOX_URL      http://127.0.0.1:8090
#   SANDBOX_TLS_URL  https://127.0.0.1:8490
#   SANDBOX_CA       ca.pem in the sandbox's data folder
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
venv=${CARGO_TARGET_DIR:-$here/../../../../target}/clients-venv
: "${SANDBOX_URL:?set it to the address of a sandbox started with --emulators-only}"
: "${SANDBOX_TLS_URL:?set it to the TLS address of the same sandbox}"
: "${SANDBOX_CA:?set it to the file ca.pem in the data folder of the same sandbox}"
export SANDBOX_URL SANDBOX_TLS_URL SANDBOX_CA

if [ ! -e "$venv/ready-3.13.0-1.0.3" ]; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check yookassa==3.13.0 fal-client==1.0.3
    touch "$venv/ready-3.13.0-1.0.3"
fi

NO_PROXY=127.0.0.1,localhost "$venv/bin/python" "$here/yookassa_acceptance.py"
"$venv/bin/python" "$here/fal_acceptance.py"
