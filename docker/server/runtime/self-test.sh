#!/bin/bash
# Does the engine, on this CPU, give the known answers to questions on a generated model, asked several at once? What
# computes nonsense, mixes up conversations or crashes under parallel requests fails here. Several starts, because
# an engine that is wrong is mostly not wrong each time.
# usage: self-test.sh SERVER FOLDER     FOLDER has model.gguf and questions.txt. Environment: ENGINE
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/engine.sh"
server=$1 folder=$2 starts=3 clients=4
# Threads that wait asleep: on a machine that does other things as well, spinning ones would take minutes.
export PORT=18080 MODEL_ALIAS=self-test OMP_WAIT_POLICY=passive
unset API_KEY_FILE

parallel=$(max_parallel)
mapfile -t arguments < <(engine_arguments true)
arguments+=(--model "$folder/model.gguf" --alias "$MODEL_ALIAS" --host 127.0.0.1 --port "$PORT"
  --ctx-size $((512 * parallel)) --parallel "$parallel" --threads "$("$here/cpus.sh" cores /)")
log=$(mktemp /dev/shm/self-test.XXXXXX)
trap 'rm -f "$log"; jobs -p | xargs -r kill 2>/dev/null || true' EXIT

fail() {
  tail -n 30 "$log" >&2
  echo "self-test: $ENGINE on this CPU: $*" >&2
  exit 1
}

# A request's body: $1 the question, $2 whether to stream.
body() {
  printf '{"model":"bitnet","temperature":0,"max_tokens":100,"stream":%s,"messages":[{"role":"user","content":"%s"}]}' \
    "$2" "$1"
}

# Asks every question, each client beginning with another one.
client() {
  local question answer reply count=${#questions[@]}
  for ((i = 0; i < count; i++)); do
    IFS=$'\t' read -r question answer <<<"${questions[(i + $1) % count]}"
    reply=$("$here/ask.sh" 120 /v1/chat/completions "$(body "$question" false)") ||
      { echo "no answer to \"$question\"" && return 1; }
    [[ $reply == *"\"content\":\"$answer\""* ]] ||
      { echo "a wrong answer to \"$question\": it should be \"$answer\", and is: $reply" && return 1; }
    [[ $reply == *'"model":"self-test"'* ]] || { echo "not answered under the alias: $reply" && return 1; }
  done
}

mapfile -t questions <"$folder/questions.txt"
for ((start = 1; start <= starts; start++)); do
  "$server" "${arguments[@]}" >"$log" 2>&1 &
  pid=$!
  for ((tries = 0; ; tries++)); do
    if "$here/ask.sh" 5 /health >/dev/null 2>&1; then break; fi
    kill -0 "$pid" 2>/dev/null || fail "it does not start"
    ((tries < 600)) || fail "it is not ready after 5 minutes"
    sleep 0.2
  done

  asking=()
  for ((n = 0; n < clients; n++)); do
    client $((n * 3)) &
    asking+=($!)
  done
  for each in "${asking[@]}"; do
    wait "$each" || fail "start $start: see above"
  done
  IFS=$'\t' read -r question answer <<<"${questions[0]}"
  stream=$("$here/ask.sh" 120 /v1/chat/completions "$(body "$question" true)") || fail "it does not stream"
  pieces=$(grep -o '"content":"[^"]*"' <<<"$stream" | cut -d'"' -f4 | tr -d '\n')
  [[ $pieces == "$answer" && $stream == *'"model":"self-test"'* && $stream == *'data: [DONE]'* ]] ||
    fail "a stream should be \"$answer\", and is: $stream"

  kill "$pid"
  wait "$pid" || true
done
echo "self-test: $starts starts, $((starts * clients * ${#questions[@]})) answers of $ENGINE, all as they should be"
