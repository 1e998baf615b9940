"""A whole life of an account, with nothing installed but the wheel. Run by `test_distribution.py` in a fresh environment."""

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_accounts import Accounts

app = Flask("smoke")
app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY="a-signing-key-of-at-least-32-bytes-0123")
db = SQLAlchemy()
accounts = Accounts(db)
accounts.init_app(app)

with app.app_context():
    db.create_all()
    client = app.test_client()
    ann = {"email": "ann@example.com", "password": "seven brown foxes"}

    answer = client.post("/api/auth/register", json=ann)
    print(answer.status_code, answer.get_json()["user"]["email"])
    answer = client.post("/api/auth/login", json=ann)
    print(answer.status_code, answer.get_json()["token_type"])
    bearer = {"Authorization": f"Bearer {answer.get_json()['access_token']}"}
    answer = client.get("/api/auth/me", headers=bearer)
    print(answer.status_code, answer.get_json()["email"])
    answer = client.delete("/api/auth/logout", headers=bearer)
    print(answer.status_code, answer.get_json()["message"])
    answer = client.get("/api/auth/me", headers=bearer)
    print(answer.status_code, answer.get_json()["code"])
    db.session.remove()
    db.engine.dispose()
