#!/bin/bash
# Puts the model into /model/model.gguf: downloaded, or taken from the build context.
# Environment: MODEL_URL (http(s) URL | file name in context/model/), MODEL_SHA256 (may be empty).
set -euo pipefail

refuse() {
  echo "MODEL_URL=$MODEL_URL: $1" >&2
  exit 1
}

mkdir -p /model
case $MODEL_URL in
http://* | https://*)
  part=/download/$(sha256sum <<<"$MODEL_URL" | cut -c1-16)
  # A company's own certificate authority, and the token for a gated model: `--secret id=ca,src=FILE`, `id=token`.
  if [[ -e /run/secrets/ca ]]; then export CURL_CA_BUNDLE=/run/secrets/ca; fi
  token=
  if [[ -e /run/secrets/token ]]; then token="header = \"Authorization: Bearer $(</run/secrets/token)\""; fi
  # What came through stays in /download, a cache of the builder, even if the build fails here.
  "$(dirname "$0")/download.sh" "$part" <<<"$token"
  mv "$part" /model/model.gguf
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
