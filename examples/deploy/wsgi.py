"""The app as gunicorn serves it: `gunicorn -c examples/deploy/gunicorn.conf.py`, from the folder that has `examples`."""

from __future__ import annotations

from werkzeug.middleware.proxy_fix import ProxyFix

from examples.demo import create_app

from .configuration import from_environment, proxies
from .health import health

app = create_app("production", **from_environment())
app.register_blueprint(health)
# Not `x_host`: nginx hands the Host on as it came, and sets no X-Forwarded-Host, so that would be anybody's to choose.
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies(), x_proto=proxies())  # type: ignore[method-assign]  # Werkzeug's own way
