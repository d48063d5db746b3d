#!/bin/sh
# Downloads a gated or private model into the build context, unless it is there: run by downloadPrivateModel's command
# (components/image/privateModel.ts).
# stdin, environment: see docker/server/build/download.sh; DESTINATION: the file to write
set -eu
if [ -f "$DESTINATION" ]; then exit 0; fi
mkdir -p "$(dirname "$DESTINATION")"
sh docker/server/build/download.sh "$DESTINATION.part"
mv "$DESTINATION.part" "$DESTINATION"
