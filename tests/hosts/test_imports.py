"""What is optional or heavy is not imported before somebody uses it: it costs every process time to start and memory."""

from __future__ import annotations

import subprocess
import sys

UNUSED = (
    "bcrypt", "flask_mail", "flask_mailman", "flask_swagger_ui", "asgiref",  # other hashers, mailers, pages, async views
    "opentelemetry", "zxcvbn_rs_py", "babel", "pydantic_settings",
    "redis", "pymemcache", "pymongo", "etcd3", "valkey", "coredis",  # stores of rate limits
    "dns", "requests", "urllib3", "httpx", "http.client",  # nobody is asked over the network
    "alembic", "flask_migrate", "pytest", "flask_accounts.testing",
)  # fmt: skip
SCRIPT = """
import sys
import flask, flask_sqlalchemy, flask_jwt_extended
theirs = set(sys.modules)
import flask_accounts
unused = set(sys.argv[1:]) - theirs
print(sorted(unused & set(sys.modules)))
app = flask.Flask("host")
app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY="k" * 40)
db = flask_sqlalchemy.SQLAlchemy()
accounts = flask_accounts.Accounts(db, app)
with app.app_context():
    db.create_all()
    ann = accounts.users.create("ann@example.com")
    db.session.commit()
    token = accounts.sessions.open(ann).tokens.access_token
    db.session.commit()
answer = app.test_client().get("/api/auth/me", headers={"Authorization": "Bearer " + token})
print(answer.status_code, sorted(unused & set(sys.modules)))
"""


def test_neither_the_package_nor_a_first_request_imports_what_is_not_used() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *UNUSED], capture_output=True, text=True, check=False, timeout=100)

    assert done.stdout.splitlines() == ["[]", "200 []"], done.stderr
