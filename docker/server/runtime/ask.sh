#!/bin/bash
# One HTTP request to the server in this container: prints the answer's body, fails unless its status is 200.
# In bash, because the image has no curl.
# usage: ask.sh SECONDS PATH [JSON]     Environment: PORT (8080), API_KEY_FILE (may be unset)
set -euo pipefail
if [[ ${1-} != - ]]; then exec timeout "$1" "$0" - "${@:2}"; fi
path=$2 body=${3-}
LC_ALL=C # lengths are bytes

method=GET key=
if [[ -n $body ]]; then method=POST; fi
if [[ -n ${API_KEY_FILE-} ]]; then read -r key <"$API_KEY_FILE"; fi

exec 3<>"/dev/tcp/127.0.0.1/${PORT:-8080}"
printf '%s\r\n' "$method $path HTTP/1.1" 'Host: localhost' 'Connection: close' ${key:+"Authorization: Bearer $key"} \
  'Content-Type: application/json' "Content-Length: ${#body}" '' >&3
printf '%s' "$body" >&3
read -r _ status _ <&3
while read -r header && [[ $header != $'\r' ]]; do :; done <&3
cat <&3
[[ $status == 200 ]]
