"""One folder per feature: its declarations, settings, tables, schemas, service, routes and commands."""
