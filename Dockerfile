# syntax=docker/dockerfile:1

# One image for every process: docker run IMAGE serve, worker, migrate …
# The build runs on the builder's own platform and cross-compiles, which Go does without emulation.
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -tags=grpcnotrace -ldflags="-s -w -X contacts/cmd.release=$VERSION" -o /out/contacts . \
    && mkdir -m 0700 /out/data

FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=dev REVISION=unknown
LABEL org.opencontainers.image.title="contacts" \
      org.opencontainers.image.description="A contacts service that loses, doubles and reorders no accepted write" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /out/contacts /usr/local/bin/contacts
# Where the embedded mode keeps its database: mount a volume here.
COPY --from=build --chown=65532:65532 /out/data /data
WORKDIR /
# The base's nonroot, as a number: Kubernetes cannot tell from a name that it is not root.
USER 65532:65532
# Probes reach /livez from outside of the container; the API stays on loopback until http.addr
# says otherwise.
ENV CONTACTS_ADMIN_ADDR=:9090
EXPOSE 8000 9090
HEALTHCHECK --interval=5s --timeout=4s --start-period=10s --retries=3 CMD ["/usr/local/bin/contacts", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/contacts"]
CMD ["serve"]
