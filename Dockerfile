# Tickbridge's own image: bridge, dashboard and set-up. The same file makes it for amd64 and arm64.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/build && python -m venv /opt/tickbridge
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN /opt/build/bin/pip install --quiet --require-hashes --no-deps -r requirements-build.lock \
 && /opt/tickbridge/bin/pip install --quiet --require-hashes --no-deps -r requirements.lock
COPY dashboard/web dashboard/web
RUN /opt/build/bin/python dashboard/web/build.py --force
COPY . .
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation -w /dist . \
 && /opt/tickbridge/bin/pip install --quiet --no-deps /dist/*.whl \
 && /opt/tickbridge/bin/pip uninstall --quiet --yes pip

FROM ${PYTHON_IMAGE}
# 1883 is the user of Mosquitto's official image, which so can read what the set-up wrote for it.
RUN groupadd --gid 1883 tickbridge && useradd --uid 1883 --gid 1883 --no-create-home --home-dir /data tickbridge \
 && for key in all mosquitto telegraf bridge dashboard grafana; do install -d -o 1883 -g 1883 -m 0750 /keys/$key; done \
 && install -d -o 1883 -g 1883 -m 0700 /data
COPY --from=build /opt/tickbridge /opt/tickbridge
COPY compose /app/compose
ENV PATH=/opt/tickbridge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 1883:1883
VOLUME /data
CMD ["tickbridge", "--help"]
