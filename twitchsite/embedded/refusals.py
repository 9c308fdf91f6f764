"""The one error that reaches a person at a terminal."""


class CannotStart(RuntimeError):
    """What stands in the way, in one line, and what to do about it.

    `log` names a file that tells more, where there is one.
    """

    def __init__(self, problem: str, remedy: str = "", *, log: object = None) -> None:
        super().__init__(" ".join(part for part in (problem, remedy) if part))
        self.problem = problem
        self.remedy = remedy
        self.log = log
