"""The package's upload to the bucket that a stack is deployed from."""

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
    try:
        s3.put_object(
            Bucket=bucket,
            Key=package.key,
            Body=package.path.read_bytes(),
            ChecksumAlgorithm="SHA256",
            IfNoneMatch="*",
        )
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error_code(error) == "PreconditionFailed":
            return False
        raise UserError(f"cannot put {package.key} into the bucket {bucket}: {error}") from error
    return True
