# The image of all services of docker-compose.yaml: Airflow with this package, in the pinned versions, without root.
FROM python:3.12-slim-bookworm AS build
WORKDIR /build
COPY requirements-installer.txt requirements.txt pyproject.toml ./
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements-installer.txt
# Only what the extras need, each in the version and with the hash of requirements.txt.
RUN /opt/venv/bin/uv pip install --no-cache --python /opt/venv/bin/python \
    --constraint requirements.txt -r pyproject.toml --extra celery --extra redis
COPY README.md LICENSE ./
COPY airflow_datahub airflow_datahub
RUN /opt/venv/bin/uv pip install --no-cache --python /opt/venv/bin/python --no-deps .

FROM python:3.12-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 AIRFLOW_HOME=/opt/airflow
RUN useradd --uid 50000 --gid 0 --home-dir /opt/airflow --create-home airflow \
    && install -d -o airflow -g 0 /opt/airflow/logs /opt/airflow/spool
COPY --from=build /opt/venv /opt/venv
WORKDIR /opt/airflow
COPY --chown=airflow:0 dags dags
USER 50000
ENTRYPOINT ["python", "-m", "airflow_datahub.demo.ingestion"]
