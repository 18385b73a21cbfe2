# docker build -t red-workbench .        docs/deploy.md explains how to run it behind a proxy.
# By default, torch is installed with its GPU libraries. To leave them out, add the index of torch's CPU builds:
# --build-arg PIP_EXTRA_INDEX_URL=...
FROM python:3.11.13-slim@sha256:9bffe4353b925a1656688797ebc68f9c525e79b1d377a764d232182a519eeec4

ARG PIP_EXTRA_INDEX_URL
WORKDIR /app

# Dependencies come first: this layer is rebuilt only when they change. Every file is checked against its hash.
COPY hashes.txt hashes-cpu.txt ./
RUN cp hashes.txt /tmp/hashes.txt \
    && if [ -n "$PIP_EXTRA_INDEX_URL" ]; then \
        pip install --no-cache-dir --require-hashes --no-deps -r hashes-cpu.txt \
        && awk '!/^ / {gpu = /^(nvidia|cuda|triton)/} !gpu' hashes.txt > /tmp/hashes.txt; \
    fi \
    && pip install --no-cache-dir --require-hashes --no-deps -r /tmp/hashes.txt \
    && rm /tmp/hashes.txt

COPY . .
RUN pip install --no-cache-dir --no-build-isolation --no-deps -e . \
    && useradd --uid 10001 --create-home red \
    && install -d -o red -g red -m 700 /data

# Inside the container the app listens on every address. It starts only with sign-in (/data/secrets.toml), or with
# -e RED_BEHIND_PROXY=1 if a proxy signs people in. The published port decides who can reach the app.
# STREAMLIT_BROWSER_SERVER_ADDRESS is set because Streamlit would otherwise ask an outside server for the address.
ENV RED_WORKSPACE=/data \
    RED_SECRETS=/data/secrets.toml \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_BROWSER_SERVER_ADDRESS=localhost \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONUNBUFFERED=1

USER red
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8501, timeout=4); c.request('GET', '/_stcore/health'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["red", "serve"]
