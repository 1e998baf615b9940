"""Check-ups of cookies: ours with the tokens, and Flask's own session."""

from __future__ import annotations

from collections.abc import Iterator

from ..checkups import Deployment, Problem, checkup
from ..tokens import config

AREA = "cookies"
DOCS = "docs/how-to/cookies-for-a-spa.md"
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@checkup("cookies-without-secure", "error", area=AREA, docs=DOCS, source="ASVS 3.3.1")
def cookies_without_secure(deployment: Deployment) -> Iterator[Problem]:
    """Token cookies that also travel over plain HTTP.

    Whoever is on the line reads them, and is signed in.
    """
    if config.jwt_in_cookies and not config.cookie_secure:
        yield Problem("JWT_COOKIE_SECURE is False.", "Leave JWT_COOKIE_SECURE out, or set it to True.")


@checkup("cookies-without-csrf", "error", area=AREA, docs=DOCS, source="ASVS 3.5.1")
def cookies_without_csrf(deployment: Deployment) -> Iterator[Problem]:
    """Token cookies without protection from forged requests.

    Another site can have a visitor's browser act here in his name.
    """
    if not config.jwt_in_cookies:
        return
    if not config.cookie_csrf_protect:
        yield Problem("JWT_COOKIE_CSRF_PROTECT is False.", "Leave JWT_COOKIE_CSRF_PROTECT out, or set it to True.")
    elif open_methods := sorted(CHANGING - set(config.csrf_request_methods)):
        yield Problem(f"JWT_CSRF_METHODS lacks {', '.join(open_methods)}.", "Leave JWT_CSRF_METHODS out.")


@checkup("cookies-across-sites", "warning", area=AREA, docs=DOCS, source="ASVS 3.3.2")
def cookies_across_sites(deployment: Deployment) -> Iterator[Problem]:
    """Token cookies that browsers send along with requests from other sites.

    The CSRF token alone stands then between a visitor and any page that he opens.
    """
    if config.jwt_in_cookies and config.cookie_samesite not in ("Lax", "Strict"):
        yield Problem(f"JWT_COOKIE_SAMESITE is {config.cookie_samesite!r}.", "Set JWT_COOKIE_SAMESITE to 'Lax' or 'Strict'.")


@checkup("cookies-for-subdomains", "warning", area=AREA, docs=DOCS, source="ASVS 3.3.1")
def cookies_for_subdomains(deployment: Deployment) -> Iterator[Problem]:
    """Token cookies that go to every subdomain.

    The weakest of them has everybody's tokens.
    """
    if config.jwt_in_cookies and config.cookie_domain:
        yield Problem("JWT_COOKIE_DOMAIN is set.", "Leave JWT_COOKIE_DOMAIN out: the cookies then go to this host only.")


@checkup("cookies-without-host-prefix", "info", area=AREA, docs=DOCS, source="ASVS 3.3.3")
def cookies_without_host_prefix(deployment: Deployment) -> Iterator[Problem]:
    """Token cookies whose names do not begin with `__Host-`.

    A neighbouring host can plant cookies of the same names.
    """
    names = [config.access_cookie_name, config.refresh_cookie_name] if config.jwt_in_cookies else []
    plain = [name for name in names if not name.startswith("__Host-")]
    if plain:
        yield Problem(
            f"The cookies are called {' and '.join(plain)}.",
            "Leave out JWT_ACCESS_COOKIE_NAME, JWT_REFRESH_COOKIE_NAME, the cookies' paths and JWT_COOKIE_DOMAIN.",
        )


@checkup("tokens-by-two-ways", "info", area=AREA, docs=DOCS, source="ASVS 3.3.4")
def tokens_by_two_ways(deployment: Deployment) -> Iterator[Problem]:
    """Tokens in headers and in cookies at once.

    A script in the page may ask for the tokens in the body, where it can read them. That is well where other clients need headers.
    """
    if config.jwt_in_cookies and config.jwt_in_headers:
        yield Problem(
            "JWT_TOKEN_LOCATION has cookies and headers.", "Where all clients are browsers, set JWT_TOKEN_LOCATION = ['cookies']."
        )


@checkup("tokens-in-urls", "error", area=AREA, docs=DOCS, source="ASVS 14.2.1, RFC 6750 section 5.3")
def tokens_in_urls(deployment: Deployment) -> Iterator[Problem]:
    """Tokens in the URL.

    They end up in logs, in the history and in the Referer. Our routes take none there; plain `@jwt_required()` does.
    """
    if config.jwt_in_query_string:
        yield Problem("JWT_TOKEN_LOCATION has query_string.", "Take query_string out of JWT_TOKEN_LOCATION.")


@checkup("flask-session-cookie", "warning", area=AREA, docs=DOCS, source="ASVS 3.3.1, ASVS 3.3.2")
def flask_session_cookie(deployment: Deployment) -> Iterator[Problem]:
    """Flask's own session cookie without `Secure`, `HttpOnly` or `SameSite`.

    Accounts do not use it. Whatever else puts something into `flask.session` does.
    """
    app = deployment.app
    if not app.secret_key:
        return
    lacking = [name for name in ("SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY") if not app.config.get(name)]
    if lacking:
        yield Problem(f"Not on: {', '.join(lacking)}.", "Set " + " and ".join(f"{name} = True" for name in lacking) + ".")
    if app.config.get("SESSION_COOKIE_SAMESITE") not in ("Lax", "Strict"):
        yield Problem("SESSION_COOKIE_SAMESITE is not set.", "Set SESSION_COOKIE_SAMESITE = 'Lax'.", severity="info")
