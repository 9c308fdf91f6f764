"""Every scenario for one seed, one after the other; a line of JSON for each.

python -m tests.chaos.seed FOLDER SEED short|long SCENARIO...
"""

import json
import sys
import time
import traceback
from dataclasses import asdict, replace
from pathlib import Path

from tests.chaos.result import Result
from tests.chaos.scenarios import SCENARIOS, Scenario
from tests.chaos.site import Site, site
from twitchsite.embedded.interruptions import Interrupted, ignore, listen


def run(
    results: Path, here: Site, seed: int, names: tuple[str, ...], *, short: bool
) -> None:
    for name in names:
        result = play(here, SCENARIOS[name], seed, short=short)
        with results.open("a") as file:
            file.write(f"{json.dumps(asdict(result))}\n")


def play(here: Site, scenario: Scenario, seed: int, *, short: bool) -> Result:
    """One scenario from an empty database to its row; an error is a complaint."""
    # Models may be imported now that the site is there and Django is set up.
    from tests.chaos.trial import Trial

    began = time.monotonic()
    result = Result(scenario.id, seed, 0)
    trial = Trial(here, scenario.id, seed, short=short)
    try:
        scenario.happens(trial)
        result = trial.counted(result)
        trial.close()
    except Exception as error:
        traceback.print_exc()
        complaint = f"{type(error).__name__}: {error}"[:200]
        result = replace(result, complaints=(*result.complaints, complaint))
    return replace(result, seconds=round(time.monotonic() - began, 1))


def main(results: str, folder: str, seed: str, length: str, *names: str) -> int:
    listen()
    try:
        with site(Path(folder)) as here:
            run(Path(results), here, int(seed), names, short=length == "short")
            ignore()
    except Interrupted as interruption:
        return interruption.status
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
