#!/bin/sh
# Downloads MODEL_URL. Resumes what broke off, now or in an earlier run, but never joins two versions of a file: it goes on
# from what is there only if the server gave a strong ETag with its beginning, and gives the same with the rest, which it
# is asked for with If-Range (RFC 9110, 8.8.1 and 13.1.5). Otherwise it starts over.
# usage: download.sh FILE     FILE.headers and FILE.resumed are what a later run goes on from
# stdin: more of curl's configuration, such as a header with a token, which no process list shows
# Environment: MODEL_URL, CURL_CA_BUNDLE (may be unset). Needs curl 7.58, which sends a token to no other host.
set -eu
file=$1 headers=$1.headers resumed=$1.resumed
config=$(cat)

main() {
  report &
  meter=$!
  trap 'kill "$meter"' EXIT
  had=0 fruitless=0
  check_resumed
  while :; do
    code=0
    status=$(request) || code=$?
    check_resumed
    if is_whole; then break; fi
    explain
    # Until five attempts in a row have brought nothing.
    if [ "$(size)" -gt "$had" ]; then had=$(size) fruitless=0; else fruitless=$((fruitless + 1)); fi
    if [ "$fruitless" = 5 ]; then refuse "cannot be downloaded (last HTTP status: $status); see curl's message above"; fi
    echo "trying again"
    sleep $((1 << fruitless))
  done
  rm -f "$headers"
}

# Asks for the rest, if the server can say that it belongs to what is there; else for all of it.
request() {
  tag=
  if [ -s "$file" ]; then tag=$(strong_tag "$headers"); fi
  if [ -n "$tag" ]; then
    set -- --continue-at - --header "If-Range: $tag" --dump-header "$resumed"
  else
    # In this order: whenever it is killed, the headers left are those of the bytes left.
    rm -f "$headers"
    : >"$file"
    set -- --dump-header "$headers"
  fi
  printf '%s\n' "$config" | curl --config - --fail --silent --show-error --location --max-redirs 10 \
    --connect-timeout 30 --speed-limit 1000 --speed-time 60 --write-out '%{http_code}' --output "$file" "$@" "$MODEL_URL"
}

# Forgets what is there if the rest was not, or may not have been, of the same version.
check_resumed() {
  if [ ! -e "$resumed" ]; then return; fi
  case $(last_status "$resumed") in
  200) start_over ;;
  206) if [ "$(strong_tag "$resumed")" != "$(strong_tag "$headers")" ]; then start_over; fi ;;
  416) if [ "$(total "$resumed")" != "$(size)" ]; then start_over; fi ;;
  esac
  rm -f "$resumed"
}

start_over() {
  echo "the server sends another file than before, or cannot resume; starting over"
  rm -f "$headers"
  : >"$file"
}

# 416: there is nothing after what is there, and check_resumed() has kept it.
is_whole() {
  if [ "$status" = 416 ]; then [ -s "$file" ]; else [ "$code" = 0 ] && [ -e "$headers" ]; fi
}

# Ends with what another attempt would not mend.
explain() {
  case $status in
  401 | 403) refuse "$status, gated or private: give a token that may read it (docker build: --secret id=token,src=FILE; \
Pulumi: modelToken), or download it yourself" ;;
  404 | 410) refuse "$status, there is no such file; check the address" ;;
  3??) refuse "redirected more than 10 times; check the address" ;;
  esac
  case $code in
  # In the Docker Engine's own words, which are looked for.
  23) refuse "no space left on device: the file cannot be written; free some and try again" ;;
  60) refuse "the server's certificate is signed by nobody known here: give the signer's with --secret id=ca,src=FILE" ;;
  esac
}

refuse() {
  echo "MODEL_URL=$MODEL_URL: $1" >&2
  exit 1
}

size() { if [ -s "$file" ]; then wc -c <"$file" | tr -d ' '; else echo 0; fi; }

# Of the last response in a file of headers; redirects and proxies come before it.
last_status() { awk '/^HTTP\// { status = $2 } END { print status }' "$1"; }
total() { tr -d '\r' <"$1" | awk 'tolower($1) == "content-range:" { sub(/.*\//, ""); total = $0 } END { print total }'; }

# Nothing for a weak ETag, W/"…", which says nothing about the bytes.
strong_tag() {
  if [ ! -e "$1" ]; then return; fi
  tr -d '\r' <"$1" | awk '
    /^HTTP\// { tag = "" }
    tolower($1) == "etag:" { sub(/^[^:]*:[ \t]*/, ""); tag = $0 }
    END { if (tag ~ /^"/) print tag }'
}

# Instead of curl's own meter, which is a line that never ends.
report() {
  while sleep 10 >/dev/null 2>&1; do echo "$(du -h "$file" 2>/dev/null | cut -f1) so far"; done
}

main
