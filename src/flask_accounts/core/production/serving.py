"""Check-ups of how the app is served: modes, servers, HTTPS, proxies, other origins."""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from ..checkups import Deployment, Problem, checkup

AREA = "serving"
DOCS = "docs/how-to/deployment.md"
PROXY = "docs/how-to/limits-behind-a-proxy.md"


@checkup("debug-mode", "error", area=AREA, docs=DOCS, source="ASVS 13.4.2")
def debug_mode(deployment: Deployment) -> Iterator[Problem]:
    """Flask's debug mode.

    The debugger runs whatever is typed into it, errors show the code, and mails without a server go to the log.
    """
    # Flask's commands set `app.debug` by FLASK_DEBUG alone; what the configuration says was seen at start.
    if deployment.app.debug or (deployment.runtime.debug and not deployment.app.testing):
        yield Problem("Debug mode is on.", "Unset FLASK_DEBUG, and take DEBUG = True and --debug away.")


@checkup("testing-mode", "error", area=AREA, docs=DOCS, source="ASVS 13.4.2")
def testing_mode(deployment: Deployment) -> Iterator[Problem]:
    """Flask's testing mode.

    Errors are passed on and not answered, and checks at start only warn.
    """
    if deployment.app.testing:
        yield Problem("TESTING is on.", "Set TESTING = False.")


@checkup("development-server", "error", area=AREA, docs=DOCS)
def development_server(deployment: Deployment) -> Iterator[Problem]:
    """Werkzeug's development server, or a server that starts anew whenever a file changes.

    It is made neither for load nor for attackers. Only what the environment says can be seen from here.
    """
    seen = [name for name in ("WERKZEUG_RUN_MAIN", "WERKZEUG_SERVER_FD") if name in deployment.environ]
    if seen:
        yield Problem(f"The environment has {seen[0]}: this is `flask run`.", "Serve with Gunicorn, uWSGI, Granian or mod_wsgi.")
    if deployment.gunicorn("--reload") is not None:
        yield Problem("GUNICORN_CMD_ARGS has --reload.", "Take --reload out of GUNICORN_CMD_ARGS.")


@checkup("no-proxy-fix", "info", area=AREA, docs=PROXY, source="ASVS 15.3.4")
def no_proxy_fix(deployment: Deployment) -> Iterator[Problem]:
    """An app that does not ask its proxy for the client's address.

    Behind a proxy all clients have its address then: limits count them as one, and the audit log cannot tell them apart. Without a
    proxy all is well.
    """
    fixes = [layer for layer in _layers(deployment.app) if isinstance(layer, ProxyFix)]
    if not any(fix.x_for for fix in fixes):
        said = "ProxyFix(x_for=0) ignores the client's address." if fixes else "app.wsgi_app is not wrapped in ProxyFix."
        yield Problem(said, "Behind one proxy: app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1).")


@checkup("trusted-host-header", "info", area=AREA, docs="docs/how-to/deployment.md#behind-a-proxy", source="ASVS 4.1.3")
def trusted_host_header(deployment: Deployment) -> Iterator[Problem]:
    """A host or a prefix that is taken from a header, which some proxies hand on as the client has sent it.

    The client then chooses the host in the links that the app makes. Links in our mails do not depend on it.
    """
    for fix in (layer for layer in _layers(deployment.app) if isinstance(layer, ProxyFix)):
        trusted = [name for name in ("x_host", "x_prefix") if getattr(fix, name)]
        if trusted:
            yield Problem(
                f"ProxyFix trusts {' and '.join(trusted)}.", "Leave them out, unless your proxy sets these headers itself."
            )


def _layers(app: Flask) -> Iterator[Any]:
    """The middleware around the app, from the outside."""
    layer: Any = app.wsgi_app
    seen = 0
    while getattr(layer, "__self__", None) is not app and layer is not None and seen < 50:
        yield layer
        # How Werkzeug, WhiteNoise, Sentry, OpenTelemetry and most others call what they wrap.
        names = ("app", "wsgi_app", "application", "wrapped_app", "_app", "_wsgi_app")
        layer = next((inner for name in names if callable(inner := getattr(layer, name, None))), None)
        seen += 1


@checkup("url-scheme", "info", area=AREA, docs=DOCS, source="ASVS 12.2.1")
def url_scheme(deployment: Deployment) -> Iterator[Problem]:
    """Links that the app makes outside of requests with http://.

    Links in our mails do not depend on it; those that jobs and commands of the app's own make do.
    """
    if deployment.app.config.get("PREFERRED_URL_SCHEME") != "https":
        yield Problem("PREFERRED_URL_SCHEME is http.", "Set PREFERRED_URL_SCHEME = 'https'.")


@checkup("no-hsts", "info", area=AREA, docs=DOCS, source="ASVS 3.4.1, RFC 6797")
def no_hsts(deployment: Deployment) -> Iterator[Problem]:
    """An app from which browsers do not learn to come by HTTPS only.

    The first request by plain HTTP can be read and redirected. Mostly the proxy sends the header, which cannot be seen from here.
    """
    hooks = [hook for hooks in deployment.app.after_request_funcs.values() for hook in hooks]
    if not any((getattr(hook, "__module__", "") or "").startswith(("flask_talisman", "talisman")) for hook in hooks):
        yield Problem(
            "Nothing here that is known to send Strict-Transport-Security.",
            "Have the proxy send Strict-Transport-Security: max-age=31536000; includeSubDomains, and accept this.",
        )


@checkup("cors-for-everybody", "error", area=AREA, docs="docs/how-to/cookies-for-a-spa.md", source="ASVS 3.4.2")
def cors_for_everybody(deployment: Deployment) -> Iterator[Problem]:
    """Flask-CORS that lets every origin send requests with credentials.

    Any page that a visitor opens can act here in his name, and read the answers.
    """
    for options in _cors(deployment.app):
        origins = options.get("origins")
        if options.get("supports_credentials") and (origins == "*" or "*" in (origins or ()) or ".*" in _patterns(origins)):
            yield Problem(
                "Flask-CORS allows credentials from every origin.",
                "Name the origins: CORS(app, origins=['https://app.example.com']).",
            )
            return


def _cors(app: Flask) -> Iterator[dict[str, Any]]:
    """The options of each resource that Flask-CORS sees to; it keeps them in its hook alone."""
    for hooks in app.after_request_funcs.values():
        for hook in hooks:
            if isinstance(hook, FunctionType) and hook.__module__.startswith("flask_cors") and hook.__closure__:
                for _, options in next(
                    (cell.cell_contents for cell in hook.__closure__ if isinstance(cell.cell_contents, list)), []
                ):
                    yield options if isinstance(options, dict) else vars(options)


def _patterns(origins: Any) -> list[Any]:  # texts and compiled patterns
    listed = origins if isinstance(origins, list | tuple | set) else [origins]
    return [getattr(origin, "pattern", origin) for origin in listed if origin is not None]
