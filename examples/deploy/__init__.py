"""The demo, deployed: gunicorn behind nginx, PostgreSQL and Redis, all configuration from the environment."""
