#!/bin/bash
# Puts the engine's source into /src, from a git repository or from a tarball in the build context.
# Environment: ENGINE, ENGINE_REPO (git URL | file name in context/engine/ | empty: the engine's own), ENGINE_REF.
set -euo pipefail

case $ENGINE in
bitnet.cpp)
  repo=https://github.com/microsoft/BitNet
  ref=01eb415772c342d9f20dc42772f1583ae1e5b102
  ;;
ik_llama.cpp)
  repo=https://github.com/ikawrakow/ik_llama.cpp
  ref=8337e4cd3861406fc04e0854b1409cd1b027fbc9
  ;;
*)
  echo "ENGINE=$ENGINE: there is no such engine; use bitnet.cpp or ik_llama.cpp" >&2
  exit 1
  ;;
esac
tested_ref=$ref
# The source of ik_llama.cpp in PyPI's ik-llama-cpp-python 0.1.5, as offline/engineSource.ts packs it: what tree_digest
# says of it.
tested_tree=afe721077fea2e45fce803604f598c6c69ec38049f24fc12f412c912386c633e
repo=${ENGINE_REPO:-$repo} ref=${ENGINE_REF:-$ref}

# A company's own certificate authority, handed in with `--secret id=ca,src=FILE`.
if [[ -e /run/secrets/ca ]]; then
  export GIT_SSL_CAINFO=/run/secrets/ca
fi

clone() {
  rm -rf /src
  git init --quiet /src
  git -C /src remote add origin "$repo" # what a submodule's relative URL is relative to
  # Not every git server hands out a single commit by its number; the second form works everywhere.
  { git -C /src fetch --quiet --depth 1 "$repo" "$ref" && git -C /src checkout --quiet FETCH_HEAD; } ||
    { git -C /src fetch --quiet --tags "$repo" '+refs/heads/*:refs/remotes/origin/*' &&
      git -C /src checkout --quiet "$ref"; } ||
    return
  git -C /src submodule --quiet update --init --recursive --depth 1 ||
    git -C /src submodule --quiet update --init --recursive
}

# SHA-256 of every file's name and content.
tree_digest() {
  (cd /src && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) | sha256sum | cut -d' ' -f1
}

if [[ $repo == *:* ]]; then
  tested=$([[ $ref == "$tested_ref" ]] && echo true || echo false)
  echo "engine: $ENGINE, commit $ref of $repo"
  for pause in 2 10 30 0; do
    if clone; then break; fi
    if ((pause == 0)); then
      echo "ENGINE_REPO=$repo: cannot be cloned at ENGINE_REF=$ref; see git's message above" >&2
      exit 1
    fi
    sleep "$pause"
  done
else
  tarball=/context/engine/$repo
  echo "engine: $ENGINE, $repo of the build context"
  if [[ ! -f $tarball ]]; then
    echo "ENGINE_REPO=$repo: no git URL, and there is no file context/engine/$repo" >&2
    exit 1
  fi
  mkdir -p /src
  tar --extract --file "$tarball" --directory /src --strip-components=1 --no-same-owner
  tested=$([[ $(tree_digest) == "$tested_tree" ]] && echo true || echo false)
fi

# Without its history, equal source is equal content: an engine fetched again is not compiled again.
find /src -name .git -prune -exec rm -rf {} +
chmod -R u=rwX,go=rX /src

if [[ $ENGINE == bitnet.cpp ]]; then
  # Generated for each model, and only for weights of the types TL1 and TL2, which are not compiled in; still included.
  touch /src/include/bitnet-lut-kernels.h
fi
"$(dirname "$0")/patch-engine.sh" /src "$tested"
