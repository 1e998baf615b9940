"""Commonplace, a small blog: what a whole host app with flask_accounts looks like.

python -m examples.demo                    try it: database, people and posts are made for you
flask --app examples.demo --debug run      the same app by Flask's own command
"""

from .app import create_app

__all__ = ["create_app"]
