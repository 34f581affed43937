"""`darkroom upload`: uploads pictures through a stack's upload API."""

from pathlib import Path

import click

from darkroom.console.command import Command, format_option

EXAMPLES = """
  darkroom upload cat.jpg holiday/ --api https://a1b2c3.execute-api.eu-west-1.amazonaws.com/v1
  darkroom upload scans/ --api "$API" --checkpoint build/scans.jsonl --format json
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--api", "url", metavar="URL", required=True, help="URL of the API with its stage.")
@click.option(
    "--api-key",
    metavar="KEY",
    envvar="DARKROOM_API_KEY",
    help="Value of the API key; better in the variable DARKROOM_API_KEY, which no list of processes"
    " shows.",
)
@click.option(
    "--checkpoint",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("build/upload.jsonl"),
    show_default=True,
    help="Where an interrupted run continues.",
)
@click.option(
    "--timeout",
    type=click.IntRange(1, 86_400),
    default=300,
    show_default=True,
    help="Seconds to wait without any news.",
)
@click.option("--region", metavar="REGION", help="AWS Region, where the URL does not name it.")
@click.option("--profile", metavar="NAME", help="Profile of ~/.aws/config; default: AWS_PROFILE.")
@format_option()
def command(
    *,
    pictures: tuple[Path, ...],
    url: str,
    api_key: str | None,
    checkpoint: Path,
    timeout: int,
    region: str | None,
    profile: str | None,
    format_: str,
) -> int:
    """Upload pictures through the upload API, and wait for their thumbnails.

    PICTURES are files or directories. A file that was uploaded before with the same bytes is not
    uploaded again. The exit status is 1 if a file was refused or has no result yet.
    """
    from darkroom.aws.session import open_account
    from darkroom.aws.upload_api import UploadApi, http_sender, parse_url
    from darkroom.aws.uploads import Checkpoint, Uploads, results_table
    from darkroom.console.output import print_result
    from darkroom.console.progress import Progress
    from darkroom.emulator.pictures import collect
    from darkroom.errors import UsageError, UserError

    url = parse_url(url)
    files = collect(pictures)
    if not api_key:
        raise UsageError("no API key; set DARKROOM_API_KEY, or give --api-key")
    account = open_account(region=region, profile=profile)
    credentials = account.session.get_credentials()
    if credentials is None:
        raise UserError("no AWS credentials; the API takes requests that are signed with them")
    api = UploadApi(
        url=url,
        api_key=api_key,
        credentials=credentials,
        region=account.region,
        send=http_sender(url, account),
    )
    run = Uploads(api, Checkpoint.open(checkpoint, url), Progress(), timeout)
    outcomes = run.run(files)
    print_result([one.data() for one in outcomes], results_table(outcomes), format_)
    return 0 if all(one.is_ended for one in outcomes) else 1
