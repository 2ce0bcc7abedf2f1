# syntax=docker/dockerfile:1
# One image for every role. Embedded (everything in the volume /data):
#   docker build -t fieldbridge . && docker run -p 8080:8080 -v fieldbridge:/data -e FIELDBRIDGE_TENANT_PASSWORD=… -e FIELDBRIDGE_SYSADMIN_PASSWORD=… fieldbridge
# Several processes: docker-compose.yml.

FROM node:24.21.0-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Optional packages are other builds of Node (the image has its own) and native speed-ups that have a substitute.
RUN npm install --omit=dev --omit=optional

FROM node:24.21.0-slim
ENV NODE_ENV=production FIELDBRIDGE_DATA=/data HTTP_HOST=0.0.0.0 HTTP_PORT=8080
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE main.ts ./
COPY bin bin
COPY start start
COPY engine engine
COPY actors actors
COPY integrations integrations
COPY rulechains rulechains
COPY demo demo
COPY cli cli
# The program belongs to root, so that the user who runs it can not change it; the data are his.
RUN install -d -o node -g node -m 700 /data
VOLUME /data
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=2s --retries=3 CMD ["node", "bin/health.mjs"]
CMD ["node", "--max-semi-space-size=8", "bin/start.mjs"]
