# One process of Tocsin; TOCSIN_ROLE says what it does. Nothing is compiled: Node runs the sources.
FROM node:24-alpine AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY core/package.json core/
COPY ingest/package.json ingest/
COPY mcp-server/package.json mcp-server/
COPY n8n-nodes/package.json n8n-nodes/
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-alpine
WORKDIR /app
COPY --from=packages /app ./
COPY core core
COPY ingest ingest
COPY mcp-server mcp-server
# With SQLite the database and the key file live here; with PostgreSQL nothing does.
RUN mkdir /data && chown node:node /data && chmod 700 /data
USER node
ENV NODE_ENV=production TOCSIN_HOST=0.0.0.0 TOCSIN_PORT=4117 TOCSIN_DATA_DIR=/data
EXPOSE 4117
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:4117/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=16", "--heap-growing-percent=50", "--no-allocation-site-pretenuring", "ingest/main.ts"]
