# Two targets: `cpu` runs the smoke suite anywhere; `cuda` is the base for NVIDIA machines.
#   docker build --target cpu -t accelbench:cpu . && docker run --rm -v "$PWD/results:/work/results" accelbench:cpu
#   docker build --target cuda -t accelbench:cuda . && docker run --rm --gpus all accelbench:cuda doctor

FROM python:3.11-slim-bookworm AS base
ENV PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1 \
    MLFLOW_DISABLE_TELEMETRY=true
# The git of the base image's release is what we want.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 bench \
    && mkdir /work && chown bench /work
COPY . /src
WORKDIR /src

FROM base AS cpu
# Versions are bounded in pyproject.toml.
# hadolint ignore=DL3013
RUN pip install "torch==2.13.0" --index-url https://download.pytorch.org/whl/cpu \
    && pip install ".[torch,gguf,report]"
USER 1000
WORKDIR /work
ENTRYPOINT ["accelbench"]
CMD ["run", "smoke"]

FROM base AS cuda
# Versions are bounded in pyproject.toml.
# hadolint ignore=DL3013
RUN pip install ".[torch,gguf,report]"
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000
WORKDIR /work
ENTRYPOINT ["accelbench"]
CMD ["doctor"]
