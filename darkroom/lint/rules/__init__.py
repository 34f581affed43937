"""Rules for S3 → SQS → Lambda templates: what AWS does not say until it is deployed, or ever."""
