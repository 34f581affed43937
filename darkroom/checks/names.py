"""The checks of each command, in their order; apart from their code, which takes long to import."""

PREFLIGHT = (
    "caller",
    "parameters",
    "prefix-list",
    "availability-zones",
    "rules",
    "stack",
    "names",
    "concurrency",
    "code",
    "alarm-email",
    "vpc",
    "sources",
)
VERIFY = (
    "stack",
    "key",
    "buckets",
    "queues",
    "functions",
    "triggers",
    "network",
    "sources",
    "logs",
    "alarms",
    "topics",
    "subscriptions",
    "drift",
    "canary",
)
