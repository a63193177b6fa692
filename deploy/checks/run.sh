#!/usr/bin/env bash
# Checks what is deployed, without a cluster. Tools go to target/tools.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=$PWD/target/tools
if [ ! -x "$tools/bin/pip" ]; then python3 -m venv "$tools"; fi
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check \
  helm-python-sdk==0.2.2 kubernetes-validate==1.37.0 pyyaml==6.0.4
PYTHONDONTWRITEBYTECODE=1 "$tools/bin/python" deploy/checks/chart.py
PYTHONDONTWRITEBYTECODE=1 "$tools/bin/python" deploy/checks/alerts.py

# Only the tool is wanted: the package is unpacked, and its server neither set up nor started.
PATH="$PATH:$tools/prometheus/usr/bin"
if ! command -v promtool >/dev/null 2>&1; then
  command -v apt-get >/dev/null 2>&1 || { echo "promtool is missing: it comes with Prometheus" >&2; exit 1; }
  package=$(mktemp -d)
  (cd "$package" && { apt-get download prometheus >/dev/null 2>&1 || { apt-get update >/dev/null && apt-get download prometheus >/dev/null; }; })
  dpkg-deb -x "$package"/prometheus_*.deb "$tools/prometheus"
  rm -rf "$package"
fi
promtool check rules --lint=all --lint-fatal deploy/prometheus/alerts.yaml
promtool test rules deploy/prometheus/alerts.test.yaml

if command -v systemd-analyze >/dev/null 2>&1; then
  for unit in deploy/systemd/*.service; do
    systemd-analyze security --offline=true --threshold=20 --no-pager "$unit" | tail -n 1
  done
  # The binaries are not installed here; anything else that it says is a fault.
  complaints=$(systemd-analyze verify deploy/systemd/*.service 2>&1 | grep -v "Command /usr/local/bin/.* is not executable" || true)
  if [ -n "$complaints" ]; then echo "$complaints" >&2; exit 1; fi
else
  echo "systemd-analyze is missing: the units were not checked"
fi
