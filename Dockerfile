# docker build -t red-workbench .        docs/deploy.md says how to run it behind a proxy.
# The plain index brings torch with its GPU libraries. To leave them out, name the index of torch's CPU builds:
# --build-arg PIP_EXTRA_INDEX_URL=...
FROM python:3.11-slim

ARG PIP_EXTRA_INDEX_URL
WORKDIR /app

# Dependencies first: this layer is built again only when they change.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        > /tmp/requirements.txt \
    && pip install --no-cache-dir -c constraints.txt setuptools torch \
    && pip install --no-cache-dir -c constraints.txt -r /tmp/requirements.txt \
    && rm /tmp/requirements.txt

COPY . .
RUN pip install --no-cache-dir --no-build-isolation --no-deps -e . \
    && useradd --uid 10001 --create-home red \
    && install -d -o red -g red -m 700 /data

# Inside the container every address is bound: it starts where people sign in (/data/secrets.toml), or with
# -e RED_BEHIND_PROXY=1 where a proxy signs them in. Who reaches it is decided by the port that is published.
# The browser's address is set so that Streamlit does not ask a server outside for it.
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
