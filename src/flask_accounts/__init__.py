"""A complete accounts system for Flask: `Accounts(db).init_app(app)`.

Sign-up, sign-in, JWT sessions with rotation and instant revocation, roles, user administration.
"""

from .core import events
from .core.checkups import Checkup, Deployment, Problem, checkup
from .core.clock import Clock
from .core.errors import AccountsError, ConfigurationError, ValidationError
from .core.events import Client
from .core.feature import Feature, Service
from .core.gates import Limiter, LoginAttempt
from .core.identity import (
    Principal,
    current_principal,
    current_user,
    is_authenticated,
    login_required,
    permissions_required,
    roles_required,
)
from .core.mail import Mailer, Message
from .core.models import UserMixin, UuidKeyMixin
from .core.passwords import Hasher
from .core.policies import PasswordContext
from .core.runtime import Runtime, current_accounts
from .core.schemas import PublicUserSchema, UserSchema
from .core.sessions import RevokedTokenMixin, SessionMixin
from .core.settings import Settings
from .extension import Accounts, default_features, opt_in_features
from .features.registration.schemas import RegisterSchema
from .features.roles.models import RoleMixin, UserRoleMixin
from .features.user_import.schemas import ImportUserSchema
from .features.users.schemas import UpdateUserSchema

__version__ = "0.1.0"

__all__ = [
    "Accounts",
    "AccountsError",
    "Checkup",
    "Client",
    "Clock",
    "ConfigurationError",
    "Deployment",
    "Feature",
    "Hasher",
    "ImportUserSchema",
    "Limiter",
    "LoginAttempt",
    "Mailer",
    "Message",
    "PasswordContext",
    "Principal",
    "Problem",
    "PublicUserSchema",
    "RegisterSchema",
    "RevokedTokenMixin",
    "RoleMixin",
    "Runtime",
    "Service",
    "SessionMixin",
    "Settings",
    "UpdateUserSchema",
    "UserMixin",
    "UserRoleMixin",
    "UserSchema",
    "UuidKeyMixin",
    "ValidationError",
    "__version__",
    "checkup",
    "current_accounts",
    "current_principal",
    "current_user",
    "default_features",
    "events",
    "is_authenticated",
    "login_required",
    "opt_in_features",
    "permissions_required",
    "roles_required",
]
