"""fastapi-users by its full example: bearer and JWT; and with its database strategy."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fastapi_users
import requests
from fastapi import Depends, FastAPI
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import SQLAlchemyAccessTokenDatabase, SQLAlchemyBaseAccessTokenTableUUID
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from ..contender import KEY, Contender, Http, Tokens


class FastapiUsers(Contender):
    """SQLAlchemy, BearerTransport and JWTStrategy, every router of the example."""

    name = "fastapi-users"
    distribution = "fastapi-users"
    setup = "Its full example: SQLAlchemy, bearer, JWT, with all of its routers."
    source = "https://fastapi-users.github.io/fastapi-users/latest/configuration/full-example/"
    verifies = "pwdlib:PasswordHash.verify_and_update"
    asgi = True
    in_database = False

    def app(self, folder: Path, *, limits: bool) -> Any:
        class Base(DeclarativeBase):
            pass

        class User(SQLAlchemyBaseUserTableUUID, Base):
            pass

        class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
            pass

        engine = create_async_engine(f"sqlite+aiosqlite:///{folder / 'app.db'}")
        self.sessions, self.User = async_sessionmaker(engine, expire_on_commit=False), User

        async def create() -> None:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            await engine.dispose()

        asyncio.run(create())

        async def get_session() -> AsyncIterator[Any]:
            async with self.sessions() as session:
                yield session

        async def get_user_db(session: Any = Depends(get_session)) -> AsyncIterator[Any]:
            yield SQLAlchemyUserDatabase(session, User)

        async def get_token_db(session: Any = Depends(get_session)) -> AsyncIterator[Any]:
            yield SQLAlchemyAccessTokenDatabase(session, AccessToken)

        class UserManager(fastapi_users.UUIDIDMixin, fastapi_users.BaseUserManager[Any, uuid.UUID]):
            reset_password_token_secret = KEY
            verification_token_secret = KEY

        async def get_user_manager(user_db: Any = Depends(get_user_db)) -> AsyncIterator[Any]:
            yield UserManager(user_db)

        def jwt() -> Any:
            return JWTStrategy(secret=KEY, lifetime_seconds=3600)

        def database(token_db: Any = Depends(get_token_db)) -> Any:
            return DatabaseStrategy(token_db, lifetime_seconds=3600)

        strategy = database if self.in_database else jwt
        backend: Any = AuthenticationBackend(
            name="bearer", transport=BearerTransport(tokenUrl="auth/jwt/login"), get_strategy=strategy
        )
        users: Any = fastapi_users.FastAPIUsers(get_user_manager, [backend])

        class UserRead(fastapi_users.schemas.BaseUser[uuid.UUID]):
            pass

        class UserCreate(fastapi_users.schemas.BaseUserCreate):
            pass

        class UserUpdate(fastapi_users.schemas.BaseUserUpdate):
            pass

        app = FastAPI()
        app.include_router(users.get_auth_router(backend), prefix="/auth/jwt")
        app.include_router(users.get_register_router(UserRead, UserCreate), prefix="/auth")
        app.include_router(users.get_reset_password_router(), prefix="/auth")
        app.include_router(users.get_users_router(UserRead, UserUpdate), prefix="/users")
        return app

    def register(self, http: Http, email: str, password: str, **more: Any) -> requests.Response:
        return http("POST", "/auth/register", json={"email": email, "password": password, **more})

    def login(self, http: Http, email: str, password: str) -> requests.Response:
        return http("POST", "/auth/jwt/login", data={"username": email, "password": password})

    def tokens(self, answer: requests.Response, before: Tokens | None = None) -> Tokens:
        return Tokens(answer.json()["access_token"])

    def me(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("GET", "/users/me", token=tokens.access)

    def logout(self, http: Http, tokens: Tokens) -> requests.Response:
        return http("POST", "/auth/jwt/logout", token=tokens.access)

    def update(self, http: Http, tokens: Tokens, **more: Any) -> requests.Response:
        return http("PATCH", "/users/me", token=tokens.access, json=more)

    def forgot(self, http: Http, email: str) -> requests.Response:
        return http("POST", "/auth/forgot-password", json={"email": email})

    def change_password(self, http: Http, tokens: Tokens, old: str, new: str) -> requests.Response:
        return http("PATCH", "/users/me", token=tokens.access, json={"password": new})

    def disable(self, email: str) -> bool:
        async def go() -> None:
            async with self.sessions() as session:
                await session.execute(update(self.User).where(self.User.email == email).values(is_active=False))
                await session.commit()

        asyncio.run(go())
        return True

    def flags(self, email: str) -> dict[str, Any] | None:
        async def go() -> Any:
            async with self.sessions() as session:
                return (await session.execute(select(self.User).where(self.User.email == email))).scalars().first()

        user = asyncio.run(go())
        return user and {"is_active": user.is_active, "is_superuser": user.is_superuser, "is_verified": user.is_verified}


class FastapiUsersDatabase(FastapiUsers):
    """Tokens in a table, so that they can be taken back."""

    variant = True
    name = "fastapi-users, tokens in the database"
    setup = "The same with its database strategy."
    source = "https://fastapi-users.github.io/fastapi-users/latest/configuration/authentication/strategies/database/"
    in_database = True
