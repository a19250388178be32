# syntax=docker/dockerfile:1
# Pointsman's gateway: built once, run by plain node, as nobody in particular.
#
#   docker build -t pointsman .
#   docker run -p 8787:8787 -v pointsman:/data -e OPENAI_API_KEY pointsman
#
# The first start writes an admin key to /data/admin-key; see server/deploy/README.md.

# A supported release of Node (24: until April 2028). Pin the digest where builds must be repeatable.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/npm-cache npm ci --no-audit --cache /npm-cache
COPY . .
RUN npm run build

# What it needs to run, and no more; with a list of it (SBOM).
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/npm-cache npm ci --omit=dev --no-audit --cache /npm-cache \
  && npm sbom --omit=dev --sbom-format=cyclonedx > sbom.cdx.json

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="Pointsman" \
      org.opencontainers.image.description="A learned LLM router: each prompt to the cheapest model that can handle it" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=8787 \
    POINTSMAN_DATA_DIR=/data
# The user `node` of the image, by number: orchestrators check that it is not root.
RUN mkdir /data && chown 1000:1000 /data
COPY --from=dependencies /app ./
COPY --from=build /src/dist ./dist
COPY LICENSE NOTICE README.md ./
USER 1000:1000
VOLUME /data
EXPOSE 8787
# Answers in flight are finished on SIGTERM; give it longer than timeouts.shutdownMs (10 s) before it is killed.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/server/cli/main.js"]
CMD ["start"]
