"""Buckets."""

from typing import Any

from tests.mutation import additions
from tests.mutation.additions import Template
from tests.mutation.defects.seed import (
    add_deny,
    configurations,
    defect,
    drop,
    key_filter,
    named,
    of,
)


@defect("s3-public-access-block")
def public_policies_possible(t: Template) -> None:
    of(t, "UploadBucket")["PublicAccessBlockConfiguration"]["BlockPublicPolicy"] = False


@defect("s3-public-access-block")
def no_public_access_block(t: Template) -> None:
    del of(t, "ThumbnailBucket")["PublicAccessBlockConfiguration"]


@defect("s3-acl-disabled")
def acls_possible(t: Template) -> None:
    del of(t, "UploadBucket")["OwnershipControls"]


@defect("s3-versioning")
def bucket_without_versions(t: Template) -> None:
    of(t, "UploadBucket")["VersioningConfiguration"]["Status"] = "Suspended"


@defect("s3-bucket-key")
def bucket_without_bucket_key(t: Template) -> None:
    del _encryption(t, "ThumbnailBucket")["BucketKeyEnabled"]


def _encryption(t: Template, bucket: str) -> dict[str, Any]:
    found: dict[str, Any] = of(t, bucket)["BucketEncryption"]["ServerSideEncryptionConfiguration"][
        0
    ]
    return found


@defect("kms-cmk-encryption")
def bucket_under_a_key_of_s3(t: Template) -> None:
    _encryption(t, "UploadBucket")["ServerSideEncryptionByDefault"] = {"SSEAlgorithm": "AES256"}


@defect("s3-secure-transport")
def bucket_over_plain_http(t: Template) -> None:
    drop(t, "UploadBucketPolicy", "DenyPlaintext")


@defect("s3-secure-transport")
def objects_over_plain_http(t: Template) -> None:
    named(t, "ThumbnailBucketPolicy", "DenyPlaintext")["Resource"].pop()


@defect("s3-policy-other-accounts")
def bucket_open_to_other_accounts(t: Template) -> None:
    drop(t, "UploadBucketPolicy", "DenyOtherAccounts")


@defect("s3-policy-other-keys")
def bucket_takes_other_keys(t: Template) -> None:
    drop(t, "ThumbnailBucketPolicy", "DenyOtherKeys")


@defect("s3-policy-other-keys")
def bucket_takes_the_aws_managed_key(t: Template) -> None:
    condition = named(t, "ThumbnailBucketPolicy", "DenyOtherKeys")["Condition"]
    (header,) = condition.pop("StringEquals")
    condition["Null"] = {f"{header}-aws-kms-key-id": "false"}


@defect("s3-policy-other-keys")
def bucket_refuses_its_own_default(t: Template) -> None:
    del named(t, "UploadBucketPolicy", "DenyOtherEncryption")["Condition"]["Null"]


@defect("s3-deny-service-lockout")
def deny_locks_out_services(t: Template) -> None:
    del named(t, "UploadBucketPolicy", "DenyOtherAccounts")["Condition"]["BoolIfExists"]


@defect("s3-policy-other-accounts")
def anonymous_callers_not_denied(t: Template) -> None:
    condition = named(t, "UploadBucketPolicy", "DenyOtherAccounts")["Condition"]
    condition["Bool"] = condition.pop("BoolIfExists")


@defect("cfn-deletion-policy")
def bucket_without_its_policy(t: Template) -> None:
    del t["Resources"]["UploadBucketPolicy"]["DeletionPolicy"]


OUTSIDE = {"aws:SourceVpce": {"Ref": "S3Endpoint"}}


@defect("s3-deny-service-lockout")
def perimeter_locks_out_services(t: Template) -> None:
    add_deny(t, "ThumbnailBucketPolicy", "s3:PutObject", StringNotEquals=OUTSIDE)


@defect("s3-deny-service-lockout")
def ranges_lock_out_what_aws_does_for_a_caller(t: Template) -> None:
    add_deny(
        t,
        "UploadBucketPolicy",
        "s3:PutObject",
        NotIpAddress={"aws:SourceIp": ["192.0.2.0/24"]},
        Bool={"aws:PrincipalIsAWSService": "false"},
    )


