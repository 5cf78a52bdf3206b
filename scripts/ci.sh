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

log=$(mktemp)
trap 'rm -f "$log"' EXIT
(npm ci --no-audit --no-fund && npm test -- --reporter=tap) 2>&1 | tee "$log" | grep -vE '^ +(ok|#|1\.\.|---|\.\.\.|[a-z])' || true
status=${PIPESTATUS[0]}

# Assertions, counted from the innermost TAP lines; a run that failed before or beside them fails as one more.
passed=$(grep -cE '^ +ok [0-9]+ ' "$log")
failed=$(grep -cE '^ *not ok [0-9]+ ' "$log")
[ "$status" -ne 0 ] && [ "$failed" -eq 0 ] && failed=1
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$status" -eq 0 ]
