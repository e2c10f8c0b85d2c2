"""Where an S3 service is and how it is spoken to; never with what keys."""

from dataclasses import dataclass
from typing import Literal

Addressing = Literal["auto", "path", "virtual"]


@dataclass(frozen=True)
class S3Settings:
    """Where an S3 service is and how it is spoken to; None leaves it to boto3's own settings.

    Args:
        endpoint: URL of the service, without a bucket.
        region: its region.
        addressing: whether the bucket's name goes into the path or the host name; ``auto`` is the
            path at an endpoint of one's own, and the host name at Amazon's.
        timeout: seconds without an answer after which a request is tried again.
        patience: seconds for which a service that is away is waited for. None for one that may
            never have been there.
    """

    endpoint: str | None = None
    region: str | None = None
    addressing: Addressing = "auto"
    timeout: float = 60.0
    patience: float = 0.0


BY_ENVIRONMENT = S3Settings()
