"""One file for each library; `ALL` names every set-up, in the order of the tables."""

from __future__ import annotations

ALL = (
    "ours:Ours",
    "ours:OursVerified",
    "flask_security:FlaskSecurity",
    "flask_security:FlaskSecurityTuned",
    "allauth_headless:Allauth",
    "allauth_headless:AllauthStateful",
    "simplejwt:SimpleJwt",
    "simplejwt:SimpleJwtTuned",
    "fastapi_users_jwt:FastapiUsers",
    "fastapi_users_jwt:FastapiUsersDatabase",
    "jwt_extended:JwtExtended",
    "praetorian:Praetorian",
    "tutorial:Tutorial",
)
