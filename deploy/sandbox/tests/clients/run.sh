#!/bin/sh
# The official Python clients of YooKassa and fal.ai, unmodified, against the sandbox.
#
# Starts a sandbox of its own from the binary that is built already. To try one that runs
# (with --emulators-only), set:
#   SANDBOX_URL      http://127.0.0.1:8090
#   SANDBOX_TLS_URL  https://127.0.0.1:8490
#   SANDBOX_CA       ca.pem in the sandbox's data folder
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../../../target}
venv=$target/clients-venv
ready=$venv/ready-3.13.0-1.0.3
scratch=
sandbox=

clean() {
    if [ -n "$sandbox" ]; then
        kill "$sandbox" 2>/dev/null || true
        wait "$sandbox" 2>/dev/null || true
    fi
    if [ -n "$scratch" ]; then rm -rf "$scratch"; fi
}
trap clean EXIT
trap 'exit 130' INT TERM

# On free ports, with a data folder that is gone afterwards. Prints what it said when it fails.
start_sandbox() {
    if [ ! -x "$target/debug/sandbox" ]; then
        echo "build first: cargo build --workspace --bins" >&2
        exit 1
    fi
    scratch=$(mktemp -d)
    SANDBOX_LISTEN=127.0.0.1:0 SANDBOX_TLS_LISTEN=127.0.0.1:0 SANDBOX_DATA="$scratch/data" \
        SANDBOX_WEBHOOK_URL=http://127.0.0.1:1/nobody-listens \
        "$target/debug/sandbox" --emulators-only >"$scratch/log" 2>&1 &
    sandbox=$!
    tries=0
    until grep -q 'listening on http://' "$scratch/log"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 300 ] || ! kill -0 "$sandbox" 2>/dev/null; then
            cat "$scratch/log" >&2
            echo "the sandbox did not start" >&2
            exit 1
        fi
        sleep 0.1
    done
    SANDBOX_URL=$(grep -o 'http://127[0-9.]*:[0-9]*' "$scratch/log" | head -n 1)
    SANDBOX_TLS_URL=$(grep -o 'https://127[0-9.]*:[0-9]*' "$scratch/log" | head -n 1)
    SANDBOX_CA=$scratch/data/ca.pem
}

if [ -z "${SANDBOX_URL:-}" ]; then start_sandbox; fi
: "${SANDBOX_TLS_URL:?set it to the TLS address of the same sandbox}"
: "${SANDBOX_CA:?set it to the file ca.pem in the data folder of the same sandbox}"
export SANDBOX_URL SANDBOX_TLS_URL SANDBOX_CA

if [ ! -e "$ready" ]; then
    python3 -m venv --clear "$venv" || {
        echo "python3 with venv is needed; on Debian: apt-get install python3-venv" >&2
        exit 1
    }
    "$venv/bin/pip" install --quiet --disable-pip-version-check yookassa==3.13.0 fal-client==1.0.3
    touch "$ready"
fi

NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost \
    "$venv/bin/python" "$here/yookassa_acceptance.py"
"$venv/bin/python" "$here/fal_acceptance.py"
