"""What an S3 service, or the way to it, refused, as one sentence with a remedy.

A service's own words on credentials may repeat what it was shown, so for those only ours are used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as UnreachedError
from s3transfer.exceptions import RetriesExceededError

from .storage import AwayError, CredentialsError, StorageDeniedError, StorageError, StorageFullError

_AGAIN = "then run the same command again; finished parts are kept"
_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile in ~/.aws/credentials"
_NO_BUCKET = "there is no such bucket. Create it, or correct its name or the endpoint"
_NO_OBJECT = "there is no such object. Was it deleted, or is the address mistyped?"
_NO_PERMISSION = (
    "permission denied. Allow these credentials s3:ListBucket on the bucket and s3:GetObject, "
    "s3:PutObject and s3:DeleteObject on its objects, or use other credentials"
)
_WRONG_SECRET = f"the secret key does not match the access key. Correct {_KEYS}"
_WRONG_KEY = f"the service does not know this access key. Correct {_KEYS}, or the endpoint"
_EXPIRED = f"the credentials have expired. Get new ones (`aws sso login`, or a new token), {_AGAIN}"
_WRONG_REGION = (
    "the bucket is in another region. Set cluster.storage.region, or AWS_DEFAULT_REGION, to it"
)
_FULL = f"the service is full or a quota is reached. Free some space, {_AGAIN}"
_BUSY = f"the service kept failing after every retry. Check its health, {_AGAIN}"
_NO_CREDENTIALS = (
    f"no credentials found, or only part of them. Set {_KEYS}; a role or SSO session works too"
)

_REASONS = {
    "NoSuchBucket": _NO_BUCKET,
    "NoSuchKey": _NO_OBJECT,
    "404": "there is no such object, or no such bucket. Is the address mistyped?",
    "AccessDenied": _NO_PERMISSION,
    "AllAccessDisabled": _NO_PERMISSION,
    # Answers to HEAD have no body that would tell these apart.
    "403": f"refused: wrong credentials ({_KEYS}), expired ones, or no permission to read it",
    "400": f"refused: wrong or expired credentials ({_KEYS}), or a wrong region",
    "SignatureDoesNotMatch": _WRONG_SECRET,
    "InvalidAccessKeyId": _WRONG_KEY,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "InvalidToken": "the session token is not valid. Correct AWS_SESSION_TOKEN, or get a new one",
    "RequestTimeTooSkewed": "this machine's clock differs from the service's. Correct it",
    "PermanentRedirect": _WRONG_REGION,
    "AuthorizationHeaderMalformed": _WRONG_REGION,
    "301": _WRONG_REGION,
    "InvalidBucketName": "the bucket's name is not valid. Correct it",
    "QuotaExceeded": _FULL,
    "InsufficientStorage": _FULL,
    "XMinioStorageFull": _FULL,
    "SlowDown": _BUSY,
    "ServiceUnavailable": _BUSY,
    "InternalError": _BUSY,
    "500": _BUSY,
    "503": _BUSY,
    "PreconditionFailed": "it changed while it was being read. Run the same command again",
}

_ARROW_AWAY = ("NETWORK_CONNECTION", "SERVICE_UNAVAILABLE", "SLOW_DOWN", "INTERNAL_FAILURE")

_KINDS: dict[str, type[StorageError]] = {
    _FULL: StorageFullError,
    _NO_PERMISSION: StorageDeniedError,
    _REASONS["403"]: StorageDeniedError,
    _EXPIRED: CredentialsError,
    _WRONG_SECRET: CredentialsError,
    _WRONG_KEY: CredentialsError,
    _NO_CREDENTIALS: CredentialsError,
    _REASONS["400"]: CredentialsError,
    _REASONS["InvalidToken"]: CredentialsError,
}


@contextmanager
def explained(verb: str, address: str) -> Iterator[None]:
    """Turn what boto3 raises into a :class:`StorageError` on the object at ``address``."""
    try:
        yield
    except RetriesExceededError as error:
        raise _refusal(verb, address, error.last_exception) from None
    except (ClientError, BotoCoreError) as error:
        raise _refusal(verb, address, error) from None


@contextmanager
def explained_columns(address: str) -> Iterator[None]:
    """As :func:`explained`, of what Arrow's file system raises too."""
    with explained("read", address):
        try:
            yield
        except OSError as error:
            raise _refusal("read", address, error) from None


def _refusal(verb: str, address: str, error: Exception) -> StorageError:
    """Raised without the chain: a traceback would quote the service."""
    reason = _reason(error)
    kind = AwayError if _is_away(error, reason) else _KINDS.get(reason, StorageError)
    return kind(f"cannot {verb} {address}: {reason}.")


def _is_away(error: Exception, reason: str) -> bool:
    """Whether the service may be there again in a while."""
    if isinstance(error, OSError):
        return any(word in str(error) for word in _ARROW_AWAY)
    broken = isinstance(error, HTTPClientError | UnreachedError | IncompleteReadError)
    return reason == _BUSY or (broken and not isinstance(error, SSLError))


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        answer = error.response.get("Error", {})
        code = str(answer.get("Code", "unknown"))
        return _REASONS.get(code) or f"{code}: {answer.get('Message', 'no message')}"
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return _NO_CREDENTIALS
    if isinstance(error, CredentialRetrievalError | TokenRetrievalError | SSOError):
        return f"credentials cannot be fetched ({type(error).__name__}). Log in again, {_AGAIN}"
    if isinstance(error, ProfileNotFound):
        return "AWS_PROFILE names a profile that ~/.aws/config does not have. Correct it"
    if isinstance(error, HTTPClientError | UnreachedError):
        at = urlsplit(str(error.kwargs.get("endpoint_url", "")))
        whom = f"{at.scheme}://{at.netloc}" if at.netloc else "the service"
        return (
            f"{whom} cannot be reached or does not answer ({type(error).__name__}). Check that "
            f"the endpoint is correct and running, {_AGAIN}"
        )
    return _arrow_reason(str(error)) if isinstance(error, OSError) else str(error)


def _arrow_reason(text: str) -> str:
    """Arrow's file system raises ``OSError`` alone; the kind of failure is in its text."""
    if "ACCESS_DENIED" in text:
        return _REASONS["403"]
    if "NO_SUCH_BUCKET" in text:
        return _NO_BUCKET
    if "EXPIRED" in text.upper():
        return _EXPIRED
    if "NETWORK_CONNECTION" in text:
        return f"the service cannot be reached. Check that it is running, {_AGAIN}"
    # What the service says of it does not always come through.
    if "HTTP status 400" in text:
        return _REASONS["400"]
    return text.splitlines()[0]
