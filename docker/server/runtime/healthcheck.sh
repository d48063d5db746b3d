#!/bin/bash
# Is this container of use? Docker's HEALTHCHECK. The entrypoint says "down" until the model has answered a question; a
# server that drains still answers.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/${DRAIN_PORT:-8081}"
read -r state <&3
[[ $state != down ]]
exec "$(dirname "$(readlink -f "$0")")/ask.sh" 10 /health
