"""The upload API."""

from tests.mutation.additions import Template, upload_api
from tests.mutation.defects.seed import defect, drop, of


def _post(t: Template) -> dict[str, object]:
    found: dict[str, object] = of(t, "UploadApi")["Body"]["paths"]["/uploads"]["post"]
    return found


@defect("api-method-open", on=upload_api)
def method_with_a_key_only(t: Template) -> None:
    _post(t)["security"] = [{"key": []}]


@defect("api-method-unmetered", on=upload_api)
def method_without_a_key(t: Template) -> None:
    _post(t)["security"] = [{"iam": []}]


@defect("api-stage-unthrottled", on=upload_api)
def stage_without_throttling(t: Template) -> None:
    del of(t, "UploadApiStage")["MethodSettings"][0]["ThrottlingRateLimit"]


@defect("api-resource-policy-missing", on=upload_api)
def api_without_a_policy(t: Template) -> None:
    del of(t, "UploadApi")["Policy"]


@defect("api-resource-policy-missing", on=upload_api)
def private_api_of_any_vpc(t: Template) -> None:
    drop(t, "UploadApi", "DenyElsewhere")
