"""The specification's table of the upload API, which a stack has only where it is asked for."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from templates.specification_values import DEFAULT, TABLE_CONFIG, Prefix

INVOKE = "execute-api:Invoke"
SERVICE = "execute-api"


class Api(BaseModel):
    """A REST API that gives callers of this account presigned URLs to upload pictures to."""

    model_config = TABLE_CONFIG

    source: str = DEFAULT
    """Name of the source that the pictures belong to, of type `s3`."""

    prefix: Annotated[Prefix, Field(max_length=256)] = "uploads/api/"
    """What the keys of the pictures begin with, within a prefix of the source."""

    access: Literal["private", "regional"] = "private"
    """`private`: through an interface endpoint of the VPC. `regional`: from any address, or from
    `AllowedUploadCidrs`, where that is set."""
