#!/bin/bash
# Puts the model into /model/model.gguf: downloaded, or taken from the build context.
# Environment: MODEL_URL (http(s) URL | file name in context/model/), MODEL_SHA256 (may be empty).
set -euo pipefail

refuse() {
  echo "MODEL_URL=$MODEL_URL: $1" >&2
  exit 1
}

# Resumes and retries, until five attempts in a row have brought nothing. What came through stays in /download, a cache
# of the builder, even if the build fails here. If the file is another by then, or the server cannot resume, all of it
# is fetched again.
download() {
  local part=$1 status code size had=0 fruitless=0 same=() authorization=
  local options=(--fail --location --max-redirs 10 --connect-timeout 30 --speed-limit 1000 --speed-time 60)
  # A company's own certificate authority, and the token for a gated model: `--secret id=ca,src=FILE`, `id=token`.
  if [[ -e /run/secrets/ca ]]; then options+=(--cacert /run/secrets/ca); fi
  if [[ -e /run/secrets/token ]]; then
    authorization="Authorization: Bearer $(</run/secrets/token)"
    options+=(--header @-) # by standard input, so that no command line shows it
  fi
  options+=(--continue-at - --output "$part" --etag-save "$part.etag" --write-out '%{http_code}')
  if [[ ! -s $part ]]; then rm -f "$part.etag"; fi
  until
    # A weak ETag, W/"…", says nothing about the bytes.
    if [[ $(cat "$part.etag" 2>/dev/null) == \"* ]]; then same=(--header "If-Range: $(<"$part.etag")"); else same=(); fi
    status=$(curl "${options[@]}" "${same[@]}" "$MODEL_URL" <<<"$authorization")
  do
    code=$?
    case $status in
    401 | 403) refuse "$status, gated or private: give a token with --secret id=token,src=FILE, or put the file into context/model/" ;;
    404 | 410) refuse "$status, there is no such file; check the address" ;;
    416) return ;; # nothing after what we have: it is complete
    3??) refuse "redirected more than 10 times; check the address" ;;
    esac
    if ((code == 60)); then
      refuse "the server's certificate is signed by nobody known here: give the signer's with --secret id=ca,src=FILE"
    fi
    # In the Docker Engine's own words, which are looked for.
    if ((code == 23)); then refuse "no space left on device: the file cannot be written; free some and try again"; fi
    if ((code == 33)); then
      echo "the server sends another file than before, or cannot resume; starting over"
      rm -f "$part"
    fi
    size=$(stat --format %s "$part" 2>/dev/null || echo 0)
    if ((size > had)); then had=$size fruitless=0; else fruitless=$((fruitless + 1)); fi
    if ((fruitless == 5)); then refuse "cannot be downloaded (last HTTP status: $status); see curl's message above"; fi
    echo "trying again from byte $size"
    sleep $((1 + 5 * fruitless))
  done
}

mkdir -p /model
case $MODEL_URL in
http://* | https://*)
  part=/download/$(sha256sum <<<"$MODEL_URL" | cut -c1-16)
  download "$part"
  mv "$part" /model/model.gguf
  rm -f "$part.etag"
  ;;
*://*) refuse "only http:// and https:// are understood; or name a file in context/model/" ;;
*)
  file=/context/model/$MODEL_URL
  [[ -f $file ]] || refuse "no http(s) URL, and there is no file context/model/$MODEL_URL"
  cp "$file" /model/model.gguf
  ;;
esac

if [[ -n $MODEL_SHA256 ]]; then
  sum=$(sha256sum /model/model.gguf | cut -d' ' -f1)
  [[ ${MODEL_SHA256,,} == "$sum" ]] ||
    refuse "MODEL_SHA256=$MODEL_SHA256 is not this file's sum, which is $sum; the file is damaged, or is another version"
fi
# With a fixed time, equal content is an equal layer, which no registry needs twice.
chmod 644 /model/model.gguf
touch --date=@0 /model/model.gguf /model
