from django.apps import AppConfig


class NewsletterConfig(AppConfig):
    name = "newsletter"

    def ready(self) -> None:
        import mail
        from newsletter.scheduling import why_unfit

        mail.ask_before_going_on(why_unfit)
