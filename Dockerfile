# autoheal in an image with nothing else in it: no shell, no package manager, no root.
#
#   docker build -t autoheal .       builds everything from source (pulls the rust image)
#   make image                       builds the program on this machine and needs no registry at all
#
# The order of the stages matters: Docker's classic builder builds every stage above its --target,
# so what must work without a registry (`prebuilt`) stands above what pulls the rust image.

# --- everything but the program ---------------------------------------------------------------
FROM scratch AS base
COPY autoheal.example.yml secrets.example /etc/autoheal/
COPY rules/ /etc/autoheal/rules/
# "nonroot" of distroless images; a number, so that Kubernetes' runAsNonRoot can check it.
USER 65532:65532
# Here autoheal finds rules/, autoheal.yml once you mount one, and data, which is a link to the volume /data.
WORKDIR /etc/autoheal
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
EXPOSE 9099
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/autoheal", "healthcheck"]
# The entrypoint renders /run/autoheal/secrets from AUTOHEAL_SECRET_* variables, AUTOHEAL_SECRET_*_FILE
# paths and /etc/autoheal/secrets, scrubs the variables and becomes the daemon.
ENTRYPOINT ["/autoheal", "entrypoint", "--"]
CMD ["serve", "--listen-address", "0.0.0.0:9099"]

# --- with a program that was built outside: dist/rootfs, made by scripts/dist.sh --------------
FROM base AS prebuilt
COPY --chown=65532:65532 dist/rootfs/data/ /data/
COPY --chown=65532:65532 dist/rootfs/run/autoheal/ /run/autoheal/
COPY dist/rootfs/etc/ /etc/
COPY dist/rootfs/autoheal /autoheal
VOLUME /data

# --- built here, from source ------------------------------------------------------------------
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends musl-tools ca-certificates && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ENV CARGO_TARGET_DIR=/src/target
RUN scripts/dist.sh release

FROM base AS runtime
COPY --from=build --chown=65532:65532 /src/dist/rootfs/data/ /data/
COPY --from=build --chown=65532:65532 /src/dist/rootfs/run/autoheal/ /run/autoheal/
COPY --from=build /src/dist/rootfs/etc/ /etc/
COPY --from=build /src/dist/rootfs/autoheal /autoheal
VOLUME /data
