#!/bin/sh
# Other people's clients: the official clients of YooKassa (Python) and fal.ai (Python, JavaScript),
# unmodified, against the sandbox, and gRPC's against billing-svc, knowing nothing of it but its address.
#
# Starts a sandbox and a billing-svc from the binaries that are built already. To try a sandbox that runs
# (with --emulators-only), set:
#   SANDBOX_URL      http://127.0.0.1:8090
#   SANDBOX_TLS_URL  https://127.0.0.1:8490
#   SANDBOX_CA       ca.pem in the sandbox's data folder
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../../../target}
venv=$target/clients-venv
ready=$venv/ready-3.13.0-1.0.3-1.85.1
modules=$target/clients-npm/node_modules
fal_npm=1.10.1
scratch=$(mktemp -d)
sandbox=
billing=

clean() {
    for process in $sandbox $billing; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    rm -rf "$scratch"
}
trap clean EXIT
trap 'exit 130' INT TERM

# Waits until a process's log has a line, and prints the log if the process ends before.
await() {
    tries=0
    until grep -q "$2" "$scratch/$1.log"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 300 ] || ! kill -0 "$3" 2>/dev/null; then
            cat "$scratch/$1.log" >&2
            echo "$1 did not start" >&2
            exit 1
        fi
        sleep 0.1
    done
}

# On free ports, with a data folder that is gone afterwards.
start_sandbox() {
    SANDBOX_LISTEN=127.0.0.1:0 SANDBOX_TLS_LISTEN=127.0.0.1:0 SANDBOX_DATA="$scratch/data" \
        SANDBOX_WEBHOOK_URL=http://127.0.0.1:1/nobody-listens \
        "$target/debug/sandbox" --emulators-only >"$scratch/sandbox.log" 2>&1 &
    sandbox=$!
    await sandbox 'listening on http://' "$sandbox"
    SANDBOX_URL=$(grep -o 'http://127[0-9.]*:[0-9]*' "$scratch/sandbox.log" | head -n 1)
    SANDBOX_TLS_URL=$(grep -o 'https://127[0-9.]*:[0-9]*' "$scratch/sandbox.log" | head -n 1)
    SANDBOX_CA=$scratch/data/ca.pem
}

start_billing() {
    DATABASE_URL="sqlite://$scratch/billing.db" BILLING_LISTEN=127.0.0.1:0 \
        BILLING_ADMIN_LISTEN=127.0.0.1:0 LOG_FORMAT=text RUST_LOG=info \
        "$target/debug/billing-svc" >"$scratch/billing.log" 2>&1 &
    billing=$!
    await billing 'grpc.listen=' "$billing"
    BILLING_ADDRESS=$(grep -o 'grpc.listen=[0-9.:]*' "$scratch/billing.log" | head -n 1 | cut -d= -f2)
    export BILLING_ADDRESS
}

for binary in sandbox billing-svc; do
    if [ ! -x "$target/debug/$binary" ]; then
        echo "build first: cargo build --workspace --bins" >&2
        exit 1
    fi
done
start_billing
if [ -z "${SANDBOX_URL:-}" ]; then start_sandbox; fi
: "${SANDBOX_TLS_URL:?set it to the TLS address of the same sandbox}"
: "${SANDBOX_CA:?set it to the file ca.pem in the data folder of the same sandbox}"
export SANDBOX_URL SANDBOX_TLS_URL SANDBOX_CA

if [ ! -e "$ready" ]; then
    python3 -m venv --clear "$venv" || {
        echo "python3 with venv is needed; on Debian: apt-get install python3-venv" >&2
        exit 1
    }
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
        yookassa==3.13.0 fal-client==1.0.3 grpcio==1.85.1 grpcio-reflection==1.85.1 grpcio-status==1.85.1
    touch "$ready"
fi

if ! grep -qs "\"version\": \"$fal_npm\"" "$modules/@fal-ai/client/package.json"; then
    command -v npm >/dev/null || {
        echo "node and npm are needed; on Debian: apt-get install nodejs npm" >&2
        exit 1
    }
    mkdir -p "$modules"
    npm install --prefix "$target/clients-npm" --no-save --no-audit --no-fund --silent "@fal-ai/client@$fal_npm"
fi

NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost \
    "$venv/bin/python" "$here/yookassa_acceptance.py"
# The script that any emulator of YooKassa has to pass, word for word; it knows one address only.
YK=$SANDBOX_URL/yookassa NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost \
    "$venv/bin/python" "$here/yookassa_script.py"
"$venv/bin/python" "$here/fal_acceptance.py"
CLIENTS_MODULES=$modules NO_PROXY=127.0.0.1,localhost node "$here/fal_acceptance.mjs"
"$venv/bin/python" "$here/billing_reflection.py"
