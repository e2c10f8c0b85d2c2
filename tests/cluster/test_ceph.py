"""What Ceph's S3 does otherwise than Amazon's, and our storage has to keep clear of."""

import pytest
from botocore.exceptions import ClientError

from ..object_store import BUCKET, ObjectStore


@pytest.mark.slow
def test_ceph_lets_an_upload_in_several_parts_overwrite(ceph: ObjectStore) -> None:
    """Why no part is ever uploaded so: the condition of its completion is ignored."""
    client = ceph.client()
    where = {"Bucket": BUCKET, "Key": "multipart"}
    client.put_object(**where, Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(**where, Body=b"second", IfNoneMatch="*")
    upload = {**where, "UploadId": client.create_multipart_upload(**where)["UploadId"]}
    piece = client.upload_part(**upload, PartNumber=1, Body=b"second")
    pieces = {"Parts": [{"PartNumber": 1, "ETag": piece["ETag"]}]}
    client.complete_multipart_upload(**upload, MultipartUpload=pieces, IfNoneMatch="*")
    assert client.get_object(**where)["Body"].read() == b"second"
