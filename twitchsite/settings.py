"""The site's settings, read top to bottom. Variables: docs/operating.md."""

from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from twitchsite import logs
from twitchsite.env import Environment, broker, database, imap, paces, smtp, webhooks

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment(BASE_DIR / ".env")

# --- Where and who -------------------------------------------------------------

# Set by `manage.py up` alone, and only when no DATABASE_URL was given.
DEMO = env.flag("DEMO")
DEMO_TIP_EVERY = env.number("DEMO_TIP_EVERY", 20, at_least=1)
DATA_DIR = Path(env.text("DATA_DIR", str(BASE_DIR / "var"))).resolve()

SITE_NAME = "twitchsite"
SITE_URL = env.text(
    "SITE_URL", remedy="Write the site's own address, as https://health.example."
).rstrip("/")
if urlsplit(SITE_URL).scheme not in {"http", "https"} or not urlsplit(SITE_URL).netloc:
    raise ImproperlyConfigured(f"SITE_URL is {SITE_URL!r}: write https://your.host.")
HTTPS = SITE_URL.startswith("https://")
ALLOWED_HOSTS = [str(urlsplit(SITE_URL).hostname), *env.listed("EXTRA_HOSTS")]

SECRET_KEY = env.text("SECRET_KEY", remedy="Make one: openssl rand -base64 48")
# Signs the links in mails; separate, so that changing SECRET_KEY breaks no link.
CONSENT_KEY = env.text("CONSENT_KEY", remedy="Make one: openssl rand -base64 48")
# Keys that signed earlier links and are still believed, newest first.
CONSENT_KEY_FALLBACKS = env.listed("CONSENT_KEY_FALLBACKS")

# How many proxies stand before web, each of which adds to X-Forwarded-For. Web speaks
# no TLS itself, so an https site has one.
TRUSTED_PROXIES = env.number("TRUSTED_PROXIES", 1 if HTTPS else 0)
# Sign-ups, and lost links apart from them: a day for one mailbox, an hour from one
# network and in all. Reasons: docs/operating.md.
ASKED_PER_ADDRESS = env.number("ASKED_PER_ADDRESS", 10, at_least=1)
ASKED_PER_NETWORK = env.number("ASKED_PER_NETWORK", 2_000, at_least=1)
ASKED_IN_ALL = env.number("ASKED_IN_ALL", 20_000, at_least=1)

# --- Rooms ---------------------------------------------------------------------

INSTALLED_APPS = [
    "twitchsite",
    "ledger",
    "mail",
    "review",
    "articles",
    "newsletter",
    "comments",
    "pages",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "pgtrigger",
    "crispy_forms",
    "csp",
]

MIDDLEWARE = [
    "twitchsite.middleware.SecurityHeaders",
    "csp.middleware.CSPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "twitchsite.middleware.ClientAddress",
    "twitchsite.middleware.BodyLimit",
    "twitchsite.middleware.ReadableQuery",
    "twitchsite.middleware.ReadableBody",
    "twitchsite.middleware.SameOriginGuard",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "twitchsite.urls"
WSGI_APPLICATION = "twitchsite.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "pages.context.site",
            ],
        },
    }
]
CRISPY_TEMPLATE_PACK = "twitch"
CRISPY_ALLOWED_TEMPLATE_PACKS = ["twitch"]

# --- Data ----------------------------------------------------------------------

_DATABASE_REMEDY = "Write postgresql://role:password@host/name."
DATABASES = {"default": env.parsed("DATABASE_URL", database, remedy=_DATABASE_REMEDY)}
# The owner's role migrates; web and workers need not know its password.
if env.text("MIGRATION_DATABASE_URL", ""):
    DATABASES["owner"] = env.parsed(
        "MIGRATION_DATABASE_URL", database, remedy=_DATABASE_REMEDY
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_REDIS_REMEDY = "Write redis://host:6379/0 or unix:///path/to/socket?db=0."
REDIS_URL = env.text("REDIS_URL", remedy=_REDIS_REMEDY)
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "twitchsite",
    }
}

# Of ready pages, in each web process.
PAGE_STORE_MEGABYTES = env.number("PAGE_STORE_MEGABYTES", 64, at_least=1)

# --- Celery: hints, never truth --------

CELERY_BROKER_URL = env.parsed("REDIS_URL", broker, remedy=_REDIS_REMEDY)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    # kombu looks for messages of dead workers every interval x throttle; its own
    # 10 x 10 s leaves them lying for minutes.
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    # A hint must not hold up a request when Redis is away.
    "socket_connect_timeout": 1,
    "socket_timeout": 5,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Sending has workers of its own.
CELERY_TASK_ROUTES = {"mail.send_due": {"queue": "sending"}}
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True


def _every(task: str, seconds: float) -> dict[str, object]:
    """A tick asks "what is due?"; one that could not be asked in time is dropped."""
    return {"task": task, "schedule": seconds, "options": {"expires": max(seconds, 5)}}


def _nightly(task: str, hour: int) -> dict[str, object]:
    """Every six minutes of that hour (UTC): a run ends after five, the next goes on."""
    schedule = crontab(hour=str(hour), minute="*/6")
    return {"task": task, "schedule": schedule, "options": {"expires": 300}}


