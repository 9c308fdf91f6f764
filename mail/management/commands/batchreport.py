import json
import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mail.figures import figures, overview, report
from mail.manifest import manifest
from mail.models import Batch

NEWEST = 10


class Command(BaseCommand):
    help = (
        "What became of a batch: counts by fate and reason, pace, complaints, and "
        "whether the sum holds. Without a number, the newest batches."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("batch", nargs="?", type=int, metavar="BATCH")
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="for programs")
        form.add_argument(
            "--manifest",
            action="store_true",
            help="JSON lines: each delivery's key and state, no addresses",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["batch"] is None:
            if options["manifest"]:
                raise CommandError("Say of which batch: batchreport NUMBER --manifest")
            self._newest(as_json=options["json"])
            return
        batch = Batch.objects.filter(pk=options["batch"]).first()
        if batch is None:
            raise CommandError(
                f"There is no batch {options['batch']}. Without a number, batchreport "
                "lists the newest."
            )
        if options["manifest"]:
            self._manifest(batch)
        elif options["json"]:
            self.stdout.write(json.dumps(figures(batch), indent=2))
        else:
            self.stdout.write(report(batch))

    def _newest(self, *, as_json: bool) -> None:
        newest = list(Batch.objects.defer("message").order_by("-pk")[:NEWEST])
        if as_json:
            self.stdout.write(json.dumps([figures(one) for one in newest], indent=2))
        elif newest:
            self.stdout.write(overview(newest))
        else:
            self.stdout.write("No batch was ever started.")

    def _manifest(self, batch: Batch) -> None:
        if batch.counted_up_at:
            raise CommandError(
                f"The deliveries of batch {batch.pk} are counts since "
                f"{batch.counted_up_at:%-d %B %Y}. The manifest's SHA-256 was "
                f"{batch.manifest_sha256}"
            )
        # Bytes as they are: what is hashed is what is printed.
        try:
            for piece in manifest(batch):
                sys.stdout.buffer.write(piece)
            sys.stdout.flush()
        except BrokenPipeError:
            # `head` has seen enough; nothing is left to be flushed at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
