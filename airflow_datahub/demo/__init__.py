"""A world to try the project in: a mock API, an embedded PostgreSQL, and the supervisor behind `make demo`."""