CELERY_BEAT_SCHEDULE = {
    "seal the ledger": _every("ledger.seal", 1),
    "publish what is due": _every("articles.publish_due", 5),
    "remind of reviews": _every("review.remind", 3600),
    "resolve sign-ups": _every("newsletter.resolve_sign_ups", 5),
    "mail preferences links": _every("newsletter.resolve_link_requests", 5),
    "start due issues": _every("newsletter.start_due_issues", 5),
    "warn of shortages": _every("newsletter.warn_of_shortages", 600),
    "forget old tallies": _every("mail.forget_old_tallies", 3600),
    "send what is due": _every("mail.send_due", 5),
    # What a crash left is to be on its way within a minute after its lease.
    "sweep": _every("mail.sweep", 30),
    "count up old deliveries": _nightly("mail.count_up_old", 2),
    "let go of old data": _nightly("newsletter.retain", 3),
}

# --- Mail ----------------------------------------------------------------------

# What is kept, and how long; the privacy notice names the same.
RETAIN_UNCONFIRMED_DAYS = env.number(
    "RETAIN_UNCONFIRMED_DAYS", 30, at_least=7, at_most=30
)
RETAIN_UNSUBSCRIBED_DAYS = env.number("RETAIN_UNSUBSCRIBED_DAYS", 1_096, at_least=1)
# A mailbox that bounced is asked for a confirmation once in 30 days: that is counted.
RETAIN_DELIVERIES_DAYS = env.number("RETAIN_DELIVERIES_DAYS", 396, at_least=31)

MAIL_SERVER = env.parsed(
    "EMAIL_URL", smtp, remedy="Write smtp+tls://user:password@host:587."
)
MAIL_DEADLINE_SECONDS = env.number("MAIL_DEADLINE_SECONDS", 60, at_least=1)
# Connections to the mail server of each process that sends.
MAIL_CONNECTIONS = env.number("MAIL_CONNECTIONS", 8, at_least=1)
# How many messages a connection may have in doubt at once after a crash.
HANDOVER_WINDOW = env.number("HANDOVER_WINDOW", 1, at_least=1)
# Messages a minute, of each batch; 0 is as fast as the server takes them.
MAIL_PACE = env.number("MAIL_PACE", 0, at_least=0)
MAIL_DOMAIN_PACES = (
    env.parsed("MAIL_DOMAIN_PACES", paces, remedy="Write gmail.com=600, example.org=60")
    if env.text("MAIL_DOMAIN_PACES", "")
    else {}
)
# Where bounces and complaints come back to, if it is a mailbox that we fetch from.
BOUNCE_MAILBOX = (
    env.parsed(
        "BOUNCE_IMAP_URL", imap, remedy="Write imaps://user:password@host/INBOX."
    )
    if env.text("BOUNCE_IMAP_URL", "")
    else None
)
if BOUNCE_MAILBOX:
    CELERY_BEAT_SCHEDULE["poll bounces"] = _every("mail.poll_bounces", 60)
# Which providers may tell at /hooks/<provider>/ what became of our mails, and each
# one's secret.
WEBHOOKS = (
    env.parsed("WEBHOOKS", webhooks, remedy="Write provider:secret,provider:secret.")
    if env.text("WEBHOOKS", "")
    else {}
)
_OWN_FACTS = {
    "MAIL_FROM": "twitchsite <tips@twitchsite.example>",
    "CONTACT_EMAIL": "hello@twitchsite.example",
    "POSTAL_ADDRESS": "1 Example Street, Exampletown",
}


def _own_fact(name: str, remedy: str) -> str:
    """What only the operator knows; the demonstration has its own example."""
    return env.text(name, _OWN_FACTS[name] if DEMO else None, remedy=remedy)


MAIL_FROM = _own_fact("MAIL_FROM", "Write Name <address@your.domain>.")
if "@" not in parseaddr(MAIL_FROM)[1]:
    raise ImproperlyConfigured(f"MAIL_FROM is {MAIL_FROM!r}: write Name <address>.")
CONTACT_EMAIL = _own_fact("CONTACT_EMAIL", "Write an address a person reads.")
# CAN-SPAM and CASL: every tip carries the sender's postal address.
POSTAL_ADDRESS = _own_fact("POSTAL_ADDRESS", "Write your postal address in one line.")
DEFAULT_FROM_EMAIL = MAIL_FROM
LIST_ID = f"tips.{urlsplit(SITE_URL).hostname}"

# --- Language and time ---------------------------------------------------------

LANGUAGE_CODE = "en-gb"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

# --- Static files --------------------------------------------------------------

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- Security ------------------------------------------------------------------

PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_COOKIE_AGE = 8 * 60 * 60
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
if HTTPS:
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
SECURE_SSL_REDIRECT = HTTPS
# Health checks come from inside, where there is no TLS.
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz)$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 2 * 365 * 24 * 60 * 60
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
# `no-referrer` would make browsers send `Origin: null`, which the guard refuses.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# For staff; `BodyLimit` allows readers far less.
DATA_UPLOAD_MAX_MEMORY_SIZE = 12 * 1024 * 1024

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# --- Logs ----------------------------------------------------------------------

LOGGING_CONFIG = None
LOGGING = logs.configuration(env.text("LOG_LEVEL", "INFO").upper())
logs.configure(LOGGING)
