# The packages, without what only tests need, and without the npm packages that bring Node and PostgreSQL along for
# machines that have neither (optional ones, and one that an install script would fetch).
FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Optional packages are the embedded PostgreSQL and native speed-ups: production brings a database of its own.
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

FROM node:24-slim
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json ./
COPY migrations ./migrations
COPY src ./src
USER node
EXPOSE 8001 9090
# Workers and schedulers have no API port: they are asked on METRICS_PORT, and compose says so.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8001}/health`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# The program in huge pages, where the kernel gives them: docs/decisions/0007.
ENTRYPOINT ["node", "--use-largepages=silent", "src/main.ts"]
CMD ["api"]
