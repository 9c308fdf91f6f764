"""A process that runs both servers until it is killed.

    python -m tests.embedded.supervisor DATA_FOLDER QUARTERS_AREA

prints one JSON object: the servers' process ids.
"""

import json
import signal
import sys
from pathlib import Path

from twitchsite import embedded
from twitchsite.embedded import places

if __name__ == "__main__":
    places.STANDARD_QUARTERS = Path(sys.argv[2])
    with embedded.running(Path(sys.argv[1]), durable=True) as services:
        pids = {"postgres": services.postgres.pid, "valkey": services.valkey.pid}
        sys.stdout.write(json.dumps(pids) + "\n")
        sys.stdout.flush()
        signal.pause()
