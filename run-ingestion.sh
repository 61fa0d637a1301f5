#!/bin/sh
# Starts the one-shot `ingestion` of docker-compose.yaml and shows rows and rate until its end.
# Exit code: 0 when all events are in the table, else 1, with diagnostics.
set -eu
cd "$(dirname "$0")"
container=assignment-ingestion
pause=${POLL_SECONDS:-2}

fail() {
    printf '\nINGESTION FAILED: %s\n--- services\n' "$1" >&2
    docker compose ps --all >&2 || true
    printf -- '--- the last lines of %s\n' "$container" >&2
    docker logs --tail 50 "$container" >&2 || true
    exit 1
}

# The worker's own DATABASE_URL: the events may go to another server than that of docker-compose.yaml.
rows() {
    url=$(docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$container" | sed -n 's/^DATABASE_URL=//p')
    docker compose exec -T postgres psql "$url" -Atc 'SELECT count(*) FROM ingested_events'
}

state() { docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$container"; }

# .env says it by itself.
[ -f .env ] || export COMPOSE_PROFILES="${COMPOSE_PROFILES:-${API_MODE:-mock}}"

docker compose up --detach --build --force-recreate ingestion || fail 'the services did not start'

# Before the first batch there is no table.
before=$(rows 2>/dev/null) || before=0
last=$(date +%s)
while found=$(state) || fail 'the worker is gone'; do
    case $found in created* | running* | restarting*) ;; *) break ;; esac
    sleep "$pause"
    count=$(rows 2>/dev/null) || count=$before
    now=$(date +%s)
    seconds=$((now > last ? now - last : 1))
    printf '%s events, %s/s\n' "$count" $(((count - before) / seconds))
    before=$count last=$now
done

[ "${found#* }" -eq 0 ] || fail "the worker ended with exit code ${found#* }"
total=$(rows) || fail 'the rows cannot be counted'
printf '\nINGESTION COMPLETE!\nTotal events: %s\n' "$total"
