# Removes a stack's images, but those that somebody else's container was made from. By force, because an image can have
# several tags: its own, the registry's, and one by digest. components/image/imageCleanup.ts stores it in the state.
# shellcheck shell=sh
images=$(docker images --quiet --no-trunc --filter "label=bitnet-server.image-of=$STACK_ID")
for image in $images; do
  test -n "$(docker ps --all --quiet --filter "ancestor=$image")" || docker rmi --force "$image"
done
