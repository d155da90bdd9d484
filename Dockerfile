# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements-server.txt ./
RUN python -m venv /opt/consentful \
 && /opt/consentful/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements-server.txt
COPY pyproject.toml README.md LICENSE ./
COPY server ./server
COPY client_sdk ./client_sdk
COPY static ./static
RUN /opt/consentful/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
# A number, so that Kubernetes can see that it is not root. Data and keys are separate volumes: a copy of one opens nothing.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin consentful \
 && install -d -o 10001 -g 10001 -m 0700 /data /keys
COPY --from=build /opt/consentful /opt/consentful
ENV PATH=/opt/consentful/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CONSENTFUL_DATA_DIR=/data \
    CONSENTFUL_KEYS_DIR=/keys \
    CONSENTFUL_LOG_FORMAT=json
WORKDIR /data
USER 10001:10001
VOLUME ["/data", "/keys"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
# Nothing is written outside the volumes: run it with --read-only. Off loopback, --auth is `keys`; the first start prints one.
ENTRYPOINT ["consentful"]
CMD ["serve", "--host", "0.0.0.0"]
