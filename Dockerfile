# CPU:  docker build -t gioconda .
# CUDA: docker build -t gioconda:cuda --build-arg TORCH=cuda .
# Run:  docker run --rm --network none -v "$PWD:/media:ro" gioconda check /media/clip.mp4
FROM python:3.12-slim
ARG TORCH=cpu
ENV PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 GIOCONDA_HOME=/state/home GIOCONDA_CACHE=/state/cache GIOCONDA_WEIGHTS=/state/weights
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY gioconda gioconda
COPY gioconda_core gioconda_core
COPY synth synth
COPY detect detect
COPY provenance provenance
COPY benchmarks benchmarks
# The plain torch wheel needs CUDA's libraries even to be imported, so the CPU image takes PyTorch's own CPU wheels, of the pinned
# versions and without their dependencies, which the second step brings.
RUN if [ "$TORCH" = cpu ]; then \
      pip install --no-deps --index-url https://download.pytorch.org/whl/cpu $(grep -E '^torch(vision)?==' constraints.txt); \
    fi \
 && pip install -c constraints.txt . \
 && python -c "import torch, torchvision, gioconda"
RUN useradd --create-home gioconda && mkdir -p /state && chown gioconda /state
USER gioconda
VOLUME /state
ENTRYPOINT ["gioconda"]
CMD ["--help"]
