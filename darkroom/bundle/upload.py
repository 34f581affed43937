"""Uploads to the bucket that a stack is deployed from: the package, and a large template."""

import hashlib
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from darkroom.aws.errors import error_code, explained, is_not_found, is_refused
from darkroom.aws.session import Account
from darkroom.bundle.build import Package
from darkroom.errors import UserError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def check_bucket(account: Account, bucket: str) -> None:
    """Refuse an upload that cannot succeed, before anything is built for it.

    Raises:
        UserError: there are no valid credentials, or no such bucket.
    """
    with explained():
        account.caller  # noqa: B018 -- asks AWS whose credentials these are
        try:
            account.client("s3").head_bucket(Bucket=bucket)
        except ClientError as error:
            if is_not_found(error):
                raise UserError(f"there is no bucket {bucket!r}: check --upload") from error
            if not is_refused(error):  # an upload needs no permission to list
                raise


def upload(package: Package, bucket: str, *, s3: "S3Client") -> bool:
    """Put the package into a bucket with a botocore client; False if it is there already.

    The key stands for the content, so an existing object is never overwritten.

    Raises:
        UserError: S3 refuses it, or cannot be reached.
    """
    return _put(package.key, package.path.read_bytes(), bucket, s3)


def upload_template(text: str, bucket: str, *, s3: "S3Client") -> str:
    """Put a template into a bucket; return the URL by which CloudFormation reads it.

    Raises:
        UserError: as `upload`.
    """
    content = text.encode()
    key = f"darkroom-template-{hashlib.sha256(content).hexdigest()[:12]}.json"
    _put(key, content, bucket, s3)
    return f"{s3.meta.endpoint_url}/{bucket}/{key}"


def _put(key: str, content: bytes, bucket: str, s3: "S3Client") -> bool:
    try:
        s3.put_object(
            Bucket=bucket, Key=key, Body=content, ChecksumAlgorithm="SHA256", IfNoneMatch="*"
        )
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error_code(error) == "PreconditionFailed":
            return False
        raise UserError(f"cannot put {key} into the bucket {bucket}: {error}") from error
    return True
