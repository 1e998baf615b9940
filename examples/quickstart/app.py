"""The smallest host: accounts in three lines, and one view of its own.

    pip install flask-accounts-api
    flask --app examples/quickstart/app.py run

Everything is under /api/auth and /api/users; see http://127.0.0.1:5000/api/auth/openapi.json.
"""

import os
import secrets
from pathlib import Path

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts, current_user, login_required

db = SQLAlchemy()
accounts = Accounts(db)


def create_app() -> Flask:
    """The app, its tables made. `SECRET_KEY` and `DATABASE_URL` are taken from the environment if they are there."""
    app = Flask(__name__)
    app.config["SECRET_KEY"] = os.environ.get("SECRET_KEY") or kept_key(Path(app.instance_path) / "secret_key")
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("DATABASE_URL", "sqlite:///quickstart.db")
    accounts.init_app(app)

    @app.get("/hello")
    @login_required
    def hello() -> dict[str, str]:
        return {"message": f"Hello, {current_user.email}!"}

    with app.app_context():
        db.create_all()
    return app


def kept_key(file: Path) -> str:
    """A random signing key that is made once and readable by its owner only: nobody's default."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
            made.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return file.read_text()
