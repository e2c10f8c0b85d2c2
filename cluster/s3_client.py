"""How a bucket is reached: boto3's client, and Arrow's file system with the same settings.

Credentials come from boto3's own chain alone (environment, shared files, SSO, instance roles) and
live nowhere but in its session.
"""

import logging
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError, NoCredentialsError, ReadTimeoutError
from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

from .s3_settings import S3Settings

logger = logging.getLogger(__name__)

_ATTEMPTS = 8
_CONNECT_SECONDS = 10.0
# The threads that read parts at once; more than there are connections would make urllib3 complain.
_CONNECTIONS = 32
_AMAZON = (".amazonaws.com", ".amazonaws.com.cn")


class S3Connection:
    """A boto3 session and its client; made in the process, and at best by the thread, that uses it.

    Args:
        settings: where and how.
        attempts: how often botocore sends a request before it gives up.
    """

    def __init__(self, settings: S3Settings, attempts: int = _ATTEMPTS) -> None:
        self._settings = settings
        self._attempts = attempts
        self._session = boto3.session.Session()
        self._file_system: tuple[Any, S3FileSystem] | None = None
        style = settings.addressing
        connect = min(_CONNECT_SECONDS, settings.timeout)
        self.client: Any = self._session.client(
            "s3",
            endpoint_url=settings.endpoint,
            region_name=settings.region,
            config=Config(
                retries={"mode": "adaptive", "total_max_attempts": attempts},
                connect_timeout=connect,
                read_timeout=settings.timeout,
                max_pool_connections=_CONNECTIONS,
                # Not every service knows Amazon's newer checksums; all know Content-MD5, and the
                # signature covers the SHA-256 of what is sent.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3=None if style == "auto" else {"addressing_style": style},
            ),
        )
        self.client.meta.events.register_first("needs-retry.s3", self._tell_of_silence)

    @property
    def endpoint(self) -> str:
        """The URL of the service."""
        return str(self.client.meta.endpoint_url)

    def file_system(self) -> S3FileSystem:
        """Arrow's file system with this endpoint and region, and the credentials of this moment.

        The same one, with its open connections, for as long as the credentials are the same.

        Raises:
            NoCredentialsError: boto3's chain finds none.
        """
        found = self._session.get_credentials()
        if found is None:
            raise NoCredentialsError
        credentials = found.get_frozen_credentials()
        if self._file_system is None or self._file_system[0] != credentials:
            self._file_system = (credentials, self._file_system_with(credentials))
        return self._file_system[1]

    def _tell_of_silence(
        self, *, attempts: int, caught_exception: Exception | None, **_: Any
    ) -> None:
        """Says that a request is repeated, after a time in which nothing else was heard.

        botocore asks its handlers whether to; this one has no opinion.
        """
        silent = isinstance(caught_exception, ReadTimeoutError | ConnectTimeoutError)
        if silent and attempts < self._attempts:
            logger.warning(
                "%s has not answered for %g s (cluster.storage.timeout). Trying again, %d of %d",
                self.endpoint,
                self._settings.timeout,
                attempts + 1,
                self._attempts,
            )

    def _file_system_with(self, credentials: Any) -> S3FileSystem:
        url = urlsplit(self.endpoint)
        style = (self.client.meta.config.s3 or {}).get("addressing_style", "auto")
        in_host = style != "path" and (url.hostname or "").endswith(_AMAZON)
        return S3FileSystem(
            access_key=credentials.access_key,
            secret_key=credentials.secret_key,
            session_token=credentials.token,
            endpoint_override=url.netloc,
            scheme="http" if url.scheme == "http" else "https",
            region=self.client.meta.region_name,
            force_virtual_addressing=in_host or style == "virtual",
            connect_timeout=min(_CONNECT_SECONDS, self._settings.timeout),
            request_timeout=self._settings.timeout,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        )
