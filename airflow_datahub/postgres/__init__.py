"""The one PostgreSQL client of the project: connecting, tables, rows as COPY text, commits with their checkpoint."""
