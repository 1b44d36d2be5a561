# stayput in a container: one static program, nothing else.
#
#   docker build -t stayput .                                  for this machine
#   docker build -t stayput --platform linux/arm/v7 .          linux/amd64, arm64, arm/v7 and arm/v6
#   docker build -t stayput --build-arg TARGETARCH=arm --build-arg TARGETVARIANT=v6 .     the same by hand
#
# With podman or buildah, --format docker keeps the HEALTHCHECK. The building machine is amd64.
FROM --platform=$BUILDPLATFORM docker.io/library/rust:1.95-slim-bookworm AS build
# Without a default here: it would count for more than --platform.
ARG TARGETARCH
ARG TARGETVARIANT
WORKDIR /build
COPY packaging/architectures packaging/toolchain packaging/
RUN packaging/toolchain "${TARGETARCH:-amd64}$TARGETVARIANT"
# With packaging/order, if it was made: see .dockerignore.
COPY packaging packaging
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY config config
COPY src src
RUN packaging/static "${TARGETARCH:-amd64}$TARGETVARIANT" \
    && install -D "target/static/stayput-${TARGETARCH:-amd64}$TARGETVARIANT" /image/stayput \
    && mkdir -m 1777 /image/tmp \
    && install -d -o 65532 -g 65532 -m 1777 /image/state

FROM scratch
COPY --from=build /image/ /
# The socket of `stayput status` is in /tmp: with a read-only root, mount a tmpfs on it. /state is for a volume or
# a tmpfs and STAYPUT_STATE=/state: a new volume takes over its owner, a tmpfs its mode.
ENV STAYPUT_SOCKET=/tmp/stayput.sock
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=1m --timeout=10s --start-period=1m CMD ["/stayput", "status", "--healthy"]
ENTRYPOINT ["/stayput"]
CMD ["run"]
