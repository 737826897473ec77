#!/usr/bin/env bash
# Runs the image on this machine's Docker, locked down as far as its work allows. `make up` calls it.
#
# ./autoheal.yml and ./secrets are used where they exist (autoheal.example.yml and secrets.example show how
# they look), and ./rules always.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

image=${IMAGE:?the name of the image}
socket=${DOCKER_SOCKET:-/var/run/docker.sock}
user=65532 # as in the Dockerfile

mounts=(-v "$PWD/rules:/etc/autoheal/rules:ro" -v autoheal-data:/data -v "$socket:/var/run/docker.sock")
if [[ -e autoheal.yml ]]; then mounts+=(-v "$PWD/autoheal.yml:/etc/autoheal/autoheal.yml:ro"); fi
if [[ -e secrets ]]; then
  # The daemon is not root, so the file has to be its own. Nobody else gets to read it.
  if [[ $(stat -c '%u' secrets) != "$user" || $(stat -c '%a' secrets) != [46]00 ]]; then
    echo "up: the file secrets must belong to the container's user alone: sudo chown $user secrets && sudo chmod 0400 secrets" >&2
    exit 1
  fi
  mounts+=(-v "$PWD/secrets:/etc/autoheal/secrets:ro")
fi

docker rm --force autoheal >/dev/null 2>&1 || true
# Only loopback is published. The socket's group is what lets the daemon talk to Docker, and that is as good
# as root on this machine: keep the port private and set web.bearerTokens.
docker run --detach --name autoheal --restart unless-stopped --stop-timeout 30 \
  --read-only --cap-drop ALL --security-opt no-new-privileges \
  --tmpfs "/run/autoheal:uid=$user,gid=$user,mode=0700" \
  --group-add "$(stat -c '%g' "$socket")" --publish 127.0.0.1:9099:9099 \
  "${mounts[@]}" "$image"
echo "up: http://127.0.0.1:9099  (docker logs -f autoheal; make down)"
