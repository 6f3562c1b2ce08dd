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
COPY synth synth
COPY detect detect
COPY provenance provenance
COPY benchmarks benchmarks
# The plain torch wheel carries CUDA and also runs without a GPU; the CPU image leaves CUDA's libraries out again.
RUN pip install -c constraints.txt . \
 && if [ "$TORCH" = cpu ]; then pip freeze | grep -i '^nvidia-' | cut -d= -f1 | xargs -r pip uninstall -q -y; fi
RUN useradd --create-home gioconda && mkdir -p /state && chown gioconda /state
USER gioconda
VOLUME /state
ENTRYPOINT ["gioconda"]
CMD ["--help"]
