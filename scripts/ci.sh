#!/usr/bin/env bash
# What a fresh machine needs on top of Node and npm, then README's test command, then one closing line.
set -u
cd "$(dirname "$0")/.."

# The foreign-client test speaks Python; without grpcio it would be skipped, and CI is where it must not be.
if command -v python3 >/dev/null && ! python3 -c 'import grpc, grpc_tools' 2>/dev/null; then
  python3 -m pip install --quiet grpcio grpcio-tools >/dev/null 2>&1 \
    || python3 -m pip install --quiet --break-system-packages grpcio grpcio-tools >/dev/null 2>&1 \
    || echo 'note: grpcio could not be installed; the Python client test will be skipped'
fi

# The store's contract runs on an installed PostgreSQL beside the embedded one; where there is neither it nor apt, that half is skipped.
if ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && command -v apt-get >/dev/null; then
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql; } >/dev/null 2>&1 \
    || echo 'note: postgresql could not be installed; the contract on a server will be skipped'
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ npm ci --no-audit --no-fund && npm test -- --reporter=tap; } >"$log" 2>&1
status=$?

# One line a test file, and everything that a failure has to say.
grep -aE '^(ok|not ok) ' "$log"
if [ "$status" -ne 0 ]; then
  echo '--- what failed'
  grep -anE -A 25 '^ *not ok ' "$log" | head -400
  echo '--- the end of the log'
  tail -60 "$log"
fi

# tap's own sum over all assertions; a run that broke before or beside them counts as one failure.
sum=$(grep -aoE '^# \{ total: [0-9]+.*\}' "$log" | tail -1)
count() { grep -oE "$1: [0-9]+" <<<"$sum" | grep -oE '[0-9]+' || echo 0; }
passed=$(count pass)
failed=$(count fail)
skipped=$(count skip)
[ "$status" -ne 0 ] && [ "$failed" -eq 0 ] && failed=1
[ "$skipped" -ne 0 ] && echo "note: $skipped skipped"
echo "$passed passed, $failed failed"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ]
