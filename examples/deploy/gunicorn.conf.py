"""gunicorn for the demo; every figure may be given in the environment.

Signals: HUP starts new workers and lets the old ones finish, TERM lets all finish and ends.
"""

import multiprocessing
import os


def _number(name: str, default: int) -> int:
    return int(os.environ.get(name) or default)


wsgi_app = "examples.deploy.wsgi:app"
bind = os.environ.get("BIND") or "127.0.0.1:8000"

# Password hashes are made outside Python's lock, so threads of one worker do use more cores; the rest of a request does not.
worker_class = os.environ.get("WEB_WORKER_CLASS") or "gthread"
workers = _number("WEB_CONCURRENCY", multiprocessing.cpu_count())
threads = _number("WEB_THREADS", 4)

# A wrong configuration then ends the start, and not each worker anew; workers share the memory of what is imported.
# No connection is shared: pools are empty in every forked child, and threads that send mail are started when there is some.
preload_app = True

if worker_class == "gevent":
    # Now, before the app is imported: of locks that are made earlier, one would stop a whole worker and not one greenlet.
    from gevent import monkey

    monkey.patch_all()

# A worker that says nothing for so long is killed. Longer than all that a request may wait for: see `configuration.py`.
timeout = _number("WEB_TIMEOUT", 60)
graceful_timeout = _number("WEB_GRACEFUL_TIMEOUT", 30)
# nginx opens a connection for each request, so nobody comes back on one.
keepalive = 2
max_requests = 20_000
max_requests_jitter = 2_000

# A worker tells that it lives by touching a file; on a slow disk that alone may take too long.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108  # a folder in memory, files without a name

# Who may say X-Forwarded-Proto to gunicorn: nobody. The app has ProxyFix for it, which counts the proxies.
forwarded_allow_ips = ""
limit_request_line = 4094
limit_request_fields = 50
accesslog = None  # nginx writes one
errorlog = "-"
loglevel = os.environ.get("LOG_LEVEL") or "info"
control_socket_disable = True


def post_fork(server, worker):
    """Begin with empty pools. The accounts' engines do so by themselves; this is for those a host adds."""
    from examples.demo.models import db

    app = worker.app.wsgi()
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose(close=False)
