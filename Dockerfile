# One image for the API and the worker; compose.yaml says which of them a container runs.
FROM python:3.13-slim-bookworm AS build
COPY pyproject.toml README.md LICENSE /src/
COPY app /src/app
COPY worker /src/worker
RUN python -m venv /opt/darkroom && /opt/darkroom/bin/pip install --no-cache-dir "/src[heif,jxl]"

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /data darkroom && install -d -o darkroom -g darkroom /data
COPY --from=build /opt/darkroom /opt/darkroom
ENV PATH=/opt/darkroom/bin:$PATH PYTHONUNBUFFERED=1 STORAGE_URL=file:///data
USER darkroom
WORKDIR /data
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "app.server", "--host", "0.0.0.0", "--port", "8000"]
