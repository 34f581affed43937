"""Rules for any S3, SQS and Lambda template, and their engine."""
