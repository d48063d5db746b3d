#!/bin/bash
# Does the engine, on this CPU, give the known answers to questions on a generated model, asked several at once? What
# computes nonsense, mixes up conversations or crashes under parallel requests fails here. It starts once for each number
# of slots, as an engine that is wrong is mostly not wrong each time, nor with each of them.
# usage: self-test.sh SERVER FOLDER     FOLDER has model.gguf and questions.txt. Environment: ENGINE
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/engine.sh"
server=$1 folder=$2 context=4096 each=6 answers=0
# Threads that wait asleep: on a machine that does other things as well, spinning ones would take minutes.
export PORT=18080 MODEL_ALIAS=self-test OMP_WAIT_POLICY=passive
unset API_KEY_FILE

log=$(mktemp /dev/shm/self-test.XXXXXX)
trap 'rm -f "$log"; jobs -p | xargs -r kill 2>/dev/null || true' EXIT

main() {
  local parallel
  mapfile -t questions <"$folder/questions.txt"
  for parallel in 2 4 8; do
    if ((parallel > $(max_parallel))); then break; fi
    start "$parallel"
    check_freed_cells
    check_crowd
    check_stream
    kill "$pid"
    wait "$pid" || true
  done
  echo "self-test: $answers answers of $ENGINE with up to $(max_parallel) slots, all as they should be"
}

fail() {
  tail -n 30 "$log" >&2
  echo "self-test: $ENGINE with $slots slots on this CPU: $*" >&2
  exit 1
}

# $1: number of slots.
start() {
  slots=$1
  local arguments tries
  mapfile -t arguments < <(engine_arguments true '' '' q8_0)
  arguments+=(--model "$folder/model.gguf" --alias "$MODEL_ALIAS" --host 127.0.0.1 --port "$PORT"
    --ctx-size $((context * slots)) --parallel "$slots" --threads "$("$here/cpus.sh" cores /)")
  "$server" "${arguments[@]}" >"$log" 2>&1 &
  pid=$!
  for ((tries = 0; ; tries++)); do
    if "$here/ask.sh" 5 /health >/dev/null 2>&1; then break; fi
    kill -0 "$pid" 2>/dev/null || fail "it does not start"
    ((tries < 600)) || fail "it is not ready after 5 minutes"
    sleep 0.2
  done
}

# A request's body. $1: the question, $2: the most tokens of an answer, $3: more members.
body() {
  printf '{"model":"bitnet","temperature":0,"max_tokens":%d,"messages":[{"role":"user","content":"%s"}]%s}' \
    "$2" "$1" "${3:+,$3}"
}

# Asks a question of the list. $1: its index, $2: more members of the request's body.
ask() {
  local question answer reply
  IFS=$'\t' read -r question answer <<<"${questions[$1]}"
  reply=$("$here/ask.sh" 120 /v1/chat/completions "$(body "$question" 100 "${2-}")") ||
    { echo "no answer to \"$question\"" && return 1; }
  [[ $reply == *"\"content\":\"$answer\""* ]] ||
    { echo "a wrong answer to \"$question\": it should be \"$answer\", and is: $reply" && return 1; }
  [[ $reply == *'"model":"self-test"'* ]] || { echo "not answered under the alias: $reply" && return 1; }
}

# The KV cache is one for all slots. A conversation in slot 0 takes its first cells, one in slot 1 those above. Then
# slot 0 frees most of its own: slot 1's are to count all the same.
check_freed_cells() {
  occupy "$(letters 300)"
  ask 7 '"id_slot":1,"cache_prompt":true' || fail "see above"
  occupy y
  ask 7 '"id_slot":1,"cache_prompt":true' || fail "after another conversation ended: see above"
  answers=$((answers + 2))
}

# $1: how many. Each is a token.
letters() { printf "%$1s" '' | tr ' ' x; }

# Slot 0 reads a text, $1.
occupy() {
  "$here/ask.sh" 120 /v1/chat/completions "$(body "$1" 1 '"id_slot":0,"cache_prompt":true')" >/dev/null ||
    fail "slot 0 does not answer"
}

# As many clients as there are slots, and two that leave: one while its answer is written, one while it waits for the first
# one's slot. The server sees that within a second.
check_crowd() {
  local n client asking=() until=$((SECONDS + 2))
  leave 2 2000 &
  sleep 0.1
  leave 0.3 1 &
  for ((n = 0; n < slots; n++)); do
    client $((n * 3)) "$until" &
    asking+=($!)
  done
  for client in "${asking[@]}"; do
    wait "$client" || fail "see above"
  done
  answers=$((answers + slots * each))
}

# $1: after how many seconds, $2: the tokens of the answer.
leave() {
  "$here/ask.sh" "$1" /v1/chat/completions "$(body "$(letters 300)" "$2" '"id_slot":0,"ignore_eos":true')" >/dev/null 2>&1
}

# Asks some of the questions, beginning with number $1, and on until $2, a time of SECONDS.
client() {
  local i
  for ((i = 0; i < each || SECONDS < $2; i++)); do
    ask $(((i + $1) % ${#questions[@]})) || return 1
  done
}

check_stream() {
  local question answer stream pieces
  IFS=$'\t' read -r question answer <<<"${questions[0]}"
  stream=$("$here/ask.sh" 120 /v1/chat/completions "$(body "$question" 100 '"stream":true')") || fail "it does not stream"
  pieces=$(grep -o '"content":"[^"]*"' <<<"$stream" | cut -d'"' -f4 | tr -d '\n')
  [[ $pieces == "$answer" && $stream == *'"model":"self-test"'* && $stream == *'data: [DONE]'* ]] ||
    fail "a stream should be \"$answer\", and is: $stream"
  answers=$((answers + 1))
}

main
