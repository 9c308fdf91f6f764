#!/usr/bin/env python
"""The site's commands: `python manage.py help`; `up` runs the whole site."""

import os
import signal
import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["up"]:
        # It works out the environment that settings need, so Django must wait; until
        # it listens to signals, Ctrl-C ends it without a word.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        from twitchsite.up import main

        sys.exit(main())

    from django.core.management import execute_from_command_line

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twitchsite.settings")
    execute_from_command_line(sys.argv)
