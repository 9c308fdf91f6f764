"""Logs for machines, without people in them.

One JSON object a line. Whatever a library writes, mail addresses and link tokens
are blotted out of the finished line, tracebacks included.
"""

import logging.config
import re
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# A local part may hold ' / and = (RFC 5321 section 4.1.2): rather too much than a rest.
ADDRESS = re.compile(r"[^\s\"<>()\[\],;:\\]+(?:@|%40)[^\s\"'<>()\[\],;:\\/]+")
TOKEN = re.compile(
    r"(/newsletter/(?:confirm|move|preferences|unsubscribe)/)[^/\s\"'?]+"
)


def blot(line: str) -> str:
    """The line with every mail address and link token blotted out."""
    return ADDRESS.sub("[address]", TOKEN.sub(r"\1[token]", line))


class Renderer:
    """JSON, then the blotter: the last step, so that nothing gets past it."""

    def __init__(self) -> None:
        self._json = structlog.processors.JSONRenderer(ensure_ascii=False)

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> str:
        return blot(str(self._json(logger, name, event)))


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def configuration(level: str) -> dict[str, Any]:
    """`logging`'s dictionary: everything to standard error through one formatter."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    Renderer(),
                ],
            }
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "lines"}
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Each connection it makes is a line nobody reads.
            "kombu": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
        },
    }


def configure(logging_settings: dict[str, Any]) -> None:
    logging.config.dictConfig(logging_settings)
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
