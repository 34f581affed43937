"""Quotas of AWS that the template must stay within, each with its source."""

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
MAX_DIRECT_TEMPLATE_BYTES = 51_200  # in a request; a larger template goes through a bucket
MAX_TEMPLATE_BYTES = 1_000_000
MAX_RESOURCES = 500
MAX_PARAMETERS = 200
MAX_OUTPUTS = 200

# All inline policies of a role, without white space.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MAX_ROLE_POLICY_CHARACTERS = 10_240

# All names and values of a function's environment.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_ENVIRONMENT_BYTES = 4096

# https://docs.aws.amazon.com/general/latest/gr/s3.html
MAX_BUCKET_NOTIFICATIONS = 100
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
MAX_BUCKET_NAME_CHARACTERS = 63
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
MAX_KEY_BYTES = 1024

# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
MAX_EVENT_PATTERN_CHARACTERS = 2048
