"""What Schemathesis is told besides the document.

JSON Schema has words for an address or a password, but not for which of them are fit, nor for what is
stored at the moment. So conforming input is drawn from fit values, and a refusal for one of the reasons
in `BEYOND_SCHEMAS` alone does not count as a refusal of what the document allows.
"""

from __future__ import annotations

import os
import string
from typing import Any

import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.openapi.checks import EnsureResourceAvailability, RejectedPositiveData

# Of two alphabets, so that no password is like the account's address or name.
NAMES = st.text(string.ascii_lowercase[:16], min_size=5, max_size=12)
SECRETS = st.text(string.ascii_lowercase[16:] + string.digits, min_size=8, max_size=16)

BEYOND_SCHEMAS = {
    "extra_forbidden",  # members that only administrators may set
    "cursor_invalid",  # only what an answer gave is a cursor
    "one_of",  # a page and a cursor at once: OpenAPI parameters cannot exclude each other
    "password_unchanged",  # two members that must differ
    "email_unchanged",  # an address that is the account's already
    "email_needs_proof",  # an address other than the present one, where it is changed elsewhere
    "method_unknown",  # which factors there are is the app's to say
    "until_past",  # only a time to come ends a suspension
    "credential_invalid",  # the answer of a browser, whose members the standard names
    "challenge_unknown",  # only what an answer gave is a challenge
    "name_invalid",  # a name of blanks
    "key_invalid",  # the key of an account, whose form is the host's
}

schemathesis.openapi.format("password", st.builds("Z~7 {} xK".format, SECRETS))
schemathesis.openapi.format("email", st.builds("{}.{}@{}.example.com".format, NAMES, NAMES, NAMES))
schemathesis.openapi.format("username", NAMES)
# What there is in the sites of these tests.
schemathesis.openapi.format("role", st.sampled_from(["admin", "editor"]))
schemathesis.openapi.format(
    "permission", st.sampled_from(["*", "users:read", "users:write", "roles:read", "roles:write", "audit:read"])
)

ROLE, TOKENS = os.environ.get("ACCOUNTS_TEST_ROLE", "nobody"), os.environ.get("ACCOUNTS_TEST_TOKENS", "")

if ROLE != "nobody":
    # Kept until a request succeeds that may have ended it (sign out, delete the account), so that none weakens the next.
    held: dict[str, str] = {}

    @schemathesis.auth(refresh_interval=None)
    class SignedIn:
        """Sends a token that is good."""

        def get(self, case: Any, context: Any) -> str:
            kind = "refresh" if case.path.endswith("/refresh") else "access"
            if kind not in held:
                held[kind] = requests.get(TOKENS, params={"role": ROLE, "kind": kind}, timeout=30).text
            return held[kind]

        def set(self, case: Any, data: str, context: Any) -> None:
            case.headers["Authorization"] = f"Bearer {data}"

    @schemathesis.hook
    def after_call(context: Any, case: Any, response: Any) -> None:
        """Forget tokens that may be dead."""
        if response.status_code == 401 or (case.method != "GET" and response.status_code < 300):
            held.clear()


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether a failure counts."""
    if isinstance(failure, EnsureResourceAvailability):
        # Anybody may register somebody else; only administrators then see that account.
        return ROLE == "administrator"
    if not isinstance(failure, RejectedPositiveData):
        return True
    codes = {problem["code"] for problem in response.json().get("errors", [])}
    # What a proof of presence must bring along depends on its method.
    return not codes <= BEYOND_SCHEMAS | ({"missing"} if case.path.endswith("/reauthenticate") else set())
