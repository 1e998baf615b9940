"""Everything that can go wrong, with its stable code.

    ConfigurationError                    the set-up is wrong; raised at start, never during a request
    AccountsError                         an answer with RFC 9457 problem details
      ValidationError             400     VALIDATION_ERROR, lists every problem at once
      OneTimeTokenInvalid         400     ONE_TIME_TOKEN_INVALID
      OtherBrowser                400     OTHER_BROWSER
      IdentityRefused             400     IDENTITY_REFUSED
      IdentityInvalid             400     IDENTITY_INVALID
      MalformedRequest            400     MALFORMED_REQUEST, the body is not the JSON it claims to be
      AuthenticationError         401     with `WWW-Authenticate: Bearer` (RFC 6750)
        TokenMissing                      TOKEN_MISSING
        TokenExpired                      TOKEN_EXPIRED
        InvalidToken                      INVALID_TOKEN
        TokenRevoked                      TOKEN_REVOKED
        WrongTokenType                    WRONG_TOKEN_TYPE
        ReauthenticationRequired          REAUTHENTICATION_REQUIRED
        InvalidCredentials                INVALID_CREDENTIALS
        ChallengeRequired                 a right credential that is not enough; carries `challenge_token` and `challenges`
          MfaRequired                     MFA_REQUIRED
          MfaEnrolmentRequired            MFA_ENROLMENT_REQUIRED
          PasswordChangeRequired          PASSWORD_CHANGE_REQUIRED
        ChallengeInvalid                  CHALLENGE_INVALID
      InvalidClient               401     INVALID_CLIENT, with `WWW-Authenticate: Basic`: another service is not who it says
      Forbidden                   403
        PermissionDenied                  PERMISSION_DENIED
        CredentialNotAllowed              CREDENTIAL_NOT_ALLOWED, an API key where the owner's own session is needed
        NotWhileImpersonating             NOT_WHILE_IMPERSONATING
        ImpersonationRefused              IMPERSONATION_REFUSED
        UnauthorizedClient                UNAUTHORIZED_CLIENT
        CsrfFailed                        CSRF_FAILED
        AccountDisabled                   ACCOUNT_DISABLED
        EmailNotVerified                  EMAIL_NOT_VERIFIED
        RegistrationClosed                REGISTRATION_CLOSED
        IdentityUnknown                   IDENTITY_UNKNOWN
        CrossSite                         CROSS_SITE
      NotFound                    404     NOT_FOUND
      MethodNotAllowed            405     METHOD_NOT_ALLOWED
      Conflict                    409
        EmailTaken                        EMAIL_TAKEN
        UsernameTaken                     USERNAME_TAKEN
        RoleExists                        ROLE_EXISTS
        RoleProtected                     ROLE_PROTECTED
        InvitationExists                  INVITATION_EXISTS
        IdentityTaken                     IDENTITY_TAKEN
        LastWayIn                         LAST_WAY_IN
        ApiKeyLimit                       API_KEY_LIMIT
        PasskeyLimit                      PASSKEY_LIMIT
        LastAdministrator                 LAST_ADMINISTRATOR
        FactorNeeded                      FACTOR_NEEDED
        FactorMissing                     FACTOR_MISSING
        ConcurrentChange                  CONCURRENT_CHANGE
      ContentTooLarge             413     CONTENT_TOO_LARGE
      UnsupportedMediaType        415     UNSUPPORTED_MEDIA_TYPE
      TooManyRequests             429     RATE_LIMITED, with Retry-After
      InternalError               500     INTERNAL_ERROR, opaque on purpose
        ExportFailed                      EXPORT_FAILED
      ServiceUnavailable          503     SERVICE_UNAVAILABLE, with Retry-After
        MailUnavailable                   MAIL_UNAVAILABLE
        ProviderUnavailable               PROVIDER_UNAVAILABLE

They are raised deep, with a code, and rendered once, at the edge (`core.http`). Being Werkzeug's
exceptions of their status they also come out right where a host raises them in its own views (its own
`@app.errorhandler(401)` then has the word), in Flask-RESTX and in Flask-RESTful resources.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import werkzeug.exceptions
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

PROBLEM_JSON = "application/problem+json"
PROBLEM_TYPE = "urn:flask-accounts:problem:"


class ConfigurationError(Exception):
    """The set-up cannot work or is not safe. The message says what to do about it."""


@dataclass(frozen=True)
class FieldProblem:
    """One problem with one member of the input: where, a stable code, a sentence."""

    field: str
    code: str
    message: str


class AccountsError(HTTPException):
    """An error a client may see, rendered as RFC 9457 problem details.

    Class attributes: `code` is the HTTP status (the name is Werkzeug's), `error_code` the stable
    UPPER_SNAKE code, `title` the short sentence. `detail` says more about this occurrence;
    `extensions` are further members of the problem document; `headers` are added to the answer.
    """

    code: int = 400
    error_code: ClassVar[str] = "ERROR"
    title: ClassVar[str] = "The request could not be carried out."
    response: None

    def __init__(
        self,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **extensions: Any,  # any JSON value may be an extension member (RFC 9457 section 3.2)
    ) -> None:
        super().__init__(description=detail or self.title)
        self.detail: str = detail or self.title
        self.headers: dict[str, str] = dict(headers or {})
        self.extensions = extensions

    @property
    def data(self) -> dict[str, Any]:  # the members are JSON values
        """The problem document; the name is the one Flask-RESTX and Flask-RESTful look for."""
        return {
            "type": PROBLEM_TYPE + self.error_code,
            "title": self.title,
            "status": self.code,
            "detail": self.detail,
            "code": self.error_code,
            "error": self.title,
            **self.extensions,
        }

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        """The headers of the answer; the signature is Werkzeug's."""
        return [("Content-Type", PROBLEM_JSON), ("Cache-Control", "no-store"), *self.headers.items()]

    def get_body(self, environ: Any = None, scope: Any = None) -> str:
        """The problem document as JSON; the signature is Werkzeug's."""
        return json.dumps(self.data)

    def get_response(self, environ: Any = None, scope: Any = None) -> Response:
        """The whole answer; the signature is Werkzeug's."""
        return Response(self.get_body(), self.code, self.get_headers())


class ValidationError(AccountsError, werkzeug.exceptions.BadRequest):
    """The input is understood but not acceptable; `problems` lists all that is wrong with it."""

    code: int = 400
    error_code: ClassVar[str] = "VALIDATION_ERROR"
    title: ClassVar[str] = "The input is not valid."

    def __init__(self, problems: Sequence[FieldProblem] = (), detail: str | None = None) -> None:
        self.problems: tuple[FieldProblem, ...] = tuple(problems)
        super().__init__(detail, errors=[asdict(problem) for problem in self.problems])

    @classmethod
    def one(cls, field: str, code: str, message: str) -> ValidationError:
        """The error for a single problem with `field`."""
        return cls([FieldProblem(field, code, message)])


class MalformedRequest(AccountsError, werkzeug.exceptions.BadRequest):
    """The body is not the JSON object it should be."""

    code: int = 400
    error_code: ClassVar[str] = "MALFORMED_REQUEST"
    title: ClassVar[str] = "The request is malformed."


class OneTimeTokenInvalid(AccountsError, werkzeug.exceptions.BadRequest):
    """A mailed token or code that is wrong, used, void or expired; never says which."""

    code: int = 400
    error_code: ClassVar[str] = "ONE_TIME_TOKEN_INVALID"
    title: ClassVar[str] = "This link or code is not good any more."


class OtherBrowser(AccountsError, werkzeug.exceptions.BadRequest):
    """A mailed link that is good, but only where it was asked for. It is not used up by this."""

    code: int = 400
    error_code: ClassVar[str] = "OTHER_BROWSER"
    title: ClassVar[str] = "Please open the link in the browser in which you asked for it."


class IdentityRefused(AccountsError, werkzeug.exceptions.BadRequest):
    """The identity provider did not say who it is: the person did not agree, took too long, or the provider would not."""

    code: int = 400
    error_code: ClassVar[str] = "IDENTITY_REFUSED"
    title: ClassVar[str] = "The identity provider did not confirm who you are."


class IdentityInvalid(AccountsError, werkzeug.exceptions.BadRequest):
    """What came from the identity provider proves nothing: it is another one's, altered, of another sign-in, or for another app."""

    code: int = 400
    error_code: ClassVar[str] = "IDENTITY_INVALID"
    title: ClassVar[str] = "What the identity provider says cannot be trusted."


class IdentityNotRecent(AccountsError, werkzeug.exceptions.BadRequest):
    """The identity provider does not say that the person has just proved who it is: presence is not proved by that (ASVS 6.8.4)."""

    code: int = 400
    error_code: ClassVar[str] = "IDENTITY_NOT_RECENT"
    title: ClassVar[str] = "The identity provider does not say that you have just confirmed who you are."


class AuthenticationError(AccountsError, werkzeug.exceptions.Unauthorized):
    """The caller is not, or not well enough, authenticated. Carries the RFC 6750 challenge."""

    code: int = 401
    error_code: ClassVar[str] = "AUTHENTICATION_FAILED"
    title: ClassVar[str] = "Authentication is required."
    bearer_error: ClassVar[str | None] = "invalid_token"

    def __init__(self, detail: str | None = None, **extensions: Any) -> None:  # JSON values
        challenge = 'Bearer realm="accounts"'
        if self.bearer_error:  # RFC 6750 section 3.1: no error code when no credentials were sent
            challenge += f', error="{self.bearer_error}", error_description="{self.title}"'
        super().__init__(detail, headers={"WWW-Authenticate": challenge}, **extensions)


class TokenMissing(AuthenticationError):
    """No credentials in any place where they are accepted."""

    error_code: ClassVar[str] = "TOKEN_MISSING"
    title: ClassVar[str] = "Authentication is required."
    bearer_error: ClassVar[str | None] = None


class TokenExpired(AuthenticationError):
    """The token was right once; its time is over."""

    error_code: ClassVar[str] = "TOKEN_EXPIRED"
    title: ClassVar[str] = "The token has expired."


class InvalidToken(AuthenticationError):
    """The token does not verify, or lacks a claim."""

    error_code: ClassVar[str] = "INVALID_TOKEN"
    title: ClassVar[str] = "The token is not valid."


class TokenRevoked(AuthenticationError):
    """The token's session has ended, its account is gone or disabled, or the token was used before."""

    error_code: ClassVar[str] = "TOKEN_REVOKED"
    title: ClassVar[str] = "The token has been revoked."


class WrongTokenType(AuthenticationError):
    """A refresh token where an access token belongs, or the other way round."""

    error_code: ClassVar[str] = "WRONG_TOKEN_TYPE"
    title: ClassVar[str] = "This is not the kind of token that is needed here."


class ReauthenticationRequired(AuthenticationError):
    """Signed in, but too long ago for this, or by too little; `POST /reauthenticate` mends it.

    `methods`, where there are such, are those of which one would do; `amr` what the session has to show (RFC 8176).
    """

    error_code: ClassVar[str] = "REAUTHENTICATION_REQUIRED"
    title: ClassVar[str] = "Please confirm that it is you."
    bearer_error: ClassVar[str | None] = "insufficient_user_authentication"  # RFC 9470 section 3


class InvalidCredentials(AuthenticationError):
    """Unknown account or wrong password; never says which."""

    error_code: ClassVar[str] = "INVALID_CREDENTIALS"
    title: ClassVar[str] = "The credentials are not valid."
    bearer_error: ClassVar[str | None] = None


class ChallengeRequired(AuthenticationError):
    """The credential was right, but a gate asks for more: one of `challenges` is to be answered at `POST /challenge`.

    A gate raises it with the names of the methods that would do; the pipeline adds `challenge_token`, by which the
    sign-in goes on, and `expires_in`, the seconds that leaves.
    """

    error_code: ClassVar[str] = "CHALLENGE_REQUIRED"
    title: ClassVar[str] = "One more step is needed to sign in."
    bearer_error: ClassVar[str | None] = None

    def __init__(self, challenges: Sequence[str] = (), detail: str | None = None, **extensions: Any) -> None:  # JSON values
        self.challenges: tuple[str, ...] = tuple(challenges)
        super().__init__(detail, challenges=list(challenges), **extensions)


class MfaRequired(ChallengeRequired):
    """The account has a second factor, which is asked for now."""

    error_code: ClassVar[str] = "MFA_REQUIRED"
    title: ClassVar[str] = "A second factor is needed to sign in."


class MfaEnrolmentRequired(ChallengeRequired):
    """The account must have a second factor and has none: it is set up before the sign-in goes on."""

    error_code: ClassVar[str] = "MFA_ENROLMENT_REQUIRED"
    title: ClassVar[str] = "Please set up a second factor to sign in."


class PasswordChangeRequired(ChallengeRequired):
    """The password was right, but the policy does not accept it any more: a new one is needed. `errors` says why."""

    error_code: ClassVar[str] = "PASSWORD_CHANGE_REQUIRED"
    title: ClassVar[str] = "Please choose a new password."


class ChallengeInvalid(AuthenticationError):
    """The sign-in that a `challenge_token` stands for is over: used, expired, or overtaken by a change of the account."""

    error_code: ClassVar[str] = "CHALLENGE_INVALID"
    title: ClassVar[str] = "Please sign in again."
    bearer_error: ClassVar[str | None] = None


class InvalidClient(AccountsError, werkzeug.exceptions.Unauthorized):
    """Another service did not prove who it is: no client credentials, or wrong ones; never says which (RFC 6749 section 5.2)."""

    code: int = 401
    error_code: ClassVar[str] = "INVALID_CLIENT"
    title: ClassVar[str] = "The client credentials are not valid."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Basic realm="accounts"'})


class Forbidden(AccountsError, werkzeug.exceptions.Forbidden):
    """Known, but not allowed."""

    code: int = 403
    error_code: ClassVar[str] = "FORBIDDEN"
    title: ClassVar[str] = "This is not allowed."


class PermissionDenied(Forbidden):
    """The caller lacks a role or a permission."""

    error_code: ClassVar[str] = "PERMISSION_DENIED"
    title: ClassVar[str] = "You do not have permission to do this."


class CredentialNotAllowed(Forbidden):
    """A good credential of a kind that does not open this: an API key, say, where only the owner's own session will do."""

    error_code: ClassVar[str] = "CREDENTIAL_NOT_ALLOWED"
    title: ClassVar[str] = "This kind of credential is not allowed here."


class NotWhileImpersonating(Forbidden):
    """Somebody acts in the owner's place (impersonation), and this is for the owner alone: credentials above all."""

    error_code: ClassVar[str] = "NOT_WHILE_IMPERSONATING"
    title: ClassVar[str] = "This is not possible while impersonating somebody."


class ImpersonationRefused(Forbidden):
    """This account is not one that the caller may impersonate; `detail` says why."""

    error_code: ClassVar[str] = "IMPERSONATION_REFUSED"
    title: ClassVar[str] = "You cannot impersonate this account."


class UnauthorizedClient(Forbidden):
    """Another service proved who it is, and may not do this."""

    error_code: ClassVar[str] = "UNAUTHORIZED_CLIENT"
    title: ClassVar[str] = "This client may not do this."


class CsrfFailed(Forbidden):
    """A cookie came without the matching CSRF header."""

    error_code: ClassVar[str] = "CSRF_FAILED"
    title: ClassVar[str] = "The CSRF token is missing or wrong."


class AccountDisabled(Forbidden):
    """The password was right, but the account is switched off. The member `until`, where there is one, says when that is over."""

    error_code: ClassVar[str] = "ACCOUNT_DISABLED"
    title: ClassVar[str] = "This account is disabled."


class EmailNotVerified(Forbidden):
    """The password was right, but the address has not been proved."""

    error_code: ClassVar[str] = "EMAIL_NOT_VERIFIED"
    title: ClassVar[str] = "Please confirm your e-mail address first."


class RegistrationClosed(Forbidden):
    """Nobody can register here."""

    error_code: ClassVar[str] = "REGISTRATION_CLOSED"
    title: ClassVar[str] = "Registration is closed."


class IdentityUnknown(Forbidden):
    """The identity is no account's, and none is made for it. Whoever has an account signs in and links the identity."""

    error_code: ClassVar[str] = "IDENTITY_UNKNOWN"
    title: ClassVar[str] = "No account goes with this identity."


class IdentityMismatch(Forbidden):
    """Presence is proved by an identity of the account that is signed in. This is somebody else's, or linked to no account."""

    error_code: ClassVar[str] = "IDENTITY_MISMATCH"
    title: ClassVar[str] = "This identity does not belong to your account."


class CrossSite(Forbidden):
    """Another website has sent the browser here. A sign-in begins on the app's own pages."""

    error_code: ClassVar[str] = "CROSS_SITE"
    title: ClassVar[str] = "Please begin on the app's own page."


class NotFound(AccountsError, werkzeug.exceptions.NotFound):
    """No such thing, or none that the caller may know of."""

    code: int = 404
    error_code: ClassVar[str] = "NOT_FOUND"
    title: ClassVar[str] = "Not found."


class MethodNotAllowed(AccountsError, werkzeug.exceptions.MethodNotAllowed):
    """The path exists, the method does not. `allowed` lists those that do."""

    code: int = 405
    error_code: ClassVar[str] = "METHOD_NOT_ALLOWED"
    title: ClassVar[str] = "The method is not allowed here."

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__(headers={"Allow": ", ".join(sorted(allowed))})


class Conflict(AccountsError, werkzeug.exceptions.Conflict):
    """The request clashes with what is stored."""

    code: int = 409
    error_code: ClassVar[str] = "CONFLICT"
    title: ClassVar[str] = "This clashes with what is stored."


class EmailTaken(Conflict):
    """The address belongs to another account."""

    error_code: ClassVar[str] = "EMAIL_TAKEN"
    title: ClassVar[str] = "This e-mail address is taken."


class UsernameTaken(Conflict):
    """The username belongs to another account."""

    error_code: ClassVar[str] = "USERNAME_TAKEN"
    title: ClassVar[str] = "This username is taken."


class RoleExists(Conflict):
    """A role of that name is there already."""

    error_code: ClassVar[str] = "ROLE_EXISTS"
    title: ClassVar[str] = "A role of this name exists."


class RoleProtected(Conflict):
    """The administrators' own role can be neither removed, renamed nor weakened."""

    error_code: ClassVar[str] = "ROLE_PROTECTED"
    title: ClassVar[str] = "This role is protected."


class InvitationExists(Conflict):
    """The address has an open invitation: send that one again, or withdraw it."""

    error_code: ClassVar[str] = "INVITATION_EXISTS"
    title: ClassVar[str] = "This address has an open invitation."


class IdentityTaken(Conflict):
    """The identity is another account's."""

    error_code: ClassVar[str] = "IDENTITY_TAKEN"
    title: ClassVar[str] = "This identity belongs to another account."


class ProviderConsentRequired(Conflict):
    """There is no token of the provider that is good, and none to get one by: the person signs in with the provider again."""

    error_code: ClassVar[str] = "PROVIDER_CONSENT_REQUIRED"
    title: ClassVar[str] = "Please sign in with the identity provider again."


class LastWayIn(Conflict):
    """Without it nobody could sign in to the account any more."""

    error_code: ClassVar[str] = "LAST_WAY_IN"
    title: ClassVar[str] = "This is the only way to sign in to the account."


class ApiKeyLimit(Conflict):
    """The account has as many API keys as it may have."""

    error_code: ClassVar[str] = "API_KEY_LIMIT"
    title: ClassVar[str] = "There are too many API keys. Revoke one that is not needed any more."


class PasskeyLimit(Conflict):
    """The account has as many passkeys as it may have."""

    error_code: ClassVar[str] = "PASSKEY_LIMIT"
    title: ClassVar[str] = "There are too many passkeys. Remove one that is not needed any more."


class LastAdministrator(Conflict):
    """Nobody would be left who can administer the accounts."""

    error_code: ClassVar[str] = "LAST_ADMINISTRATOR"
    title: ClassVar[str] = "The last administrator cannot be removed, disabled or demoted."


class FactorNeeded(Conflict):
    """The account must have a second factor, and this is its last. A new one can be set up in its place."""

    error_code: ClassVar[str] = "FACTOR_NEEDED"
    title: ClassVar[str] = "This account must have a second factor."


class FactorMissing(Conflict):
    """Recovery codes stand in for a second factor, and the account has none."""

    error_code: ClassVar[str] = "FACTOR_MISSING"
    title: ClassVar[str] = "Set up a second factor first."


class ConcurrentChange(Conflict):
    """Other rows still refer to it, or somebody else changed the same thing at the same moment."""

    error_code: ClassVar[str] = "CONCURRENT_CHANGE"
    title: ClassVar[str] = "This clashes with other data, or with a change made at the same moment."


class ContentTooLarge(AccountsError, werkzeug.exceptions.RequestEntityTooLarge):
    """The body is over the limit and was not read."""

    code: int = 413
    error_code: ClassVar[str] = "CONTENT_TOO_LARGE"
    title: ClassVar[str] = "The request body is too large."


class UnsupportedMediaType(AccountsError, werkzeug.exceptions.UnsupportedMediaType):
    """The body is of another media type than the route takes: `application/json`, or for what OAuth defines a form."""

    code: int = 415
    error_code: ClassVar[str] = "UNSUPPORTED_MEDIA_TYPE"
    title: ClassVar[str] = "The request body is of a media type that is not taken here."

    def __init__(self, media_type: str = "application/json") -> None:
        super().__init__(f"The request body must be {media_type}.")


class TooManyRequests(AccountsError, werkzeug.exceptions.TooManyRequests):
    """A limit was hit. `retry_after` is in seconds (RFC 6585 section 4); `headers` say more about the limit."""

    code: int = 429
    error_code: ClassVar[str] = "RATE_LIMITED"
    title: ClassVar[str] = "Too many requests."

    def __init__(self, retry_after: float, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(headers={"Retry-After": str(max(1, math.ceil(retry_after))), **(headers or {})})


class InternalError(AccountsError, werkzeug.exceptions.InternalServerError):
    """Something broke on our side; the log knows what, the client does not."""

    code: int = 500
    error_code: ClassVar[str] = "INTERNAL_ERROR"
    title: ClassVar[str] = "Something went wrong."


class ExportFailed(InternalError):
    """A part of an account's export could not be made; what went wrong is in the log. No part is left out in silence."""

    error_code: ClassVar[str] = "EXPORT_FAILED"
    title: ClassVar[str] = "The export could not be made."


class ServiceUnavailable(AccountsError, werkzeug.exceptions.ServiceUnavailable):
    """The database, or room for one more password hash, is not to be had at the moment."""

    code: int = 503
    error_code: ClassVar[str] = "SERVICE_UNAVAILABLE"
    title: ClassVar[str] = "The service is not available at the moment."

    def __init__(self, detail: str | None = None, *, retry_after: int = 5) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class MailUnavailable(ServiceUnavailable):
    """What was asked for goes by mail, and the app has nothing set up to send it with."""

    error_code: ClassVar[str] = "MAIL_UNAVAILABLE"
    title: ClassVar[str] = "No mail can be sent from here."

    def __init__(self, detail: str | None = None, *, retry_after: int = 3600) -> None:
        super().__init__(detail, retry_after=retry_after)


class ProviderUnavailable(ServiceUnavailable):
    """The identity provider does not answer, or not as one. Whoever has another way to sign in may use it meanwhile."""

    error_code: ClassVar[str] = "PROVIDER_UNAVAILABLE"
    title: ClassVar[str] = "The identity provider cannot be reached at the moment."


def error_types() -> Iterator[type[AccountsError]]:
    """Every error a client may meet, for the reference page and the OpenAPI document."""

    def leaves(kind: type[AccountsError]) -> Iterator[type[AccountsError]]:
        children = kind.__subclasses__()
        if not children or kind in (Conflict, ServiceUnavailable, ChallengeRequired):
            yield kind
        for child in children:
            yield from leaves(child)

    return leaves(AccountsError)