@defect("iam-deny-admin-lockout")
def perimeter_locks_out_administrators(t: Template) -> None:
    add_deny(
        t,
        "ThumbnailBucketPolicy",
        "s3:*",
        StringNotEquals=OUTSIDE,
        Bool={"aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false"},
    )


@defect("iam-deny-admin-lockout")
def ranges_lock_out_the_keys_administrators(t: Template) -> None:
    add_deny(t, "EncryptionKey", "kms:*", NotIpAddress={"aws:SourceIp": ["192.0.2.0/24"]})


@defect("iam-source-ip-ranges")
def two_halves_of_the_internet_may_upload(t: Template) -> None:
    t["Parameters"]["AllowedUploadCidrs"]["Default"] = "0.0.0.0/1,128.0.0.0/1"


@defect("s3-lifecycle-noncurrent")
def old_versions_for_ever(t: Template) -> None:
    rule = of(t, "ThumbnailBucket")["LifecycleConfiguration"]["Rules"][0]
    del rule["NoncurrentVersionExpiration"]


@defect("s3-lifecycle-noncurrent")
def unfinished_uploads_for_ever(t: Template) -> None:
    rule = of(t, "UploadBucket")["LifecycleConfiguration"]["Rules"][0]
    del rule["AbortIncompleteMultipartUpload"]


@defect("s3-lifecycle-noncurrent")
def lifecycle_switched_off(t: Template) -> None:
    of(t, "UploadBucket")["LifecycleConfiguration"]["Rules"][0]["Status"] = "Disabled"


def _lifecycle(t: Template) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = of(t, "UploadBucket")["LifecycleConfiguration"]["Rules"]
    return found


@defect("s3-lifecycle-readable")
def uploads_gone_before_they_are_redriven(t: Template) -> None:
    (rule,) = _lifecycle(t)
    del rule["ExpiredObjectDeleteMarker"]
    rule["ExpirationInDays"] = 14


@defect("s3-lifecycle-readable", on=additions.archived_uploads)
def uploads_in_a_class_that_needs_a_restore(t: Template) -> None:
    _lifecycle(t)[1]["Transitions"][0]["StorageClass"] = "GLACIER"


@defect("s3-lifecycle-readable")
def a_folder_of_uploads_moves_to_the_deepest_archive(t: Template) -> None:
    transition = {"StorageClass": "DEEP_ARCHIVE", "TransitionInDays": 1}
    _lifecycle(t).append(
        {"Status": "Enabled", "Prefix": "uploads/scans/", "Transition": transition}
    )


@defect("s3-notification-depends-on-policy")
def bucket_before_queue_policy(t: Template) -> None:
    del t["Resources"]["UploadBucket"]["DependsOn"]


@defect("s3-notification-depends-on-policy", on=additions.record_topic)
def bucket_before_topic_policy(t: Template) -> None:
    del t["Resources"]["ThumbnailBucket"]["DependsOn"]


@defect("s3-notification-overlap")
def filters_overlap(t: Template) -> None:
    key_filter(configurations(t)[0])[1]["Value"] = ".JPG"


@defect("s3-notification-overlap")
def prefixes_overlap(t: Template) -> None:
    key_filter(configurations(t)[0])[0]["Value"] = "uploads/new/"
    key_filter(configurations(t)[0])[1]["Value"] = ".webp"


@defect("s3-notification-suffix-case")
def suffix_in_one_case(t: Template) -> None:
    del configurations(t)[1]


@defect("s3-notification-prefix")
def whole_bucket_announced(t: Template) -> None:
    for one in configurations(t):
        del key_filter(one)[0]


@defect("cfn-deletion-policy")
def bucket_goes_with_the_stack(t: Template) -> None:
    t["Resources"]["UploadBucket"]["DeletionPolicy"] = "Delete"


@defect("cfn-deletion-policy")
def key_replaced_and_lost(t: Template) -> None:
    del t["Resources"]["EncryptionKey"]["UpdateReplacePolicy"]


@defect("s3-policy-other-accounts")
def bucket_lists_for_other_accounts(t: Template) -> None:
    named(t, "UploadBucketPolicy", "DenyOtherAccounts")["Resource"].pop(0)


@defect("s3-policy-other-keys")
def bucket_refuses_its_own_key(t: Template) -> None:
    del named(t, "UploadBucketPolicy", "DenyOtherKeys")["Condition"]["StringNotEquals"]
