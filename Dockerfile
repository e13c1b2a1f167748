# udptap in a container. To write to a TAP it needs exactly this much:
#   docker run --rm --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW --device /dev/net/tun udptap send ...
# Everything else (explain, run, send --dry-run) needs nothing:
#   docker run --rm udptap explain 10.9.0.1:9000 --data-string hello

FROM node:20-bookworm-slim AS build
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends g++ make python3 \
 && rm -rf /var/lib/apt/lists/*
# Node's headers lie beside node in this image: compiling needs no download.
ENV npm_config_nodedir=/usr/local npm_config_audit=false npm_config_fund=false
WORKDIR /build
COPY package.json package-lock.json binding.gyp ./
COPY native native
COPY scripts/install.mjs scripts/
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs scripts/
COPY src src
RUN npm run build \
 && npm prune --omit=dev --ignore-scripts \
 && test -x dist/cli/main.js && test -f build/Release/udptap.node

FROM node:20-bookworm-slim
# As root tcpdump insists on becoming somebody else, which a container without CAP_SETUID cannot; so it may capture as anybody.
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends iproute2 libcap2-bin tcpdump \
 && setcap cap_net_raw+ep /usr/bin/tcpdump \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/udptap
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/build/Release/udptap.node build/Release/
COPY --from=build /build/dist dist
COPY scripts/docker-entrypoint /usr/local/bin/docker-entrypoint
RUN ln -s /opt/udptap/dist/cli/main.js /usr/local/bin/udptap
WORKDIR /out
ENTRYPOINT ["docker-entrypoint"]
CMD ["--help"]
